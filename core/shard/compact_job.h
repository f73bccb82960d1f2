/* compact_job.h: what compacting one partition carries (compact.h); for compact*.c only. */
#ifndef SL_SHARD_COMPACT_JOB_H
#define SL_SHARD_COMPACT_JOB_H

#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "record/batch_builder.h"
#include "record/txn_marker.h"
#include "shard/compact.h"
#include "shard/key_map.h"
#include "shard/partition.h"

#define COMPACT_SLICE_BYTES   (4u << 20) /* read by one turn of a helper */
#define COMPACT_SLICE_RUNS    4096u      /* looked at by one turn of the loop */
#define COMPACT_SLICE_STREAMS 512u       /* partitions, likewise */
#define COMPACT_PRODUCERS_MAX 10000u /* of which the newest batch is kept: all of a partition's */

/* ---- compact_choose.c [loop] ---- */

/* How a partition stands. */
struct compact_look {
    int64_t clean_offset; /* where its dirty part begins */
    int64_t offset;       /* next run to look at */
    int64_t end_offset;   /* where its dirty part ends */
    uint64_t clean_bytes;
    uint64_t dirty_bytes;
    int64_t oldest_ms; /* of the newest records of its runs; INT64_MAX: nothing is dirty */
};

struct compact_choice {
    struct partition *at;      /* next of the walk */
    struct partition *looking; /* under way; NULL: none */
    struct compact_look look;
    struct partition *best; /* NULL: none */
    struct compact_look best_look;
    double best_ratio;
    int64_t wall_ms;
};

void compact_choice_begin(struct compact_choice *choice, struct shard *shard);
/* A slice. False: there is more to look at. */
bool compact_choice_step(struct compact_choice *choice);
void compact_choice_skip(struct compact_choice *choice, const struct partition *partition);

/* ---- the job ---- */

/* What was seen of transactions on the way through the partition (compact_markers.c). */
struct compact_markers {
    int64_t *open; /* producers with a batch whose marker has not come yet, ascending; owned */
    uint32_t open_count, open_capacity;
    bool all_stay; /* `open` could not hold all: nothing is known for sure any more */
    bool *seen;    /* of each of job->aborted, whether it has a batch; owned */
    int64_t *gone; /* room for the markers of all of them; owned */
};

struct compact_run {
    struct wal_place place;
    struct read_claim claim;
};

struct compact_job {
    struct shard *shard;
    struct partition *partition; /* a reference */
    struct sl_uuid topic;
    uint32_t number;
    struct compact_mutants mutants;
    int64_t delete_retention_ms;
    int64_t now_ms;       /* wall, when it began */
    int64_t clean_offset; /* mapped from here … */
    int64_t end_offset;   /* … to here, and rewritten up to here */
    struct key_map map;
    struct producer_end *producers; /* by id, then offset */
    uint32_t producer_count;
    bool sorted;            /* they are */
    struct txn_log aborted; /* transactions that ended so before it began; their records go */
    struct compact_markers markers;

    struct compact_run *runs; /* of this pass or round, pinned; round_runs of them */
    uint32_t run_count;
    uint32_t run;         /* next */
    int64_t first_offset; /* where the round begins: behind the runs before it */
    int64_t next_offset;  /* behind the runs */
    int32_t epoch_before; /* of the run before the round; -1: there is none */

    uint64_t extent_id;   /* of this round */
    int32_t leader_epoch; /* of the batch before, in this round; -1: none */
    struct extent_writer *writer;
    struct sl_file *file; /* finished; NULL: nothing changed, or given away */
    struct extent_item item;
    uint64_t bytes_in, bytes_out, records_removed; /* of this round */

    /* the helper's: */
    struct codec_context *codecs;
    struct sl_buffer bytes, records, packed, out;
    struct header_view *headers;
    size_t header_capacity;
    bool full;    /* the table; mapped up to end_offset */
    bool written; /* the pass or round is done */
    sl_err err;
};

/* ---- compact_clean.c [helper] ---- */

/* A slice of mapping; job->written: all runs were mapped, or the table is full. */
void compact_job_map(struct compact_job *job);
/* A slice of a round; job->written: it was the last. */
void compact_job_rewrite(struct compact_job *job);
/* Closes and removes what the round wrote, and frees what the helper used. */
void compact_job_discard(struct compact_job *job);
void compact_job_free(struct compact_job *job); /* the latter alone; twice is fine */
/* One batch as it is after this round, into job->out: nothing, a header, fewer records, or the same
 * bytes. is_margin: its header stays in any case. *ret_changed: it is not the same. */
sl_err compact_batch(struct compact_job *job, const struct batch_view *batch, bool is_margin,
                     bool *ret_changed) SL_MUST_CHECK;
#define COMPACT_NO_BATCH ((int64_t)-1)
/* Of the job's producers, the one that has its newest batch end there; NULL: there is none. */
const struct producer_end *compact_producer_find(const struct compact_job *job, int64_t producer_id,
                                                 int64_t last_offset);
/* What gets a delete horizon now. */
static inline int64_t compact_horizon_ms(const struct compact_job *job)
{
    int64_t horizon_ms = sl_wrapping_add(job->now_ms, job->delete_retention_ms);
    return horizon_ms < job->now_ms ? INT64_MAX : horizon_ms;
}

/* ---- compact_markers.c [helper] ---- */

sl_err compact_markers_init(struct compact_job *job) SL_MUST_CHECK; /* E_NO_MEMORY [loop] */
void compact_markers_fini(struct compact_job *job);
/* Every batch of the partition, in order, before it is looked at further. */
void compact_markers_note(struct compact_job *job, const struct batch_view *batch);
/* As compact_batch, of a control batch. */
sl_err compact_marker(struct compact_job *job, const struct batch_view *batch, bool is_margin,
                      bool *ret_changed) SL_MUST_CHECK;
/* The job has succeeded: aborted transactions without a batch are forgotten. [loop] */
void compact_markers_forget(struct compact_job *job);

#endif
