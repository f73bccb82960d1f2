/* filter_pool.h: the expressions in Lua that frontends of one loop judge records by, and the table
 * of <sluice/filter.h>.
 *
 *   users of a text ─► expression ─► worker_host ─► one worker of processor_lua
 *
 * An expression, a worker: what one does with its time and memory costs no other. Those with the
 * same text share it; it ends with its last user. One that does not compile is left by those who
 * wait for it, and opened anew by who comes next; what fails later fails for the user whose records
 * it was, and the others go on with the next worker. Nobody has more than half of the expressions.
 * What all need (the sandbox, the module) is opened with the first. On the loop, but for what a
 * helper opens. */
#ifndef SL_PLUGIN_FILTER_POOL_H
#define SL_PLUGIN_FILTER_POOL_H

#include "plugin/filter_script.h"
#include "plugin/plugin_version.h"

#include "base/list.h"
#include "base/log.h"
#include "os/os.h"

#include <sluice/filter.h>

struct filter_limits {
    uint32_t expressions_max; /* 0: none is opened; of a client: half of them, rounded up */
    uint32_t errors_max;      /* records of a user, one after the other, on which it may raise */
    uint32_t timeout_ms;      /* of a batch */
    uint64_t memory_bytes;    /* of a worker */
    uint32_t cpu_percent;     /* of one processor, in the long run, of a worker */
};

#define FILTER_CLIENT_BYTES  160u /* of a name; what is longer is cut off */
#define FILTER_CLIENTS_SHOWN 8u

/* What expressions did and cost. */
struct filter_sums {
    uint64_t records; /* that were judged */
    uint64_t passed;
    uint64_t raised; /* that do not fit as the expression raised */
    uint64_t cpu_ns;
    uint64_t throttled_ns; /* that batches waited as the CPU share was used up */
    uint64_t deaths;       /* of workers */
    uint64_t memory_bytes; /* resident now; of those that are there */
};

/* One expression; all is valid for the call. */
struct filter_info {
    struct sluice_text text;
    const char *const *clients; /* the first FILTER_CLIENTS_SHOWN of client_count */
    uint32_t client_count;
    const char *state; /* starting, running, resting (its CPU share is used up), waiting (for a
                          worker) */
    struct filter_sums sums;
    int32_t pid; /* of its worker; 0: none runs */
    uint64_t cpu_share_ppm;
    uint64_t batch_p99_ns;
    const char *last_error;
};
typedef void filter_info_fn(void *arg, const struct filter_info *info);

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
    uint64_t failed_total; /* expressions that did not compile, and batches that ended their user */
    struct filter_sums sums; /* of records ever; of workers that are gone */
    struct sl_job job;       /* opens what all need */
    bool is_opening;         /* … and the next four are the helper's */
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

/* All that its expressions did and cost, ever; meters are read. */
void filter_pool_sum(const struct filter_pool *pool, struct filter_sums *ret_sums);
/* Each expression that is in use; its memory is read anew. */
void filter_pool_each(const struct filter_pool *pool, filter_info_fn *visit, void *arg);

#endif
