/* chain_map.c: buckets of singly linked chains, doubled when there are as many elements as buckets.
 */
#include "catalog/chain_map.h"

#define BUCKETS_FIRST 16u
#define BUCKETS_MAX   (1u << 24)

sl_err chain_map_init(struct chain_map *map)
{
    *map = (struct chain_map){0};
    map->buckets = sl_alloc_zero(BUCKETS_FIRST, sizeof *map->buckets);
    if (map->buckets == NULL)
        return SLUICE_E_NO_MEMORY;
    map->bucket_count = BUCKETS_FIRST;
    return SLUICE_OK;
}

void chain_map_fini(struct chain_map *map)
{
    sl_free(map->buckets);
    *map = (struct chain_map){0};
}

static struct chain_link **bucket(struct chain_link **buckets, uint32_t count, uint64_t hash)
{
    return &buckets[hash & (count - 1)];
}

static void grow(struct chain_map *map)
{
    uint32_t count = map->bucket_count * 2;
    struct chain_link **buckets = sl_alloc_zero(count, sizeof *buckets);
    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < map->bucket_count; i++) {
        for (struct chain_link *link = map->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            struct chain_link **head = bucket(buckets, count, link->hash);
            link->next = *head;
            *head = link;
        }
    }
    sl_free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
}

void chain_map_put(struct chain_map *map, struct chain_link *link, uint64_t hash)
{
    if (map->count >= map->bucket_count && map->bucket_count < BUCKETS_MAX)
        grow(map);
    struct chain_link **head = bucket(map->buckets, map->bucket_count, hash);
    link->hash = hash;
    link->next = *head;
    *head = link;
    map->count++;
}

struct chain_link *chain_map_get(const struct chain_map *map, uint64_t hash, chain_match_fn *match,
                                 const void *key)
{
    struct chain_link *link = *bucket(map->buckets, map->bucket_count, hash);
    while (link != NULL && (link->hash != hash || !match(link, key)))
        link = link->next;
    return link;
}

void chain_map_remove(struct chain_map *map, struct chain_link *link)
{
    struct chain_link **at = bucket(map->buckets, map->bucket_count, link->hash);
    while (*at != NULL && *at != link)
        at = &(*at)->next;
    SL_ASSERT(*at == link);
    *at = link->next;
    link->next = NULL;
    map->count--;
}

void chain_map_each(const struct chain_map *map, void (*visit)(void *arg, struct chain_link *link),
                    void *arg)
{
    for (uint32_t i = 0; i < map->bucket_count; i++) {
        for (struct chain_link *link = map->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            visit(arg, link);
        }
    }
}

/* Growth puts the elements of bucket i into i and i + the old count: nobody goes below the cursor.
 */
uint32_t chain_map_visit(const struct chain_map *map, uint32_t first, uint32_t count,
                         void (*visit)(void *arg, struct chain_link *link), void *arg)
{
    uint32_t visited = 0;
    for (; first < map->bucket_count && visited < count; first++) {
        for (struct chain_link *link = map->buckets[first]; link != NULL; link = link->next) {
            visit(arg, link);
            visited++;
        }
    }
    return first < map->bucket_count ? first : UINT32_MAX;
}
