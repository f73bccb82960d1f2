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

void kafka_write_fail(struct kafka_writer *writer, sluice_status status);
/* Makes room for size more bytes, false when that is refused. */
bool kafka_write_grow(struct kafka_writer *writer, size_t size);
void kafka_write_uvarint(struct kafka_writer *writer, uint32_t value);
/* The number of elements, -1 for null. */
void kafka_write_count(struct kafka_writer *writer, int32_t count, bool compact, bool nullable);
void kafka_write_string(struct kafka_writer *writer, struct kafka_bytes text, bool compact,
                        bool nullable);
void kafka_write_bytes(struct kafka_writer *writer, struct kafka_bytes bytes, bool compact,
                       bool nullable);
void kafka_write_records(struct kafka_writer *writer, const struct kafka_records *records,
                         bool compact, bool nullable);
/* A tagged field: begin writes the tag, end puts the size in front of what was written since. */
size_t kafka_write_tag_begin(struct kafka_writer *writer, uint32_t tag);
void kafka_write_tag_end(struct kafka_writer *writer, size_t begin);

struct kafka_write_mark kafka_write_begin(struct kafka_writer *writer);
/* The outcome of all writes since begin; on failure they are undone. */
sluice_status kafka_write_end(struct kafka_writer *writer, const struct kafka_write_mark *mark);

/* size bytes to fill in, or NULL after a failure. */
static inline uint8_t *kafka_write_room(struct kafka_writer *writer, size_t size)
{
    uint8_t *at;

    if (writer->capacity - writer->size < size && !kafka_write_grow(writer, size)) {
        return NULL;
    }
    at = writer->data + writer->size;
    writer->size += size;
    return at;
}

static inline void kafka_write_int8(struct kafka_writer *writer, int8_t value)
{
    uint8_t *at = kafka_write_room(writer, 1);

    if (at) {
        at[0] = (uint8_t)value;
    }
}

static inline void kafka_write_bool(struct kafka_writer *writer, bool value)
{
    kafka_write_int8(writer, value ? 1 : 0);
}

static inline void kafka_write_int16(struct kafka_writer *writer, int16_t value)
{
    uint16_t swapped = __builtin_bswap16((uint16_t)value);
    uint8_t *at = kafka_write_room(writer, sizeof swapped);

    if (at) {
        memcpy(at, &swapped, sizeof swapped);
    }
}

static inline void kafka_write_int32(struct kafka_writer *writer, int32_t value)
{
    uint32_t swapped = __builtin_bswap32((uint32_t)value);
    uint8_t *at = kafka_write_room(writer, sizeof swapped);

    if (at) {
        memcpy(at, &swapped, sizeof swapped);
    }
}

static inline void kafka_write_int64(struct kafka_writer *writer, int64_t value)
{
    uint64_t swapped = __builtin_bswap64((uint64_t)value);
    uint8_t *at = kafka_write_room(writer, sizeof swapped);

    if (at) {
        memcpy(at, &swapped, sizeof swapped);
    }
}

static inline void kafka_write_float64(struct kafka_writer *writer, double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof bits);
    kafka_write_int64(writer, bits);
}

static inline void kafka_write_uuid(struct kafka_writer *writer, const struct kafka_uuid *uuid)
{
    uint8_t *at = kafka_write_room(writer, sizeof *uuid);

    if (at) {
        memcpy(at, uuid, sizeof *uuid);
    }
}

#endif
