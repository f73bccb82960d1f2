/* watch_admin.h: the admin commands with which people watch a broker: flow (who produces into what
 * and reads what, stages and gates, how full things are, what waits) and log. For admin_hooks.
 * [loop 0] */
#ifndef SL_BROKER_WATCH_ADMIN_H
#define SL_BROKER_WATCH_ADMIN_H

#include "control/admin.h"

#define WATCH_ROWS_MAX \
    2000u /* of producers and topics in one answer, from each loop; of readers likewise */
#define WATCH_LAGS_MAX      1024u /* partitions that stages read, from each shard */
#define WATCH_LOG_LINES_MAX 500u  /* in one answer of log */

/* arg: struct admin_socket. args: borrowed for the call. */
void watch_admin_run(void *arg, const char *command, const struct cJSON *args,
                     admin_storage_done *done, void *done_arg);

#endif
