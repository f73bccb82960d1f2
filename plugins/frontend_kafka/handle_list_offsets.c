/* handle_list_offsets.c: ListOffsets (KIP-79, KIP-207, KIP-734, KIP-405, KIP-1005, KIP-1023).
 *
 * Times below zero are questions; each exists since a version: -3 (newest time) since 7, -4
 * (earliest local) since 8, -5 (latest tiered) since 9, -6 (earliest not yet tiered) since 11.
 * Without tiered storage -6 has no answer, as in Kafka: offset -1. A partition that is asked for
 * twice is answered once, INVALID_REQUEST. */
#include "kafka_api.h"
#include "kafka_legacy.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdlib.h>
#include <string.h>

#define EARLIEST_PENDING_UPLOAD (-6)
#define LATEST                  (-1)

typedef struct kafka_list_offsets_response_partition response_partition;

/* First version of the question -1, -2, … */
static const int16_t question_since[] = {0, 0, 7, 8, 9, 11};
#define QUESTION_COUNT ((int64_t)(sizeof(question_since) / sizeof(question_since[0])))

static sluice_status check_time(int16_t version, int64_t timestamp)
{
    if (timestamp >= 0) {
        return SLUICE_OK;
    }
    return timestamp >= -QUESTION_COUNT && version >= question_since[-timestamp - 1]
               ? SLUICE_OK
               : SLUICE_E_UNSUPPORTED_VERSION;
}

static bool is_known(sluice_status status)
{
    return status != SLUICE_E_TOPIC_AUTHORIZATION;
}

static void answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct kafka_call *call = arg;
    response_partition **slots = call->slots;

    for (uint32_t i = 0; i < count; i++) {
        if (slots[i]->error_code != KAFKA_NO_ANSWER && is_known(answers[i].status)) {
            continue; /* asked for twice */
        }
        slots[i]->error_code = kafka_status_code(answers[i].status);
        if (answers[i].status == SLUICE_OK) {
            slots[i]->offset = answers[i].offset;
            slots[i]->timestamp = answers[i].timestamp;
            bool has_epoch = call->version >= 4 && answers[i].offset >= 0;
            slots[i]->leader_epoch = has_epoch ? answers[i].leader_epoch : -1;
        }
    }
    kafka_call_answer(call, call->response);
}

/* ---- what is asked for twice ---- */

struct asked {
    struct kafka_bytes topic;
    int32_t partition;
    int32_t place; /* in the request */
};

static int compare_names(struct kafka_bytes a, struct kafka_bytes b)
{
    int32_t both = a.size < b.size ? a.size : b.size;
    int order = both > 0 ? memcmp(a.data, b.data, (size_t)both) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_partitions(const struct asked *a, const struct asked *b)
{
    int order = compare_names(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare_asked(const void *left, const void *right)
{
    const struct asked *a = left;
    const struct asked *b = right;
    int order = compare_partitions(a, b);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

enum turn { ONCE, FIRST_OF_MANY, AGAIN };

/* One turn for each partition of the request, in its order; NULL: no room. */
static uint8_t *find_turns(struct kafka_call *call, int64_t count)
{
    const struct kafka_list_offsets_request *request = call->request;
    struct asked *all = kafka_call_try_take(call, count, sizeof(*all));
    uint8_t *turns = kafka_call_try_take(call, count, sizeof(*turns));
    int32_t at = 0;

    if (all == NULL || turns == NULL || count < 2) {
        return all == NULL ? NULL : turns;
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct kafka_list_offsets_request_topic *topic = &request->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++, at++) {
            all[at] = (struct asked){topic->name, topic->partitions[j].partition_index, at};
        }
    }
    qsort(all, (size_t)count, sizeof(*all), compare_asked);
    for (int64_t i = 1; i < count; i++) {
        if (compare_partitions(&all[i - 1], &all[i]) == 0) {
            turns[all[i].place] = AGAIN;
            if (turns[all[i - 1].place] == ONCE) {
                turns[all[i - 1].place] = FIRST_OF_MANY;
            }
        }
    }
    return turns;
}

/* ---- the request ---- */

/* Lays out one topic; returns how many queries it adds, or -1. */
static int32_t lay_out_topic(struct kafka_call *call,
                             const struct kafka_list_offsets_request_topic *topic,
                             struct kafka_list_offsets_response_topic *answer, const uint8_t *turns,
                             struct sluice_offset_query *queries, response_partition **slots)
{
    int32_t added = 0;

    kafka_list_offsets_response_topic_init(answer);
    answer->name = topic->name;
    answer->partitions =
        kafka_call_try_take(call, topic->partitions_count, sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return -1;
    }
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct kafka_list_offsets_request_partition *partition = &topic->partitions[i];
        response_partition *slot = &answer->partitions[answer->partitions_count];
        sluice_status status = check_time(call->version, partition->timestamp);

        if (turns[i] == AGAIN) {
            continue;
        }
        answer->partitions_count++;
        kafka_list_offsets_response_partition_init(slot);
        slot->partition_index = partition->partition_index;
        slot->error_code = kafka_status_code(status);
        if (turns[i] == ONCE &&
            (status != SLUICE_OK || partition->timestamp == EARLIEST_PENDING_UPLOAD)) {
            continue;
        }
        slot->error_code = turns[i] == ONCE ? (int16_t)KAFKA_NO_ANSWER
                                            : kafka_status_code(SLUICE_E_INVALID_REQUEST);
        slots[added] = slot;
        queries[added++] = (struct sluice_offset_query){
            .topic = {.name = kafka_to_text(topic->name)},
            .partition = partition->partition_index,
            .leader_epoch = partition->current_leader_epoch,
            .timestamp = turns[i] == ONCE ? partition->timestamp : LATEST,
        };
    }
    return added;
}

static int64_t count_partitions(const struct kafka_list_offsets_request *request)
{
    int64_t count = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    return count;
}

void kafka_handle_list_offsets(struct kafka_call *call)
{
    if (call->version == 0) {
        kafka_handle_list_offsets_0(call);
        return;
    }
    const struct kafka_list_offsets_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t count = count_partitions(request);
    struct kafka_list_offsets_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_offset_query *queries = kafka_call_try_take(call, count, sizeof(*queries));
    response_partition **slots = kafka_call_try_take(call, count, sizeof(*slots));
    struct kafka_list_offsets_response_topic *topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*topics));
    const uint8_t *turns = find_turns(call, count);
    bool ok =
        response != NULL && queries != NULL && slots != NULL && topics != NULL && turns != NULL;
    int32_t at = 0;

    for (int32_t i = 0; ok && i < request->topics_count; i++) {
        int32_t added =
            lay_out_topic(call, &request->topics[i], &topics[i], turns, queries + at, slots + at);
        ok = added >= 0;
        at += added;
        turns += request->topics[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_list_offsets_response_init(response);
    response->topics = topics;
    response->topics_count = request->topics_count;
    call->response = response;
    call->slots = slots;
    if (at == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->offsets(broker, kafka_call_context(call), request->isolation_level, queries,
                    (uint32_t)at, answered, call);
}
