/* record_iterator.c: see record_iterator.h. The inner loop of the broker: every branch counts. */
#include "record/record_iterator.h"
#include "base/varint.h"

/* A field with a length before it. Length -1 is null; anything less is a lie. */
static inline const uint8_t *read_field(const uint8_t *at, const uint8_t *end,
                                        struct sl_bytes *ret_field, bool *ret_is_null)
{
    int32_t size;
    at = sl_varint_read(at, end, &size);
    if (at == NULL)
        return NULL;
    if (size < 0) {
        *ret_field = (struct sl_bytes){0};
        *ret_is_null = true;
        return size == -1 ? at : NULL;
    }
    if (size > end - at)
        return NULL;
    *ret_field = sl_bytes_of(at, (size_t)size);
    *ret_is_null = false;
    return at + size;
}

static const uint8_t *read_header(const uint8_t *at, const uint8_t *end,
                                  struct header_view *ret_header)
{
    bool key_is_null;
    at = read_field(at, end, &ret_header->key, &key_is_null);
    if (at == NULL || key_is_null)
        return NULL;
    return read_field(at, end, &ret_header->value, &ret_header->value_is_null);
}

static const uint8_t *check_headers(const uint8_t *at, const uint8_t *end, int32_t count)
{
    struct header_view ignored;
    for (; count > 0 && at != NULL; count--)
        at = read_header(at, end, &ignored);
    return at;
}

/* The record's fields behind its length; NULL unless they fill at..end exactly. */
static inline const uint8_t *read_body(const uint8_t *at, const uint8_t *end,
                                       struct record_view *record)
{
    if (at == end)
        return NULL;
    at = sl_varlong_read(at + 1, end, &record->timestamp_delta); /* attributes: always 0, unused */
    if (at == NULL)
        return NULL;
    at = sl_varint_read(at, end, &record->offset_delta);
    if (at == NULL)
        return NULL;
    at = read_field(at, end, &record->key, &record->key_is_null);
    if (at == NULL)
        return NULL;
    at = read_field(at, end, &record->value, &record->value_is_null);
    if (at == NULL)
        return NULL;
    at = sl_varint_read(at, end, &record->header_count);
    if (at == NULL || record->header_count < 0)
        return NULL;
    record->headers = sl_bytes_of(at, (size_t)(end - at));
    if (record->header_count > 0)
        at = check_headers(at, end, record->header_count);
    return at == end ? at : NULL;
}

void record_iterator_init(struct record_iterator *iterator, struct sl_bytes records,
                          int32_t record_count)
{
    static const uint8_t nothing[1];
    const uint8_t *start = records.data == NULL ? nothing : records.data;
    *iterator = (struct record_iterator){
        .at = start,
        .end = start + records.size,
        .left = record_count,
        .err = record_count < 0 ? SLUICE_E_INVALID_RECORD : SLUICE_OK,
    };
}

static bool stop(struct record_iterator *iterator, sl_err err)
{
    iterator->err = err;
    iterator->left = 0;
    return false;
}

bool record_iterator_next(struct record_iterator *iterator, struct record_view *ret_record)
{
    if (iterator->left <= 0) {
        if (iterator->at != iterator->end && iterator->err == SLUICE_OK)
            return stop(iterator, SLUICE_E_INVALID_RECORD);
        return false;
    }
    int32_t length;
    const uint8_t *start = iterator->at;
    const uint8_t *body = sl_varint_read(start, iterator->end, &length);
    if (body == NULL || length < 0 || length > iterator->end - body)
        return stop(iterator, SLUICE_E_INVALID_RECORD);
    const uint8_t *end = body + length;
    if (read_body(body, end, ret_record) == NULL)
        return stop(iterator, SLUICE_E_INVALID_RECORD);
    ret_record->whole = sl_bytes_of(start, (size_t)(end - start));
    iterator->at = end;
    iterator->left--;
    return true;
}

sl_err record_iterator_finish(const struct record_iterator *iterator)
{
    if (iterator->err != SLUICE_OK)
        return iterator->err;
    bool complete = iterator->left == 0 && iterator->at == iterator->end;
    return complete ? SLUICE_OK : SLUICE_E_INVALID_RECORD;
}

void header_iterator_init(struct header_iterator *iterator, const struct record_view *record)
{
    *iterator = (struct header_iterator){
        .at = record->headers.data,
        .end = record->headers.data + record->headers.size,
        .left = record->header_count,
    };
}

bool header_iterator_next(struct header_iterator *iterator, struct header_view *ret_header)
{
    if (iterator->left <= 0)
        return false;
    const uint8_t *next = read_header(iterator->at, iterator->end, ret_header);
    if (next == NULL) { /* bytes changed since the record was shown: end rather than read on */
        iterator->left = 0;
        return false;
    }
    iterator->at = next;
    iterator->left--;
    return true;
}

int64_t record_timestamp(const struct batch_view *batch, const struct record_view *record)
{
    if (batch_view_has(batch, BATCH_LOG_APPEND_TIME))
        return batch_view_max_timestamp(batch);
    return sl_wrapping_add(batch_view_base_timestamp(batch), record->timestamp_delta);
}
