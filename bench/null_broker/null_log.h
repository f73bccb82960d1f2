/* null_log.h: partitions of the null broker: one page-cache file each, an index of its batches in
 * memory. Nothing is made durable. One thread. */
#ifndef BENCH_NULL_LOG_H
#define BENCH_NULL_LOG_H

#include "base/bytes.h"

#define NULL_TOPICS_MAX     64u
#define NULL_PARTITIONS_MAX 64u

struct null_batch {
    int64_t base_offset;
    uint64_t position; /* in the file */
};

struct null_log {
    int fd;
    uint64_t size;
    int64_t next_offset;
    struct null_batch *batches;
    size_t batch_count, batch_capacity;
};

struct null_topic {
    char name[256];
    struct null_log logs[NULL_PARTITIONS_MAX];
};

struct null_store {
    const char *folder;
    uint32_t partition_count; /* of each topic */
    uint32_t topic_count;
    struct null_topic *topics[NULL_TOPICS_MAX];
};

/* Finds the topic, creates it with its files when it is new. NULL: no room or no file. */
struct null_topic *null_store_topic(struct null_store *store, struct sl_bytes name);
/* NULL when there is no such partition. */
struct null_log *null_store_log(struct null_store *store, struct sl_bytes topic, int32_t partition);
/* Checks the CRC of each batch, stamps its base offset, writes all of them with one write().
 * Returns the first base offset, or -1. */
int64_t null_log_append(struct null_log *log, uint8_t *records, size_t size);
/* Where the batch begins that holds the offset; the file's size when there is none. */
uint64_t null_log_find(const struct null_log *log, int64_t offset);

#endif
