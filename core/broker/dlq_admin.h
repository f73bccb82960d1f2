/* dlq_admin.h: the admin commands of dead letters that ask all shards: what is there, and redrives.
 * The letters themselves are read by `consume`, as records of the topic. [loop 0] */
#ifndef SL_BROKER_DLQ_ADMIN_H
#define SL_BROKER_DLQ_ADMIN_H

#include "control/admin.h"

struct sluice;

/* dlq.stages {name?}: stages with dead letters, their partitions, and the ranges that were handed
 * back. dlq.redrive {name, to?, partition?, offset?, filters?}, dlq.status. arg: struct
 * admin_socket
 */
void dlq_admin_run(void *arg, const char *command, const struct cJSON *args,
                   admin_storage_done *done, void *done_arg);

#endif
