/* status.h: what an outcome is called and means elsewhere (<sluice/status_row.h>), of any number.
 * [any] */
#ifndef SL_BASE_STATUS_H
#define SL_BASE_STATUS_H

#include "base/base.h"

#include <sluice/status_row.h>

/* The row of err, a number outside the table being an internal error. Never NULL; static. */
const struct sluice_status_row *sl_status_row(sl_err err);
const char *sl_status_text(sl_err err);
int16_t sl_status_kafka(sl_err err);
bool sl_status_is_retriable(sl_err err);
/* Writes "SLU-1303" and NUL, the number of err as it is, in the table or not. */
void sl_status_name(sl_err err, char ret_name[16]);

#endif
