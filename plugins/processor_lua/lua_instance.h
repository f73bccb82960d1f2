/* lua_instance: everything that one instance of processor_lua owns.
 *
 * One lua_State per instance; calls are serialised by the host. Whatever C holds while Lua may
 * raise an error lives here, because an error jumps over C frames without cleaning up. */
#ifndef LUA_INSTANCE_H
#define LUA_INSTANCE_H

#include "lua_deadline.h"
#include "lua_heap.h"

#include <lua.h>
#include <sluice/sluice.h>

#define LUA_REASON_BYTES_MAX 1024u

/* Lua values that C needs again: references into the registry. */
struct lua_refs {
    int script;      /* the table that the script returned */
    int process;     /* its function */
    int record;      /* the userdata that stands for the input record */
    int record_meta; /* metatables */
    int headers_meta;
    int object_meta;
    int array_meta;
    int number_meta;
    int pending; /* list of records emitted so far for the input record */
    int config;  /* the merged configuration, behind the read-only table `config` */
};

/* A task that was submitted and has not begun. */
struct lua_task {
    struct lua_instance *instance;
    int reference; /* of the function, in the registry */
    bool is_used;
};

struct lua_record;

struct lua_instance {
    const struct sluice_host *host;
    lua_State *L;
    struct lua_heap heap;
    struct lua_deadline deadline;
    struct lua_refs refs;

    struct lua_record *record;   /* refs.record */
    struct lua_buffer values[2]; /* results of json_set, in turn */
    uint32_t value_turn;         /* the one that is free */
    struct lua_buffer scratch;   /* encoder, unescaping */
    uint32_t pending_count;
    uint32_t result_count;   /* records among what process returned */
    uint32_t spared_count;   /* first records in a row that the deadline did not blame */
    uint32_t close_depth;    /* of coroutine.close calls */
    uint32_t function_count; /* that ffi.bind gave */
    bool binding;            /* ffi.bind works: the script's own chunk runs */

    char file[128];                    /* of the script, for messages */
    char reason[LUA_REASON_BYTES_MAX]; /* of reject(reason), or of a failure */
    int64_t deadline_ms;               /* per batch, of a host that gives none */

    const struct sluice_state *state; /* the host's, once a script used it */
    bool state_waits;                 /* it is not here yet: the batch comes again */
    bool state_is_full;               /* what a batch may change of it is used up */

    struct lua_task tasks[SLUICE_TASKS_MAX];
    int64_t state_imports[SLUICE_STATE_IMPORTS_MAX];

    struct sluice_attachment attachment;
    struct sluice_text *extra_outputs; /* [owned] */
};

/* The instance that a Lua state (or coroutine) belongs to. */
static inline struct lua_instance *lua_instance_of(lua_State *L)
{
    return *(struct lua_instance **)lua_getextraspace(L);
}

#endif
