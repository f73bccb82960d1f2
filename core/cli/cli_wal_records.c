/* cli_wal_records.c: see cli_wal_records.h. */
#include "cli/cli_wal_records.h"

#include "base/status.h"
#include "cli/cli_store.h"
#include "control/base64.h"
#include "record/codec.h"
#include "record/record_iterator.h"

#include <string.h>

#define BATCH_BYTES_MAX    (1u << 30)
#define EXPANDED_BYTES_MAX (1u << 30)

void cli_records_init(struct cli_records *records, const struct cli *cli)
{
    *records = (struct cli_records){.cli = cli, .codecs = codec_context_new()};
    sl_buffer_init(&records->batch, BATCH_BYTES_MAX);
    sl_buffer_init(&records->expanded, EXPANDED_BYTES_MAX);
}

void cli_records_fini(struct cli_records *records)
{
    codec_context_free(records->codecs);
    sl_buffer_fini(&records->batch);
    sl_buffer_fini(&records->expanded);
}

static sl_err batch_read(struct cli_records *records, const char *shard_path,
                         const struct wal_place *place)
{
    char path[STORE_PATH_BYTES];
    struct sl_file *file = NULL;
    size_t got = 0;
    snprintf(path, sizeof(path), "%.900s/wal/%020llu.seg", shard_path,
             (unsigned long long)place->segment);
    sl_buffer_reset(&records->batch);
    sl_err err = sl_buffer_reserve(&records->batch, place->size);
    err = err != SLUICE_OK ? err : sl_file_open(records->cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK
              ? err
              : sl_file_pread(file, records->batch.data, place->size, place->position, &got);
    sl_file_close(file);
    records->batch.size = got;
    return err == SLUICE_OK && got != place->size ? SLUICE_E_TRUNCATED : err;
}

/* Printable text as it is, other bytes as base64 under another name. */
static void bytes_add(cJSON *object, const char *name, struct sl_bytes bytes, bool is_null)
{
    char other[32];
    bool is_text = true;
    for (size_t i = 0; i < bytes.size; i++) {
        is_text = is_text && bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f;
    }
    if (is_null) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    char *text = sl_alloc(SL_MAX(base64_size(bytes.size), bytes.size) + 1);
    if (text == NULL) {
        return;
    }
    snprintf(other, sizeof(other), "%s_base64", name);
    if (is_text && bytes.size > 0) {
        memcpy(text, bytes.data, bytes.size);
        text[bytes.size] = '\0';
    } else {
        base64_encode(bytes, text);
    }
    cJSON_AddStringToObject(object, is_text ? name : other, bytes.size > 0 ? text : "");
    sl_free(text);
}

static void record_write(const struct cli_records *records, const struct batch_view *batch,
                         const struct record_view *record)
{
    cJSON *object = cli_event_new("record");
    cli_i64_add(object, "offset", batch_view_base_offset(batch) + record->offset_delta);
    cli_i64_add(object, "timestamp", batch_view_base_timestamp(batch) + record->timestamp_delta);
    bytes_add(object, "key", record->key, record->key_is_null);
    bytes_add(object, "value", record->value, record->value_is_null);
    if (record->header_count > 0) {
        cJSON_AddNumberToObject(object, "headers", record->header_count);
    }
    cli_event_write(records->cli, object);
}

static sl_err records_walk(struct cli_records *records, const struct cli_range *offsets)
{
    struct batch_view batch;
    struct record_iterator iterator;
    struct record_view record;
    struct sl_bytes bytes;
    sl_err err = batch_view_init(&batch, sl_buffer_bytes(&records->batch));
    if (err == SLUICE_OK) {
        err = batch_view_check_crc(&batch);
    }
    if (err == SLUICE_OK) {
        err = batch_decompress(&batch, records->codecs, EXPANDED_BYTES_MAX, &records->expanded,
                               &bytes);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    record_iterator_init(&iterator, bytes, batch_view_record_count(&batch));
    while (record_iterator_next(&iterator, &record)) {
        int64_t offset = batch_view_base_offset(&batch) + record.offset_delta;
        if (offset >= offsets->first && offset <= offsets->last) {
            record_write(records, &batch, &record);
        }
    }
    return record_iterator_finish(&iterator);
}

void cli_records_write(struct cli_records *records, const char *shard_path,
                       const struct wal_place *place, const struct cli_range *offsets)
{
    sl_err err = place == NULL || records->codecs == NULL ? SLUICE_E_NOT_FOUND
                                                          : batch_read(records, shard_path, place);
    err = err != SLUICE_OK ? err : records_walk(records, offsets);
    if (err != SLUICE_OK) {
        cJSON *object = cli_event_new("damage");
        cJSON_AddStringToObject(object, "why", sl_status_text(err));
        cli_event_write(records->cli, object);
    }
}
