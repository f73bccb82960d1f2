/* status_text.c: symbol and sentence of the rows of <sluice/status.h>. */
#include "control/admin.h"

static const struct row {
    sluice_status status;
    const char *symbol, *sentence;
} rows[] = {
#define ROW(suffix, number, kafka, http, grpc, retry, text) {number, #suffix, text},
    SLUICE_STATUS_TABLE(ROW)
#undef ROW
};

static const struct row *row_find(sluice_status status)
{
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        if (rows[i].status == status) {
            return &rows[i];
        }
    }
    return &rows[1]; /* E_INTERNAL */
}

const char *status_symbol(sluice_status status)
{
    return row_find(status)->symbol;
}
const char *status_sentence(sluice_status status)
{
    return row_find(status)->sentence;
}
