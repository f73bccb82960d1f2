/* commit.h: what becomes durable together on one shard: batches with their offsets, and items.
 *
 * Produce makes a commit of one batch, a gate of one or several, a stage of outputs and its
 * position. At submit each batch gets the next offsets of its partition, the leader epoch and,
 * where the topic asks, the append time, written in place; when the frame is durable the index,
 * producers and readers learn of it, in the order of the log; then done runs. All memory is the
 * caller's and stays until done. [loop] */
#ifndef SL_SHARD_COMMIT_H
#define SL_SHARD_COMMIT_H

#include "index/batch_item.h"
#include "shard/partition.h"

struct commit_batch {
    struct partition *partition; /* a reference is taken at submit and given back after done */
    uint8_t *data;               /* one whole, valid batch; written to */
    uint32_t size;
    uint32_t record_count; /* set at submit, as all behind `admission` */
    /* Under way: committed or aborted with the unit; NULL: none. It stays where it was admitted,
     * since the producer's entry points at it. */
    struct producer_admission *admission;
    /* Set at submit, so that nobody looks at the bytes again, which left the cache: */
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms; /* -1: the producer's times hold */
    int64_t max_timestamp;
    bool is_control;
    struct sl_iovec body;
    uint8_t payload[BATCH_ITEM_SIZE];
};

struct commit {
    struct wal_unit unit;
    struct shard *shard;
    struct commit_batch *batches;
    uint32_t batch_count;
    struct wal_item
        *items; /* room for batch_count + extra_count; the caller fills the extra ones, behind */
    uint32_t extra_count;
    bool extra_follow; /* the extra ones are to be no more durable than the batches */
    bool reserve;      /* may draw on the log's reserve: stage results, dead letters */
    bool is_exact; /* of a stage: E_INVALID_CONFIG when a topic is less durable than its position */
    void (*done)(struct commit *commit, sl_err err);
};

/* The batches go to the log of their topics' class: in memory, or on the disk, where the most
 * demanding class of the unit holds. Errors as commit_log_submit, E_MEMORY_FULL,
 * E_MIXED_DURABILITY (topics in memory beside others, or beside items that are to stay), E_BUSY (an
 * offset lease is on its way), E_FENCED, E_UNKNOWN_TOPIC (a partition was deleted): nothing changed
 * and done does not run; admissions are the caller's to abort. */
sl_err commit_submit(struct commit *commit) SL_MUST_CHECK;

#endif
