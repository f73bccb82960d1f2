/* lua_ffi: see the header. A bound function is a closure over a userdata with the struct
 * native_function; its arguments are checked here, then C is on its own: a crash is the worker's.
 */
#include "lua_ffi.h"

#include "lua_instance.h"
#include "lua_json_types.h"
#include "lua_sandbox.h"
#include "native_function.h"
#include "native_library.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 640u

/* ---- arguments ---- */

static int refuse(lua_State *L, const struct native_function *function, int at, const char *what)
{
    return luaL_error(L, "%s: argument %d (%s): %s", function->signature.name, at,
                      native_kind_word(function->signature.parameters[at - 1].kind), what);
}

/* The digits of a json.number, NUL-terminated; false: it is none, or too long for a number of C. */
static bool number_text(lua_State *L, int at, char text[64])
{
    if (lua_type(L, at) != LUA_TUSERDATA ||
        !lua_json_has_metatable(L, at, lua_instance_of(L)->refs.number_meta)) {
        return false;
    }
    const struct lua_json_number *number = lua_touserdata(L, at);
    if (number->size >= 64) {
        return false;
    }
    memcpy(text, number->text, number->size);
    text[number->size] = '\0';
    return true;
}

static void set_integer(lua_State *L, struct native_function *function, uint32_t parameter, int at)
{
    const uint32_t kind = function->signature.parameters[parameter].kind;
    char text[64];
    char *end = NULL;
    int is_integer = 0;
    lua_Integer value = lua_type(L, at) == LUA_TNUMBER ? lua_tointegerx(L, at, &is_integer) : 0;
    if (is_integer != 0) {
        if (value < native_kind_min(kind) ||
            (value > 0 && (uint64_t)value > native_kind_max(kind))) {
            refuse(L, function, (int)parameter + 1, "the integer is out of range");
        }
        native_function_set_integer(function, parameter, (uint64_t)value);
        return;
    }
    if (kind != NATIVE_U64 || !number_text(L, at, text) || text[0] == '-') {
        refuse(L, function, (int)parameter + 1, "an integer is wanted");
    }
    errno = 0;
    uint64_t bits = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        refuse(L, function, (int)parameter + 1, "the integer is out of range");
    }
    native_function_set_integer(function, parameter, bits);
}

static void set_real(lua_State *L, struct native_function *function, uint32_t parameter, int at)
{
    char text[64];
    double value = 0;
    if (lua_type(L, at) == LUA_TNUMBER) {
        value = lua_tonumber(L, at);
    } else if (number_text(L, at, text)) {
        value = strtod(text, NULL);
    } else {
        refuse(L, function, (int)parameter + 1, "a number is wanted");
    }
    if (function->signature.parameters[parameter].kind == NATIVE_F32 && isfinite(value) &&
        !isfinite((float)value)) {
        refuse(L, function, (int)parameter + 1, "the number is out of range");
    }
    native_function_set_real(function, parameter, value);
}

static void set_bytes(lua_State *L, struct native_function *function, uint32_t parameter, int at)
{
    bool is_cstr = function->signature.parameters[parameter].kind == NATIVE_CSTR;
    if (lua_isnil(L, at) && !is_cstr) {
        native_function_set_bytes(function, parameter, NULL, 0);
        return;
    }
    if (lua_type(L, at) != LUA_TSTRING) {
        refuse(L, function, (int)parameter + 1,
               is_cstr ? "a string is wanted" : "a string or nil is wanted");
    }
    size_t size;
    const char *text = lua_tolstring(L, at, &size); /* on the stack until the call is over */
    if (is_cstr && memchr(text, '\0', size) != NULL) {
        refuse(L, function, (int)parameter + 1, "the string has a NUL in it");
    }
    native_function_set_bytes(function, parameter, text, size);
}

static void set_argument(lua_State *L, struct native_function *function, uint32_t parameter, int at)
{
    uint32_t kind = function->signature.parameters[parameter].kind;
    if (native_kind_is_integer(kind)) {
        set_integer(L, function, parameter, at);
    } else if (kind == NATIVE_F32 || kind == NATIVE_F64) {
        set_real(L, function, parameter, at);
    } else if (kind != NATIVE_BOOL) {
        set_bytes(L, function, parameter, at);
    } else if (lua_isboolean(L, at)) {
        native_function_set_integer(function, parameter, lua_toboolean(L, at) != 0);
    } else {
        refuse(L, function, (int)parameter + 1, "true or false is wanted");
    }
}

/* ---- the result ---- */

static void push_integer(lua_State *L, const struct native_function *function)
{
    uint64_t bits = native_function_integer(function);
    if (function->signature.result != NATIVE_U64 || bits <= INT64_MAX) {
        lua_pushinteger(L, (lua_Integer)bits);
        return;
    }
    char text[24];
    size_t size = (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)bits);
    struct lua_json_number *number = lua_newuserdatauv(L, sizeof(*number) + size, 0);
    number->size = size;
    memcpy(number->text, text, size);
    lua_json_mark(L, lua_instance_of(L)->refs.number_meta);
}

static void push_bytes(lua_State *L, const struct native_function *function)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    const char *fault = native_function_bytes(function, &data, &size);
    if (fault != NULL) {
        luaL_error(L, "%s: %s", function->signature.name, fault);
    }
    if (data == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, (const char *)data, size);
    }
}

static int push_result(lua_State *L, const struct native_function *function)
{
    uint32_t kind = function->signature.result;
    if (native_function_gives_bytes(function)) {
        push_bytes(L, function);
    } else if (native_kind_is_integer(kind)) {
        push_integer(L, function);
    } else if (kind == NATIVE_BOOL) {
        lua_pushboolean(L, native_function_truth(function));
    } else if (kind != NATIVE_VOID) {
        lua_pushnumber(L, native_function_real(function));
    } else {
        return 0;
    }
    return 1;
}

static int call(lua_State *L)
{
    struct native_function *function = lua_touserdata(L, lua_upvalueindex(1));
    const struct native_signature *signature = &function->signature;
    int wanted = (int)signature->count - (function->out != NULL);
    int at = 0;
    if (lua_gettop(L) != wanted) {
        return luaL_error(L, "%s takes %d arguments, not %d", signature->name, wanted,
                          lua_gettop(L));
    }
    for (uint32_t i = 0; i < signature->count; i++) {
        if (signature->parameters[i].kind != NATIVE_OUT) {
            set_argument(L, function, i, ++at);
        }
    }
    native_function_call(function);
    return push_result(L, function);
}

/* ---- bind ---- */

static int collect(lua_State *L)
{
    native_function_fini(lua_touserdata(L, 1));
    return 0;
}

static void parse(lua_State *L, int at, struct native_signature *ret)
{
    struct native_fault fault;
    size_t size;
    const char *text = luaL_checklstring(L, at, &size);
    if (!native_signature_parse(text, size, ret, &fault)) {
        luaL_error(L, "ffi.bind: signature '%s': byte %I: %s", text, (LUAI_UACINT)fault.at + 1,
                   fault.what);
    }
}

/* bind(library, signature). Upvalue 1: the metatable of the userdata. */
static int bind(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    struct native_signature signature;
    char text[TEXT_BYTES] = "";
    size_t size;
    const char *library_name = luaL_checklstring(L, 1, &size);
    parse(L, 2, &signature);
    if (!instance->binding) {
        return luaL_error(L,
                          "ffi.bind works only while the script is loaded, outside all functions "
                          "of it: later a worker can open no library");
    }
    if (instance->function_count == LUA_FFI_FUNCTIONS_MAX) {
        return luaL_error(L, "ffi.bind: more than %d functions", (int)LUA_FFI_FUNCTIONS_MAX);
    }
    void *library = native_library_open(instance->host, (struct sluice_text){library_name, size},
                                        text, sizeof(text));
    void *address = library == NULL ? NULL
                                    : native_library_function(library, library_name, signature.name,
                                                              text, sizeof(text));
    if (address == NULL) {
        return luaL_error(L, "ffi.bind: %s", text);
    }
    struct native_function *function = lua_newuserdatauv(L, sizeof(*function), 0);
    const char *fault = native_function_init(function, &signature, address);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setmetatable(L, -2);
    if (fault != NULL) {
        return luaL_error(L, "ffi.bind: %s: %s", signature.name, fault);
    }
    instance->function_count++;
    lua_pushcclosure(L, call, 1);
    return 1;
}

void lua_ffi_open(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L); /* the metatable: scripts never see a userdata of it */
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushcclosure(L, bind, 1);
    lua_setfield(L, -2, "bind");
    lua_sandbox_freeze(L, "ffi");
    lua_setglobal(L, "ffi");
}
