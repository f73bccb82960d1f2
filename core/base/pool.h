/* pool.h: bounded pool of objects of one size; freed objects are kept for reuse. One thread.
 *
 * Memory comes in blocks of about 16 KiB and goes back at fini only. */
#ifndef SL_BASE_POOL_H
#define SL_BASE_POOL_H

#include "base/base.h"

struct sl_pool {
    void *free_objects; /* list through the first word of each */
    void *blocks;       /* list through the first word of each; owned */
    size_t object_size; /* rounded up to 16 */
    size_t count;       /* objects taken */
    size_t created;     /* objects in all blocks */
    size_t count_max;   /* bound, for ever */
};

/* object_size: bytes, 1 to 1 MiB. Nothing is allocated yet. */
void sl_pool_init(struct sl_pool *pool, size_t object_size, size_t count_max);
/* Every object was given back: asserted. Zeroed memory is fine. */
void sl_pool_fini(struct sl_pool *pool);
/* An object, its content undefined, aligned to 16; NULL at the bound or without memory. */
void *sl_pool_take(struct sl_pool *pool) SL_MUST_CHECK;
void sl_pool_give(struct sl_pool *pool, void *object); /* NULL is fine */

#endif
