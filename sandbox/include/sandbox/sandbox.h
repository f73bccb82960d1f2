/* sandbox.h: runs a plugin in a process that the kernel confines. Usable without core.
 *
 * The calls of an event loop, in order:
 *   once       sandbox_open                                    [any] [blocks about 1 ms]
 *   per file   staged_module_open                              [any] [blocks]
 *   helper     sandbox_worker_spawn                            [blocks 0.1 to 2 ms: NOT on a loop
 * thread] loop       watch sandbox_worker_fd for reading; when readable, and after each submit if
 * wanted: while (sandbox_worker_poll(worker, now_ms, &event)) handle(event); sandbox_worker_submit,
 * after READY, while sandbox_worker_in_flight < depth a timer at sandbox_worker_deadline ->
 * sandbox_worker_expire, then poll as above at EXIT    stop watching the descriptor,
 * sandbox_worker_close; ask supervisor.h when to spawn again Nothing of this blocks but spawn (and
 * a close before EXIT). Nothing is shared between workers but the immutable struct sandbox, so each
 * worker may live on a thread of its own; after spawn hand it over whole.
 *
 * The kernel kills a worker when the THREAD that spawned it ends (PR_SET_PDEATHSIG): spawn on a
 * thread that lives as long as the process (a thread pool), never on a short-lived one. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <sandbox/channel.h>
#include <sandbox/staged.h>
#include <sluice/metrics.h>
#include <sluice/processor.h>

#define SANDBOX_TEXT_SIZE_MAX   512u
#define SANDBOX_NAME_SIZE_MAX   128u
#define SANDBOX_CONFIG_SIZE_MAX (64u << 10)
#define SANDBOX_SCRIPT_SIZE_MAX (16u << 20)
#define SANDBOX_OUTPUTS_MAX     64u
#define SANDBOX_LOG_SIZE_MAX    1024u /* longer lines are cut */

struct sandbox; /* compiled filters and what this kernel offers; immutable [any] */
struct sandbox_worker;

struct sandbox_options {
    const char *worker_path; /* absolute path of sluice-worker */
    bool no_listener;        /* tests: KILL_PROCESS instead of the listener that names calls */
    bool no_cgroup;          /* tests: as on a system that gives none */
};
/* E_IO, E_NO_MEMORY, E_UNSUPPORTED (no seccomp filters on this kernel) with a sentence in `text`.
 */
sluice_status sandbox_open(const struct sandbox_options *options, struct sandbox **ret_sandbox,
                           char *text, size_t text_size) SANDBOX_MUST_CHECK;
struct sandbox *
sandbox_close(struct sandbox *sandbox); /* after its workers; NULL is fine; returns NULL */

struct sandbox_limits {
    uint64_t memory_bytes_max; /* writable private memory (RLIMIT_DATA) */
    uint32_t descriptors_max;  /* RLIMIT_NOFILE, at least 16 */
    uint32_t cpu_s_max;        /* CPU seconds of the process's life; 0: none. A backstop */
    uint32_t cpu_percent;      /* share of one processor, see pace.h; 0: not paced */
    uint32_t cpu_burst_ms;     /* CPU time that it may use at once */
    uint32_t stack_bytes_max;
    uint64_t state_bytes_max;  /* of the state of one partition (sluice.state/1) */
    uint32_t load_timeout_ms;  /* spawn to READY */
    uint32_t reply_timeout_ms; /* reconfigure and drain */
    /* Threads that the worker itself makes for a rehearsal, before the first filter; they end
     * before READY, and the plugin can make none. 0: none */
    uint32_t rehearsal_threads;
};
#define SANDBOX_REHEARSAL_THREADS_MAX 3u
#define SANDBOX_LIMITS_DEFAULT                                                      \
    (struct sandbox_limits)                                                         \
    {                                                                               \
        .memory_bytes_max = 100u << 20, .descriptors_max = 50, .cpu_percent = 10,   \
        .cpu_burst_ms = 1000, .stack_bytes_max = 8u << 20, .load_timeout_ms = 5000, \
        .reply_timeout_ms = 5000, .state_bytes_max = 16u << 20                      \
    }
#define SANDBOX_GEOMETRY_DEFAULT                                                \
    (struct channel_geometry)                                                   \
    {                                                                           \
        .depth = 4, .input_slot_bytes = 4u << 20, .output_slot_bytes = 8u << 20 \
    }

/* What a plugin may use beside its records. The host opens it and passes the descriptor: a worker
 * never opens or connects by itself. */
#define SANDBOX_RESOURCE_FILE       1u /* name: absolute path of a regular file, opened for reading */
#define SANDBOX_RESOURCE_CONNECTION 2u /* name: "host:port", resolved and connected (TCP) */
/* name: absolute path of a shared library, checked and copied as a module is; or a name without a
 * slash, which the worker's loader finds in the system's folders: no descriptor goes with it */
#define SANDBOX_RESOURCE_LIBRARY 3u
#define SANDBOX_RESOURCES_MAX    8u
struct sandbox_resource {
    uint32_t kind;
    struct sluice_text name; /* at most SANDBOX_TEXT_SIZE_MAX */
};

/* All borrowed for the call of spawn. */
struct sandbox_spawn {
    struct sluice_text instance; /* name for messages, at most SANDBOX_NAME_SIZE_MAX */
    const struct staged_module *module;
    struct sluice_text config_json; /* a JSON object; empty: {} */
    struct sluice_text script_name; /* for processors that interpret ("sluice.script/1") … */
    struct sluice_bytes script;     /* … data NULL: no script */
    struct sandbox_limits limits;
    struct channel_geometry geometry;
    int32_t cpu; /* pin the worker to this processor; -1: none */
    /* Topics that the plugin may emit to beside its default output; emit() tells the plugin at
     * once. The host must check again what the results name. outputs_any: no early check. */
    bool outputs_any;
    uint32_t output_count; /* at most SANDBOX_OUTPUTS_MAX */
    const struct sluice_text *outputs;
    uint32_t resource_count; /* at most SANDBOX_RESOURCES_MAX */
    const struct sandbox_resource *resources;
    bool write_metrics; /* it may make metrics of its own (sluice.metrics/1) */
    /* The broker's public configuration, a JSON object (sluice.broker_config/1); data NULL: it may
     * not read that. At most SANDBOX_CONFIG_SIZE_MAX */
    struct sluice_text broker_config_json;
    /* A forbidden call is logged and answered with EPERM instead of the worker's end. For finding
     * out what a plugin needs, never for production; without a listener it is not observed. */
    bool observe;
    /* Lives that the module must get through before its real one begins, for validators: at most
     * SANDBOX_REHEARSAL_SIZE_MAX steps c(reate) i(nit) a(ctivate) b(atch of no records)
     * p (batch of a few records) r(econfigure) d(rain) x (deactivate) q (destroy); capitals drive a
     * second instance beside the first. What fails is destroyed. A digit names the thread of the
     * steps behind it, 0 to limits.rehearsal_threads; "&" has both instances process batches at
     * once, on threads 1 and 2. READY tells a digest of what the batches "p" gave.
     *
     * A frontend, which no worker hosts, can only be rehearsed: on a broker and connections that
     * are made up from rehearsal_seed and, with `script` (what a client sent), from that. Each step
     * is a life: l(ife) m (memory is refused) w (writes are refused) e (it is destroyed before its
     * calls to the broker ended) t (two instances on two threads, which must be there) k (whether
     * connections leave memory behind). The worker then ends: STOPPED, and what was done, or
     * REFUSED, and what it did wrong. Empty: no rehearsal. */
    struct sluice_text rehearsal;
    uint64_t rehearsal_seed;
};
#define SANDBOX_REHEARSAL_SIZE_MAX 512u
/* Starts the process and returns while it still loads; READY or EXIT comes by poll.
 * now_ms: monotonic milliseconds, as in every call below. [blocks] */
sluice_status sandbox_worker_spawn(const struct sandbox *sandbox, const struct sandbox_spawn *spawn,
                                   int64_t now_ms, struct sandbox_worker **ret_worker, char *text,
                                   size_t text_size) SANDBOX_MUST_CHECK;

/* ---- why a worker ended ---- */
#define SANDBOX_CAUSE_TABLE(X)                                                          \
    /*name       status                 */                                              \
    X(STOPPED, SLUICE_OK)             /* asked to */                                    \
    X(EXIT, SLUICE_E_PLUGIN_CRASHED)  /* called exit */                                 \
    X(CRASH, SLUICE_E_PLUGIN_CRASHED) /* SIGSEGV, SIGABRT … */                        \
    X(DENIED, SLUICE_E_PLUGIN_DENIED) /* forbidden system call */                       \
    X(MEMORY, SLUICE_E_PLUGIN_MEMORY)                                                   \
    X(DEADLINE, SLUICE_E_PLUGIN_TIMEOUT) /* of a task, of loading, of a reply */        \
    X(CPU, SLUICE_E_PLUGIN_TIMEOUT)      /* cpu_s_max */                                \
    X(PROTOCOL, SLUICE_E_PLUGIN_PROTOCOL)                                               \
    X(REFUSED, SLUICE_E_PLUGIN_LOAD) /* dlopen, ABI, create, init or activate failed */ \
    X(SETUP, SLUICE_E_INTERNAL)      /* the worker could not confine itself */          \
    X(KILLED, SLUICE_E_CANCELLED)    /* by sandbox_worker_kill */                       \
    X(TASK, SLUICE_E_PLUGIN_CRASHED) /* in a task of its own (sluice.task/1), no batch */
enum {
#define SANDBOX_CAUSE_ENUM(name, status) SANDBOX_CAUSE_##name,
    SANDBOX_CAUSE_TABLE(SANDBOX_CAUSE_ENUM)
#undef SANDBOX_CAUSE_ENUM
        SANDBOX_CAUSE_COUNT
};
const char *sandbox_cause_name(uint32_t kind); /* "denied"; for metrics labels */

struct sandbox_cause {
    uint32_t kind;        /* SANDBOX_CAUSE_* */
    sluice_status status; /* as the table, or the plugin's own from create, init, activate */
    int32_t signal;       /* 0: none */
    int32_t exit_code;    /* -1: none */
    bool loading;      /* before READY: the code or its configuration is at fault, not a record */
    bool task_running; /* a task was in flight; its id: */
    uint64_t task_id;
    /* The record that it had begun, as index in the task's `records`, by its own word: a place to
     * look first, and nothing more. SANDBOX_PROGRESS_NONE: not known. */
    uint32_t progress;
    /* It was in a task of its own, as it said: the batch in flight had not begun. A hint that a
     * hostile worker can give too, so believe it once for each batch. */
    bool in_task;
    char syscall[32];                 /* of DENIED: "socket"; empty when unknown */
    char text[SANDBOX_TEXT_SIZE_MAX]; /* one sentence for people */
};

/* ---- events ---- */
#define SANDBOX_EVENT_READY        1u
#define SANDBOX_EVENT_RESULT       2u
#define SANDBOX_EVENT_LOG          3u
#define SANDBOX_EVENT_RECONFIGURED 4u
#define SANDBOX_EVENT_DRAINED      5u
#define SANDBOX_EVENT_EXIT         6u /* the last event, and the only one that always comes */

/* What the module said of itself (describe); untrusted text, lengths checked, contents not. */
struct sandbox_attachment {
    uint32_t on; /* SLUICE_ON_*, 0: unspecified */
    uint32_t deadline_ms;
    struct sluice_text name;
    struct sluice_text input;
    struct sluice_text output;
    struct sluice_text on_error;
    int64_t state_version; /* 0: not said */
    uint32_t state_import_count;
    int64_t state_imports[SLUICE_STATE_IMPORTS_MAX];
    uint32_t extra_output_count;
    struct sluice_text extra_outputs[SANDBOX_OUTPUTS_MAX];
};

/* Which walls stand around a worker: what it reported before it loaded the module, and what the
 * host did. layers.h makes sentences of it. */
#define SANDBOX_CGROUP_NONE  0u
#define SANDBOX_CGROUP_V1    1u
#define SANDBOX_CGROUP_V2    2u
#define SANDBOX_SPACE_USER   (1u << 0)
#define SANDBOX_SPACE_NET    (1u << 1)
#define SANDBOX_SPACE_IPC    (1u << 2)
#define SANDBOX_SPACE_UTS    (1u << 3)
#define SANDBOX_SPACE_MOUNT  (1u << 4)
#define SANDBOX_SPACE_CGROUP (1u << 5)
struct sandbox_report {
    int32_t landlock_abi;  /* 0: none on this kernel */
    bool listener;         /* denied calls are named by the host */
    bool listener_refused; /* the kernel has listeners, but none could be installed here */
    bool ids_dropped;      /* runs under a user id of its own */
    bool capabilities_dropped;
    bool observe;
    uint32_t uid;
    uint32_t spaces;        /* SANDBOX_SPACE_* of its own */
    int32_t spaces_error;   /* errno of the first that the kernel refused; 0: none */
    uint32_t cgroup_memory; /* SANDBOX_CGROUP_* that bounds it */
    uint32_t cgroup_cpu;
    uint32_t cgroup_tasks;
    struct sandbox_limits limits;
};

/* Views live until the next call with this worker. */
struct sandbox_event {
    uint32_t kind; /* SANDBOX_EVENT_* */
    union {
        struct {
            struct sluice_text id; /* of the plugin's descriptor */
            struct sluice_text version;
            struct sandbox_attachment attachment;
            struct sandbox_report report;
            bool wants_state; /* asked for sluice.state/1 */
            uint32_t rehearsal_digest;
        } ready;
        struct sandbox_result result;
        struct {
            int32_t level;       /* SLUICE_LOG_* */
            uint32_t lost_count; /* lines dropped before this one */
            struct sluice_text line;
            const char *denied; /* name of a call that observe let fail; NULL: it is no such line */
        } log;
        struct {
            sluice_status status;
            struct sluice_text error;
        } reply; /* RECONFIGURED, DRAINED */
        struct sandbox_cause exit;
    };
};

/* One descriptor to watch for reading (level-triggered), from spawn until close. [loop] */
int sandbox_worker_fd(const struct sandbox_worker *worker);
/* Takes the next event; false: nothing more now. Bounded work per call. [loop] */
bool sandbox_worker_poll(struct sandbox_worker *worker, int64_t now_ms,
                         struct sandbox_event *ret_event);

/* ---- tasks, after READY ---- */
/* Memory for the records of the next task, inside the slab; see channel_reserve. [loop] */
sluice_status sandbox_worker_reserve(struct sandbox_worker *worker, uint64_t size,
                                     uint8_t **ret_memory) SANDBOX_MUST_CHECK;
/* E_BUSY: depth is reached. E_LIMIT: too large for a slot: split the records. E_INVALID: a bound is
 * broken. E_PLUGIN_CRASHED: the worker is gone or not READY. Results come in the order of
 * submission. [loop] */
sluice_status sandbox_worker_submit(struct sandbox_worker *worker, const struct sandbox_task *task,
                                    int64_t now_ms) SANDBOX_MUST_CHECK;
uint32_t sandbox_worker_in_flight(const struct sandbox_worker *worker);

/* ---- control, after READY; answered by an event; one at a time (E_BUSY) ---- */
/* Between batches; the plugin may refuse, then the old configuration stays in force. [loop] */
sluice_status sandbox_worker_reconfigure(struct sandbox_worker *worker,
                                         struct sluice_text config_json,
                                         int64_t now_ms) SANDBOX_MUST_CHECK;
/* After all submitted tasks: drain, deactivate, destroy; DRAINED, then EXIT with STOPPED. [loop] */
sluice_status sandbox_worker_drain(struct sandbox_worker *worker,
                                   int64_t now_ms) SANDBOX_MUST_CHECK;

/* When sandbox_worker_expire has something to do; INT64_MAX: never as things are. Changes with
 * submit and poll. [loop] */
int64_t sandbox_worker_deadline(const struct sandbox_worker *worker);
/* Kills the worker if a deadline passed. True: it did; EXIT follows by poll. [loop] */
bool sandbox_worker_expire(struct sandbox_worker *worker, int64_t now_ms);
/* Kills it now; the first reason given wins. EXIT follows by poll. [loop] */
void sandbox_worker_kill(struct sandbox_worker *worker, uint32_t cause, const char *text);
/* Frees all; before EXIT it kills and waits for the end of the process [blocks a few ms]. NULL is
 * fine; returns NULL. */
struct sandbox_worker *sandbox_worker_close(struct sandbox_worker *worker);

int32_t sandbox_worker_pid(const struct sandbox_worker *worker);
/* How long it must rest before the next task may be given, by its CPU share; 0: not at all. The
 * caller holds tasks back; asks the worker's CPU clock once. [loop] */
uint32_t sandbox_worker_rest_ms(struct sandbox_worker *worker, int64_t now_ms);
/* To be called about twice a second: a worker without a batch is killed (SANDBOX_CAUSE_TASK) when a
 * task of its own takes longer than reply_timeout_ms, or when it uses more CPU than its share.
 * [loop] */
void sandbox_worker_watch_idle(struct sandbox_worker *worker, int64_t now_ms);
/* One of its own metrics (sluice.metrics/1). Numbers of an untrusted plugin, which may change in
 * any way; the name is checked. */
#define SANDBOX_METRIC_CELLS 253u /* of a histogram: 252 buckets as of core's metrics, the sum */
struct sandbox_metric {
    uint32_t kind; /* SLUICE_METRIC_* */
    char name[SLUICE_METRIC_NAME_MAX + 1];
    uint64_t cells[SANDBOX_METRIC_CELLS]; /* of a counter or a gauge: the first */
};
/* False: there is none of that number. Until close, also after its end. [loop] */
bool sandbox_worker_metric(const struct sandbox_worker *worker, uint32_t index,
                           struct sandbox_metric *ret_metric);
/* What it reported, complete from READY on. [loop] */
const struct sandbox_report *sandbox_worker_report(const struct sandbox_worker *worker);
/* Calls answered with EPERM while observed. [loop] */
uint64_t sandbox_worker_observed(const struct sandbox_worker *worker);
/* CPU time used so far, from the worker's CPU clock; after its end all that it used. [any] */
uint64_t sandbox_worker_cpu_ns(const struct sandbox_worker *worker);
/* The same as sandbox_worker_rest_ms read it last, or its end; no system call. [loop] */
uint64_t sandbox_worker_cpu_seen_ns(const struct sandbox_worker *worker);
/* Resident memory now, shared pages included; 0 after its end. Reads /proc, never a disk. [any] */
uint64_t sandbox_worker_rss_bytes(const struct sandbox_worker *worker);

#endif
