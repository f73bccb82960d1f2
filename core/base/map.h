/* map.h: bounded hash map of intrusive nodes, keyed by bytes or by a 64-bit number.
 *
 * A node lives in the object that is mapped, so that an insert allocates nothing (but for the table
 * of buckets, which doubles as the map grows and never shrinks). A map uses one kind of key. Keys
 * of bytes are hashed by SipHash-1-3 under the map's seed, because clients choose names; a number
 * is mixed by a bijection, so that equal hashes are equal keys. Not shared between threads. [any]
 */
#ifndef SL_BASE_MAP_H
#define SL_BASE_MAP_H

#include "base/base.h"

struct sl_map_node {
    struct sl_map_node *next; /* map's */
    uint64_t hash;            /* map's */
    struct sl_bytes key;      /* map's; borrows the key's bytes from the object, which keeps them */
};

struct sl_map {
    struct sl_map_node **buckets; /* owned; NULL until the first insert */
    size_t bucket_count;          /* a power of two, or 0 */
    size_t count;                 /* nodes in the map */
    size_t count_max;             /* bound, for ever */
    uint64_t seed;
};

/* Empty. seed: from sl_os_random where clients choose the keys, else 0. */
void sl_map_init(struct sl_map *map, size_t count_max, uint64_t seed);
/* Frees the buckets; the nodes are the caller's. The map is then empty, with the same bound. */
void sl_map_fini(struct sl_map *map);

/* [borrows node and the bytes of key until removed] E_EXISTS, E_LIMIT, E_NO_MEMORY (first insert).
 */
sl_err sl_map_insert(struct sl_map *map, struct sl_map_node *node,
                     struct sl_bytes key) SL_MUST_CHECK;
sl_err sl_map_insert_u64(struct sl_map *map, struct sl_map_node *node, uint64_t key) SL_MUST_CHECK;
/* The node, or NULL. */
struct sl_map_node *sl_map_find(const struct sl_map *map, struct sl_bytes key);
struct sl_map_node *sl_map_find_u64(const struct sl_map *map, uint64_t key);
/* The node must be in the map. */
void sl_map_remove(struct sl_map *map, struct sl_map_node *node);

/* Any first node with node NULL, else the one after it; NULL at the end. The order is that of the
 * buckets. A node may be removed once its successor is known; an insert ends the walk's validity.
 */
struct sl_map_node *sl_map_next(const struct sl_map *map, const struct sl_map_node *node);

/* Visits buckets from `bucket` on until `count` nodes or more were visited; returns the bucket to
 * go on with, SIZE_MAX at the end. Begin with 0. Between two calls the map may change: a node that
 * is there all the time is visited at least once, where the map grew perhaps twice. */
size_t sl_map_visit(const struct sl_map *map, size_t bucket, size_t count,
                    void (*visit)(void *arg, struct sl_map_node *node), void *arg);

/* Walks the map; the body may remove and free `node`. */
#define SL_MAP_EACH(map, node)                                                     \
    for (struct sl_map_node *node = sl_map_next((map), NULL),                      \
                            *node##_next = node ? sl_map_next((map), node) : NULL; \
         node; node = node##_next, node##_next = node ? sl_map_next((map), node) : NULL)

#endif
