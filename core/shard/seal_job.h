/* seal_job.h: what one job of the sealer carries, from collecting to applying (seal.h); for seal*.c
 * only. */
#ifndef SL_SHARD_SEAL_JOB_H
#define SL_SHARD_SEAL_JOB_H

#include "base/buffer.h"
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
    uint64_t position;
    uint32_t size;
    int32_t leader_epoch;
};

struct seal_stream {
    struct partition *partition; /* a reference; NULL: given back */
    struct sl_uuid topic;
    uint32_t number;
    uint32_t first_run; /* in the job's */
    uint32_t run_count;
    uint64_t bytes;
    uint32_t file;        /* in the job's */
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
    struct extent_item item;
    uint8_t payload[EXTENT_ITEM_SIZE];
};

struct seal_job {
    struct shard *shard;
    uint64_t first_segment; /* pinned, up to the border */
    uint64_t border;
    bool no_sync; /* mutant */
    bool partial; /* the bounds of a job left streams for the next */
    struct seal_stream *streams;
    uint32_t stream_count, stream_capacity;
    struct seal_run *runs;
    uint32_t run_count, run_capacity;
    struct seal_file *files;
    uint32_t file_count;
    struct wal_item *items; /* as many */
    uint64_t own_file_bytes;
    struct sl_buffer buffer;    /* the helper's */
    uint32_t file, stream, run; /* what is written next */
    bool planned;               /* the streams are in order, files are chosen */
    bool written;               /* all of it */
    int64_t created_ms;
    struct stream_run *blocks; /* of one stream, for the index; block_count_max of them */
    uint32_t block_count_max;
    uint64_t bytes; /* in the files */
    sl_err err;     /* the helper's */
};

/* ---- seal_collect.c [loop] ---- */

/* Adds what the partition has before the border. False: the job has enough, this one was not
 * looked at. E_NO_MEMORY in job->err. */
bool seal_job_add(struct seal_job *job, struct partition *partition);
/* Memory and numbers for the files. */
sl_err seal_job_plan(struct seal_job *job) SL_MUST_CHECK;
/* Gives up references, pins and memory; files are gone or the set's. */
void seal_job_fini(struct seal_job *job);
/* Slots in the indexes for streams [from, to). */
sl_err seal_job_reserve(struct seal_job *job, uint32_t from, uint32_t to) SL_MUST_CHECK;
/* Indexes point at the extents, for streams [from, to). */
void seal_job_apply(struct seal_job *job, uint32_t from, uint32_t to);

/* ---- seal_write.c [helper] ---- */

/* A slice; job->written: it was the last. E_DISK_FULL and the like: in job->err. */
void seal_job_write(struct seal_job *job);
/* Closes and removes all files. */
void seal_job_discard(struct seal_job *job);

#endif
