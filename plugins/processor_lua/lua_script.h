/* lua_script: from the text of a script and its configuration to something that can process.
 *
 * A script returns a table: name, on ("log" or "produce"), input, output, outputs, config
 * (defaults), deadline_ms, init(config), process(record). Unknown keys and wrong types are refused.
 * [control] */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include <lua.h>
#include <sluice/sluice.h>

struct lua_instance;

/* Compiles, runs and checks the script, reads the configuration, calls init. On failure the reason
 * is in instance->reason, with file and line where there are any. */
sluice_status lua_script_load(struct lua_instance *instance, const struct sluice_script *script);

/* Reads the configuration again and calls init with it. On failure the old one is in force. */
sluice_status lua_script_reconfigure(struct lua_instance *instance);

/* Copies the message on top of L (what a protected call left) into instance->reason, with the
 * file's name in front if it has none; pops it. Does not raise. */
void lua_script_take_error(struct lua_instance *instance, lua_State *L);

#endif
