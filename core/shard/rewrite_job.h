/* rewrite_job.h: what one job of the rewriter carries (rewrite.h); for rewrite*.c only. */
#ifndef SL_SHARD_REWRITE_JOB_H
#define SL_SHARD_REWRITE_JOB_H

#include "base/buffer.h"
#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "shard/partition.h"
#include "shard/rewrite.h"

#define REWRITE_SOURCES_MAX 16u
#define REWRITE_STREAMS_MAX 65536u /* of all sources; no further source is added then */
#define REWRITE_SLICE       1024u  /* extents, or streams, in one turn of the loop */
#define REWRITE_SLICE_RUNS  16384u
#define REWRITE_SLICE_BYTES (4u << 20) /* by one turn of a helper */

/* A stream of the sources' footers; after collecting, one with live runs. */
struct rewrite_stream {
    struct sl_uuid topic;
    uint32_t number;
    int64_t base_offset;
    int64_t last_offset;
    struct partition *partition; /* a reference; NULL: not collected, or given back */
    uint32_t first_run;          /* in the job's */
    uint32_t run_count;
    uint32_t first_block; /* in the new footer */
    uint32_t block_count;
    bool reserved;
};

struct rewrite_run {
    struct wal_place place;
    struct read_claim claim;
    int64_t fill_from;  /* offsets from here on to the run's first belong to it; -1: none */
    int32_t fill_epoch; /* leader epoch before them; -1: not known */
    bool begins_range;
};

struct rewrite_job {
    struct shard *shard;
    struct rewrite_mutants mutants;
    struct extent_item sources[REWRITE_SOURCES_MAX]; /* being moved, and pinned */
    uint32_t source_count;
    uint64_t live_bytes; /* of the sources, when they were chosen */
    struct rewrite_stream *streams;
    uint32_t stream_count, stream_capacity;
    struct rewrite_run *runs;
    uint32_t run_count, run_capacity;
    uint32_t stream, run; /* the next */
    uint32_t kept;        /* streams that have runs, when collecting */
    int64_t offset;       /* of the stream being collected, where to go on; -1: at its beginning */
    int64_t fill_from;
    int32_t previous_epoch; /* of the run looked at before; -1: none */
    bool previous_kept;
    uint64_t id;
    int64_t created_ms;
    struct extent_writer *writer;
    struct sl_file *file; /* finished; NULL: given away */
    struct extent_item item;
    struct stream_run *blocks; /* of one stream, for the index */
    uint32_t block_count_max;
    struct sl_buffer bytes, fill;
    uint64_t slice_bytes; /* written by the last turn of the helper */
    bool written;
    sl_err err; /* the helper's */
};

/* ---- rewrite_write.c [helper] ---- */

/* Footers of the sources: streams, each once. */
void rewrite_job_outline(struct rewrite_job *job);
/* A slice; job->written: it was the last. */
void rewrite_job_write(struct rewrite_job *job);
void rewrite_job_discard(struct rewrite_job *job); /* removes the new file */

/* ---- rewrite_collect.c [loop] ---- */

/* A slice of the streams: what of them lives in the sources. True: that was the last. E_NO_MEMORY
 * in job->err. */
bool rewrite_job_collect(struct rewrite_job *job);
/* Slots in the indexes for a slice of the streams from job->stream on. */
sl_err rewrite_job_reserve(struct rewrite_job *job) SL_MUST_CHECK;
/* Indexes point at the new file, for a slice. */
void rewrite_job_apply(struct rewrite_job *job);
/* Gives up slots, references and memory. */
void rewrite_job_fini(struct rewrite_job *job);

#endif
