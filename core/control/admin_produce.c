/* admin_produce.c: records of a request to one batch a partition, as a client library would build
 * them.
 *
 * topics → (unknown and auto-create: topics_create → topics) → place records → batches → produce.
 */
#include "control/admin_request.h"
#include "record/batch_builder.h"
#include "route/partitioner.h"

#include <string.h>

#define BATCHES_MAX        64
#define HEADERS_MAX        64
#define PRODUCE_BYTES_MAX  (2 * ADMIN_LINE_BYTES_MAX)
#define PRODUCE_TIMEOUT_MS 30000

struct production {
    struct admin_request *request;
    struct sluice_topic_spec spec;
    bool created; /* topics_create was called already */
    int32_t acks;
    uint32_t record_count;
    int32_t *partitions;      /* of each record */
    struct sl_buffer batches; /* one after the other */
    uint32_t batch_count;
    size_t batch_starts[BATCHES_MAX + 1];
    uint32_t counts[BATCHES_MAX];
    struct sluice_produce_entry entries[BATCHES_MAX];
    struct sluice_produce produce;
};

static void production_free(void *state)
{
    struct production *production = state;
    if (production != NULL) {
        sl_buffer_fini(&production->batches);
        sl_free(production->partitions);
        sl_free(production);
    }
}

static const cJSON *records_of(const struct admin_request *request)
{
    return cJSON_GetObjectItemCaseSensitive(request->args, "records");
}

/* ---- one record ---- */

struct record_memory {
    uint8_t *key, *value;
    uint8_t *header_values[HEADERS_MAX];
    struct header_view headers[HEADERS_MAX];
    uint32_t header_count;
};

static void record_memory_free(struct record_memory *memory)
{
    sl_free(memory->key);
    sl_free(memory->value);
    for (uint32_t i = 0; i < memory->header_count; i++) {
        sl_free(memory->header_values[i]);
    }
}

static sl_err headers_take(const cJSON *array, struct record_memory *memory)
{
    const cJSON *item;
    if (array != NULL && !cJSON_IsArray(array)) {
        return SLUICE_E_MALFORMED;
    }
    cJSON_ArrayForEach(item, array)
    {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "key"));
        if (key == NULL) {
            return SLUICE_E_MALFORMED;
        }
        if (memory->header_count == HEADERS_MAX) {
            return SLUICE_E_LIMIT;
        }
        struct header_view *header = &memory->headers[memory->header_count];
        header->key = (struct sl_bytes){(const uint8_t *)key, strlen(key)};
        sl_err err = admin_get_bytes(item, "value", &header->value, &header->value_is_null,
                                     &memory->header_values[memory->header_count]);
        if (err != SLUICE_OK) {
            return err;
        }
        memory->header_count++;
    }
    return SLUICE_OK;
}

static sl_err record_append(struct production *production, const cJSON *item,
                            struct batch_builder *builder)
{
    struct record_memory memory = {.key = NULL};
    struct record_fields fields = {.headers = memory.headers};
    const cJSON *time = cJSON_GetObjectItemCaseSensitive(item, "timestamp");
    const struct admin_hooks *hooks = &production->request->server->config.hooks;
    sl_err err = admin_get_bytes(item, "key", &fields.key, &fields.key_is_null, &memory.key);
    if (err == SLUICE_OK) {
        err = admin_get_bytes(item, "value", &fields.value, &fields.value_is_null, &memory.value);
    }
    if (err == SLUICE_OK) {
        err = headers_take(cJSON_GetObjectItemCaseSensitive(item, "headers"), &memory);
    }
    fields.header_count = memory.header_count;
    fields.timestamp_ms = hooks->wall_ms(hooks->arg);
    if (err == SLUICE_OK && time != NULL &&
        (!cJSON_IsString(time) || !admin_int_parse(time->valuestring, &fields.timestamp_ms))) {
        err = SLUICE_E_INVALID_TIMESTAMP;
    }
    if (err == SLUICE_OK) {
        err = batch_builder_append(builder, &fields);
    }
    record_memory_free(&memory);
    return err;
}

/* ---- placing ---- */

/* The record's own partition, that of the request, by key, or the first one met (sticky). */
static sl_err record_place(struct production *production, struct sticky_partitioner *sticky,
                           const cJSON *item, int32_t partition_count, int32_t *ret_partition)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(item, "partition");
    int64_t partition = PARTITION_ANY;
    struct sl_bytes key = {NULL, 0};
    bool key_is_null = true;
    uint8_t *owned = NULL;
    if (!cJSON_IsObject(item) || (own != NULL && !cJSON_IsNumber(own)) ||
        !admin_arg_int(production->request, "partition", -1, INT32_MAX, -1, &partition)) {
        return SLUICE_E_MALFORMED;
    }
    if (own != NULL) {
        partition = own->valueint;
    }
    sl_err err = admin_get_bytes(item, "key", &key, &key_is_null, &owned);
    if (err == SLUICE_OK) {
        struct partition_request place = {.key = key,
                                          .size = key.size + 64,
                                          .partition = (int32_t)partition,
                                          .key_is_null = key_is_null};
        err = partition_choose(sticky, &place, partition_count, ret_partition);
    }
    sl_free(owned);
    return err;
}

static sl_err records_place(struct production *production, int32_t partition_count,
                            uint32_t *ret_index)
{
    struct sticky_partitioner sticky;
    const struct admin_hooks *hooks = &production->request->server->config.hooks;
    const cJSON *item;
    uint32_t index = 0;
    sticky_partitioner_init(&sticky, (uint64_t)hooks->wall_ms(hooks->arg), ADMIN_LINE_BYTES_MAX);
    cJSON_ArrayForEach(item, records_of(production->request))
    {
        sl_err err = record_place(production, &sticky, item, partition_count,
                                  &production->partitions[index]);
        if (err != SLUICE_OK) {
            *ret_index = index;
            return err;
        }
        index++;
    }
    return SLUICE_OK;
}

/* All records of one partition; they are marked as done. */
static sl_err batch_build(struct production *production, int32_t partition, uint32_t *ret_index)
{
    struct batch_builder builder;
    struct batch_view view;
    const cJSON *item;
    uint32_t index = 0;
    uint32_t *count = &production->counts[production->batch_count];
    sl_err err = batch_builder_start(&builder, &production->batches, NULL);
    cJSON_ArrayForEach(item, records_of(production->request))
    {
        if (err == SLUICE_OK && production->partitions[index] == partition) {
            err = record_append(production, item, &builder);
            *ret_index = index;
            production->partitions[index] = PARTITION_ANY;
            (*count)++;
        }
        index++;
    }
    if (err == SLUICE_OK) {
        err = batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    }
    if (err == SLUICE_OK) {
        struct sluice_produce_entry *entry = &production->entries[production->batch_count++];
        entry->topic = production->request->topic;
        entry->partition = partition;
        production->batch_starts[production->batch_count] = production->batches.size;
    }
    return err;
}

static sl_err batches_build(struct production *production, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < production->record_count; i++) {
        if (production->partitions[i] == PARTITION_ANY) {
            continue;
        }
        *ret_index = i;
        if (production->batch_count == BATCHES_MAX) {
            return SLUICE_E_LIMIT;
        }
        sl_err err = batch_build(production, production->partitions[i], ret_index);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    for (uint32_t i = 0; i < production->batch_count; i++) { /* the buffer moves no more */
        production->entries[i].batch =
            (struct sluice_bytes){production->batches.data + production->batch_starts[i],
                                  production->batch_starts[i + 1] - production->batch_starts[i]};
    }
    return SLUICE_OK;
}

/* ---- the way through the broker ---- */

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms SL_UNUSED)
{
    struct admin_request *request = arg;
    const struct production *production = request->state;
    const struct sluice_produce_result *failed = NULL;
    if (count < production->batch_count) {
        admin_fail(request, SLUICE_E_NO_MEMORY, ""); /* not even to say what became of them */
        return;
    }
    request->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(request->result, "partitions");
    for (uint32_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "partition", production->entries[i].partition);
        cJSON_AddNumberToObject(object, "count", production->counts[i]);
        cJSON_AddBoolToObject(object, "ok", results[i].status == SLUICE_OK);
        if (results[i].status == SLUICE_OK) {
            admin_add_int64(object, "base_offset", results[i].base_offset);
        } else {
            failed = failed == NULL ? &results[i] : failed;
        }
        cJSON_AddItemToArray(array, object);
    }
    if (failed == NULL) {
        admin_reply(request);
        return;
    }
    struct sluice_text reason = failed->reason;
    if (reason.size == 0 && failed->record_error_count > 0) {
        reason = failed->record_errors[0].reason;
    }
    admin_fail_text(request, failed->status, reason);
}

static void batches_send(struct admin_request *request, int32_t partition_count)
{
    struct production *production = request->state;
    const struct sluice_broker *broker = admin_broker(request);
    uint32_t index = 0;
    sl_err err = records_place(production, partition_count, &index);
    if (err == SLUICE_OK) {
        err = batches_build(production, &index);
    }
    if (err != SLUICE_OK) {
        char detail[64];
        snprintf(detail, sizeof(detail), "at record %u of the request", index);
        admin_fail(request, err, detail);
        return;
    }
    production->produce = (struct sluice_produce){.size = sizeof(production->produce),
                                                  .acks = (int16_t)production->acks,
                                                  .timeout_ms = PRODUCE_TIMEOUT_MS,
                                                  .entry_count = production->batch_count,
                                                  .entries = production->entries};
    broker->produce(broker, admin_context(request), &production->produce, produced, request);
}

static void topic_ask(struct admin_request *request);

static void topic_created(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct admin_request *request = arg;
    if (count == 0) {
        admin_fail(request, SLUICE_E_NO_MEMORY, ""); /* to answer with */
        return;
    }
    if (results->status == SLUICE_OK || results->status == SLUICE_E_TOPIC_EXISTS) {
        topic_ask(request);
    } else {
        admin_fail_text(request, results->status, results->reason);
    }
}

static void topic_found(void *arg, const struct sluice_topic_info *topic, uint32_t count)
{
    struct admin_request *request = arg;
    struct production *production = request->state;
    const struct sluice_broker *broker = admin_broker(request);
    if (count == 0) {
        admin_fail(request, SLUICE_E_NO_MEMORY, ""); /* to answer with */
        return;
    }
    if (topic->status == SLUICE_OK) {
        batches_send(request, (int32_t)topic->partition_count);
        return;
    }
    if (topic->status != SLUICE_E_UNKNOWN_TOPIC || production->created ||
        !request->server->config.topics_auto_create) {
        admin_fail(request, topic->status, admin_arg_text(request, "topic"));
        return;
    }
    production->created = true;
    production->spec = (struct sluice_topic_spec){.size = sizeof(production->spec),
                                                  .partition_count = -1,
                                                  .name = request->topic.name,
                                                  .replication_factor = -1};
    broker->topics_create(broker, admin_context(request), &production->spec, 1, false,
                          topic_created, request);
}

static void topic_ask(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    broker->topics(broker, admin_context(request), &request->topic, 1, false, topic_found, request);
}

void admin_produce(struct admin_request *request)
{
    const cJSON *records = records_of(request);
    int count = cJSON_IsArray(records) ? cJSON_GetArraySize(records) : 0;
    int64_t acks = -1;
    if (!admin_topic_take(request)) {
        return;
    }
    if (count < 1 || count > ADMIN_RECORDS_MAX) {
        admin_fail(request, SLUICE_E_INVALID, "\"records\" must be 1 to 10000 objects");
        return;
    }
    if (!admin_arg_int(request, "acks", -1, 1, -1, &acks)) {
        admin_fail(request, SLUICE_E_INVALID_REQUIRED_ACKS, "");
        return;
    }
    struct production *production = sl_alloc_zero(1, sizeof(*production));
    request->state = production;
    request->release = production_free;
    if (production != NULL) {
        production->request = request;
        production->acks = (int32_t)acks;
        production->record_count = (uint32_t)count;
        production->partitions = sl_alloc_zero((size_t)count, sizeof(*production->partitions));
        sl_buffer_init(&production->batches, PRODUCE_BYTES_MAX);
    }
    if (production == NULL || production->partitions == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    topic_ask(request);
}
