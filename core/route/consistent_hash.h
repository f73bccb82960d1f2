/* consistent_hash.h: a place for a key among a growing number of buckets, with few moves.
 *
 * Jump consistent hash (J. Lamping, E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm",
 * 2014): no table, O(log buckets); going from n to n + 1 buckets moves 1/(n + 1) of the keys, all
 * of them into the new bucket. Buckets are numbered and leave only at the end, which is how
 * partitions and shards behave; a ring would allow any to leave, at the price of a table. [any] */
#ifndef SL_ROUTE_CONSISTENT_HASH_H
#define SL_ROUTE_CONSISTENT_HASH_H

#include "base/base.h"

/* Bucket of a well-mixed 64-bit hash: 0 .. bucket_count - 1. bucket_count >= 1. Stable for ever. */
int32_t consistent_hash_bucket(uint64_t hash, int32_t bucket_count);

/* The same for a key: over sl_hash64(). */
int32_t consistent_hash_key(struct sl_bytes key, int32_t bucket_count);

#endif
