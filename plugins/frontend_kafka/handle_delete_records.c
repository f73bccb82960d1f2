/* handle_delete_records.c: DeleteRecords (KIP-107): records before an offset go for good.
 *
 * Offset -1 asks for all up to the high watermark. The answer's low watermark is the new log start;
 * -1 with an error, as in Kafka. It is answered when it is durable, whatever timeout_ms says. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#define NO_LOW_WATERMARK (-1)

typedef struct kafka_delete_records_response_partition response_partition;

static void deleted(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct kafka_call *call = arg;
    response_partition **slots = call->slots;

    for (uint32_t i = 0; i < count; i++) {
        slots[i]->error_code = kafka_status_code(results[i].status);
        slots[i]->low_watermark = results[i].log_start_offset;
    }
    kafka_call_answer(call, call->response);
}

/* Lays out one topic; false: no room. */
static bool lay_out_topic(struct kafka_call *call,
                          const struct kafka_delete_records_request_topic *topic,
                          struct kafka_delete_records_response_topic *answer,
                          struct sluice_records_delete *entries, response_partition **slots)
{
    kafka_delete_records_response_topic_init(answer);
    answer->name = topic->name;
    answer->partitions =
        kafka_call_try_take(call, topic->partitions_count, sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct kafka_delete_records_request_partition *partition = &topic->partitions[i];
        response_partition *slot = &answer->partitions[i];

        kafka_delete_records_response_partition_init(slot);
        slot->partition_index = partition->partition_index;
        slot->low_watermark = NO_LOW_WATERMARK;
        slot->error_code = KAFKA_NO_ANSWER;
        slots[i] = slot;
        entries[i] = (struct sluice_records_delete){
            .topic = {.name = kafka_to_text(topic->name)},
            .partition = partition->partition_index,
            .before_offset =
                partition->offset == -1 ? SLUICE_OFFSET_HIGH_WATERMARK : partition->offset,
        };
    }
    return true;
}

static int64_t count_partitions(const struct kafka_delete_records_request *request)
{
    int64_t count = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    return count;
}

void kafka_handle_delete_records(struct kafka_call *call)
{
    const struct kafka_delete_records_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t count = count_partitions(request);
    struct kafka_delete_records_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_records_delete *entries = kafka_call_try_take(call, count, sizeof(*entries));
    response_partition **slots = kafka_call_try_take(call, count, sizeof(*slots));
    struct kafka_delete_records_response_topic *topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*topics));
    bool ok = response != NULL && entries != NULL && slots != NULL && topics != NULL;
    int32_t at = 0;

    for (int32_t i = 0; ok && i < request->topics_count; i++) {
        ok = lay_out_topic(call, &request->topics[i], &topics[i], entries + at, slots + at);
        at += request->topics[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_delete_records_response_init(response);
    response->topics = topics;
    response->topics_count = request->topics_count;
    call->response = response;
    call->slots = slots;
    if (at == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->records_delete(broker, kafka_call_context(call), entries, (uint32_t)at, deleted, call);
}
