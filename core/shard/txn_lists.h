/* txn_lists.h: what operators see of transactions: transactional ids on all shards, and the
 * producers of partitions. Answers are copies. [loop of home] */
#ifndef SL_SHARD_TXN_LISTS_H
#define SL_SHARD_TXN_LISTS_H

#include "shard/shard.h"

#define TXN_LIST_PRODUCERS_MAX 10000u /* of a partition: all that it remembers */

/* Requests are borrowed until done. */
void txn_lists_describe(struct shard *home, const struct sluice_text *ids, uint32_t count,
                        sluice_txns_done *done, void *arg);
/* As the call of the broker says; the pattern is borrowed until this returns. */
void txn_lists_all(struct shard *home, struct sluice_text pattern, sluice_txns_done *done,
                   void *arg);
void txn_lists_producers(struct shard *home, const struct sluice_txn_partition *partitions,
                         uint32_t count, sluice_producers_done *done, void *arg);

#endif
