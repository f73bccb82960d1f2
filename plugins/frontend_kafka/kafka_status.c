/* kafka_status.c: see kafka_status.h. */
#include "kafka_status.h"

#include <sluice/status_row.h>

int16_t kafka_status_code(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? (int16_t)-1 : row->kafka;
}

const char *kafka_status_text(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? "unknown status" : row->text;
}
