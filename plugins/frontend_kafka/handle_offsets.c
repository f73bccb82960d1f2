/* handle_offsets.c: OffsetCommit and OffsetFetch (KIP-211, KIP-320, KIP-447, KIP-709, KIP-848's id
 * versions).
 *
 * A partition without a committed offset answers offset -1 and no error. OffsetFetch from version 8
 * asks for several groups: one broker call each, answered together. With require_stable an
 * offset that an open transaction will commit is UNSTABLE_OFFSET_COMMIT: the client asks again. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#define GROUPS_SINCE    8 /* version of OffsetFetch */
#define TOP_ERROR_SINCE 2 /* version of OffsetFetch: error of the whole */
#define NOT_FOUND_SINCE 9 /* version of OffsetCommit that knows GROUP_ID_NOT_FOUND */

/* ---- OffsetCommit ---- */

typedef struct kafka_offset_commit_response_partition commit_partition;

static void committed(void *arg, sluice_status status, const sluice_status *statuses,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    const struct sluice_offset_commit *commit = call->request;
    commit_partition **slots = call->slots;

    if (status == SLUICE_E_GROUP_NOT_FOUND && call->version < NOT_FOUND_SINCE) {
        status = SLUICE_E_ILLEGAL_GENERATION;
    }
    for (uint32_t i = 0; i < commit->entry_count; i++) {
        slots[i]->error_code =
            kafka_status_code(status == SLUICE_OK && i < count ? statuses[i] : status);
    }
    kafka_call_answer(call, call->response);
}

static bool lay_out_commit(struct kafka_call *call,
                           const struct kafka_offset_commit_request_topic *topic,
                           struct kafka_offset_commit_response_topic *answer,
                           struct sluice_offset_commit_entry *entries, commit_partition **slots)
{
    kafka_offset_commit_response_topic_init(answer);
    answer->name = topic->name;
    answer->topic_id = topic->topic_id;
    answer->partitions =
        kafka_call_try_take(call, topic->partitions_count, sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct kafka_offset_commit_request_partition *partition = &topic->partitions[i];
        kafka_offset_commit_response_partition_init(&answer->partitions[i]);
        answer->partitions[i].partition_index = partition->partition_index;
        slots[i] = &answer->partitions[i];
        entries[i] = (struct sluice_offset_commit_entry){
            .topic = {kafka_to_text_or_empty(topic->name), kafka_to_uuid(topic->topic_id)},
            .partition = partition->partition_index,
            .leader_epoch = partition->committed_leader_epoch,
            .offset = partition->committed_offset,
            .metadata = kafka_to_text_or_empty(partition->committed_metadata),
        };
    }
    return true;
}

static bool lay_out_commits(struct kafka_call *call, struct sluice_offset_commit_entry *entries,
                            struct kafka_offset_commit_response *response)
{
    const struct kafka_offset_commit_request *request = call->request;
    commit_partition **slots = call->slots;
    uint32_t at = 0;

    response->topics_count = request->topics_count;
    response->topics = kafka_call_try_take(call, request->topics_count, sizeof(*response->topics));
    for (int32_t i = 0; response->topics != NULL && i < request->topics_count; i++) {
        if (!lay_out_commit(call, &request->topics[i], &response->topics[i], entries + at,
                            slots + at)) {
            return false;
        }
        at += (uint32_t)request->topics[i].partitions_count;
    }
    return response->topics != NULL;
}

static int64_t count_commits(const struct kafka_offset_commit_request *request)
{
    int64_t count = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    return count;
}

void kafka_handle_offset_commit(struct kafka_call *call)
{
    const struct kafka_offset_commit_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t count = count_commits(request);
    struct kafka_offset_commit_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_offset_commit *commit = kafka_call_try_take(call, 1, sizeof(*commit));
    struct sluice_offset_commit_entry *entries = kafka_call_try_take(call, count, sizeof(*entries));

    call->response = response;
    call->slots = kafka_call_try_take(call, count, sizeof(commit_partition *));
    if (response == NULL || commit == NULL || entries == NULL || call->slots == NULL) {
        kafka_call_fail(call, "an offset commit does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_offset_commit_response_init(response);
    if (!lay_out_commits(call, entries, response)) {
        kafka_call_fail(call, "an offset commit does not fit", SLUICE_E_LIMIT);
        return;
    }
    *commit = (struct sluice_offset_commit){
        .size = sizeof(*commit),
        .entry_count = (uint32_t)count,
        .identity = {.size = sizeof(commit->identity),
                     .generation = request->generation_id_or_member_epoch,
                     .group = kafka_to_text(request->group_id),
                     .member = kafka_to_text(request->member_id),
                     .instance = kafka_to_text(request->group_instance_id)},
        .entries = entries,
    };
    call->request = commit;
    broker->offset_commit(broker, kafka_call_context(call), commit, committed, call);
}

/* ---- OffsetFetch ---- */

/* One group asked for; the older versions have exactly one. */
struct group_fetch {
    struct kafka_call *call;
    struct sluice_offset_fetch request;
    struct kafka_offset_fetch_response_group *answer;
    bool failed; /* no room for the answer */
};

static void answer_groups(struct kafka_call *call);

/* Texts of the result are gone when done returns: those of the answer are the call's own. */
static bool add_offset(struct group_fetch *fetch, const struct sluice_offset_fetched *offset,
                       struct kafka_offset_fetch_response_group_topic_partition *partition)
{
    kafka_offset_fetch_response_group_topic_partition_init(partition);
    partition->partition_index = offset->partition;
    partition->error_code = kafka_status_code(offset->status);
    partition->committed_offset = offset->status == SLUICE_OK ? offset->offset : -1;
    partition->committed_leader_epoch = offset->status == SLUICE_OK ? offset->leader_epoch : -1;
    return kafka_call_copy(fetch->call, kafka_of_text_or_empty(offset->metadata),
                           &partition->metadata);
}

static bool same_fetched_topic(const struct sluice_offset_fetched *a,
                               const struct sluice_offset_fetched *b)
{
    return a->topic.size == b->topic.size &&
           (a->topic.size == 0 || memcmp(a->topic.data, b->topic.data, a->topic.size) == 0) &&
           memcmp(a->topic_id.bytes, b->topic_id.bytes, sizeof(a->topic_id.bytes)) == 0;
}

static bool fill_group(struct group_fetch *fetch, const struct sluice_offset_fetched *offsets,
                       uint32_t count)
{
    struct kafka_offset_fetch_response_group *answer = fetch->answer;
    struct kafka_offset_fetch_response_group_topic_partition *partitions =
        kafka_call_try_take(fetch->call, count, sizeof(*partitions));
    bool ok = partitions != NULL;

    answer->topics = kafka_call_try_take(fetch->call, count, sizeof(*answer->topics));
    ok = ok && answer->topics != NULL;
    for (uint32_t i = 0; ok && i < count; i++) {
        if (i == 0 || !same_fetched_topic(&offsets[i - 1], &offsets[i])) {
            struct kafka_offset_fetch_response_group_topic *topic =
                &answer->topics[answer->topics_count++];
            kafka_offset_fetch_response_group_topic_init(topic);
            topic->topic_id = kafka_of_uuid(offsets[i].topic_id);
            topic->partitions = &partitions[i];
            ok = kafka_call_copy(fetch->call, kafka_of_text_or_empty(offsets[i].topic),
                                 &topic->name);
        }
        answer->topics[answer->topics_count - 1].partitions_count++;
        ok = ok && add_offset(fetch, &offsets[i], &partitions[i]);
    }
    return ok;
}

/* Before there was an error of the whole, each partition that was asked for has it. */
static bool fill_refused(struct group_fetch *fetch, sluice_status status)
{
    uint32_t count = fetch->request.entry_count;
    struct sluice_offset_fetched *refused =
        kafka_call_try_take(fetch->call, count, sizeof(*refused));

    for (uint32_t i = 0; refused != NULL && i < count; i++) {
        refused[i].status = status;
        refused[i].topic = fetch->request.entries[i].topic.name;
        refused[i].partition = fetch->request.entries[i].partition;
    }
    return refused != NULL && fill_group(fetch, refused, count);
}

static void fetched(void *arg, sluice_status status, const struct sluice_offset_fetched *offsets,
                    uint32_t count)
{
    struct group_fetch *fetch = arg;
    struct kafka_call *call = fetch->call;

    fetch->answer->error_code = kafka_status_code(status);
    if (status == SLUICE_OK) {
        fetch->failed = !fill_group(fetch, offsets, count);
    } else if (call->version < TOP_ERROR_SINCE) {
        fetch->failed = !fill_refused(fetch, status);
    }
    if (--call->pending == 0) {
        answer_groups(call);
    }
}

/* The answer of one group in the form of the versions before 8. */
static bool flatten(struct kafka_call *call, const struct kafka_offset_fetch_response_group *group,
                    struct kafka_offset_fetch_response *response)
{
    response->error_code = call->version >= TOP_ERROR_SINCE ? group->error_code : 0;
    response->topics = kafka_call_try_take(call, group->topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    response->topics_count = group->topics_count;
    for (int32_t i = 0; i < group->topics_count; i++) {
        const struct kafka_offset_fetch_response_group_topic *from = &group->topics[i];
        struct kafka_offset_fetch_response_topic *to = &response->topics[i];
        kafka_offset_fetch_response_topic_init(to);
        to->name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions = kafka_call_try_take(call, from->partitions_count, sizeof(*to->partitions));
        for (int32_t j = 0; to->partitions != NULL && j < from->partitions_count; j++) {
            to->partitions[j] = (struct kafka_offset_fetch_response_partition){
                .partition_index = from->partitions[j].partition_index,
                .committed_offset = from->partitions[j].committed_offset,
                .committed_leader_epoch = from->partitions[j].committed_leader_epoch,
                .metadata = from->partitions[j].metadata,
                .error_code = from->partitions[j].error_code,
            };
        }
        if (to->partitions == NULL) {
            return false;
        }
    }
    return true;
}

static void answer_groups(struct kafka_call *call)
{
    struct kafka_offset_fetch_response *response = call->response;
    const struct group_fetch *fetches = call->slots;
    bool ok = true;

    for (int32_t i = 0; i < response->groups_count; i++) {
        ok = ok && !fetches[i].failed;
    }
    if (ok && call->version < GROUPS_SINCE) {
        ok = flatten(call, &response->groups[0], response);
        response->groups = NULL;
        response->groups_count = 0;
    }
    if (!ok) {
        kafka_call_fail(call, "an offset response does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, response);
}

/* Names the partitions of a topic. */
static uint32_t add_entries(struct sluice_offset_fetch_entry *entries, struct kafka_bytes name,
                            struct kafka_uuid id, const int32_t *partitions, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        entries[i].topic.name = kafka_to_text_or_empty(name);
        entries[i].topic.id = kafka_to_uuid(id);
        entries[i].partition = partitions[i];
    }
    return (uint32_t)count;
}

/* topics_count -1: all of the group. */
static bool lay_out_group(struct kafka_call *call, struct group_fetch *fetch,
                          const struct kafka_offset_fetch_request_group_topic *topics,
                          int32_t topics_count)
{
    struct sluice_offset_fetch_entry *entries;
    uint32_t at = 0;
    int64_t count = 0;

    if (topics_count < 0) {
        return true;
    }
    for (int32_t i = 0; i < topics_count; i++) {
        count += topics[i].partition_indexes_count;
    }
    entries = kafka_call_try_take(call, count, sizeof(*entries));
    for (int32_t i = 0; entries != NULL && i < topics_count; i++) {
        struct kafka_bytes name = topics[i].name;
        if (call->version < TOP_ERROR_SINCE && !kafka_call_copy(call, topics[i].name, &name)) {
            return false; /* an error of the whole is told by these names */
        }
        at += add_entries(entries + at, name, topics[i].topic_id, topics[i].partition_indexes,
                          topics[i].partition_indexes_count);
    }
    fetch->request.entries = entries;
    fetch->request.entry_count = at;
    return entries != NULL;
}

/* The only group of the versions before 8, in the form of the later ones. */
static bool raise(struct kafka_call *call, struct kafka_offset_fetch_request_group *ret_group)
{
    const struct kafka_offset_fetch_request *request = call->request;

    kafka_offset_fetch_request_group_init(ret_group);
    ret_group->group_id = request->group_id;
    ret_group->topics_count = request->topics_count;
    if (request->topics_count <= 0) {
        return true;
    }
    ret_group->topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*ret_group->topics));
    for (int32_t i = 0; ret_group->topics != NULL && i < request->topics_count; i++) {
        kafka_offset_fetch_request_group_topic_init(&ret_group->topics[i]);
        ret_group->topics[i].name = request->topics[i].name;
        ret_group->topics[i].partition_indexes = request->topics[i].partition_indexes;
        ret_group->topics[i].partition_indexes_count = request->topics[i].partition_indexes_count;
    }
    return ret_group->topics != NULL;
}

static bool lay_out_groups(struct kafka_call *call,
                           const struct kafka_offset_fetch_request_group *groups, int32_t count)
{
    const struct kafka_offset_fetch_request *request = call->request;
    bool requires_stable = request->require_stable;
    struct kafka_offset_fetch_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct group_fetch *fetches = kafka_call_try_take(call, count, sizeof(*fetches));
    bool ok = response != NULL && fetches != NULL;

    call->response = response;
    call->slots = fetches;
    if (ok) {
        kafka_offset_fetch_response_init(response);
        response->groups = kafka_call_try_take(call, count, sizeof(*response->groups));
        response->groups_count = count;
        ok = response->groups != NULL;
    }
    for (int32_t i = 0; ok && i < count; i++) {
        kafka_offset_fetch_response_group_init(&response->groups[i]);
        response->groups[i].group_id = groups[i].group_id;
        fetches[i].call = call;
        fetches[i].answer = &response->groups[i];
        fetches[i].request.size = sizeof(fetches[i].request);
        fetches[i].request.flags = requires_stable ? SLUICE_OFFSET_FETCH_STABLE : 0;
        fetches[i].request.group = kafka_to_text(groups[i].group_id);
        fetches[i].request.member = kafka_to_text(groups[i].member_id);
        fetches[i].request.member_epoch = groups[i].member_epoch;
        ok = lay_out_group(call, &fetches[i], groups[i].topics, groups[i].topics_count);
    }
    return ok;
}

/* One broker call a group, counted from one so that none of them ends the call early. */
static void start(struct kafka_call *call, int32_t count)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct group_fetch *fetches = call->slots;

    call->pending = (uint32_t)count + 1;
    for (int32_t i = 0; i < count; i++) {
        struct group_fetch *fetch = &fetches[i];
        if (fetch->request.entries != NULL && fetch->request.entry_count == 0) {
            call->pending--; /* no partition was asked for */
        } else {
            broker->offset_fetch(broker, kafka_call_context(call), &fetch->request, fetched, fetch);
        }
    }
    if (--call->pending == 0) {
        answer_groups(call);
    }
}

void kafka_handle_offset_fetch(struct kafka_call *call)
{
    const struct kafka_offset_fetch_request *request = call->request;
    struct kafka_offset_fetch_request_group single;
    const struct kafka_offset_fetch_request_group *groups = request->groups;
    int32_t count = request->groups_count;
    bool ok = true;

    if (call->version < GROUPS_SINCE) {
        ok = raise(call, &single);
        groups = &single;
        count = 1;
    }
    if (!ok || !lay_out_groups(call, groups, count)) {
        kafka_call_fail(call, "an offset request does not fit", SLUICE_E_LIMIT);
        return;
    }
    start(call, count);
}
