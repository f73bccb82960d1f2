/* stream_index.c: see stream_index.h. */
#include "index/stream_index.h"

#include <string.h>

#define RUNS_SLACK_MAX 4u /* so few are not kept for later */

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

/* What was dropped before the runs goes, too. Of many runs the allocator moves the pages instead of
 * what is in them. */
static sl_err resize_to(struct stream_index *index, uint32_t capacity)
{
    uint32_t used = index->count - index->first;
    if (index->first > 0 && used > 0) {
        memmove(index->runs, index->runs + index->first, used * sizeof(*index->runs));
    }
    index->first = 0;
    index->count = used;
    struct stream_run *runs = sl_realloc(index->runs, (size_t)capacity * sizeof(*runs));
    if (runs == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    index->runs = runs;
    index->capacity = capacity;
    return SLUICE_OK;
}

sl_err stream_index_reserve(struct stream_index *index, uint32_t batch_count)
{
    uint32_t wanted = batch_count + index->kept;
    if (wanted <= index->capacity - index->count) {
        return SLUICE_OK;
    }
    uint32_t used = index->count - index->first;
    /* What is under way rises one by one: room for half as much more, not a move for each. */
    return resize_to(index, SL_MAX(used * 2, used + wanted + wanted / 2));
}

sl_err stream_index_keep(struct stream_index *index, uint32_t count, uint32_t batch_count)
{
    uint32_t before = index->kept;
    index->kept = count;
    sl_err err = stream_index_reserve(index, batch_count);
    index->kept = err == SLUICE_OK ? count : before;
    return err;
}

void stream_index_shrink(struct stream_index *index, uint32_t batch_count)
{
    uint32_t used = index->count - index->first;
    uint32_t wanted = used + batch_count + index->kept;
    if (wanted == 0) {
        sl_free(index->runs);
        index->runs = NULL;
        index->first = index->count = index->capacity = 0;
    } else if (index->capacity / 4 >= wanted ||
               (wanted <= RUNS_SLACK_MAX && index->capacity > wanted)) {
        /* Most streams are idle with a run or two. Without memory for the smaller one the larger
         * one stays. */
        sl_err err = resize_to(index, wanted + (wanted > RUNS_SLACK_MAX ? wanted / 2 : 0));
        SL_ASSERT(err == SLUICE_OK || err == SLUICE_E_NO_MEMORY);
    }
}

static uint64_t run_bytes_max(const struct wal_place *place)
{
    bool is_in_memory =
        (place->segment & (WAL_PLACE_EXTENT | WAL_PLACE_MEMORY)) == WAL_PLACE_MEMORY;
    return is_in_memory ? STREAM_RUN_MEMORY_BYTES_MAX : STREAM_RUN_BYTES_MAX;
}

static bool extends(const struct stream_run *run, const struct stream_batch *batch)
{
    return run != NULL && run->place.segment == batch->place.segment &&
           run->place.position + run->place.size == batch->place.position &&
           run->last_offset + 1 == batch->base_offset && run->leader_epoch == batch->leader_epoch &&
           run->verified == batch->verified &&
           (uint64_t)run->place.size + batch->place.size <= run_bytes_max(&batch->place);
}

static void extend(struct stream_run *run, const struct stream_batch *batch)
{
    run->last_offset = batch->last_offset;
    run->place.size += batch->place.size;
    run->max_timestamp = SL_MAX(run->max_timestamp, batch->max_timestamp);
    run->time_so_far = SL_MAX(run->time_so_far, batch->max_timestamp);
}

static sl_err add_run(struct stream_index *index, const struct stream_batch *batch)
{
    sl_err err = stream_index_reserve(index, 1);
    if (err != SLUICE_OK) {
        return err;
    }
    const struct stream_run *last = last_run(index);
    int64_t so_far = last != NULL ? last->time_so_far : INT64_MIN;
    index->runs[index->count++] = (struct stream_run){
        .base_offset = batch->base_offset,
        .last_offset = batch->last_offset,
        .max_timestamp = batch->max_timestamp,
        .time_so_far = SL_MAX(so_far, batch->max_timestamp),
        .place = batch->place,
        .leader_epoch = batch->leader_epoch,
        .verified = batch->verified,
    };
    return SLUICE_OK;
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
        sl_err err = add_run(index, batch);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    index->bytes += batch->place.size;
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

static uint64_t bytes_of(const struct stream_run *runs, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += runs[i].place.size;
    }
    return bytes;
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

void stream_index_mark_suspect(struct stream_index *index, int64_t first_offset,
                               int64_t last_offset)
{
    uint32_t at = lower_bound(index, ends_before, first_offset);
    for (; at < index->count && index->runs[at].base_offset <= last_offset; at++) {
        index->runs[at].verified = false;
    }
}

bool stream_index_find_time(const struct stream_index *index, int64_t timestamp,
                            struct stream_run *ret_run)
{
    return give(index, lower_bound(index, is_older, timestamp), ret_run);
}

bool stream_index_find_time_from(const struct stream_index *index, int64_t offset,
                                 int64_t timestamp, struct stream_run *ret_run)
{
    uint32_t at = lower_bound(index, ends_before, offset);
    while (at < index->count && index->runs[at].max_timestamp < timestamp) {
        at++;
    }
    return give(index, at, ret_run);
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

/* From `at` on, until nothing changes any more. */
static void count_times(struct stream_index *index, uint32_t at, uint32_t certain)
{
    int64_t so_far = at > index->first ? index->runs[at - 1].time_so_far : INT64_MIN;
    for (uint32_t i = at; i < index->count; i++) {
        so_far = SL_MAX(so_far, index->runs[i].max_timestamp);
        if (i >= certain && index->runs[i].time_so_far == so_far) {
            break;
        }
        index->runs[i].time_so_far = so_far;
    }
}

void stream_index_drop_below(struct stream_index *index, int64_t offset)
{
    uint32_t at = lower_bound(index, ends_before, offset);
    if (at > index->first) { /* else there may be no runs at all to point at */
        index->bytes -= bytes_of(index->runs + index->first, at - index->first);
    }
    index->first = at;
    index->start_offset = SL_MAX(index->start_offset, SL_MIN(offset, index->end_offset));
    count_times(index, at, at);
}

/* ---- extents ---- */

static bool is_in_extent(const struct stream_run *run, int64_t unused)
{
    (void)unused;
    return (run->place.segment & WAL_PLACE_EXTENT) != 0;
}

uint64_t stream_index_lowest_segment(const struct stream_index *index)
{
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = lower_bound(index, is_in_extent, 0); i < index->count; i++) {
        lowest = SL_MIN(lowest, index->runs[i].place.segment);
    }
    return lowest;
}

void stream_index_move(struct stream_index *index, int64_t base_offset,
                       const struct wal_place *place)
{
    uint32_t at = lower_bound(index, ends_before, base_offset);
    if (at < index->count && index->runs[at].base_offset == base_offset) {
        SL_ASSERT(index->runs[at].place.size == place->size);
        index->runs[at].place = *place;
    }
}

const struct stream_run *stream_index_unsealed(const struct stream_index *index,
                                               uint32_t *ret_count)
{
    uint32_t at = lower_bound(index, is_in_extent, 0);
    *ret_count = index->count - at;
    return at < index->count ? &index->runs[at] : NULL;
}

uint64_t stream_index_oldest_segment(const struct stream_index *index)
{
    uint32_t at = lower_bound(index, is_in_extent, 0);
    return at < index->count ? index->runs[at].place.segment : UINT64_MAX;
}

/* Makes `wanted` slots of the `had` ones at `at`, by moving what is shorter: the older runs into
 * what was dropped before them, or the younger ones towards the kept slots. Returns where the slots
 * begin. */
static uint32_t resize_gap(struct stream_index *index, uint32_t at, uint32_t had, uint32_t wanted)
{
    struct stream_run *runs = index->runs;
    uint32_t before = at - index->first;
    uint32_t after = index->count - at - had;
    bool front = before <= after && index->first + had >= wanted;
    if (front && before > 0) {
        uint32_t first = index->first + had - wanted;
        memmove(runs + first, runs + index->first, before * sizeof(*runs));
    }
    if (front) {
        index->first = index->first + had - wanted;
        return at + had - wanted;
    }
    if (after > 0) {
        memmove(runs + at + wanted, runs + at + had, after * sizeof(*runs));
    }
    index->count = index->count - had + wanted;
    return at;
}

/* Whether the runs [at, end) may give way to blocks of these offsets. */
static bool fits(const struct stream_index *index, uint32_t at, uint32_t end, int64_t base,
                 int64_t last)
{
    bool begins = at == end || index->runs[at].base_offset >= base ||
                  index->runs[at].base_offset < index->start_offset;
    bool ends = end >= index->count || index->runs[end].base_offset > last;
    return begins && ends;
}

sl_err stream_index_replace(struct stream_index *index, const struct stream_run *blocks,
                            uint32_t count)
{
    int64_t last = blocks[count - 1].last_offset;
    while (count > 0 && blocks->last_offset < index->start_offset) {
        blocks++;
        count--;
    }
    uint32_t at = lower_bound(index, ends_before, count > 0 ? blocks->base_offset : last + 1);
    uint32_t end = lower_bound(index, ends_before, last + 1);
    if (count > 0 && !fits(index, at, end, blocks->base_offset, last)) {
        return SLUICE_E_CORRUPT;
    }
    uint32_t grows = count > end - at ? count - (end - at) : 0;
    if (grows > index->capacity - index->count) {
        return SLUICE_E_NO_MEMORY;
    }
    index->kept = 0;
    if (count == 0) {
        return SLUICE_OK;
    }
    index->bytes -= bytes_of(index->runs + at, end - at);
    index->bytes += bytes_of(blocks, count);
    at = resize_gap(index, at, end - at, count);
    memcpy(index->runs + at, blocks, count * sizeof(*blocks));
    count_times(index, at, at + count);
    index->end_offset = SL_MAX(index->end_offset, last + 1);
    return SLUICE_OK;
}

static bool begins_until(const struct stream_run *run, int64_t offset)
{
    return run->base_offset <= offset;
}

void stream_index_swap(struct stream_index *index, const struct stream_run *blocks, uint32_t count)
{
    int64_t first = blocks->base_offset; /* of all: between blocks offsets may be missing */
    int64_t last = blocks[count - 1].last_offset;
    while (count > 0 && blocks->last_offset < index->start_offset) {
        blocks++;
        count--;
    }
    if (count == 0) {
        return;
    }
    uint32_t at = lower_bound(index, ends_before, SL_MAX(first, index->start_offset));
    uint32_t end = lower_bound(index, begins_until, last);
    SL_ASSERT(at <= end &&
              (count <= end - at || count - (end - at) <= index->capacity - index->count));
    index->bytes -= bytes_of(index->runs + at, end - at);
    index->bytes += bytes_of(blocks, count);
    at = resize_gap(index, at, end - at, count);
    memcpy(index->runs + at, blocks, count * sizeof(*blocks));
    count_times(index, at, at + count);
    index->end_offset = SL_MAX(index->end_offset, last + 1);
}

bool stream_index_is_ordered(const struct stream_index *index)
{
    for (uint32_t i = index->first + 1; i < index->count; i++) {
        const struct stream_run *before = &index->runs[i - 1];
        bool rises = before->last_offset < index->runs[i].base_offset;
        if (!rises || (is_in_extent(&index->runs[i], 0) && !is_in_extent(before, 0))) {
            return false;
        }
    }
    return true;
}

uint64_t stream_index_bytes(const struct stream_index *index)
{
    return index->bytes;
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
    uint64_t bytes = index->bytes;
    uint32_t end = index->first + SL_MIN(index->count - index->first, limits->runs_max);
    uint32_t i = index->first;
    for (; i < end; i++) {
        const struct stream_run *run = &index->runs[i];
        bytes -= run->place.size;
        if (newest_ms(run) >= limits->oldest_ms && bytes < limits->bytes_max) {
            break;
        }
        offset = SL_MAX(offset, run->last_offset + 1);
    }
    *ret_run_count = i - index->first;
    return offset;
}
