/* filter_pool.h: the expressions in Lua that frontends of one loop judge records by, and the table
 * of <sluice/filter.h>.
 *
 *   users of a text ─► expression ─► worker_host ─► one worker of processor_lua
 *
 * An expression, a worker: what one does with its time and memory costs no other. Those with the
 * same text share it; it ends with its last user. One that failed is left by those who have it, and
 * opened anew by who comes next. What all need (the sandbox, the module) is opened with the first.
 * On the loop, but for what a helper opens. */
#ifndef SL_PLUGIN_FILTER_POOL_H
#define SL_PLUGIN_FILTER_POOL_H

#include "plugin/filter_script.h"
#include "plugin/plugin_version.h"

#include "base/list.h"
#include "base/log.h"
#include "os/os.h"

#include <sluice/filter.h>

struct filter_limits {
    uint32_t expressions_max; /* 0: none is opened */
    uint32_t timeout_ms;      /* of a batch */
    uint64_t memory_bytes;    /* of a worker */
    uint32_t cpu_percent;     /* of one processor, in the long run, of a worker */
};

struct filter_pool_config {
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_logger *logger;
    const char *system_dir;  /* where processor_lua.so lies; copied */
    const char *worker_path; /* of sluice-worker; copied */
    struct filter_limits limits;
};

struct filter_pool {
    struct sluice_filter_host host; /* for frontends */
    struct filter_pool_config config;
    char *system_dir;           /* owned */
    char *worker_path;          /* owned */
    struct sl_list expressions; /* that can be shared */
    uint32_t expression_count;
    uint32_t ending_count; /* that cannot be, and are not gone yet */
    uint64_t judged_total; /* records */
    uint64_t failed_total; /* expressions */
    struct sl_job job;     /* opens what all need */
    bool is_opening;       /* … and the next four are the helper's */
    sl_err opened_err;
    char opened_reason[FILTER_REASON_BYTES];
    struct sandbox *sandbox;          /* owned; NULL: not opened */
    struct plugin_module *module;     /* likewise */
    char reason[FILTER_REASON_BYTES]; /* of the last open that failed */
};

/* E_NO_MEMORY. */
sl_err filter_pool_init(struct filter_pool *pool,
                        const struct filter_pool_config *config) SL_MUST_CHECK;
/* Nothing of it would come back to the loop. */
bool filter_pool_is_quiet(const struct filter_pool *pool);
void filter_pool_fini(struct filter_pool *pool); /* it is quiet, or its loop never ran */

#endif
