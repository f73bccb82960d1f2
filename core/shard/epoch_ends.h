/* epoch_ends.h: where leader epochs end, as clients ask that lost their leader (Kafka's
 * OffsetForLeaderEpoch, KIP-320). */
#ifndef SL_SHARD_EPOCH_ENDS_H
#define SL_SHARD_EPOCH_ENDS_H

#include "shard/shard.h"

#define EPOCH_QUERIES_MAX 100000u /* of one request; beyond it `done` gets none */

/* Each query for itself: E_UNKNOWN_TOPIC, E_UNKNOWN_TOPIC_ID, E_FENCED_LEADER_EPOCH,
 * E_UNKNOWN_LEADER_EPOCH; errors of storage. queries are borrowed until done. [loop of home] */
void epoch_ends_start(struct shard *home, const struct sluice_epoch_query *queries, uint32_t count,
                      sluice_epoch_ends_done *done, void *arg);

#endif
