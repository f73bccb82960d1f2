/* kafka_write.h: the primitives that generated encoders are made of.
 *
 * The writer's status is sticky while one message is encoded: after the first failure writes are
 * dropped, and the generated entry function takes the writer back to where the message began. */
#ifndef KAFKA_WRITE_H
#define KAFKA_WRITE_H

#include "kafka_codec.h"

/* Where a message began, to take the writer back there. */
struct kafka_write_mark {
    size_t size;
    uint32_t splices_count;
    size_t spliced_size;
};

KAFKA_RARE void kafka_write_fail(struct kafka_writer *writer, sluice_status status);
/* Makes room for size more bytes, false when that is refused. */
KAFKA_RARE bool kafka_write_grow(struct kafka_writer *writer, size_t size);
__attribute__((noinline)) void kafka_write_uvarint_slow(struct kafka_writer *writer,
                                                        uint32_t value);
/* Whether the size of what is below 0 may be written: null is meant and allowed. Fails the writer
 * if not. */
KAFKA_RARE bool kafka_write_null_allowed(struct kafka_writer *writer, int32_t size, bool nullable);
void kafka_write_records(struct kafka_writer *writer, const struct kafka_records *records,
                         bool compact, bool nullable);
/* A tagged field: begin writes the tag, end puts the size in front of what was written since. */
size_t kafka_write_tag_begin(struct kafka_writer *writer, uint32_t tag);
void kafka_write_tag_end(struct kafka_writer *writer, size_t begin);

/* The failure of the writes since begin, which are undone. */
KAFKA_RARE sluice_status kafka_write_undo(struct kafka_writer *writer,
                                          const struct kafka_write_mark *mark);

KAFKA_PRIMITIVE struct kafka_write_mark kafka_write_begin(struct kafka_writer *writer)
{
    writer->status = SLUICE_OK;
    return (struct kafka_write_mark){writer->size, writer->splices_count, writer->spliced_size};
}

/* The outcome of all writes since begin; on failure they are undone. */
KAFKA_PRIMITIVE sluice_status kafka_write_end(struct kafka_writer *writer,
                                              const struct kafka_write_mark *mark)
{
    return writer->status == SLUICE_OK ? SLUICE_OK : kafka_write_undo(writer, mark);
}

/* Whether size more bytes fit; the writer has failed if not. */
KAFKA_PRIMITIVE bool kafka_write_fits(struct kafka_writer *writer, size_t size)
{
    return writer->capacity - writer->size >= size || kafka_write_grow(writer, size);
}

KAFKA_PRIMITIVE void kafka_write_raw(struct kafka_writer *writer, const void *data, size_t size)
{
    if (size > 0 && kafka_write_fits(writer, size)) {
        memcpy(writer->data + writer->size, data, size);
        writer->size += size;
    }
}

/* Numbers where room is: each returns what is behind it. */
KAFKA_PRIMITIVE uint8_t *kafka_put_int8(uint8_t *at, int8_t value)
{
    *at = (uint8_t)value;
    return at + 1;
}

KAFKA_PRIMITIVE uint8_t *kafka_put_bool(uint8_t *at, bool value)
{
    *at = value ? 1 : 0;
    return at + 1;
}

KAFKA_PRIMITIVE uint8_t *kafka_put_int16(uint8_t *at, int16_t value)
{
    uint16_t swapped = __builtin_bswap16((uint16_t)value);

    memcpy(at, &swapped, sizeof swapped);
    return at + sizeof swapped;
}

KAFKA_PRIMITIVE uint8_t *kafka_put_int32(uint8_t *at, int32_t value)
{
    uint32_t swapped = __builtin_bswap32((uint32_t)value);

    memcpy(at, &swapped, sizeof swapped);
    return at + sizeof swapped;
}

KAFKA_PRIMITIVE uint8_t *kafka_put_int64(uint8_t *at, int64_t value)
{
    uint64_t swapped = __builtin_bswap64((uint64_t)value);

    memcpy(at, &swapped, sizeof swapped);
    return at + sizeof swapped;
}

KAFKA_PRIMITIVE uint8_t *kafka_put_float64(uint8_t *at, double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return kafka_put_int64(at, bits);
}

KAFKA_PRIMITIVE uint8_t *kafka_put_uuid(uint8_t *at, const struct kafka_uuid *uuid)
{
    memcpy(at, uuid, sizeof *uuid);
    return at + sizeof *uuid;
}

KAFKA_PRIMITIVE void kafka_write_int8(struct kafka_writer *writer, int8_t value)
{
    if (kafka_write_fits(writer, 1)) {
        kafka_put_int8(writer->data + writer->size, value);
        writer->size += 1;
    }
}

KAFKA_PRIMITIVE void kafka_write_bool(struct kafka_writer *writer, bool value)
{
    if (kafka_write_fits(writer, 1)) {
        kafka_put_bool(writer->data + writer->size, value);
        writer->size += 1;
    }
}

KAFKA_PRIMITIVE void kafka_write_int16(struct kafka_writer *writer, int16_t value)
{
    if (kafka_write_fits(writer, 2)) {
        kafka_put_int16(writer->data + writer->size, value);
        writer->size += 2;
    }
}

KAFKA_PRIMITIVE void kafka_write_int32(struct kafka_writer *writer, int32_t value)
{
    if (kafka_write_fits(writer, 4)) {
        kafka_put_int32(writer->data + writer->size, value);
        writer->size += 4;
    }
}

KAFKA_PRIMITIVE void kafka_write_int64(struct kafka_writer *writer, int64_t value)
{
    if (kafka_write_fits(writer, 8)) {
        kafka_put_int64(writer->data + writer->size, value);
        writer->size += 8;
    }
}

KAFKA_PRIMITIVE void kafka_write_float64(struct kafka_writer *writer, double value)
{
    if (kafka_write_fits(writer, 8)) {
        kafka_put_float64(writer->data + writer->size, value);
        writer->size += 8;
    }
}

KAFKA_PRIMITIVE void kafka_write_uuid(struct kafka_writer *writer, const struct kafka_uuid *uuid)
{
    if (kafka_write_fits(writer, 16)) {
        kafka_put_uuid(writer->data + writer->size, uuid);
        writer->size += 16;
    }
}

KAFKA_PRIMITIVE void kafka_write_uvarint(struct kafka_writer *writer, uint32_t value)
{
    if (value < 0x80) {
        kafka_write_int8(writer, (int8_t)value);
    } else {
        kafka_write_uvarint_slow(writer, value);
    }
}

/* The number of elements, -1 for null. */
KAFKA_PRIMITIVE void kafka_write_count(struct kafka_writer *writer, int32_t count, bool compact,
                                       bool nullable)
{
    if (count < 0 && !kafka_write_null_allowed(writer, count, nullable)) {
        return;
    }
    if (compact) {
        kafka_write_uvarint(writer, (uint32_t)count + 1);
    } else {
        kafka_write_int32(writer, count);
    }
}

KAFKA_PRIMITIVE void kafka_write_string(struct kafka_writer *writer, struct kafka_bytes text,
                                        bool compact, bool nullable)
{
    if (text.size > KAFKA_STRING_SIZE_MAX) {
        kafka_write_fail(writer, SLUICE_E_INVALID);
        return;
    }
    if (text.size < 0 && !kafka_write_null_allowed(writer, text.size, nullable)) {
        return;
    }
    if (compact) {
        kafka_write_uvarint(writer, (uint32_t)text.size + 1);
    } else {
        kafka_write_int16(writer, (int16_t)text.size);
    }
    if (text.size > 0) {
        kafka_write_raw(writer, text.data, (size_t)text.size);
    }
}

KAFKA_PRIMITIVE void kafka_write_bytes(struct kafka_writer *writer, struct kafka_bytes bytes,
                                       bool compact, bool nullable)
{
    kafka_write_count(writer, bytes.size, compact, nullable);
    if (bytes.size > 0 && writer->status == SLUICE_OK) {
        kafka_write_raw(writer, bytes.data, (size_t)bytes.size);
    }
}

#endif
