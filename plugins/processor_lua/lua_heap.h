/* lua_heap: the memory of one Lua instance, counted and capped; and a growing buffer inside it.
 *
 * The cap covers everything that a script can make grow: Lua objects and our own buffers. Past it
 * an allocation fails, which Lua turns into "not enough memory" after a full collection. [process]
 */
#ifndef LUA_HEAP_H
#define LUA_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lua_heap {
    size_t used;
    size_t limit;
};

/* A lua_Alloc; data is a struct lua_heap. */
void *lua_heap_alloc(void *data, void *memory, size_t old_size, size_t new_size);

/* Bytes that grow. Owned by the instance, never by a C frame: an error may jump over any frame. */
struct lua_buffer {
    struct lua_heap *heap;
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void lua_buffer_fini(struct lua_buffer *buffer);
/* Room for `size` more bytes; false: the cap is reached, nothing changed. */
bool lua_buffer_reserve(struct lua_buffer *buffer, size_t size);
bool lua_buffer_append(struct lua_buffer *buffer, const void *data, size_t size);

#endif
