/* null_log.c: see null_log.h. */
#include "null_log.h"

#include "base/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Positions in Kafka's record batch, format 2. */
enum { LENGTH_AT = 8, CRC_AT = 17, CRC_FROM = 21, DELTA_AT = 23, HEADER = 61, OVERHEAD = 12 };

static struct null_topic *topic_new(const struct null_store *store, struct sl_bytes name)
{
    struct null_topic *topic = calloc(1, sizeof(*topic));
    if (topic == NULL || name.size >= sizeof(topic->name)) {
        free(topic);
        return NULL;
    }
    memcpy(topic->name, name.data, name.size);
    for (uint32_t i = 0; i < store->partition_count; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s-%u", store->folder, topic->name, i);
        topic->logs[i].fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
        if (topic->logs[i].fd < 0) {
            free(topic);
            return NULL;
        }
    }
    return topic;
}

struct null_topic *null_store_topic(struct null_store *store, struct sl_bytes name)
{
    for (uint32_t i = 0; i < store->topic_count; i++) {
        struct null_topic *topic = store->topics[i];
        if (strlen(topic->name) == name.size && memcmp(topic->name, name.data, name.size) == 0) {
            return topic;
        }
    }
    struct null_topic *topic = store->topic_count < NULL_TOPICS_MAX ? topic_new(store, name) : NULL;
    if (topic != NULL) {
        store->topics[store->topic_count++] = topic;
    }
    return topic;
}

struct null_log *null_store_log(struct null_store *store, struct sl_bytes name, int32_t partition)
{
    struct null_topic *topic = null_store_topic(store, name);
    if (topic == NULL || partition < 0 || (uint32_t)partition >= store->partition_count) {
        return NULL;
    }
    return &topic->logs[partition];
}

static bool index_batch(struct null_log *log, uint64_t position)
{
    if (log->batch_count == log->batch_capacity) {
        size_t capacity = log->batch_capacity == 0 ? 1024 : log->batch_capacity * 2;
        struct null_batch *batches = realloc(log->batches, capacity * sizeof(*batches));
        if (batches == NULL) {
            return false;
        }
        log->batches = batches;
        log->batch_capacity = capacity;
    }
    log->batches[log->batch_count++] = (struct null_batch){log->next_offset, position};
    return true;
}

/* Size of the stamped batch, 0 when it is not one. */
static size_t take_batch(struct null_log *log, uint8_t *batch, size_t left, uint64_t position)
{
    if (left < HEADER) {
        return 0;
    }
    size_t size = (size_t)sl_be32_load(batch + LENGTH_AT) + OVERHEAD;
    if (size < HEADER || size > left ||
        sl_crc32c(batch + CRC_FROM, size - CRC_FROM) != sl_be32_load(batch + CRC_AT) ||
        !index_batch(log, position)) {
        return 0;
    }
    sl_be64_store(batch, (uint64_t)log->next_offset);
    log->next_offset += (int64_t)sl_be32_load(batch + DELTA_AT) + 1;
    return size;
}

int64_t null_log_append(struct null_log *log, uint8_t *records, size_t size)
{
    int64_t base = log->next_offset;
    for (size_t at = 0; at < size;) {
        size_t taken = take_batch(log, records + at, size - at, log->size + at);
        if (taken == 0) {
            return -1;
        }
        at += taken;
    }
    for (size_t at = 0; at < size;) {
        ssize_t written = write(log->fd, records + at, size - at);
        if (written <= 0) {
            return -1;
        }
        at += (size_t)written;
    }
    log->size += size;
    return base;
}

uint64_t null_log_find(const struct null_log *log, int64_t offset)
{
    if (offset >= log->next_offset) {
        return log->size;
    }
    size_t low = 0, high = log->batch_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (log->batches[middle].base_offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return log->batches[low].position;
}
