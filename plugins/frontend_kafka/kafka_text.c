/* kafka_text.c: see kafka_text.h. */
#include "kafka_text.h"

#include "kafka_status.h"

#include <stdarg.h>
#include <stdio.h>

struct kafka_bytes kafka_call_format(struct kafka_call *call, const char *format, ...)
{
    char text[KAFKA_TEXT_BYTES_MAX];
    struct kafka_bytes copy;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return kafka_call_copy(call, kafka_string(text), &copy) ? copy : kafka_null();
}

int32_t kafka_own_node(const struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));

    return cluster->node_count > 0 ? cluster->nodes[0].id : -1;
}

struct kafka_bytes kafka_status_reason(sluice_status status)
{
    return status == SLUICE_OK ? kafka_null() : kafka_string(kafka_status_text(status));
}

int kafka_text_length(struct kafka_bytes text)
{
    int32_t most = (int32_t)KAFKA_TEXT_BYTES_MAX / 2;

    return text.size < 0 ? 0 : (int)(text.size < most ? text.size : most);
}
