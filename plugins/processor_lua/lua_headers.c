/* lua_headers: record.headers, ordered, names may repeat.
 *
 *   headers[name]         value of the last one of that name, or nil
 *   headers[name] = v     in place of the first one of that name, the others go; nil: all go
 *   headers:get(name)     as headers[name], also for names like "add"
 *   headers:add(name, v)  one more; without v it has Kafka's null as value
 *   #headers, pairs(headers)
 *
 * The view userdata holds its record as user value. A change makes a new block: the array of
 * headers, followed by their bytes, in one piece of Lua memory that nobody frees by hand. */
#include "lua_instance.h"
#include "lua_record.h"

#include <lauxlib.h>
#include <string.h>

/* A change to be made while copying headers into a new block. */
struct edit {
    struct sluice_text name; /* data NULL: none */
    struct sluice_bytes value;
    bool removes; /* all of that name */
    bool adds;    /* one: in place of the first removed, else at the end */
};

static bool is_named(const struct sluice_header *header, struct sluice_text name)
{
    return header->key.size == name.size &&
           (name.size == 0 || memcmp(header->key.data, name.data, (size_t)name.size) == 0);
}

static size_t bytes_of(struct sluice_text name, struct sluice_bytes value)
{
    return (size_t)name.size + (size_t)value.size;
}

/* Copies name and value behind *at and fills the header. */
static void place(struct sluice_header *to, char **at, struct sluice_text name,
                  struct sluice_bytes value)
{
    *to = (struct sluice_header){{*at, name.size}, {NULL, value.size}};
    if (name.size > 0) {
        memcpy(*at, name.data, (size_t)name.size);
        *at += name.size;
    }
    if (value.data != NULL) {
        to->value.data = (const uint8_t *)*at;
        if (value.size > 0) {
            memcpy(*at, value.data, (size_t)value.size);
            *at += value.size;
        }
    }
}

/* Pushes a block with the headers of `from` after the edit; the number of headers. */
static uint32_t push_block(lua_State *L, const struct lua_record *from, const struct edit *edit)
{
    size_t size = edit->adds ? bytes_of(edit->name, edit->value) : 0;
    for (uint32_t i = 0; i < from->header_count; i++) {
        size += bytes_of(from->headers[i].key, from->headers[i].value);
    }
    size_t slots = (size_t)from->header_count + 1;
    struct sluice_header *block =
        lua_newuserdatauv(L, slots * sizeof(struct sluice_header) + size + 1, 0);
    char *at = (char *)(block + slots);
    uint32_t count = 0;
    bool added = !edit->adds;
    for (uint32_t i = 0; i < from->header_count; i++) {
        const struct sluice_header *header = &from->headers[i];
        if (!edit->removes || !is_named(header, edit->name)) {
            place(&block[count++], &at, header->key, header->value);
        } else if (!added) {
            place(&block[count++], &at, edit->name, edit->value);
            added = true;
        }
    }
    if (!added) {
        place(&block[count++], &at, edit->name, edit->value);
    }
    return count;
}

/* Gives the record at index the block on top. */
static void take_block(lua_State *L, struct lua_record *record, int index, uint32_t count)
{
    record->headers = lua_touserdata(L, -1);
    record->header_count = count;
    lua_setiuservalue(L, index, LUA_RECORD_HEADERS);
}

void lua_headers_copy(lua_State *L, const struct lua_record *from, struct lua_record *to,
                      int to_index)
{
    static const struct edit nothing;
    if (from->header_count > 0) {
        uint32_t count = push_block(L, from, &nothing);
        take_block(L, to, to_index, count);
    }
}

/* ---- the view ---- */

/* Pushes the record of the view at index 1 and returns it. */
static struct lua_record *push_record(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TUSERDATA || lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) {
        luaL_argerror(L, 1, "headers of a record wanted");
    }
    return lua_record_check(L, -1);
}

static struct sluice_text check_name(lua_State *L, int index)
{
    size_t size;
    const char *name = luaL_checklstring(L, index, &size);
    return (struct sluice_text){name, size};
}

/* Text and numbers; nil is null. */
static struct sluice_bytes check_value(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        return (struct sluice_bytes){NULL, 0};
    }
    if (lua_type(L, index) != LUA_TSTRING && lua_type(L, index) != LUA_TNUMBER) {
        luaL_error(L, "the value of a header must be a string, not a %s", luaL_typename(L, index));
    }
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    return (struct sluice_bytes){(const uint8_t *)text, size};
}

static void push_header_value(lua_State *L, const struct sluice_header *header)
{
    if (header->value.data == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *)header->value.data, (size_t)header->value.size);
    }
}

static int headers_get(lua_State *L)
{
    struct sluice_text name = check_name(L, 2);
    const struct lua_record *record = push_record(L);
    for (uint32_t i = record->header_count; i > 0; i--) {
        if (is_named(&record->headers[i - 1], name)) {
            push_header_value(L, &record->headers[i - 1]);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

static int apply(lua_State *L, const struct edit *edit)
{
    struct lua_record *record = push_record(L);
    int index = lua_gettop(L);
    if (edit->adds && record->header_count >= LUA_HEADERS_MAX) {
        return luaL_error(L, "more than %d headers", (int)LUA_HEADERS_MAX);
    }
    uint32_t count = push_block(L, record, edit);
    take_block(L, record, index, count);
    record->changed = true;
    return 0;
}

static int headers_add(lua_State *L)
{
    lua_settop(L, 3);
    const struct edit edit = {.name = check_name(L, 2), .value = check_value(L, 3), .adds = true};
    return apply(L, &edit);
}

/* Upvalue 1: the methods. */
static int headers_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TFUNCTION) {
        return 1;
    }
    lua_settop(L, 2);
    return headers_get(L);
}

static int headers_newindex(lua_State *L)
{
    lua_settop(L, 3);
    const struct edit edit = {.name = check_name(L, 2),
                              .value = check_value(L, 3),
                              .removes = true,
                              .adds = !lua_isnil(L, 3)};
    return apply(L, &edit);
}

static int headers_len(lua_State *L)
{
    lua_pushinteger(L, push_record(L)->header_count);
    return 1;
}

/* Iterates over a snapshot; upvalue 1: its names, 2: its values, 3: the position. */
static int headers_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(3));
    lua_rawgeti(L, lua_upvalueindex(1), i);
    lua_rawgeti(L, lua_upvalueindex(2), i);
    return 2;
}

static int headers_pairs(lua_State *L)
{
    const struct lua_record *record = push_record(L);
    lua_newtable(L);
    lua_newtable(L);
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        lua_pushlstring(L, header->key.data, (size_t)header->key.size);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        push_header_value(L, header);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, headers_next, 3);
    return 1;
}

void lua_headers_push_view(lua_State *L, int record_index)
{
    if (lua_getiuservalue(L, record_index, LUA_RECORD_HEADERS_VIEW) == LUA_TUSERDATA) {
        return;
    }
    lua_pop(L, 1);
    lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, record_index);
    lua_setiuservalue(L, -2, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua_instance_of(L)->refs.headers_meta);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, record_index, LUA_RECORD_HEADERS_VIEW);
}

void lua_headers_open(lua_State *L)
{
    static const struct luaL_Reg methods[] = {
        {"add", headers_add}, {"get", headers_get}, {NULL, NULL}};
    static const struct luaL_Reg metamethods[] = {{"__newindex", headers_newindex},
                                                  {"__len", headers_len},
                                                  {"__pairs", headers_pairs},
                                                  {NULL, NULL}};
    luaL_newlib(L, metamethods);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, headers_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "record.headers");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_instance_of(L)->refs.headers_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}
