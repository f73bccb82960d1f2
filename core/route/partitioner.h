/* partitioner.h: which partition a record goes to, where its sender left the choice open.
 *
 * Explicit partition first, then the key (murmur2, exactly as Kafka's default partitioner: Sluice's
 * own frontends put a key where a Kafka client would), then sticky: keyless records stay on one
 * partition until a batch is full, then move to another at random (KIP-480), because full batches
 * cost least. Pure functions over caller's memory. [any], a struct by one thread at a time. */
#ifndef SL_ROUTE_PARTITIONER_H
#define SL_ROUTE_PARTITIONER_H

#include "base/base.h"

/* "The sender does not name a partition." */
#define PARTITION_ANY ((int32_t)-1)

/* partition_count >= 1. */
int32_t partition_by_key(struct sl_bytes key, int32_t partition_count);

/* The sticky choice for one topic. */
struct sticky_partitioner {
    uint64_t random;      /* state of the generator: same seed, same choices */
    size_t batch_bytes;   /* move on when this many bytes went to one partition */
    size_t current_bytes; /* that went to `current` */
    int32_t current;      /* PARTITION_ANY before the first choice */
};

void sticky_partitioner_init(struct sticky_partitioner *sticky, uint64_t seed, size_t batch_bytes);
/* Partition of a keyless record of size bytes; never the same twice running when it moves and there
 * is more than one. A topic that lost partitions is noticed. */
int32_t sticky_partitioner_choose(struct sticky_partitioner *sticky, int32_t partition_count,
                                  size_t size);

/* A record that is to be placed. */
struct partition_request {
    struct sl_bytes key;
    size_t size;       /* of the record, for the sticky choice */
    int32_t partition; /* explicit, or PARTITION_ANY */
    bool key_is_null;  /* an empty key is a key */
};

/* SLUICE_E_UNKNOWN_TOPIC: an explicit partition that does not exist, or no partitions. */
sl_err partition_choose(struct sticky_partitioner *sticky, const struct partition_request *request,
                        int32_t partition_count, int32_t *ret_partition) SL_MUST_CHECK;

#endif
