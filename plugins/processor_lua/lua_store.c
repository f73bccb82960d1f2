/* lua_store.c: see lua_store.h. */
#include "lua_store.h"

#include "lua_instance.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 40u
#define KEY_SHOWN        64

static const struct sluice_state *find_table(lua_State *L)
{
    struct lua_instance *self = lua_instance_of(L);
    if (self->state == NULL) {
        self->state = self->host->get_extension(self->host, SLUICE_EXT_STATE);
    }
    if (self->state == NULL) {
        luaL_error(L, "state: this host has none");
    }
    return self->state;
}

/* Raises for what the host answers; key may be NULL. */
static int refuse(lua_State *L, sluice_status status, const char *key)
{
    struct lua_instance *self = lua_instance_of(L);
    switch (status) {
    case SLUICE_E_WOULD_BLOCK:
        self->state_waits = true; /* the batch comes again, with it */
        return luaL_error(L, "state: it is not here yet");
    case SLUICE_E_UNSUPPORTED:
        return luaL_error(L, "state: a gate has no durable state in ABI 1");
    case SLUICE_E_LIMIT:
        return luaL_error(L, "state[\"%s\"]: the state would grow above limits.state_bytes", key);
    case SLUICE_E_BUSY:
        self->state_is_full = true;
        return luaL_error(L, "state[\"%s\"]: more is changed than a batch may", key);
    case SLUICE_E_NO_MEMORY:
        return luaL_error(L, "state: not enough memory");
    default:
        return luaL_error(L, "state: it is there only while process runs");
    }
}

static struct sluice_bytes check_key(lua_State *L, int index)
{
    size_t size = 0;
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "state: a key is a string, not a %s", luaL_typename(L, index));
    }
    const char *text = lua_tolstring(L, index, &size);
    if (size == 0 || size > SLUICE_STATE_KEY_BYTES_MAX) {
        luaL_error(L, "state: a key has 1 to %d bytes, not %d", (int)SLUICE_STATE_KEY_BYTES_MAX,
                   (int)size);
    }
    return (struct sluice_bytes){(const uint8_t *)text, size};
}

/* ---- values ---- */

static int push_number(lua_State *L, struct sluice_bytes value)
{
    char text[NUMBER_BYTES_MAX];
    size_t size = (size_t)value.size - 1;
    char *end = NULL;
    if (size == 0 || size >= sizeof(text)) {
        return luaL_error(L, "state: a value that this host did not write");
    }
    memcpy(text, value.data + 1, size);
    text[size] = '\0';
    if (value.data[0] == 'i') {
        lua_pushinteger(L, (lua_Integer)strtoll(text, &end, 10));
    } else {
        lua_pushnumber(L, strtod(text, &end));
    }
    return *end == '\0' ? 1 : luaL_error(L, "state: a value that this host did not write");
}

static int push_value(lua_State *L, struct sluice_bytes value)
{
    switch (value.size > 0 ? value.data[0] : 0) {
    case 's':
        lua_pushlstring(L, (const char *)value.data + 1, (size_t)value.size - 1);
        return 1;
    case 'i':
    case 'd':
        return push_number(L, value);
    case 't':
    case 'f':
        lua_pushboolean(L, value.data[0] == 't');
        return 1;
    default:
        return luaL_error(L, "state: a value that this host did not write");
    }
}

static void append(lua_State *L, struct lua_buffer *out, const void *data, size_t size)
{
    if (!lua_buffer_append(out, data, size)) {
        luaL_error(L, "state: not enough memory");
    }
}

/* The value at index as bytes, in the scratch of the instance. */
static struct sluice_bytes encode(lua_State *L, int index, const char *key)
{
    struct lua_buffer *out = &lua_instance_of(L)->scratch;
    char number[NUMBER_BYTES_MAX];
    size_t size = 0;
    const char *text = NULL;
    int count = 0;
    out->size = 0;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &size);
        if (size >= SLUICE_STATE_VALUE_BYTES_MAX) {
            luaL_error(L, "state[\"%s\"]: a value has at most %d bytes", key,
                       (int)SLUICE_STATE_VALUE_BYTES_MAX - 1);
        }
        append(L, out, "s", 1);
        append(L, out, text, size);
        break;
    case LUA_TNUMBER:
        count = lua_isinteger(L, index)
                    ? snprintf(number, sizeof(number), "i%lld", (long long)lua_tointeger(L, index))
                    : snprintf(number, sizeof(number), "d%.17g", lua_tonumber(L, index));
        append(L, out, number, (size_t)count);
        break;
    case LUA_TBOOLEAN:
        append(L, out, lua_toboolean(L, index) != 0 ? "t" : "f", 1);
        break;
    default:
        luaL_error(L, "state[\"%s\"]: a value is a string, a number or a boolean, not a %s", key,
                   luaL_typename(L, index));
    }
    return (struct sluice_bytes){out->data, out->size};
}

/* ---- the table ---- */

static int get(lua_State *L)
{
    const struct sluice_state *state = find_table(L);
    struct sluice_bytes key = check_key(L, 2);
    struct sluice_bytes value;
    sluice_status status = state->get(state, key, &value);
    if (status == SLUICE_E_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    return status == SLUICE_OK ? push_value(L, value) : refuse(L, status, NULL);
}

static int set(lua_State *L)
{
    const struct sluice_state *state = find_table(L);
    struct sluice_bytes key = check_key(L, 2);
    uint32_t index = lua_instance_of(L)->deadline.record_index;
    char shown[KEY_SHOWN];
    sluice_status status = SLUICE_OK;
    snprintf(shown, sizeof(shown), "%s", lua_tostring(L, 2));
    if (lua_isnil(L, 3)) {
        status = state->remove(state, index, key);
    } else {
        status = state->put(state, index, key, encode(L, 3, shown));
    }
    return status == SLUICE_OK ? 0 : refuse(L, status, shown);
}

/* Upvalue 1: the cursor. */
static int next(lua_State *L)
{
    const struct sluice_state *state = find_table(L);
    uint64_t cursor = (uint64_t)lua_tointeger(L, lua_upvalueindex(1));
    struct sluice_bytes key;
    struct sluice_bytes value;
    sluice_status status = state->next(state, &cursor, &key, &value);
    if (status == SLUICE_E_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    if (status != SLUICE_OK) {
        return refuse(L, status, NULL);
    }
    lua_pushinteger(L, (lua_Integer)cursor);
    lua_replace(L, lua_upvalueindex(1));
    lua_pushlstring(L, (const char *)key.data, (size_t)key.size);
    return 1 + push_value(L, value);
}

static int pairs(lua_State *L)
{
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next, 1);
    return 1;
}

void lua_store_open(lua_State *L)
{
    static const struct luaL_Reg slots[] = {
        {"__index", get}, {"__newindex", set}, {"__pairs", pairs}, {NULL, NULL}};
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);
    luaL_setfuncs(L, slots, 0);
    lua_pushliteral(L, "state");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setglobal(L, "state");
}
