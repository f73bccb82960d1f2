/* handle_list_offsets_0.c: ListOffsets version 0, of clients before 0.10.1: up to so many offsets
 * before a time, the newest first, where Kafka gave the beginnings of its log segments.
 *
 * Here: for a time, the first record at or after it, or the end of the log where there is none; for
 * -1 the end; and behind that, where more are asked for, the beginning. For -2 the beginning. */
#include "kafka_api.h"
#include "kafka_legacy.h"
#include "kafka_messages.h"
#include "kafka_status.h"

typedef struct kafka_list_offsets_response_partition response_partition;

#define QUERIES 3u /* for each partition: what was asked for, the end, the beginning */

struct asked {
    response_partition *slot;
    int64_t *offsets; /* room for two */
    int32_t offsets_max;
};

static void answer_one(const struct asked *asked, const struct sluice_offset_answer *answers)
{
    int64_t newest = answers[0].offset >= 0 ? answers[0].offset : answers[1].offset;
    int64_t first = answers[2].offset;

    for (uint32_t i = 0; i < QUERIES; i++) {
        if (answers[i].status != SLUICE_OK) {
            asked->slot->error_code = kafka_status_code(answers[i].status);
            return;
        }
    }
    asked->slot->error_code = 0;
    asked->slot->old_offsets = asked->offsets;
    asked->offsets[0] = newest;
    asked->offsets[1] = first;
    asked->slot->old_offsets_count = asked->offsets_max < 1                       ? 0
                                     : asked->offsets_max == 1 || newest == first ? 1
                                                                                  : 2;
}

static void answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct asked *asked = call->slots;

    for (uint32_t i = 0; i < count / QUERIES; i++) {
        answer_one(&asked[i], &answers[i * QUERIES]);
    }
    kafka_call_answer(call, call->response);
}

static void ask(struct kafka_bytes topic, const struct kafka_list_offsets_request_partition *from,
                struct sluice_offset_query *queries)
{
    const int64_t times[QUERIES] = {from->timestamp, SLUICE_TIME_LATEST, SLUICE_TIME_EARLIEST};
    for (uint32_t i = 0; i < QUERIES; i++) {
        queries[i] = (struct sluice_offset_query){
            .topic = {.name = kafka_to_text(topic)},
            .partition = from->partition_index,
            .leader_epoch = -1,
            .timestamp = times[i] < SLUICE_TIME_EARLIEST ? SLUICE_TIME_LATEST : times[i],
        };
    }
}

static bool lay_out_topic(struct kafka_call *call,
                          const struct kafka_list_offsets_request_topic *topic,
                          struct kafka_list_offsets_response_topic *answer,
                          struct sluice_offset_query *queries, struct asked *asked)
{
    kafka_list_offsets_response_topic_init(answer);
    answer->name = topic->name;
    answer->partitions_count = topic->partitions_count;
    answer->partitions =
        kafka_call_try_take(call, topic->partitions_count, sizeof(*answer->partitions));
    int64_t *offsets =
        kafka_call_try_take(call, 2 * (int64_t)topic->partitions_count, sizeof(*offsets));
    if (answer->partitions == NULL || offsets == NULL) {
        return false;
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct kafka_list_offsets_request_partition *partition = &topic->partitions[i];
        kafka_list_offsets_response_partition_init(&answer->partitions[i]);
        answer->partitions[i].partition_index = partition->partition_index;
        ask(topic->name, partition, queries + (size_t)i * QUERIES);
        asked[i] = (struct asked){.slot = &answer->partitions[i],
                                  .offsets = offsets + 2 * (size_t)i,
                                  .offsets_max = partition->max_num_offsets};
    }
    return true;
}

void kafka_handle_list_offsets_0(struct kafka_call *call)
{
    const struct kafka_list_offsets_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_list_offsets_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_list_offsets_response_topic *topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*topics));
    int64_t count = 0;

    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    struct sluice_offset_query *queries =
        kafka_call_try_take(call, count * QUERIES, sizeof(*queries));
    struct asked *asked = kafka_call_try_take(call, count, sizeof(*asked));
    bool ok = response != NULL && topics != NULL && queries != NULL && asked != NULL;
    size_t at = 0;
    for (int32_t i = 0; ok && i < request->topics_count; i++) {
        ok = lay_out_topic(call, &request->topics[i], &topics[i], queries + at * QUERIES,
                           asked + at);
        at += (size_t)request->topics[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_list_offsets_response_init(response);
    response->topics = topics;
    response->topics_count = request->topics_count;
    call->response = response;
    call->slots = asked;
    if (count == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->offsets(broker, kafka_call_context(call), SLUICE_ISOLATION_UNCOMMITTED, queries,
                    (uint32_t)(count * QUERIES), answered, call);
}
