/* hash.h: hashes of bytes that choose a place. None withstands an attacker who picks the bytes.
 * [any] */
#ifndef SL_BASE_HASH_H
#define SL_BASE_HASH_H

#include "base/base.h"

/* murmur2 with Kafka's seed 0x9747b28c, as org.apache.kafka.common.utils.Utils.murmur2 gives it:
 * clients and broker must agree on the partition of a key for ever. */
int32_t sl_murmur2(const void *data, size_t size);

/* Kafka's Utils.toPositive: clears the sign bit (not the absolute value). */
static inline int32_t sl_hash_to_positive(int32_t hash)
{
    return hash & INT32_MAX;
}

/* 64 bits, well mixed (FNV-1a with a splitmix64 finish); stable, so it may be stored. */
uint64_t sl_hash64(const void *data, size_t size);

/* The splitmix64 finish alone: mixes an integer. */
uint64_t sl_hash64_mix(uint64_t value);

#endif
