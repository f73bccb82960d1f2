/* producer_table.c: where the producers of a shard lie, and which is which: entries in chunks, and
 * chains of them by partition and id. */
#include "admit/producer_entry.h"
#include "base/hash.h"

#define CHUNK_ENTRIES 1024u
#define BUCKETS_FIRST 16u
#define BUCKETS_MAX   (1u << 24)

struct producer_entry *producer_entry_at(const struct producer_shard *shard, uint32_t number)
{
    return number == 0 ? NULL : &shard->chunks[number / CHUNK_ENTRIES][number % CHUNK_ENTRIES];
}

sl_err producer_table_init(struct producer_shard *shard)
{
    size_t chunks = (size_t)shard->limits.shard_max / CHUNK_ENTRIES + 1; /* number 0 is left out */
    shard->chunks = sl_alloc_zero(chunks, sizeof *shard->chunks);
    shard->buckets = sl_alloc_zero(BUCKETS_FIRST, sizeof *shard->buckets);
    shard->bucket_count = BUCKETS_FIRST;
    if (shard->chunks != NULL && shard->buckets != NULL)
        return SLUICE_OK;
    producer_table_fini(shard);
    return SLUICE_E_NO_MEMORY;
}

void producer_table_fini(struct producer_shard *shard)
{
    for (uint32_t i = 0; i < shard->chunk_count; i++)
        sl_free(shard->chunks[i]);
    sl_free(shard->chunks);
    sl_free(shard->buckets);
    sl_free(shard->spare);
}

static uint32_t *bucket_of(const struct producers *owner, int64_t id, uint32_t *buckets,
                           uint32_t count)
{
    uint64_t hash = sl_hash64_mix((uint64_t)(uintptr_t)owner ^ sl_hash64_mix((uint64_t)id));
    return &buckets[hash & (count - 1)];
}

/* Without memory chains get longer. */
static void buckets_grow(struct producer_shard *shard)
{
    uint32_t count = shard->bucket_count * 2;
    uint32_t *buckets = sl_alloc_zero(count, sizeof *buckets);
    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < shard->bucket_count; i++) {
        for (uint32_t number = shard->buckets[i]; number != 0;) {
            struct producer_entry *entry = producer_entry_at(shard, number);
            uint32_t *head = bucket_of(entry->owner, entry->id, buckets, count);
            number = entry->bucket_next;
            entry->bucket_next = *head;
            *head = entry->number;
        }
    }
    sl_free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

/* The next that was never used, in a further chunk if need be. 0: no memory. */
static uint32_t number_new(struct producer_shard *shard)
{
    uint32_t number = shard->numbers_used + 1;
    if (number / CHUNK_ENTRIES == shard->chunk_count) {
        struct producer_entry *chunk = sl_alloc(CHUNK_ENTRIES * sizeof *chunk);
        if (chunk == NULL)
            return 0;
        shard->chunks[shard->chunk_count++] = chunk;
    }
    shard->numbers_used = number;
    return number;
}

sl_err producer_table_put(struct producers *owner, int64_t id, struct producer_entry **ret_entry)
{
    struct producer_shard *shard = owner->shard;
    uint32_t number = shard->free_first;
    if (number != 0)
        shard->free_first = producer_entry_at(shard, number)->bucket_next;
    else
        number = number_new(shard);
    if (number == 0)
        return SLUICE_E_NO_MEMORY;
    if (shard->count >= shard->bucket_count && shard->bucket_count < BUCKETS_MAX)
        buckets_grow(shard);
    struct producer_entry *entry = producer_entry_at(shard, number);
    uint32_t *head = bucket_of(owner, id, shard->buckets, shard->bucket_count);
    *entry =
        (struct producer_entry){.owner = owner, .id = id, .number = number, .bucket_next = *head};
    *head = number;
    shard->count++;
    *ret_entry = entry;
    return SLUICE_OK;
}

void producer_table_remove(struct producer_entry *entry)
{
    struct producer_shard *shard = entry->owner->shard;
    uint32_t *at = bucket_of(entry->owner, entry->id, shard->buckets, shard->bucket_count);
    while (*at != 0 && *at != entry->number)
        at = &producer_entry_at(shard, *at)->bucket_next;
    SL_ASSERT(*at == entry->number);
    *at = entry->bucket_next;
    entry->owner = NULL;
    entry->bucket_next = shard->free_first;
    shard->free_first = entry->number;
    shard->count--;
}

struct producer_entry *producer_entry_get(const struct producers *producers, int64_t id)
{
    const struct producer_shard *shard = producers->shard;
    uint32_t number = *bucket_of(producers, id, shard->buckets, shard->bucket_count);
    struct producer_entry *entry = producer_entry_at(shard, number);
    while (entry != NULL && (entry->id != id || entry->owner != producers))
        entry = producer_entry_at(shard, entry->bucket_next);
    return entry;
}
