/* key_map.c: see key_map.h. */
#include "shard/key_map.h"

#include <string.h>

#define KEYS_MIN       16u
#define FILLED_PERCENT 75u /* linear probing takes 8.5 looks for a miss at this filling */

sl_err key_map_init(struct key_map *map, uint64_t key_count, uint64_t bytes_max,
                    const uint8_t secret[16])
{
    uint64_t count_max = bytes_max / KEY_MAP_SLOT_BYTES / 100 * FILLED_PERCENT;
    uint64_t keys = SL_MAX(SL_MIN(key_count, count_max), (uint64_t)KEYS_MIN);
    uint64_t slots = keys / FILLED_PERCENT * 100 + 100;
    *map = (struct key_map){.slot_count = slots, .key_count_max = keys};
    memcpy(map->secret, secret, sizeof(map->secret));
    map->slots = sl_alloc_zero(slots, sizeof(*map->slots));
    return map->slots == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

void key_map_fini(struct key_map *map)
{
    sl_free(map->slots);
    *map = (struct key_map){0};
}

/* The slot of the hash, or the free one where it belongs. */
static struct key_slot *slot_of(const struct key_map *map, const struct sl_hash128 *hash)
{
    uint64_t at = (uint64_t)((unsigned __int128)hash->high * map->slot_count >> 64);
    struct key_slot *slot = &map->slots[at];
    while (slot->next_offset != 0 &&
           (slot->hash.low != hash->low || slot->hash.high != hash->high)) {
        at = at + 1 == map->slot_count ? 0 : at + 1;
        slot = &map->slots[at];
    }
    return slot;
}

sl_err key_map_put(struct key_map *map, struct sl_bytes key, int64_t offset)
{
    struct sl_hash128 hash = sl_siphash128(map->secret, key.data, key.size);
    struct key_slot *slot = slot_of(map, &hash);
    if (slot->next_offset == 0) {
        if (map->key_count == map->key_count_max) {
            return SLUICE_E_LIMIT;
        }
        map->key_count++;
        slot->hash = hash;
    }
    slot->next_offset = SL_MAX(slot->next_offset, offset + 1);
    return SLUICE_OK;
}

int64_t key_map_get(const struct key_map *map, struct sl_bytes key)
{
    struct sl_hash128 hash = sl_siphash128(map->secret, key.data, key.size);
    return slot_of(map, &hash)->next_offset - 1;
}
