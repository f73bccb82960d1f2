/* redrive_marks.c: see redrive_marks.h. */
#include "stage/redrive_marks.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void redrive_marks_fini(struct redrive_marks *marks)
{
    sl_free(marks->ranges);
    *marks = (struct redrive_marks){0};
}

static sl_err room_for_one(struct redrive_marks *marks)
{
    if (marks->count < marks->capacity) {
        return SLUICE_OK;
    }
    if (marks->count == REDRIVE_RANGES_MAX) {
        return SLUICE_E_LIMIT;
    }
    uint32_t capacity = SL_MIN(SL_MAX(marks->capacity * 2, 8u), REDRIVE_RANGES_MAX);
    void *grown = sl_realloc(marks->ranges, capacity * sizeof(*marks->ranges));
    if (grown == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    marks->ranges = grown;
    marks->capacity = capacity;
    return SLUICE_OK;
}

static sl_err push(struct redrive_marks *marks, int64_t first, int64_t end)
{
    struct redrive_range *last = marks->count > 0 ? &marks->ranges[marks->count - 1] : NULL;
    if (last != NULL && first <= last->end) {
        last->end = SL_MAX(last->end, end);
        return SLUICE_OK;
    }
    sl_err err = room_for_one(marks);
    if (err == SLUICE_OK) {
        marks->ranges[marks->count++] = (struct redrive_range){first, end};
    }
    return err;
}

/* ---- from the store ---- */

struct loading {
    struct redrive_marks *marks;
    sl_err err;
};

static bool first_of(struct sl_bytes name, int64_t *ret_first)
{
    int64_t first = 0;
    if (name.size < 2 || name.size > 20 || name.data[0] != '#') {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9' || __builtin_mul_overflow(first, 10, &first) ||
            __builtin_add_overflow(first, name.data[i] - '0', &first)) {
            return false;
        }
    }
    *ret_first = first;
    return true;
}

/* In any order: put in order afterwards, so nothing is joined here. */
static void load_one(void *arg, const struct position *position)
{
    struct loading *loading = arg;
    struct redrive_marks *marks = loading->marks;
    int64_t first = 0;
    if (loading->err != SLUICE_OK || !first_of(position->name, &first)) {
        return;
    }
    loading->err = room_for_one(marks);
    if (loading->err != SLUICE_OK) {
        return;
    }
    marks->ranges[marks->count++] = (struct redrive_range){first, position->next_offset};
}

static int by_first(const void *a, const void *b)
{
    const struct redrive_range *left = a;
    const struct redrive_range *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

sl_err redrive_marks_load(struct redrive_marks *marks, const struct position_store *store,
                          const struct sl_uuid *topic, uint32_t partition)
{
    struct redrive_marks loaded = {0};
    struct loading loading = {&loaded, SLUICE_OK};
    position_store_each_of(store, topic, partition, load_one, &loading);
    if (loading.err != SLUICE_OK) {
        redrive_marks_fini(&loaded);
        return loading.err;
    }
    if (loaded.count > 1) {
        qsort(loaded.ranges, loaded.count, sizeof(*loaded.ranges), by_first);
    }
    *marks = loaded;
    return SLUICE_OK;
}

/* ---- questions ---- */

/* The first range that ends above the offset. */
static uint32_t find(const struct redrive_marks *marks, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = marks->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (marks->ranges[middle].end <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool redrive_marks_has(const struct redrive_marks *marks, int64_t offset)
{
    uint32_t at = find(marks, offset);
    return at < marks->count && marks->ranges[at].first <= offset;
}

int64_t redrive_marks_left(const struct redrive_marks *marks, int64_t first, int64_t end)
{
    int64_t left = SL_MAX(end - first, (int64_t)0);
    for (uint32_t i = find(marks, first); i < marks->count && marks->ranges[i].first < end; i++) {
        left -= SL_MIN(marks->ranges[i].end, end) - SL_MAX(marks->ranges[i].first, first);
    }
    return left;
}

/* ---- changing ---- */

sl_err redrive_marks_with(const struct redrive_marks *marks, int64_t start, const int64_t *offsets,
                          size_t count, struct redrive_marks *ret_marks)
{
    struct redrive_marks made = {0};
    sl_err err = SLUICE_OK;
    uint32_t at = 0;
    size_t next = 0;
    while (err == SLUICE_OK && (at < marks->count || next < count)) {
        bool range =
            at < marks->count && (next == count || marks->ranges[at].first <= offsets[next]);
        int64_t first = range ? marks->ranges[at].first : offsets[next];
        int64_t end = range ? marks->ranges[at].end : offsets[next] + 1;
        at += range;
        next += !range;
        if (end > start) {
            err = push(&made, first, end);
        }
    }
    if (err != SLUICE_OK) {
        redrive_marks_fini(&made);
        return err;
    }
    *ret_marks = made;
    return SLUICE_OK;
}

void redrive_marks_changes(const struct redrive_marks *before, const struct redrive_marks *after,
                           redrive_change_fn *each, void *arg)
{
    uint32_t old = 0;
    for (uint32_t i = 0; i < after->count; i++) {
        const struct redrive_range *range = &after->ranges[i];
        while (old < before->count && before->ranges[old].first < range->first) {
            each(arg, before->ranges[old++].first, -1);
        }
        bool same = old < before->count && before->ranges[old].first == range->first;
        if (!same || before->ranges[old].end != range->end) {
            each(arg, range->first, range->end);
        }
        old += same;
    }
    while (old < before->count) {
        each(arg, before->ranges[old++].first, -1);
    }
}

struct sl_bytes redrive_mark_name(int64_t first, char ret_name[24])
{
    int size = snprintf(ret_name, 24, "#%" PRId64, first);
    return (struct sl_bytes){(const uint8_t *)ret_name, (size_t)size};
}
