/* rewrite.h: gives back the bytes of dead records that lie in one file with live ones, in the
 * background.
 *
 *   choose ─► outline ─► collect ─► write ─► reserve ─► submit ─► durable ─► apply ─► drop
 *   (loop,    (helper)   (loop,     (helper, (loop,     (one unit: EXTENT of    (loop,    the old
 *    slices)              slices)    paced)   slices)    the new, EXTENT_DROP    slices)   files
 *                                                        of the old ones)
 *
 * A whole extent of which nothing is live goes by itself (space.h). One that is shared or promoted
 * goes here: when half of it is dead, or when bytes in it have been dead for erase_max_ms, however
 * few. What lives in up to 16 such files is written into a new one, block by block, each compared
 * with its CRC; one unit makes the new file live and the old ones dead, so that recovery never sees
 * both. Never beside compaction, whose result could be undone by it. A file that is damaged stays.
 * Of a compacted partition, offsets that are missing before a run get a batch without records:
 * older extents may still have records there (docs/formats/extent.md). [loop] */
#ifndef SL_SHARD_REWRITE_H
#define SL_SHARD_REWRITE_H

#include "base/base.h"

struct rewriter;
struct shard;

struct rewrite_limits {   /* 0: the default */
    int64_t erase_max_ms; /* never: only when half of a file is dead */
    uint64_t bytes_per_s; /* written; 32 MiB */
    uint64_t job_bytes;   /* of live records, one file's at least; 64 MiB */
    int64_t interval_ms;  /* how often files worth it are looked for; 5 s */
};

/* Mutants, for the tests that show why the order matters. All false in a broker. */
struct rewrite_mutants {
    bool drop_later; /* the old files are not dropped by the same unit */
};

struct rewrite_status {
    uint64_t jobs;
    uint64_t failures;
    uint64_t extents;     /* old files */
    uint64_t bytes;       /* of records moved */
    uint64_t bytes_freed; /* of old files, less the new ones */
    bool busy;
};

struct rewriter *rewriter_new(struct shard *shard); /* NULL: no memory */
/* Idle, or after a simulated power cut; NULL is fine. */
struct rewriter *rewriter_free(struct rewriter *rewriter);
void rewrite_start(struct shard *shard); /* once the loop runs */
/* The shard stops: what waits for its time ends. */
void rewrite_stop(struct shard *shard);
/* Goes on, when it is time to; returns the next time, INT64_MAX: none. Monotonic ms. */
int64_t rewrite_tick(struct shard *shard, int64_t now_ms);
int64_t rewrite_due_ms(const struct shard *shard);
bool rewrite_is_busy(const struct shard *shard);
/* An extent is live whose bytes are not held yet. */
bool rewrite_is_applying(const struct shard *shard);
void rewrite_status_get(const struct shard *shard, struct rewrite_status *ret_status);

#endif
