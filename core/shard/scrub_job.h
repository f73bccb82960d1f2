/* scrub_job.h: one file that is being scrubbed, for scrub.c (loop) and scrub_read.c (helper).
 *
 * The file is pinned by the loop before its first slice and until after its last. */
#ifndef SL_SHARD_SCRUB_JOB_H
#define SL_SHARD_SCRUB_JOB_H

#include "base/buffer.h"
#include "extent/extent_file.h"
#include "shard/partition.h"
#include "wal/wal_scan.h"

#define SCRUB_SLICE_BYTES    (1u << 20) /* a helper reads so much at once, or one block */
#define SCRUB_SLICE_FINDINGS 32u        /* then the slice ends */

/* What a helper saw; whether anything still refers to it is the loop's question. */
struct scrub_damage {
    bool is_file; /* header, footer, frame or directory: what lies there is not known */
    bool is_io;   /* the disk refused to read it */
    uint64_t position, bytes;
    struct sl_uuid topic;
    uint32_t partition;
    int64_t first_offset, last_offset;
};

struct scrub_job {
    struct shard *shard;
    struct sl_job helper;
    bool is_extent;
    uint64_t number; /* of the extent or segment */
    struct sl_buffer buffer;
    /* extent */
    struct extent_item item;
    struct sl_file *file; /* owned: a descriptor of its own */
    struct extent_outline outline;
    bool opened;
    uint32_t stream, block; /* next: block counts through the file */
    /* segment */
    struct sl_file *segment; /* borrowed from the log */
    uint64_t end;            /* of its frames */
    struct wal_reader reader;
    uint64_t position;
    /* of the slice */
    uint64_t bytes; /* read */
    bool ended;     /* the file is done */
    uint32_t damage_count;
    struct scrub_damage damages[SCRUB_SLICE_FINDINGS];
};

/* Reads a slice. [blocks] */
void scrub_job_read(struct scrub_job *job);
/* Forgets the file; memory stays for the next one. */
void scrub_job_close(struct scrub_job *job);
void scrub_job_fini(struct scrub_job *job);

#endif
