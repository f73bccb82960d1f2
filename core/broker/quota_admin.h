/* quota_admin.h: quota.list and quota.set of the admin socket. [loop 0] */
#ifndef SL_BROKER_QUOTA_ADMIN_H
#define SL_BROKER_QUOTA_ADMIN_H

#include "control/admin.h"

struct admin_socket;
struct cJSON;

void quota_admin_run(struct admin_socket *admin, const char *command, const struct cJSON *args,
                     admin_storage_done *done, void *done_arg);

#endif
