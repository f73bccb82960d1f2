/* settings.h: configurations of groups and of client metrics, which are settings in shard 0's log:
 * what is set of a name, which names there are, and changes. */
#ifndef SL_SHARD_SETTINGS_H
#define SL_SHARD_SETTINGS_H

#include "catalog/named_config.h"
#include "shard/shard.h"

#define SETTING_VALUE_ASKED_MAX 1024u /* of a value that a client sets */
#define SETTING_CHANGES_MAX     1024u /* of one call */

/* Which kind of settings the resource has (SLUICE_RESOURCE_*); 0: it has none. [any] */
uint8_t settings_kind(int32_t resource);
/* As the call of the broker says, for resources with settings. [loop of home] */
void settings_describe_start(struct shard *home, int32_t resource, struct sluice_text name,
                             sluice_config_done *done, void *arg);
/* Names of which something is set. [loop of home] */
void settings_names_start(struct shard *home, int32_t resource, sluice_names_done *done, void *arg);
/* As the call of the broker says; each alter is of a resource with settings, and borrowed until
 * done. [loop of home] */
void settings_alter_start(struct shard *home, const struct sluice_config_alter *alters,
                          uint32_t count, bool validate_only, sluice_topic_results_done *done,
                          void *arg);

#endif
