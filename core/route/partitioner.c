/* partitioner.c: see partitioner.h. Source: Kafka's BuiltInPartitioner, KIP-480, KIP-794. */
#include "route/partitioner.h"
#include "base/hash.h"

int32_t partition_by_key(struct sl_bytes key, int32_t partition_count)
{
    SL_ASSERT(partition_count >= 1);
    return sl_hash_to_positive(sl_murmur2(key.data, key.size)) % partition_count;
}

void sticky_partitioner_init(struct sticky_partitioner *sticky, uint64_t seed, size_t batch_bytes)
{
    *sticky = (struct sticky_partitioner){
        .random = seed,
        .batch_bytes = batch_bytes,
        .current = PARTITION_ANY,
    };
}

/* 0 .. bound - 1; the bias of the division is below 2^-32. */
static int32_t random_below(struct sticky_partitioner *sticky, int32_t bound)
{
    sticky->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    return (int32_t)(sl_hash64_mix(sticky->random) % (uint64_t)bound);
}

static int32_t other_partition(struct sticky_partitioner *sticky, int32_t partition_count)
{
    bool had_one = sticky->current >= 0 && sticky->current < partition_count;
    if (!had_one || partition_count == 1)
        return random_below(sticky, partition_count);
    int32_t step = 1 + random_below(sticky, partition_count - 1);
    return (int32_t)(((int64_t)sticky->current + step) % partition_count);
}

int32_t sticky_partitioner_choose(struct sticky_partitioner *sticky, int32_t partition_count,
                                  size_t size)
{
    SL_ASSERT(partition_count >= 1);
    bool is_gone = sticky->current < 0 || sticky->current >= partition_count;
    if (is_gone || sticky->current_bytes >= sticky->batch_bytes) {
        sticky->current = other_partition(sticky, partition_count);
        sticky->current_bytes = 0;
    }
    sticky->current_bytes += SL_MIN(size, SIZE_MAX - sticky->current_bytes);
    return sticky->current;
}

sl_err partition_choose(struct sticky_partitioner *sticky, const struct partition_request *request,
                        int32_t partition_count, int32_t *ret_partition)
{
    if (partition_count < 1)
        return SLUICE_E_UNKNOWN_TOPIC;
    if (request->partition != PARTITION_ANY) {
        if (request->partition < 0 || request->partition >= partition_count)
            return SLUICE_E_UNKNOWN_TOPIC;
        *ret_partition = request->partition;
    } else if (!request->key_is_null) {
        *ret_partition = partition_by_key(request->key, partition_count);
    } else {
        *ret_partition = sticky_partitioner_choose(sticky, partition_count, request->size);
    }
    return SLUICE_OK;
}
