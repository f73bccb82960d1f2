/* message_set_write.c: record batches to message sets. See message_set.h.
 *
 * Records of a compressed batch are collected, uncompressed, up to WRAPPER_BYTES, and go out as one
 * wrapper under the batch's codec: a batch may become several, so that memory and the soft bound
 * hold whatever the batch expands to. */
#include "record/message_set.h"

#include "record/record_iterator.h"

enum { WRAPPER_BYTES = 1 << 20, NULL_SIZE = -1 };

struct writing {
    const struct message_set_want *want;
    struct message_set_memory *memory;
    struct sl_buffer *out;
    size_t start;            /* of out, where the set begins */
    struct batch_view batch; /* being written */
    uint8_t attributes;      /* of its messages, without the codec */
    int codec;
    int64_t first_offset; /* of the wrapper being collected */
    int64_t last_offset;
    int64_t max_timestamp;
};

struct fields {
    struct sl_bytes key, value;
    bool key_is_null, value_is_null;
};

static size_t message_size(int magic, const struct fields *fields)
{
    return MESSAGE_TIMESTAMP_AT + (magic > 0 ? 8u : 0u) + 8 + fields->key.size + fields->value.size;
}

static uint8_t *field_write(uint8_t *at, struct sl_bytes field, bool is_null)
{
    sl_be32_store(at, is_null ? (uint32_t)NULL_SIZE : (uint32_t)field.size);
    sl_bytes_copy(at + 4, field);
    return at + 4 + field.size;
}

static sl_err message_write(struct sl_buffer *out, int magic, int64_t offset, uint8_t attributes,
                            int64_t timestamp, const struct fields *fields)
{
    size_t size = message_size(magic, fields);
    if (size > INT32_MAX)
        return SLUICE_E_BATCH_TOO_LARGE;
    sl_err err = sl_buffer_reserve(out, size);
    if (err != SLUICE_OK)
        return err == SLUICE_E_LIMIT ? SLUICE_E_BATCH_TOO_LARGE : err;
    uint8_t *message = out->data + out->size;
    uint8_t *at = message + MESSAGE_TIMESTAMP_AT;
    sl_be64_store(message + MESSAGE_OFFSET_AT, (uint64_t)offset);
    sl_be32_store(message + MESSAGE_SIZE_AT, (uint32_t)(size - MESSAGE_OVERHEAD_SIZE));
    message[MESSAGE_MAGIC_AT] = (uint8_t)magic;
    message[MESSAGE_ATTRIBUTES_AT] = attributes;
    if (magic > 0) {
        sl_be64_store(at, (uint64_t)timestamp);
        at += 8;
    }
    at = field_write(at, fields->key, fields->key_is_null);
    field_write(at, fields->value, fields->value_is_null);
    sl_be32_store(message + MESSAGE_CRC_AT, message_computed_crc(message, size));
    out->size += size;
    return SLUICE_OK;
}

static bool is_full(const struct writing *writing)
{
    size_t size = writing->out->size - writing->start;
    return size > 0 && size >= writing->want->bytes_max;
}

/* What is collected in memory->packing goes out as one message. */
static sl_err wrapper_write(struct writing *writing)
{
    struct sl_buffer *packing = &writing->memory->packing;
    struct sl_buffer value;
    if (packing->size == 0)
        return SLUICE_OK;
    sl_buffer_init(&value, codec_compress_room(packing->size));
    sl_err err =
        codec_compress(writing->memory->codecs, writing->codec, sl_buffer_bytes(packing), &value);
    if (err == SLUICE_OK && writing->codec == BATCH_CODEC_LZ4 && writing->want->magic == 0)
        lz4_header_seal(value.data, value.size, true);
    if (err == SLUICE_OK) {
        struct fields fields = {.value = sl_buffer_bytes(&value), .key_is_null = true};
        err = message_write(writing->out, writing->want->magic, writing->last_offset,
                            (uint8_t)(writing->attributes | writing->codec), writing->max_timestamp,
                            &fields);
    }
    sl_buffer_fini(&value);
    sl_buffer_reset(packing);
    return err;
}

static sl_err record_collect(struct writing *writing, const struct fields *fields, int64_t offset,
                             int64_t timestamp)
{
    struct sl_buffer *packing = &writing->memory->packing;
    int magic = writing->want->magic;
    if (packing->size > 0 && packing->size + message_size(magic, fields) > WRAPPER_BYTES) {
        sl_err err = wrapper_write(writing);
        if (err != SLUICE_OK || is_full(writing))
            return err;
    }
    if (packing->size == 0) {
        writing->first_offset = offset;
        writing->max_timestamp = timestamp;
    }
    writing->last_offset = offset;
    writing->max_timestamp = SL_MAX(writing->max_timestamp, timestamp);
    return message_write(packing, magic, magic > 0 ? offset - writing->first_offset : offset,
                         writing->attributes, timestamp, fields);
}

static sl_err record_write(struct writing *writing, const struct record_view *record)
{
    struct fields fields = {record->key, record->value, record->key_is_null, record->value_is_null};
    int64_t offset = record_offset(&writing->batch, record);
    int64_t timestamp = record_timestamp(&writing->batch, record);
    if (writing->codec != BATCH_CODEC_NONE)
        return record_collect(writing, &fields, offset, timestamp);
    writing->last_offset = offset;
    return message_write(writing->out, writing->want->magic, offset, writing->attributes, timestamp,
                         &fields);
}

/* *ret_next: behind the last record that went out, or the batch. */
static sl_err records_write(struct writing *writing, struct sl_bytes records, int64_t *ret_next)
{
    struct record_iterator iterator;
    struct record_view record;
    sl_err err = SLUICE_OK;
    bool is_cut = false;
    sl_buffer_reset(&writing->memory->packing);
    record_iterator_init(&iterator, records, batch_view_record_count(&writing->batch));
    while (err == SLUICE_OK && !is_cut && record_iterator_next(&iterator, &record)) {
        if (record_offset(&writing->batch, &record) >= writing->want->offset)
            err = record_write(writing, &record);
        is_cut = is_full(writing);
    }
    if (err == SLUICE_OK && !is_cut)
        err = record_iterator_finish(&iterator);
    if (err == SLUICE_OK && !is_cut)
        err = wrapper_write(writing);
    if (err == SLUICE_OK)
        *ret_next = is_cut ? writing->last_offset + 1 : batch_view_next_offset(&writing->batch);
    return err;
}

static sl_err batch_write(struct writing *writing, int64_t *ret_next)
{
    const struct batch_view *batch = &writing->batch;
    struct sl_bytes records;
    bool is_before = batch_view_last_offset(batch) < writing->want->offset;
    if (batch_view_has(batch, BATCH_CONTROL) || is_before) {
        *ret_next = batch_view_next_offset(batch);
        return SLUICE_OK;
    }
    writing->codec = batch_view_codec(batch);
    bool append_time = writing->want->magic > 0 && batch_view_has(batch, BATCH_LOG_APPEND_TIME);
    writing->attributes = append_time ? MESSAGE_APPEND_TIME : 0;
    if (writing->codec > BATCH_CODEC_LZ4)
        return SLUICE_E_UNSUPPORTED_CODEC;
    sl_err err = batch_decompress(batch, writing->memory->codecs, writing->memory->opened.size_max,
                                  &writing->memory->opened, &records);
    return err != SLUICE_OK ? err : records_write(writing, records, ret_next);
}

sl_err message_set_from_batches(struct sl_bytes batches, const struct message_set_want *want,
                                struct message_set_memory *memory, struct sl_buffer *out,
                                int64_t *ret_next)
{
    struct writing writing = {.want = want, .memory = memory, .out = out, .start = out->size};
    int64_t next = want->offset;
    sl_err err = SLUICE_OK;
    while (batches.size > 0 && !is_full(&writing)) {
        size_t size = out->size;
        err = batch_view_init(&writing.batch, batches);
        if (err == SLUICE_OK)
            err = batch_write(&writing, &next);
        if (err != SLUICE_OK) {
            out->size = size; /* what came before can be read; the next fetch begins at this one */
            break;
        }
        batches = sl_bytes_of(batches.data + writing.batch.size, batches.size - writing.batch.size);
    }
    if (err != SLUICE_OK && out->size == writing.start)
        return err;
    *ret_next = SL_MAX(next, want->offset);
    return SLUICE_OK;
}
