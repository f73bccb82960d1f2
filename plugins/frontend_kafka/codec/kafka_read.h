/* kafka_read.h: the primitives that generated decoders are made of.
 *
 * A reader walks hostile bytes. Its status is sticky: after the first failure it stands at its end,
 * every further read yields zero and counts are zero, so generated code checks once, at the end. No
 * read passes `end`; a tagged field narrows `end` while it is decoded. */
#ifndef KAFKA_READ_H
#define KAFKA_READ_H

#include "kafka_codec.h"

struct kafka_reader {
    const uint8_t *at;
    const uint8_t *end;
    struct kafka_arena *arena;
    sluice_status status;
};

/* A tagged field being read: where it ends, and where the message does. */
struct kafka_read_tag {
    uint32_t tag;
    const uint8_t *end;
    const uint8_t *outer_end;
};

/* Of more than INT32_MAX bytes, which no frame has, it sees so many. [borrows data, arena] */
static inline struct kafka_reader kafka_reader(const void *data, size_t size,
                                               struct kafka_arena *arena)
{
    const uint8_t *at = data ? (const uint8_t *)data : (const uint8_t *)"";

    size = size > INT32_MAX ? INT32_MAX : size;
    return (struct kafka_reader){at, at + (data ? size : 0), arena, SLUICE_OK};
}

/* Keeps the first failure and stops the reader. */
KAFKA_RARE void kafka_read_fail(struct kafka_reader *reader, sluice_status status);
__attribute__((noinline)) uint32_t kafka_read_uvarint_slow(struct kafka_reader *reader);
/* Fails for a size or count below 0, or of more than is there. */
KAFKA_RARE void kafka_read_odd_size(struct kafka_reader *reader, int64_t size);
/* Memory for count elements, or NULL when count <= 0 or the arena is full (status says so). */
void *kafka_read_array(struct kafka_reader *reader, int32_t count, size_t element_size);
/* count, or 0 (and SLUICE_E_TRUNCATED) when what is left is too small for so many. */
KAFKA_RARE uint32_t kafka_read_tags_that_fit(struct kafka_reader *reader, uint32_t count);
struct kafka_read_tag kafka_read_tag_begin(struct kafka_reader *reader);
/* Goes to the field's end, whether or not anyone read its content. */
void kafka_read_tag_end(struct kafka_reader *reader, const struct kafka_read_tag *tag);

/* Whether size more bytes are there; SLUICE_E_TRUNCATED if not. */
KAFKA_PRIMITIVE bool kafka_read_has(struct kafka_reader *reader, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size) {
        kafka_read_fail(reader, SLUICE_E_TRUNCATED);
        return false;
    }
    return true;
}

KAFKA_PRIMITIVE int8_t kafka_read_int8(struct kafka_reader *reader)
{
    return kafka_read_has(reader, 1) ? (int8_t)*reader->at++ : 0;
}

KAFKA_PRIMITIVE bool kafka_read_bool(struct kafka_reader *reader)
{
    return kafka_read_int8(reader) != 0;
}

KAFKA_PRIMITIVE int16_t kafka_read_int16(struct kafka_reader *reader)
{
    uint16_t value;

    if (!kafka_read_has(reader, sizeof value)) {
        return 0;
    }
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    return (int16_t)__builtin_bswap16(value);
}

KAFKA_PRIMITIVE int32_t kafka_read_int32(struct kafka_reader *reader)
{
    uint32_t value;

    if (!kafka_read_has(reader, sizeof value)) {
        return 0;
    }
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    return (int32_t)__builtin_bswap32(value);
}

KAFKA_PRIMITIVE int64_t kafka_read_int64(struct kafka_reader *reader)
{
    uint64_t value;

    if (!kafka_read_has(reader, sizeof value)) {
        return 0;
    }
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    return (int64_t)__builtin_bswap64(value);
}

KAFKA_PRIMITIVE double kafka_read_float64(struct kafka_reader *reader)
{
    int64_t bits = kafka_read_int64(reader);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

KAFKA_PRIMITIVE struct kafka_uuid kafka_read_uuid(struct kafka_reader *reader)
{
    struct kafka_uuid uuid = {{0}};

    if (kafka_read_has(reader, sizeof uuid)) {
        memcpy(&uuid, reader->at, sizeof uuid);
        reader->at += sizeof uuid;
    }
    return uuid;
}

/* Unsigned LEB128 of at most 32 bits. */
KAFKA_PRIMITIVE uint32_t kafka_read_uvarint(struct kafka_reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    return kafka_read_uvarint_slow(reader);
}

/* A length or count that is written plus one, zero meaning null. */
KAFKA_PRIMITIVE int64_t kafka_read_compact_size(struct kafka_reader *reader)
{
    return (int64_t)kafka_read_uvarint(reader) - 1;
}

KAFKA_PRIMITIVE size_t kafka_read_remaining(const struct kafka_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* Elements of an array, -1 for null. Never more than could follow when each takes size_min (>= 1)
 * bytes. */
KAFKA_PRIMITIVE int32_t kafka_read_count(struct kafka_reader *reader, bool compact, bool nullable,
                                         size_t size_min)
{
    int64_t count = compact ? kafka_read_compact_size(reader) : kafka_read_int32(reader);

    if (nullable && count == -1) {
        return -1;
    }
    if (count < 0 || (uint64_t)count * size_min > kafka_read_remaining(reader)) {
        kafka_read_odd_size(reader, count);
        return -1;
    }
    return (int32_t)count;
}

KAFKA_PRIMITIVE struct kafka_bytes kafka_read_view(struct kafka_reader *reader, int64_t size,
                                                   bool nullable)
{
    const uint8_t *at = reader->at;

    if (nullable && size == -1) {
        return kafka_null();
    }
    if (size < 0 || (uint64_t)size > kafka_read_remaining(reader)) {
        kafka_read_odd_size(reader, size);
        return kafka_null();
    }
    reader->at = at + size;
    return (struct kafka_bytes){at, (int32_t)size};
}

KAFKA_PRIMITIVE struct kafka_bytes kafka_read_string(struct kafka_reader *reader, bool compact,
                                                     bool nullable)
{
    int64_t size = compact ? kafka_read_compact_size(reader) : kafka_read_int16(reader);

    if (size > KAFKA_STRING_SIZE_MAX) {
        kafka_read_fail(reader, SLUICE_E_MALFORMED);
    }
    return kafka_read_view(reader, size, nullable);
}

KAFKA_PRIMITIVE struct kafka_bytes kafka_read_bytes(struct kafka_reader *reader, bool compact,
                                                    bool nullable)
{
    int64_t size = compact ? kafka_read_compact_size(reader) : kafka_read_int32(reader);

    return kafka_read_view(reader, size, nullable);
}

/* Into one that is at its default. */
KAFKA_PRIMITIVE void kafka_read_records(struct kafka_reader *reader, struct kafka_records *records,
                                        bool compact, bool nullable)
{
    struct kafka_bytes view = kafka_read_bytes(reader, compact, nullable);

    records->data = view.data;
    records->size = view.size;
}

/* Number of tagged fields; each takes at least two bytes. */
KAFKA_PRIMITIVE uint32_t kafka_read_tag_count(struct kafka_reader *reader)
{
    uint32_t count = kafka_read_uvarint(reader);

    return count == 0 ? 0 : kafka_read_tags_that_fit(reader, count);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the primitives swap bytes");

#endif
