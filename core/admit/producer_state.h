/* producer_state.h: what a partition remembers of its idempotent producers (KIP-98, KIP-360).
 *
 * Per producer id: epoch and the last 5 batches. Rules (Kafka's ProducerAppendInfo):
 *   1. first and last sequence of one of the last 5: a duplicate, answered with its offset
 *   2. a lower epoch: E_INVALID_PRODUCER_EPOCH
 *   3. a higher epoch begins with sequence 0, else E_OUT_OF_ORDER_SEQUENCE
 *   4. the same epoch goes on at last + 1 (2^31-1 wraps to 0), else E_OUT_OF_ORDER_SEQUENCE
 *   5. an unknown producer may begin anywhere, one of a transaction of version 2 (KIP-890) with 0
 *   6. a batch of no transaction while the producer has one open here: E_INVALID_TXN_STATE
 *   7. behind a batch that was refused for now (the disk is full, …) any other one of that epoch is
 *      refused with the same error, until that batch is back: it is not the sequence that is wrong
 *
 * Markers, which end a transaction, are admitted in the same order: one with a higher epoch fences
 * the batches of older ones, and the producer goes on with sequence 0. A producer with an open
 * transaction is not forgotten. What readers need to know of transactions is in txn_log.h.
 *
 * Two phases, because an answer follows durability but the next batch does not wait for it:
 *
 *   check ─► NEW ─► admit (speculative: later checks count it) ─► commit(offsets) | abort
 *         └► DUPLICATE: answer now     └► PENDING: producers_wait, answered by that commit or abort
 *
 * A commit moves the batch into the durable memory; an abort forgets it, so that the client's retry
 * is new again. Admissions of one producer are committed in the order of admission; after an abort,
 * those admitted behind it by the same producer must be aborted too (a failed log fails them
 * anyway). Bounds: producers a partition, producers a shard; the one idle longest is forgotten
 * first and counted. One thread per shard. Times are wall milliseconds given by the caller. */
#ifndef SL_ADMIT_PRODUCER_STATE_H
#define SL_ADMIT_PRODUCER_STATE_H

#include "admit/txn_log.h"
#include "wal/item.h"

#define PRODUCER_BATCHES_MAX        5u
#define PRODUCER_ABORTED_MAX        1000000u /* aborted transactions that a shard remembers */
#define PRODUCER_STATE_ITEM_VERSION 1u
#define PRODUCER_STATE_ITEM_SIZE    208u /* of a payload */
#define TXN_LOG_ITEM_VERSION        1u
#define TXN_LOG_ITEM_SIZE           64u /* of a payload of TXN_OPEN and TXN_ABORTED */

struct producer_shard;
struct producer_entry;

struct producer_limits {
    uint32_t partition_max; /* producers remembered for a partition; 0: 10,000 */
    uint32_t shard_max;     /* … by all partitions of the shard; 0: 1,000,000 */
    int64_t expiry_ms;      /* producer.id.expiration.ms; 0: 86,400,000 */
};

struct producer_shard *producer_shard_new(const struct producer_limits *limits) SL_MUST_CHECK;
/* After all its partitions were fini'd. NULL is fine. */
struct producer_shard *producer_shard_free(struct producer_shard *shard);
uint32_t producer_shard_count(const struct producer_shard *shard);
/* Producers forgotten because a bound was reached, since the start. */
uint64_t producer_shard_evicted(const struct producer_shard *shard);
/* Forgets what was silent for expiry_ms; returns how many. Call every minute or so. */
uint32_t producer_shard_expire(struct producer_shard *shard, int64_t now_ms);

/* One partition's producers. Caller's memory, embedded in its partition. */
struct producers {
    struct producer_shard *shard;
    uint32_t oldest; /* idle longest first; numbers of entries, 0: none */
    uint32_t newest;
    uint32_t count;
    uint32_t txns; /* number of its txn_log in the shard; 0: there was never a transaction */
};
void producers_init(struct producers *producers, struct producer_shard *shard);
/* Forgets all. No admission may be open, none waits. */
void producers_fini(struct producers *producers);

/* As in the header of the client's original batch. */
struct producer_batch {
    int64_t producer_id; /* >= 0; a batch without one needs no admission */
    int16_t producer_epoch;
    bool transactional;
    bool begins_at_zero; /* where the producer is not known */
    int32_t base_sequence;
    uint32_t record_count; /* 1 … 2^31-1 */
};

#define PRODUCER_NEW       0
#define PRODUCER_DUPLICATE 1
#define PRODUCER_PENDING   2
struct producer_verdict {
    int32_t kind;           /* PRODUCER_* */
    int64_t base_offset;    /* of a duplicate, as answered the first time */
    int64_t append_time_ms; /* likewise; -1: the producer's times hold */
};
/* E_OUT_OF_ORDER_SEQUENCE, E_INVALID_PRODUCER_EPOCH, E_INVALID_TXN_STATE, E_INVALID_RECORD (a
 * negative sequence, no record), E_LIMIT (PRODUCER_ABORTED_MAX; of a transaction). */
sl_err producers_check(const struct producers *producers, const struct producer_batch *batch,
                       struct producer_verdict *ret_verdict) SL_MUST_CHECK;

struct producer_waiter {
    struct producer_waiter *next; /* producer_state's */
    /* The batch it waits for is durable with these, or was aborted with `err`. Once. */
    void (*done)(struct producer_waiter *waiter, sl_err err, int64_t base_offset,
                 int64_t append_time_ms);
};

/* An admitted batch; caller's memory until commit or abort. */
struct producer_admission {
    struct producer_admission *next; /* producer_state's, all of these */
    struct producer_entry *entry;
    struct producer_waiter *waiters;
    int32_t first_sequence; /* of a marker: -1 */
    int32_t last_sequence;  /* of a marker: as before it; -1: 0 is next */
    int16_t epoch;
    bool transactional; /* a marker is, too */
    bool is_marker;
    bool aborts; /* a marker */
};
/* Must follow a check that said NEW, with nothing in between. E_BUSY: every slot of the bound has a
 * batch under way; E_NO_MEMORY. */
sl_err producers_admit(struct producers *producers, const struct producer_batch *batch,
                       struct producer_admission *ret_admission, int64_t now_ms) SL_MUST_CHECK;
/* A marker of that producer and epoch, behind all its batches under way; it may be a producer that
 * is not known. E_INVALID_PRODUCER_EPOCH: a higher epoch is; E_BUSY, E_NO_MEMORY. */
sl_err producers_admit_marker(struct producers *producers, int64_t producer_id, int16_t epoch,
                              bool aborts, struct producer_admission *ret_admission,
                              int64_t now_ms) SL_MUST_CHECK;
/* Whether the producer has a transaction open here, what is under way included. */
bool producers_in_txn(const struct producers *producers, int64_t producer_id);
void producers_commit(struct producers *producers, struct producer_admission *admission,
                      int64_t base_offset, int64_t last_offset, int64_t append_time_ms,
                      int64_t now_ms);
/* `err` goes to the waiters. */
void producers_abort(struct producers *producers, struct producer_admission *admission, sl_err err);
/* After a check that said PENDING, with nothing in between. [borrows waiter until done or unwait]
 */
void producers_wait(struct producers *producers, const struct producer_batch *batch,
                    struct producer_waiter *waiter);
/* False when it does not wait (any more). */
bool producers_unwait(struct producers *producers, const struct producer_batch *batch,
                      struct producer_waiter *waiter);

/* A durable batch met at recovery: remembered without check; one that is known already changes
 * nothing. E_CORRUPT: no producer would have been admitted with it; E_NO_MEMORY. */
sl_err producers_apply(struct producers *producers, const struct producer_batch *batch,
                       int64_t base_offset, int64_t last_offset, int64_t append_time_ms,
                       int64_t time_ms) SL_MUST_CHECK;

/* Likewise a marker. */
sl_err producers_apply_marker(struct producers *producers, int64_t producer_id, int16_t epoch,
                              bool aborts, int64_t offset, int64_t time_ms) SL_MUST_CHECK;

/* The partition's transactions; NULL: there was never one. */
struct txn_log *producers_txns(const struct producers *producers);
/* The log start is there now. */
void producers_drop_below(struct producers *producers, int64_t offset);
/* txn_log_forget: no record of these aborted transactions is left. */
void producers_forget_aborted(struct producers *producers, const int64_t *marker_offsets,
                              uint32_t count);
/* What is remembered of a producer. */
struct producer_info {
    int64_t producer_id;
    int64_t last_ms;
    int64_t txn_first_offset; /* -1: no open transaction */
    int32_t last_sequence;    /* -1: none yet with its epoch */
    int16_t epoch;
};
/* Of the partition's producers, those heard last first; returns how many, at most count_max. */
uint32_t producers_list(const struct producers *producers, struct producer_info *ret_infos,
                        uint32_t count_max);

/* Where a producer's newest durable batch ends. */
struct producer_end {
    int64_t producer_id;
    int64_t last_offset; /* -1: none is remembered of its epoch, which a marker brought */
    int16_t epoch;
};
/* Of the partition's producers, those heard last first; returns how many, at most count_max. */
uint32_t producers_ends(const struct producers *producers, struct producer_end *ret_ends,
                        uint32_t count_max);

/* ---- checkpoint ---- */

typedef sl_err producer_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
/* Everything durable of one partition as PRODUCER_STATE items, idle longest first, then TXN_OPEN
 * and TXN_ABORTED items, as of end_offset. */
sl_err producers_snapshot(const struct producers *producers, const struct sl_uuid *topic,
                          uint32_t partition, int64_t end_offset, producer_add_fn *add,
                          void *add_arg) SL_MUST_CHECK;
/* After items of many partitions were restored: who is idle longest in the shard is again the first
 * to go. Without memory the order stays that of the items. */
void producer_shard_sort(struct producer_shard *shard);
/* Which partition a payload of one of these kinds is of. E_CORRUPT, E_NEWER_FORMAT. [any] */
sl_err producer_state_item_target(uint16_t kind, uint8_t version, struct sl_bytes payload,
                                  struct sl_uuid *ret_topic, uint32_t *ret_partition) SL_MUST_CHECK;
/* Replaces what is known of that producer, or adds a transaction. E_CORRUPT, E_NEWER_FORMAT,
 * E_NO_MEMORY. */
sl_err producers_restore(struct producers *producers, uint16_t kind, uint8_t version,
                         struct sl_bytes payload) SL_MUST_CHECK;

#endif
