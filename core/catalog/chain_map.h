/* chain_map.h: an intrusive hash map with chains: the links live in the things that are mapped.
 *
 * The owner embeds a chain_link, hashes (base/hash.h) and compares keys itself, and allocates
 * nothing per element; only the bucket array grows, by doubling. Removal while walking is safe for
 * the element handed out. One thread. */
#ifndef SL_CATALOG_CHAIN_MAP_H
#define SL_CATALOG_CHAIN_MAP_H

#include "base/base.h"

struct chain_link {
    struct chain_link *next;
    uint64_t hash;
};

struct chain_map {
    struct chain_link **buckets; /* owned; a power of two of them */
    uint32_t bucket_count;
    uint32_t count;
};

typedef bool chain_match_fn(const struct chain_link *link, const void *key);

sl_err chain_map_init(struct chain_map *map) SL_MUST_CHECK; /* E_NO_MEMORY */
void chain_map_fini(struct chain_map *map);                 /* elements are the owner's */
/* Never fails: without memory to grow, chains get longer. */
void chain_map_put(struct chain_map *map, struct chain_link *link, uint64_t hash);
struct chain_link *chain_map_get(const struct chain_map *map, uint64_t hash, chain_match_fn *match,
                                 const void *key);                     /* or NULL */
void chain_map_remove(struct chain_map *map, struct chain_link *link); /* must be inside */
/* Visits buckets from `bucket` on until `count` elements or more were visited; returns the bucket
 * to go on with, UINT32_MAX at the end. Begin with 0. Between two calls the map may change: an
 * element that is there all the time is visited at least once, where the map grew perhaps twice. */
uint32_t chain_map_visit(const struct chain_map *map, uint32_t bucket, uint32_t count,
                         void (*visit)(void *arg, struct chain_link *link), void *arg);
void chain_map_each(const struct chain_map *map, void (*visit)(void *arg, struct chain_link *link),
                    void *arg);

#endif
