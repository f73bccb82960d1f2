/* lua_heap: see the header. */
#include "lua_heap.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 1024u

void *lua_heap_alloc(void *data, void *memory, size_t old_size, size_t new_size)
{
    struct lua_heap *heap = data;
    size_t old = memory != NULL ? old_size : 0; /* Lua passes a type tag for new objects */
    if (new_size == 0) {
        free(memory);
        heap->used -= old;
        return NULL;
    }
    if (new_size > old && (heap->used > heap->limit || new_size - old > heap->limit - heap->used)) {
        return NULL;
    }
    void *moved = realloc(memory, new_size);
    if (moved == NULL) {
        return NULL;
    }
    heap->used += new_size - old;
    return moved;
}

void lua_buffer_fini(struct lua_buffer *buffer)
{
    if (buffer->data != NULL) {
        lua_heap_alloc(buffer->heap, buffer->data, buffer->capacity, 0);
    }
    buffer->data = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
}

bool lua_buffer_reserve(struct lua_buffer *buffer, size_t size)
{
    if (size <= buffer->capacity - buffer->size) {
        return true;
    }
    if (size > SIZE_MAX / 2 - buffer->size) {
        return false;
    }
    size_t wanted = buffer->size + size;
    size_t capacity = buffer->capacity * 2 > wanted ? buffer->capacity * 2 : wanted;
    capacity = capacity < BUFFER_FIRST_BYTES ? BUFFER_FIRST_BYTES : capacity;
    void *moved = lua_heap_alloc(buffer->heap, buffer->data, buffer->capacity, capacity);
    if (moved == NULL && capacity > wanted) {
        capacity = wanted;
        moved = lua_heap_alloc(buffer->heap, buffer->data, buffer->capacity, capacity);
    }
    if (moved == NULL) {
        return false;
    }
    buffer->data = moved;
    buffer->capacity = capacity;
    return true;
}

bool lua_buffer_append(struct lua_buffer *buffer, const void *data, size_t size)
{
    if (!lua_buffer_reserve(buffer, size)) {
        return false;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
    }
    return true;
}
