/* extent_footer.c: the footer of an extent: entries, and what makes a footer one to believe.
 *
 * The entries stand in the order of the file: the streams, then the blocks of the first stream, of
 * the second … So one walk proves that every byte between header and footer belongs to exactly one
 * block and every block to exactly one stream. In a promoted extent there is one stream, and
 * between its blocks lies what else the frames hold. */
#include "extent/extent_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "record/batch_view.h"

#include <stdlib.h>

/* stream entry */
#define STREAM_TOPIC         0 /* 16 bytes */
#define STREAM_PARTITION     16
#define STREAM_FIRST_BLOCK   20
#define STREAM_BLOCK_COUNT   24 /* u32, then u32 zero */
#define STREAM_BASE          32
#define STREAM_LAST          40
#define STREAM_MAX_TIMESTAMP 48
#define STREAM_POSITION      56
#define STREAM_BYTES         64
#define STREAM_KEY_SIZE      20u /* topic and partition */

/* block entry */
#define BLOCK_BASE          0
#define BLOCK_LAST          8
#define BLOCK_MAX_TIMESTAMP 16
#define BLOCK_POSITION      24
#define BLOCK_SIZE          32
#define BLOCK_EPOCH         36
#define BLOCK_CRC           40
#define BLOCK_FLAGS         44 /* u32: BEGINS_RANGE */

#define BEGINS_RANGE 1u

void extent_stream_encode(const struct extent_stream *stream,
                          uint8_t ret_bytes[EXTENT_STREAM_ENTRY])
{
    uint8_t *to = ret_bytes;
    memset(to, 0, EXTENT_STREAM_ENTRY);
    memcpy(to + STREAM_TOPIC, stream->topic.b, sizeof stream->topic.b);
    sl_le32_store(to + STREAM_PARTITION, stream->partition);
    sl_le32_store(to + STREAM_FIRST_BLOCK, stream->first_block);
    sl_le32_store(to + STREAM_BLOCK_COUNT, stream->block_count);
    sl_le64_store(to + STREAM_BASE, (uint64_t)stream->base_offset);
    sl_le64_store(to + STREAM_LAST, (uint64_t)stream->last_offset);
    sl_le64_store(to + STREAM_MAX_TIMESTAMP, (uint64_t)stream->max_timestamp);
    sl_le64_store(to + STREAM_POSITION, stream->position);
    sl_le64_store(to + STREAM_BYTES, stream->bytes);
}

static struct extent_stream stream_decode(const uint8_t *from)
{
    struct extent_stream stream = {
        .partition = sl_le32_load(from + STREAM_PARTITION),
        .first_block = sl_le32_load(from + STREAM_FIRST_BLOCK),
        .block_count = sl_le32_load(from + STREAM_BLOCK_COUNT),
        .base_offset = (int64_t)sl_le64_load(from + STREAM_BASE),
        .last_offset = (int64_t)sl_le64_load(from + STREAM_LAST),
        .max_timestamp = (int64_t)sl_le64_load(from + STREAM_MAX_TIMESTAMP),
        .position = sl_le64_load(from + STREAM_POSITION),
        .bytes = sl_le64_load(from + STREAM_BYTES),
    };
    memcpy(stream.topic.b, from + STREAM_TOPIC, sizeof stream.topic.b);
    return stream;
}

void extent_block_encode(const struct extent_block *block, uint8_t ret_bytes[EXTENT_BLOCK_ENTRY])
{
    uint8_t *to = ret_bytes;
    memset(to, 0, EXTENT_BLOCK_ENTRY);
    sl_le64_store(to + BLOCK_BASE, (uint64_t)block->base_offset);
    sl_le64_store(to + BLOCK_LAST, (uint64_t)block->last_offset);
    sl_le64_store(to + BLOCK_MAX_TIMESTAMP, (uint64_t)block->max_timestamp);
    sl_le64_store(to + BLOCK_POSITION, block->position);
    sl_le32_store(to + BLOCK_SIZE, block->size);
    sl_le32_store(to + BLOCK_EPOCH, (uint32_t)block->leader_epoch);
    sl_le32_store(to + BLOCK_CRC, block->crc);
    sl_le32_store(to + BLOCK_FLAGS, block->begins_range ? BEGINS_RANGE : 0);
}

static struct extent_block block_decode(const uint8_t *from)
{
    return (struct extent_block){
        .base_offset = (int64_t)sl_le64_load(from + BLOCK_BASE),
        .last_offset = (int64_t)sl_le64_load(from + BLOCK_LAST),
        .max_timestamp = (int64_t)sl_le64_load(from + BLOCK_MAX_TIMESTAMP),
        .position = sl_le64_load(from + BLOCK_POSITION),
        .size = sl_le32_load(from + BLOCK_SIZE),
        .leader_epoch = (int32_t)sl_le32_load(from + BLOCK_EPOCH),
        .crc = sl_le32_load(from + BLOCK_CRC),
        .begins_range = (sl_le32_load(from + BLOCK_FLAGS) & BEGINS_RANGE) != 0,
    };
}

struct extent_stream extent_footer_stream(const struct extent_footer *footer, uint32_t index)
{
    SL_ASSERT(index < footer->trailer.stream_count);
    return stream_decode(footer->bytes.data + (size_t)index * EXTENT_STREAM_ENTRY);
}

struct extent_block extent_footer_block(const struct extent_footer *footer, uint32_t index)
{
    SL_ASSERT(index < footer->trailer.block_count);
    size_t at = (size_t)footer->trailer.stream_count * EXTENT_STREAM_ENTRY +
                (size_t)index * EXTENT_BLOCK_ENTRY;
    return block_decode(footer->bytes.data + at);
}

uint32_t extent_footer_range(const struct extent_footer *footer, uint32_t first, uint32_t end)
{
    do {
        first++;
    } while (first < end && !extent_footer_block(footer, first).begins_range);
    return first;
}

/* ---- the check ---- */

/* Where the walk has come to. */
struct footer_walk {
    const struct extent_footer *footer;
    uint64_t position;
    uint32_t block;
    bool has_gaps;
};

static bool block_follows(const struct footer_walk *walk, const struct extent_block *block,
                          int64_t previous_last)
{
    bool is_next = block->position == walk->position ||
                   (walk->has_gaps && block->position > walk->position &&
                    block->position < walk->footer->trailer.footer_position);
    return is_next && block->size >= BATCH_HEADER_SIZE && block->base_offset > previous_last &&
           block->last_offset >= block->base_offset && block->last_offset < INT64_MAX;
}

static bool stream_follows(struct footer_walk *walk, const struct extent_stream *stream)
{
    uint32_t left = walk->footer->trailer.block_count - walk->block;
    if (stream->first_block != walk->block || stream->block_count == 0 ||
        stream->block_count > left || stream->partition > INT32_MAX ||
        sl_uuid_is_zero(&stream->topic))
        return false;
    int64_t last = -1;
    int64_t max_timestamp = INT64_MIN;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < stream->block_count; i++) {
        struct extent_block block = extent_footer_block(walk->footer, walk->block++);
        if (!block_follows(walk, &block, last) ||
            (i == 0 &&
             (block.base_offset != stream->base_offset || block.position != stream->position)))
            return false;
        last = block.last_offset;
        max_timestamp = SL_MAX(max_timestamp, block.max_timestamp);
        walk->position = block.position + block.size; /* no more than 2^32 behind the footer */
        bytes += block.size;
    }
    return last == stream->last_offset && max_timestamp == stream->max_timestamp &&
           bytes == stream->bytes;
}

static int key_compare(const void *a, const void *b)
{
    const uint8_t *const *left = a;
    const uint8_t *const *right = b;
    return memcmp(*left, *right, STREAM_KEY_SIZE);
}

/* E_CORRUPT: a (topic, partition) comes twice. */
static sl_err keys_differ(const struct extent_footer *footer)
{
    uint32_t count = footer->trailer.stream_count;
    if (count == 1)
        return SLUICE_OK;
    const uint8_t **keys = sl_alloc_zero(count, sizeof *keys);
    if (keys == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = footer->bytes.data + (size_t)i * EXTENT_STREAM_ENTRY;
    qsort(keys, count, sizeof *keys, key_compare);
    bool twice = false;
    for (uint32_t i = 1; i < count && !twice; i++)
        twice = memcmp(keys[i - 1], keys[i], STREAM_KEY_SIZE) == 0;
    sl_free(keys);
    return twice ? SLUICE_E_CORRUPT : SLUICE_OK;
}

sl_err extent_footer_check(const struct extent_trailer *trailer, struct sl_bytes bytes,
                           struct extent_footer *ret_footer)
{
    const struct extent_footer footer = {.bytes = bytes, .trailer = *trailer};
    bool has_gaps = trailer->segment != 0;
    struct footer_walk walk = {.footer = &footer, .position = EXTENT_HEADER, .has_gaps = has_gaps};
    if ((has_gaps && trailer->stream_count != 1) || bytes.size != trailer->footer_size ||
        bytes.size != extent_footer_size(trailer->stream_count, trailer->block_count) ||
        sl_crc32c(bytes.data, bytes.size) != trailer->footer_crc)
        return SLUICE_E_CORRUPT;
    for (uint32_t i = 0; i < trailer->stream_count; i++) {
        struct extent_stream stream = extent_footer_stream(&footer, i);
        if (!stream_follows(&walk, &stream))
            return SLUICE_E_CORRUPT;
    }
    bool is_full = has_gaps ? walk.position <= trailer->footer_position
                            : walk.position == trailer->footer_position;
    if (walk.block != trailer->block_count || !is_full)
        return SLUICE_E_CORRUPT;
    sl_err err = keys_differ(&footer);
    if (err != SLUICE_OK)
        return err;
    *ret_footer = footer;
    return SLUICE_OK;
}
