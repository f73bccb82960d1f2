/* handle_group_admin.c: ListGroups (KIP-518, KIP-848), DescribeGroups (KIP-430), DeleteGroups
 * (KIP-229) and OffsetDelete (KIP-496), for groups of the classic protocol.
 *
 * A group that has offsets but no members is Empty. OffsetDelete leaves alone what a member is
 * subscribed to: its metadata is opaque to the broker, so it is read here. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_names.h"
#include "kafka_status.h"

#include <string.h>

#define CONSUMER_PROTOCOL   "consumer"
#define ERROR_IN_PLACE_FROM 6 /* version of DescribeGroups: a missing group is an error */
#define VERSION_MAX         3 /* of a consumer's subscription */

/* ---- ListGroups ---- */

static bool is_wanted(const struct kafka_bytes *filters, int32_t count, struct sluice_text text)
{
    for (int32_t i = 0; i < count; i++) {
        if (filters[i].size == (int32_t)text.size &&
            strncasecmp((const char *)filters[i].data, text.data, (size_t)text.size) == 0) {
            return true;
        }
    }
    return count <= 0;
}

static bool fill_listed(struct kafka_call *call, const struct sluice_group_summary *group,
                        struct kafka_list_groups_response_group *answer)
{
    kafka_list_groups_response_group_init(answer);
    return kafka_call_copy(call, kafka_of_text_or_empty(group->type), &answer->group_type) &&
           kafka_call_copy(call, kafka_of_text_or_empty(group->group), &answer->group_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(group->protocol_type),
                           &answer->protocol_type) &&
           kafka_call_copy(call, kafka_of_text_or_empty(group->state), &answer->group_state);
}

static void listed(void *arg, sluice_status status, const struct sluice_group_summary *groups,
                   uint32_t count)
{
    struct kafka_call *call = arg;
    const struct kafka_list_groups_request *request = call->request;
    struct kafka_list_groups_response *response = call->response;
    bool ok = true;

    response->error_code = kafka_status_code(status);
    response->groups = kafka_call_try_take(call, count, sizeof(*response->groups));
    ok = response->groups != NULL;
    for (uint32_t i = 0; ok && i < count; i++) {
        if (is_wanted(request->states_filter, request->states_filter_count, groups[i].state) &&
            is_wanted(request->types_filter, request->types_filter_count, groups[i].type)) {
            ok = fill_listed(call, &groups[i], &response->groups[response->groups_count++]);
        }
    }
    if (!ok) {
        kafka_call_fail(call, "a list of groups does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, response);
}

void kafka_handle_list_groups(struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_list_groups_response *response = kafka_call_take(call, 1, sizeof(*response));

    if (response == NULL) {
        return;
    }
    kafka_list_groups_response_init(response);
    call->response = response;
    broker->groups(broker, kafka_call_context(call), listed, call);
}

/* ---- DescribeGroups ---- */

struct described {
    struct kafka_call *call;
    struct kafka_describe_groups_response_group *answer;
};

static bool fill_member(struct kafka_call *call, const struct sluice_group_member_info *member,
                        bool is_stable, struct kafka_describe_groups_response_member *answer)
{
    kafka_describe_groups_response_member_init(answer);
    return kafka_call_copy(call, kafka_of_text_or_empty(member->id), &answer->member_id) &&
           kafka_call_copy(call, kafka_of_text(member->instance), &answer->group_instance_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(member->client_id), &answer->client_id) &&
           kafka_call_copy(call, kafka_of_text_or_empty(member->client_host),
                           &answer->client_host) &&
           (!is_stable ||
            (kafka_call_copy(call, kafka_of_bytes(member->metadata), &answer->member_metadata) &&
             kafka_call_copy(call, kafka_of_bytes(member->assignment),
                             &answer->member_assignment)));
}

/* Metadata, assignments and the protocol are told of a stable group only, as in Kafka. */
static bool fill_group(struct kafka_call *call, const struct sluice_group_info *info,
                       struct kafka_describe_groups_response_group *answer)
{
    bool is_stable = kafka_bytes_equal(kafka_of_text_or_empty(info->state), kafka_string("Stable"));

    answer->members = kafka_call_try_take(call, info->member_count, sizeof(*answer->members));
    if (answer->members == NULL) {
        return false;
    }
    answer->members_count = (int32_t)info->member_count;
    for (uint32_t i = 0; i < info->member_count; i++) {
        if (!fill_member(call, &info->members[i], is_stable, &answer->members[i])) {
            return false;
        }
    }
    struct sluice_text protocol = is_stable ? info->protocol : sluice_text_of("");
    return kafka_call_copy(call, kafka_of_text_or_empty(info->state), &answer->group_state) &&
           kafka_call_copy(call, kafka_of_text_or_empty(info->protocol_type),
                           &answer->protocol_type) &&
           kafka_call_copy(call, kafka_of_text_or_empty(protocol), &answer->protocol_data);
}

static void got_group(void *arg, const struct sluice_group_info *info)
{
    struct described *described = arg;
    struct kafka_describe_groups_response_group *answer = described->answer;
    bool is_missing = info->status == SLUICE_E_GROUP_NOT_FOUND;
    bool fits = true;

    if (is_missing) { /* before version 6 that is a state, not an error */
        bool is_error = described->call->version >= ERROR_IN_PLACE_FROM;
        answer->error_code = is_error ? kafka_status_code(info->status) : 0;
        answer->group_state = kafka_string("Dead");
    } else if (info->status != SLUICE_OK) {
        answer->error_code = kafka_status_code(info->status);
    } else {
        fits = fill_group(described->call, info, answer);
    }
    kafka_call_part(described->call, fits);
}

static void describe(struct described *described, struct kafka_bytes name)
{
    struct kafka_call *call = described->call;
    const struct kafka_describe_groups_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);

    kafka_describe_groups_response_group_init(described->answer);
    described->answer->group_id = name;
    if (request->include_authorized_operations) {
        described->answer->authorized_operations =
            kafka_operations(call, SLUICE_ACL_GROUP, kafka_to_text(name), KAFKA_GROUP_OPERATIONS);
    }
    broker->group_describe(broker, kafka_call_context(call), kafka_to_text(name), got_group,
                           described);
}

void kafka_handle_describe_groups(struct kafka_call *call)
{
    const struct kafka_describe_groups_request *request = call->request;
    int32_t count = request->groups_count;
    struct kafka_describe_groups_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct described *all = kafka_call_try_take(call, count, sizeof(*all));
    struct kafka_describe_groups_response_group *groups =
        kafka_call_try_take(call, count, sizeof(*groups));

    if (response == NULL || all == NULL || groups == NULL) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_describe_groups_response_init(response);
    response->groups = groups;
    response->groups_count = count;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        all[i] = (struct described){call, &groups[i]};
        describe(&all[i], request->groups[i]);
    }
    kafka_call_part(call, true);
}

/* ---- DeleteGroups ---- */

struct deletion {
    struct kafka_call *call;
    struct kafka_delete_groups_response_result *answer;
};

static void deleted(void *arg, sluice_status status)
{
    struct deletion *deletion = arg;
    deletion->answer->error_code = kafka_status_code(status);
    kafka_call_part(deletion->call, true);
}

void kafka_handle_delete_groups(struct kafka_call *call)
{
    const struct kafka_delete_groups_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->groups_names_count;
    struct kafka_delete_groups_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct deletion *all = kafka_call_try_take(call, count, sizeof(*all));
    struct kafka_delete_groups_response_result *results =
        kafka_call_try_take(call, count, sizeof(*results));

    const enum kafka_name_use *uses = kafka_names_use(call, request->groups_names, count);

    if (response == NULL || all == NULL || results == NULL || uses == NULL) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_delete_groups_response_init(response);
    response->results = results;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        if (uses[i] == KAFKA_NAME_AGAIN) {
            call->pending--;
            continue;
        }
        struct kafka_delete_groups_response_result *result = &results[response->results_count++];
        all[i] = (struct deletion){call, result};
        kafka_delete_groups_response_result_init(result);
        result->group_id = request->groups_names[i];
        broker->group_delete(broker, kafka_call_context(call),
                             kafka_to_text(request->groups_names[i]), deleted, &all[i]);
    }
    kafka_call_part(call, true);
}

/* ---- OffsetDelete ---- */

typedef struct kafka_offset_delete_response_partition response_partition;

/* What is laid out: each partition of the request, in order. */
struct offsets {
    struct sluice_offset_fetch fetch;
    struct sluice_offset_fetch_entry *entries; /* of those that are asked for */
    response_partition **slots;
};

static bool names_topic(struct kafka_call *call, struct sluice_bytes metadata,
                        struct kafka_bytes topic)
{
    struct kafka_consumer_protocol_subscription subscription;
    size_t consumed = 0;

    if (metadata.size < 2) {
        return false;
    }
    int16_t version = (int16_t)((metadata.data[0] << 8) | metadata.data[1]);
    version = version > VERSION_MAX ? VERSION_MAX : version;
    if (version < 0 || kafka_consumer_protocol_subscription_decode(
                           metadata.data + 2, metadata.size - 2, version, &call->arena,
                           &subscription, &consumed) != SLUICE_OK) {
        return true; /* it may read anything */
    }
    for (int32_t i = 0; i < subscription.topics_count; i++) {
        if (kafka_bytes_equal(subscription.topics[i], topic)) {
            return true;
        }
    }
    return false;
}

static bool is_subscribed(struct kafka_call *call, const struct sluice_group_info *info,
                          struct kafka_bytes topic)
{
    for (uint32_t i = 0; i < info->member_count; i++) {
        if (names_topic(call, info->members[i].metadata, topic)) {
            return true;
        }
    }
    return false;
}

static void offsets_deleted(void *arg, sluice_status status, const sluice_status *statuses,
                            uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_offset_delete_response *response = call->response;
    const struct offsets *offsets = call->slots;

    response->error_code = kafka_status_code(status);
    response->topics_count = status == SLUICE_OK ? response->topics_count : 0;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        offsets->slots[i]->error_code = kafka_status_code(statuses[i]);
    }
    kafka_call_answer(call, response);
}

/* Splits the partitions into those that stay and those that are asked for. */
static void choose(struct kafka_call *call, const struct sluice_group_info *info)
{
    const struct kafka_offset_delete_request *request = call->request;
    struct kafka_offset_delete_response *response = call->response;
    struct offsets *offsets = call->slots;

    for (int32_t t = 0; t < request->topics_count; t++) {
        bool stays = is_subscribed(call, info, request->topics[t].name);
        for (int32_t p = 0; p < request->topics[t].partitions_count; p++) {
            response_partition *slot = &response->topics[t].partitions[p];
            if (stays) {
                slot->error_code = kafka_status_code(SLUICE_E_GROUP_SUBSCRIBED);
                continue;
            }
            offsets->slots[offsets->fetch.entry_count] = slot;
            offsets->entries[offsets->fetch.entry_count++] = (struct sluice_offset_fetch_entry){
                .topic = {.name = kafka_to_text(request->topics[t].name)},
                .partition = slot->partition_index};
        }
    }
}

static void got_members(void *arg, const struct sluice_group_info *info)
{
    struct kafka_call *call = arg;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_offset_delete_response *response = call->response;
    struct offsets *offsets = call->slots;
    bool is_consumer = kafka_bytes_equal(kafka_of_text_or_empty(info->protocol_type),
                                         kafka_string(CONSUMER_PROTOCOL));
    sluice_status status = info->status;
    bool is_classic = status != SLUICE_E_GROUP_NOT_FOUND;

    if (!is_classic) { /* of another kind: the broker knows what it reads, and whether it is there
                        */
        status = SLUICE_OK;
    }
    if (status == SLUICE_OK && info->member_count > 0 && !is_consumer) {
        status = SLUICE_E_GROUP_NOT_EMPTY;
    }
    if (status == SLUICE_OK) {
        choose(call, info);
    } else {
        response->error_code = kafka_status_code(status);
        response->topics_count = 0;
    }
    bool is_done = status != SLUICE_OK || (is_classic && offsets->fetch.entry_count == 0);
    if (is_done || !kafka_conn_is_open(call->conn)) {
        kafka_call_answer(call, response);
        return;
    }
    broker->offset_delete(broker, kafka_call_context(call), &offsets->fetch, offsets_deleted, call);
}

static bool lay_out_topic(struct kafka_call *call,
                          const struct kafka_offset_delete_request_topic *topic,
                          struct kafka_offset_delete_response_topic *answer)
{
    kafka_offset_delete_response_topic_init(answer);
    answer->name = topic->name;
    answer->partitions =
        kafka_call_try_take(call, topic->partitions_count, sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        kafka_offset_delete_response_partition_init(&answer->partitions[i]);
        answer->partitions[i].partition_index = topic->partitions[i].partition_index;
    }
    return true;
}

void kafka_handle_offset_delete(struct kafka_call *call)
{
    const struct kafka_offset_delete_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->topics_count;
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) {
        total += request->topics[i].partitions_count;
    }
    struct kafka_offset_delete_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_offset_delete_response_topic *topics =
        kafka_call_try_take(call, count, sizeof(*topics));
    struct offsets *offsets = kafka_call_try_take(call, 1, sizeof(*offsets));
    struct sluice_offset_fetch_entry *entries = kafka_call_try_take(call, total, sizeof(*entries));
    response_partition **slots = kafka_call_try_take(call, total, sizeof(*slots));
    bool ok =
        response != NULL && topics != NULL && offsets != NULL && entries != NULL && slots != NULL;

    for (int32_t i = 0; ok && i < count; i++) {
        ok = lay_out_topic(call, &request->topics[i], &topics[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_offset_delete_response_init(response);
    response->topics = topics;
    response->topics_count = count;
    if (request->group_id.size <= 0) {
        response->error_code = kafka_status_code(SLUICE_E_INVALID_GROUP_ID);
        response->topics_count = 0;
        kafka_call_answer(call, response);
        return;
    }
    *offsets = (struct offsets){{.size = sizeof(offsets->fetch),
                                 .group = kafka_to_text(request->group_id),
                                 .entries = entries},
                                entries,
                                slots};
    call->response = response;
    call->slots = offsets;
    broker->group_describe(broker, kafka_call_context(call), kafka_to_text(request->group_id),
                           got_members, call);
}
