/* lua_sandbox: see the header. */
#include "lua_sandbox.h"

#include "lua_instance.h"

#include <lualib.h>

#include <string.h>
#include <time.h>

#define LOG_LINE_BYTES_MAX 4096u

/* ---- read-only tables ---- */

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "%s is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

static int next_of(lua_State *L)
{
    lua_settop(L, 2);
    lua_replace(L, 1); /* the view is not what is walked */
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    if (lua_next(L, 1) != 0) {
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int pairs_of(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_of, 1);
    return 1;
}

static int length_of(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
    return 1;
}

void lua_sandbox_freeze(lua_State *L, const char *what)
{
    luaL_checkstack(L, 6, NULL);
    lua_newtable(L);
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, what);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, pairs_of, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, length_of, 1);
    lua_setfield(L, -2, "__len");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

void lua_sandbox_add_library(lua_State *L, const char *name, const struct luaL_Reg *functions)
{
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_sandbox_freeze(L, name);
    lua_setglobal(L, name);
}

/* ---- base functions that differ ---- */

static void check(lua_State *L)
{
    lua_deadline_check(&lua_instance_of(L)->deadline, L);
}

static int finish_pcall(lua_State *L, int status, lua_KContext extra)
{
    check(L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)extra;
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

/* Message handlers run before the error is caught and, under a hook, with hooks off: the token must
 * not reach one. */
static int guarded_handler(lua_State *L)
{
    if (lua_instance_of(L)->deadline.dead) {
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L)
{
    int arguments = lua_gettop(L) - 2;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
    int status = lua_pcallk(L, arguments, LUA_MULTRET, 2, 2, finish_pcall);
    return finish_pcall(L, status, 2);
}

static int base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luaL_error(L, "__gc is not available here");
        }
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "rawset: the table is protected");
    }
    lua_rawset(L, 1);
    return 1;
}

/* ---- log and time ---- */

/* All arguments as text, separated by tabs, as one line of the host's log. */
static int log_at(lua_State *L, int32_t level)
{
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&line, '\t');
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    const struct sluice_host *host = lua_instance_of(L)->host;
    host->log(host, level,
              (struct sluice_text){text, size < LOG_LINE_BYTES_MAX ? size : LOG_LINE_BYTES_MAX});
    return 0;
}

static int log_debug(lua_State *L)
{
    return log_at(L, SLUICE_LOG_DEBUG);
}
static int log_info(lua_State *L)
{
    return log_at(L, SLUICE_LOG_INFO);
}
static int log_warn(lua_State *L)
{
    return log_at(L, SLUICE_LOG_WARN);
}
static int log_error(lua_State *L)
{
    return log_at(L, SLUICE_LOG_ERROR);
}

static int time_now_ms(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushinteger(L, (lua_Integer)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return 1;
}

/* ---- the whole ---- */

static const struct luaL_Reg libraries[] = {
    {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table},
    {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8},
    {NULL, NULL},
};

static const char *const removed[] = {"load",    "loadfile", "loadstring",    "dofile",
                                      "require", "warn",     "collectgarbage"};

static const struct luaL_Reg replaced[] = {
    {"pcall", base_pcall},   {"xpcall", base_xpcall}, {"setmetatable", base_setmetatable},
    {"rawset", base_rawset}, {"print", log_info},     {NULL, NULL},
};

static const struct luaL_Reg log_library[] = {
    {"debug", log_debug}, {"info", log_info}, {"warn", log_warn},
    {"error", log_error}, {NULL, NULL},
};

static const struct luaL_Reg time_library[] = {{"now_ms", time_now_ms}, {NULL, NULL}};

static void protect_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    if (lua_getmetatable(L, -1) != 0) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void lua_sandbox_open(lua_State *L)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    for (size_t i = 0; i < sizeof(removed) / sizeof(removed[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, removed[i]);
    }
    luaL_setfuncs(L, replaced, 0);
    lua_pop(L, 1);
    for (const struct luaL_Reg *library = libraries; library->func != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 0);
        if (strcmp(library->name, LUA_STRLIBNAME) == 0) {
            lua_pushnil(L);
            lua_setfield(L, -2, "dump");
        }
        lua_sandbox_freeze(L, library->name);
        lua_setglobal(L, library->name);
    }
    lua_coroutine_push(L);
    lua_sandbox_freeze(L, LUA_COLIBNAME);
    lua_setglobal(L, LUA_COLIBNAME);
    protect_string_metatable(L);
    lua_sandbox_add_library(L, "log", log_library);
    lua_sandbox_add_library(L, "time", time_library);
    lua_newtable(L);
    lua_setglobal(L, "scratch");
}
