/* answer_arena.c: see answer_arena.h. */
#include "deliver/answer_arena.h"

#define CHUNK_BYTES 4096u
#define ALIGNMENT   16u

struct answer_chunk {
    struct answer_chunk *next;
    size_t used, size;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

void answer_arena_fini(struct answer_arena *arena)
{
    while (arena->chunks != NULL) {
        struct answer_chunk *next = arena->chunks->next;
        sl_free(arena->chunks);
        arena->chunks = next;
    }
    arena->size = 0;
}

static struct answer_chunk *chunk_add(struct answer_arena *arena, size_t wanted)
{
    size_t size = SL_MAX(wanted, (size_t)CHUNK_BYTES);
    struct answer_chunk *chunk = sl_alloc_zero(1, sizeof *chunk + size);
    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *answer_arena_take(struct answer_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX / 2) / size)
        return NULL;
    size_t wanted = (count * size + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    struct answer_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < wanted)
        chunk = chunk_add(arena, wanted);
    if (chunk == NULL)
        return NULL;
    void *at = chunk->bytes + chunk->used;
    chunk->used += wanted;
    arena->size += wanted;
    return at;
}

sl_err answer_arena_text(struct answer_arena *arena, struct sl_bytes text,
                         struct sluice_text *ret_text)
{
    char *copy = text.data == NULL ? NULL : answer_arena_take(arena, text.size + 1, 1);
    if (text.data != NULL && copy == NULL)
        return SLUICE_E_NO_MEMORY;
    if (copy != NULL)
        sl_bytes_copy(copy, text);
    *ret_text = (struct sluice_text){copy, copy == NULL ? 0 : text.size};
    return SLUICE_OK;
}
