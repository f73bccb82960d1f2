/* lua_json_types: the metatables of JSON objects, arrays, numbers beyond 64 bits, and null. */
#include "lua_json_types.h"

#include "lua_instance.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

const char lua_json_order_key;
const char lua_json_null;

static void push_ref(lua_State *L, int ref)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

bool lua_json_has_metatable(lua_State *L, int index, int ref)
{
    if (lua_getmetatable(L, index) == 0) {
        return false;
    }
    push_ref(L, ref);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return same;
}

void lua_json_mark(lua_State *L, int ref)
{
    push_ref(L, ref);
    lua_setmetatable(L, -2);
}

static int object_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
    for (;;) {
        i++;
        if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushinteger(L, i);
            lua_replace(L, lua_upvalueindex(3));
            return 2;
        }
        lua_pop(L, 2); /* removed during the walk */
    }
}

static int object_pairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_json_push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, object_next, 3);
    return 1;
}

static const struct lua_json_number *check_number(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA &&
                   lua_json_has_metatable(L, index, lua_instance_of(L)->refs.number_meta)
               ? lua_touserdata(L, index)
               : NULL;
}

static int number_tostring(lua_State *L)
{
    const struct lua_json_number *number = check_number(L, 1);
    if (number == NULL) {
        luaL_typeerror(L, 1, "json.number");
        __builtin_unreachable(); /* it raises */
    }
    lua_pushlstring(L, number->text, number->size);
    return 1;
}

/* Replaces the operand at index, if it is a json.number, by the float next to it. */
static void to_float(lua_State *L, int index)
{
    const struct lua_json_number *number = check_number(L, index);
    if (number != NULL) {
        lua_pushlstring(L, number->text, number->size);
        lua_pushnumber(L, strtod(lua_tostring(L, -1), NULL));
        lua_replace(L, index);
        lua_pop(L, 1);
    }
}

/* An arithmetic or comparison metamethod; upvalue 1: the LUA_OP… code. */
static int number_arithmetic(lua_State *L)
{
    lua_settop(L, 2);
    to_float(L, 1);
    to_float(L, 2);
    luaL_argexpected(L, lua_isnumber(L, 1), 1, "number");
    luaL_argexpected(L, lua_isnumber(L, 2), 2, "number");
    lua_arith(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
    return 1;
}

static int number_compare(lua_State *L)
{
    lua_settop(L, 2);
    to_float(L, 1);
    to_float(L, 2);
    lua_pushboolean(L, lua_compare(L, 1, 2, (int)lua_tointeger(L, lua_upvalueindex(1))));
    return 1;
}

/* Two are equal when their digits are. */
static int number_equal(lua_State *L)
{
    const struct lua_json_number *a = check_number(L, 1);
    const struct lua_json_number *b = check_number(L, 2);
    lua_pushboolean(L, a != NULL && b != NULL && a->size == b->size &&
                           memcmp(a->text, b->text, a->size) == 0);
    return 1;
}

static void add_operators(lua_State *L)
{
    static const struct {
        const char *name;
        int operation;
        lua_CFunction function;
    } operators[] = {
        {"__add", LUA_OPADD, number_arithmetic}, {"__sub", LUA_OPSUB, number_arithmetic},
        {"__mul", LUA_OPMUL, number_arithmetic}, {"__div", LUA_OPDIV, number_arithmetic},
        {"__mod", LUA_OPMOD, number_arithmetic}, {"__pow", LUA_OPPOW, number_arithmetic},
        {"__lt", LUA_OPLT, number_compare},      {"__le", LUA_OPLE, number_compare},
    };
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        lua_pushinteger(L, operators[i].operation);
        lua_pushcclosure(L, operators[i].function, 1);
        lua_setfield(L, -2, operators[i].name);
    }
}

/* Takes the table on top as a metatable that scripts neither see nor change; its reference. */
static int keep_metatable(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

void lua_json_open_types(lua_State *L)
{
    static const struct luaL_Reg object_functions[] = {{"__pairs", object_pairs}, {NULL, NULL}};
    static const struct luaL_Reg number_functions[] = {
        {"__tostring", number_tostring}, {"__eq", number_equal}, {NULL, NULL}};
    static const struct luaL_Reg null_functions[] = {{"__tostring", null_tostring}, {NULL, NULL}};
    struct lua_refs *refs = &lua_instance_of(L)->refs;
    luaL_newlib(L, object_functions);
    refs->object_meta = keep_metatable(L, "json.object");
    lua_newtable(L);
    refs->array_meta = keep_metatable(L, "json.array");
    luaL_newlib(L, number_functions);
    add_operators(L);
    refs->number_meta = keep_metatable(L, "json.number");

    lua_pushlightuserdata(L, (void *)&lua_json_null);
    luaL_newlib(L, null_functions);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}
