/* hash.c: see hash.h. Sources: A. Appleby, MurmurHash2 (the variant of Kafka's Java client, which
 * reads little-endian words); Fowler, Noll, Vo, FNV-1a; S. Vigna, splitmix64. */
#include "base/hash.h"
#include "base/bytes.h"

int32_t sl_murmur2(const void *data, size_t size)
{
    const uint8_t *at = data;
    const uint32_t m = 0x5bd1e995u;
    uint32_t h = 0x9747b28cu ^ (uint32_t)size;
    size_t left = size;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k = sl_le32_load(at) * m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (left == 3)
        h ^= (uint32_t)at[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)at[1] << 8;
    if (left >= 1)
        h = (h ^ at[0]) * m;
    h = (h ^ h >> 13) * m;
    return (int32_t)(h ^ h >> 15);
}

uint64_t sl_hash64_mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

uint64_t sl_hash64(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return sl_hash64_mix(h);
}
