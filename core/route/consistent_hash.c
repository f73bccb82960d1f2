/* consistent_hash.c: see consistent_hash.h. */
#include "route/consistent_hash.h"
#include "base/hash.h"

int32_t consistent_hash_bucket(uint64_t hash, int32_t bucket_count)
{
    SL_ASSERT(bucket_count >= 1);
    int64_t bucket = -1, next = 0;
    while (next < bucket_count) {
        bucket = next;
        hash = hash * 2862933555777941757u + 1;
        double scale = (double)(1LL << 31) / (double)((hash >> 33) + 1);
        next = (int64_t)((double)(bucket + 1) * scale);
    }
    return (int32_t)bucket;
}

int32_t consistent_hash_key(struct sl_bytes key, int32_t bucket_count)
{
    return consistent_hash_bucket(sl_hash64(key.data, key.size), bucket_count);
}
