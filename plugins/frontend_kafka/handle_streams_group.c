/* handle_streams_group.c: StreamsGroupHeartbeat and StreamsGroupDescribe (KIP-1071): groups of
 * Kafka Streams applications, whose tasks the broker assigns.
 *
 *   heartbeat ─► broker ─► answer; topics are missing? ─► topics_create, as the member ─► what
 *                          could not be made goes into the answer's status
 */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <string.h>

#define REASONS_BYTES 2048u /* of what is said about topics that could not be made */

typedef struct kafka_streams_group_heartbeat_request request_heartbeat;
typedef struct kafka_streams_group_heartbeat_request_subtopology request_subtopology;
typedef struct kafka_streams_group_heartbeat_request_topic_info request_topic;
typedef struct kafka_streams_group_heartbeat_request_task_ids request_tasks;
typedef struct kafka_streams_group_heartbeat_response response_heartbeat;
typedef struct kafka_streams_group_heartbeat_response_task_ids response_tasks;
typedef struct kafka_streams_group_heartbeat_response_topic_partition response_partitions;
typedef struct kafka_streams_group_heartbeat_response_endpoint_to_partitions response_endpoint;

/* ---- the request ---- */

static const struct sluice_text *take_texts(struct kafka_call *call, const struct kafka_bytes *from,
                                            int32_t count)
{
    struct sluice_text *texts = kafka_call_try_take(call, count, sizeof(*texts));
    for (int32_t i = 0; i < count && texts != NULL; i++) {
        texts[i] = kafka_to_text(from[i]);
    }
    return texts;
}

static const struct sluice_streams_pair *
take_pairs(struct kafka_call *call,
           const struct kafka_streams_group_heartbeat_request_key_value *from, int32_t count)
{
    struct sluice_streams_pair *pairs =
        kafka_call_try_take(call, count > 0 ? count : 0, sizeof(*pairs));
    for (int32_t i = 0; i < count && pairs != NULL; i++) {
        pairs[i] =
            (struct sluice_streams_pair){kafka_to_text(from[i].key), kafka_to_text(from[i].value)};
    }
    return pairs;
}

static const struct sluice_streams_topic *take_topics(struct kafka_call *call,
                                                      const request_topic *from, int32_t count)
{
    struct sluice_streams_topic *topics = kafka_call_try_take(call, count, sizeof(*topics));
    for (int32_t i = 0; i < count && topics != NULL; i++) {
        topics[i] = (struct sluice_streams_topic){
            .name = kafka_to_text(from[i].name),
            .partition_count = from[i].partitions,
            .replication_factor = from[i].replication_factor,
            .config_count = (uint32_t)from[i].topic_configs_count,
            .configs = take_pairs(call, from[i].topic_configs, from[i].topic_configs_count)};
        if (topics[i].configs == NULL) {
            return NULL;
        }
    }
    return topics;
}

static const struct sluice_streams_copartition *take_copartitions(struct kafka_call *call,
                                                                  const request_subtopology *from)
{
    int32_t count = from->copartition_groups_count;
    struct sluice_streams_copartition *groups = kafka_call_try_take(call, count, sizeof(*groups));
    for (int32_t i = 0; i < count && groups != NULL; i++) {
        const struct kafka_streams_group_heartbeat_request_copartition_group *group =
            &from->copartition_groups[i];
        groups[i] = (struct sluice_streams_copartition){
            .source_count = (uint32_t)group->source_topics_count,
            .repartition_count = (uint32_t)group->repartition_source_topics_count,
            .sources = group->source_topics,
            .repartitions = group->repartition_source_topics};
    }
    return groups;
}

static bool take_subtopology(struct kafka_call *call, const request_subtopology *from,
                             struct sluice_streams_subtopology *to)
{
    *to = (struct sluice_streams_subtopology){
        .id = kafka_to_text(from->subtopology_id),
        .source_count = (uint32_t)from->source_topics_count,
        .pattern_count = (uint32_t)from->source_topic_regex_count,
        .changelog_count = (uint32_t)from->state_changelog_topics_count,
        .sink_count = (uint32_t)from->repartition_sink_topics_count,
        .repartition_count = (uint32_t)from->repartition_source_topics_count,
        .copartition_count = (uint32_t)from->copartition_groups_count,
        .sources = take_texts(call, from->source_topics, from->source_topics_count),
        .patterns = take_texts(call, from->source_topic_regex, from->source_topic_regex_count),
        .changelogs =
            take_topics(call, from->state_changelog_topics, from->state_changelog_topics_count),
        .sinks =
            take_texts(call, from->repartition_sink_topics, from->repartition_sink_topics_count),
        .repartitions = take_topics(call, from->repartition_source_topics,
                                    from->repartition_source_topics_count),
        .copartitions = take_copartitions(call, from)};
    return to->sources != NULL && to->patterns != NULL && to->changelogs != NULL &&
           to->sinks != NULL && to->repartitions != NULL && to->copartitions != NULL;
}

static bool take_topology(struct kafka_call *call, struct sluice_streams_heartbeat *heartbeat)
{
    const request_heartbeat *request = call->request;
    if (request->topology == NULL) {
        return true;
    }
    int32_t count = request->topology->subtopologies_count;
    struct sluice_streams_topology *topology = kafka_call_try_take(call, 1, sizeof(*topology));
    struct sluice_streams_subtopology *all = kafka_call_try_take(call, count, sizeof(*all));
    bool ok = topology != NULL && all != NULL;
    for (int32_t i = 0; i < count && ok; i++) {
        ok = take_subtopology(call, &request->topology->subtopologies[i], &all[i]);
    }
    if (ok) {
        *topology =
            (struct sluice_streams_topology){request->topology->epoch, (uint32_t)count, all};
        heartbeat->topology = topology;
    }
    return ok;
}

static const struct sluice_streams_tasks *take_tasks(struct kafka_call *call,
                                                     const request_tasks *from, int32_t count)
{
    struct sluice_streams_tasks *rows =
        kafka_call_try_take(call, count > 0 ? count : 0, sizeof(*rows));
    for (int32_t i = 0; i < count && rows != NULL; i++) {
        rows[i] =
            (struct sluice_streams_tasks){.subtopology = kafka_to_text(from[i].subtopology_id),
                                          .count = (uint32_t)from[i].partitions_count,
                                          .partitions = from[i].partitions};
    }
    return rows;
}

static bool take_owned(struct kafka_call *call, struct sluice_streams_heartbeat *heartbeat)
{
    const request_heartbeat *request = call->request;
    int32_t active = request->active_tasks_count, standby = request->standby_tasks_count;
    struct sluice_streams_assignment *owned = kafka_call_try_take(call, 1, sizeof(*owned));
    if (owned == NULL) {
        return false;
    }
    *owned = (struct sluice_streams_assignment){
        .active_count = active > 0 ? (uint32_t)active : 0,
        .standby_count = standby > 0 ? (uint32_t)standby : 0,
        .active = take_tasks(call, request->active_tasks, active),
        .standby = take_tasks(call, request->standby_tasks, standby)};
    heartbeat->owned = owned;
    heartbeat->has_active = active >= 0;
    heartbeat->has_standby = standby >= 0;
    heartbeat->has_warmups = request->warmup_tasks_count >= 0;
    heartbeat->has_warmup_tasks = request->warmup_tasks_count > 0;
    return owned->active != NULL && owned->standby != NULL;
}

static bool take_rest(struct kafka_call *call, struct sluice_streams_heartbeat *heartbeat)
{
    const request_heartbeat *request = call->request;
    heartbeat->has_tags = request->client_tags_count >= 0;
    heartbeat->tag_count = heartbeat->has_tags ? (uint32_t)request->client_tags_count : 0;
    heartbeat->tags = take_pairs(call, request->client_tags, request->client_tags_count);
    heartbeat->has_offsets = request->task_offsets_count >= 0;
    heartbeat->has_end_offsets = request->task_end_offsets_count >= 0;
    if (request->user_endpoint != NULL) {
        heartbeat->endpoint.host = kafka_to_text(request->user_endpoint->host);
        heartbeat->endpoint.port = (uint16_t)request->user_endpoint->port;
    }
    return heartbeat->tags != NULL;
}

/* ---- the answer: copied, because topics may have to be made before it is sent ---- */

static bool copy(struct kafka_call *call, struct sluice_text from, struct kafka_bytes *to)
{
    return kafka_call_copy(call, kafka_of_text_or_empty(from), to);
}

static const int32_t *copy_numbers(struct kafka_call *call, const int32_t *from, uint32_t count)
{
    int32_t *numbers = kafka_call_try_take(call, count, sizeof(*numbers));
    if (numbers != NULL && count > 0) {
        memcpy(numbers, from, count * sizeof(*numbers));
    }
    return numbers;
}

static bool fill_tasks(struct kafka_call *call, const struct sluice_streams_tasks *from,
                       uint32_t count, response_tasks **ret_rows, int32_t *ret_count)
{
    response_tasks *rows = kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        kafka_streams_group_heartbeat_response_task_ids_init(&rows[i]);
        rows[i].partitions =
            (int32_t *)(uintptr_t)copy_numbers(call, from[i].partitions, from[i].count);
        rows[i].partitions_count = (int32_t)from[i].count;
        ok = rows[i].partitions != NULL && copy(call, from[i].subtopology, &rows[i].subtopology_id);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool fill_partitions(struct kafka_call *call, const struct sluice_streams_partitions *from,
                            uint32_t count, response_partitions **ret_rows, int32_t *ret_count)
{
    response_partitions *rows = kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        kafka_streams_group_heartbeat_response_topic_partition_init(&rows[i]);
        rows[i].partitions =
            (int32_t *)(uintptr_t)copy_numbers(call, from[i].partitions, from[i].count);
        rows[i].partitions_count = (int32_t)from[i].count;
        ok = rows[i].partitions != NULL && copy(call, from[i].topic, &rows[i].topic);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool fill_endpoints(struct kafka_call *call,
                           const struct sluice_streams_heartbeat_answer *from,
                           response_heartbeat *response)
{
    response_endpoint *rows = kafka_call_try_take(call, from->endpoint_count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < from->endpoint_count && ok; i++) {
        const struct sluice_streams_endpoint_info *info = &from->endpoints[i];
        kafka_streams_group_heartbeat_response_endpoint_to_partitions_init(&rows[i]);
        rows[i].user_endpoint.port = (int16_t)info->endpoint.port;
        ok = copy(call, info->endpoint.host, &rows[i].user_endpoint.host) &&
             fill_partitions(call, info->active, info->active_count, &rows[i].active_partitions,
                             &rows[i].active_partitions_count) &&
             fill_partitions(call, info->standby, info->standby_count, &rows[i].standby_partitions,
                             &rows[i].standby_partitions_count);
    }
    response->partitions_by_user_endpoint = rows;
    response->partitions_by_user_endpoint_count = (int32_t)from->endpoint_count;
    return ok;
}

static bool fill_statuses(struct kafka_call *call,
                          const struct sluice_streams_heartbeat_answer *from,
                          response_heartbeat *response)
{
    response->status = kafka_call_try_take(call, from->status_count, sizeof(*response->status));
    response->status_count = (int32_t)from->status_count;
    bool ok = response->status != NULL;
    for (uint32_t i = 0; i < from->status_count && ok; i++) {
        kafka_streams_group_heartbeat_response_status_init(&response->status[i]);
        response->status[i].status_code = (int8_t)from->statuses[i].code;
        ok = copy(call, from->statuses[i].detail, &response->status[i].status_detail);
    }
    return ok;
}

static bool fill_assignment(struct kafka_call *call, const struct sluice_streams_assignment *from,
                            response_heartbeat *response)
{
    response->warmup_tasks = kafka_call_try_take(call, 0, sizeof(*response->warmup_tasks));
    response->warmup_tasks_count = 0;
    return response->warmup_tasks != NULL &&
           fill_tasks(call, from->active, from->active_count, &response->active_tasks,
                      &response->active_tasks_count) &&
           fill_tasks(call, from->standby, from->standby_count, &response->standby_tasks,
                      &response->standby_tasks_count);
}

static bool fill_answer(struct kafka_call *call, const struct sluice_streams_heartbeat_answer *from,
                        response_heartbeat *response)
{
    response->member_epoch = from->member_epoch;
    response->heartbeat_interval_ms = from->heartbeat_interval_ms;
    response->endpoint_information_epoch = from->endpoint_epoch;
    return copy(call, from->member, &response->member_id) && fill_statuses(call, from, response) &&
           (from->assignment == NULL || fill_assignment(call, from->assignment, response)) &&
           (!from->has_endpoints || fill_endpoints(call, from, response));
}

/* ---- topics that are missing ---- */

static const struct sluice_key_value *copy_configs(struct kafka_call *call,
                                                   const struct sluice_streams_topic *from)
{
    struct sluice_key_value *configs =
        kafka_call_try_take(call, from->config_count, sizeof(*configs));
    bool ok = configs != NULL;
    for (uint32_t i = 0; i < from->config_count && ok; i++) {
        struct kafka_bytes key, value;
        ok = copy(call, from->configs[i].key, &key) && copy(call, from->configs[i].value, &value);
        if (ok) {
            configs[i] = (struct sluice_key_value){kafka_to_text(key), kafka_to_text(value)};
        }
    }
    return ok ? configs : NULL;
}

static struct sluice_topic_spec *copy_missing(struct kafka_call *call,
                                              const struct sluice_streams_heartbeat_answer *from)
{
    struct sluice_topic_spec *specs =
        kafka_call_try_take(call, from->missing_count, sizeof(*specs));
    bool ok = specs != NULL;
    for (uint32_t i = 0; i < from->missing_count && ok; i++) {
        const struct sluice_streams_topic *topic = &from->missing[i];
        struct kafka_bytes name;
        ok = copy(call, topic->name, &name);
        if (ok) {
            specs[i] = (struct sluice_topic_spec){
                .size = sizeof(specs[i]),
                .partition_count = topic->partition_count,
                .name = kafka_to_text(name),
                .replication_factor =
                    topic->replication_factor == 0 ? -1 : topic->replication_factor,
                .config_count = topic->config_count,
                .configs = copy_configs(call, topic)};
            ok = specs[i].configs != NULL;
        }
    }
    return ok ? specs : NULL;
}

struct reasons {
    char text[REASONS_BYTES];
    size_t size;
};

static void say(struct reasons *reasons, const char *text, size_t size)
{
    size_t left = sizeof(reasons->text) - reasons->size;
    size_t taken = size < left ? size : left;
    memcpy(reasons->text + reasons->size, text, taken);
    reasons->size += taken;
}

/* As Kafka says it: who may not make topics first, else what went wrong. */
static void collect_reasons(const struct sluice_topic_result *results, uint32_t count,
                            struct reasons *reasons)
{
    static const char denied[] = "; Unauthorized to CREATE on topics ";
    static const char failed[] = "; Creation failed: ";
    bool is_denied = false;
    for (uint32_t i = 0; i < count; i++) {
        is_denied = is_denied || results[i].status == SLUICE_E_TOPIC_AUTHORIZATION;
    }
    const char *begin = is_denied ? denied : failed;
    for (uint32_t i = 0; i < count; i++) {
        sluice_status status = results[i].status;
        bool told = is_denied ? status == SLUICE_E_TOPIC_AUTHORIZATION
                              : status != SLUICE_OK && status != SLUICE_E_TOPIC_EXISTS;
        if (!told) {
            continue;
        }
        say(reasons, begin, strlen(begin));
        say(reasons, results[i].name.data, (size_t)results[i].name.size);
        if (!is_denied) {
            const char *why = kafka_status_text(status);
            say(reasons, " (", 2);
            say(reasons, why, strlen(why));
            say(reasons, ")", 1);
        }
        begin = ", ";
    }
    if (reasons->size > 0) {
        say(reasons, ".", 1);
    }
}

static void made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    response_heartbeat *response = call->response;
    struct reasons reasons = {.size = 0};

    collect_reasons(results, count, &reasons);
    for (int32_t i = 0; i < response->status_count && reasons.size > 0; i++) {
        struct kafka_bytes *detail = &response->status[i].status_detail;
        if (response->status[i].status_code != SLUICE_STREAMS_MISSING_INTERNAL) {
            continue;
        }
        size_t size = (size_t)detail->size;
        char *text = kafka_call_try_take(call, (int64_t)(size + reasons.size), 1);
        if (text != NULL) {
            memcpy(text, detail->data, size);
            memcpy(text + size, reasons.text, reasons.size);
            *detail = kafka_bytes(text, size + reasons.size);
        }
    }
    kafka_call_answer(call, response);
}

static void heard(void *arg, const struct sluice_streams_heartbeat_answer *answer)
{
    struct kafka_call *call = arg;
    const struct sluice_broker *broker = kafka_call_broker(call);
    response_heartbeat *response = call->response;

    response->error_code = kafka_status_code(answer->status);
    if (answer->status != SLUICE_OK) {
        response->error_message = answer->message.size > 0
                                      ? kafka_of_text(answer->message)
                                      : kafka_string(kafka_status_text(answer->status));
        kafka_call_answer(call, response);
        return;
    }
    struct sluice_topic_spec *specs = answer->missing_count > 0 ? copy_missing(call, answer) : NULL;
    if (!fill_answer(call, answer, response) || (answer->missing_count > 0 && specs == NULL)) {
        kafka_call_fail(call, "an assignment does not fit", SLUICE_E_LIMIT);
    } else if (specs == NULL) {
        kafka_call_answer(call, response);
    } else {
        broker->topics_create(broker, kafka_call_context(call), specs, answer->missing_count, false,
                              made, call);
    }
}

void kafka_handle_streams_group_heartbeat(struct kafka_call *call)
{
    const request_heartbeat *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_streams_heartbeat *heartbeat = kafka_call_try_take(call, 1, sizeof(*heartbeat));
    response_heartbeat *response = kafka_call_try_take(call, 1, sizeof(*response));

    if (heartbeat == NULL || response == NULL) {
        kafka_call_fail(call, "a heartbeat does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_streams_group_heartbeat_response_init(response);
    call->response = response;
    *heartbeat = (struct sluice_streams_heartbeat){
        .size = sizeof(*heartbeat),
        .member_epoch = request->member_epoch,
        .endpoint_epoch = request->endpoint_information_epoch,
        .rebalance_timeout_ms = request->rebalance_timeout_ms,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .instance = kafka_to_text(request->instance_id),
        .rack = kafka_to_text(request->rack_id),
        .process = kafka_to_text(request->process_id),
        .shutdown = request->shutdown_application,
    };
    if (!take_topology(call, heartbeat) || !take_owned(call, heartbeat) ||
        !take_rest(call, heartbeat)) {
        kafka_call_fail(call, "a heartbeat does not fit", SLUICE_E_LIMIT);
        return;
    }
    broker->streams_group_heartbeat(broker, kafka_call_context(call), heartbeat, heard, call);
}

/* ---- StreamsGroupDescribe ---- */

typedef struct kafka_streams_group_describe_response response_describe;
typedef struct kafka_streams_group_describe_response_described_group response_group;
typedef struct kafka_streams_group_describe_response_member response_member;
typedef struct kafka_streams_group_describe_response_assignment shown_assignment;
typedef struct kafka_streams_group_describe_response_task_ids shown_tasks;
typedef struct kafka_streams_group_describe_response_topic_info shown_topic;
typedef struct kafka_streams_group_describe_response_subtopology shown_subtopology;

struct described {
    struct kafka_call *call;
    response_group *answer;
};

static bool show_tasks(struct kafka_call *call, const struct sluice_streams_tasks *from,
                       uint32_t count, shown_tasks **ret_rows, int32_t *ret_count)
{
    shown_tasks *rows = kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        kafka_streams_group_describe_response_task_ids_init(&rows[i]);
        rows[i].partitions =
            (int32_t *)(uintptr_t)copy_numbers(call, from[i].partitions, from[i].count);
        rows[i].partitions_count = (int32_t)from[i].count;
        ok = rows[i].partitions != NULL && copy(call, from[i].subtopology, &rows[i].subtopology_id);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool show_assignment(struct kafka_call *call, const struct sluice_streams_assignment *from,
                            shown_assignment *to)
{
    kafka_streams_group_describe_response_assignment_init(to);
    return show_tasks(call, from->active, from->active_count, &to->active_tasks,
                      &to->active_tasks_count) &&
           show_tasks(call, from->standby, from->standby_count, &to->standby_tasks,
                      &to->standby_tasks_count);
}

static bool show_pairs(struct kafka_call *call, const struct sluice_streams_pair *from,
                       uint32_t count,
                       struct kafka_streams_group_describe_response_key_value **ret_rows,
                       int32_t *ret_count)
{
    struct kafka_streams_group_describe_response_key_value *rows =
        kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        ok = copy(call, from[i].key, &rows[i].key) && copy(call, from[i].value, &rows[i].value);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool show_topics(struct kafka_call *call, const struct sluice_streams_topic *from,
                        uint32_t count, shown_topic **ret_rows, int32_t *ret_count)
{
    shown_topic *rows = kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        kafka_streams_group_describe_response_topic_info_init(&rows[i]);
        rows[i].partitions = from[i].partition_count;
        rows[i].replication_factor = from[i].replication_factor;
        ok = copy(call, from[i].name, &rows[i].name) &&
             show_pairs(call, from[i].configs, from[i].config_count, &rows[i].topic_configs,
                        &rows[i].topic_configs_count);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool show_texts(struct kafka_call *call, const struct sluice_text *from, uint32_t count,
                       struct kafka_bytes **ret_rows, int32_t *ret_count)
{
    struct kafka_bytes *rows = kafka_call_try_take(call, count, sizeof(*rows));
    bool ok = rows != NULL;
    for (uint32_t i = 0; i < count && ok; i++) {
        ok = copy(call, from[i], &rows[i]);
    }
    *ret_rows = rows;
    *ret_count = (int32_t)count;
    return ok;
}

static bool show_topology(struct kafka_call *call, const struct sluice_streams_topology *from,
                          response_group *answer)
{
    struct kafka_streams_group_describe_response_topology *topology =
        kafka_call_try_take(call, 1, sizeof(*topology));
    shown_subtopology *all = kafka_call_try_take(call, from->subtopology_count, sizeof(*all));
    bool ok = topology != NULL && all != NULL;
    for (uint32_t i = 0; i < from->subtopology_count && ok; i++) {
        const struct sluice_streams_subtopology *sub = &from->subtopologies[i];
        kafka_streams_group_describe_response_subtopology_init(&all[i]);
        ok =
            copy(call, sub->id, &all[i].subtopology_id) &&
            show_texts(call, sub->sources, sub->source_count, &all[i].source_topics,
                       &all[i].source_topics_count) &&
            show_texts(call, sub->sinks, sub->sink_count, &all[i].repartition_sink_topics,
                       &all[i].repartition_sink_topics_count) &&
            show_topics(call, sub->changelogs, sub->changelog_count, &all[i].state_changelog_topics,
                        &all[i].state_changelog_topics_count) &&
            show_topics(call, sub->repartitions, sub->repartition_count,
                        &all[i].repartition_source_topics, &all[i].repartition_source_topics_count);
    }
    if (ok) {
        kafka_streams_group_describe_response_topology_init(topology);
        topology->epoch = from->epoch;
        topology->subtopologies = all;
        topology->subtopologies_count = (int32_t)from->subtopology_count;
        answer->topology = topology;
    }
    return ok;
}

static bool show_endpoint(struct kafka_call *call, const struct sluice_streams_endpoint *from,
                          response_member *answer)
{
    struct kafka_streams_group_describe_response_endpoint *endpoint = NULL;
    if (from->host.data == NULL) {
        return true;
    }
    endpoint = kafka_call_try_take(call, 1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return false;
    }
    endpoint->port = (int16_t)from->port;
    answer->user_endpoint = endpoint;
    return copy(call, from->host, &endpoint->host);
}

static bool show_member(struct kafka_call *call, const struct sluice_streams_member_info *from,
                        response_member *answer)
{
    kafka_streams_group_describe_response_member_init(answer);
    answer->member_epoch = from->epoch;
    answer->topology_epoch = from->topology_epoch;
    return copy(call, from->id, &answer->member_id) &&
           kafka_call_copy(call, kafka_of_text(from->rack), &answer->rack_id) &&
           copy(call, from->client_id, &answer->client_id) &&
           copy(call, from->client_host, &answer->client_host) &&
           copy(call, from->process, &answer->process_id) &&
           show_endpoint(call, &from->endpoint, answer) &&
           show_pairs(call, from->tags, from->tag_count, &answer->client_tags,
                      &answer->client_tags_count) &&
           show_assignment(call, &from->assigned, &answer->assignment) &&
           show_assignment(call, &from->target, &answer->target_assignment);
}

static bool show_group(struct kafka_call *call, const struct sluice_streams_group_info *info,
                       response_group *answer)
{
    answer->group_epoch = info->epoch;
    answer->assignment_epoch = info->assignment_epoch;
    answer->members = kafka_call_try_take(call, info->member_count, sizeof(*answer->members));
    bool ok = answer->members != NULL;
    for (uint32_t i = 0; i < info->member_count && ok; i++) {
        ok = show_member(call, &info->members[i], &answer->members[answer->members_count++]);
    }
    return ok && copy(call, info->state, &answer->group_state) &&
           (info->topology == NULL || show_topology(call, info->topology, answer));
}

static void got_group(void *arg, const struct sluice_streams_group_info *info)
{
    struct described *described = arg;
    response_group *answer = described->answer;
    bool fits;

    answer->error_code = kafka_status_code(info->status);
    if (info->status != SLUICE_OK) {
        fits = kafka_call_copy(described->call, kafka_of_reason(info->message),
                               &answer->error_message);
    } else {
        fits = show_group(described->call, info, answer);
    }
    kafka_call_part(described->call, fits);
}

#define GROUP_OPERATIONS                                                        \
    (1u << SLUICE_OP_READ | 1u << SLUICE_OP_DELETE | 1u << SLUICE_OP_DESCRIBE | \
     1u << SLUICE_OP_DESCRIBE_CONFIGS | 1u << SLUICE_OP_ALTER_CONFIGS)

static void describe(struct described *described, struct kafka_bytes name)
{
    struct kafka_call *call = described->call;
    const struct kafka_streams_group_describe_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);

    kafka_streams_group_describe_response_described_group_init(described->answer);
    described->answer->group_id = name;
    if (request->include_authorized_operations) {
        described->answer->authorized_operations =
            kafka_operations(call, SLUICE_ACL_GROUP, kafka_to_text(name), GROUP_OPERATIONS);
    }
    broker->streams_group_describe(broker, kafka_call_context(call), kafka_to_text(name), got_group,
                                   described);
}

void kafka_handle_streams_group_describe(struct kafka_call *call)
{
    const struct kafka_streams_group_describe_request *request = call->request;
    int32_t count = request->group_ids_count;
    response_describe *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct described *all = kafka_call_try_take(call, count, sizeof(*all));
    response_group *groups = kafka_call_try_take(call, count, sizeof(*groups));

    if (response == NULL || all == NULL || groups == NULL) {
        kafka_call_fail(call, "a request names too many groups", SLUICE_E_LIMIT);
        return;
    }
    kafka_streams_group_describe_response_init(response);
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
