/* item_codec.h: reading and writing of little-endian item payloads, safe against any input.
 *
 * A reader that was asked for more than there is turns `failed` and gives zeros from then on, so
 * that a decoder checks once, at its end. A writer fills memory whose size the caller computed; an
 * item_out grows a buffer, and keeps its first failure.
 * [any] */
#ifndef SL_CATALOG_ITEM_CODEC_H
#define SL_CATALOG_ITEM_CODEC_H

#include "base/buffer.h"
#include "base/bytes.h"

#include <sluice/types.h>

struct item_reader {
    const uint8_t *at;
    size_t size; /* bytes left */
    bool failed;
};

static inline struct item_reader item_reader_of(struct sl_bytes payload)
{
    return (struct item_reader){.at = payload.data, .size = payload.size};
}

static inline struct sl_bytes item_read_bytes(struct item_reader *reader, size_t size)
{
    if (reader->failed || size > reader->size) {
        reader->failed = true;
        return (struct sl_bytes){0};
    }
    struct sl_bytes bytes = {reader->at, size};
    if (size != 0) {
        reader->at += size;
        reader->size -= size;
    }
    return bytes;
}

static inline uint8_t item_read_u8(struct item_reader *reader)
{
    struct sl_bytes raw = item_read_bytes(reader, 1);
    return raw.size == 0 ? 0 : raw.data[0];
}

static inline uint16_t item_read_u16(struct item_reader *reader)
{
    struct sl_bytes raw = item_read_bytes(reader, 2);
    return raw.size == 0 ? 0 : sl_le16_load(raw.data);
}

static inline uint32_t item_read_u32(struct item_reader *reader)
{
    struct sl_bytes raw = item_read_bytes(reader, 4);
    return raw.size == 0 ? 0 : sl_le32_load(raw.data);
}

static inline uint64_t item_read_u64(struct item_reader *reader)
{
    struct sl_bytes raw = item_read_bytes(reader, 8);
    return raw.size == 0 ? 0 : sl_le64_load(raw.data);
}

static inline struct sl_uuid item_read_uuid(struct item_reader *reader)
{
    struct sl_uuid uuid = {{0}};
    struct sl_bytes raw = item_read_bytes(reader, sizeof uuid.b);
    sl_bytes_copy(uuid.b, raw);
    return uuid;
}

/* True when everything was there and nothing is left. */
static inline bool item_read_end(const struct item_reader *reader)
{
    return !reader->failed && reader->size == 0;
}

static inline uint8_t *item_write_u8(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + 1;
}

static inline uint8_t *item_write_u16(uint8_t *at, uint16_t value)
{
    sl_le16_store(at, value);
    return at + 2;
}

static inline uint8_t *item_write_u32(uint8_t *at, uint32_t value)
{
    sl_le32_store(at, value);
    return at + 4;
}

static inline uint8_t *item_write_u64(uint8_t *at, uint64_t value)
{
    sl_le64_store(at, value);
    return at + 8;
}

static inline uint8_t *item_write_bytes(uint8_t *at, struct sl_bytes bytes)
{
    sl_bytes_copy(at, bytes);
    return at + bytes.size;
}

static inline uint8_t *item_write_uuid(uint8_t *at, const struct sl_uuid *uuid)
{
    return item_write_bytes(at, sl_bytes_of(uuid->b, sizeof uuid->b));
}

struct item_out {
    struct sl_buffer *buffer;
    sl_err err; /* the first; nothing is appended after it */
};

static inline void item_put_bytes(struct item_out *out, struct sl_bytes bytes)
{
    if (out->err == SLUICE_OK) {
        out->err = sl_buffer_append(out->buffer, bytes.data, bytes.size);
    }
}

/* The low `size` bytes of value, 8 at most. */
static inline void item_put(struct item_out *out, uint64_t value, size_t size)
{
    uint8_t raw[8];
    sl_le64_store(raw, value);
    item_put_bytes(out, sl_bytes_of(raw, size));
}

#endif
