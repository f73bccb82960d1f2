/* chunk.c: see chunk.h. */
#include "budget/chunk.h"

#include "base/ahead.h"

#include <stdatomic.h>

void chunk_cache_init(struct chunk_cache *cache, struct sl_loop *loop, uint64_t budget_bytes)
{
    *cache = (struct chunk_cache){.loop = loop, .budget_bytes = budget_bytes};
}

/* Only the loop writes it. */
static void set_used(struct chunk_cache *cache, uint64_t bytes)
{
    atomic_store_explicit(&cache->used_bytes, bytes, memory_order_relaxed);
}

static uint64_t used(const struct chunk_cache *cache)
{
    return atomic_load_explicit(&cache->used_bytes, memory_order_relaxed);
}

/* Frees cached chunks, the largest first, until no more than so many bytes are cached. */
static void trim(struct chunk_cache *cache, uint64_t cached_bytes_max)
{
    for (uint32_t i = CHUNK_CLASS_COUNT; i-- > 0;) {
        while (cache->cached[i] != NULL && cache->cached_bytes > cached_bytes_max) {
            struct chunk *chunk = cache->cached[i];
            cache->cached[i] = chunk->next;
            cache->cached_bytes -= chunk->size;
            sl_free(chunk);
        }
    }
}

/* What may lie cached beside `used_bytes`. */
static uint64_t cached_bytes_max(const struct chunk_cache *cache, uint64_t used_bytes)
{
    uint64_t unused = cache->budget_bytes - SL_MIN(cache->budget_bytes, used_bytes);
    return SL_MIN(unused, cache->budget_bytes / 100 * CHUNK_CACHED_PERCENT);
}

void chunk_cache_fini(struct chunk_cache *cache)
{
    SL_ASSERT(used(cache) == 0);
    trim(cache, 0);
}

bool chunk_cache_is_over(const struct chunk_cache *cache)
{
    return used(cache) > cache->budget_bytes;
}

bool chunk_cache_is_scarce(const struct chunk_cache *cache)
{
    return used(cache) > cache->budget_bytes / 2;
}

uint64_t chunk_cache_answer_bytes(const struct chunk_cache *cache)
{
    uint64_t half = cache->budget_bytes / 2;
    uint64_t left = chunk_cache_is_scarce(cache) ? 0 : half - used(cache);
    return SL_MAX(left / 4, (uint64_t)CHUNK_ANSWER_BYTES_MIN);
}

static size_t class_size(uint32_t class_index)
{
    return (size_t)CHUNK_BYTES_MIN << class_index;
}

static uint32_t class_of(size_t size)
{
    uint32_t class_index = 0;
    while (class_index < CHUNK_CLASS_COUNT && class_size(class_index) < size) {
        class_index++;
    }
    return class_index;
}

sl_err chunk_new(struct chunk_cache *cache, size_t size, struct chunk **ret_chunk)
{
    uint32_t class_index = class_of(size);
    if (class_index == CHUNK_CLASS_COUNT) {
        return SLUICE_E_LIMIT;
    }
    struct chunk *chunk = cache->cached[class_index];
    if (chunk != NULL) {
        cache->cached[class_index] = chunk->next;
        cache->cached_bytes -= chunk->size;
        sl_fetch_ahead(chunk->next, sizeof(*chunk)); /* for the next one to ask */
    } else {
        trim(cache, cached_bytes_max(cache, used(cache) + class_size(class_index)));
        chunk = sl_alloc(sizeof(*chunk) + class_size(class_index));
        if (chunk == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        chunk->cache = cache;
        chunk->class_index = class_index;
        chunk->size = class_size(class_index);
    }
    chunk->refs = 1;
    chunk->next = NULL;
    set_used(cache, used(cache) + chunk->size);
    *ret_chunk = chunk;
    return SLUICE_OK;
}

struct chunk *chunk_ref(struct chunk *chunk)
{
    SL_ASSERT(chunk->refs > 0);
    chunk->refs++;
    return chunk;
}

static void relief_run(struct sl_task *task)
{
    struct chunk_cache *cache = SL_CONTAINER_OF(task, struct chunk_cache, relief);
    cache->relieved(cache->relieved_arg);
}

void chunk_cache_on_relief(struct chunk_cache *cache, void (*relieved)(void *arg), void *arg)
{
    cache->relieved = relieved;
    cache->relieved_arg = arg;
}

void chunk_cache_relieve(struct chunk_cache *cache)
{
    if (cache->relieved != NULL && !cache->relief.queued) {
        cache->relief.run = relief_run;
        cache->relief.priority = SL_PRIORITY_IO;
        sl_loop_post(cache->loop, &cache->relief);
    }
}

/* So many bytes are not in use any more. */
static void give_back(struct chunk_cache *cache, uint64_t size)
{
    bool was_over = chunk_cache_is_over(cache);
    set_used(cache, used(cache) - size);
    if (was_over && !chunk_cache_is_over(cache)) {
        chunk_cache_relieve(cache);
    }
}

sl_err chunk_cache_hold(struct chunk_cache *cache, uint64_t size)
{
    if (cache->held_bytes + size > cache->budget_bytes / 100 * CHUNK_HELD_PERCENT) {
        return SLUICE_E_BUSY;
    }
    trim(cache, cached_bytes_max(cache, used(cache) + size));
    cache->held_bytes += size;
    set_used(cache, used(cache) + size);
    return SLUICE_OK;
}

void chunk_cache_let_go(struct chunk_cache *cache, uint64_t size)
{
    SL_ASSERT(cache->held_bytes >= size);
    cache->held_bytes -= size;
    give_back(cache, size);
}

static void chunk_release(struct chunk *chunk)
{
    struct chunk_cache *cache = chunk->cache;
    give_back(cache, chunk->size);
    if (cache->cached_bytes + chunk->size > cached_bytes_max(cache, used(cache))) {
        sl_free(chunk);
        return;
    }
    cache->cached_bytes += chunk->size;
    chunk->next = cache->cached[chunk->class_index];
    cache->cached[chunk->class_index] = chunk;
}

static void arrive_home(struct sl_task *task)
{
    chunk_release(SL_CONTAINER_OF(task, struct chunk, home));
}

void chunk_free(struct chunk *chunk)
{
    if (sl_loop_is_current(chunk->cache->loop)) {
        chunk_release(chunk);
        return;
    }
    chunk->home = (struct sl_task){.run = arrive_home, .priority = SL_PRIORITY_IO};
    sl_loop_post(chunk->cache->loop, &chunk->home);
}
