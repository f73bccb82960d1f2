/* native_status.c: what a status means, out of the one table (<sluice/status.h>). */
#include "native_frontend.h"

struct status_row {
    sluice_status status;
    bool may_pass;
    const char *text;
};

/* By rising status, as in status.h. */
static const struct status_row rows[] = {
#define STATUS_ROW(suffix, number, kafka, http, grpc, retry, sentence) \
    {number, (retry) != 0, sentence},
    SLUICE_STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row *row_of(sluice_status status)
{
    size_t low = 0;
    size_t high = sizeof(rows) / sizeof(rows[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].status == status) {
            return &rows[middle];
        }
        if (rows[middle].status < status) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const char *native_status_text(sluice_status status)
{
    const struct status_row *row = row_of(status);
    return row == NULL ? "unknown status" : row->text;
}

bool native_status_may_pass(sluice_status status)
{
    const struct status_row *row = row_of(status);
    return row != NULL && row->may_pass;
}
