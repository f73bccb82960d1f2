/* seal.h: moves records from the log's sealed segments into extents, in the background.
 *
 *   consider ─► collect ─► write ─► reserve ─► submit ─► durable ─► apply ─► release
 *               (loop,     (helper, (loop,     (one unit with       (loop,   (space.h: segments
 *                slices)    slices)  slices)    EXTENT items)        slices)  are recycled)
 *
 * One job at a time. It takes the runs of all partitions that lie in segments before a border,
 * writes those of each stream together (a large stream into a file of its own, the small ones into
 * one), and makes the files live with one unit; only then do indexes point at them. A segment that
 * nearly all belongs to one stream is not copied: its file becomes an extent (extent_promote.h) for
 * that stream, and only what others have in it is written anew. Order that makes it safe: an extent
 * and its directory are synced before the frame that names it; segments are recycled, or lose the
 * log's name, after that frame is durable and a checkpoint contains it. A job that fails changes
 * nothing and is tried again, later each time. A stream whose bytes are damaged stays in the log.
 *
 * A job begins when sealed segments hold seal_bytes, when the oldest of them is older than
 * age_max_ms or was ended for its age (roll.h), or when the log is three quarters full. [loop] */
#ifndef SL_SHARD_SEAL_H
#define SL_SHARD_SEAL_H

#include "base/base.h"

struct sealer;
struct shard;

struct seal_limits {         /* 0: the default */
    uint64_t seal_bytes;     /* 256 MiB; in any case at most half of the log's bytes_max */
    int64_t age_max_ms;      /* 10 minutes */
    uint64_t job_bytes_max;  /* of segments that one job empties, but one at least; 256 MiB */
    uint64_t own_file_bytes; /* a stream with so many in a job gets a file of its own; 16 MiB */
    /* A segment is promoted when one stream has at least so much of it (90 %; above 100: never),
     * in runs of at least so many bytes on average (16 KiB), as each costs an entry in the index.
     */
    uint32_t promote_percent;
    uint32_t promote_run_bytes;
};

/* Mutants, for the tests that show why the order matters. All false in a broker. */
struct seal_mutants {
    bool no_sync;         /* the frame is written while the extent is not on the disk yet */
    bool release_first;   /* segments are given back before the frame is durable */
    bool promote_no_sync; /* a promoted segment is not synced behind its frames */
    bool promote_no_directory_sync; /* the frame is written while its name may be lost */
};

struct seal_status {
    uint64_t jobs;           /* that moved something */
    uint64_t failures;       /* jobs that will be tried again */
    uint64_t bytes;          /* of records moved */
    uint64_t extents;        /* files made */
    uint64_t promoted;       /* of them, segments that became extents */
    uint64_t bytes_promoted; /* of the records, those that were not written again */
    uint64_t bytes_written;  /* to extents, with headers and footers */
    int64_t elapsed_ns;
    bool busy;
};

struct sealer *sealer_new(struct shard *shard); /* NULL: no memory */
/* Idle, or after a simulated power cut; NULL is fine. */
struct sealer *sealer_free(struct sealer *sealer);
void seal_consider(struct shard *shard); /* begins a job when one is due */
/* Considers, when it is time to; returns the next time, INT64_MAX: none. Monotonic ms. */
int64_t seal_tick(struct shard *shard, int64_t now_ms);
/* A job is due when so much is sealed; bytes. */
uint64_t seal_bytes_enough(const struct shard *shard);
int64_t seal_due_ms(const struct shard *shard);
/* Extents are live whose bytes are not held yet. */
bool seal_is_applying(const struct shard *shard);
/* How long who writes is asked to wait, so that the log is emptied before it is full: nothing below
 * 85 % of its bound, then more and more, up to 100 ms where it refuses. */
int32_t seal_throttle_ms(const struct shard *shard);
void seal_status_get(const struct shard *shard, struct seal_status *ret_status);

#endif
