/* producer_entry.h: one producer in one partition, and the shard's maps. Private to the room. */
#ifndef SL_ADMIT_PRODUCER_ENTRY_H
#define SL_ADMIT_PRODUCER_ENTRY_H

#include "admit/producer_state.h"
#include "catalog/chain_map.h"

#include <string.h>

/* A durable batch that is remembered. */
struct producer_past {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms;
};

struct producer_entry {
    struct chain_link by_id;
    struct producers *owner;
    struct producer_entry *older, *newer;             /* in the partition */
    struct producer_entry *shard_older, *shard_newer; /* in the shard */
    struct producer_admission *pending;               /* in order of admission */
    int64_t id;
    int64_t last_ms;     /* of the newest durable batch, or when it was made */
    int16_t epoch;       /* of `past` */
    uint16_t past_count; /* 0: nothing durable yet */
    bool has_many;
    int16_t refused_epoch;
    int32_t refused_sequence;
    /* Why the batch with that epoch and first sequence was refused for now; OK: none is. */
    sl_err refused_err;
    union {
        struct producer_past one;
        struct producer_past *many; /* PRODUCER_BATCHES_MAX; owned */
    } past; /* most producers write once and are not heard of again; oldest first */
};

struct producer_shard {
    struct chain_map entries; /* by partition and id */
    struct producer_entry *oldest;
    struct producer_entry *newest;
    struct producer_limits limits;
    uint64_t evicted;
};

struct producer_entry *producer_entry_get(const struct producers *producers, int64_t id);
sl_err producer_entry_add(struct producers *producers, int64_t id, int64_t now_ms,
                          struct producer_entry **ret_entry) SL_MUST_CHECK;
static inline struct producer_past *producer_entry_past(struct producer_entry *entry)
{
    return entry->has_many ? entry->past.many : &entry->past.one;
}
static inline const struct producer_past *producer_entry_past_of(const struct producer_entry *entry)
{
    return entry->has_many ? entry->past.many : &entry->past.one;
}
/* So many batches can be remembered. E_NO_MEMORY. */
sl_err producer_entry_reserve(struct producer_entry *entry, uint32_t count) SL_MUST_CHECK;
/* Makes it the newest in both orders. */
void producer_entry_touch(struct producer_entry *entry, int64_t now_ms);
void producer_entry_remember(struct producer_entry *entry, int16_t epoch,
                             const struct producer_past *past);

#endif
