/* handle_partitions.c: CreatePartitions (KIP-195, KIP-599): topics grow.
 *
 * Each topic has its own outcome. Replica assignments, one a new partition, can only name this
 * node. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_names.h"
#include "kafka_status.h"
#include "kafka_throttle.h"

#define CREATE_PARTITIONS_MAX 10000 /* topics of one request */
#define STRICT_SINCE          3     /* a topic beyond the quota of changes is refused */

typedef struct kafka_create_partitions_response_result response_result;

static void grown(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    response_result **slots = call->slots;
    bool ok = true;

    for (uint32_t i = 0; i < count; i++) {
        struct sluice_text reason = results[i].reason;
        slots[i]->error_code = kafka_status_code(results[i].status);
        if (results[i].status != SLUICE_OK && reason.size == 0) {
            reason = sluice_text_of(kafka_status_text(results[i].status));
        }
        ok = ok && kafka_call_copy(call, kafka_of_reason(reason), &slots[i]->error_message);
    }
    if (!ok) {
        kafka_call_fail(call, "the answer to a growth does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, call->response);
}

static bool assignments_are_possible(const struct kafka_call *call,
                                     const struct kafka_create_partitions_request_topic *topic)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));

    for (int32_t i = 0; i < topic->assignments_count; i++) {
        const struct kafka_create_partitions_request_assignment *at = &topic->assignments[i];
        if (at->broker_ids_count != 1 || cluster->node_count == 0 ||
            at->broker_ids[0] != cluster->nodes[0].id) {
            return false;
        }
    }
    return true;
}

static int64_t new_partitions(struct kafka_call *call,
                              const struct kafka_create_partitions_request_topic *topic)
{
    const struct kafka_create_partitions_request *request = call->request;
    const struct sluice_topic_ref ref = {.name = kafka_to_text_or_empty(topic->name)};
    int64_t more = topic->count - kafka_throttle_partitions(call, &ref);
    return request->validate_only || more < 0 ? 0 : more;
}

/* false: it is refused here. */
static bool lay_out(struct kafka_call *call,
                    const struct kafka_create_partitions_request_topic *topic,
                    enum kafka_name_use use, response_result *slot,
                    struct sluice_topic_growth *growth)
{
    kafka_create_partitions_response_result_init(slot);
    slot->name = topic->name;
    slot->error_code = KAFKA_NO_ANSWER;
    if (use != KAFKA_NAME_ONCE) {
        slot->error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
        slot->error_message = kafka_string("the request names this topic more than once");
        return false;
    }
    if (!kafka_throttle_mutate(call, new_partitions(call, topic), STRICT_SINCE)) {
        slot->error_code = kafka_status_code(SLUICE_E_QUOTA_EXCEEDED);
        slot->error_message = kafka_string(kafka_status_text(SLUICE_E_QUOTA_EXCEEDED));
        return false;
    }
    *growth = (struct sluice_topic_growth){
        .name = kafka_to_text(topic->name),
        .partition_count = topic->count,
        .assigned = assignments_are_possible(call, topic) ? topic->assignments_count + 1 : -1};
    return true;
}

static enum kafka_name_use *uses_of_names(struct kafka_call *call)
{
    const struct kafka_create_partitions_request *request = call->request;
    struct kafka_bytes *names = kafka_call_try_take(call, request->topics_count, sizeof(*names));

    for (int32_t i = 0; names != NULL && i < request->topics_count; i++) {
        names[i] = request->topics[i].name;
    }
    return names != NULL ? kafka_names_use(call, names, request->topics_count) : NULL;
}

void kafka_handle_create_partitions(struct kafka_call *call)
{
    const struct kafka_create_partitions_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->topics_count;
    struct kafka_create_partitions_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    response_result *results = kafka_call_try_take(call, count, sizeof(*results));
    response_result **slots = kafka_call_try_take(call, count, sizeof(*slots));
    struct sluice_topic_growth *growths = kafka_call_try_take(call, count, sizeof(*growths));
    enum kafka_name_use *uses = uses_of_names(call);
    uint32_t asked = 0;

    if (response == NULL || results == NULL || slots == NULL || growths == NULL || uses == NULL ||
        count > CREATE_PARTITIONS_MAX) {
        kafka_call_fail(call, "a request names too many topics", SLUICE_E_LIMIT);
        return;
    }
    kafka_create_partitions_response_init(response);
    response->results = results;
    for (int32_t i = 0; i < count; i++) {
        response_result *slot = &results[response->results_count];
        response->results_count += uses[i] != KAFKA_NAME_AGAIN;
        if (uses[i] != KAFKA_NAME_AGAIN &&
            lay_out(call, &request->topics[i], uses[i], slot, &growths[asked])) {
            slots[asked++] = slot;
        }
    }
    call->response = response;
    call->slots = slots;
    if (asked == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->partitions_create(broker, kafka_call_context(call), growths, asked,
                              request->validate_only, grown, call);
}
