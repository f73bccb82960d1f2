/* plugin_manager.h: everything about plugins that the wiring sees: scan, load, attach, reload,
 * list.
 *
 *   plugins.dir ─► scan (helper) ─► version (staged copy, manifest) ─► worker beside the old ─►
 * READY ─► attach: stage tasks on the shards of the input's partitions, or gates ─► old one drains
 *
 * The manager's own state lives on the loop of shard 0; each shard has a part on its own loop,
 * reached by shard_call. Any failure before the switch leaves what runs as it is and is one line in
 * the log.
 *
 * Order in the wiring:
 *   plugin_manager_new                     before shards are opened
 *   shard_config.hooks = plugin_manager_hooks, hooks_arg = the manager; shard_open …
 *   plugin_manager_start                   once the loops run; `started` after the first scan has
 *                                          loaded or refused everything: open listeners after it,
 * so that no record passes a gate that was not there yet plugin_manager_stop, then shard_stop;
 * plugin_manager_free after the loops ended */
#ifndef SL_PLUGIN_PLUGIN_MANAGER_H
#define SL_PLUGIN_PLUGIN_MANAGER_H

#include "plugin/manifest.h"
#include "plugin/worker_meter.h"
#include "shard/shard.h"

#include <sandbox/sandbox.h>

#define PLUGIN_INSTANCES_MAX 256u
#define PLUGIN_TEXT_BYTES    512u

struct plugin_manager;

#define PLUGIN_ON_UNSET   0
#define PLUGIN_ON_LOG     1 /* a stage: after commit */
#define PLUGIN_ON_PRODUCE 2 /* a gate: before the log */

/* plugins.instances.<name>; what is NULL, 0 or empty is as the module says. */
struct plugin_instance_config {
    const char *name;
    const char
        *module; /* file name in plugins.dir, "mask.lua"; NULL: the one whose id is the name */
    int32_t on;  /* PLUGIN_ON_* */
    const char *const *inputs; /* topic names, or patterns with one trailing '*' */
    uint32_t input_count;
    const char *output;         /* "%s" stands for the input topic */
    const char *const *outputs; /* further topics that it may emit to */
    uint32_t output_count;
    bool from_beginning;     /* a new position starts at the log's start, not at its end */
    const char *config_json; /* a JSON object; NULL: {} */
    const char *sha256;      /* 64 hex digits: pins a frontend that is not first-party; or NULL */
    int64_t memory_bytes;
    int64_t deadline_ms;
    int64_t descriptors;
    int64_t cpu_percent;
    int64_t state_bytes;
    const char *const *permissions; /* plugin_permission.h */
    uint32_t permission_count;
    const char *broker_config_json; /* for those with read_config; NULL: it has not */
    struct error_rule on_error;
    bool observe; /* denied calls are logged and fail; the configuration allows it in --dev alone */
    int64_t rollback_errors_percent; /* -1: as plugin_settings.rollback; so the next */
    int64_t rollback_grace_ms;
    int64_t shadow_records; /* of a new version's shadow run; 0: none */
    int64_t shadow_max_diff_percent;
};

/* A fresh deploy goes back to the version before it when, within the grace, at least errors_min of
 * its records, calls or workers fail, and their share is errors_percent points above the share
 * before the deploy. */
struct plugin_rollback_rule {
    int64_t errors_percent; /* 0: never */
    int64_t errors_min;
    int64_t grace_ms;
};

/* Borrowed for the call that takes it; copied. */
struct plugin_settings {
    const char *plugins_dir;
    bool makes_no_folder;    /* plugins_dir may be missing: then it is only looked at */
    const char *system_dir;  /* of first-party modules */
    const char *kept_dir;    /* of copies of versions that ran (plugin_kept.h); NULL: in memory */
    const char *worker_path; /* absolute path of sluice-worker */
    bool dev; /* a dropped file gets all but internal topics; else only what an instance grants */
    const struct plugin_instance_config *instances;
    uint32_t instance_count;
    struct plugin_rollback_rule rollback;
};

/* [shard 0's loop] */
struct plugin_frontend_events {
    void *arg;
    /* A frontend module that may be loaded in-process lies in plugins.dir: it equals the file of
     * that name in system_dir (then path is that one), or it is pinned (then path is of a copy that
     * nobody changes). name: "frontend_kafka". replaces: a version of it serves already. */
    void (*appeared)(void *arg, const char *name, const char *path, bool replaces);
    void (*vanished)(void *arg, const char *name);
};

struct plugin_manager_config {
    struct sl_os *os;
    struct shard_set *set; /* filled before plugin_manager_start */
    struct sl_logger *logger;
    const struct plugin_settings *settings;
    struct plugin_frontend_events frontends; /* slots may be NULL */
};

sl_err plugin_manager_new(const struct plugin_manager_config *config,
                          struct plugin_manager **ret_manager) SL_MUST_CHECK;
/* For shard_config.hooks; hooks_arg is the manager. */
extern const struct shard_hooks plugin_manager_hooks;
/* [shard 0's loop] E_UNSUPPORTED: no sandbox on this kernel (no plugin will run; the sentence is
 * logged); the broker may go on without. `started` runs once on the loop, perhaps before the
 * return. */
sl_err plugin_manager_start(struct plugin_manager *manager, void (*started)(void *arg),
                            void *arg) SL_MUST_CHECK;
/* Ends all workers and tasks; what was in flight is not committed. [shard 0's loop] */
void plugin_manager_stop(struct plugin_manager *manager, void (*stopped)(void *arg), void *arg);
/* After stopped. NULL is fine; returns NULL. */
struct plugin_manager *plugin_manager_free(struct plugin_manager *manager);

typedef void plugin_reload_done(void *arg, sl_err err, const char *text);

/* What a new configuration does with an instance. */
enum {
    PLUGIN_RELOAD_LIVE,    /* its config alone differs: the plugin is told, and may refuse */
    PLUGIN_RELOAD_RESTART, /* a worker with the new one beside the old, which takes over */
    PLUGIN_RELOAD_ADD,     /* loaded afterwards, if its file is there */
    PLUGIN_RELOAD_REMOVE,  /* unloaded afterwards */
};
struct plugin_reload_result {
    const char *name; /* in plugins.instances; one that moves to another file comes twice */
    int32_t what;     /* PLUGIN_RELOAD_* */
    sl_err err;       /* of LIVE and RESTART: it refused; else: it is in force but does not run */
    const char *text; /* what it cost, or the plugin's words */
    int64_t took_ns;
};
/* err: SLUICE_OK, or E_PLUGIN_CONFIG, E_PLUGIN_CRASHED: one refused and nothing changed anywhere.
 * Views live for the call. */
typedef void plugin_reloaded_fn(void *arg, sl_err err, const struct plugin_reload_result *results,
                                uint32_t count);
/* New plugins.instances. dry_run: only says what would be done. A command that is under way ends
 * first. E_BUSY: a reload is under way. done follows, perhaps inside. [shard 0's loop] */
void plugin_manager_reload(struct plugin_manager *manager, const struct plugin_settings *settings,
                           bool dry_run, plugin_reloaded_fn *done, void *arg);

/* Puts an earlier version of an instance back, from the position that is committed now. to: the
 * beginning of its hash, or its version; NULL: the last one that was not rolled back itself. done
 * follows, perhaps inside: SLUICE_OK with a sentence, E_NOT_FOUND, E_BUSY (it is being loaded), or
 * why the version does not take over; what ran then goes on. [shard 0's loop] */
void plugin_manager_rollback(struct plugin_manager *manager, const char *name, const char *to,
                             bool dry_run, plugin_reload_done *done, void *arg);
/* ---- dead letters go back ---- */

struct redrive_request {
    const char *name;           /* of the stage, or of a topic with letters of groups */
    const char *to;             /* another topic; NULL: where they came from */
    int64_t partition, offset;  /* of the dead-letter topic; -1: all */
    const char *const *filters; /* record/dead_letter.h; all must match */
    uint32_t filter_count;
    bool dry_run; /* only checked: the status then is that of the last one that was meant */
};
/* Of the last redrive. */
struct redrive_status {
    char name[TOPIC_NAME_BYTES_MAX + 1u]; /* empty: there was none */
    bool is_running;
    bool of_groups;        /* letters of groups, not of a stage */
    uint64_t total, seen;  /* letters to look at; those looked at */
    uint64_t done, failed; /* handed back; of these, dead letters again */
    uint64_t orphans;      /* chosen, but where they came from is gone */
    uint64_t distant;      /* chosen, but where they came from lies on another shard */
    uint64_t bare;         /* chosen, but they hold no record */
    sl_err err;            /* why it ended before its time */
    char text[256];
};
/* Begins it, on all shards; one at a time. What is committed is not done again: after a crash, or
 * an error, the same request does the rest. Done when the status says so. E_BUSY, E_NOT_FOUND,
 * E_UNKNOWN_TOPIC, E_INVALID (a filter) with a sentence. [shard 0's loop] */
sl_err plugin_manager_redrive(struct plugin_manager *manager, const struct redrive_request *request,
                              char ret_reason[1024]) SL_MUST_CHECK;
void plugin_manager_redrive_status(const struct plugin_manager *manager,
                                   struct redrive_status *ret_status);

/* ---- commands of an operator ---- */

#define PLUGIN_COMMAND_TABLE(X)                                                                 \
    X(LOAD, "load", "puts a file into plugins.dir, durably, and loads it")                      \
    X(RELOAD, "reload", "reads the file of an instance again and loads it, changed or not")     \
    X(UNLOAD, "unload", "ends an instance until the next start, reload, or change of its file") \
    X(ENABLE, "enable", "takes a disable back and loads the instance")                          \
    X(DISABLE, "disable", "ends an instance; it stays so, across restarts, until enable")       \
    X(PAUSE, "pause", "stops a stage between two batches; it stays so, across restarts")        \
    X(RESUME, "resume", "takes a pause back")                                                   \
    X(SEEK, "seek", "moves the positions of a stage")                                           \
    X(FORGET, "forget", "removes positions, state and switches of an instance that is not loaded")
enum {
#define PLUGIN_COMMAND_ENUM(name, word, doc) PLUGIN_COMMAND_##name,
    PLUGIN_COMMAND_TABLE(PLUGIN_COMMAND_ENUM)
#undef PLUGIN_COMMAND_ENUM
        PLUGIN_COMMAND_COUNT
};
#define PLUGIN_COMMANDS_MAX 64u /* that wait; they are done one after the other */

enum { PLUGIN_SEEK_START, PLUGIN_SEEK_END, PLUGIN_SEEK_OFFSET, PLUGIN_SEEK_TIME };
struct plugin_command {
    int32_t kind;          /* PLUGIN_COMMAND_* */
    const char *name;      /* of the instance; LOAD: of the file, "mask.lua" */
    const char *who;       /* "User:admin" */
    struct sl_bytes bytes; /* LOAD: what is in the file */
    bool confirmed;        /* else what cannot be undone, or opens a gate, is E_UNCONFIRMED */
    bool dry_run;          /* all checks; the outcome says what would be, and nothing changes */
    int32_t seek_to;       /* PLUGIN_SEEK_* */
    int64_t seek_value;    /* offset, milliseconds since 1970, records behind START or before END */
    const char *topic;     /* SEEK: of this topic only; or NULL */
    int64_t shadow_records; /* RELOAD: of a shadow run; 0: as the configuration says */
    int64_t shadow_max_diff_percent;
    int64_t partition; /* SEEK: this one only; -1: all */
};
/* A position that a command moved, or forgot (after: -1). */
struct plugin_move {
    char topic[MANIFEST_TOPIC_BYTES]; /* empty: its topic is gone */
    uint32_t partition;
    int64_t before, after;
};
struct plugin_outcome {
    sl_err err;
    const char *text; /* what was done, or why it was not: a sentence */
    bool changed;     /* false with SLUICE_OK: it was so before */
    const struct plugin_move *moves;
    uint32_t move_count;
};
/* Exactly once, with views that live for the call. */
typedef void plugin_command_done(void *arg, const struct plugin_outcome *outcome);
/* What is done is durable when it is said. Everything is copied. E_BUSY: too many wait; E_NOT_FOUND
 * names what is like it. [shard 0's loop] */
void plugin_manager_command(struct plugin_manager *manager, const struct plugin_command *command,
                            plugin_command_done *done, void *arg);
const char *plugin_command_word(int32_t kind); /* "load" */

/* ---- what runs, for `plugin list`, `plugin info` and /metrics; views live for the call ---- */

/* Events since the broker's start, beside the records: */
#define PLUGIN_COUNT_TABLE(X)                                                                \
    X(RECORDS_IN, "records_in", "records given to the plugin whose results are committed")   \
    X(RECORDS_OUT, "records_out", "records written to output topics")                        \
    X(DROPPED, "records_dropped", "records that the plugin dropped")                         \
    X(REJECTED, "records_rejected",                                                          \
      "records refused: dead-lettered by a stage, or answered by a gate")                    \
    X(POISONED, "records_poisoned",                                                          \
      "records dead-lettered because the plugin died or failed on them")                     \
    X(DEAD_LETTERED, "records_dead_lettered", "records written to the dead letters")         \
    X(DISCARDED, "records_discarded", "records left out because of on_error: drop")          \
    X(REDRIVEN, "records_redriven", "dead letters that were handed back to the plugin")      \
    X(RETRIES, "retries", "batches that came again")                                         \
    X(RETRIED, "records_retried", "records that came again")                                 \
    X(TIMEOUTS, "timeouts", "gate calls past their deadline")                                \
    X(STARTS, "worker_starts", "worker processes started")                                   \
    X(DEATHS, "worker_deaths", "worker processes that ended unasked")                        \
    X(RESTS, "cpu_rests", "times that a worker used up its share of CPU and batches waited") \
    X(RELOADS, "reloads", "new versions that took over")                                     \
    X(REFUSED, "reloads_refused", "versions that did not load; what ran before went on")     \
    X(ROLLBACKS, "rollbacks", "times that an earlier version was put back")                  \
    X(CONFIGS, "config_reloads", "changes of its config that it took while it runs")         \
    X(CONFIGS_REFUSED, "config_reloads_refused",                                             \
      "reloads that failed as it, or a new worker of it, refused; nothing changed")
enum {
#define PLUGIN_COUNT_ENUM(name, key, doc) PLUGIN_COUNT_##name,
    PLUGIN_COUNT_TABLE(PLUGIN_COUNT_ENUM)
#undef PLUGIN_COUNT_ENUM
        PLUGIN_COUNT_COUNT
};

/* A partition that a stage reads. */
struct plugin_lag {
    const char *plugin;
    const char *topic;
    uint32_t partition;
    int64_t next_offset; /* position */
    int64_t end_offset;
    int64_t time_ms;   /* timestamp of what it reads next, or of a run with it; -1: not known */
    const char *stall; /* what it waits for: "worker", "log full", …; "" when it does not */
};

#define PLUGIN_PAST_MAX  8u
#define PLUGIN_WHY_BYTES 256u
/* A version that ran before; it can be put back. */
struct plugin_past {
    const char *hash;
    const char *version;
    int64_t since_ms; /* wall clock */
    int64_t until_ms;
    const char *why; /* it ended */
};

#define PLUGIN_DIFFS_MAX 3u
/* The last shadow run, or the one under way. */
struct plugin_shadow {
    bool is_under_way;
    const char *hash; /* of the new version; empty: there was none */
    uint64_t same;
    uint64_t changed;
    const char *diffs[PLUGIN_DIFFS_MAX]; /* the first ones */
    uint32_t diff_count;
};

#define PLUGIN_CAUSES_MAX 16u
/* A histogram, in nanoseconds. */
struct plugin_times {
    uint64_t count;
    uint64_t sum;
    uint64_t p50, p99, p999;
};
struct plugin_denial {
    char call[32];
    uint64_t count;
};
struct plugin_info {
    const char *name;
    const char *path;    /* of the file */
    const char *module;  /* what runs it: "processor_lua 1.0.0", or the file's own id and version */
    const char *version; /* of the plugin, "" when it says none */
    const char *hash;    /* first 8 hex digits of the file's SHA-256 */
    const char *kind;    /* "processor" */
    const char *on;      /* "log", "produce" */
    const char *input;   /* names, parted by commas */
    const char *output;
    const char *state;       /* "starting", "running", "waiting", "refused", "draining", "unloaded",
                                "disabled", "paused", "awaited" (its file is not there) */
    const char *reason;      /* why it is not running, or what was last refused; may be empty */
    const char *switched_by; /* who disabled or paused it; empty: nobody */
    int64_t switched_ms;     /* when; milliseconds since 1970 */
    const char *on_error;    /* NULL or empty: not attached */
    uint64_t counts[PLUGIN_COUNT_COUNT];
    /* Deaths of workers by cause ("crash", "deadline", …; sandbox_cause_name). */
    const char *cause_names[PLUGIN_CAUSES_MAX];
    uint64_t cause_counts[PLUGIN_CAUSES_MAX];
    uint32_t cause_count;
    uint64_t gauges[PLUGIN_GAUGE_COUNT];
    struct plugin_times times[PLUGIN_TIME_COUNT];
    struct plugin_denial denied[WORKER_METER_CALLS];
    uint32_t denied_count;
    struct worker_metrics_sum own; /* metrics of its own */
    const char *last_error;        /* "": none; its time is in gauges */
    int32_t pid;                   /* of the worker on shard 0; 0: none */
    uint64_t cpu_ns;
    uint64_t rss_bytes; /* of that worker, now */
    /* What stands around it; NULL: no worker runs. */
    const struct sandbox_report *report;
    uint64_t observed; /* calls that observe let fail */
    const struct plugin_permissions
        *asked; /* by the module, of a script processor_lua; NULL as the two below: none */
    const struct plugin_permissions *granted; /* by the configuration */
    const struct plugin_permissions *has;
    const char (*outputs)[MANIFEST_TOPIC_BYTES]; /* beside output */
    uint32_t output_count;
    bool outputs_any; /* all but internal topics */
    uint32_t deadline_ms;
    int64_t since_ms; /* wall clock: the active version took over; 0: none did */
    struct plugin_past past[PLUGIN_PAST_MAX]; /* newest first */
    uint32_t past_count;
    struct plugin_shadow shadow;
};
const char *plugin_count_key(uint32_t count); /* "records_in" */
typedef void plugin_info_fn(void *arg, const struct plugin_info *info);
/* Every instance, refused files and entries whose file is awaited too, in the order of names.
 * [shard 0's loop] */
void plugin_manager_each(struct plugin_manager *manager, plugin_info_fn *visit, void *arg);
/* Looks at the workers on a shard: CPU, memory, queue. [the shard's loop] */
void plugin_manager_measure(const struct plugin_manager *manager, uint32_t shard, bool exactly);
/* [the shard's loop] The histograms of each instance on this shard. */
typedef void plugin_meter_fn(void *arg, const char *plugin, const struct worker_meter *meter);
void plugin_manager_each_meter(const struct plugin_manager *manager, uint32_t shard,
                               plugin_meter_fn *visit, void *arg);
typedef void plugin_lag_fn(void *arg, const struct plugin_lag *lag);
/* What stages read on a shard; views live for the call. [the shard's loop] */
void plugin_manager_each_lag(const struct plugin_manager *manager, uint32_t shard,
                             plugin_lag_fn *visit, void *arg);

#endif
