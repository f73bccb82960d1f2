/* kafka_read.c: decoding primitives that are not worth inlining; see kafka_read.h. */
#include "kafka_read.h"

void *kafka_arena_take(struct kafka_arena *arena, size_t count, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    size_t start = (arena->used + align - 1) / align * align;
    size_t total;

    if (__builtin_mul_overflow(count, size, &total) || start > arena->size ||
        total > arena->size - start) {
        return NULL;
    }
    arena->used = start + total;
    return arena->memory + start;
}

void kafka_read_fail(struct kafka_reader *reader, sluice_status status)
{
    if (reader->status == SLUICE_OK) {
        reader->status = status;
    }
    reader->at = reader->end;
}

uint32_t kafka_read_uvarint_slow(struct kafka_reader *reader)
{
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *at = kafka_read_take(reader, 1);
        if (!at) {
            return 0;
        }
        if (shift == 28 && *at > 0x0f) {
            break;
        }
        value |= (uint32_t)(*at & 0x7f) << shift;
        if (*at < 0x80) {
            return value;
        }
    }
    kafka_read_fail(reader, SLUICE_E_MALFORMED);
    return 0;
}

/* A length or count that is written plus one, zero meaning null. */
static int64_t read_compact_size(struct kafka_reader *reader)
{
    return (int64_t)kafka_read_uvarint(reader) - 1;
}

/* A size that was read: -1 when null is meant and allowed; on failure -1 as well. */
static int32_t check_size(struct kafka_reader *reader, int64_t size, bool nullable, size_t size_max)
{
    if (reader->status != SLUICE_OK) {
        return -1;
    }
    if (size < 0) {
        if (size < -1 || !nullable) {
            kafka_read_fail(reader, SLUICE_E_MALFORMED);
        }
        return -1;
    }
    if ((uint64_t)size > size_max) {
        kafka_read_fail(reader, SLUICE_E_TRUNCATED);
        return -1;
    }
    return (int32_t)size;
}

static size_t remaining(const struct kafka_reader *reader)
{
    size_t size = (size_t)(reader->end - reader->at);

    return size > INT32_MAX ? INT32_MAX : size;
}

int32_t kafka_read_count(struct kafka_reader *reader, bool compact, bool nullable, size_t size_min)
{
    int64_t count = compact ? read_compact_size(reader) : kafka_read_int32(reader);

    return check_size(reader, count, nullable, remaining(reader) / size_min);
}

void *kafka_read_array(struct kafka_reader *reader, int32_t count, size_t element_size)
{
    void *memory;

    if (count <= 0) {
        return NULL;
    }
    memory = kafka_arena_take(reader->arena, (size_t)count, element_size);
    if (!memory) {
        kafka_read_fail(reader, SLUICE_E_LIMIT);
    }
    return memory;
}

static struct kafka_bytes read_view(struct kafka_reader *reader, int64_t size, bool nullable)
{
    int32_t checked = check_size(reader, size, nullable, remaining(reader));
    const uint8_t *at;

    if (checked < 0) {
        return kafka_null();
    }
    at = kafka_read_take(reader, (size_t)checked);
    return (struct kafka_bytes){at, checked};
}

struct kafka_bytes kafka_read_string(struct kafka_reader *reader, bool compact, bool nullable)
{
    int64_t size = compact ? read_compact_size(reader) : kafka_read_int16(reader);

    if (size > KAFKA_STRING_SIZE_MAX) {
        kafka_read_fail(reader, SLUICE_E_MALFORMED);
    }
    return read_view(reader, size, nullable);
}

struct kafka_bytes kafka_read_bytes(struct kafka_reader *reader, bool compact, bool nullable)
{
    int64_t size = compact ? read_compact_size(reader) : kafka_read_int32(reader);

    return read_view(reader, size, nullable);
}

struct kafka_records kafka_read_records(struct kafka_reader *reader, bool compact, bool nullable)
{
    struct kafka_bytes view = kafka_read_bytes(reader, compact, nullable);

    return (struct kafka_records){.data = view.data, .size = view.size};
}

uint32_t kafka_read_tag_count(struct kafka_reader *reader)
{
    uint32_t count = kafka_read_uvarint(reader);

    if (count > remaining(reader) / 2) {
        kafka_read_fail(reader, SLUICE_E_TRUNCATED);
        return 0;
    }
    return count;
}

struct kafka_read_tag kafka_read_tag_begin(struct kafka_reader *reader)
{
    struct kafka_read_tag tag = {0};
    uint32_t size;

    tag.tag = kafka_read_uvarint(reader);
    size = kafka_read_uvarint(reader);
    if (size > remaining(reader)) {
        kafka_read_fail(reader, SLUICE_E_TRUNCATED);
        size = 0;
    }
    tag.end = reader->at + size;
    tag.outer_end = reader->end;
    reader->end = tag.end;
    return tag;
}

void kafka_read_tag_end(struct kafka_reader *reader, const struct kafka_read_tag *tag)
{
    reader->end = tag->outer_end;
    reader->at = reader->status == SLUICE_OK ? tag->end : tag->outer_end;
}
