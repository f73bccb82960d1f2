/* partition.h: one partition on its shard: offsets, index, producers, and who waits for it.
 *
 * Opened when first written, read or recovered; an idle partition that nobody touched has no
 * object. */
#ifndef SL_SHARD_PARTITION_H
#define SL_SHARD_PARTITION_H

#include "index/stream_index.h"
#include "shard/shard.h"

struct fetch_waiter;
struct produce_entry;
struct partition_gate;

/* Hears of new durable records. [loop] */
struct partition_observer {
    struct partition_observer *next;
    void (*notify)(struct partition_observer *observer);
};

#define PARTITION_NUMBER_BITS 26u

struct partition {
    struct shard *shard;
    struct partition *next; /* in shard->partitions */
    struct partition **previous_next;
    struct partition *unsealed_next;           /* in shard->space, or a bucket of shard->memory */
    struct partition **unsealed_previous_next; /* NULL: not in it */
    struct topic *topic;                       /* NULL: deleted; freed with the last ref */
    uint32_t refs;                             /* entries and readers that still point here */
    uint32_t number : PARTITION_NUMBER_BITS;
    bool pumping : 1;
    bool unsealable : 1;       /* its records in the log are damaged: they stay there */
    bool uncompactable : 1;    /* its records in extents are damaged, or too many for the memory */
    bool compacted : 1;        /* extents may replace parts of older ones */
    bool leasing : 1;          /* its lease is on its way to the disk */
    bool moved : 1;            /* in memory: older segments may hold later records */
    struct stream_index index; /* what is durable */
    struct producers producers;
    int64_t next_offset;         /* to be given out; >= the index's end */
    uint32_t pending_batches;    /* submitted, not yet durable */
    uint32_t pending_synced;     /* of those, in units that wait for the sync */
    struct produce_entry *queue; /* behind an open, a gate: the last, whose next is the first */
    union {
        int64_t clean_offset; /* records below it were compacted together */
        int64_t lease_end;    /* of a topic in memory (offset_lease.h) */
    };
    struct partition_gate *gate; /* NULL: none attached */
    struct partition_observer *observers;
    struct fetch_waiter *waiters;
};

/* There are a million of them: with the allocator's share 192 bytes. What few of them need, and
 * seldom, belongs elsewhere. */
_Static_assert(sizeof(struct partition) <= 184,
               "a partition has grown: see docs/storage/performance.md");

/* Of its topic, which is there. */
static inline const struct sl_uuid *partition_topic_id(const struct partition *partition)
{
    SL_ASSERT(partition->topic != NULL);
    return &partition->topic->id;
}
static inline bool partition_is_in_memory(const struct partition *partition)
{
    return partition->topic->settings->durability == TOPIC_MEMORY;
}

/* The topic has more partitions than it had: room for them. E_NO_MEMORY: the old room is left,
 * which must not be used any more. */
sl_err partition_slots_grow(struct topic *topic, uint32_t was_count,
                            uint16_t was_stride) SL_MUST_CHECK;
/* The object, opened if need be. E_NO_MEMORY. partition < partition_count. */
sl_err partition_open(struct shard *shard, struct topic *topic, uint32_t number,
                      struct partition **ret_partition) SL_MUST_CHECK;
struct partition *partition_find(const struct topic *topic, uint32_t number); /* NULL: not open */
void partition_ref(struct partition *partition);
void partition_unref(struct partition *partition);
/* The topic is gone: who waits is answered, space is released. */
void partition_delete(struct partition *partition);
/* All it has is given back; the topic's deletion is durable. */
void partition_release(struct partition *partition);
/* Records below the offset are gone (durably so): the log start is raised, whole runs are dropped,
 * their space is given back. */
void partition_drop_below(struct partition *partition, int64_t offset);
void partition_free_all(struct shard *shard);

/* New durable records: wakes fetches and observers. */
void partition_notify(struct partition *partition);
void partition_observe(struct partition *partition, struct partition_observer *observer);
void partition_unobserve(struct partition *partition, struct partition_observer *observer);

int64_t partition_start(const struct partition *partition); /* log start offset */
int64_t partition_end(const struct partition *partition);   /* high watermark */
/* Last stable offset: below it every transaction has ended. */
int64_t partition_stable_end(const struct partition *partition);

/* ---- reading ---- */

#define PARTITION_PLACES_MAX 128u

/* What the log's directory or the extent's footer says of the bytes of a place, where they have not
 * been checked against it yet. */
struct read_claim {
    int64_t base_offset;
    int64_t last_offset;
    int32_t leader_epoch;
    uint32_t crc; /* in an extent */
    bool verified;
};
struct read_claim read_claim_of(const struct stream_run *run);
/* The bytes of one place, verified or not. E_CORRUPT. [any] */
sl_err read_claim_check(const struct read_claim *claim, const struct wal_place *place,
                        const uint8_t *bytes) SL_MUST_CHECK;
/* The bytes of a place that is pinned, checked, are what the buffer holds then. [blocks] */
sl_err read_claim_read(struct shard *shard, const struct read_claim *claim,
                       const struct wal_place *place, struct sl_buffer *ret_bytes) SL_MUST_CHECK;

/* Which bytes hold the records from `offset` on: whole runs; the first may begin before it. */
struct read_plan {
    struct wal_place places[PARTITION_PLACES_MAX];
    struct read_claim claims[PARTITION_PLACES_MAX];
    uint32_t place_count;
    uint32_t bytes; /* sum of the sizes */
    bool is_full;   /* there is more than it takes */
};
/* Fills the plan up to bytes_max; beyond it with one run, where there would be less than half of
 * that otherwise, since runs are read whole. False: nothing at or after the offset. */
bool partition_plan(const struct partition *partition, int64_t offset, uint32_t bytes_max,
                    struct read_plan *ret_plan);
/* Takes from the plan what begins at or behind the offset. False: nothing is left. */
bool read_plan_end(struct read_plan *plan, int64_t end_offset);
/* Holds the segments while a helper reads from them. False: one is gone, which only a deletion can
 * bring about; then none is held. [loop] */
bool read_plan_pin(struct shard *shard, const struct read_plan *plan) SL_MUST_CHECK;
void read_plan_unpin(struct shard *shard, const struct read_plan *plan);
/* Recovery trusts the directories of frames that were known to be durable and the footers of
 * extents, and leaves the records to the first read: the bytes of each place that is not verified
 * are checked here, and those in extents at every read: what the page cache lets go comes back from
 * the disk. In the log, offsets and epochs against the claim (a batch's CRC does not cover
 * them), the rest against the batches' CRC; in an extent, all against the CRC of the block.
 * E_CORRUPT. [any] */
sl_err partition_check(const struct read_plan *plan, const uint8_t *bytes) SL_MUST_CHECK;
/* Only the first `count` places. */
sl_err partition_check_first(const struct read_plan *plan, uint32_t count,
                             const uint8_t *bytes) SL_MUST_CHECK;
/* After a check that passed: the index remembers. [loop] */
void partition_mark_verified(struct partition *partition, const struct read_plan *plan);
/* Cuts the bytes that a plan gave to whole batches: from the one that contains `offset` or is the
 * next after it, up to end_offset, which is where a batch begins, and to bytes_max, but one batch
 * at least. E_CORRUPT when they do not hold batches. [any] */
sl_err partition_cut(struct sl_bytes bytes, int64_t offset, int64_t end_offset, uint32_t bytes_max,
                     struct sl_bytes *ret_batches) SL_MUST_CHECK;

#endif
