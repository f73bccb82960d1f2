/* admin_topic.c: topic.list, topic.create, topic.describe, topic.alter, topic.delete, topic.trim.
 */
#include "base/status.h"
#include "control/admin_request.h"

#include <string.h>

static void topic_id_add(cJSON *object, const struct sluice_uuid *id)
{
    struct sl_uuid uuid;
    char text[23];
    memcpy(uuid.b, id->bytes, sizeof(uuid.b));
    sl_uuid_text(&uuid, text);
    cJSON_AddStringToObject(object, "id", text);
}

static cJSON *topic_object(const struct sluice_topic_info *topic)
{
    cJSON *object = cJSON_CreateObject();
    admin_add_text(object, "name", topic->name);
    topic_id_add(object, &topic->id);
    cJSON_AddNumberToObject(object, "partitions", topic->partition_count);
    cJSON_AddBoolToObject(object, "internal", topic->internal);
    return object;
}

static void listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct admin_request *request = arg;
    request->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(request->result, "topics");
    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(array, topic_object(&topics[i]));
    }
    admin_reply(request);
}

void admin_topic_list(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    broker->topics(broker, admin_context(request), NULL, 0, false, listed, request);
}

/* ---- create and delete ---- */

/* The answer with the topic's name. False: it failed, and that is answered. */
static bool result_begin(struct admin_request *request, const struct sluice_topic_result *results,
                         uint32_t count)
{
    const char *name = admin_arg_text(request, "topic");
    SL_ASSERT(count == 1);
    if (results->status != SLUICE_OK) {
        admin_fail_text(request, results->status,
                        results->reason.size > 0 ? results->reason : sluice_text_of(name));
        return false;
    }
    request->result = cJSON_CreateObject();
    cJSON_AddStringToObject(request->result, "name", name);
    return true;
}

static void changed(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct admin_request *request = arg;
    if (!result_begin(request, results, count)) {
        return;
    }
    topic_id_add(request->result, &results->id);
    cJSON_AddNumberToObject(request->result, "partitions", results->partition_count);
    admin_reply(request);
}

#define CONFIGS_MAX 64
/* {"retention.ms": "60000"}; UINT32_MAX: not that. */
static uint32_t configs_take(const cJSON *object, struct sluice_key_value configs[CONFIGS_MAX])
{
    uint32_t count = 0;
    const cJSON *item;
    if (object != NULL && !cJSON_IsObject(object)) {
        return UINT32_MAX;
    }
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item) || count == CONFIGS_MAX) {
            return UINT32_MAX;
        }
        configs[count].key = sluice_text_of(item->string);
        configs[count++].value = sluice_text_of(item->valuestring);
    }
    return count;
}

struct creation {
    struct sluice_topic_spec spec;
    struct sluice_key_value configs[CONFIGS_MAX];
};

void admin_topic_create(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    int64_t partitions = 0;
    if (!admin_topic_take(request)) {
        return;
    }
    struct creation *creation = sl_alloc_zero(1, sizeof(*creation));
    request->state = creation;
    request->release = sl_free;
    if (creation == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    uint32_t config_count =
        configs_take(cJSON_GetObjectItemCaseSensitive(request->args, "configs"), creation->configs);
    if (!admin_arg_int(request, "partitions", -1, INT32_MAX, -1, &partitions)) {
        admin_fail(request, SLUICE_E_INVALID_PARTITIONS, "\"partitions\" must be a whole number");
        return;
    }
    if (config_count == UINT32_MAX) {
        admin_fail(request, SLUICE_E_INVALID_CONFIG,
                   "\"configs\" must map up to 64 names to texts");
        return;
    }
    creation->spec = (struct sluice_topic_spec){.size = sizeof(creation->spec),
                                                .partition_count = (int32_t)partitions,
                                                .name = request->topic.name,
                                                .replication_factor = -1,
                                                .config_count = config_count,
                                                .configs = creation->configs};
    broker->topics_create(broker, admin_context(request), &creation->spec, 1, request->dry_run,
                          changed, request);
}

/* It could go: what would go with it. */
static void deletable(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct admin_request *request = arg;
    if (results->status != SLUICE_OK) {
        changed(request, results, count);
    } else {
        admin_topic_describe(request);
    }
}

void admin_topic_delete(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    if (admin_topic_take(request)) {
        broker->topics_delete(broker, admin_context(request), &request->topic, 1, request->dry_run,
                              request->dry_run ? deletable : changed, request);
    }
}

/* ---- alter: configuration, then the number of partitions ---- */

struct alteration {
    struct sluice_topic_growth growth;
    struct sluice_config_alter alter;
    struct sluice_config_change changes[CONFIGS_MAX];
};

/* "changes": what each key of the request is now, and would be. */
static void would_differ(void *arg, const struct sluice_config_result *now)
{
    struct admin_request *request = arg;
    const cJSON *wanted;
    cJSON *changes = cJSON_AddArrayToObject(request->result, "changes");
    cJSON_ArrayForEach(wanted, cJSON_GetObjectItemCaseSensitive(request->args, "configs"))
    {
        struct sluice_text key = sluice_text_of(wanted->string);
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "key", wanted->string);
        for (uint32_t i = 0; now->status == SLUICE_OK && i < now->entry_count; i++) {
            const struct sluice_text *name = &now->entries[i].name;
            if (name->size == key.size && memcmp(name->data, key.data, key.size) == 0) {
                admin_add_text(change, "before", now->entries[i].value);
            }
        }
        cJSON_AddStringToObject(change, "after",
                                cJSON_IsNull(wanted) ? "(default)" : wanted->valuestring);
        cJSON_AddItemToArray(changes, change);
    }
    admin_reply(request);
}

static void altered(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct admin_request *request = arg;
    if (!result_begin(request, results, count)) {
        return;
    }
    if (request->dry_run) {
        const struct sluice_broker *broker = admin_broker(request);
        broker->configs_describe(broker, admin_context(request), SLUICE_RESOURCE_TOPIC,
                                 request->topic.name, would_differ, request);
    } else {
        admin_reply(request);
    }
}

static void configured(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    struct alteration *alteration = request->state;
    if (results->status != SLUICE_OK || alteration->growth.partition_count < 0) {
        altered(request, results, count);
        return;
    }
    broker->partitions_create(broker, admin_context(request), &alteration->growth, 1,
                              request->dry_run, altered, request);
}

/* {"retention.ms": "60000", "segment.ms": null}; false: not that. */
static bool changes_take(const cJSON *object, struct alteration *alteration)
{
    struct sluice_config_alter *alter = &alteration->alter;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        bool is_null = cJSON_IsNull(item);
        if ((!is_null && !cJSON_IsString(item)) || alter->change_count == CONFIGS_MAX) {
            return false;
        }
        alteration->changes[alter->change_count++] = (struct sluice_config_change){
            .key = sluice_text_of(item->string),
            .value = sluice_text_of(is_null ? "" : item->valuestring),
            .operation = is_null ? SLUICE_CONFIG_DELETE : SLUICE_CONFIG_SET,
        };
    }
    return object == NULL || cJSON_IsObject(object);
}

void admin_topic_alter(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    if (!admin_topic_take(request)) {
        return;
    }
    struct alteration *alteration = sl_alloc_zero(1, sizeof(*alteration));
    request->state = alteration;
    request->release = sl_free;
    if (alteration == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    alteration->alter = (struct sluice_config_alter){.size = sizeof(alteration->alter),
                                                     .resource = SLUICE_RESOURCE_TOPIC,
                                                     .name = request->topic.name,
                                                     .changes = alteration->changes};
    int64_t partitions = -1;
    if (!changes_take(cJSON_GetObjectItemCaseSensitive(request->args, "configs"), alteration)) {
        admin_fail(request, SLUICE_E_INVALID_CONFIG,
                   "\"configs\" must map up to 64 names to texts, or to null for the default");
        return;
    }
    if (!admin_arg_int(request, "partitions", 1, INT32_MAX, -1, &partitions)) {
        admin_fail(request, SLUICE_E_INVALID_PARTITIONS, "\"partitions\" must be a whole number");
        return;
    }
    alteration->growth = (struct sluice_topic_growth){.name = request->topic.name,
                                                      .partition_count = (int32_t)partitions};
    broker->configs_alter(broker, admin_context(request), &alteration->alter, 1, request->dry_run,
                          configured, request);
}

/* ---- trim ---- */

static void trimmed(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct admin_request *request = arg;
    SL_ASSERT(count == 1);
    const struct sluice_records_delete *entry = request->state;
    if (results->status != SLUICE_OK) {
        admin_fail(request, results->status, admin_arg_text(request, "topic"));
        return;
    }
    request->result = cJSON_CreateObject();
    cJSON_AddStringToObject(request->result, "topic", admin_arg_text(request, "topic"));
    cJSON_AddNumberToObject(request->result, "partition", entry->partition);
    admin_add_int64(request->result, "log_start_offset", results->log_start_offset);
    admin_reply(request);
}

/* -1 asks for all; as a number it is not an offset. */
static bool before_take(const struct admin_request *request, int64_t *ret_offset)
{
    const char *text = admin_arg_text(request, "before");
    if (text != NULL && strcmp(text, "end") == 0) {
        *ret_offset = SLUICE_OFFSET_HIGH_WATERMARK;
        return true;
    }
    return admin_arg_int(request, "before", 0, INT64_MAX, -1, ret_offset) && *ret_offset >= 0;
}

void admin_topic_trim(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    int64_t partition = -1;
    if (!admin_topic_take(request)) {
        return;
    }
    struct sluice_records_delete *entry = sl_alloc_zero(1, sizeof(*entry));
    request->state = entry;
    request->release = sl_free;
    if (entry == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
    } else if (!admin_arg_int(request, "partition", 0, INT32_MAX, -1, &partition) ||
               partition < 0) {
        admin_fail(request, SLUICE_E_INVALID, "\"partition\" must be a whole number");
    } else if (!before_take(request, &entry->before_offset)) {
        admin_fail(request, SLUICE_E_INVALID, "\"before\" must be an offset or \"end\"");
    } else {
        entry->topic = request->topic;
        entry->partition = (int32_t)partition;
        entry->validate_only = request->dry_run;
        broker->records_delete(broker, admin_context(request), entry, 1, trimmed, request);
    }
}

/* ---- describe: topic, then its offsets, then its configuration ---- */

struct description {
    struct sluice_offset_query *queries; /* two a partition: earliest, latest */
    uint32_t partition_count;
};

static void description_free(void *state)
{
    struct description *description = state;
    if (description != NULL) {
        sl_free(description->queries);
        sl_free(description);
    }
}

static void configs_described(void *arg, const struct sluice_config_result *result)
{
    static const char *const sources[] = {"", "topic", "broker", "default"};
    struct admin_request *request = arg;
    cJSON *configs = cJSON_AddObjectToObject(request->result, "configs");
    for (uint32_t i = 0; result->status == SLUICE_OK && i < result->entry_count; i++) {
        const struct sluice_config_entry *entry = &result->entries[i];
        char *name = sl_strdup_bytes(entry->name.data, entry->name.size);
        if (name != NULL) {
            cJSON *object = cJSON_AddObjectToObject(configs, name);
            admin_add_text(object, "value", entry->value);
            bool known = entry->source >= 0 && entry->source <= SLUICE_CONFIG_SOURCE_DEFAULT;
            cJSON_AddStringToObject(object, "source", known ? sources[entry->source] : "");
        }
        sl_free(name);
    }
    admin_reply(request);
}

static void offsets_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    cJSON *array = cJSON_GetObjectItemCaseSensitive(request->result, "partition_list");
    cJSON *partition = array->child;
    for (uint32_t i = 0; i + 1 < count && partition != NULL; i += 2) {
        if (answers[i].status == SLUICE_OK && answers[i + 1].status == SLUICE_OK) {
            admin_add_int64(partition, "log_start_offset", answers[i].offset);
            admin_add_int64(partition, "end_offset", answers[i + 1].offset);
        }
        partition = partition->next;
    }
    broker->configs_describe(broker, admin_context(request), SLUICE_RESOURCE_TOPIC,
                             request->topic.name, configs_described, request);
}

static void partitions_add(cJSON *array, const struct sluice_topic_info *topic)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct sluice_partition_info *info = &topic->partitions[i];
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "partition", info->partition);
        cJSON_AddNumberToObject(object, "leader_epoch", info->leader_epoch);
        cJSON_AddStringToObject(object, "state",
                                info->status == SLUICE_OK ? "ok" : sl_status_text(info->status));
        cJSON_AddItemToArray(array, object);
    }
}

static sl_err queries_make(struct admin_request *request, const struct sluice_topic_info *topic)
{
    struct description *description = sl_alloc_zero(1, sizeof(*description));
    request->state = description;
    request->release = description_free;
    if (description == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    description->partition_count = topic->partition_count;
    description->queries =
        sl_alloc_zero((size_t)topic->partition_count * 2 + 1, sizeof(*description->queries));
    if (description->queries == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < topic->partition_count * 2; i++) {
        description->queries[i] = (struct sluice_offset_query){
            .topic = request->topic,
            .partition = topic->partitions[i / 2].partition,
            .leader_epoch = -1,
            .timestamp = i % 2 == 0 ? SLUICE_TIME_EARLIEST : SLUICE_TIME_LATEST,
        };
    }
    return SLUICE_OK;
}

static void described(void *arg, const struct sluice_topic_info *topic, uint32_t count)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    SL_ASSERT(count == 1);
    if (topic->status != SLUICE_OK) {
        admin_fail(request, topic->status, admin_arg_text(request, "topic"));
        return;
    }
    request->result = topic_object(topic);
    partitions_add(cJSON_AddArrayToObject(request->result, "partition_list"), topic);
    sl_err err = queries_make(request, topic);
    if (err != SLUICE_OK) {
        admin_fail(request, err, "");
        return;
    }
    const struct description *description = request->state;
    broker->offsets(broker, admin_context(request), SLUICE_ISOLATION_UNCOMMITTED,
                    description->queries, description->partition_count * 2, offsets_found, request);
}

void admin_topic_describe(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    if (admin_topic_take(request)) {
        broker->topics(broker, admin_context(request), &request->topic, 1, false, described,
                       request);
    }
}
