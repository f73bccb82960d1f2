/* native_lua.h: filters in Lua: records that were read are judged by the host before they are held
 * (native_held.h) and sent.
 *
 *   read ─► native_lua_add … ─► native_lua_judge ─► the host's worker ─► those that pass are held
 *
 * A subscription has a filter of the host, so that its expression stays; each of its sources has
 * one too, for one batch at a time: so order is kept. [loop] */
#ifndef FRONTEND_NATIVE_NATIVE_LUA_H
#define FRONTEND_NATIVE_NATIVE_LUA_H

#include "native_frontend.h"

#define NATIVE_LUA_REASON_BYTES 512u

/* How an expression was opened. */
struct native_lua_opened {
    sluice_status status;
    struct sluice_filter *filter; /* the taker's; NULL: failed */
    char reason[NATIVE_LUA_REASON_BYTES];
};

/* A filter that begins with "lua:". */
bool native_lua_is(struct sluice_text filter);
/* False: it is not known yet; the connection waits, and its frame comes again. */
bool native_lua_open(struct native_conn *conn, struct sluice_text filter,
                     struct native_lua_opened *ret_opened);
/* What was opened is not wanted. */
void native_lua_forget(struct native_conn *conn);
/* The subscription has it from now on. [takes opened->filter] SLUICE_E_NO_MEMORY. */
sluice_status native_lua_take(struct native_sub *sub, struct sluice_text filter,
                              const struct native_lua_opened *opened);
void native_lua_leave(struct native_sub *sub); /* it has ended, and its sources */

/* One more record for the batch, written into `writer` as it will be sent. SLUICE_E_LIMIT: the
 * batch is full; SLUICE_E_NO_MEMORY, and what opening it gives. */
sluice_status native_lua_add(struct native_source *source, const struct sluice_record *record,
                             uint16_t deliveries, struct native_writer *writer);
/* What was added; then what passes is held and the source goes on, or the subscription ends.
 * until_ms: of what is held. Perhaps the subscription ends inside. [takes what is in the writer] */
void native_lua_judge(struct native_source *source, struct native_writer *writer, int64_t until_ms);
void native_lua_drop(struct native_source *source); /* it ends */

#endif
