/* lua_json: JSON to Lua values and back, without loss.
 *
 *   JSON                       Lua
 *   integer within 64 bits     integer
 *   other number               float, when the shortest text of the float has the same value; else
 * a `json.number`, which keeps the digits and computes as a float string                     string
 *   true, false, null          true, false, json.null
 *   array                      table marked as array ([] stays [])
 *   object                     table marked as object that remembers the order of its keys
 *
 * Both directions raise an error with the byte position on anything that is not valid JSON or
 * UTF-8, nested deeper than JSON_DEPTH_MAX, or that has a key twice. All functions may raise.
 * [process] */
#ifndef LUA_JSON_H
#define LUA_JSON_H

#include "json_scan.h"
#include "lua_heap.h"

#include <lua.h>

/* Makes the metatables and the global `json`. */
void lua_json_open(lua_State *L);

/* Pushes the value of a text that is one JSON value. */
void lua_json_decode(lua_State *L, const uint8_t *text, size_t size);

/* Appends the text of the value at index to a buffer of the instance. depth: containers around it.
 */
void lua_json_encode(lua_State *L, int index, struct lua_buffer *out, uint32_t depth);

/* Appends a string with quotes and escapes; raises when it is not UTF-8. */
void lua_json_encode_string(lua_State *L, const char *text, size_t size, struct lua_buffer *out);

/* Raises "json: WHAT at byte N". */
int lua_json_raise(lua_State *L, const struct json_fault *fault);

#endif
