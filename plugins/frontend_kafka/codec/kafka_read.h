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

/* [borrows data, arena] */
static inline struct kafka_reader kafka_reader(const void *data, size_t size,
                                               struct kafka_arena *arena)
{
    const uint8_t *at = data ? (const uint8_t *)data : (const uint8_t *)"";

    return (struct kafka_reader){at, at + (data ? size : 0), arena, SLUICE_OK};
}

/* Keeps the first failure and stops the reader. */
void kafka_read_fail(struct kafka_reader *reader, sluice_status status);
uint32_t kafka_read_uvarint_slow(struct kafka_reader *reader);
/* Elements of an array, -1 for null. Never more than could follow when each takes size_min (>= 1)
 * bytes. */
int32_t kafka_read_count(struct kafka_reader *reader, bool compact, bool nullable, size_t size_min);
/* Memory for count elements, or NULL when count <= 0 or the arena is full (status says so). */
void *kafka_read_array(struct kafka_reader *reader, int32_t count, size_t element_size);
struct kafka_bytes kafka_read_string(struct kafka_reader *reader, bool compact, bool nullable);
struct kafka_bytes kafka_read_bytes(struct kafka_reader *reader, bool compact, bool nullable);
struct kafka_records kafka_read_records(struct kafka_reader *reader, bool compact, bool nullable);
/* Number of tagged fields; each takes at least two bytes. */
uint32_t kafka_read_tag_count(struct kafka_reader *reader);
struct kafka_read_tag kafka_read_tag_begin(struct kafka_reader *reader);
/* Goes to the field's end, whether or not anyone read its content. */
void kafka_read_tag_end(struct kafka_reader *reader, const struct kafka_read_tag *tag);

/* The next size bytes, or NULL (and SLUICE_E_TRUNCATED). */
static inline const uint8_t *kafka_read_take(struct kafka_reader *reader, size_t size)
{
    const uint8_t *at = reader->at;

    if ((size_t)(reader->end - at) < size) {
        kafka_read_fail(reader, SLUICE_E_TRUNCATED);
        return NULL;
    }
    reader->at = at + size;
    return at;
}

static inline int8_t kafka_read_int8(struct kafka_reader *reader)
{
    const uint8_t *at = kafka_read_take(reader, 1);

    return at ? (int8_t)at[0] : 0;
}

static inline bool kafka_read_bool(struct kafka_reader *reader)
{
    return kafka_read_int8(reader) != 0;
}

static inline int16_t kafka_read_int16(struct kafka_reader *reader)
{
    const uint8_t *at = kafka_read_take(reader, 2);
    uint16_t value;

    if (!at) {
        return 0;
    }
    memcpy(&value, at, sizeof value);
    return (int16_t)__builtin_bswap16(value);
}

static inline int32_t kafka_read_int32(struct kafka_reader *reader)
{
    const uint8_t *at = kafka_read_take(reader, 4);
    uint32_t value;

    if (!at) {
        return 0;
    }
    memcpy(&value, at, sizeof value);
    return (int32_t)__builtin_bswap32(value);
}

static inline int64_t kafka_read_int64(struct kafka_reader *reader)
{
    const uint8_t *at = kafka_read_take(reader, 8);
    uint64_t value;

    if (!at) {
        return 0;
    }
    memcpy(&value, at, sizeof value);
    return (int64_t)__builtin_bswap64(value);
}

static inline double kafka_read_float64(struct kafka_reader *reader)
{
    int64_t bits = kafka_read_int64(reader);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline struct kafka_uuid kafka_read_uuid(struct kafka_reader *reader)
{
    const uint8_t *at = kafka_read_take(reader, sizeof(struct kafka_uuid));
    struct kafka_uuid uuid = {{0}};

    if (at) {
        memcpy(&uuid, at, sizeof uuid);
    }
    return uuid;
}

/* Unsigned LEB128 of at most 32 bits. */
static inline uint32_t kafka_read_uvarint(struct kafka_reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    return kafka_read_uvarint_slow(reader);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the primitives swap bytes");

#endif
