/* varint.h: protobuf's variable-length integers, as Kafka's records (zig-zag) and compact types
 * (unsigned) use them.
 *
 * Seven bits a byte, least significant first, high bit: another byte follows. 32-bit values take up
 * to 5 bytes, 64-bit up to 10. Reading accepts padded encodings (0x80 0x00), as Java does, and
 * refuses bits beyond the type and input that ends inside a value: NULL, and *ret_value is
 * untouched. [any] */
#ifndef SL_BASE_VARINT_H
#define SL_BASE_VARINT_H

#include "base/base.h"

enum { SL_VARINT32_SIZE_MAX = 5, SL_VARINT64_SIZE_MAX = 10 };

/* The slow halves of the readers below: values of three bytes and more. */
const uint8_t *sl_varint_read_u32_long(const uint8_t *at, const uint8_t *end, uint32_t *ret_value);
const uint8_t *sl_varint_read_u64_long(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);

/* Each returns the address behind the value, or NULL. at <= end. */
static inline const uint8_t *sl_varint_read_u32(const uint8_t *at, const uint8_t *end,
                                                uint32_t *ret_value)
{
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *ret_value = *at;
        return at + 1;
    }
    if (end - at >= 2 && at[1] < 0x80) { /* lengths of 64 to 8,191 bytes */
        *ret_value = (uint32_t)(at[0] & 0x7f) | (uint32_t)at[1] << 7;
        return at + 2;
    }
    return sl_varint_read_u32_long(at, end, ret_value);
}

static inline const uint8_t *sl_varint_read_u64(const uint8_t *at, const uint8_t *end,
                                                uint64_t *ret_value)
{
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *ret_value = *at;
        return at + 1;
    }
    return sl_varint_read_u64_long(at, end, ret_value);
}

static inline int32_t sl_zigzag32_decode(uint32_t raw)
{
    return (int32_t)(raw >> 1 ^ (0u - (raw & 1)));
}

static inline int64_t sl_zigzag64_decode(uint64_t raw)
{
    return (int64_t)(raw >> 1 ^ (0u - (raw & 1)));
}

static inline uint32_t sl_zigzag32_encode(int32_t value)
{
    return (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
}

static inline uint64_t sl_zigzag64_encode(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* Kafka's "varint" and "varlong". */
static inline const uint8_t *sl_varint_read(const uint8_t *at, const uint8_t *end,
                                            int32_t *ret_value)
{
    uint32_t raw;
    const uint8_t *next = sl_varint_read_u32(at, end, &raw);
    if (next != NULL)
        *ret_value = sl_zigzag32_decode(raw);
    return next;
}

static inline const uint8_t *sl_varlong_read(const uint8_t *at, const uint8_t *end,
                                             int64_t *ret_value)
{
    uint64_t raw;
    const uint8_t *next = sl_varint_read_u64(at, end, &raw);
    if (next != NULL)
        *ret_value = sl_zigzag64_decode(raw);
    return next;
}

/* Writers return the address behind the value; the caller has room for the type's maximum. */
static inline uint8_t *sl_varint_write_u64(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *sl_varint_write(uint8_t *at, int32_t value)
{
    return sl_varint_write_u64(at, sl_zigzag32_encode(value));
}

static inline uint8_t *sl_varlong_write(uint8_t *at, int64_t value)
{
    return sl_varint_write_u64(at, sl_zigzag64_encode(value));
}

/* Bytes that the writers take: ceil(bits / 7), at least 1. */
static inline size_t sl_varint_size_u64(uint64_t value)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

static inline size_t sl_varint_size(int32_t value)
{
    return sl_varint_size_u64(sl_zigzag32_encode(value));
}

static inline size_t sl_varlong_size(int64_t value)
{
    return sl_varint_size_u64(sl_zigzag64_encode(value));
}

#endif
