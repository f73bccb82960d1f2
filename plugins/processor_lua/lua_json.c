/* lua_json: decoding and the library `json`; see the header. */
#include "lua_json.h"

#include "json_number.h"
#include "lua_instance.h"
#include "lua_json_types.h"
#include "lua_sandbox.h"

#include <lauxlib.h>
#include <string.h>

int lua_json_raise(lua_State *L, const struct json_fault *fault)
{
    return luaL_error(L, "json: %s at byte %I", fault->what, (LUAI_UACINT)fault->at);
}

/* ---- decode ---- */

static int raise_cursor(lua_State *L, const struct json_cursor *cursor)
{
    return lua_json_raise(L, &cursor->fault);
}

static void push_string(lua_State *L, struct json_cursor *cursor, const struct json_token *token)
{
    if (!token->escaped) {
        lua_pushlstring(L, (const char *)token->data, token->size);
        return;
    }
    struct lua_buffer *scratch = &lua_instance_of(L)->scratch;
    size_t size;
    size_t at;
    scratch->size = 0;
    if (!lua_buffer_reserve(scratch, token->size)) {
        luaL_error(L, "not enough memory");
    }
    if (!json_unescape(token, scratch->data, &size, &at)) {
        json_fail(cursor, token->data + at, "half a surrogate pair");
        raise_cursor(L, cursor);
    }
    lua_pushlstring(L, (const char *)scratch->data, size);
}

static void push_number(lua_State *L, const struct json_token *token)
{
    int64_t integer;
    double real;
    switch (json_number_parse(token, &integer, &real)) {
    case JSON_NUMBER_INTEGER:
        lua_pushinteger(L, integer);
        return;
    case JSON_NUMBER_REAL:
        lua_pushnumber(L, real);
        return;
    default:
        break;
    }
    struct lua_json_number *number = lua_newuserdatauv(L, sizeof(*number) + token->size, 0);
    number->size = token->size;
    memcpy(number->text, token->data, token->size);
    lua_json_mark(L, lua_instance_of(L)->refs.number_meta);
}

static void push_value(lua_State *L, struct json_cursor *cursor, uint32_t depth);

/* Takes the opening bracket; true when the container is not empty. */
static bool open_container(lua_State *L, struct json_cursor *cursor, uint8_t close, uint32_t depth)
{
    bool empty;
    luaL_checkstack(L, 8, "json");
    if (!json_take_open(cursor, close, depth, &empty)) {
        raise_cursor(L, cursor);
    }
    return !empty;
}

/* Behind a child: true at a comma, false at the closing bracket. */
static bool more_follows(lua_State *L, struct json_cursor *cursor, uint8_t close)
{
    bool last;
    if (!json_take_separator(cursor, close, &last)) {
        raise_cursor(L, cursor);
    }
    return !last;
}

static void push_array(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    lua_newtable(L);
    lua_json_mark(L, lua_instance_of(L)->refs.array_meta);
    if (!open_container(L, cursor, ']', depth)) {
        return;
    }
    lua_Integer count = 0;
    do {
        push_value(L, cursor, depth + 1);
        lua_rawseti(L, -2, ++count);
    } while (more_follows(L, cursor, ']'));
}

/* Takes a key and its colon, pushes it; it must be new to the object. */
static void push_key(lua_State *L, struct json_cursor *cursor, int object)
{
    struct json_token token;
    if (!json_take_key(cursor, &token)) {
        raise_cursor(L, cursor);
    }
    push_string(L, cursor, &token);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, object) != LUA_TNIL) {
        json_fail(cursor, token.data - 1, "the key occurs twice");
        raise_cursor(L, cursor);
    }
    lua_pop(L, 1);
}

static void push_object(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    lua_newtable(L);
    lua_json_mark(L, lua_instance_of(L)->refs.object_meta);
    if (!open_container(L, cursor, '}', depth)) {
        return;
    }
    int object = lua_gettop(L);
    lua_newtable(L);
    int order = object + 1;
    lua_Integer count = 0;
    do {
        push_key(L, cursor, object);
        lua_pushvalue(L, -1);
        lua_rawseti(L, order, ++count);
        push_value(L, cursor, depth + 1);
        lua_rawset(L, object);
    } while (more_follows(L, cursor, '}'));
    lua_rawsetp(L, object, &lua_json_order_key);
}

static void push_word(lua_State *L, struct json_cursor *cursor, uint8_t first)
{
    const char *word = first == 't' ? "true" : first == 'f' ? "false" : "null";
    if (!json_take_word(cursor, word, strlen(word))) {
        raise_cursor(L, cursor);
    }
    if (first == 'n') {
        lua_pushlightuserdata(L, (void *)&lua_json_null);
    } else {
        lua_pushboolean(L, first == 't');
    }
}

static void push_value(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    struct json_token token;
    uint8_t c = json_peek(cursor);
    if (c == '"') {
        if (!json_take_string(cursor, &token)) {
            raise_cursor(L, cursor);
        }
        push_string(L, cursor, &token);
    } else if (c == '{') {
        push_object(L, cursor, depth);
    } else if (c == '[') {
        push_array(L, cursor, depth);
    } else if (c == '-' || (uint8_t)(c - '0') < 10) {
        if (!json_take_number(cursor, &token)) {
            raise_cursor(L, cursor);
        }
        push_number(L, &token);
    } else {
        push_word(L, cursor, c);
    }
}

void lua_json_decode(lua_State *L, const uint8_t *text, size_t size)
{
    struct json_cursor cursor;
    json_cursor_init(&cursor, text, size);
    push_value(L, &cursor, 0);
    if (!json_take_end(&cursor)) {
        raise_cursor(L, &cursor);
    }
}

/* ---- the library ---- */

static int json_decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_json_decode(L, (const uint8_t *)text, size);
    return 1;
}

static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct lua_buffer *scratch = &lua_instance_of(L)->scratch;
    scratch->size = 0;
    lua_json_encode(L, 1, scratch, 0);
    lua_pushlstring(L, (const char *)scratch->data, scratch->size);
    return 1;
}

static int mark_table(lua_State *L, int ref)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_json_mark(L, ref);
    return 1;
}

static int json_array(lua_State *L)
{
    return mark_table(L, lua_instance_of(L)->refs.array_meta);
}

static int json_object(lua_State *L)
{
    return mark_table(L, lua_instance_of(L)->refs.object_meta);
}

void lua_json_open(lua_State *L)
{
    static const struct luaL_Reg functions[] = {{"decode", json_decode},
                                                {"encode", json_encode},
                                                {"array", json_array},
                                                {"object", json_object},
                                                {NULL, NULL}};
    lua_json_open_types(L);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, (void *)&lua_json_null);
    lua_setfield(L, -2, "null");
    lua_sandbox_freeze(L, "json");
    lua_setglobal(L, "json");
}
