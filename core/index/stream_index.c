/* stream_index.c: see stream_index.h. */
#include "index/stream_index.h"

#include <string.h>

#define RUNS_MIN 4u

void stream_index_init(struct stream_index *index)
{
    memset(index, 0, sizeof(*index));
}

void stream_index_fini(struct stream_index *index)
{
    sl_free(index->runs);
    stream_index_init(index);
}

static struct stream_run *last_run(const struct stream_index *index)
{
    return index->count > index->first ? &index->runs[index->count - 1] : NULL;
}

sl_err stream_index_reserve(struct stream_index *index, uint32_t batch_count)
{
    if (batch_count <= index->capacity - index->count) {
        return SLUICE_OK;
    }
    uint32_t used = index->count - index->first;
    uint32_t capacity = SL_MAX(SL_MAX(used * 2, RUNS_MIN), used + batch_count);
    struct stream_run *runs = sl_alloc_zero(capacity, sizeof(*runs));
    if (runs == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (used > 0) {
        memcpy(runs, index->runs + index->first, used * sizeof(*runs));
    }
    sl_free(index->runs);
    index->runs = runs;
    index->first = 0;
    index->count = used;
    index->capacity = capacity;
    return SLUICE_OK;
}

static bool extends(const struct stream_run *run, const struct stream_batch *batch)
{
    return run != NULL && run->place.segment == batch->place.segment &&
           run->place.position + run->place.size == batch->place.position &&
           run->last_offset + 1 == batch->base_offset && run->leader_epoch == batch->leader_epoch &&
           run->verified == batch->verified &&
           run->place.size + batch->place.size <= STREAM_RUN_BYTES_MAX;
}

static void extend(struct stream_run *run, const struct stream_batch *batch)
{
    run->last_offset = batch->last_offset;
    run->place.size += batch->place.size;
    run->max_timestamp = SL_MAX(run->max_timestamp, batch->max_timestamp);
    run->time_so_far = SL_MAX(run->time_so_far, batch->max_timestamp);
}

sl_err stream_index_append(struct stream_index *index, const struct stream_batch *batch)
{
    struct stream_run *last = last_run(index);
    if (batch->last_offset < batch->base_offset ||
        (last != NULL && batch->base_offset <= last->last_offset)) {
        return SLUICE_E_CORRUPT;
    }
    if (batch->last_offset < index->start_offset) {
        return SLUICE_OK; /* at recovery: its segment is still there, the records are not */
    }
    if (extends(last, batch)) {
        extend(last, batch);
    } else {
        int64_t so_far = last != NULL ? last->time_so_far : INT64_MIN;
        sl_err err = stream_index_reserve(index, 1);
        if (err != SLUICE_OK) {
            return err;
        }
        if (index->count == index->first) {
            index->start_offset = SL_MAX(index->start_offset, batch->base_offset);
        }
        index->runs[index->count++] = (struct stream_run){
            .base_offset = batch->base_offset,
            .last_offset = batch->last_offset,
            .max_timestamp = batch->max_timestamp,
            .time_so_far = SL_MAX(so_far, batch->max_timestamp),
            .place = batch->place,
            .leader_epoch = batch->leader_epoch,
            .verified = batch->verified,
        };
    }
    index->end_offset = SL_MAX(index->end_offset, batch->last_offset + 1);
    return SLUICE_OK;
}

int64_t stream_index_start(const struct stream_index *index)
{
    return index->start_offset;
}

int64_t stream_index_end(const struct stream_index *index)
{
    return index->end_offset;
}

typedef bool before_fn(const struct stream_run *run, int64_t value);

static bool ends_before(const struct stream_run *run, int64_t offset)
{
    return run->last_offset < offset;
}

static bool is_older(const struct stream_run *run, int64_t timestamp)
{
    return run->time_so_far < timestamp;
}

static bool is_of_earlier_epoch(const struct stream_run *run, int64_t epoch)
{
    return run->leader_epoch <= epoch;
}

/* The first run that is not `before` value; before() must be true for a prefix of the runs only. */
static uint32_t lower_bound(const struct stream_index *index, before_fn *before, int64_t value)
{
    uint32_t low = index->first;
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (before(&index->runs[middle], value)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool give(const struct stream_index *index, uint32_t at, struct stream_run *ret_run)
{
    if (at >= index->count) {
        return false;
    }
    *ret_run = index->runs[at];
    return true;
}

bool stream_index_find(const struct stream_index *index, int64_t offset, struct stream_run *ret_run)
{
    return give(index, lower_bound(index, ends_before, offset), ret_run);
}

void stream_index_mark_verified(struct stream_index *index, int64_t base_offset)
{
    uint32_t at = lower_bound(index, ends_before, base_offset);
    if (at < index->count && index->runs[at].base_offset == base_offset) {
        index->runs[at].verified = true;
    }
}

bool stream_index_find_time(const struct stream_index *index, int64_t timestamp,
                            struct stream_run *ret_run)
{
    return give(index, lower_bound(index, is_older, timestamp), ret_run);
}

bool stream_index_find_max_time(const struct stream_index *index, struct stream_run *ret_run)
{
    const struct stream_run *last = last_run(index);
    return last != NULL && stream_index_find_time(index, last->time_so_far, ret_run);
}

int64_t stream_index_epoch_end(const struct stream_index *index, int32_t epoch, int32_t *ret_epoch)
{
    uint32_t at = lower_bound(index, is_of_earlier_epoch, epoch);
    *ret_epoch = at > index->first ? index->runs[at - 1].leader_epoch : -1;
    return at < index->count ? index->runs[at].base_offset : index->end_offset;
}

void stream_index_drop_below(struct stream_index *index, int64_t offset)
{
    uint32_t at = lower_bound(index, ends_before, offset);
    index->first = at;
    index->start_offset = SL_MAX(index->start_offset, SL_MIN(offset, index->end_offset));
    int64_t so_far = INT64_MIN;
    for (uint32_t i = at; i < index->count; i++) {
        so_far = SL_MAX(so_far, index->runs[i].max_timestamp);
        index->runs[i].time_so_far = so_far;
    }
}

uint64_t stream_index_oldest_segment(const struct stream_index *index)
{
    return index->count > index->first ? index->runs[index->first].place.segment : UINT64_MAX;
}

uint64_t stream_index_bytes(const struct stream_index *index)
{
    uint64_t bytes = 0;
    for (uint32_t i = index->first; i < index->count; i++) {
        bytes += index->runs[i].place.size;
    }
    return bytes;
}

void stream_index_describe(const struct stream_index *index, struct bounds_item *ret_item)
{
    ret_item->start_offset = index->start_offset;
    ret_item->end_offset = index->end_offset;
}

sl_err stream_index_restore(struct stream_index *index, const struct bounds_item *item)
{
    if (item->end_offset < item->start_offset) {
        return SLUICE_E_CORRUPT;
    }
    index->end_offset = SL_MAX(index->end_offset, item->end_offset);
    stream_index_drop_below(index, item->start_offset);
    return SLUICE_OK;
}

/* ---- retention ---- */

int64_t stream_time_unknown(int64_t written_ms)
{
    return INT64_MIN + SL_MAX(written_ms, (int64_t)0);
}

/* A batch without timestamps counts from when it was written; INT64_MAX: that is not known. */
static int64_t newest_ms(const struct stream_run *run)
{
    return run->max_timestamp >= 0 ? run->max_timestamp : run->max_timestamp - INT64_MIN;
}

int64_t stream_index_excess(const struct stream_index *index, const struct stream_limits *limits,
                            uint32_t *ret_run_count)
{
    int64_t offset = index->start_offset;
    bool is_bounded = limits->bytes_max != UINT64_MAX;
    uint64_t bytes = is_bounded ? stream_index_bytes(index) : 0;
    uint32_t end = index->first + SL_MIN(index->count - index->first, limits->runs_max);
    uint32_t i = index->first;
    for (; i < end; i++) {
        const struct stream_run *run = &index->runs[i];
        bytes -= is_bounded ? run->place.size : 0;
        if (newest_ms(run) >= limits->oldest_ms && (!is_bounded || bytes < limits->bytes_max)) {
            break;
        }
        offset = SL_MAX(offset, run->last_offset + 1);
    }
    *ret_run_count = i - index->first;
    return offset;
}
