/* handle_consumer_group.c: ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848, KIP-1082,
 * KIP-1099): groups whose partitions the broker assigns, by topic ids. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <string.h>

#define OWN_ID_SINCE    1 /* version of ConsumerGroupHeartbeat: clients make their ids */
#define MEMBER_CLASSIC  0
#define MEMBER_CONSUMER 1

/* ---- ConsumerGroupHeartbeat ---- */

/* Partitions come by topic, in a row. */
static bool fill_assignment(struct kafka_call *call,
                            const struct sluice_consumer_heartbeat_answer *from,
                            struct kafka_consumer_group_heartbeat_response_assignment *answer)
{
    uint32_t count = from->partition_count;
    int32_t *numbers = kafka_call_try_take(call, count, sizeof(*numbers));
    kafka_consumer_group_heartbeat_response_assignment_init(answer);
    answer->topic_partitions = kafka_call_try_take(call, count, sizeof(*answer->topic_partitions));
    if (numbers == NULL || answer->topic_partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool is_next = i > 0 && memcmp(from->partitions[i].topic.bytes,
                                       from->partitions[i - 1].topic.bytes, 16) == 0;
        if (!is_next) {
            struct kafka_consumer_group_heartbeat_response_topic_partition *topic =
                &answer->topic_partitions[answer->topic_partitions_count++];
            kafka_consumer_group_heartbeat_response_topic_partition_init(topic);
            topic->topic_id = kafka_of_uuid(from->partitions[i].topic);
            topic->partitions = &numbers[i];
        }
        numbers[i] = from->partitions[i].partition;
        answer->topic_partitions[answer->topic_partitions_count - 1].partitions_count++;
    }
    return true;
}

static void heard(void *arg, const struct sluice_consumer_heartbeat_answer *answer)
{
    struct kafka_call *call = arg;
    struct kafka_consumer_group_heartbeat_response response;
    struct kafka_consumer_group_heartbeat_response_assignment assignment;

    kafka_consumer_group_heartbeat_response_init(&response);
    response.error_code = kafka_status_code(answer->status);
    response.error_message = answer->status == SLUICE_OK ? kafka_null()
                             : answer->message.size > 0
                                 ? kafka_of_text(answer->message)
                                 : kafka_string(kafka_status_text(answer->status));
    if (answer->status == SLUICE_OK) {
        response.member_id = kafka_of_text(answer->member);
        response.member_epoch = answer->member_epoch;
        response.heartbeat_interval_ms = answer->heartbeat_interval_ms;
        if (answer->has_assignment && !fill_assignment(call, answer, &assignment)) {
            kafka_call_fail(call, "an assignment does not fit", SLUICE_E_LIMIT);
            return;
        }
        response.assignment = answer->has_assignment ? &assignment : NULL;
    }
    kafka_call_answer(call, &response);
}

static bool take_owned(struct kafka_call *call, struct sluice_consumer_heartbeat *heartbeat)
{
    const struct kafka_consumer_group_heartbeat_request *request = call->request;
    int64_t count = 0;
    for (int32_t i = 0; i < request->topic_partitions_count; i++) {
        count += request->topic_partitions[i].partitions_count;
    }
    struct sluice_assigned_partition *owned = kafka_call_try_take(call, count, sizeof(*owned));
    if (owned == NULL) {
        return false;
    }
    heartbeat->has_owned = request->topic_partitions_count >= 0;
    heartbeat->owned = owned;
    for (int32_t i = 0; i < request->topic_partitions_count; i++) {
        const struct kafka_consumer_group_heartbeat_request_topic_partition *topic =
            &request->topic_partitions[i];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            owned[heartbeat->owned_count++] = (struct sluice_assigned_partition){
                kafka_to_uuid(topic->topic_id), topic->partitions[p]};
        }
    }
    return true;
}

static bool take_topics(struct kafka_call *call, struct sluice_consumer_heartbeat *heartbeat)
{
    const struct kafka_consumer_group_heartbeat_request *request = call->request;
    int32_t count = request->subscribed_topic_names_count;
    struct sluice_text *topics = kafka_call_try_take(call, count > 0 ? count : 0, sizeof(*topics));
    if (topics == NULL) {
        return false;
    }
    heartbeat->has_topics = count >= 0;
    heartbeat->topics = topics;
    for (int32_t i = 0; i < count; i++) {
        topics[heartbeat->topic_count++] = kafka_to_text(request->subscribed_topic_names[i]);
    }
    return true;
}

void kafka_handle_consumer_group_heartbeat(struct kafka_call *call)
{
    const struct kafka_consumer_group_heartbeat_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_consumer_heartbeat *heartbeat = kafka_call_try_take(call, 1, sizeof(*heartbeat));

    if (heartbeat == NULL) {
        kafka_call_fail(call, "a heartbeat does not fit", SLUICE_E_LIMIT);
        return;
    }
    *heartbeat = (struct sluice_consumer_heartbeat){
        .size = sizeof(*heartbeat),
        .member_epoch = request->member_epoch,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .instance = kafka_to_text(request->instance_id),
        .rack = kafka_to_text(request->rack_id),
        .regex = kafka_to_text(request->subscribed_topic_regex),
        .assignor = kafka_to_text(request->server_assignor),
        .rebalance_timeout_ms = request->rebalance_timeout_ms,
        .needs_member = call->version >= OWN_ID_SINCE,
    };
    if (!take_owned(call, heartbeat) || !take_topics(call, heartbeat)) {
        kafka_call_fail(call, "a heartbeat does not fit", SLUICE_E_LIMIT);
        return;
    }
    broker->consumer_group_heartbeat(broker, kafka_call_context(call), heartbeat, heard, call);
}

/* ---- ConsumerGroupDescribe ---- */

typedef struct kafka_consumer_group_describe_response_member response_member;
typedef struct kafka_consumer_group_describe_response_assignment response_assignment;

struct described {
    struct kafka_call *call;
    struct kafka_consumer_group_describe_response_group *answer;
};

static bool fill_set(struct kafka_call *call, const struct sluice_described_partition *from,
                     uint32_t count, response_assignment *answer)
{
    int32_t *numbers = kafka_call_try_take(call, count, sizeof(*numbers));
    bool ok = true;
    kafka_consumer_group_describe_response_assignment_init(answer);
    answer->topic_partitions = kafka_call_try_take(call, count, sizeof(*answer->topic_partitions));
    if (numbers == NULL || answer->topic_partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count && ok; i++) {
        if (from[i].name.size == 0) {
            continue; /* of a topic that is gone */
        }
        int32_t at = answer->topic_partitions_count;
        bool is_next = at > 0 && memcmp(answer->topic_partitions[at - 1].topic_id.b,
                                        from[i].topic.bytes, 16) == 0;
        if (!is_next) {
            struct kafka_consumer_group_describe_response_topic_partition *topic =
                &answer->topic_partitions[answer->topic_partitions_count++];
            kafka_consumer_group_describe_response_topic_partition_init(topic);
            topic->topic_id = kafka_of_uuid(from[i].topic);
            topic->partitions = &numbers[i];
            ok = kafka_call_copy(call, kafka_of_text_or_empty(from[i].name), &topic->topic_name);
        }
        numbers[i] = from[i].partition;
        answer->topic_partitions[answer->topic_partitions_count - 1].partitions_count++;
    }
    return ok;
}

static bool fill_member(struct kafka_call *call, const struct sluice_consumer_member_info *from,
                        response_member *answer)
{
    kafka_consumer_group_describe_response_member_init(answer);
    answer->member_epoch = from->epoch;
    answer->member_type = from->is_classic ? MEMBER_CLASSIC : MEMBER_CONSUMER;
    answer->subscribed_topic_names =
        kafka_call_try_take(call, from->topic_count, sizeof(*answer->subscribed_topic_names));
    if (answer->subscribed_topic_names == NULL) {
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < from->topic_count && ok; i++) {
        ok = kafka_call_copy(call, kafka_of_text_or_empty(from->topics[i]),
                             &answer->subscribed_topic_names[i]);
        answer->subscribed_topic_names_count++;
    }
    return ok && kafka_call_copy(call, kafka_of_text_or_empty(from->id), &answer->member_id) &&
           kafka_call_copy(call, kafka_of_text(from->instance), &answer->instance_id) &&
           kafka_call_copy(call, kafka_of_text(from->rack), &answer->rack_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(from->client_id), &answer->client_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(from->client_host), &answer->client_host) &&
           kafka_call_copy(call, kafka_of_text_or_empty(from->regex),
                           &answer->subscribed_topic_regex) &&
           fill_set(call, from->assigned, from->assigned_count, &answer->assignment) &&
           fill_set(call, from->target, from->target_count, &answer->target_assignment);
}

static bool fill_group(struct kafka_call *call, const struct sluice_consumer_group_info *info,
                       struct kafka_consumer_group_describe_response_group *answer)
{
    answer->group_epoch = info->epoch;
    answer->assignment_epoch = info->assignment_epoch;
    answer->members = kafka_call_try_take(call, info->member_count, sizeof(*answer->members));
    bool ok = answer->members != NULL;
    for (uint32_t i = 0; i < info->member_count && ok; i++) {
        ok = fill_member(call, &info->members[i], &answer->members[answer->members_count++]);
    }
    return ok && kafka_call_copy(call, kafka_of_text_or_empty(info->state), &answer->group_state) &&
           kafka_call_copy(call, kafka_of_text_or_empty(info->assignor), &answer->assignor_name);
}

static void got_group(void *arg, const struct sluice_consumer_group_info *info)
{
    struct described *described = arg;
    struct kafka_consumer_group_describe_response_group *answer = described->answer;
    bool fits = true;

    answer->error_code =
        kafka_status_code(info->status == SLUICE_E_GROUP_NOT_FOUND && answer->group_id.size == 0
                              ? SLUICE_E_INVALID_GROUP_ID
                              : info->status);
    if (info->status != SLUICE_OK) {
        fits = kafka_call_copy(described->call, kafka_of_reason(info->message),
                               &answer->error_message);
    } else {
        fits = fill_group(described->call, info, answer);
    }
    kafka_call_part(described->call, fits);
}

static void describe(struct described *described, struct kafka_bytes name)
{
    struct kafka_call *call = described->call;
    const struct kafka_consumer_group_describe_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);

    kafka_consumer_group_describe_response_group_init(described->answer);
    described->answer->group_id = name;
    if (request->include_authorized_operations) {
        described->answer->authorized_operations =
            kafka_operations(call, SLUICE_ACL_GROUP, kafka_to_text(name), KAFKA_GROUP_OPERATIONS);
    }
    broker->consumer_group_describe(broker, kafka_call_context(call), kafka_to_text(name),
                                    got_group, described);
}

void kafka_handle_consumer_group_describe(struct kafka_call *call)
{
    const struct kafka_consumer_group_describe_request *request = call->request;
    int32_t count = request->group_ids_count;
    struct kafka_consumer_group_describe_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct described *all = kafka_call_try_take(call, count, sizeof(*all));
    struct kafka_consumer_group_describe_response_group *groups =
        kafka_call_try_take(call, count, sizeof(*groups));

    if (response == NULL || all == NULL || groups == NULL) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_consumer_group_describe_response_init(response);
    response->groups = groups;
    response->groups_count = count;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        all[i] = (struct described){call, &groups[i]};
        describe(&all[i], request->group_ids[i]);
    }
    kafka_call_part(call, true);
}
