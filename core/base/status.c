/* status.c: see status.h. */
#include "base/status.h"

#include <stdio.h>

const struct sluice_status_row *sl_status_row(sl_err err)
{
    const struct sluice_status_row *row = sluice_status_row_of(err);
    row = row != NULL ? row : sluice_status_row_of(SLUICE_E_INTERNAL);
    SL_ASSERT(row != NULL);
    return row;
}

const char *sl_status_text(sl_err err)
{
    return sl_status_row(err)->text;
}

int16_t sl_status_kafka(sl_err err)
{
    return sl_status_row(err)->kafka;
}

bool sl_status_is_retriable(sl_err err)
{
    return sl_status_row(err)->may_retry;
}

void sl_status_name(sl_err err, char ret_name[16])
{
    snprintf(ret_name, 16, "SLU-%04d", (int)err);
}
