/* status.h: what an outcome is called and means elsewhere; reads SLUICE_STATUS_TABLE. [any] */
#ifndef SL_BASE_STATUS_H
#define SL_BASE_STATUS_H

#include "base/base.h"

struct sl_status_row {
    int32_t number;     /* SLU-nnnn */
    int16_t kafka;      /* error code of the Kafka protocol */
    uint16_t http;      /* status of a HTTP answer */
    uint8_t grpc;       /* status of a gRPC answer */
    bool retriable;     /* a client may try again unchanged */
    const char *symbol; /* "E_TOPIC_EXISTS"; "OK" */
    const char *text;   /* a sentence without the full stop */
};

/* The row of err, a number outside the table being an internal error. Never NULL; static. */
const struct sl_status_row *sl_status_row(sl_err err);
const char *sl_status_text(sl_err err);
int16_t sl_status_kafka(sl_err err);
bool sl_status_is_retriable(sl_err err);
/* Writes "SLU-1303" and NUL, the number of err as it is, in the table or not. */
void sl_status_name(sl_err err, char ret_name[16]);
/* All rows in order of their numbers, for tables in documents; *ret_count of them. Static. */
const struct sl_status_row *sl_status_rows(size_t *ret_count);

#endif
