/* kafka_read.c: decoding primitives that are not worth inlining; see kafka_read.h. */
#include "kafka_read.h"

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
        uint8_t byte = (uint8_t)kafka_read_int8(reader);
        if (reader->status != SLUICE_OK) {
            return 0;
        }
        if (shift == 28 && byte > 0x0f) {
            break;
        }
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    kafka_read_fail(reader, SLUICE_E_MALFORMED);
    return 0;
}

void kafka_read_odd_size(struct kafka_reader *reader, int64_t size)
{
    kafka_read_fail(reader, size < 0 ? SLUICE_E_MALFORMED : SLUICE_E_TRUNCATED);
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

uint32_t kafka_read_tags_that_fit(struct kafka_reader *reader, uint32_t count)
{
    if (count > kafka_read_remaining(reader) / 2) {
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
    if (size > kafka_read_remaining(reader)) {
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
