/* lua_sandbox: the world that a script sees.
 *
 * base, string, table, math, utf8 and a coroutine library of our own; no io, os, package, debug,
 * load, no bytecode, no finalizers. Library tables and the string metatable are read-only. pcall,
 * xpcall and coroutines pass the deadline's token on. Everything here may raise; run it inside
 * lua_pcall. [control] */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lauxlib.h>
#include <lua.h>

/* Fills the globals of a fresh state. */
void lua_sandbox_open(lua_State *L);

/* Replaces the table on top by a read-only view of it; `what` names it in errors. The view follows
 * later changes of the table. */
void lua_sandbox_freeze(lua_State *L, const char *what);

/* Sets the global `name` to a table of these functions, frozen. */
void lua_sandbox_add_library(lua_State *L, const char *name, const struct luaL_Reg *functions);

/* The coroutine library, on the stack. (lua_coroutine.c) */
void lua_coroutine_push(lua_State *L);

#endif
