/* pool.c: see pool.h. */
#include "base/pool.h"

#define ALIGNMENT   16u
#define BLOCK_BYTES 16384u

void sl_pool_init(struct sl_pool *pool, size_t object_size, size_t count_max)
{
    SL_ASSERT(object_size > 0 && object_size <= 1u << 20);
    *pool = (struct sl_pool){.object_size = (object_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT,
                             .count_max = count_max};
}

void sl_pool_fini(struct sl_pool *pool)
{
    SL_ASSERT(pool->count == 0);
    for (void *block = pool->blocks; block;) {
        void *next = *(void **)block;
        sl_free(block);
        block = next;
    }
    *pool = (struct sl_pool){.object_size = pool->object_size, .count_max = pool->count_max};
}

static void put_free(struct sl_pool *pool, void *object)
{
    *(void **)object = pool->free_objects;
    pool->free_objects = object;
}

static bool add_block(struct sl_pool *pool)
{
    size_t count = SL_MAX(BLOCK_BYTES / pool->object_size, 1u);
    count = SL_MIN(count, pool->count_max - pool->created);
    char *block = count > 0 ? sl_alloc(ALIGNMENT + count * pool->object_size) : NULL;
    if (!block)
        return false;
    *(void **)(void *)block = pool->blocks;
    pool->blocks = block;
    for (size_t i = count; i-- > 0;)
        put_free(pool, block + ALIGNMENT + i * pool->object_size);
    pool->created += count;
    return true;
}

void *sl_pool_take(struct sl_pool *pool)
{
    if (!pool->free_objects && !add_block(pool))
        return NULL;
    void *object = pool->free_objects;
    pool->free_objects = *(void **)object;
    pool->count++;
    return object;
}

void sl_pool_give(struct sl_pool *pool, void *object)
{
    if (!object)
        return;
    SL_ASSERT(pool->count > 0);
    pool->count--;
    put_free(pool, object);
}
