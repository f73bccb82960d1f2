/* features.h: levels of features, changed on shard 0 and seen on all loops (Kafka's UpdateFeatures,
 * KIP-584). */
#ifndef SL_SHARD_FEATURES_H
#define SL_SHARD_FEATURES_H

#include "catalog/feature.h"
#include "shard/shard.h"

#define FEATURE_UPDATES_MAX 64u /* of one call */

/* Levels as the log says them, from now on for all loops. [shard 0's loop, or before it runs] */
void features_publish(struct shard *shard);
/* What is in force. [any] */
uint64_t features_word(const struct shard_set *set);
/* As the call of the broker says. updates are borrowed until done. [loop of home] */
void features_update_start(struct shard *home, const struct sluice_feature_update *updates,
                           uint32_t count, bool validate_only, sluice_text_done *done, void *arg);

#endif
