/* kafka_status.c: see kafka_status.h. */
#include "kafka_status.h"

struct status_row {
    sluice_status status;
    int16_t code;
    const char *text;
};

/* By rising status, as in status.h. */
static const struct status_row rows[] = {
#define STATUS_ROW(suffix, number, kafka, http, grpc, retry, sentence) {number, kafka, sentence},
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

int16_t kafka_status_code(sluice_status status)
{
    const struct status_row *row = status == SLUICE_OK ? &rows[0] : row_of(status);
    return row == NULL ? (int16_t)-1 : row->code;
}

const char *kafka_status_text(sluice_status status)
{
    const struct status_row *row = row_of(status);
    return row == NULL ? "unknown status" : row->text;
}
