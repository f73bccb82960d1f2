/* watch_log.h: the admin command log, for watch_admin.c. [loop 0] */
#ifndef SL_BROKER_WATCH_LOG_H
#define SL_BROKER_WATCH_LOG_H

#include "control/admin.h"

struct sluice;

/* after?, level?, component?, since_ms?: lines, next, lost (some between were overwritten), more.
 */
void watch_log_run(struct sluice *sluice, const struct cJSON *args, admin_storage_done *done,
                   void *done_arg);

#endif
