/* producer_entry.h: one producer in one partition, and the shard's table of them. Private to the
 * room.
 *
 * There may be a million, most of them idle: entries lie in chunks and name each other by number,
 * and the batches that are remembered are packed where they follow each other, which those of a
 * producer do that has the partition to itself. */
#ifndef SL_ADMIT_PRODUCER_ENTRY_H
#define SL_ADMIT_PRODUCER_ENTRY_H

#include "admit/producer_state.h"

#include <string.h>

/* A durable batch that is remembered. */
struct producer_past {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms;
};

#define PRODUCER_PACKED_RECORDS_MAX (1u << 28) /* of one batch: five of them fit in 32 bits */

/* Batches whose sequences and offsets go on from one to the next, as many offsets as records, with
 * the producer's own times. */
struct producer_packed {
    int64_t last_offset; /* of the newest */
    int32_t last_sequence;
    uint32_t record_counts[PRODUCER_BATCHES_MAX]; /* oldest first */
};

#define PRODUCER_FORM_ONE    0 /* none or one */
#define PRODUCER_FORM_PACKED 1
#define PRODUCER_FORM_MANY   2

struct producer_entry {
    struct producers *owner;
    struct producer_admission *pending; /* in order of admission */
    int64_t id;
    int64_t last_ms;       /* of the newest durable batch, or when it was made */
    uint32_t number;       /* of this one; 0 is nobody's */
    uint32_t bucket_next;  /* or in the list of free ones */
    uint32_t older, newer; /* in the partition */
    uint32_t shard_older, shard_newer;
    int16_t epoch;      /* of `past` */
    uint8_t past_count; /* 0: nothing durable yet */
    uint8_t form;       /* PRODUCER_FORM_* */
    int32_t refused_sequence;
    int16_t refused_epoch;
    /* Why the batch with that epoch and first sequence was refused for now (an sl_err); OK: none
     * is. */
    int16_t refused_err;
    bool is_fenced; /* `epoch` holds although no batch of it is remembered: a marker brought it */
    bool in_txn;    /* durably */
    union {
        struct producer_past one;
        struct producer_packed packed;
        struct producer_past *many; /* PRODUCER_BATCHES_MAX, oldest first; owned */
    } past;
};
_Static_assert(sizeof(struct producer_entry) <= 104,
               "a producer has grown: see docs/storage/performance.md");

struct producer_shard {
    struct producer_entry **chunks; /* owned; as many as limits.shard_max wants */
    uint32_t chunk_count;
    uint32_t numbers_used; /* ever */
    uint32_t free_first;   /* 0: none */
    uint32_t *buckets;     /* by partition and id; a power of two of them; owned */
    uint32_t bucket_count;
    uint32_t count;
    uint32_t oldest, newest;
    struct producer_limits limits;
    uint64_t evicted;
    /* For a commit that finds no memory; NULL: it is used, and nothing is admitted until there is
     * another. PRODUCER_BATCHES_MAX, owned. */
    struct producer_past *spare;
    struct txn_log **txns; /* by number - 1; NULL: free; owned, like all in it */
    uint32_t txns_count, txns_capacity, txns_free;
    uint32_t aborted_count; /* in all of them */
};

/* producer_table.c */

/* NULL: number 0. */
struct producer_entry *producer_entry_at(const struct producer_shard *shard, uint32_t number);
sl_err producer_table_init(struct producer_shard *shard) SL_MUST_CHECK; /* limits are set */
void producer_table_fini(struct producer_shard *shard);
/* A zeroed entry with its number, of that owner and id. E_NO_MEMORY. */
sl_err producer_table_put(struct producers *owner, int64_t id,
                          struct producer_entry **ret_entry) SL_MUST_CHECK;
void producer_table_remove(struct producer_entry *entry);
struct producer_entry *producer_entry_get(const struct producers *producers, int64_t id);

/* producer_past.c */

/* index < past_count, 0 is the oldest. */
struct producer_past producer_entry_past(const struct producer_entry *entry, uint32_t index);
/* As the newest of that epoch; the sixth goes. E_NO_MEMORY, where the spare is used too: it is
 * remembered all the same, those before it are not any more, so that sending one of them again is
 * out of order. */
sl_err producer_entry_remember(struct producer_entry *entry, int16_t epoch,
                               const struct producer_past *past);
void producer_entry_forget(struct producer_entry *entry);               /* all batches */
sl_err producer_spare_fill(struct producer_shard *shard) SL_MUST_CHECK; /* E_NO_MEMORY */

/* producer_txns.c */

/* The partition's log, made if need be. E_NO_MEMORY. */
sl_err producer_txns_open(struct producers *producers, struct txn_log **ret_log) SL_MUST_CHECK;
/* Room for one more transactional batch or marker, which is pending from now on. */
sl_err producer_txns_reserve(struct producers *producers) SL_MUST_CHECK;
void producer_txns_release(struct producers *producers);
void producer_txns_begin(struct producers *producers, int64_t producer_id, int64_t first_offset);
void producer_txns_end(struct producers *producers, int64_t producer_id, int64_t marker_offset,
                       bool aborts);
void producer_txns_free(struct producers *producers);

/* producer_state.c */

sl_err producer_entry_add(struct producers *producers, int64_t id, int64_t now_ms,
                          struct producer_entry **ret_entry) SL_MUST_CHECK;
/* Makes it the newest in both orders. */
void producer_entry_touch(struct producer_entry *entry, int64_t now_ms);

#endif
