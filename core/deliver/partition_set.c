/* partition_set.c: see partition_set.h. */
#include "deliver/partition_set.h"

#include <stdlib.h>
#include <string.h>

void partition_set_fini(struct partition_set *set)
{
    sl_free(set->entries);
    *set = (struct partition_set){0};
}

sl_err partition_set_reserve(struct partition_set *set, uint32_t count)
{
    if (count <= set->capacity)
        return SLUICE_OK;
    void *grown = sl_realloc(set->entries, (size_t)count * sizeof *set->entries);
    if (grown == NULL)
        return SLUICE_E_NO_MEMORY;
    set->entries = grown;
    set->capacity = count;
    return SLUICE_OK;
}

sl_err partition_set_add(struct partition_set *set, const struct sl_uuid *topic, uint32_t partition,
                         int32_t epoch)
{
    if (set->count == set->capacity) {
        sl_err err = partition_set_reserve(set, set->capacity == 0 ? 4 : set->capacity * 2);
        if (err != SLUICE_OK)
            return err;
    }
    set->entries[set->count++] = (struct partition_entry){*topic, partition, epoch};
    return SLUICE_OK;
}

int partition_entry_compare(const struct partition_entry *a, const struct partition_entry *b)
{
    int order = memcmp(a->topic.b, b->topic.b, sizeof a->topic.b);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare(const void *a, const void *b)
{
    return partition_entry_compare(a, b);
}

void partition_set_sort(struct partition_set *set)
{
    uint32_t kept = 0;
    if (set->count < 2)
        return;
    qsort(set->entries, set->count, sizeof *set->entries, compare);
    for (uint32_t i = 1; i < set->count; i++) {
        if (partition_entry_compare(&set->entries[kept], &set->entries[i]) != 0)
            set->entries[++kept] = set->entries[i];
    }
    set->count = kept + 1;
}

const struct partition_entry *partition_set_find(const struct partition_set *set,
                                                 const struct sl_uuid *topic, uint32_t partition)
{
    const struct partition_entry key = {*topic, partition, 0};
    return set->count == 0 ? NULL : bsearch(&key, set->entries, set->count, sizeof key, compare);
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b,
                         bool with_epochs)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (partition_entry_compare(&a->entries[i], &b->entries[i]) != 0 ||
            (with_epochs && a->entries[i].epoch != b->entries[i].epoch))
            return false;
    }
    return true;
}

bool partition_set_within(const struct partition_set *a, const struct partition_set *b)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        while (at < b->count && partition_entry_compare(&b->entries[at], &a->entries[i]) < 0)
            at++;
        if (at == b->count || partition_entry_compare(&b->entries[at], &a->entries[i]) != 0)
            return false;
    }
    return true;
}

bool partition_set_meets(const struct partition_set *a, const struct partition_set *b)
{
    uint32_t i = 0, j = 0;
    while (i < a->count && j < b->count) {
        int order = partition_entry_compare(&a->entries[i], &b->entries[j]);
        if (order == 0)
            return true;
        *(order < 0 ? &i : &j) += 1;
    }
    return false;
}

int partition_set_walk(const struct partition_set *a, uint32_t i, const struct partition_set *b,
                       uint32_t j)
{
    if (i == a->count)
        return 1;
    return j == b->count ? -1 : partition_entry_compare(&a->entries[i], &b->entries[j]);
}

bool partition_set_subtract(struct partition_set *set, const struct partition_set *held)
{
    uint32_t before = set->count, kept = 0;
    if (held->count == 0)
        return false;
    for (uint32_t i = 0, j = 0; i < before;) {
        int order = partition_set_walk(set, i, held, j);
        if (order < 0)
            set->entries[kept++] = set->entries[i];
        i += order <= 0;
        j += order >= 0;
    }
    set->count = kept;
    return kept != before;
}

sl_err partition_set_copy(struct partition_set *set, const struct partition_set *from)
{
    sl_err err = partition_set_reserve(set, from->count);
    if (err == SLUICE_OK && from->count != 0)
        memcpy(set->entries, from->entries, from->count * sizeof *set->entries);
    if (err == SLUICE_OK)
        set->count = from->count;
    return err;
}

void partition_set_take(struct partition_set *to, struct partition_set *from)
{
    partition_set_fini(to);
    *to = *from;
    *from = (struct partition_set){0};
}
