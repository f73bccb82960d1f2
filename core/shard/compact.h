/* compact.h: of the records of one key only the newest stays, in topics with
 * cleanup.policy=compact.
 *
 *   choose ─► collect ─► map ─► collect ─► rewrite ─► submit ─► durable ─► swap ─► …
 *   (loop,    (loop,     (helper,          (helper,   (a unit with EXTENT and
 *    slices)   a slice)   slices)           slices)    COMPACTION items)
 *
 * Only what lies in extents is compacted. Of a partition, records below its clean offset were
 * compacted together; those behind it, up to what is young (min.compaction.lag.ms) or still in the
 * log, are dirty. The partition whose dirty share is highest, above min.cleanable.dirty.ratio, or
 * whose dirty records are older than max.compaction.lag.ms, is next; one at a time in a shard.
 *
 * First the newest offset of every key of the dirty part goes into a table (key_map.h); when that
 * is full the dirty part ends there, and the rest is for the next time. Then all runs up to that
 * end are rewritten, in rounds of bounded size, each into an extent of its own that takes their
 * place; runs at the front of a round that would stay as they are stay where they are. With the
 * last round the clean offset rises.
 *
 * What stays is what Kafka keeps (KIP-534): a record when the table has no newer one of its key; a
 * tombstone until delete.retention.ms after the first round that met it, which its batch says
 * (delete horizon in the place of the base timestamp); the marker of a transaction while it has a
 * batch, and then as long as a tombstone (compact_markers.c); offsets, sequences and last offset
 * deltas of all batches; the header of a batch without records when it is the newest of an
 * idempotent producer. Records without a key go, and those of aborted transactions, as with Kafka.
 * Beyond Kafka's rules the headers of the first and the last batch of a round stay, so that an
 * extent covers all that it replaces (recovery takes the younger of two extents that hold the same
 * offsets), and of the first of a leader epoch, so that its start is known; and offsets that are
 * missing before a round's first run get a batch without records, as its extent replaces what older
 * ones have there. The header of an emptied batch has no timestamp, so that searches by time stay
 * exact.
 *
 * A crash leaves a round done or not done; rounds go from old to new, so that no tombstone is gone
 * before what it deletes. Batches that cannot be opened stay as they are. [loop] */
#ifndef SL_SHARD_COMPACT_H
#define SL_SHARD_COMPACT_H

#include "base/base.h"

struct compactor;
struct partition;
struct shard;

struct compact_limits {   /* 0: the default */
    uint64_t round_bytes; /* read in a round, one run at least; 256 MiB */
    uint32_t round_runs;  /* likewise; 16384 */
};

/* Mutants, for the tests that show why the order matters. All false in a broker. */
struct compact_mutants {
    bool no_margin;       /* the first batch of a round may go */
    bool clean_first;     /* the clean offset rises with the first round */
    bool tombstone_early; /* tombstones go in the round that meets them */
    bool marker_early;    /* markers go in the round that meets them */
    bool swap_first;      /* the index points at a round's extent before its frame is durable */
};

struct compact_status {
    uint64_t jobs;      /* partitions that were compacted up to some offset */
    uint64_t failures;  /* jobs that will be tried again */
    uint64_t bytes_in;  /* of batches that were rewritten or replaced */
    uint64_t bytes_out; /* what became of them */
    uint64_t records_removed;
    int64_t elapsed_ns;
    bool busy;
};

struct compactor *compactor_new(struct shard *shard); /* NULL: no memory */
/* Idle, or after a simulated power cut; NULL is fine. */
struct compactor *compactor_free(struct compactor *compactor);
void compact_start(struct shard *shard); /* once the loop runs */
/* Looks for work, when it is time to; returns the next time, INT64_MAX: none. Monotonic ms. */
int64_t compact_tick(struct shard *shard, int64_t now_ms);
int64_t compact_due_ms(const struct shard *shard);
/* The partition leaves the shard's list. */
void compact_skip(struct shard *shard, const struct partition *partition);
void compact_status_get(const struct shard *shard, struct compact_status *ret_status);

#endif
