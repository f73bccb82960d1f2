/* storage_admin.h: admin commands that ask every shard: scrub, backup.begin, backup.release.
 *
 * A command becomes one call to each shard; when all have replied, its answer is put together on
 * loop 0. For admin_hooks; arg: the struct admin_socket. [loop 0] */
#ifndef SL_BROKER_STORAGE_ADMIN_H
#define SL_BROKER_STORAGE_ADMIN_H

#include "control/admin.h"

struct sluice;

void storage_admin_run(void *arg, void *connection, const char *command, const struct cJSON *args,
                       admin_storage_done *done, void *done_arg);
/* What the connection holds (a backup's files) is given back. */
void storage_admin_closed(void *arg, void *connection);

#endif
