/* config_mix.h: changes of configurations of different kinds in one request: topics are changed by
 * the catalog, groups and client metrics by the settings; the results come back in the order asked
 * for. And which resources there are to be configured. [loop] */
#ifndef SL_INTAKE_CONFIG_MIX_H
#define SL_INTAKE_CONFIG_MIX_H

#include "shard/shard.h"

void config_mix_alter(struct shard *home, const struct sluice_config_alter *alters, uint32_t count,
                      bool validate_only, sluice_topic_results_done *done, void *arg);
/* As the call config_names of the broker says. */
void config_mix_names(struct shard *home, int32_t resource, sluice_names_done *done, void *arg);

#endif
