/* handle_share_offsets.c: DescribeShareGroupOffsets, AlterShareGroupOffsets,
 * DeleteShareGroupOffsets (KIP-932, KIP-1226): where groups that share streams stand. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

/* ---- DescribeShareGroupOffsets ---- */

typedef struct kafka_describe_share_group_offsets_response_group described_group;
typedef struct kafka_describe_share_group_offsets_response_topic described_topic;
typedef struct kafka_describe_share_group_offsets_response_partition described_partition;

struct described {
    struct kafka_call *call;
    described_group *answer;
    struct sluice_offset_fetch fetch;
};

static bool is_of(const described_topic *topic, const struct sluice_share_offset *offset)
{
    struct kafka_bytes name = kafka_of_text_or_empty(offset->topic.name);
    return kafka_bytes_equal(topic->topic_name, name);
}

/* A topic's partitions are told together, in whatever order they came. */
static bool fill_offsets(struct kafka_call *call, const struct sluice_share_offset *offsets,
                         uint32_t count, described_group *answer)
{
    answer->topics = kafka_call_try_take(call, count, sizeof(*answer->topics));
    bool *told = kafka_call_try_take(call, count, sizeof(*told));
    described_partition *partitions = kafka_call_try_take(call, count, sizeof(*partitions));
    if (answer->topics == NULL || told == NULL || partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (told[i]) {
            continue;
        }
        described_topic *topic = &answer->topics[answer->topics_count++];
        kafka_describe_share_group_offsets_response_topic_init(topic);
        topic->partitions = partitions;
        topic->topic_id = kafka_of_uuid(offsets[i].topic.id);
        if (!kafka_call_copy(call, kafka_of_text_or_empty(offsets[i].topic.name),
                             &topic->topic_name)) {
            return false;
        }
        for (uint32_t k = i; k < count; k++) {
            if (told[k] || !is_of(topic, &offsets[k])) {
                continue;
            }
            told[k] = true;
            kafka_describe_share_group_offsets_response_partition_init(partitions);
            partitions->partition_index = offsets[k].partition;
            partitions->error_code = kafka_status_code(offsets[k].status);
            if (offsets[k].status != SLUICE_OK) {
                partitions->error_message = kafka_string(kafka_status_text(offsets[k].status));
            }
            partitions->start_offset = offsets[k].start;
            partitions->leader_epoch = offsets[k].leader_epoch;
            partitions->lag = offsets[k].lag;
            partitions++;
            topic->partitions_count++;
        }
    }
    return true;
}

static void described(void *arg, sluice_status status, const struct sluice_share_offset *offsets,
                      uint32_t count)
{
    struct described *one = arg;
    bool fits = true;

    one->answer->error_code = kafka_status_code(status);
    if (status != SLUICE_OK) {
        one->answer->error_message = kafka_string(kafka_status_text(status));
    } else {
        fits = fill_offsets(one->call, offsets, count, one->answer);
    }
    kafka_call_part(one->call, fits);
}

static bool lay_out_described(struct kafka_call *call,
                              const struct kafka_describe_share_group_offsets_request_group *group,
                              struct described *one)
{
    int64_t total = 0;
    one->fetch = (struct sluice_offset_fetch){.size = sizeof(one->fetch),
                                              .group = kafka_to_text(group->group_id)};
    if (group->topics_count < 0) {
        return true; /* all */
    }
    for (int32_t t = 0; t < group->topics_count; t++) {
        total += group->topics[t].partitions_count;
    }
    struct sluice_offset_fetch_entry *entries =
        kafka_call_try_take(call, total + 1, sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    one->fetch.entries = entries;
    for (int32_t t = 0; t < group->topics_count; t++) {
        for (int32_t p = 0; p < group->topics[t].partitions_count; p++) {
            entries[one->fetch.entry_count++] = (struct sluice_offset_fetch_entry){
                .topic = {.name = kafka_to_text(group->topics[t].topic_name)},
                .partition = group->topics[t].partitions[p]};
        }
    }
    return true;
}

void kafka_handle_describe_share_group_offsets(struct kafka_call *call)
{
    const struct kafka_describe_share_group_offsets_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->groups_count;
    struct kafka_describe_share_group_offsets_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct described *all = kafka_call_try_take(call, count, sizeof(*all));
    described_group *groups = kafka_call_try_take(call, count, sizeof(*groups));
    bool ok = response != NULL && all != NULL && groups != NULL;

    for (int32_t i = 0; ok && i < count; i++) {
        ok = lay_out_described(call, &request->groups[i], &all[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_describe_share_group_offsets_response_init(response);
    response->groups = groups;
    response->groups_count = count;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        kafka_describe_share_group_offsets_response_group_init(&groups[i]);
        groups[i].group_id = request->groups[i].group_id;
        all[i].call = call;
        all[i].answer = &groups[i];
    }
    for (int32_t i = 0; i < count; i++) {
        broker->share_offsets(broker, kafka_call_context(call), &all[i].fetch, described, &all[i]);
    }
    kafka_call_part(call, true);
}

/* ---- AlterShareGroupOffsets ---- */

static void altered(void *arg, sluice_status status, const sluice_status *statuses, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct kafka_alter_share_group_offsets_request *request = call->request;
    struct kafka_alter_share_group_offsets_response *response = call->response;
    uint32_t at = 0;

    response->error_code = kafka_status_code(status);
    if (status != SLUICE_OK) {
        response->error_message = kafka_string(kafka_status_text(status));
        response->responses_count = 0;
    }
    for (int32_t t = 0; status == SLUICE_OK && t < request->topics_count; t++) {
        for (int32_t p = 0; p < request->topics[t].partitions_count && at < count; p++, at++) {
            struct kafka_alter_share_group_offsets_response_partition *slot =
                &response->responses[t].partitions[p];
            slot->error_code = kafka_status_code(statuses[at]);
            if (statuses[at] != SLUICE_OK) {
                slot->error_message = kafka_string(kafka_status_text(statuses[at]));
            }
        }
    }
    kafka_call_answer(call, response);
}

static bool lay_out_moves(struct kafka_call *call, struct sluice_offset_commit_entry *entries,
                          struct kafka_alter_share_group_offsets_response *response)
{
    const struct kafka_alter_share_group_offsets_request *request = call->request;
    uint32_t at = 0;
    for (int32_t t = 0; t < request->topics_count; t++) {
        struct kafka_alter_share_group_offsets_response_topic *topic = &response->responses[t];
        int32_t count = request->topics[t].partitions_count;
        kafka_alter_share_group_offsets_response_topic_init(topic);
        topic->topic_name = request->topics[t].topic_name;
        topic->partitions = kafka_call_try_take(call, count, sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        topic->partitions_count = count;
        for (int32_t p = 0; p < count; p++, at++) {
            kafka_alter_share_group_offsets_response_partition_init(&topic->partitions[p]);
            topic->partitions[p].partition_index = request->topics[t].partitions[p].partition_index;
            entries[at] = (struct sluice_offset_commit_entry){
                .topic = {.name = kafka_to_text(request->topics[t].topic_name)},
                .partition = request->topics[t].partitions[p].partition_index,
                .offset = request->topics[t].partitions[p].start_offset};
        }
    }
    return true;
}

void kafka_handle_alter_share_group_offsets(struct kafka_call *call)
{
    const struct kafka_alter_share_group_offsets_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t total = 0;
    for (int32_t t = 0; t < request->topics_count; t++) {
        total += request->topics[t].partitions_count;
    }
    struct kafka_alter_share_group_offsets_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_offset_commit_entry *entries =
        kafka_call_try_take(call, total + 1, sizeof(*entries));
    if (response != NULL) {
        kafka_alter_share_group_offsets_response_init(response);
        response->responses =
            kafka_call_try_take(call, request->topics_count, sizeof(*response->responses));
        response->responses_count = request->topics_count;
    }
    if (response == NULL || entries == NULL || response->responses == NULL ||
        !lay_out_moves(call, entries, response)) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    call->response = response;
    broker->share_offsets_alter(broker, kafka_call_context(call), kafka_to_text(request->group_id),
                                entries, (uint32_t)total, altered, call);
}

/* ---- DeleteShareGroupOffsets ---- */

static void deleted(void *arg, sluice_status status, const sluice_status *statuses, uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_delete_share_group_offsets_response *response = call->response;

    response->error_code = kafka_status_code(status);
    if (status != SLUICE_OK) {
        response->error_message = kafka_string(kafka_status_text(status));
        response->responses_count = 0;
    }
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        response->responses[i].error_code = kafka_status_code(statuses[i]);
        if (statuses[i] != SLUICE_OK) {
            response->responses[i].error_message = kafka_string(kafka_status_text(statuses[i]));
        }
    }
    kafka_call_answer(call, response);
}

void kafka_handle_delete_share_group_offsets(struct kafka_call *call)
{
    const struct kafka_delete_share_group_offsets_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->topics_count;
    struct kafka_delete_share_group_offsets_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_delete_share_group_offsets_response_topic *topics =
        kafka_call_try_take(call, count, sizeof(*topics));
    struct sluice_topic_ref *refs = kafka_call_try_take(call, count + 1, sizeof(*refs));

    if (response == NULL || topics == NULL || refs == NULL) {
        kafka_call_fail(call, "a request names too many topics", SLUICE_E_LIMIT);
        return;
    }
    kafka_delete_share_group_offsets_response_init(response);
    response->responses = topics;
    response->responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        kafka_delete_share_group_offsets_response_topic_init(&topics[i]);
        topics[i].topic_name = request->topics[i].topic_name;
        refs[i].name = kafka_to_text(request->topics[i].topic_name);
    }
    call->response = response;
    broker->share_offsets_delete(broker, kafka_call_context(call), kafka_to_text(request->group_id),
                                 refs, (uint32_t)count, deleted, call);
}
