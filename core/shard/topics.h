/* topics.h: creation, change and deletion of topics: decided and logged on shard 0, then applied on
 * all. */
#ifndef SL_SHARD_TOPICS_H
#define SL_SHARD_TOPICS_H

#include "shard/shard.h"

#define TOPICS_AT_ONCE_MAX 10000u

/* specs and what they point at are borrowed until done. internal: reserved names are allowed (the
 * broker's own topics). near: new ids are drawn so that partition n of the topic lies on the shard
 * of partition n of this one, or NULL. [loop of home] */
void topics_create_start(struct shard *home, const struct sluice_topic_spec *specs, uint32_t count,
                         bool validate_only, bool internal, const struct topic *near,
                         sluice_topic_results_done *done, void *arg);
/* Changes of configurations; borrowed until done. [loop of home] */
void topics_alter_start(struct shard *home, const struct sluice_config_alter *alters,
                        uint32_t count, bool validate_only, sluice_topic_results_done *done,
                        void *arg);
/* More partitions; borrowed until done. [loop of home] */
void topics_grow_start(struct shard *home, const struct sluice_topic_growth *growths,
                       uint32_t count, bool validate_only, sluice_topic_results_done *done,
                       void *arg);
/* Topics by name or id; borrowed until done. [loop of home] */
void topics_delete_start(struct shard *home, const struct sluice_topic_ref *topics, uint32_t count,
                         bool validate_only, sluice_topic_results_done *done, void *arg);

#endif
