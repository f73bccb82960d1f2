/* handle_epochs.c: OffsetForLeaderEpoch (KIP-101, KIP-320): where leader epochs end. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

typedef struct kafka_offset_for_leader_epoch_response_partition end_partition;

static void ends_told(void *arg, const struct sluice_epoch_end *ends, uint32_t count)
{
    struct kafka_call *call = arg;
    end_partition **slots = call->slots;

    for (uint32_t i = 0; i < count; i++) {
        slots[i]->error_code = kafka_status_code(ends[i].status);
        slots[i]->leader_epoch = ends[i].epoch;
        slots[i]->end_offset = ends[i].end_offset;
    }
    kafka_call_answer(call, call->response);
}

/* false: no room. */
static bool lay_out(struct kafka_call *call,
                    const struct kafka_offset_for_leader_epoch_request_topic *from,
                    struct kafka_offset_for_leader_epoch_response_topic *to, uint32_t first,
                    struct sluice_epoch_query *queries)
{
    end_partition **slots = call->slots;

    kafka_offset_for_leader_epoch_response_topic_init(to);
    to->topic = from->topic;
    to->partitions = kafka_call_try_take(call, from->partitions_count, sizeof(end_partition));
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; to->partitions != NULL && i < from->partitions_count; i++) {
        end_partition *slot = &to->partitions[i];
        kafka_offset_for_leader_epoch_response_partition_init(slot);
        slot->partition = from->partitions[i].partition;
        slot->error_code = KAFKA_NO_ANSWER;
        slots[first + (uint32_t)i] = slot;
        queries[first + (uint32_t)i] =
            (struct sluice_epoch_query){.topic = {.name = kafka_to_text(from->topic)},
                                        .partition = from->partitions[i].partition,
                                        .leader_epoch = from->partitions[i].current_leader_epoch,
                                        .epoch = from->partitions[i].leader_epoch};
    }
    return to->partitions != NULL;
}

void kafka_handle_offset_for_leader_epoch(struct kafka_call *call)
{
    const struct kafka_offset_for_leader_epoch_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_offset_for_leader_epoch_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_offset_for_leader_epoch_response_topic *topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*topics));
    struct sluice_epoch_query *queries;
    int64_t count = 0;
    uint32_t at = 0;
    bool ok;

    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    queries = kafka_call_try_take(call, count, sizeof(*queries));
    call->slots = kafka_call_try_take(call, count, sizeof(end_partition *));
    ok = response != NULL && topics != NULL && queries != NULL && call->slots != NULL;
    for (int32_t i = 0; ok && i < request->topics_count; i++) {
        ok = lay_out(call, &request->topics[i], &topics[i], at, queries);
        at += (uint32_t)request->topics[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_offset_for_leader_epoch_response_init(response);
    response->topics = topics;
    response->topics_count = request->topics_count;
    call->response = response;
    broker->epoch_ends(broker, kafka_call_context(call), queries, (uint32_t)count, ends_told, call);
}
