/* handle_topics.c: CreateTopics and DeleteTopics (KIP-4, KIP-464, KIP-525, KIP-516, KIP-599).
 *
 * Each topic has its own outcome. From version 5 the answer tells the configuration of what was, or
 * would be, created: one more broker call a topic. Replica assignments can only name this node. */
#include "config_answer.h"
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_names.h"
#include "kafka_status.h"
#include "kafka_throttle.h"

#define CONFIGS_SINCE 5 /* version of CreateTopics */
#define ENTRIES_SINCE 6 /* version of DeleteTopics: names or ids */
#define DEFAULT_COUNT (-1)
/* From these on a topic beyond the quota of changes is refused, before the client is only slowed.
 */
#define CREATE_STRICT_SINCE 6
#define DELETE_STRICT_SINCE 5

/* ---- CreateTopics ---- */

/* What a call has while topics are made: spec number i belongs to slot number i. */
struct creation {
    struct sluice_topic_spec *specs;
    struct kafka_create_topics_response_topic **slots;
    uint32_t count;
};

/* One topic whose configuration is being asked for. */
struct created {
    struct kafka_call *call;
    struct kafka_create_topics_response_topic *answer;
};

static bool fill_created_configs(struct kafka_call *call, const struct sluice_config_result *result,
                                 struct kafka_create_topics_response_topic *answer)
{
    answer->configs = kafka_call_try_take(call, result->entry_count, sizeof(*answer->configs));
    if (answer->configs == NULL) {
        return false;
    }
    answer->configs_count = (int32_t)result->entry_count;
    for (uint32_t i = 0; i < result->entry_count; i++) {
        const struct sluice_config_entry *entry = &result->entries[i];
        struct kafka_create_topics_response_config *config = &answer->configs[i];
        kafka_create_topics_response_config_init(config);
        config->read_only = entry->read_only;
        config->is_sensitive = entry->sensitive;
        config->config_source = kafka_config_source(entry->source);
        if (!kafka_call_copy(call, kafka_of_text_or_empty(entry->name), &config->name) ||
            !kafka_call_copy(call, kafka_of_text(kafka_config_value(entry)), &config->value)) {
            return false;
        }
    }
    return true;
}

static void got_created_configs(void *arg, const struct sluice_config_result *result)
{
    struct created *created = arg;
    struct kafka_call *call = created->call;
    bool fits = true;

    if (result->status != SLUICE_OK) {
        created->answer->topic_config_error_code = kafka_status_code(result->status);
    } else {
        fits = fill_created_configs(call, result, created->answer);
    }
    kafka_call_part(call, fits);
}

static void ask_for_configs(struct kafka_call *call)
{
    const struct kafka_create_topics_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct creation *creation = call->slots;
    struct created *all = kafka_call_try_take(call, creation->count, sizeof(*all));

    call->pending = 1;                                         /* for this loop */
    bool fits = all != NULL && kafka_conn_is_open(call->conn); /* closed: nobody is told */
    for (uint32_t i = 0; fits && i < creation->count; i++) {
        if (creation->slots[i]->error_code != 0 || call->version < CONFIGS_SINCE) {
            continue;
        }
        all[i] = (struct created){call, creation->slots[i]};
        call->pending++;
        if (request->validate_only) {
            broker->configs_preview(broker, kafka_call_context(call), &creation->specs[i],
                                    got_created_configs, &all[i]);
        } else {
            broker->configs_describe(broker, kafka_call_context(call), SLUICE_RESOURCE_TOPIC,
                                     creation->specs[i].name, got_created_configs, &all[i]);
        }
    }
    kafka_call_part(call, fits);
}

static void created_topics(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    struct creation *creation = call->slots;

    for (uint32_t i = 0; i < count && i < creation->count; i++) {
        struct kafka_create_topics_response_topic *slot = creation->slots[i];
        slot->error_code = kafka_status_code(results[i].status);
        if (results[i].status == SLUICE_OK) {
            slot->topic_id = kafka_of_uuid(results[i].id);
            slot->num_partitions = results[i].partition_count;
            slot->replication_factor = (int16_t)results[i].replication_factor;
        } else {
            struct sluice_text reason = results[i].reason;
            if (reason.size == 0) {
                reason = sluice_text_of(kafka_status_text(results[i].status));
            }
            call->unfit |= !kafka_call_copy(call, kafka_of_text(reason), &slot->error_message);
        }
    }
    ask_for_configs(call);
}

/* Each partition from 0 on this node alone, counts left open: what a single node can do. */
static sluice_status check_assignments(const struct kafka_call *call,
                                       const struct kafka_create_topics_request_topic *topic)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));

    if (topic->num_partitions != DEFAULT_COUNT || topic->replication_factor != DEFAULT_COUNT) {
        return SLUICE_E_INVALID_REQUEST;
    }
    for (int32_t i = 0; i < topic->assignments_count; i++) {
        const struct kafka_create_topics_request_assignment *at = &topic->assignments[i];
        if (at->partition_index != i || at->broker_ids_count != 1 || cluster->node_count == 0 ||
            at->broker_ids[0] != cluster->nodes[0].id) {
            return SLUICE_E_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    return SLUICE_OK;
}

static bool has_null_config(const struct kafka_create_topics_request_topic *topic)
{
    for (int32_t i = 0; i < topic->configs_count; i++) {
        if (kafka_is_null(topic->configs[i].value)) {
            return true;
        }
    }
    return false;
}

static bool fill_spec(struct kafka_call *call,
                      const struct kafka_create_topics_request_topic *topic,
                      struct sluice_topic_spec *spec)
{
    struct sluice_key_value *configs =
        kafka_call_try_take(call, topic->configs_count, sizeof(*configs));

    if (configs == NULL) {
        return false;
    }
    for (int32_t i = 0; i < topic->configs_count; i++) {
        configs[i].key = kafka_to_text(topic->configs[i].name);
        configs[i].value = kafka_to_text(topic->configs[i].value);
    }
    *spec = (struct sluice_topic_spec){
        .size = sizeof(*spec),
        .partition_count =
            topic->assignments_count > 0 ? topic->assignments_count : topic->num_partitions,
        .name = kafka_to_text(topic->name),
        .replication_factor = topic->replication_factor,
        .config_count = (uint32_t)topic->configs_count,
        .configs = configs,
    };
    return true;
}

static int64_t created_partitions(const struct kafka_create_topics_request_topic *topic)
{
    int32_t count = topic->assignments_count > 0 ? topic->assignments_count : topic->num_partitions;
    return count > 0 ? count : 1;
}

/* Lays out one topic: a slot of the answer, and a spec unless it is refused here. */
static bool lay_out_creation(struct kafka_call *call, int32_t index, enum kafka_name_use use,
                             struct kafka_create_topics_response_topic *slot)
{
    const struct kafka_create_topics_request *request = call->request;
    const struct kafka_create_topics_request_topic *topic = &request->topics[index];
    struct creation *creation = call->slots;
    sluice_status status = SLUICE_OK;

    kafka_create_topics_response_topic_init(slot);
    slot->name = topic->name;
    slot->error_message = kafka_null();
    if (use != KAFKA_NAME_ONCE) {
        status = SLUICE_E_INVALID_REQUEST;
        slot->error_message = kafka_string("the request names this topic more than once");
    } else if (has_null_config(topic)) {
        status = SLUICE_E_INVALID_CONFIG;
        slot->error_message = kafka_string("a configuration has no value");
    } else if (topic->assignments_count > 0) {
        status = check_assignments(call, topic);
        slot->error_message = kafka_string("replicas can only be assigned to this node");
    }
    if (status == SLUICE_OK && !request->validate_only &&
        !kafka_throttle_mutate(call, created_partitions(topic), CREATE_STRICT_SINCE)) {
        status = SLUICE_E_QUOTA_EXCEEDED;
        slot->error_message = kafka_string(kafka_status_text(status));
    }
    if (status != SLUICE_OK) {
        slot->error_code = kafka_status_code(status);
        return true;
    }
    slot->error_message = kafka_null();
    slot->error_code = KAFKA_NO_ANSWER;
    creation->slots[creation->count] = slot;
    return fill_spec(call, topic, &creation->specs[creation->count++]);
}

#define CREATE_TOPICS_MAX 10000 /* of one request */

static enum kafka_name_use *uses_of_names(struct kafka_call *call)
{
    const struct kafka_create_topics_request *request = call->request;
    struct kafka_bytes *names = kafka_call_try_take(call, request->topics_count, sizeof(*names));

    for (int32_t i = 0; names != NULL && i < request->topics_count; i++) {
        names[i] = request->topics[i].name;
    }
    return names != NULL ? kafka_names_use(call, names, request->topics_count) : NULL;
}

void kafka_handle_create_topics(struct kafka_call *call)
{
    const struct kafka_create_topics_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->topics_count;
    struct kafka_create_topics_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct creation *creation = kafka_call_try_take(call, 1, sizeof(*creation));
    bool ok = response != NULL && creation != NULL && count <= CREATE_TOPICS_MAX;

    call->response = response;
    call->slots = creation;
    if (ok) {
        kafka_create_topics_response_init(response);
        response->topics = kafka_call_try_take(call, count, sizeof(*response->topics));
        creation->specs = kafka_call_try_take(call, count, sizeof(*creation->specs));
        creation->slots = kafka_call_try_take(call, count, sizeof(*creation->slots));
        ok = response->topics != NULL && creation->specs != NULL && creation->slots != NULL;
    }
    enum kafka_name_use *uses = ok ? uses_of_names(call) : NULL;
    ok = ok && uses != NULL;
    for (int32_t i = 0; ok && i < count; i++) {
        if (uses[i] != KAFKA_NAME_AGAIN) {
            ok = lay_out_creation(call, i, uses[i], &response->topics[response->topics_count++]);
        }
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many topics", SLUICE_E_LIMIT);
        return;
    }
    if (creation->count == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->topics_create(broker, kafka_call_context(call), creation->specs, creation->count,
                          request->validate_only, created_topics, call);
}

/* ---- DeleteTopics ---- */

static void deleted_topics(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_delete_topics_response *response = call->response;
    struct kafka_delete_topics_response_topic **slots = call->slots;

    for (uint32_t i = 0; i < count; i++) {
        slots[i]->error_code = kafka_status_code(results[i].status);
        if (results[i].name.size > 0) {
            slots[i]->name = kafka_of_text(results[i].name);
        }
        if (results[i].status == SLUICE_OK) {
            slots[i]->topic_id = kafka_of_uuid(results[i].id);
        }
        slots[i]->error_message = kafka_of_reason(results[i].reason);
    }
    kafka_call_answer(call, response);
}

static int32_t count_deletions(const struct kafka_call *call)
{
    const struct kafka_delete_topics_request *request = call->request;
    return call->version >= ENTRIES_SINCE ? request->topics_count : request->topic_names_count;
}

/* An id stands for a topic as its name does. */
static enum kafka_name_use *uses_of_deletions(struct kafka_call *call, int32_t count)
{
    const struct kafka_delete_topics_request *request = call->request;
    struct kafka_bytes *names = kafka_call_try_take(call, count, sizeof(*names));

    for (int32_t i = 0; names != NULL && i < count; i++) {
        if (call->version < ENTRIES_SINCE) {
            names[i] = request->topic_names[i];
        } else if (kafka_is_null(request->topics[i].name)) {
            names[i] =
                kafka_bytes(&request->topics[i].topic_id, sizeof(request->topics[i].topic_id));
        } else {
            names[i] = request->topics[i].name;
        }
    }
    return names != NULL ? kafka_names_use(call, names, count) : NULL;
}

/* false: it is refused here, as it is named by name and id, by neither, or more than once. */
static bool lay_out_deletion(struct kafka_call *call, int32_t index, enum kafka_name_use use,
                             struct kafka_delete_topics_response_topic *slot,
                             struct sluice_topic_ref *ref)
{
    const struct kafka_delete_topics_request *request = call->request;

    kafka_delete_topics_response_topic_init(slot);
    if (call->version < ENTRIES_SINCE) {
        slot->name = request->topic_names[index];
    } else {
        slot->name = request->topics[index].name;
        slot->topic_id = request->topics[index].topic_id;
        if (kafka_is_null(slot->name) == kafka_uuid_is_zero(&slot->topic_id)) {
            slot->error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
            slot->error_message = kafka_string("a topic is named by its name or by its id");
            return false;
        }
    }
    if (use != KAFKA_NAME_ONCE) {
        slot->error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
        slot->error_message = kafka_string("the request names this topic more than once");
        return false;
    }
    ref->name = kafka_to_text_or_empty(slot->name);
    ref->id = kafka_to_uuid(slot->topic_id);
    if (!kafka_throttle_mutate(call, kafka_throttle_partitions(call, ref), DELETE_STRICT_SINCE)) {
        slot->error_code = kafka_status_code(SLUICE_E_QUOTA_EXCEEDED);
        slot->error_message = kafka_string(kafka_status_text(SLUICE_E_QUOTA_EXCEEDED));
        return false;
    }
    return true;
}

void kafka_handle_delete_topics(struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = count_deletions(call);
    struct kafka_delete_topics_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_delete_topics_response_topic *answers =
        kafka_call_try_take(call, count, sizeof(*answers));
    struct kafka_delete_topics_response_topic **slots =
        kafka_call_try_take(call, count, sizeof(*slots));
    struct sluice_topic_ref *refs = kafka_call_try_take(call, count, sizeof(*refs));
    enum kafka_name_use *uses = uses_of_deletions(call, count);
    uint32_t named = 0;

    if (response == NULL || answers == NULL || slots == NULL || refs == NULL || uses == NULL) {
        kafka_call_fail(call, "a request names too many topics", SLUICE_E_LIMIT);
        return;
    }
    kafka_delete_topics_response_init(response);
    response->responses = answers;
    for (int32_t i = 0; i < count; i++) {
        struct kafka_delete_topics_response_topic *slot = &answers[response->responses_count];
        response->responses_count += uses[i] != KAFKA_NAME_AGAIN;
        if (uses[i] != KAFKA_NAME_AGAIN && lay_out_deletion(call, i, uses[i], slot, &refs[named])) {
            slot->error_code = KAFKA_NO_ANSWER;
            slots[named++] = slot;
        }
    }
    call->response = response;
    call->slots = slots;
    if (named == 0) {
        kafka_call_answer(call, response);
        return;
    }
    broker->topics_delete(broker, kafka_call_context(call), refs, named, false, deleted_topics,
                          call);
}
