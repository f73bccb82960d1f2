/* cli_coverage.c: see cli_coverage.h. */
#include "cli/cli_coverage.h"

#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

void coverage_init(struct coverage *coverage)
{
    memset(coverage, 0, sizeof(*coverage));
}

void coverage_fini(struct coverage *coverage)
{
    for (uint32_t i = 0; i < coverage->capacity; i++) {
        if (coverage->streams[i] != NULL) {
            sl_free(coverage->streams[i]->ranges);
            sl_free(coverage->streams[i]);
        }
    }
    sl_free(coverage->streams);
    coverage_init(coverage);
}

/* The slot of a stream, or the free one where it belongs. */
static struct coverage_stream **slot_of(const struct coverage *coverage,
                                        const struct sl_uuid *topic, uint32_t partition)
{
    uint32_t at = sl_crc32c(topic->b, sizeof(topic->b)) + partition * 0x9e3779b1u;
    for (;; at++) {
        struct coverage_stream **slot = &coverage->streams[at & (coverage->capacity - 1)];
        if (*slot == NULL ||
            ((*slot)->partition == partition && sl_uuid_equal(&(*slot)->topic, topic))) {
            return slot;
        }
    }
}

static bool grow(struct coverage *coverage)
{
    struct coverage grown = {.capacity = SL_MAX(coverage->capacity * 2, 64u)};
    grown.streams = sl_alloc_zero(grown.capacity, sizeof(struct coverage_stream *));
    if (grown.streams == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < coverage->capacity; i++) {
        struct coverage_stream *stream = coverage->streams[i];
        if (stream != NULL) {
            *slot_of(&grown, &stream->topic, stream->partition) = stream;
        }
    }
    grown.stream_count = coverage->stream_count;
    sl_free(coverage->streams);
    *coverage = grown;
    return true;
}

struct coverage_stream *coverage_stream(struct coverage *coverage, const struct sl_uuid *topic,
                                        uint32_t partition)
{
    if (coverage->stream_count * 2 >= coverage->capacity && !grow(coverage)) {
        return NULL;
    }
    struct coverage_stream **slot = slot_of(coverage, topic, partition);
    if (*slot == NULL) {
        *slot = sl_alloc_zero(1, sizeof(**slot));
        if (*slot == NULL) {
            return NULL;
        }
        (*slot)->topic = *topic;
        (*slot)->partition = partition;
        (*slot)->extent_last = -1;
        coverage->stream_count++;
    }
    return *slot;
}

sl_err coverage_add(struct coverage_stream *stream, int64_t first, int64_t last)
{
    struct coverage_range *before =
        stream->range_count > 0 ? &stream->ranges[stream->range_count - 1] : NULL;
    stream->end = SL_MAX(stream->end, last + 1);
    if (before != NULL && first == before->last + 1) {
        before->last = last;
        return SLUICE_OK;
    }
    if (stream->range_count == stream->range_capacity) {
        uint32_t capacity = SL_MAX(stream->range_capacity * 2, 4u);
        struct coverage_range *ranges = sl_realloc(stream->ranges, capacity * sizeof(*ranges));
        if (ranges == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        stream->ranges = ranges;
        stream->range_capacity = capacity;
    }
    stream->ranges[stream->range_count++] = (struct coverage_range){first, last};
    return SLUICE_OK;
}

static int range_compare(const void *left, const void *right)
{
    const struct coverage_range *a = left;
    const struct coverage_range *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

void coverage_gaps(struct coverage_stream *stream,
                   void (*gap)(void *arg, const struct coverage_stream *stream, int64_t first,
                               int64_t last),
                   void *arg)
{
    int64_t next = stream->start;
    if (stream->range_count > 1) {
        qsort(stream->ranges, stream->range_count, sizeof(*stream->ranges), range_compare);
    }
    for (uint32_t i = 0; i < stream->range_count; i++) {
        const struct coverage_range *range = &stream->ranges[i];
        if (range->first > next) {
            gap(arg, stream, next, range->first - 1);
        }
        next = SL_MAX(next, range->last + 1);
    }
    if (next < stream->end) {
        gap(arg, stream, next, stream->end - 1);
    }
}
