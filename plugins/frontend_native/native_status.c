/* native_status.c: what a status means, out of the one table (<sluice/status.h>). */
#include "native_frontend.h"

#include <sluice/status_row.h>

const char *native_status_text(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? "unknown status" : row->text;
}

bool native_status_may_pass(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row != NULL && row->may_retry;
}
