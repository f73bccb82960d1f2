/* state_map.c: see state_map.h. A list of entries, chained by the hash of their keys (FNV-1a); a
 * removed key keeps its entry, without a value, until its batch is kept. */
#include "state_map.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64u

/* ---- entries ---- */

static uint64_t hash_of(struct sluice_bytes key)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (uint64_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.data[i]) * 0x100000001b3u;
    }
    return hash ^ (hash >> 29);
}

static struct state_entry **bucket_of(const struct state_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static struct state_entry *find(const struct state_map *map, struct sluice_bytes key, uint64_t hash)
{
    struct state_entry *entry = map->bucket_count > 0 ? *bucket_of(map, hash) : NULL;

    while (entry != NULL && (entry->hash != hash || entry->key_size != key.size ||
                             memcmp(entry->key, key.data, key.size) != 0)) {
        entry = entry->chain;
    }
    return entry;
}

static bool grow_buckets(struct state_map *map)
{
    const uint32_t count = map->bucket_count > 0 ? map->bucket_count * 2 : BUCKETS_FIRST;
    struct state_entry **buckets = calloc(count, sizeof(*buckets));

    if (buckets == NULL) {
        return map->bucket_count > 0; /* longer chains do as well */
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
    for (uint32_t i = 0; i < map->count; i++) {
        struct state_entry *entry = map->entries[i];
        struct state_entry **bucket = bucket_of(map, entry->hash);

        entry->chain = *bucket;
        *bucket = entry;
    }
    return true;
}

static bool grow(void **memory, uint32_t count, uint32_t *capacity, size_t size)
{
    const uint32_t wanted = *capacity > 0 ? *capacity * 2 : 64;
    void *grown;

    if (count < *capacity) {
        return true;
    }
    grown = realloc(*memory, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *capacity = wanted;
    return true;
}

/* Without a value. NULL: no memory. */
static struct state_entry *add(struct state_map *map, struct sluice_bytes key, uint64_t hash)
{
    struct state_entry *entry;
    void *list = map->entries;
    bool room = grow(&list, map->count, &map->capacity, sizeof(*map->entries));

    map->entries = list;
    if (!room || (map->count >= map->bucket_count && !grow_buckets(map))) {
        return NULL;
    }
    entry = malloc(sizeof(*entry) + key.size);
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct state_entry){.chain = *bucket_of(map, hash),
                                  .hash = hash,
                                  .at = map->count,
                                  .key_size = (uint32_t)key.size};
    memcpy(entry->key, key.data, key.size);
    *bucket_of(map, hash) = entry;
    map->entries[map->count++] = entry;
    return entry;
}

/* The last of the list takes its place. */
static void take_out(struct state_map *map, struct state_entry *entry)
{
    struct state_entry **link = bucket_of(map, entry->hash);

    while (*link != entry) {
        link = &(*link)->chain;
    }
    *link = entry->chain;
    map->entries[entry->at] = map->entries[--map->count];
    map->entries[entry->at]->at = entry->at;
    free(entry->value);
    free(entry);
}

void state_map_clear(struct state_map *map)
{
    for (uint32_t i = 0; i < map->change_count; i++) {
        free(map->changes[i].value);
    }
    for (uint32_t i = 0; i < map->count; i++) {
        free(map->entries[i]->value);
        free(map->entries[i]);
    }
    free(map->changes);
    free(map->entries);
    free(map->buckets);
    *map = (struct state_map){0};
}

const struct state_entry *state_map_get(const struct state_map *map, struct sluice_bytes key)
{
    const struct state_entry *entry = find(map, key, hash_of(key));

    return entry != NULL && entry->value != NULL ? entry : NULL;
}

const struct state_entry *state_map_next(const struct state_map *map, uint64_t *cursor)
{
    while (*cursor < map->count) {
        const struct state_entry *entry = map->entries[(*cursor)++];

        if (entry->value != NULL) {
            return entry;
        }
    }
    return NULL;
}

/* ---- changes ---- */

static uint64_t bytes_of(const struct state_entry *entry, bool present, uint64_t value_size)
{
    return present ? STATE_ENTRY_BYTES + entry->key_size + value_size : 0;
}

static uint64_t delta_of(const struct state_entry *entry, bool present, uint64_t value_size)
{
    return STATE_DELTA_HEAD_BYTES + entry->key_size + (present ? value_size : 0);
}

/* Puts a value (or NULL) in its place; the caller has the one before. */
static void set(struct state_map *map, struct state_entry *entry, uint8_t *value, uint32_t size)
{
    map->bytes -= bytes_of(entry, entry->value != NULL, entry->value_size);
    map->delta_bytes -=
        entry->changed ? delta_of(entry, entry->value != NULL, entry->value_size) : 0;
    entry->value = value;
    entry->value_size = size;
    map->bytes += bytes_of(entry, value != NULL, size);
}

static void count_delta(struct state_map *map, const struct state_entry *entry)
{
    map->delta_bytes +=
        entry->changed ? delta_of(entry, entry->value != NULL, entry->value_size) : 0;
}

static sluice_status check_bounds(const struct state_map *map, const struct state_entry *entry,
                                  struct sluice_bytes value, uint64_t bytes_max,
                                  uint64_t delta_bytes_max)
{
    const bool present = entry->value != NULL;
    const uint64_t before = bytes_of(entry, present, entry->value_size);
    const uint64_t after = bytes_of(entry, value.data != NULL, value.size);
    const uint64_t delta_before = entry->changed ? delta_of(entry, present, entry->value_size) : 0;
    const uint64_t delta_after = delta_of(entry, value.data != NULL, value.size);

    if (after > before && map->bytes - before + after > bytes_max) {
        return SLUICE_E_LIMIT;
    }
    return map->delta_bytes - delta_before + delta_after > delta_bytes_max ? SLUICE_E_BUSY
                                                                           : SLUICE_OK;
}

/* An owned copy; *ret NULL for no value. False: no memory. */
static bool copy_value(struct sluice_bytes value, uint8_t **ret)
{
    *ret = NULL;
    if (value.data == NULL) {
        return true;
    }
    *ret = malloc(value.size > 0 ? value.size : 1);
    if (*ret != NULL && value.size > 0) {
        memcpy(*ret, value.data, value.size);
    }
    return *ret != NULL;
}

static void log_change(struct state_map *map, struct state_entry *entry, uint32_t index)
{
    map->changes[map->change_count++] = (struct state_change){.entry = entry,
                                                              .value = entry->value,
                                                              .value_size = entry->value_size,
                                                              .index = index,
                                                              .index_before = entry->index,
                                                              .is_first = !entry->changed};
}

static bool room_to_log(struct state_map *map)
{
    void *list = map->changes;
    const bool room = grow(&list, map->change_count, &map->change_capacity, sizeof(*map->changes));

    map->changes = list;
    return room;
}

sluice_status state_map_change(struct state_map *map, uint32_t index, struct sluice_bytes key,
                               struct sluice_bytes value, uint64_t bytes_max,
                               uint64_t delta_bytes_max)
{
    const uint64_t hash = hash_of(key);
    struct state_entry *entry = find(map, key, hash);
    const bool is_new = entry == NULL;
    uint8_t *copy = NULL;
    uint8_t *again = NULL;
    sluice_status status;

    if (value.data == NULL && (is_new || entry->value == NULL)) {
        return SLUICE_OK;
    }
    entry = is_new ? add(map, key, hash) : entry;
    if (entry == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    status = check_bounds(map, entry, value, bytes_max, delta_bytes_max);
    if (status == SLUICE_OK && (!room_to_log(map) || !copy_value(value, &copy))) {
        status = SLUICE_E_NO_MEMORY;
    }
    if (status != SLUICE_OK) {
        if (is_new) {
            take_out(map, entry);
        }
        return status;
    }
    if (entry->changed && entry->index == index) { /* what it was before the record is logged */
        again = entry->value;
    } else {
        log_change(map, entry, index);
    }
    set(map, entry, copy, (uint32_t)value.size);
    free(again);
    entry->changed = true;
    entry->index = index;
    count_delta(map, entry);
    return SLUICE_OK;
}

sluice_status state_map_load(struct state_map *map, const struct state_delta *delta)
{
    const uint64_t hash = hash_of(delta->key);
    struct state_entry *entry = find(map, delta->key, hash);
    uint8_t *before;
    uint8_t *copy;

    if (entry == NULL && delta->value.data == NULL) {
        return SLUICE_OK;
    }
    entry = entry == NULL ? add(map, delta->key, hash) : entry;
    if (entry == NULL || !copy_value(delta->value, &copy)) {
        return SLUICE_E_NO_MEMORY;
    }
    before = entry->value;
    set(map, entry, copy, (uint32_t)delta->value.size);
    free(before);
    if (copy == NULL) {
        take_out(map, entry);
    }
    return SLUICE_OK;
}

/* ---- back, or for good ---- */

static void undo_last(struct state_map *map)
{
    const struct state_change *change = &map->changes[--map->change_count];
    struct state_entry *entry = change->entry;

    free(entry->value);
    set(map, entry, change->value, change->value_size);
    entry->changed = !change->is_first;
    entry->index = change->index_before;
    count_delta(map, entry);
    if (change->is_first && entry->value == NULL) {
        take_out(map, entry);
    }
}

bool state_map_undo(struct state_map *map, uint32_t index, bool and_after)
{
    if (!and_after && map->change_count > 0 && map->changes[map->change_count - 1].index > index) {
        for (uint32_t i = 0; i < map->change_count; i++) {
            if (map->changes[i].index == index) {
                return false;
            }
        }
        return true;
    }
    while (map->change_count > 0 && map->changes[map->change_count - 1].index >= index) {
        undo_last(map);
    }
    return true;
}

void state_map_undo_all(struct state_map *map)
{
    while (map->change_count > 0) {
        undo_last(map);
    }
}

void state_map_keep(struct state_map *map)
{
    for (uint32_t i = 0; i < map->change_count; i++) {
        struct state_change *change = &map->changes[i];

        free(change->value);
        if (change->is_first) {
            change->entry->changed = false;
            if (change->entry->value == NULL) {
                take_out(map, change->entry);
            }
        }
    }
    map->change_count = 0;
    map->delta_bytes = 0;
}

uint32_t state_map_deltas(const struct state_map *map, uint8_t *at)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < map->change_count; i++) {
        const struct state_entry *entry = map->changes[i].entry;

        if (map->changes[i].is_first) {
            at = state_delta_put(at, (struct sluice_bytes){entry->key, entry->key_size},
                                 (struct sluice_bytes){entry->value, entry->value_size});
            count++;
        }
    }
    return count;
}
