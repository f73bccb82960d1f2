/* consumer_own.h: what the groups of KIP-848 on a shard ask of others: the configuration of single
 * groups, and what the access rules in force let a member see. [loop] */
#ifndef SL_SHARD_CONSUMER_OWN_H
#define SL_SHARD_CONSUMER_OWN_H

#include "deliver/consumer_groups.h"

struct shard;

void consumer_own_init(struct shard *shard, struct consumer_groups *groups);
void consumer_own_fini(struct shard *shard);
/* Another number when the rules are others than they were. */
uint64_t consumer_own_rules(struct shard *shard);

#endif
