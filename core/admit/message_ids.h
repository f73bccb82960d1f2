/* message_ids.h: ids of messages that a shard has appended not long ago, so that one that is sent
 * twice is appended once. [loop]
 *
 *                    ┌ known ──► answered as the first was
 *   admit(digest) ───┼ pending ─► waits for the first
 *                    └ new ─► commit (with a MESSAGE_ID item in the same unit) | abort
 *
 * An id belongs to a partition; what is kept is a digest of topic, partition and id, so that what
 * is remembered has one size. It is forgotten at the time that it was committed with: the end of
 * the topic's sluice.dedup.window.ms. Between two checkpoints the items are in the log, so that a
 * retry after a crash finds what became durable.
 *
 * A MESSAGE_ID item, little-endian, version 1, 40 bytes: digest 16 (the first half of the SHA-256
 * of topic id 16, partition u32, the id), offset of the batch i64 (-1: it is appended later),
 * append time i64 (-1: the producer's times hold), forgotten at i64 (milliseconds since 1970).
 *
 * Bounded: MESSAGE_IDS_MAX of them; one more is refused until others are forgotten. */
#ifndef SL_ADMIT_MESSAGE_IDS_H
#define SL_ADMIT_MESSAGE_IDS_H

#include "base/pool.h"
#include "catalog/chain_map.h"
#include "wal/item.h"

#define MESSAGE_ID_BYTES_MAX    64u
#define MESSAGE_IDS_MAX         1000000u /* of a shard; 88 MiB with its table */
#define MESSAGE_ID_ITEM_VERSION 1
#define MESSAGE_ID_ITEM_SIZE    40u

struct message_digest {
    uint8_t bytes[16];
};
void message_digest_of(const struct sl_uuid *topic, uint32_t partition, struct sl_bytes id,
                       struct message_digest *ret_digest); /* [any] */

/* Where the batch with an id is. */
struct message_place {
    int64_t base_offset;    /* -1: it is appended later */
    int64_t append_time_ms; /* -1: the producer's times hold */
};

/* Waits for a batch under way; memory of the caller. */
struct message_waiter {
    struct message_waiter *next;
    void (*done)(struct message_waiter *waiter, sl_err err, const struct message_place *place);
};

struct message_entry {
    struct chain_link link; /* by digest */
    struct message_digest digest;
    struct message_place place;
    int64_t expires_ms;             /* wall; 0: under way */
    struct message_waiter *waiters; /* under way */
    bool in_memory;                 /* like its record: no checkpoint has it */
};

struct message_ids {
    struct sl_pool pool;
    struct chain_map by_digest;
    uint32_t hand; /* the bucket that is looked at next for what is to be forgotten */
    uint32_t count_max;
    uint64_t refused;
};

/* count_max 0: MESSAGE_IDS_MAX. E_NO_MEMORY. */
sl_err message_ids_init(struct message_ids *ids, uint32_t count_max) SL_MUST_CHECK;
void message_ids_fini(struct message_ids *ids);
static inline uint32_t message_ids_count(const struct message_ids *ids)
{
    return (uint32_t)ids->pool.count;
}

enum message_verdict { MESSAGE_NEW, MESSAGE_KNOWN, MESSAGE_PENDING };
/* NEW: *ret_entry is under way until commit or abort. KNOWN: *ret_place. PENDING: the waiter's done
 * will run. E_LIMIT: as many as may be are remembered; E_NO_MEMORY: nothing changed. */
sl_err message_ids_admit(struct message_ids *ids, const struct message_digest *digest,
                         int64_t now_ms, struct message_waiter *waiter,
                         enum message_verdict *ret_verdict, struct message_entry **ret_entry,
                         struct message_place *ret_place) SL_MUST_CHECK;
/* Its batch is as durable as its topic wants; in_memory: it ends with the run, and so does what is
 * remembered of it. Those that wait are told. */
void message_ids_commit(struct message_ids *ids, struct message_entry *entry,
                        const struct message_place *place, int64_t expires_ms, bool in_memory);
/* It is not, and the id is as if it had never come; err is what those that wait get. */
void message_ids_abort(struct message_ids *ids, struct message_entry *entry, sl_err err);

void message_item_encode(const struct message_digest *digest, const struct message_place *place,
                         int64_t expires_ms, uint8_t ret_payload[MESSAGE_ID_ITEM_SIZE]);
/* Of the log or a checkpoint; what is to be forgotten at now_ms already is left out. The later of
 * two items with one digest holds. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err message_ids_apply(struct message_ids *ids, uint8_t version, struct sl_bytes payload,
                         int64_t now_ms) SL_MUST_CHECK;
/* MESSAGE_ID items of at least `count` ids from bucket *at on; *at is where to go on then,
 * UINT32_MAX at the end. Begin with 0. */
typedef sl_err message_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
sl_err message_ids_snapshot(const struct message_ids *ids, uint32_t *at, uint32_t count,
                            int64_t now_ms, message_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
