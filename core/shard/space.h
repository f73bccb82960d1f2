/* space.h: which partitions still have records in the log, and what may be given back for it.
 *
 * A partition enters the list with its first durable batch, or at recovery, and leaves it when all
 * it has lies in extents. Two things come of the list: the sealer collects from it, and a pass over
 * it finds the oldest segment that still holds something, so that those below are recycled. After a
 * pass, extents of which nothing is held any more are dropped: a unit says so, and when that is
 * durable their files go. All walks take a slice of the list in a turn of the loop. [loop] */
#ifndef SL_SHARD_SPACE_H
#define SL_SHARD_SPACE_H

#include "extent/extent_format.h"
#include "wal/wal.h"

#define SPACE_SLICE     2048u /* partitions that a walk looks at in one turn */
#define SPACE_DROPS_MAX 64u   /* extents dropped by one unit */

struct partition;
struct shard;

/* A way through the list that survives changes to it. */
struct space_walk {
    struct space_walk *next;
    struct partition *at;
    bool active;
};

struct space {
    struct shard *shard;
    struct partition *first;
    struct partition **end; /* where the next is linked */
    uint32_t count;
    struct space_walk *walks;

    struct sl_task pass; /* queued: a job of the shard */
    struct space_walk pass_walk;
    uint64_t pass_oldest;
    int64_t pass_least_ms; /* of segment.ms */
    bool pass_wanted;

    struct wal_unit drop_unit;
    struct wal_item drop_items[SPACE_DROPS_MAX];
    uint8_t drop_payloads[SPACE_DROPS_MAX][EXTENT_DROP_ITEM_SIZE];
    uint64_t drop_ids[SPACE_DROPS_MAX];
    uint32_t drop_count;
    bool dropping;
};

void space_init(struct space *space, struct shard *shard);
/* It has records in the log. */
void space_enter(struct space *space, struct partition *partition);
void space_leave(struct space *space, struct partition *partition); /* nothing when it is not in */

/* Something was dropped: looks, soon, what may be given back. */
void space_freed(struct shard *shard);
/* Again what could not be logged before. */
void space_retry(struct shard *shard);

void space_walk_begin(struct space *space, struct space_walk *walk);
struct partition *space_walk_next(struct space_walk *walk);        /* NULL: that was all */
void space_walk_end(struct space *space, struct space_walk *walk); /* nothing when not begun */

#endif
