/* kafka_write.c: the writer: a bounded growing buffer and the list of what is spliced into it. */
#include "kafka_write.h"
#include <stdlib.h>

/* First allocation of a heap writer: most responses fit, so one malloc. */
#define WRITER_CAPACITY_MIN 512

void kafka_writer_init(struct kafka_writer *writer, size_t size_max)
{
    *writer = (struct kafka_writer){.size_max = size_max, .heap = true};
}

void kafka_writer_init_fixed(struct kafka_writer *writer, void *memory, size_t size)
{
    *writer = (struct kafka_writer){.data = memory, .capacity = size, .size_max = size};
}

void kafka_writer_fini(struct kafka_writer *writer)
{
    if (writer->heap) {
        free(writer->data);
    }
    *writer = (struct kafka_writer){0};
}

void kafka_writer_reset(struct kafka_writer *writer)
{
    writer->size = 0;
    writer->splices_count = 0;
    writer->spliced_size = 0;
    writer->status = SLUICE_OK;
}

void kafka_writer_set_splices(struct kafka_writer *writer, struct kafka_splice *splices,
                              uint32_t splices_max, size_t splice_size_min)
{
    writer->splices = splices;
    writer->splices_count = 0;
    writer->splices_max = splices_max;
    writer->spliced_size = 0;
    writer->splice_size_min = splice_size_min;
}

static bool piece_add(struct kafka_piece *pieces, uint32_t pieces_max, uint32_t *count,
                      struct kafka_piece piece)
{
    if (piece.size == 0) {
        return true;
    }
    if (*count == pieces_max) {
        return false;
    }
    pieces[(*count)++] = piece;
    return true;
}

sluice_status kafka_writer_pieces(const struct kafka_writer *writer, struct kafka_piece *pieces,
                                  uint32_t pieces_max, uint32_t *ret_count)
{
    uint32_t count = 0;
    size_t at = 0;

    for (uint32_t i = 0; i < writer->splices_count; i++) {
        const struct kafka_splice *splice = &writer->splices[i];
        struct kafka_piece own = {writer->data + at, splice->at - at, 0};
        if (!piece_add(pieces, pieces_max, &count, own) ||
            !piece_add(pieces, pieces_max, &count, splice->piece)) {
            return SLUICE_E_LIMIT;
        }
        at = splice->at;
    }
    if (writer->size > at) {
        struct kafka_piece own = {writer->data + at, writer->size - at, 0};
        if (!piece_add(pieces, pieces_max, &count, own)) {
            return SLUICE_E_LIMIT;
        }
    }
    *ret_count = count;
    return SLUICE_OK;
}

void kafka_write_fail(struct kafka_writer *writer, sluice_status status)
{
    if (writer->status == SLUICE_OK) {
        writer->status = status;
    }
}

static size_t grown_capacity(const struct kafka_writer *writer, size_t needed)
{
    size_t capacity =
        writer->capacity < WRITER_CAPACITY_MIN ? WRITER_CAPACITY_MIN : writer->capacity;

    while (capacity < needed) {
        capacity = capacity > writer->size_max / 2 ? writer->size_max : capacity * 2;
    }
    return capacity > writer->size_max ? writer->size_max : capacity;
}

bool kafka_write_grow(struct kafka_writer *writer, size_t size)
{
    size_t capacity;
    uint8_t *data;

    if (writer->status != SLUICE_OK) {
        return false;
    }
    if (size > writer->size_max - writer->size || !writer->heap) {
        kafka_write_fail(writer, SLUICE_E_LIMIT);
        return false;
    }
    capacity = grown_capacity(writer, writer->size + size);
    data = realloc(writer->data, capacity);
    if (!data) {
        kafka_write_fail(writer, SLUICE_E_NO_MEMORY);
        return false;
    }
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

static size_t uvarint_put(uint8_t buffer[5], uint32_t value)
{
    size_t size = 0;

    while (value >= 0x80) {
        buffer[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    buffer[size++] = (uint8_t)value;
    return size;
}

void kafka_write_uvarint_slow(struct kafka_writer *writer, uint32_t value)
{
    uint8_t buffer[5];

    kafka_write_raw(writer, buffer, uvarint_put(buffer, value));
}

bool kafka_write_null_allowed(struct kafka_writer *writer, int32_t size, bool nullable)
{
    if (size < -1 || !nullable) {
        kafka_write_fail(writer, SLUICE_E_INVALID);
        return false;
    }
    return true;
}

static void write_piece(struct kafka_writer *writer, const struct kafka_piece *piece)
{
    if (piece->size == 0) {
        return;
    }
    if (piece->data && (!writer->splices || piece->size < writer->splice_size_min)) {
        kafka_write_raw(writer, piece->data, piece->size);
        return;
    }
    if (!writer->splices) {
        kafka_write_fail(writer, SLUICE_E_INVALID);
        return;
    }
    if (writer->splices_count == writer->splices_max) {
        kafka_write_fail(writer, SLUICE_E_LIMIT);
        return;
    }
    writer->splices[writer->splices_count++] = (struct kafka_splice){writer->size, *piece};
    writer->spliced_size += piece->size;
}

void kafka_write_records(struct kafka_writer *writer, const struct kafka_records *records,
                         bool compact, bool nullable)
{
    const struct kafka_piece whole = {records->data, (size_t)records->size, records->token};
    const struct kafka_piece *pieces = records->pieces_count > 0 ? records->pieces : &whole;
    uint32_t count = records->pieces_count > 0 ? records->pieces_count : 1;
    size_t sum = 0;

    kafka_write_count(writer, records->size, compact, nullable);
    if (records->size <= 0) {
        return;
    }
    for (uint32_t i = 0; i < count && writer->status == SLUICE_OK; i++) {
        write_piece(writer, &pieces[i]);
        sum += pieces[i].size;
    }
    if (sum != (size_t)records->size) {
        kafka_write_fail(writer, SLUICE_E_INVALID);
    }
}

size_t kafka_write_tag_begin(struct kafka_writer *writer, uint32_t tag)
{
    kafka_write_uvarint(writer, tag);
    return writer->size;
}

void kafka_write_tag_end(struct kafka_writer *writer, size_t begin)
{
    uint8_t prefix[5];
    size_t size = writer->size - begin;
    size_t prefix_size = uvarint_put(prefix, (uint32_t)size);

    if (kafka_write_fits(writer, prefix_size) && writer->status == SLUICE_OK) {
        writer->size += prefix_size;
        memmove(writer->data + begin + prefix_size, writer->data + begin, size);
        memcpy(writer->data + begin, prefix, prefix_size);
    }
}

sluice_status kafka_write_undo(struct kafka_writer *writer, const struct kafka_write_mark *mark)
{
    sluice_status status = writer->status;

    writer->size = mark->size;
    writer->splices_count = mark->splices_count;
    writer->spliced_size = mark->spliced_size;
    writer->status = SLUICE_OK;
    return status;
}
