/* native_last.c: see native_last.h. A hash table of keys by open addressing; then their offsets,
 * sorted. */
#include "native_last.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u
#define FREE        UINT32_MAX

struct key {
    uint64_t hash;
    int64_t offset;
    uint32_t at; /* in bytes */
    uint32_t size;
};

struct native_last {
    int64_t end;
    uint32_t keys_max;
    bool found;
    uint32_t *slots; /* indices of keys; FREE */
    uint32_t slot_count;
    struct key *keys;
    uint32_t count;
    uint32_t room;
    uint8_t *bytes;
    uint32_t used;
    uint32_t bytes_room;
    int64_t *offsets; /* once found: of count, rising */
};

struct native_last *native_last_new(int64_t end, uint32_t keys_max)
{
    struct native_last *last = calloc(1, sizeof(*last));
    if (last != NULL) {
        last->end = end;
        last->keys_max = keys_max;
    }
    return last;
}

static void drop_keys(struct native_last *last)
{
    free(last->slots);
    free(last->keys);
    free(last->bytes);
    last->slots = NULL;
    last->keys = NULL;
    last->bytes = NULL;
}

struct native_last *native_last_free(struct native_last *last)
{
    if (last != NULL) {
        drop_keys(last);
        free(last->offsets);
        free(last);
    }
    return NULL;
}

int64_t native_last_end(const struct native_last *last)
{
    return last->end;
}

/* FNV-1a; an attacker who makes keys collide slows down his own subscription. */
static uint64_t hash_of(struct sluice_bytes key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.data[i]) * 0x100000001b3u;
    }
    return hash;
}

static uint32_t *find_slot(const struct native_last *last, uint64_t hash, struct sluice_bytes key)
{
    uint32_t at = (uint32_t)hash & (last->slot_count - 1);
    for (;; at = (at + 1) & (last->slot_count - 1)) {
        uint32_t index = last->slots[at];
        if (index == FREE ||
            (last->keys[index].hash == hash && last->keys[index].size == key.size &&
             (key.size == 0 ||
              memcmp(last->bytes + last->keys[index].at, key.data, (size_t)key.size) == 0))) {
            return &last->slots[at];
        }
    }
}

static bool grow_slots(struct native_last *last)
{
    uint32_t count = last->slot_count == 0 ? FIRST_SLOTS : last->slot_count * 2;
    uint32_t *slots = NULL;
    if (last->count * 2 < last->slot_count) {
        return true;
    }
    slots = malloc(count * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0xFF, count * sizeof(*slots));
    for (uint32_t i = 0; i < last->count; i++) {
        uint32_t at = (uint32_t)last->keys[i].hash & (count - 1);
        while (slots[at] != FREE) {
            at = (at + 1) & (count - 1);
        }
        slots[at] = i;
    }
    free(last->slots);
    last->slots = slots;
    last->slot_count = count;
    return true;
}

static bool grow_keys(struct native_last *last, uint32_t size)
{
    if (last->count == last->room) {
        uint32_t room = last->room == 0 ? FIRST_SLOTS : last->room * 2;
        struct key *keys = realloc(last->keys, room * sizeof(*keys));
        if (keys == NULL) {
            return false;
        }
        last->keys = keys;
        last->room = room;
    }
    if (size > last->bytes_room - last->used) {
        uint32_t room = last->bytes_room * 2 + size + FIRST_SLOTS;
        uint8_t *bytes = realloc(last->bytes, room);
        if (bytes == NULL) {
            return false;
        }
        last->bytes = bytes;
        last->bytes_room = room;
    }
    return true;
}

sluice_status native_last_note(struct native_last *last, struct sluice_bytes key, int64_t offset)
{
    uint64_t hash = hash_of(key);
    if (!grow_slots(last)) {
        return SLUICE_E_NO_MEMORY;
    }
    uint32_t *slot = find_slot(last, hash, key);
    if (*slot != FREE) {
        last->keys[*slot].offset = offset;
        return SLUICE_OK;
    }
    if (last->count == last->keys_max || key.size > NATIVE_LAST_BYTES_MAX - last->used) {
        return SLUICE_E_LIMIT;
    }
    if (!grow_keys(last, (uint32_t)key.size)) {
        return SLUICE_E_NO_MEMORY;
    }
    if (key.size > 0) {
        memcpy(last->bytes + last->used, key.data, (size_t)key.size);
    }
    last->keys[last->count] = (struct key){hash, offset, last->used, (uint32_t)key.size};
    last->used += (uint32_t)key.size;
    *slot = last->count++;
    return SLUICE_OK;
}

static int compare(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one;
    int64_t b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

void native_last_found(struct native_last *last)
{
    last->found = true;
    last->offsets = malloc((last->count + 1u) * sizeof(*last->offsets));
    if (last->offsets == NULL) {
        last->count = 0; /* without memory nothing of what is there is given */
    }
    for (uint32_t i = 0; i < last->count; i++) {
        last->offsets[i] = last->keys[i].offset;
    }
    if (last->count > 0) {
        qsort(last->offsets, last->count, sizeof(*last->offsets), compare);
    }
    drop_keys(last);
}

bool native_last_is_found(const struct native_last *last)
{
    return last->found;
}

int64_t native_last_next(const struct native_last *last, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = last->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (last->offsets[middle] < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int64_t end = last->end > offset ? last->end : offset;
    return low < last->count ? last->offsets[low] : end;
}

bool native_last_has(const struct native_last *last, int64_t offset)
{
    return offset >= last->end || native_last_next(last, offset) == offset;
}
