/* log_dirs.h: what partitions take up in the data directory (Kafka's DescribeLogDirs), which of
 * them there are, and how far the log is that the catalog is in. */
#ifndef SL_SHARD_LOG_DIRS_H
#define SL_SHARD_LOG_DIRS_H

#include "shard/shard.h"

/* One directory. Bytes are those of the batches that are there: a deletion shows at once, also
 * where the space comes back later. partitions are borrowed for the call; NULL: all.
 * E_NO_MEMORY. [loop of home] */
void log_dirs_start(struct shard *home, const struct sluice_partition_ref *partitions,
                    uint32_t count, sluice_log_dirs_done *done, void *arg);
/* One status for each, in order, at once. [loop of home] */
void partitions_find(struct shard *home, const struct sluice_partition_ref *partitions,
                     uint32_t count, sluice_statuses_done *done, void *arg);
/* Of shard 0's log: frames that were given out and those that are durable. [loop of home] */
void quorum_start(struct shard *home, sluice_quorum_done *done, void *arg);

#endif
