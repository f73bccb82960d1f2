/* lua_json_types.h: what the decoder, the encoder and the metatables of JSON values share. All may
 * raise. */
#ifndef LUA_JSON_TYPES_H
#define LUA_JSON_TYPES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Objects keep the list of their keys in themselves, under the address of the first, which pairs
 * does not show. The address of the second is json.null. */
extern const char lua_json_order_key;
extern const char lua_json_null;

/* A number that neither an integer nor a float holds: its digits. */
struct lua_json_number {
    size_t size;
    char text[];
};

/* Makes the metatables of refs (lua_instance.h) and that of json.null. */
void lua_json_open_types(lua_State *L);

/* Sets, or compares, a metatable by its reference. */
void lua_json_mark(lua_State *L, int ref);
bool lua_json_has_metatable(lua_State *L, int index, int ref);

/* Pushes the list of an object's keys in order: first as decoded, then, by their bytes, those that
 * were added. object: an absolute index. (lua_json_keys.c) */
void lua_json_push_keys(lua_State *L, int object);

/* How many keys a table has. (lua_json_keys.c) */
lua_Integer lua_json_count_members(lua_State *L, int object);

#endif
