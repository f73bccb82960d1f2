/* access_admin.h: acl.list, acl.add, acl.remove, user.list, user.add, user.remove of the admin
 * socket. On loop 0. */
#ifndef SL_BROKER_ACCESS_ADMIN_H
#define SL_BROKER_ACCESS_ADMIN_H

#include "control/admin.h"

/* arg: the struct admin_socket. [borrows args] */
void access_admin_run(void *arg, const char *command, const struct cJSON *args,
                      admin_storage_done *done, void *done_arg);

#endif
