/* topic_listing.h: topics and configurations as frontends ask for them, out of the loop's catalog
 * copy. */
#ifndef SL_INTAKE_TOPIC_LISTING_H
#define SL_INTAKE_TOPIC_LISTING_H

#include "shard/shard.h"

/* topics NULL: all. create: missing names are created first (their names are borrowed until done).
 * A topic that exists is answered from memory, before the call returns. [loop of home] */
void topic_listing_start(struct shard *home, int32_t node_id, const struct sluice_topic_ref *topics,
                         uint32_t count, bool create, sluice_topics_done *done, void *arg);
/* All keys of a topic or of the broker. [loop of home] */
void config_listing(struct shard *home, const struct broker_settings *settings, int32_t resource,
                    struct sluice_text name, sluice_config_done *done, void *arg);
/* All keys of a topic that the spec would make. [any] */
void config_preview(const struct broker_settings *settings, const struct sluice_topic_spec *spec,
                    sluice_config_done *done, void *arg);

#endif
