/* plugin_lags.h: `plugin.info` of the admin socket: what loop 0 knows of an instance, and where it
 * is on its partitions, which each shard is asked for by one call. For admin_hooks. [loop 0] */
#ifndef SL_BROKER_PLUGIN_LAGS_H
#define SL_BROKER_PLUGIN_LAGS_H

#include "control/admin.h"

struct sluice;

/* At most PLUGIN_LAGS_MAX partitions of each shard are told, in the order of topic and number.
 * name: borrowed for the call. done: E_NOT_FOUND, E_STOPPING, E_NO_MEMORY. */
#define PLUGIN_LAGS_MAX 1024u
void plugin_lags_info(struct sluice *sluice, const char *name, admin_storage_done *done,
                      void *done_arg);

#endif
