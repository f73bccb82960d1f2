/* config_arena.c: chunks in a list; nothing is freed before all is. */
#include "control/config_tree.h"

#include <string.h>

#define CHUNK_BYTES 8192

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
};
struct config_arena {
    struct chunk *chunks; /* newest first */
};

struct config_arena *config_arena_new(void)
{
    return sl_alloc_zero(1, sizeof(struct config_arena));
}

struct config_arena *config_arena_free(struct config_arena *arena)
{
    if (arena == NULL) {
        return NULL;
    }
    while (arena->chunks != NULL) {
        struct chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        sl_free(chunk);
    }
    sl_free(arena);
    return NULL;
}

static struct chunk *chunk_add(struct config_arena *arena, size_t size)
{
    size_t room = SL_MAX(size, (size_t)CHUNK_BYTES);
    struct chunk *chunk = sl_alloc_zero(1, sizeof(*chunk) + room);
    if (chunk != NULL) {
        chunk->size = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *config_arena_get(struct config_arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    SL_ASSERT(rounded >= size);
    struct chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < rounded) {
        chunk = chunk_add(arena, rounded);
    }
    if (chunk == NULL) {
        return NULL;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return memory;
}

char *config_arena_text(struct config_arena *arena, const void *text, size_t size)
{
    char *copy = config_arena_get(arena, size + 1);
    if (copy != NULL && size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}
