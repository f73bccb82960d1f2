/* <sluice/status_row.h>: the table of outcomes (<sluice/status.h>) as rows, found by their numbers:
 * for frontends and clients, which say in their protocol what went wrong. */
#ifndef SLUICE_STATUS_ROW_H
#define SLUICE_STATUS_ROW_H

#include <sluice/status.h>
#include <stdbool.h>
#include <stddef.h>

/* What an outcome is elsewhere. Static. */
struct sluice_status_row {
    sluice_status status;
    int16_t kafka;      /* error code of the Kafka protocol */
    uint16_t http;      /* status of a HTTP answer */
    uint8_t grpc;       /* status of a gRPC answer */
    bool may_retry;     /* a client may try again unchanged */
    const char *symbol; /* "E_TOPIC_EXISTS"; "OK" */
    const char *text;   /* a sentence without the full stop */
};

/* All rows by rising status; *ret_count of them. Static. [any] */
static inline const struct sluice_status_row *sluice_status_rows(size_t *ret_count)
{
    static const struct sluice_status_row rows[] = {
#define SLUICE_STATUS_ROW_(suffix, number, kafka, http, grpc, retry, text) \
    {number, kafka, http, grpc, (retry) != 0, #suffix, text},
        SLUICE_STATUS_TABLE(SLUICE_STATUS_ROW_)
#undef SLUICE_STATUS_ROW_
    };
    *ret_count = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

/* The row of a status; NULL: it is not in the table. [any] */
static inline const struct sluice_status_row *sluice_status_row_of(sluice_status status)
{
    size_t low = 0, high = 0;
    const struct sluice_status_row *rows = sluice_status_rows(&high);
    if (status == rows[0].status) {
        return rows; /* SLUICE_OK, which most outcomes are */
    }
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

#endif
