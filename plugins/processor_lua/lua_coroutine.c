/* lua_coroutine: the coroutine library of Lua 5.4 with two differences: it tells the deadline which
 * coroutine runs, so that the hook is set where it bites, and it passes the deadline's token on
 * from every place where the standard library would hand an error to the script. */
#include "lua_instance.h"
#include "lua_sandbox.h"

#include <lauxlib.h>

#define CLOSE_DEPTH_MAX 32u /* lua_resetthread does not count C levels in 5.4.4 */

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug frame;
    if (L == co) {
        return "running";
    }
    switch (lua_status(co)) {
    case LUA_YIELD:
        return "suspended";
    case LUA_OK:
        if (lua_getstack(co, 0, &frame) != 0) {
            return "normal";
        }
        return lua_gettop(co) == 0 ? "dead" : "suspended";
    default:
        return "dead";
    }
}

/* Runs co with `arguments` from the top of L. Returns the number of results pushed, or -1 with the
 * error pushed. Does not return when the deadline struck. */
static int run(lua_State *L, lua_State *co, int arguments)
{
    struct lua_deadline *deadline = &lua_instance_of(L)->deadline;
    if (lua_checkstack(co, arguments) == 0) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, arguments);
    int results;
    deadline->running = co;
    int status = lua_resume(co, L, arguments, &results);
    deadline->running = L;
    lua_deadline_check(deadline, L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (lua_checkstack(L, results + 1) == 0) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

static int co_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int results = run(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    int count = results >= 0 ? results : 1;
    lua_insert(L, -(count + 1));
    return count + 1;
}

/* Closes what co left open. Returns its status; the error, if any, is on top of co. */
static int reset(lua_State *L, lua_State *co)
{
    struct lua_instance *instance = lua_instance_of(L);
    if (instance->close_depth == CLOSE_DEPTH_MAX) {
        return luaL_error(L, "coroutines closed within each other too deeply");
    }
    instance->close_depth++;
    instance->deadline.running = co;
    int status = lua_resetthread(co);
    instance->deadline.running = L;
    instance->close_depth--;
    lua_deadline_check(&instance->deadline, L);
    return status;
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = run(L, co, lua_gettop(L));
    if (results >= 0) {
        return results;
    }
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        reset(L, co);
        lua_xmove(co, L, 1);
        lua_remove(L, -2);
    }
    return lua_error(L);
}

static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int co_yield (lua_State *L)
{
    return lua_yield(L, lua_gettop(L));
}

static int co_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

static int co_running(lua_State *L)
{
    int is_main = lua_pushthread(L);
    lua_pushboolean(L, is_main);
    return 2;
}

static int co_isyieldable(lua_State *L)
{
    lua_pushboolean(L, lua_isyieldable(lua_isthread(L, 1) ? lua_tothread(L, 1) : L));
    return 1;
}

static int co_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    const char *status = status_of(L, co);
    if (status[0] != 's' && status[0] != 'd') {
        return luaL_error(L, "cannot close a %s coroutine", status);
    }
    if (reset(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

void lua_coroutine_push(lua_State *L)
{
    static const struct luaL_Reg functions[] = {
        {"create", co_create}, {"resume", co_resume},           {"wrap", co_wrap},
        {"yield", co_yield },  {"status", co_status},           {"running", co_running},
        {"close", co_close},   {"isyieldable", co_isyieldable}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
