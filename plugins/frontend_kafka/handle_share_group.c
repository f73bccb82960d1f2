/* handle_share_group.c: ShareGroupHeartbeat, ShareGroupDescribe (KIP-932). */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <string.h>

#define ASSIGNOR_NAME "simple"
/* Of a group (KIP-430): read, delete, describe, describe and alter its configuration. */

/* ---- ShareGroupHeartbeat ---- */

static bool fill_joined(struct kafka_call *call, const struct sluice_share_joined *joined,
                        struct kafka_share_group_heartbeat_response *response)
{
    struct kafka_share_group_heartbeat_response_topic_partition *topics =
        kafka_call_try_take(call, joined->assignment_count, sizeof(*topics));
    response->assignment = kafka_call_try_take(call, 1, sizeof(*response->assignment));
    if (topics == NULL || response->assignment == NULL) {
        return false;
    }
    kafka_share_group_heartbeat_response_assignment_init(response->assignment);
    response->assignment->topic_partitions = topics;
    response->assignment->topic_partitions_count = (int32_t)joined->assignment_count;
    for (uint32_t i = 0; i < joined->assignment_count; i++) {
        const struct sluice_share_assignment *from = &joined->assignments[i];
        kafka_share_group_heartbeat_response_topic_partition_init(&topics[i]);
        topics[i].topic_id = kafka_of_uuid(from->topic);
        topics[i].partitions =
            kafka_call_try_take(call, from->count, sizeof(*topics[i].partitions));
        if (topics[i].partitions == NULL) {
            return false;
        }
        topics[i].partitions_count = (int32_t)from->count;
        memcpy(topics[i].partitions, from->partitions, from->count * sizeof(*from->partitions));
    }
    return true;
}

static void joined_group(void *arg, const struct sluice_share_joined *joined)
{
    struct kafka_call *call = arg;
    const struct kafka_share_group_heartbeat_request *request = call->request;
    struct kafka_share_group_heartbeat_response response;

    kafka_share_group_heartbeat_response_init(&response);
    response.error_code = kafka_status_code(joined->status);
    if (joined->status != SLUICE_OK) {
        response.error_message = kafka_string(kafka_status_text(joined->status));
    } else {
        response.member_id = request->member_id;
        response.member_epoch = joined->epoch;
        response.heartbeat_interval_ms = joined->epoch < 0 ? 0 : joined->heartbeat_ms;
        if (joined->assignments != NULL && !fill_joined(call, joined, &response)) {
            kafka_call_fail(call, "an assignment does not fit", SLUICE_E_LIMIT);
            return;
        }
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_share_group_heartbeat(struct kafka_call *call)
{
    const struct kafka_share_group_heartbeat_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_share_heartbeat *heartbeat = kafka_call_take(call, 1, sizeof(*heartbeat));
    int32_t count = request->subscribed_topic_names_count;
    struct sluice_text *topics;

    if (heartbeat == NULL) {
        return;
    }
    topics = kafka_call_take(call, count > 0 ? count : 1, sizeof(*topics));
    if (topics == NULL) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        topics[i] = kafka_to_text(request->subscribed_topic_names[i]);
    }
    *heartbeat = (struct sluice_share_heartbeat){
        .size = sizeof(*heartbeat),
        .epoch = request->member_epoch,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .rack = kafka_to_text(request->rack_id),
        .topics = count < 0 ? NULL : topics,
        .topic_count = count < 0 ? 0 : (uint32_t)count,
    };
    broker->share_heartbeat(broker, kafka_call_context(call), heartbeat, joined_group, call);
}

/* ---- ShareGroupDescribe ---- */

struct description {
    struct kafka_call *call;
    struct kafka_share_group_describe_response_group *answer;
};

static bool fill_assignment(struct kafka_call *call, const struct sluice_share_member *member,
                            struct kafka_share_group_describe_response_assignment *answer)
{
    answer->topic_partitions =
        kafka_call_try_take(call, member->assignment_count, sizeof(*answer->topic_partitions));
    if (answer->topic_partitions == NULL) {
        return false;
    }
    answer->topic_partitions_count = (int32_t)member->assignment_count;
    for (uint32_t i = 0; i < member->assignment_count; i++) {
        const struct sluice_share_assignment *from = &member->assignments[i];
        struct kafka_share_group_describe_response_topic_partitions *to =
            &answer->topic_partitions[i];
        kafka_share_group_describe_response_topic_partitions_init(to);
        to->topic_id = kafka_of_uuid(from->topic);
        to->partitions = kafka_call_try_take(call, from->count, sizeof(*to->partitions));
        if (to->partitions == NULL ||
            !kafka_call_copy(call, kafka_of_text_or_empty(from->name), &to->topic_name)) {
            return false;
        }
        to->partitions_count = (int32_t)from->count;
        memcpy(to->partitions, from->partitions, from->count * sizeof(*from->partitions));
    }
    return true;
}

static bool fill_member(struct kafka_call *call, const struct sluice_share_member *member,
                        struct kafka_share_group_describe_response_member *answer)
{
    kafka_share_group_describe_response_member_init(answer);
    answer->member_epoch = member->epoch;
    answer->subscribed_topic_names =
        kafka_call_try_take(call, member->topic_count, sizeof(*answer->subscribed_topic_names));
    bool ok = answer->subscribed_topic_names != NULL;
    answer->subscribed_topic_names_count = (int32_t)member->topic_count;
    for (uint32_t i = 0; ok && i < member->topic_count; i++) {
        ok = kafka_call_copy(call, kafka_of_text_or_empty(member->topics[i]),
                             &answer->subscribed_topic_names[i]);
    }
    return ok && kafka_call_copy(call, kafka_of_text_or_empty(member->id), &answer->member_id) &&
           kafka_call_copy(call, kafka_of_text(member->rack), &answer->rack_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(member->client_id), &answer->client_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(member->client_host),
                           &answer->client_host) &&
           fill_assignment(call, member, &answer->assignment);
}

static bool fill_group(struct kafka_call *call, const struct sluice_share_group *group,
                       struct kafka_share_group_describe_response_group *answer)
{
    answer->group_epoch = group->epoch;
    answer->assignment_epoch = group->epoch;
    answer->assignor_name = kafka_string(ASSIGNOR_NAME);
    answer->members = kafka_call_try_take(call, group->member_count, sizeof(*answer->members));
    bool ok = answer->members != NULL &&
              kafka_call_copy(call, kafka_of_text_or_empty(group->state), &answer->group_state);
    answer->members_count = (int32_t)group->member_count;
    for (uint32_t i = 0; ok && i < group->member_count; i++) {
        ok = fill_member(call, &group->members[i], &answer->members[i]);
    }
    return ok;
}

static void described(void *arg, const struct sluice_share_group *group)
{
    struct description *one = arg;
    struct kafka_call *call = one->call;
    const struct kafka_share_group_describe_request *request = call->request;
    bool fits = true;

    one->answer->error_code = kafka_status_code(group->status == SLUICE_E_GROUP_NOT_FOUND &&
                                                        one->answer->group_id.size == 0
                                                    ? SLUICE_E_INVALID_GROUP_ID
                                                    : group->status);
    if (group->status != SLUICE_OK) {
        one->answer->error_message = kafka_string(kafka_status_text(group->status));
    } else {
        fits = fill_group(call, group, one->answer);
        if (request->include_authorized_operations) {
            one->answer->authorized_operations =
                kafka_operations(call, SLUICE_ACL_GROUP, kafka_to_text(one->answer->group_id),
                                 KAFKA_GROUP_OPERATIONS);
        }
    }
    kafka_call_part(call, fits);
}

void kafka_handle_share_group_describe(struct kafka_call *call)
{
    const struct kafka_share_group_describe_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->group_ids_count;
    struct kafka_share_group_describe_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct description *all = kafka_call_try_take(call, count, sizeof(*all));
    struct kafka_share_group_describe_response_group *groups =
        kafka_call_try_take(call, count, sizeof(*groups));

    if (response == NULL || all == NULL || groups == NULL) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_share_group_describe_response_init(response);
    response->groups = groups;
    response->groups_count = count;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        kafka_share_group_describe_response_group_init(&groups[i]);
        groups[i].group_id = request->group_ids[i];
        all[i] = (struct description){.call = call, .answer = &groups[i]};
    }
    for (int32_t i = 0; i < count; i++) {
        broker->share_describe(broker, kafka_call_context(call), kafka_to_text(groups[i].group_id),
                               described, &all[i]);
    }
    kafka_call_part(call, true);
}
