/* plugin_admin.h: plugin.load, .reload, .unload, .enable, .disable, .pause, .resume, .seek, .forget
 * of the admin socket. On loop 0. */
#ifndef SL_BROKER_PLUGIN_ADMIN_H
#define SL_BROKER_PLUGIN_ADMIN_H

#include "control/admin.h"

struct sluice;

/* The answer: {text, changed, moves [{topic, partition, before, after}]}. [borrows args] */
void plugin_admin_run(struct sluice *sluice, const char *command, const struct cJSON *args,
                      admin_storage_done *done, void *done_arg);

#endif
