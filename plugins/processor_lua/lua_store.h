/* lua_store: the table `state` of a script, which is durable and exactly-once (sluice.state/1).
 *
 * Keys are strings. Values and their bytes:
 *   string   's' bytes           integer  'i' decimal digits
 *   float    'd' decimal digits that read back as the same float
 *   true     't'                 false    'f'                 nil: the key is removed
 * Everything else is an error that names the key. pairs(state) gives all of it, in no order.
 *
 * [process] */
#ifndef LUA_STORE_H
#define LUA_STORE_H

#include <lua.h>

/* Sets the global `state`. May raise. */
void lua_store_open(lua_State *L);

#endif
