/* native_wire.c: see native_wire.h. */
#include "native_wire.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 65535u
#define HEADER_MIN     6u /* bytes of a header without anything */
#define FIRST_CAPACITY 512u

/* ---- reading ---- */

void native_reader_init(struct native_reader *reader, const void *data, size_t size)
{
    static const uint8_t nothing[1]; /* where there is nothing, data may be NULL */
    reader->at = data != NULL ? data : nothing;
    reader->end = reader->at + size;
    reader->failed = false;
}

/* NULL: there are not so many. */
static const uint8_t *take(struct native_reader *reader, size_t size)
{
    const uint8_t *at = reader->at;
    if (reader->failed || size > (size_t)(reader->end - at)) {
        reader->failed = true;
        return NULL;
    }
    reader->at += size;
    return at;
}

void native_skip(struct native_reader *reader, size_t size)
{
    (void)take(reader, size);
}

static uint64_t read_number(struct native_reader *reader, size_t size)
{
    const uint8_t *at = take(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < size; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

uint8_t native_read_u8(struct native_reader *reader)
{
    return (uint8_t)read_number(reader, 1);
}

uint16_t native_read_u16(struct native_reader *reader)
{
    return (uint16_t)read_number(reader, 2);
}

uint32_t native_read_u32(struct native_reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t native_read_u64(struct native_reader *reader)
{
    return read_number(reader, 8);
}

int32_t native_read_i32(struct native_reader *reader)
{
    return (int32_t)native_read_u32(reader);
}

int64_t native_read_i64(struct native_reader *reader)
{
    return (int64_t)native_read_u64(reader);
}

/* Bytes of the UTF-8 sequence that begins here (RFC 3629); 0: none does. */
static size_t sequence_size(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t low, high; /* of the first byte */
        uint8_t second_low, second_high;
        uint8_t size;
    } rows[] = {
        {0x01, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (at[0] < rows[i].low || at[0] > rows[i].high) {
            continue;
        }
        bool fits =
            rows[i].size <= left &&
            (rows[i].size < 2 || (at[1] >= rows[i].second_low && at[1] <= rows[i].second_high));
        for (size_t k = 2; fits && k < rows[i].size; k++) {
            fits = (at[k] & 0xC0) == 0x80;
        }
        return fits ? rows[i].size : 0;
    }
    return 0;
}

static bool is_text(const uint8_t *at, size_t size)
{
    while (size > 0) {
        size_t step = sequence_size(at, size);
        if (step == 0) {
            return false;
        }
        at += step;
        size -= step;
    }
    return true;
}

struct sluice_text native_read_text(struct native_reader *reader)
{
    size_t size = native_read_u16(reader);
    const uint8_t *at = take(reader, size);
    if (at != NULL && !is_text(at, size)) {
        reader->failed = true;
        at = NULL;
    }
    return at == NULL ? (struct sluice_text){"", 0} : (struct sluice_text){(const char *)at, size};
}

struct sluice_bytes native_read_blob(struct native_reader *reader)
{
    uint32_t size = native_read_u32(reader);
    if (size == NATIVE_BLOB_NULL || reader->failed) {
        return (struct sluice_bytes){NULL, 0};
    }
    const uint8_t *at = take(reader, size);
    return at == NULL ? (struct sluice_bytes){NULL, 0} : (struct sluice_bytes){at, size};
}

/* ---- frames ---- */

uint64_t native_frame_size(const void *data, size_t size)
{
    struct native_reader reader;
    native_reader_init(&reader, data, size);
    uint32_t behind = native_read_u32(&reader);
    if (reader.failed) {
        return 0;
    }
    return behind < NATIVE_HEAD_BYTES - 4 ? 1 : (uint64_t)behind + 4;
}

void native_frame_read(const void *data, struct native_frame *ret_frame)
{
    struct native_reader reader;
    native_reader_init(&reader, data, NATIVE_HEAD_BYTES);
    ret_frame->size = native_read_u32(&reader) + 4;
    ret_frame->kind = native_read_u16(&reader);
    ret_frame->flags = native_read_u16(&reader);
    ret_frame->id = native_read_u32(&reader);
    ret_frame->body = (const uint8_t *)data + NATIVE_HEAD_BYTES;
    ret_frame->body_size = ret_frame->size - NATIVE_HEAD_BYTES;
}

/* ---- records ---- */

uint32_t native_records_headers(struct native_reader reader, uint32_t count)
{
    uint64_t headers = 0;
    uint64_t most = (uint64_t)(reader.end - reader.at) / HEADER_MIN;
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        uint32_t size = native_read_u32(&reader);
        struct native_reader record = reader;
        native_skip(&record, NATIVE_RECORD_FIXED - 2);
        headers += native_read_u16(&record);
        native_skip(&reader, size);
    }
    return (uint32_t)(headers < most ? headers : most);
}

static sluice_status record_read(struct native_reader *reader, struct sluice_record *record,
                                 struct sluice_header *headers, uint32_t header_room)
{
    uint32_t size = native_read_u32(reader);
    const uint8_t *at = take(reader, size);
    struct native_reader own;
    if (at == NULL) {
        return SLUICE_E_MALFORMED;
    }
    native_reader_init(&own, at, size);
    record->size = sizeof(*record);
    record->offset = native_read_i64(&own);
    record->timestamp = native_read_i64(&own);
    (void)native_read_u16(&own);
    record->header_count = native_read_u16(&own);
    record->key = native_read_blob(&own);
    record->headers = headers;
    if (own.failed) {
        return SLUICE_E_MALFORMED;
    }
    if (record->header_count > header_room) {
        return SLUICE_E_LIMIT;
    }
    for (uint32_t i = 0; i < record->header_count; i++) {
        headers[i].key = native_read_text(&own);
        headers[i].value = native_read_blob(&own);
    }
    record->value = native_read_blob(&own);
    return own.failed ? SLUICE_E_MALFORMED : SLUICE_OK;
}

sluice_status native_records_read(struct native_reader *reader, struct sluice_record *records,
                                  uint32_t count, struct sluice_header *headers,
                                  uint32_t header_max)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sluice_header *room = used < header_max ? headers + used : NULL;
        sluice_status status = record_read(reader, &records[i], room, header_max - used);
        if (status != SLUICE_OK) {
            return status;
        }
        used += records[i].header_count;
    }
    return SLUICE_OK;
}

/* Other protocols take more headers, and longer names, than a record here has room for. */
static uint32_t headers_of(const struct sluice_record *record)
{
    return record->header_count < UINT16_MAX ? record->header_count : UINT16_MAX;
}

static uint64_t name_size(const struct sluice_header *header)
{
    return header->key.size < TEXT_BYTES_MAX ? header->key.size : TEXT_BYTES_MAX;
}

uint64_t native_record_size(const struct sluice_record *record)
{
    uint64_t size = 4 + NATIVE_RECORD_FIXED + 4 + record->key.size + 4 + record->value.size;
    for (uint32_t i = 0; i < headers_of(record); i++) {
        size += 2 + name_size(&record->headers[i]) + 4 + record->headers[i].value.size;
    }
    return size;
}

void native_record_write(struct native_writer *writer, const struct sluice_record *record,
                         uint16_t deliveries)
{
    size_t begin = writer->size;
    native_write_u32(writer, 0);
    native_write_i64(writer, record->offset);
    native_write_i64(writer, record->timestamp);
    native_write_u16(writer, deliveries);
    native_write_u16(writer, (uint16_t)headers_of(record));
    native_write_blob(writer, record->key);
    for (uint32_t i = 0; i < headers_of(record); i++) {
        native_write_text(writer, record->headers[i].key);
        native_write_blob(writer, record->headers[i].value);
    }
    native_write_blob(writer, record->value);
    native_patch_u32(writer, begin, (uint32_t)(writer->size - begin - 4));
}

/* ---- writing ---- */

void native_writer_init(struct native_writer *writer, size_t size_max)
{
    *writer = (struct native_writer){.size_max = size_max};
}

void native_writer_fini(struct native_writer *writer)
{
    free(writer->data);
    writer->data = NULL;
    writer->size = writer->capacity = 0;
}

void native_writer_reset(struct native_writer *writer, size_t keep)
{
    if (writer->capacity > keep) {
        native_writer_fini(writer);
    }
    writer->size = 0;
    writer->failed = false;
}

/* Room for so many bytes, which count as written; NULL: none. */
static uint8_t *grow(struct native_writer *writer, size_t size)
{
    if (writer->failed || size > writer->size_max - writer->size) {
        writer->failed = true;
        return NULL;
    }
    if (size > writer->capacity - writer->size) {
        size_t capacity = writer->capacity == 0 ? FIRST_CAPACITY : writer->capacity * 2;
        capacity = capacity < writer->size + size ? writer->size + size : capacity;
        uint8_t *data = realloc(writer->data, capacity);
        if (data == NULL) {
            writer->failed = true;
            return NULL;
        }
        writer->data = data;
        writer->capacity = capacity;
    }
    writer->size += size;
    return writer->data + writer->size - size;
}

static void put_number(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void write_number(struct native_writer *writer, uint64_t value, size_t size)
{
    uint8_t *at = grow(writer, size);
    if (at != NULL) {
        put_number(at, value, size);
    }
}

void native_write_u8(struct native_writer *writer, uint8_t value)
{
    write_number(writer, value, 1);
}

void native_write_u16(struct native_writer *writer, uint16_t value)
{
    write_number(writer, value, 2);
}

void native_write_u32(struct native_writer *writer, uint32_t value)
{
    write_number(writer, value, 4);
}

void native_write_u64(struct native_writer *writer, uint64_t value)
{
    write_number(writer, value, 8);
}

void native_write_i32(struct native_writer *writer, int32_t value)
{
    write_number(writer, (uint32_t)value, 4);
}

void native_write_i64(struct native_writer *writer, int64_t value)
{
    write_number(writer, (uint64_t)value, 8);
}

void native_write_bytes(struct native_writer *writer, const void *data, size_t size)
{
    uint8_t *at = grow(writer, size);
    if (at != NULL && size > 0) {
        memcpy(at, data, size);
    }
}

void native_write_text(struct native_writer *writer, struct sluice_text text)
{
    size_t size = text.size > TEXT_BYTES_MAX ? TEXT_BYTES_MAX : (size_t)text.size;
    native_write_u16(writer, (uint16_t)size);
    native_write_bytes(writer, text.data, size);
}

void native_write_blob(struct native_writer *writer, struct sluice_bytes bytes)
{
    if (bytes.data == NULL) {
        native_write_u32(writer, NATIVE_BLOB_NULL);
        return;
    }
    native_write_u32(writer, (uint32_t)bytes.size);
    native_write_bytes(writer, bytes.data, (size_t)bytes.size);
}

void native_patch_u32(struct native_writer *writer, size_t at, uint32_t value)
{
    if (!writer->failed) {
        put_number(writer->data + at, value, 4);
    }
}

void native_patch_u16(struct native_writer *writer, size_t at, uint16_t value)
{
    if (!writer->failed) {
        put_number(writer->data + at, value, 2);
    }
}

size_t native_frame_begin(struct native_writer *writer, uint16_t kind, uint16_t flags, uint32_t id)
{
    size_t begin = writer->size;
    native_write_u32(writer, 0);
    native_write_u16(writer, kind);
    native_write_u16(writer, flags);
    native_write_u32(writer, id);
    return begin;
}

void native_frame_end(struct native_writer *writer, size_t begin)
{
    native_patch_u32(writer, begin, (uint32_t)(writer->size - begin - 4));
}
