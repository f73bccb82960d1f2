/* admin_consume.c: one chunk of records from an offset on; the client asks again with next_offset.
 *
 * "beginning" and "end" are resolved first (offsets), then fetched with a long poll of wait_ms. */
#include "control/admin_request.h"
#include "record/codec.h"
#include "record/record_iterator.h"

#include <string.h>

#define CONSUME_WAIT_MS_MAX 30000
#define CONSUME_DEFAULT_MAX 500

struct consumption {
    struct sluice_offset_query query;
    struct sluice_fetch_entry entry;
    struct sluice_fetch fetch;
    int64_t max;
    int64_t next_offset;
    cJSON *records; /* in the result */
};

static void record_add(struct consumption *consumption, const struct batch_view *batch,
                       const struct record_view *record)
{
    cJSON *object = cJSON_CreateObject();
    admin_add_int64(object, "offset", record_offset(batch, record));
    admin_add_int64(object, "timestamp", record_timestamp(batch, record));
    if (record->key_is_null) {
        cJSON_AddNullToObject(object, "key");
    } else {
        admin_add_bytes(object, "key", record->key);
    }
    if (record->value_is_null) {
        cJSON_AddNullToObject(object, "value");
    } else {
        admin_add_bytes(object, "value", record->value);
    }
    struct header_iterator headers;
    struct header_view header;
    cJSON *array = cJSON_AddArrayToObject(object, "headers");
    header_iterator_init(&headers, record);
    while (header_iterator_next(&headers, &header)) {
        cJSON *pair = cJSON_CreateObject();
        admin_add_bytes(pair, "key", header.key);
        if (!header.value_is_null) {
            admin_add_bytes(pair, "value", header.value);
        }
        cJSON_AddItemToArray(array, pair);
    }
    cJSON_AddItemToArray(consumption->records, object);
    consumption->max--;
}

static sl_err batch_walk(struct admin_request *request, const struct batch_view *batch)
{
    struct consumption *consumption = request->state;
    struct admin_server *server = request->server;
    struct sl_bytes bytes;
    struct record_iterator iterator;
    struct record_view record;
    if (batch_view_has(batch, BATCH_CONTROL)) {
        consumption->next_offset = batch_view_next_offset(batch);
        return SLUICE_OK;
    }
    sl_err err = batch_decompress(batch, server->codecs, server->config.decompressed_bytes_max,
                                  &server->decompressed, &bytes);
    if (err != SLUICE_OK) {
        return err;
    }
    record_iterator_init(&iterator, bytes, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        int64_t offset = record_offset(batch, &record);
        if (offset < consumption->entry.offset) {
            continue;
        }
        if (consumption->max == 0) {
            return SLUICE_OK;
        }
        record_add(consumption, batch, &record);
        consumption->next_offset = offset + 1;
    }
    err = record_iterator_finish(&iterator);
    if (err == SLUICE_OK) {
        consumption->next_offset = batch_view_next_offset(batch); /* holes at the end, too */
    }
    return err;
}

static sl_err batches_walk(struct admin_request *request, struct sl_bytes bytes)
{
    const struct consumption *consumption = request->state;
    while (bytes.size > 0 && consumption->max > 0) {
        struct batch_view batch;
        sl_err err = batch_view_init(&batch, bytes);
        if (err == SLUICE_OK) {
            err = batch_walk(request, &batch);
        }
        if (err != SLUICE_OK) {
            return err;
        }
        bytes.data += batch.size;
        bytes.size -= batch.size;
    }
    return SLUICE_OK;
}

static void fetched(void *arg, const struct sluice_fetch_result *result, uint32_t count,
                    int32_t throttle_ms SL_UNUSED)
{
    struct admin_request *request = arg;
    struct consumption *consumption = request->state;
    SL_ASSERT(count == 1);
    if (result->status != SLUICE_OK) {
        admin_fail(request, result->status, admin_arg_text(request, "topic"));
        return;
    }
    request->result = cJSON_CreateObject();
    consumption->records = cJSON_AddArrayToObject(request->result, "records");
    sl_err err =
        batches_walk(request, (struct sl_bytes){result->records.data, result->records.size});
    sl_buffer_reset_above(&request->server->decompressed, ADMIN_FETCH_BYTES_MAX);
    if (err != SLUICE_OK) {
        admin_fail(request, err, "while reading a stored batch");
        return;
    }
    cJSON_AddNumberToObject(request->result, "partition", consumption->entry.partition);
    admin_add_int64(request->result, "next_offset", consumption->next_offset);
    admin_add_int64(request->result, "high_watermark", result->high_watermark);
    admin_add_int64(request->result, "log_start_offset", result->log_start_offset);
    admin_reply(request);
}

static void fetch_start(struct admin_request *request)
{
    struct consumption *consumption = request->state;
    const struct sluice_broker *broker = admin_broker(request);
    consumption->next_offset = consumption->entry.offset;
    broker->fetch(broker, admin_context(request), &consumption->fetch, fetched, request);
}

static void place_found(void *arg, const struct sluice_offset_answer *answer, uint32_t count)
{
    struct admin_request *request = arg;
    struct consumption *consumption = request->state;
    SL_ASSERT(count == 1);
    if (answer->status != SLUICE_OK) {
        admin_fail(request, answer->status, admin_arg_text(request, "topic"));
        return;
    }
    consumption->entry.offset = SL_MAX(answer->offset, INT64_C(0));
    fetch_start(request);
}

/* A number, or what is to be asked of the broker. False: neither. */
static bool offset_take(struct admin_request *request, struct consumption *consumption,
                        bool *ret_ask)
{
    const char *word = admin_arg_text(request, "offset");
    bool beginning = word == NULL || strcmp(word, "beginning") == 0;
    bool end = word != NULL && strcmp(word, "end") == 0;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(request->args, "offset");
    if (cJSON_IsNumber(item)) {
        beginning = false;
    }
    *ret_ask = beginning || end;
    consumption->query.timestamp = end ? SLUICE_TIME_LATEST : SLUICE_TIME_EARLIEST;
    return *ret_ask ||
           admin_arg_int(request, "offset", 0, INT64_MAX, 0, &consumption->entry.offset);
}

void admin_consume(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    int64_t partition = 0, wait_ms = 0, bytes_max = ADMIN_FETCH_BYTES_MAX;
    bool ask = false;
    if (!admin_topic_take(request)) {
        return;
    }
    struct consumption *consumption = sl_alloc_zero(1, sizeof(*consumption));
    request->state = consumption;
    request->release = sl_free;
    if (consumption == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    if (!offset_take(request, consumption, &ask) ||
        !admin_arg_int(request, "partition", 0, INT32_MAX, 0, &partition) ||
        !admin_arg_int(request, "wait_ms", 0, CONSUME_WAIT_MS_MAX, 0, &wait_ms) ||
        !admin_arg_int(request, "bytes_max", 1, ADMIN_FETCH_BYTES_MAX, bytes_max, &bytes_max) ||
        !admin_arg_int(request, "max", 1, ADMIN_RECORDS_MAX, CONSUME_DEFAULT_MAX,
                       &consumption->max)) {
        admin_fail(request, SLUICE_E_INVALID,
                   "offset is a number, \"beginning\" or \"end\"; partition from 0; max 1 to "
                   "10000; wait_ms to 30000");
        return;
    }
    consumption->query.topic = consumption->entry.topic = request->topic;
    consumption->query.partition = consumption->entry.partition = (int32_t)partition;
    consumption->query.leader_epoch = consumption->entry.leader_epoch = -1;
    consumption->entry.bytes_max = (int32_t)bytes_max;
    consumption->fetch = (struct sluice_fetch){.size = sizeof(consumption->fetch),
                                               .bytes_max = (int32_t)bytes_max,
                                               .bytes_min = 1,
                                               .wait_ms = (int32_t)wait_ms,
                                               .isolation = SLUICE_ISOLATION_UNCOMMITTED,
                                               .entry_count = 1,
                                               .entries = &consumption->entry};
    if (ask) {
        broker->offsets(broker, admin_context(request), SLUICE_ISOLATION_UNCOMMITTED,
                        &consumption->query, 1, place_found, request);
    } else {
        fetch_start(request);
    }
}
