/* stream_index.h: where the records of one partition lie: by offset, by time.
 *
 * An array of runs in rising order of offsets. A run is bytes that lie together in one segment:
 * batches of one frame are merged, so that the index grows with frames, not with batches. Only
 * durable batches are in it: its end is the high watermark. An idle stream owns no memory beyond
 * the struct. What was sealed lies in extents (WAL_PLACE_EXTENT): a run is then a block of one, and
 * such runs are always a prefix of the array. One thread. */
#ifndef SL_INDEX_STREAM_INDEX_H
#define SL_INDEX_STREAM_INDEX_H

#include "index/batch_item.h"

#define STREAM_RUN_BYTES_MAX (1u << 20) /* merged runs do not grow beyond */
/* … in memory, where all that is appended lies together: runs are read whole, and who waits for the
 * newest record reads the last one. */
#define STREAM_RUN_MEMORY_BYTES_MAX (16u << 10)

struct stream_run {
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    int64_t time_so_far; /* highest timestamp of this run and those before it */
    struct wal_place place;
    int32_t leader_epoch;
    uint32_t crc;  /* of the bytes of a block in an extent; in the log there is none */
    bool verified; /* its bytes were seen to be what the log says they are */
};
_Static_assert(sizeof(struct stream_run) <= 64, "a run has grown: see docs/storage/performance.md");

struct stream_batch {
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    struct wal_place place;
    int32_t leader_epoch;
    bool verified; /* written by this run of the broker; false: found at recovery, to be checked at
                      the first read */
};

struct stream_index {
    struct stream_run *runs; /* owned */
    uint32_t first;          /* dropped ones before it */
    uint32_t count;          /* end of the used part of runs */
    uint32_t capacity;
    uint32_t kept;        /* slots behind count that stream_index_replace may take */
    int64_t start_offset; /* log start */
    int64_t end_offset;   /* next after the last */
    uint64_t bytes;       /* of the runs */
};

void stream_index_init(struct stream_index *index);
void stream_index_fini(struct stream_index *index);

/* The next durable batch. One that lies wholly below the log start is not remembered. E_NO_MEMORY;
 * E_CORRUPT: its offsets lie before the end of what is there. */
sl_err stream_index_append(struct stream_index *index,
                           const struct stream_batch *batch) SL_MUST_CHECK;
/* Room for so many batches more: appending them will not fail for want of memory. E_NO_MEMORY. */
sl_err stream_index_reserve(struct stream_index *index, uint32_t batch_count) SL_MUST_CHECK;
/* Puts the blocks of an extent (time_so_far is not looked at) where the runs lie that hold the same
 * offsets, from the first block's first to the last block's last; blocks wholly below the log start
 * are left out. With `count` slots kept before it cannot fail for want of memory. E_CORRUPT, with
 * nothing changed: a run lies only partly within. At recovery older runs may not be in extents yet:
 * stream_index_is_ordered tells whether all is well at its end. */
sl_err stream_index_replace(struct stream_index *index, const struct stream_run *blocks,
                            uint32_t count) SL_MUST_CHECK;
/* Puts the blocks of an extent in the place of all runs that hold an offset from the first block's
 * first to the last block's last, wholly or partly: what compaction made of them, where offsets may
 * be missing at any place. Blocks wholly below the log start are left out. Memory for `count`
 * batches must have been reserved (asserted); slots that are kept stay kept. */
void stream_index_swap(struct stream_index *index, const struct stream_run *blocks, uint32_t count);
/* Offsets rise from run to run, and those in extents come first. */
bool stream_index_is_ordered(const struct stream_index *index);
/* Slots for stream_index_replace, until that was called; appending does not use them up.
 * batch_count: batches that memory was reserved for. E_NO_MEMORY. */
sl_err stream_index_keep(struct stream_index *index, uint32_t count,
                         uint32_t batch_count) SL_MUST_CHECK;
/* Gives back memory that is not needed for what is there and batch_count batches more. */
void stream_index_shrink(struct stream_index *index, uint32_t batch_count);
static inline uint32_t stream_index_run_count(const struct stream_index *index)
{
    return index->count - index->first;
}
int64_t stream_index_start(const struct stream_index *index);
int64_t stream_index_end(const struct stream_index *index);
/* The run that holds `offset`, or the next after it. False: there is none. */
bool stream_index_find(const struct stream_index *index, int64_t offset,
                       struct stream_run *ret_run);
/* The bytes of the run that begins at this offset were checked; nothing happens when it is gone. */
void stream_index_mark_verified(struct stream_index *index, int64_t base_offset);
/* The bytes of the runs with an offset from first to last are checked at the next read. */
void stream_index_mark_suspect(struct stream_index *index, int64_t first_offset,
                               int64_t last_offset);
/* The first run with a timestamp at or after `timestamp`. */
bool stream_index_find_time(const struct stream_index *index, int64_t timestamp,
                            struct stream_run *ret_run);
/* The same among those that hold records from `offset` on, however old the ones before; looks at
 * one after the other. */
bool stream_index_find_time_from(const struct stream_index *index, int64_t offset,
                                 int64_t timestamp, struct stream_run *ret_run);
/* The first run that holds the highest timestamp. */
bool stream_index_find_max_time(const struct stream_index *index, struct stream_run *ret_run);
/* The end offset of a leader epoch (KIP-320): where the next higher epoch begins, or the end;
 * *ret_epoch is the highest known epoch <= epoch, -1 when there is none. */
int64_t stream_index_epoch_end(const struct stream_index *index, int32_t epoch, int32_t *ret_epoch);
/* Runs wholly below the offset go; the log start becomes the offset, and never goes back. */
void stream_index_drop_below(struct stream_index *index, int64_t offset);
/* The oldest segment of the log that holds a run; UINT64_MAX: none does. */
uint64_t stream_index_oldest_segment(const struct stream_index *index);
/* The same where stream_index_move was used: looks at all. */
uint64_t stream_index_lowest_segment(const struct stream_index *index);
/* The run that begins at this offset lies elsewhere now; nothing happens when it is gone. */
void stream_index_move(struct stream_index *index, int64_t base_offset,
                       const struct wal_place *place);
/* The runs that are not in extents, in order; borrowed until the index changes. NULL: none is. */
const struct stream_run *stream_index_unsealed(const struct stream_index *index,
                                               uint32_t *ret_count);
uint64_t stream_index_bytes(const struct stream_index *index);

/* For a checkpoint: sets offsets; topic and partition are the caller's. */
void stream_index_describe(const struct stream_index *index, struct bounds_item *ret_item);
/* From a checkpoint before batches are appended again, or from a frame behind them: neither the
 * start nor the end goes back, and what lies below the start is dropped. */
sl_err stream_index_restore(struct stream_index *index,
                            const struct bounds_item *item) SL_MUST_CHECK;

/* ---- retention ---- */

struct stream_limits {
    int64_t oldest_ms;  /* a run whose newest record is older may go; INT64_MIN: none may */
    uint64_t bytes_max; /* so many bytes stay at least; UINT64_MAX: all */
    uint32_t runs_max;  /* how many are looked at */
};
/* From where on records are kept when the limits are applied to whole runs, from the front: a run
 * goes when all its records are too old, or when what is behind it fills bytes_max; the first that
 * stays ends it. The log start when nothing goes. */
int64_t stream_index_excess(const struct stream_index *index, const struct stream_limits *limits,
                            uint32_t *ret_run_count);
/* The max_timestamp for the index of a batch whose records carry none (-1): below every timestamp,
 * so that no search finds it, and retention sees when it was written. */
int64_t stream_time_unknown(int64_t written_ms);

#endif
