/* roll.h: when the segment that is written to ends before it is full, so that its records move into
 * extents (seal.h) and compaction finds them, also in a quiet broker.
 *
 * It ends when its oldest record is older than wal.age_max, or than segment.ms of any topic that
 * has records in the log, or when a partition has segment.bytes of its topic in the log; not more
 * often than once a second. What was sealed until then is due at once. [loop] */
#ifndef SL_SHARD_ROLL_H
#define SL_SHARD_ROLL_H

#include "catalog/topic_config.h"
#include "shard/space.h"

#define ROLL_AGE_MAX_MS 600000 /* unless configured */

struct roll {
    int64_t oldest_ms;      /* monotonic: the first record of the segment; INT64_MAX: none */
    int64_t least_ms;       /* of segment.ms of the topics that have records in the log … */
    int64_t noted_ms;       /* … and of those that were written to since the pass began */
    int64_t not_before_ms;  /* one was rolled not long ago */
    uint64_t due_below;     /* segments below it are to be emptied now */
    struct space_walk walk; /* looks for partitions that have segment.bytes */
    bool sizes_matter;      /* a topic has a segment.bytes that may be reached */
};

void roll_init(struct shard *shard);
void roll_fini(struct shard *shard);
/* A durable batch of the partition. */
void roll_note(struct shard *shard, const struct partition *partition);
/* The settings of a topic, which may have records in the log, changed. */
void roll_topic_changed(struct shard *shard, const struct topic_settings *settings);
void roll_sealed(struct shard *shard); /* what comes now lies in the next segment */
/* A pass over all partitions with records in the log begins; has ended, with the least segment.ms.
 */
void roll_pass_begin(struct shard *shard);
void roll_pass_end(struct shard *shard, int64_t least_ms);
/* Records in sealed segments are due at this age, ms. */
int64_t roll_age_ms(const struct shard *shard);
uint64_t roll_due_below(const struct shard *shard);
/* Rolls, when it is time to; returns the next time, INT64_MAX: none. Monotonic ms. */
int64_t roll_tick(struct shard *shard, int64_t now_ms);
int64_t roll_due_ms(const struct shard *shard);

#endif
