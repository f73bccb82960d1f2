/* cut.h: a point of a shard that a backup is made of: all that was durable at one moment, in files
 * that stay until they were copied.
 *
 *   cut_hold (all shards) ─► cut_take (all, shard 0 last) ─► cut_resume (all) ─► … ─► cut_release
 *
 * A cut is the log up to an LSN, its newest checkpoint, and the extents that are live then. What
 * was acknowledged before cut_take is in it: a unit is made durable first. Across shards: while
 * offset commits are held on all shards, none can name records that the cut of another shard lacks;
 * shard 0, which knows the topics, is last, so that none is there whose records were given up.
 *
 * Segments and extents are pinned: nothing is recycled or removed. Where the log fills up behind
 * the pins they are given up, and the backup has failed. [loop] */
#ifndef SL_SHARD_CUT_H
#define SL_SHARD_CUT_H

#include "extent/extent_format.h"
#include "wal/wal.h"

struct shard;

struct cut_result {
    uint64_t lsn; /* the log ends with this frame */
    uint32_t epoch;
    uint64_t first_segment, last_segment; /* that are live; the checkpoint may need fewer */
    struct extent_item *extents;          /* owned by whoever asked */
    uint32_t extent_count;
};

typedef void cut_taken_fn(void *arg, sl_err err, const struct cut_result *result);

/* An offset commit that waits. */
struct cut_waiter {
    struct cut_waiter *next;
    void (*go_on)(struct cut_waiter *waiter);
};

struct cut {
    struct shard *shard;
    bool is_held; /* offset commits wait */
    struct cut_waiter *waiting;
    struct cut_waiter **waiting_end;
    struct wal_unit unit; /* made durable before */
    struct wal_item item;
    struct sl_task task;
    bool is_taking;
    sl_err err;
    cut_taken_fn *taken;
    void *taken_arg;
    uint64_t first_segment, segment_end; /* pinned */
    uint64_t *extents;                   /* pinned; owned */
    uint32_t extent_count;
    bool log_lost; /* pins on the log were given up */
};

void cut_init(struct cut *cut, struct shard *shard);
void cut_hold(struct shard *shard);
void cut_resume(struct shard *shard);
/* True: the waiter goes on later; false: it may go on now. */
bool cut_wait(struct shard *shard, struct cut_waiter *waiter);
/* `taken` runs later on this loop, once; *result's extents are its. E_NO_MEMORY, E_STOPPING,
 * E_FENCED, E_UNSUPPORTED (a log without files). */
void cut_take(struct shard *shard, cut_taken_fn *taken, void *arg);
/* only_log: extents stay. False: pins on the log had been given up. Nothing pinned is fine. */
bool cut_release(struct shard *shard, bool only_log);
/* A segment was begun: whether the pins still may stay. */
void cut_consider(struct shard *shard);
/* The shard ends. */
void cut_stop(struct shard *shard);
void cut_fini(struct cut *cut); /* also after a simulated power cut */

#endif
