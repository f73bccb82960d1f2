/* kafka_text.h: sentences of answers that are put together. [any] */
#ifndef KAFKA_TEXT_H
#define KAFKA_TEXT_H

#include "kafka_call.h"

#define KAFKA_TEXT_BYTES_MAX 512u /* what is longer is cut */

/* Lives as long as the call; null where there is no room for it. */
struct kafka_bytes kafka_call_format(struct kafka_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The id of this node; -1: none. */
int32_t kafka_own_node(const struct kafka_call *call);
/* A sentence for a status, null for SLUICE_OK. */
struct kafka_bytes kafka_status_reason(sluice_status status);
/* The length of the longest start that fits, for "%.*s". */
int kafka_text_length(struct kafka_bytes text);

#endif
