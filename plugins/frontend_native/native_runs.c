/* native_runs.c: see native_runs.h. */
#include "native_runs.h"

#include <stdlib.h>
#include <string.h>

/* The first run that ends at `offset` or behind it. */
static uint32_t find(const struct native_runs *runs, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = runs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->items[middle].last < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool insert(struct native_runs *runs, uint32_t at, struct native_run run)
{
    if (runs->count == runs->room) {
        uint32_t room = runs->room == 0 ? 8 : runs->room * 2;
        struct native_run *items = realloc(runs->items, room * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        runs->items = items;
        runs->room = room;
    }
    memmove(runs->items + at + 1, runs->items + at, (runs->count - at) * sizeof(run));
    runs->items[at] = run;
    runs->count++;
    return true;
}

static void drop(struct native_runs *runs, uint32_t at, uint32_t count)
{
    if (count > 0) {
        memmove(runs->items + at, runs->items + at + count,
                (runs->count - at - count) * sizeof(*runs->items));
        runs->count -= count;
    }
}

bool native_runs_add(struct native_runs *runs, int64_t first, int64_t last)
{
    uint32_t at = find(runs, first > INT64_MIN ? first - 1 : first);
    uint32_t end = at;
    int64_t reach = last < INT64_MAX ? last + 1 : last;
    while (end < runs->count && runs->items[end].first <= reach) {
        end++;
    }
    if (end == at) {
        return insert(runs, at, (struct native_run){first, last});
    }
    struct native_run *run = &runs->items[at];
    int64_t run_last = runs->items[end - 1].last;
    run->first = first < run->first ? first : run->first;
    run->last = last > run_last ? last : run_last;
    drop(runs, at + 1, end - at - 1);
    return true;
}

void native_runs_remove(struct native_runs *runs, int64_t first, int64_t last)
{
    uint32_t at = find(runs, first);
    while (at < runs->count && runs->items[at].first <= last) {
        struct native_run *run = &runs->items[at];
        struct native_run behind = {last < INT64_MAX ? last + 1 : last, run->last};
        bool has_behind = run->last > last;
        if (run->first < first) {
            run->last = first - 1;
            at++;
            if (has_behind) {
                (void)insert(runs, at, behind);
            }
        } else if (has_behind) {
            run->first = behind.first;
        } else {
            drop(runs, at, 1);
            continue;
        }
        if (has_behind) {
            return;
        }
    }
}

void native_runs_fini(struct native_runs *runs)
{
    free(runs->items);
    *runs = (struct native_runs){0};
}
