/* map.c: chains in a table of a power of two of buckets, at most 1 node a bucket on average.
 *
 * SipHash-1-3 as published by Aumasson and Bernstein (reference: "SipHash: a fast short-input
 * PRF"), the key being the seed twice, once mixed. */
#include "base/map.h"
#include "base/bytes.h"
#include "base/hash.h"

#define BUCKET_COUNT_MIN 16u

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0, s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2, s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static uint64_t key_hash(uint64_t seed, struct sl_bytes key)
{
    uint64_t k0 = seed, k1 = sl_hash64_mix(seed + 1);
    struct sip s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                    k1 ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= key.size; i += 8)
        sip_word(&s, sl_le64_load(key.data + i));
    uint64_t last = (uint64_t)key.size << 56;
    for (unsigned shift = 0; i < key.size; i++, shift += 8)
        last |= (uint64_t)key.data[i] << shift;
    sip_word(&s, last);
    s.v2 ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static uint64_t number_hash(uint64_t seed, uint64_t key)
{
    return sl_hash64_mix(key ^ seed);
}

static size_t bucket_of(const struct sl_map *map, uint64_t hash)
{
    return (size_t)hash & (map->bucket_count - 1);
}

void sl_map_init(struct sl_map *map, size_t count_max, uint64_t seed)
{
    *map = (struct sl_map){.count_max = count_max, .seed = seed};
}

void sl_map_fini(struct sl_map *map)
{
    sl_free(map->buckets);
    sl_map_init(map, map->count_max, map->seed);
}

static void rehash(struct sl_map *map, struct sl_map_node **buckets, size_t bucket_count)
{
    struct sl_map_node **old = map->buckets;
    size_t old_count = map->bucket_count;
    map->buckets = buckets;
    map->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct sl_map_node *node = old[i], *next; node; node = next) {
            next = node->next;
            struct sl_map_node **head = &buckets[bucket_of(map, node->hash)];
            node->next = *head;
            *head = node;
        }
    }
    sl_free(old);
}

/* Doubles the table when it is full. Without memory for that, longer chains are accepted. */
static sl_err make_room(struct sl_map *map)
{
    if (map->count >= map->count_max)
        return SLUICE_E_LIMIT;
    if (map->count < map->bucket_count)
        return SLUICE_OK;
    size_t wanted = map->bucket_count > 0 ? map->bucket_count * 2 : BUCKET_COUNT_MIN;
    struct sl_map_node **buckets = sl_alloc_zero(wanted, sizeof(struct sl_map_node *));
    if (buckets)
        rehash(map, buckets, wanted);
    return map->buckets ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

static void link_node(struct sl_map *map, struct sl_map_node *node, uint64_t hash)
{
    struct sl_map_node **head = &map->buckets[bucket_of(map, hash)];
    node->hash = hash;
    node->next = *head;
    *head = node;
    map->count++;
}

/* key NULL: a number, whose hash decides alone. */
static struct sl_map_node *find(const struct sl_map *map, uint64_t hash, const struct sl_bytes *key)
{
    if (!map->buckets)
        return NULL;
    for (struct sl_map_node *node = map->buckets[bucket_of(map, hash)]; node; node = node->next) {
        if (node->hash == hash && (!key || sl_bytes_equal(node->key, *key)))
            return node;
    }
    return NULL;
}

sl_err sl_map_insert(struct sl_map *map, struct sl_map_node *node, struct sl_bytes key)
{
    uint64_t hash = key_hash(map->seed, key);
    if (find(map, hash, &key))
        return SLUICE_E_EXISTS;
    sl_err err = make_room(map);
    if (err)
        return err;
    node->key = key;
    link_node(map, node, hash);
    return SLUICE_OK;
}

sl_err sl_map_insert_u64(struct sl_map *map, struct sl_map_node *node, uint64_t key)
{
    uint64_t hash = number_hash(map->seed, key);
    if (find(map, hash, NULL))
        return SLUICE_E_EXISTS;
    sl_err err = make_room(map);
    if (err)
        return err;
    node->key = (struct sl_bytes){0};
    link_node(map, node, hash);
    return SLUICE_OK;
}

struct sl_map_node *sl_map_find(const struct sl_map *map, struct sl_bytes key)
{
    return find(map, key_hash(map->seed, key), &key);
}

struct sl_map_node *sl_map_find_u64(const struct sl_map *map, uint64_t key)
{
    return find(map, number_hash(map->seed, key), NULL);
}

void sl_map_remove(struct sl_map *map, struct sl_map_node *node)
{
    SL_ASSERT(map->count > 0);
    struct sl_map_node **at = &map->buckets[bucket_of(map, node->hash)];
    while (*at != node) {
        SL_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    map->count--;
}

struct sl_map_node *sl_map_next(const struct sl_map *map, const struct sl_map_node *node)
{
    if (node && node->next)
        return node->next;
    for (size_t i = node ? bucket_of(map, node->hash) + 1 : 0; i < map->bucket_count; i++) {
        if (map->buckets[i])
            return map->buckets[i];
    }
    return NULL;
}

/* Growth puts the nodes of bucket i into i and i + the old count: nobody goes below the cursor. */
size_t sl_map_visit(const struct sl_map *map, size_t bucket, size_t count,
                    void (*visit)(void *arg, struct sl_map_node *node), void *arg)
{
    size_t visited = 0;
    for (; bucket < map->bucket_count && visited < count; bucket++) {
        for (struct sl_map_node *node = map->buckets[bucket]; node; node = node->next) {
            visit(arg, node);
            visited++;
        }
    }
    return bucket < map->bucket_count ? bucket : SIZE_MAX;
}
