/* seal_job.h: what one job of the sealer carries, from collecting to applying (seal.h); for seal*.c
 * only. */
#ifndef SL_SHARD_SEAL_JOB_H
#define SL_SHARD_SEAL_JOB_H

#include "base/buffer.h"
#include "extent/extent_promote.h"
#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "shard/partition.h"
#include "shard/seal.h"

#define SEAL_STREAMS_MAX 65536u       /* of one job; the rest in the next */
#define SEAL_RUNS_MAX    (512u << 10) /* likewise; the stream that reaches it comes along whole */
#define SEAL_SLICE_RUNS  16384u       /* collected in one turn of the loop */
#define SEAL_SLICE       1024u        /* streams that are reserved for or applied in one turn */
#define SEAL_SLICE_BYTES (8u << 20)   /* written by one turn of a helper */

struct seal_run {
    int64_t base_offset;
    int64_t last_offset;
    uint64_t segment;
    int64_t max_timestamp; /* -1: none */
    uint64_t position;
    uint32_t size;
    int32_t leader_epoch;
    bool promoted; /* it stays where it is: in a segment that becomes an extent */
};

/* A segment that nearly all belongs to one stream: runs [first_run, + run_count) of the job's. */
struct seal_promotion {
    struct sl_uuid topic;
    uint32_t number;
    uint64_t segment;
    uint64_t end;
    uint32_t first_run;
    uint32_t run_count;
    uint32_t file; /* in the job's */
};

struct seal_stream {
    struct partition *partition; /* a reference; NULL: given back */
    struct sl_uuid topic;
    uint32_t number;
    uint32_t first_run; /* in the job's */
    uint32_t run_count;
    uint64_t bytes;       /* to copy */
    uint32_t file;        /* in the job's, of what is copied */
    uint32_t first_block; /* in the file's footer, once it is written */
    uint32_t block_count; /* 0: not in a file */
    bool damaged;
};

struct seal_file {
    uint32_t first_stream; /* of the job's, which are in the order of the files */
    uint32_t stream_count;
    uint64_t id;
    struct extent_writer *writer;
    struct sl_file *file; /* finished; NULL: empty, or given away */
    struct extent_footer footer;
    struct sl_buffer footer_bytes; /* of a promoted one */
    struct extent_item item;
    uint8_t payload[EXTENT_ITEM_SIZE];
};

struct seal_job {
    struct shard *shard;
    uint64_t first_segment; /* pinned, up to the border */
    uint64_t border;
    struct seal_limits limits;
    struct seal_mutants mutants;
    bool promotes;
    bool partial; /* the bounds of a job left streams for the next */
    struct seal_stream *streams;
    uint32_t stream_count, stream_capacity;
    struct seal_run *runs;
    uint32_t run_count, run_capacity;
    struct seal_promotion *promotions; /* in the order of their runs */
    uint32_t promotion_count, promotion_capacity;
    struct seal_file *files; /* those of promotions come first */
    uint32_t file_count;
    struct wal_item *items;     /* as many */
    struct sl_buffer buffer;    /* the helper's */
    uint32_t file, stream, run; /* what is written next */
    uint32_t copied;            /* runs of that stream */
    bool planned;               /* the streams are in order, files are chosen */
    bool written;               /* all of it */
    int64_t created_ms;
    struct stream_run *blocks; /* of one stream, for the index; block_count_max of them */
    uint32_t block_count_max;
    uint64_t bytes;          /* in the files */
    uint64_t bytes_promoted; /* of them, not written again */
    uint64_t bytes_written;
    bool promotion_failed; /* the next job copies */
    sl_err err;            /* the helper's */
};

/* ---- seal_collect.c [loop] ---- */

/* Adds what the partition has before the border. False: the job has enough, this one was not
 * looked at. E_NO_MEMORY in job->err. */
bool seal_job_add(struct seal_job *job, struct partition *partition);
/* Memory and numbers for the files. */
sl_err seal_job_plan(struct seal_job *job) SL_MUST_CHECK;
/* Gives up references, pins and memory; files are gone or the set's. */
void seal_job_fini(struct seal_job *job);
/* The stream's promotions: [*ret_first, + returned). */
uint32_t seal_stream_promotions(const struct seal_job *job, const struct seal_stream *stream,
                                uint32_t *ret_first);
/* Slots in the indexes for streams [from, to). */
sl_err seal_job_reserve(struct seal_job *job, uint32_t from, uint32_t to) SL_MUST_CHECK;
/* Indexes point at the extents, for streams [from, to). */
void seal_job_apply(struct seal_job *job, uint32_t from, uint32_t to);

/* ---- seal_write.c [helper] ---- */

/* A slice; job->written: it was the last. E_DISK_FULL and the like: in job->err. */
void seal_job_write(struct seal_job *job);
/* seal_promote.c: the next promotion's file. E_CORRUPT is none: its stream is damaged then. */
sl_err seal_job_promote(struct seal_job *job, struct seal_promotion *promotion) SL_MUST_CHECK;
/* Closes and removes all files. */
void seal_job_discard(struct seal_job *job);

#endif
