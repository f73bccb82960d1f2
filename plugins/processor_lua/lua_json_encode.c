/* lua_json_encode: Lua values to JSON text; see lua_json.h. */
#include "json_number.h"
#include "lua_instance.h"
#include "lua_json.h"
#include "lua_json_types.h"

#include <lauxlib.h>
#include <string.h>

static void put(lua_State *L, struct lua_buffer *out, const void *data, size_t size)
{
    if (!lua_buffer_append(out, data, size)) {
        luaL_error(L, "not enough memory");
    }
}

/* The escape of a byte, or its size 0 when it stands for itself. */
static size_t escape_of(uint8_t c, char *to)
{
    static const char hex[] = "0123456789abcdef";
    static const char special[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(special, c) : NULL;
    to[0] = '\\';
    if (found != NULL) {
        to[1] = letters[found - special];
        return 2;
    }
    if (c >= 0x20) {
        return 0;
    }
    memcpy(to + 1, "u00", 3);
    to[4] = hex[c >> 4];
    to[5] = hex[c & 15];
    return 6;
}

void lua_json_encode_string(lua_State *L, const char *text, size_t size, struct lua_buffer *out)
{
    size_t good = json_utf8_check((const uint8_t *)text, size);
    if (good != size) {
        luaL_error(L, "json: a string is not UTF-8 at its byte %I", (LUAI_UACINT)good);
    }
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size;
    const uint8_t *from = at;
    put(L, out, "\"", 1);
    while ((at = json_skip_plain(at, end)) < end) {
        char escape[6];
        size_t escape_size = escape_of(*at, escape);
        if (escape_size > 0) {
            put(L, out, from, (size_t)(at - from));
            put(L, out, escape, escape_size);
            from = at + 1;
        }
        at++;
    }
    put(L, out, from, (size_t)(end - from));
    put(L, out, "\"", 1);
}

static void encode_number(lua_State *L, int index, struct lua_buffer *out)
{
    char text[JSON_NUMBER_BYTES_MAX];
    size_t size = lua_isinteger(L, index) ? json_integer_print(lua_tointeger(L, index), text)
                                          : json_real_print(lua_tonumber(L, index), text);
    if (size == 0) {
        luaL_error(L, "json: a number that is not finite");
    }
    put(L, out, text, size);
}

static void encode_userdata(lua_State *L, int index, struct lua_buffer *out)
{
    if (!lua_json_has_metatable(L, index, lua_instance_of(L)->refs.number_meta)) {
        luaL_error(L, "json: cannot encode a %s", luaL_typename(L, index));
    }
    const struct lua_json_number *number = lua_touserdata(L, index);
    put(L, out, number->text, number->size);
}

static void encode_array(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    if (lua_json_count_members(L, index) > count) {
        luaL_error(L, "json: an array with other keys than 1 to %I", (LUAI_UACINT)count);
    }
    put(L, out, "[", 1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            put(L, out, ",", 1);
        }
        if (lua_rawgeti(L, index, i) == LUA_TNIL) {
            luaL_error(L, "json: an array with nothing at %I (use json.null)", (LUAI_UACINT)i);
        }
        lua_json_encode(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    put(L, out, "]", 1);
}

static void encode_object(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    lua_json_push_keys(L, index);
    int keys = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, keys);
    put(L, out, "{", 1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            put(L, out, ",", 1);
        }
        lua_rawgeti(L, keys, i);
        size_t size;
        const char *key = lua_tolstring(L, -1, &size);
        lua_json_encode_string(L, key, size, out);
        put(L, out, ":", 1);
        lua_rawget(L, index);
        lua_json_encode(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    put(L, out, "}", 1);
    lua_pop(L, 1);
}

/* A plain table is an array when it has elements from 1 on and nothing else; {} is an object. */
static bool is_plain_array(lua_State *L, int index)
{
    lua_Integer length = (lua_Integer)lua_rawlen(L, index);
    return length > 0 && lua_json_count_members(L, index) == length;
}

static void encode_table(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    const struct lua_refs *refs = &lua_instance_of(L)->refs;
    if (depth >= JSON_DEPTH_MAX) {
        luaL_error(L, "json: nested too deeply, or a table within itself");
    }
    luaL_checkstack(L, 16, "json");
    if (lua_json_has_metatable(L, index, refs->array_meta)) {
        encode_array(L, index, out, depth);
    } else if (lua_json_has_metatable(L, index, refs->object_meta) || !is_plain_array(L, index)) {
        encode_object(L, index, out, depth);
    } else {
        encode_array(L, index, out, depth);
    }
}

void lua_json_encode(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    int at = lua_absindex(L, index);
    size_t size;
    const char *text;
    switch (lua_type(L, at)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, at, &size);
        lua_json_encode_string(L, text, size, out);
        return;
    case LUA_TNUMBER:
        encode_number(L, at, out);
        return;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, at) ? "true" : "false";
        put(L, out, text, strlen(text));
        return;
    case LUA_TTABLE:
        encode_table(L, at, out, depth);
        return;
    case LUA_TUSERDATA:
        encode_userdata(L, at, out);
        return;
    case LUA_TLIGHTUSERDATA:
        put(L, out, "null", 4);
        return;
    default:
        luaL_error(L, "json: cannot encode a %s", luaL_typename(L, at));
    }
}
