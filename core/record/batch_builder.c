/* batch_builder.c: see batch_builder.h. */
#include "record/batch_builder.h"
#include "base/crc32c.h"
#include "base/varint.h"

/* Of one field, and of a batch: Kafka counts both in an i32. */
enum { SIZE_MAX_KAFKA = INT32_MAX };

static sl_err start_at_end(struct batch_builder *builder, struct sl_buffer *out)
{
    sl_err err = sl_buffer_reserve(out, BATCH_HEADER_SIZE);
    if (err != SLUICE_OK)
        return err;
    *builder = (struct batch_builder){
        .out = out,
        .start = out->size,
        .timestamp_max = BATCH_NO_TIMESTAMP,
    };
    out->size += BATCH_HEADER_SIZE;
    return SLUICE_OK;
}

sl_err batch_builder_start(struct batch_builder *builder, struct sl_buffer *out,
                           const struct batch_header *header)
{
    sl_err err = start_at_end(builder, out);
    if (err != SLUICE_OK)
        return err;
    if (header == NULL)
        batch_header_init(&builder->header);
    else
        builder->header = *header;
    return SLUICE_OK;
}

sl_err batch_builder_start_rewrite(struct batch_builder *builder, struct sl_buffer *out,
                                   const struct batch_view *original)
{
    sl_err err = start_at_end(builder, out);
    if (err != SLUICE_OK)
        return err;
    batch_view_header(original, &builder->header);
    builder->rewrites = true;
    return SLUICE_OK;
}

static size_t field_size(struct sl_bytes field, bool is_null)
{
    return is_null ? 1 : sl_varint_size((int32_t)field.size) + field.size;
}

static bool is_countable(struct sl_bytes field)
{
    return field.size <= SIZE_MAX_KAFKA;
}

/* Bytes of the record behind its length; false when a count does not fit Kafka's i32. */
static bool body_size(const struct record_fields *record, int64_t timestamp_delta,
                      int32_t offset_delta, size_t *ret_size)
{
    if (!is_countable(record->key) || !is_countable(record->value) ||
        record->header_count > SIZE_MAX_KAFKA)
        return false;
    size_t size = 1 + sl_varlong_size(timestamp_delta) + sl_varint_size(offset_delta);
    size += field_size(record->key, record->key_is_null);
    size += field_size(record->value, record->value_is_null);
    size += sl_varint_size((int32_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct header_view *header = &record->headers[i];
        if (!is_countable(header->key) || !is_countable(header->value))
            return false;
        size += field_size(header->key, false) + field_size(header->value, header->value_is_null);
    }
    *ret_size = size;
    return size <= SIZE_MAX_KAFKA;
}

static uint8_t *write_field(uint8_t *at, struct sl_bytes field, bool is_null)
{
    if (is_null)
        return sl_varint_write(at, -1);
    at = sl_varint_write(at, (int32_t)field.size);
    sl_bytes_copy(at, field);
    return at + field.size;
}

static uint8_t *write_record(uint8_t *at, const struct record_fields *record, size_t size,
                             int64_t timestamp_delta, int32_t offset_delta)
{
    at = sl_varint_write(at, (int32_t)size);
    *at++ = 0; /* attributes */
    at = sl_varlong_write(at, timestamp_delta);
    at = sl_varint_write(at, offset_delta);
    at = write_field(at, record->key, record->key_is_null);
    at = write_field(at, record->value, record->value_is_null);
    at = sl_varint_write(at, (int32_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        at = write_field(at, record->headers[i].key, false);
        at = write_field(at, record->headers[i].value, record->headers[i].value_is_null);
    }
    return at;
}

/* Room for `size` more bytes, within what a batch can count. */
static sl_err reserve(struct batch_builder *builder, size_t size)
{
    if (size > SIZE_MAX_KAFKA - batch_builder_size(builder))
        return SLUICE_E_LIMIT;
    return sl_buffer_reserve(builder->out, size);
}

static sl_err check_offset(const struct batch_builder *builder, int32_t offset_delta)
{
    if (builder->record_count == INT32_MAX || builder->next_offset_delta < 0)
        return SLUICE_E_LIMIT;
    bool beyond = builder->rewrites && offset_delta > builder->header.last_offset_delta;
    return offset_delta < builder->next_offset_delta || beyond ? SLUICE_E_INVALID : SLUICE_OK;
}

static void note_record(struct batch_builder *builder, size_t size, int64_t timestamp_ms,
                        int32_t offset_delta)
{
    builder->out->size += size;
    builder->timestamp_max = SL_MAX(builder->timestamp_max, timestamp_ms);
    builder->record_count++;
    /* After offset delta 2^31 - 1 there is none: -1 says so to check_offset(). */
    builder->next_offset_delta = offset_delta == INT32_MAX ? -1 : offset_delta + 1;
    if (!builder->rewrites)
        builder->header.last_offset_delta = offset_delta;
}

sl_err batch_builder_append_at(struct batch_builder *builder, const struct record_fields *record,
                               int32_t offset_delta)
{
    sl_err err = check_offset(builder, offset_delta);
    if (err != SLUICE_OK)
        return err;
    bool is_first = builder->record_count == 0 && !builder->rewrites;
    int64_t base = is_first ? record->timestamp_ms : builder->header.base_timestamp;
    int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp_ms - (uint64_t)base);
    size_t body;
    if (!body_size(record, timestamp_delta, offset_delta, &body))
        return SLUICE_E_LIMIT;
    size_t size = sl_varint_size((int32_t)body) + body;
    err = reserve(builder, size);
    if (err != SLUICE_OK)
        return err;
    uint8_t *at = builder->out->data + builder->out->size;
    uint8_t *end = write_record(at, record, body, timestamp_delta, offset_delta);
    SL_ASSERT(end == at + size);
    builder->header.base_timestamp = base;
    note_record(builder, size, record->timestamp_ms, offset_delta);
    return SLUICE_OK;
}

sl_err batch_builder_append(struct batch_builder *builder, const struct record_fields *record)
{
    return batch_builder_append_at(builder, record, builder->next_offset_delta);
}

sl_err batch_builder_keep(struct batch_builder *builder, const struct record_view *record)
{
    SL_ASSERT(builder->rewrites);
    sl_err err = check_offset(builder, record->offset_delta);
    if (err != SLUICE_OK)
        return err;
    err = reserve(builder, record->whole.size);
    if (err != SLUICE_OK)
        return err;
    sl_bytes_copy(builder->out->data + builder->out->size, record->whole);
    int64_t timestamp_ms = sl_wrapping_add(builder->header.base_timestamp, record->timestamp_delta);
    note_record(builder, record->whole.size, timestamp_ms, record->offset_delta);
    return SLUICE_OK;
}

/* Replaces the records in out by their compressed form; on failure they stay. */
static sl_err compress_records(struct batch_builder *builder, int codec,
                               struct codec_context *context, struct sl_buffer *scratch)
{
    struct sl_buffer *out = builder->out;
    size_t at = builder->start + BATCH_HEADER_SIZE;
    sl_buffer_reset(scratch);
    sl_err err =
        codec_compress(context, codec, sl_bytes_of(out->data + at, out->size - at), scratch);
    if (err != SLUICE_OK)
        return err;
    if (scratch->size > out->size - at) { /* incompressible: may grow */
        err = reserve(builder, scratch->size - (out->size - at));
        if (err != SLUICE_OK)
            return err;
    }
    memcpy(out->data + at, scratch->data, scratch->size);
    out->size = at + scratch->size;
    return SLUICE_OK;
}

static void write_header(uint8_t *at, size_t size, const struct batch_header *header,
                         int32_t record_count)
{
    sl_be64_store(at + BATCH_BASE_OFFSET_AT, (uint64_t)header->base_offset);
    sl_be32_store(at + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD_SIZE));
    sl_be32_store(at + BATCH_LEADER_EPOCH_AT, (uint32_t)header->leader_epoch);
    at[BATCH_MAGIC_AT] = BATCH_MAGIC;
    sl_be16_store(at + BATCH_ATTRIBUTES_AT, header->attributes);
    sl_be32_store(at + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)header->last_offset_delta);
    sl_be64_store(at + BATCH_BASE_TIMESTAMP_AT, (uint64_t)header->base_timestamp);
    sl_be64_store(at + BATCH_MAX_TIMESTAMP_AT, (uint64_t)header->max_timestamp);
    sl_be64_store(at + BATCH_PRODUCER_ID_AT, (uint64_t)header->producer_id);
    sl_be16_store(at + BATCH_PRODUCER_EPOCH_AT, (uint16_t)header->producer_epoch);
    sl_be32_store(at + BATCH_BASE_SEQUENCE_AT, (uint32_t)header->base_sequence);
    sl_be32_store(at + BATCH_RECORD_COUNT_AT, (uint32_t)record_count);
    uint32_t crc = sl_crc32c(at + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT);
    sl_be32_store(at + BATCH_CRC_AT, crc);
}

sl_err batch_builder_finish(struct batch_builder *builder, int codec, struct codec_context *context,
                            struct sl_buffer *scratch, struct batch_view *ret_view)
{
    struct batch_header *header = &builder->header;
    if (builder->record_count == 0 && !builder->rewrites)
        return SLUICE_E_INVALID;
    if (builder->record_count == 0)
        codec = BATCH_CODEC_NONE;
    if (codec != BATCH_CODEC_NONE) {
        sl_err err = compress_records(builder, codec, context, scratch);
        if (err != SLUICE_OK)
            return err;
    }
    header->attributes = (uint16_t)((header->attributes & ~BATCH_CODEC_MASK) | codec);
    bool keeps_max = builder->record_count == 0 ||
                     (builder->rewrites && (header->attributes & BATCH_LOG_APPEND_TIME) != 0);
    if (!keeps_max)
        header->max_timestamp = builder->timestamp_max;
    uint8_t *at = builder->out->data + builder->start;
    size_t size = batch_builder_size(builder);
    write_header(at, size, header, builder->record_count);
    *ret_view = (struct batch_view){.data = at, .size = size};
    return SLUICE_OK;
}

void batch_builder_abandon(struct batch_builder *builder)
{
    builder->out->size = builder->start;
}

sl_err record_fields_from_view(struct record_fields *fields, const struct batch_view *batch,
                               const struct record_view *record, struct header_view *headers,
                               size_t header_count_max)
{
    if ((size_t)record->header_count > header_count_max)
        return SLUICE_E_LIMIT;
    struct header_iterator iterator;
    header_iterator_init(&iterator, record);
    size_t count = 0;
    while (count < header_count_max && header_iterator_next(&iterator, &headers[count]))
        count++;
    *fields = (struct record_fields){
        .key = record->key,
        .value = record->value,
        .headers = headers,
        .header_count = count,
        .timestamp_ms = record_timestamp(batch, record),
        .key_is_null = record->key_is_null,
        .value_is_null = record->value_is_null,
    };
    return SLUICE_OK;
}
