/* retention.h: old records go, by time and by bytes.
 *
 * Each log.retention.check.interval.ms a walk over the open partitions of a shard, a slice a turn
 * of the loop: what is beyond retention.ms or retention.bytes becomes moves of the log start, many
 * in one unit (log_start.h); while that is under way the walk waits.
 *
 * The rules are Kafka's: only topics with cleanup.policy=delete; a run goes when its newest record
 * is older than retention.ms, or when what is behind it still fills retention.bytes; from the front
 * only. A timestamp in the future keeps its run, and all behind it, until it has passed too
 * (message.timestamp.after.max.ms bounds it, KIP-937). Unlike Kafka nothing waits for a segment to
 * be full: runs are small, so segment.ms and segment.bytes do not delay it. [loop] */
#ifndef SL_SHARD_RETENTION_H
#define SL_SHARD_RETENTION_H

#include "shard/partition.h"

struct retention;

struct retention *retention_new(struct shard *shard);              /* NULL: no memory */
struct retention *retention_free(struct retention *retention);     /* NULL is fine */
void retention_start(struct retention *retention, int64_t now_ms); /* once the loop runs */
/* Does a slice of what is due; returns when it wants the next turn. */
int64_t retention_tick(struct retention *retention, int64_t now_ms);
int64_t retention_due_ms(const struct retention *retention);
/* The partition leaves the shard's list: a walk goes on behind it. */
void retention_skip(struct retention *retention, const struct partition *partition);

#endif
