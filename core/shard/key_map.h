/* key_map.h: the newest offset of each key, for compaction: a table of fixed size.
 *
 * Open addressing, a slot is 24 bytes: 128 bits of SipHash of the key under a secret of the table's
 * own, and the offset. Keys themselves are not kept: two keys of one hash are taken for one, which
 * nobody can bring about and chance does not (2^-64 for 2^32 keys). Memory that no key was put into
 * is not touched. One thread at a time. */
#ifndef SL_SHARD_KEY_MAP_H
#define SL_SHARD_KEY_MAP_H

#include "base/bytes.h"
#include "base/siphash.h"

#define KEY_MAP_SLOT_BYTES 24u

struct key_slot {
    struct sl_hash128 hash;
    int64_t next_offset; /* behind the key's newest record; 0: the slot is free */
};

struct key_map {
    struct key_slot *slots; /* owned */
    uint64_t slot_count;
    uint64_t key_count;
    uint64_t key_count_max;
    uint8_t secret[16];
};

/* For key_count keys, but at most bytes_max of memory, and room for 16 keys in any case.
 * E_NO_MEMORY. */
sl_err key_map_init(struct key_map *map, uint64_t key_count, uint64_t bytes_max,
                    const uint8_t secret[16]) SL_MUST_CHECK;
void key_map_fini(struct key_map *map); /* zeroed memory is fine */
/* The newest offset counts. E_LIMIT: full, and the key is not in it. */
sl_err key_map_put(struct key_map *map, struct sl_bytes key, int64_t offset) SL_MUST_CHECK;
int64_t key_map_get(const struct key_map *map, struct sl_bytes key); /* -1: not in it */

#endif
