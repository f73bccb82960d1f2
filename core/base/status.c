/* status.c: the table of outcomes as rows, found by binary search over the ascending numbers. */
#include "base/status.h"

#include <stdio.h>

static const struct sl_status_row rows[] = {
#define ROW(suffix, number, kafka, http, grpc, retry, text) \
    {number, kafka, http, grpc, retry, #suffix, text},
    SLUICE_STATUS_TABLE(ROW)
#undef ROW
};

const struct sl_status_row *sl_status_row(sl_err err)
{
    size_t low = 0, high = SL_COUNT_OF(rows);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].number == err)
            return &rows[middle];
        if (rows[middle].number < err)
            low = middle + 1;
        else
            high = middle;
    }
    return sl_status_row(SLUICE_E_INTERNAL);
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
    return sl_status_row(err)->retriable;
}

void sl_status_name(sl_err err, char ret_name[16])
{
    snprintf(ret_name, 16, "SLU-%04d", (int)err);
}

const struct sl_status_row *sl_status_rows(size_t *ret_count)
{
    *ret_count = SL_COUNT_OF(rows);
    return rows;
}
