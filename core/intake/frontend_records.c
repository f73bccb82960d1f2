/* frontend_records.c: batches from records and back for frontends (frontend_records.h). */
#include "intake/frontend_records.h"

#include "os/os.h"
#include "record/batch_builder.h"

#include <string.h>

#define HEADERS_BYTES_MAX (16u * 1024 * 1024) /* views of one record's headers */

static struct frontend_records *of_host(const struct sluice_records_host *host)
{
    return host->data;
}

/* ---- build ---- */

static sl_err headers_take(struct sl_buffer *memory, const struct sluice_record *record,
                           struct record_fields *fields)
{
    sl_buffer_reset(memory);
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        struct header_view view = {
            .key = {(const uint8_t *)header->key.data, (size_t)header->key.size},
            .value = {header->value.data, (size_t)header->value.size},
            .value_is_null = header->value.data == NULL};
        sl_err err = sl_buffer_append(memory, &view, sizeof(view));
        if (err != SLUICE_OK) {
            return err;
        }
    }
    fields->headers = (const struct header_view *)(const void *)memory->data;
    fields->header_count = record->header_count;
    return SLUICE_OK;
}

static sl_err record_append(struct frontend_records *records, struct batch_builder *builder,
                            const struct sluice_record *record, int64_t now_ms)
{
    struct record_fields fields = {
        .key = {record->key.data, (size_t)record->key.size},
        .value = {record->value.data, (size_t)record->value.size},
        .timestamp_ms = record->timestamp < 0 ? now_ms : record->timestamp,
        .key_is_null = record->key.data == NULL,
        .value_is_null = record->value.data == NULL,
    };
    sl_err err = headers_take(&records->built_headers, record, &fields);
    return err != SLUICE_OK ? err : batch_builder_append(builder, &fields);
}

static sluice_status on_build(const struct sluice_records_host *host,
                              const struct sluice_record *first, uint32_t count, uint32_t stride,
                              struct sluice_bytes *ret_batch)
{
    struct frontend_records *records = of_host(host);
    struct batch_builder builder;
    struct batch_view view;
    const char *at = (const char *)first;
    int64_t now_ms = sl_os_wall_ms(records->os);
    sl_buffer_reset_above(&records->built, FRONTEND_RECORDS_KEPT_BYTES);
    sl_err err = batch_builder_start(&builder, &records->built, NULL);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++, at += stride) {
        err = record_append(records, &builder, (const struct sluice_record *)(const void *)at,
                            now_ms);
    }
    sl_buffer_reset_above(&records->built_headers, FRONTEND_RECORDS_KEPT_BYTES);
    if (err == SLUICE_OK) {
        err = batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    }
    if (err == SLUICE_OK) {
        *ret_batch = (struct sluice_bytes){view.data, view.size};
    }
    return err;
}

/* ---- each ---- */

struct walk {
    struct frontend_records *records;
    sluice_record_each *each;
    void *arg;
    int64_t offset;
    int64_t next_offset;
    bool ended;
};

static struct sluice_bytes bytes_of(struct sl_bytes bytes, bool is_null)
{
    static const uint8_t empty[1];
    if (is_null) {
        return (struct sluice_bytes){NULL, 0};
    }
    return (struct sluice_bytes){bytes.data != NULL ? bytes.data : empty, bytes.size};
}

static sl_err headers_show(struct sl_buffer *memory, const struct record_view *view,
                           struct sluice_record *record)
{
    struct header_iterator iterator;
    struct header_view header;
    sl_buffer_reset(memory);
    header_iterator_init(&iterator, view);
    while (header_iterator_next(&iterator, &header)) {
        struct sluice_header shown = {.key = {(const char *)header.key.data, header.key.size},
                                      .value = bytes_of(header.value, header.value_is_null)};
        sl_err err = sl_buffer_append(memory, &shown, sizeof(shown));
        if (err != SLUICE_OK) {
            return err;
        }
    }
    record->headers = (const struct sluice_header *)(const void *)memory->data;
    record->header_count = (uint32_t)view->header_count;
    return SLUICE_OK;
}

static sl_err record_show(struct walk *walk, const struct batch_view *batch,
                          const struct record_view *view)
{
    struct sluice_record record = {
        .size = sizeof(record),
        .offset = record_offset(batch, view),
        .timestamp = record_timestamp(batch, view),
        .key = bytes_of(view->key, view->key_is_null),
        .value = bytes_of(view->value, view->value_is_null),
    };
    if (record.offset < walk->offset) {
        return SLUICE_OK;
    }
    sl_err err = headers_show(&walk->records->shown_headers, view, &record);
    if (err == SLUICE_OK) {
        walk->next_offset = record.offset + 1;
        walk->ended = !walk->each(walk->arg, &record);
    }
    return err;
}

static sl_err batch_show(struct walk *walk, const struct batch_view *batch)
{
    struct frontend_records *records = walk->records;
    struct record_iterator iterator;
    struct record_view record;
    struct sl_bytes bytes;
    if (!batch_view_has(batch, BATCH_CONTROL)) {
        if (records->codecs == NULL) {
            records->codecs = codec_context_new();
        }
        sl_err err = records->codecs == NULL
                         ? SLUICE_E_NO_MEMORY
                         : batch_decompress(batch, records->codecs, records->decompressed.size_max,
                                            &records->decompressed, &bytes);
        if (err != SLUICE_OK) {
            return err;
        }
        record_iterator_init(&iterator, bytes, batch_view_record_count(batch));
        while (err == SLUICE_OK && !walk->ended && record_iterator_next(&iterator, &record)) {
            err = record_show(walk, batch, &record);
        }
        if (err != SLUICE_OK || walk->ended) {
            return err;
        }
        err = record_iterator_finish(&iterator);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    walk->next_offset = SL_MAX(walk->next_offset, batch_view_next_offset(batch));
    return SLUICE_OK;
}

static sluice_status on_each(const struct sluice_records_host *host, struct sluice_bytes batches,
                             int64_t offset, sluice_record_each *each, void *arg,
                             int64_t *ret_next_offset)
{
    struct walk walk = {of_host(host), each, arg, offset, offset, false};
    struct sl_bytes left = {batches.data, (size_t)batches.size};
    sl_err err = SLUICE_OK;
    while (left.size > 0 && !walk.ended && err == SLUICE_OK) {
        struct batch_view batch;
        err = batch_view_init(&batch, left);
        if (err == SLUICE_OK) {
            err = batch_show(&walk, &batch);
            left.data += batch.size;
            left.size -= batch.size;
        }
    }
    sl_buffer_reset_above(&walk.records->shown_headers, FRONTEND_RECORDS_KEPT_BYTES);
    sl_buffer_reset_above(&walk.records->decompressed, FRONTEND_RECORDS_KEPT_BYTES);
    *ret_next_offset = walk.next_offset;
    return err;
}

/* ---- life ---- */

void frontend_records_init(struct frontend_records *records, struct sl_os *os,
                           size_t decompressed_bytes_max)
{
    records->host = (struct sluice_records_host){
        .size = sizeof(records->host), .data = records, .build = on_build, .each = on_each};
    records->os = os;
    records->codecs = NULL;
    sl_buffer_init(&records->built, FRONTEND_RECORDS_BUILD_MAX);
    sl_buffer_init(&records->decompressed, decompressed_bytes_max);
    sl_buffer_init(&records->built_headers, HEADERS_BYTES_MAX);
    sl_buffer_init(&records->shown_headers, HEADERS_BYTES_MAX);
}

void frontend_records_fini(struct frontend_records *records)
{
    codec_context_free(records->codecs);
    sl_buffer_fini(&records->built);
    sl_buffer_fini(&records->decompressed);
    sl_buffer_fini(&records->built_headers);
    sl_buffer_fini(&records->shown_headers);
}
