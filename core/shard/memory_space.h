/* memory_space.h: the records of topics in memory: which segment of the log in memory holds the
 * oldest of each partition, what may be given back, and what goes when the bound is reached.
 *
 * Each partition with such records hangs in the bucket of its oldest segment. When the oldest
 * bucket is empty its segment is released. At the bound, room is made by the oldest segment: topics
 * with a retention lose the records that lie there, before their time; what topics without one hold
 * there moves to the end of the log, if it is less than half. When it is more, nothing can be done:
 * the log stays full, and produce is refused. [loop] */
#ifndef SL_SHARD_MEMORY_SPACE_H
#define SL_SHARD_MEMORY_SPACE_H

#include "wal/commit_log.h"

struct partition;
struct shard;

struct memory_space {
    struct shard *shard;
    struct commit_log *log;   /* owned, unless it is the shard's only one; NULL: not open */
    struct partition **heads; /* of the buckets, by number & mask; NULL before the first */
    uint64_t mask;
    uint64_t first; /* number of the oldest segment that may have a bucket */
    uint64_t dropped_bytes, dropped_records; /* before their time */
    int64_t told_ms;                         /* the last line in the log about it */
};

void memory_space_init(struct memory_space *space, struct shard *shard);
void memory_space_fini(struct memory_space *space); /* not the log */
/* So that memory_space_enter cannot fail for what is submitted next. E_NO_MEMORY. */
sl_err memory_space_reserve(struct memory_space *space) SL_MUST_CHECK;
/* It has records, the first of them in this segment. */
void memory_space_enter(struct memory_space *space, struct partition *partition, uint64_t segment);
void memory_space_leave(struct partition *partition); /* nothing when it is not in */
/* Something was dropped: releases what is not held any more. */
void memory_space_freed(struct memory_space *space);
/* At the bound: frees the oldest segment. False: nothing may go. */
bool memory_space_make_room(struct memory_space *space);

#endif
