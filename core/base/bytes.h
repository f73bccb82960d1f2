/* bytes.h: loads and stores of fixed byte order, and small helpers over struct sl_bytes.
 *
 * Kafka's formats are big-endian, Sluice's own files little-endian. The address needs no alignment:
 * memcpy and a swap compile to one instruction. No function checks bounds; the caller has. [any] */
#ifndef SL_BASE_BYTES_H
#define SL_BASE_BYTES_H

#include "base/base.h"

#include <sluice/types.h>
#include <string.h>

static inline uint16_t sl_be16_load(const void *at)
{
    uint16_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap16(raw);
}

static inline uint32_t sl_be32_load(const void *at)
{
    uint32_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap32(raw);
}

static inline uint64_t sl_be64_load(const void *at)
{
    uint64_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap64(raw);
}

static inline void sl_be16_store(void *at, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(at, &value, sizeof value);
}

static inline void sl_be32_store(void *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof value);
}

static inline void sl_be64_store(void *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof value);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads and stores assume little-endian");

static inline uint16_t sl_le16_load(const void *at)
{
    uint16_t raw;
    memcpy(&raw, at, sizeof raw);
    return raw;
}

static inline uint32_t sl_le32_load(const void *at)
{
    uint32_t raw;
    memcpy(&raw, at, sizeof raw);
    return raw;
}

static inline uint64_t sl_le64_load(const void *at)
{
    uint64_t raw;
    memcpy(&raw, at, sizeof raw);
    return raw;
}

static inline void sl_le16_store(void *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void sl_le32_store(void *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void sl_le64_store(void *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

/* Two's complement sum, as Java adds: for fields that a client filled, where overflow is no bug of
 * ours. */
static inline int64_t sl_wrapping_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline struct sl_bytes sl_bytes_of(const void *data, size_t size)
{
    return (struct sl_bytes){.data = data, .size = size};
}

static inline struct sl_bytes sl_bytes_of_text(const char *text)
{
    return sl_bytes_of(text, strlen(text));
}

/* The SDK's text as bytes, and bytes as the SDK's text. */
static inline struct sl_bytes sl_of_text(struct sluice_text text)
{
    return sl_bytes_of(text.data, (size_t)text.size);
}
static inline struct sluice_text text_of_sl(struct sl_bytes bytes)
{
    return (struct sluice_text){(const char *)bytes.data, bytes.size};
}

/* memcpy that accepts NULL with size 0, as an empty sl_bytes has it. */
static inline void sl_bytes_copy(void *to, struct sl_bytes from)
{
    if (from.size != 0)
        memcpy(to, from.data, from.size);
}

#endif
