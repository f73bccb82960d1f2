/* share_letter.c: see share_letter.h. Letters and stored records are both walked by rising offset,
 * once. */
#include "shard/share_letter.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>

#define RECORD_OVERHEAD 64u /* lengths and deltas of a record and its broker's headers, at most */

struct letter_writer {
    const struct share_letter_page *page;
    struct batch_builder builder;
    struct header_view *headers; /* owned */
    size_t header_capacity;
    struct codec_context *codecs; /* owned; made for the first compressed batch */
    struct sl_buffer expanded;
    uint32_t count; /* letters written */
    bool is_full;
};

struct letter_texts {
    char partition[16], offset[24], deliveries[16];
};

static struct header_view header_of(const char *key, struct sl_bytes value)
{
    return (struct header_view){.key = sl_bytes_of_text(key), .value = value};
}

static void add_headers(const struct share_letter_page *page, const struct share_letter *letter,
                        struct letter_texts *texts, struct header_view *ret_headers)
{
    const char *why = letter->reason == SHARE_REJECTED
                          ? "Offset rejected by client."
                          : "Offset delivery count exceeded the threshold.";
    snprintf(texts->partition, sizeof(texts->partition), "%" PRIu32, page->origin.partition);
    snprintf(texts->offset, sizeof(texts->offset), "%" PRId64, letter->offset);
    snprintf(texts->deliveries, sizeof(texts->deliveries), "%u", letter->deliveries);
    ret_headers[0] = header_of("__dlq.errors.topic", page->origin.topic);
    ret_headers[1] = header_of("__dlq.errors.partition", sl_bytes_of_text(texts->partition));
    ret_headers[2] = header_of("__dlq.errors.offset", sl_bytes_of_text(texts->offset));
    ret_headers[3] = header_of("__dlq.errors.group", page->origin.group);
    ret_headers[4] = header_of("__dlq.errors.delivery.count", sl_bytes_of_text(texts->deliveries));
    ret_headers[5] = header_of("__dlq.errors.message", sl_bytes_of_text(why));
}

static sl_err header_room(struct letter_writer *writer, size_t count)
{
    if (count <= writer->header_capacity) {
        return SLUICE_OK;
    }
    size_t capacity = SL_MAX(count, writer->header_capacity * 2);
    struct header_view *grown = sl_realloc(writer->headers, capacity * sizeof(*grown));
    if (grown == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    writer->headers = grown;
    writer->header_capacity = capacity;
    return SLUICE_OK;
}

static size_t bound_of(const struct share_letter_page *page, size_t record_size)
{
    return record_size + page->origin.topic.size + page->origin.group.size + 256 + RECORD_OVERHEAD;
}

/* batch, record: NULL where the letter holds none. */
static sl_err append(struct letter_writer *writer, const struct batch_view *batch,
                     const struct record_view *record)
{
    const struct share_letter_page *page = writer->page;
    struct letter_texts texts;
    struct record_fields fields = {.key_is_null = true, .value_is_null = true};
    size_t own = record != NULL && record->header_count > 0 ? (size_t)record->header_count : 0;
    sl_err err = header_room(writer, own + SHARE_LETTER_HEADERS_MAX);
    if (err == SLUICE_OK && record != NULL) {
        err = record_fields_from_view(&fields, batch, record, writer->headers, own);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    add_headers(page, &page->letters[writer->count], &texts, writer->headers + own);
    fields.headers = writer->headers;
    fields.header_count = own + SHARE_LETTER_HEADERS_MAX;
    fields.timestamp_ms = page->now_ms;
    err = batch_builder_append(&writer->builder, &fields);
    writer->count += err == SLUICE_OK;
    return err;
}

/* The next letter, with its record or without. is_full: it did not fit beside the others. */
static sl_err letter_write(struct letter_writer *writer, const struct batch_view *batch,
                           const struct record_view *record)
{
    const struct share_letter_page *page = writer->page;
    size_t size = bound_of(page, record != NULL ? record->whole.size : 0);
    bool fits = batch_builder_size(&writer->builder) + size <= page->bytes_max;
    if (!fits && writer->count > 0) {
        writer->is_full = true;
        return SLUICE_OK;
    }
    return fits ? append(writer, batch, record) : append(writer, NULL, NULL);
}

static bool is_at_end(const struct letter_writer *writer)
{
    return writer->is_full || writer->count == writer->page->letter_count;
}

/* Letters below the offset have no record here: it is gone. */
static sl_err letters_below(struct letter_writer *writer, int64_t offset)
{
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && !is_at_end(writer) &&
           writer->page->letters[writer->count].offset < offset) {
        err = letter_write(writer, NULL, NULL);
    }
    return err;
}

static sl_err open_batch(struct letter_writer *writer, const struct batch_view *batch,
                         struct sl_bytes *ret_records)
{
    if (writer->codecs == NULL) {
        writer->codecs = codec_context_new();
    }
    return writer->codecs == NULL
               ? SLUICE_E_NO_MEMORY
               : batch_decompress(batch, writer->codecs, writer->page->expanded_bytes_max,
                                  &writer->expanded, ret_records);
}

static sl_err take_batch(struct letter_writer *writer, const struct batch_view *batch)
{
    struct record_iterator iterator;
    struct record_view record;
    struct sl_bytes records;
    sl_err err = letters_below(writer, batch_view_base_offset(batch));
    int64_t end = batch_view_last_offset(batch) + 1;
    if (err != SLUICE_OK || is_at_end(writer) ||
        writer->page->letters[writer->count].offset >= end) {
        return err;
    }
    err = open_batch(writer, batch, &records);
    if (err == SLUICE_E_NO_MEMORY) {
        return err;
    }
    if (err == SLUICE_OK) { /* else it is damaged, and its letters hold no records */
        record_iterator_init(&iterator, records, batch_view_record_count(batch));
        while (!is_at_end(writer) && record_iterator_next(&iterator, &record)) {
            int64_t offset = record_offset(batch, &record);
            err = letters_below(writer, offset);
            if (err == SLUICE_OK && !is_at_end(writer) &&
                writer->page->letters[writer->count].offset == offset) {
                err = letter_write(writer, batch, &record);
            }
            if (err != SLUICE_OK) {
                return err;
            }
        }
    }
    return letters_below(writer, end);
}

static sl_err take_all(struct letter_writer *writer)
{
    struct sl_bytes rest = writer->page->records;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && rest.size > 0 && !is_at_end(writer)) {
        struct batch_view batch;
        if (batch_view_init(&batch, rest) != SLUICE_OK) {
            break;
        }
        err = take_batch(writer, &batch);
        rest = (struct sl_bytes){rest.data + batch.size, rest.size - batch.size};
    }
    return err != SLUICE_OK ? err : letters_below(writer, writer->page->read_end);
}

sl_err share_letters_write(const struct share_letter_page *page, struct sl_buffer *out,
                           uint32_t *ret_count)
{
    SL_ASSERT(page->letter_count > 0);
    struct letter_writer writer = {.page = page};
    struct batch_view view;
    sl_buffer_init(&writer.expanded, page->expanded_bytes_max);
    sl_err err = batch_builder_start(&writer.builder, out, NULL);
    if (err == SLUICE_OK) {
        err = take_all(&writer);
        if (err == SLUICE_OK && writer.count == 0) { /* the read did not get there */
            err = letter_write(&writer, NULL, NULL);
        }
        if (err == SLUICE_OK) {
            err = batch_builder_finish(&writer.builder, 0, NULL, NULL, &view);
        } else {
            batch_builder_abandon(&writer.builder);
        }
    }
    sl_buffer_fini(&writer.expanded);
    codec_context_free(writer.codecs);
    sl_free(writer.headers);
    if (err == SLUICE_OK) {
        *ret_count = writer.count;
    }
    return err;
}
