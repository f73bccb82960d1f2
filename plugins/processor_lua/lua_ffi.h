/* lua_ffi: the library `ffi` of a script: C functions of shared libraries that the configuration
 * allows. ffi.bind(library, signature) gives a function; there is nothing else, no casts, no
 * memory.
 *
 *   i8 … u64        integer, in range; a u64 beyond 2^63-1 is a json.number
 *   f32, f64        number
 *   bool            boolean
 *   cstr            string without NUL; as a result also nil
 *   bytes, bytes32  string or nil
 *   out(N)          no argument; the function returns a string instead of its integer
 *
 * [process] */
#ifndef LUA_FFI_H
#define LUA_FFI_H

#include <lua.h>

#define LUA_FFI_FUNCTIONS_MAX 64u /* that a script may bind */

/* Sets the global `ffi`. May raise. */
void lua_ffi_open(lua_State *L);

#endif
