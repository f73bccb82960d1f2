/* chunk.h: counted memory for what comes from and goes to sockets.
 *
 * A chunk is read into by a connection and kept alive by whatever still points into it: a produce
 * request until its batch is durable, an answer until it is sent. A cache keeps freed chunks by
 * size class, since fresh pages cost more than the copy they save. All of a cache's chunks belong
 * to one loop. Its budget counts the bytes of all chunks in use; it never refuses (a request that
 * has begun must end), it tells: `is_scarce` and `is_over` decide who is read (intake/conn.h),
 * `answer_bytes` how much is fetched (shard/fetch.h). Cached chunks and those in use are within the
 * budget together, as long as those in use are.
 *
 * A chunk is used by one loop at a time. It may be handed to another loop; when its last reference
 * goes there, it travels home by a task. [loop] */
#ifndef SL_BUDGET_CHUNK_H
#define SL_BUDGET_CHUNK_H

#include "os/os.h"

#define CHUNK_BYTES_MIN        1024u
#define CHUNK_CLASS_COUNT      18u /* 1 KiB, 2 KiB, … 128 MiB */
#define CHUNK_CACHED_PERCENT   25u /* of the budget may lie cached */
#define CHUNK_HELD_PERCENT     25u /* of the budget may be held */
#define CHUNK_ANSWER_BYTES_MIN (64u << 10)

struct chunk {
    struct chunk_cache *cache;
    struct chunk *next; /* cached */
    uint32_t refs;
    uint32_t class_index;
    size_t size;
    struct sl_task home; /* carries it back to the cache's loop */
    uint8_t data[];
};

struct chunk_cache {
    struct sl_loop *loop;
    struct chunk *cached[CHUNK_CLASS_COUNT];
    uint64_t cached_bytes;
    uint64_t held_bytes;         /* of used_bytes, by chunk_cache_hold */
    _Atomic uint64_t used_bytes; /* written on the loop, read anywhere */
    uint64_t budget_bytes;
    struct sl_task relief; /* posted when the use falls below the budget again */
    void (*relieved)(void *arg);
    void *relieved_arg;
};

void chunk_cache_init(struct chunk_cache *cache, struct sl_loop *loop, uint64_t budget_bytes);
void chunk_cache_fini(struct chunk_cache *cache); /* all chunks are given back before */
/* Calls `relieved` by a task, each time the use falls from above the budget to within it. */
void chunk_cache_on_relief(struct chunk_cache *cache, void (*relieved)(void *arg), void *arg);
/* Has `relieved` called by a task now. */
void chunk_cache_relieve(struct chunk_cache *cache);
/* [any] */
bool chunk_cache_is_over(const struct chunk_cache *cache);
/* More than half of the budget is used: the rest is for those who have taken nothing yet. */
bool chunk_cache_is_scarce(const struct chunk_cache *cache);
/* What one answer may take: a quarter of what is left of the first half of the budget, so that
 * requests always find memory; CHUNK_ANSWER_BYTES_MIN in any case, so that readers go on. */
uint64_t chunk_cache_answer_bytes(const struct chunk_cache *cache);

/* Counts memory that is not a chunk's and stays for long; lets go of it. What is held so is at most
 * CHUNK_HELD_PERCENT of the budget: E_BUSY. */
sl_err chunk_cache_hold(struct chunk_cache *cache, uint64_t size) SL_MUST_CHECK;
void chunk_cache_let_go(struct chunk_cache *cache, uint64_t size);

/* At least `size` bytes, one reference. E_NO_MEMORY, E_LIMIT above the largest class. */
sl_err chunk_new(struct chunk_cache *cache, size_t size, struct chunk **ret_chunk) SL_MUST_CHECK;
struct chunk *chunk_ref(struct chunk *chunk);
void chunk_free(struct chunk *chunk); /* for chunk_unref: nobody has it any more */
/* NULL is fine; returns NULL. */
static inline struct chunk *chunk_unref(struct chunk *chunk)
{
    if (chunk != NULL) {
        SL_ASSERT(chunk->refs > 0);
        if (--chunk->refs == 0) {
            chunk_free(chunk);
        }
    }
    return NULL;
}

#endif
