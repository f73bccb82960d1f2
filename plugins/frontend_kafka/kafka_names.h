/* kafka_names.h: names that a request gives more than once, which Kafka refuses once and does not
 * carry out. */
#ifndef SL_FRONTEND_KAFKA_NAMES_H
#define SL_FRONTEND_KAFKA_NAMES_H

#include "kafka_call.h"

enum kafka_name_use {
    KAFKA_NAME_ONCE,
    KAFKA_NAME_TWICE, /* the first of several */
    KAFKA_NAME_AGAIN, /* a later one: it has no answer of its own */
};

/* By place in `names`; a null name is never a repeated one. The call's memory; NULL: there is none.
 * n log n. [loop] */
enum kafka_name_use *kafka_names_use(struct kafka_call *call, const struct kafka_bytes *names,
                                     int32_t count);

#endif
