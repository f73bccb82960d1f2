/* config.h: the broker's configuration: one typed, immutable value and where each part of it came
 * from.
 *
 *   defaults < --dev defaults < files, in order < SLUICE_A__B_C < --home, --set     (later wins)
 *        └── each layer is a tree of nodes, checked against the one option table ──► merge ──►
 * sl_config
 *
 * Files are YAML in a restricted form (no anchors, aliases, tags, merge keys, several documents;
 * duplicate keys are errors) and therefore JSON too. The types are ours: a value means what its key
 * says, so that `no`, `1e3` or `0123` never surprise. Nothing here keeps state or logs; errors come
 * back as sentences in a report. Everything is [any] thread; config_load [blocks]. */
#ifndef SL_CONTROL_CONFIG_H
#define SL_CONTROL_CONFIG_H

#include "os/os.h"

#include <stdio.h>

enum { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR }; /* = SLUICE_LOG_* */
enum { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum { CONFIG_SANDBOX_ENFORCE, CONFIG_SANDBOX_OBSERVE };
enum { CONFIG_UNIX_OWNER, CONFIG_UNIX_GROUP, CONFIG_UNIX_EVERYBODY };
enum { CONFIG_UNIX_LOGIN_SASL, CONFIG_UNIX_LOGIN_PEER };
enum { CONFIG_CLIENT_AUTH_NONE, CONFIG_CLIENT_AUTH_REQUESTED, CONFIG_CLIENT_AUTH_REQUIRED };
enum { CONFIG_ON_UNSET, CONFIG_ON_LOG, CONFIG_ON_PRODUCE }; /* = SLUICE_ON_* */

struct config_list {
    const char *const *items; /* [borrows, as long as the sl_config] */
    uint32_t count;
};

/* Where a value was said. */
enum config_source {
    CONFIG_SOURCE_DEFAULT,
    CONFIG_SOURCE_DEV, /* default of --dev */
    CONFIG_SOURCE_FILE,
    CONFIG_SOURCE_ENVIRONMENT,
    CONFIG_SOURCE_COMMAND_LINE,
};
struct config_origin {
    enum config_source source;
    const char *name;      /* file, variable or flag; NULL for defaults */
    uint32_t line, column; /* of a file, from 1 */
};
/* "default", "dev", "file.yaml:3:5", "SLUICE_LOG__LEVEL", "--set". Returns ret_text. */
#define CONFIG_ORIGIN_TEXT_MAX 320
const char *config_origin_text(const struct config_origin *origin,
                               char ret_text[CONFIG_ORIGIN_TEXT_MAX]);

/* One entry of plugins.instances. Texts that are not set are empty, numbers 0. */
struct config_instance {
    const char *name;
    const char *module;
    int32_t on;               /* CONFIG_ON_* */
    struct config_list input; /* topic names, or patterns with one trailing '*' */
    const char *output;
    struct config_list outputs; /* further topics that it may emit to */
    const char *config_json;    /* its own configuration, a JSON object; "{}" when unset */
    const char *sha256;         /* pin of a frontend that is not first-party */
    int64_t memory_bytes;
    int64_t deadline_ms;
    int64_t descriptors;
    int64_t cpu_percent;
    int64_t state_bytes;
    int64_t rollback_errors_percent; /* -1: as plugins.rollback, so the next */
    int64_t rollback_grace_ms;
    int64_t shadow;
    int64_t shadow_max_diff_percent;
    struct config_list permissions;
    int32_t sandbox;             /* CONFIG_SANDBOX_* */
    const char *on_error;        /* as error_rule_parse takes it; empty: as the module says */
    struct config_origin origin; /* of the entry as a whole */
};

/* TLS of a listener. */
struct config_tls {
    const char *certificate;  /* empty: plaintext */
    const char *key;          /* empty: in the file of the certificate */
    const char *key_password; /* so the next; empty: it is not encrypted */
    const char *key_password_file;
    const char *ca;
    const char *crl;     /* a file or a folder; empty: none */
    int32_t client_auth; /* CONFIG_CLIENT_AUTH_* */
    struct config_list protocols;
    const char *ciphers;
    const char *cipher_suites;
    const char *principal_mapping_rules;
    int64_t handshake_timeout_ms;
};

struct config_node;
struct config_arena;

struct sl_config {
    struct {
        const char *listen;
        const char *advertised;     /* empty: as listen; "auto" */
        const char *listeners_json; /* further ones by name, an object */
        int64_t request_bytes_max;
        int64_t connections_max;
        int64_t connections_per_address_max; /* 0: no limit */
        int64_t read_buffer_bytes;
        int64_t request_timeout_ms;  /* 0: none */
        int64_t answer_timeout_ms;   /* 0: none */
        int64_t login_timeout_ms;    /* 0: none */
        int64_t connections_idle_ms; /* 0: never */
        int64_t fetch_session_slots; /* of each loop */
        bool groups;
        bool legacy;
        struct {
            struct config_list mechanisms;
            int64_t session_lifetime_ms; /* 0: for ever */
        } sasl;
        struct config_tls tls;
    } kafka;
    struct {
        const char *listen;
        struct {
            struct config_list origins; /* none: it is off */
        } websocket;
        struct config_tls tls;
    } http;
    struct {
        const char *listen;
        const char *unix_path; /* empty: none */
        int32_t unix_access;   /* CONFIG_UNIX_OWNER … */
        int32_t unix_login;    /* CONFIG_UNIX_LOGIN_* */
        struct {
            int64_t connections_max; /* 0: none may have it */
            int64_t ring_bytes;      /* of each of two */
            int64_t look_us;         /* 0: never */
        } shm;
        int64_t frame_bytes_max;
        int64_t connections_max;
        int64_t subscriptions_max; /* of a connection */
        int64_t sources_max;       /* of a subscription */
        int64_t publishes_max;     /* requests of a connection that are under way */
        int64_t output_bytes_max;  /* waiting for a reader, beyond which nothing is pushed */
        int64_t keys_max;          /* of a partition, for the last record of each key */
        int64_t heartbeat_ms;      /* 0: none */
        struct {
            int64_t max;          /* different ones in Lua, of a loop; 0: none */
            int64_t errors_max;   /* records of a partition, one after the other */
            int64_t timeout_ms;   /* of a batch */
            int64_t memory_bytes; /* of a worker; so the next */
            int64_t cpu_percent;
        } filters;
        struct config_tls tls;
    } native;
    struct {
        const char *dir; /* CONFIG_NO_DISK: see config_has_disk */
    } data;
    struct {
        int64_t bytes_max; /* of all shards */
    } memory;
    struct {
        const char *dir;
        const char *system_dir;
        struct config_list enabled;
        const struct config_instance *instances;
        uint32_t instance_count;
        struct {
            int64_t errors_percent; /* 0: never */
            int64_t errors_min;
            int64_t grace_ms;
        } rollback;
    } plugins;
    struct {
        int32_t level;  /* CONFIG_LOG_DEBUG … */
        int32_t format; /* CONFIG_LOG_TEXT, CONFIG_LOG_JSON */
    } log;
    struct {
        int64_t shards;       /* 0: by the number of processors */
        const char *affinity; /* "auto", "none", or processors: "0,2-3" */
    } runtime;
    struct {
        bool topics_auto_create;
        int64_t topics_partitions;
        int64_t frame_bytes_max;
        int64_t memory_bytes_max;
        int64_t decompressed_bytes_max;
    } core;
    struct {
        int64_t segment_bytes;
        int64_t bytes_max;
        int64_t group_bytes_max;
        int64_t frame_bytes_max;
        int64_t seal_bytes;
        int64_t age_max_ms;
    } wal;
    struct {
        int64_t initial_rebalance_delay_ms;
        int64_t session_timeout_min_ms;
        int64_t session_timeout_max_ms;
        int64_t session_timeout_ms;
        int64_t members_max;
        int64_t offsets_retention_ms;
        const char *dead_letters_prefix;
        bool dead_letters_auto_create;
        int32_t assignor; /* GROUP_ASSIGNOR_* of the catalog */
        int64_t consumer_session_timeout_ms;
        int64_t consumer_heartbeat_interval_ms;
        int64_t consumer_assignment_interval_ms;
        int64_t streams_session_timeout_ms;
        int64_t streams_heartbeat_interval_ms;
        int64_t streams_initial_rebalance_delay_ms;
        int64_t streams_assignment_interval_ms;
        int64_t streams_standby_replicas;
        /* Bounds of what single groups are configured to have: */
        int64_t consumer_session_timeout_min_ms;
        int64_t consumer_session_timeout_max_ms;
        int64_t consumer_heartbeat_interval_min_ms;
        int64_t consumer_heartbeat_interval_max_ms;
        int64_t share_session_timeout_min_ms;
        int64_t share_session_timeout_max_ms;
        int64_t share_heartbeat_interval_min_ms;
        int64_t share_heartbeat_interval_max_ms;
        int64_t streams_session_timeout_min_ms;
        int64_t streams_session_timeout_max_ms;
        int64_t streams_heartbeat_interval_min_ms;
        int64_t streams_heartbeat_interval_max_ms;
    } groups;
    struct {
        int64_t ms;    /* -1: for ever */
        int64_t bytes; /* -1: all */
        int64_t check_interval_ms;
    } retention;
    struct {
        int64_t check_interval_ms;
        int64_t buffer_bytes; /* of all shards */
        int64_t min_dirty_percent;
        int64_t min_lag_ms;
        int64_t max_lag_ms;
        int64_t delete_retention_ms;
    } compaction;
    struct {
        int64_t scrub_bytes_per_s; /* 0: off */
        int64_t scrub_interval_ms; /* 0: only when asked */
        int64_t erase_max_ms;
        int64_t rewrite_bytes_per_s; /* of a shard */
    } storage;
    struct {
        bool authorization;
        bool allow_if_no_acl;
        const char *acl_file; /* empty: none */
        struct config_list super_users;
        int64_t failed_login_delay_ms;
        int64_t logins_at_once; /* costly steps of them, of each loop; so the next */
        int64_t logins_waiting_max;
        struct {
            const char *jwks_file;
            const char *key_file;
            const char *issuer;
            const char *audience;
            const char *principal_claim;
            int64_t skew_ms;
        } oauth;
    } security;
    struct {
        int64_t window_count;
        int64_t window_size_ms;
    } quota;
    struct {
        const char *topic; /* empty: clients are not asked for metrics */
        int64_t bytes_max;
    } telemetry;
    struct {
        int64_t id;
    } node;
    struct {
        const char *socket; /* path */
    } admin;
    bool dev;
    const struct config_origin *origins; /* by index in the option table (config_option.h) */
    const struct config_node *root;      /* all layers merged (config_tree.h) */
    const char *executable;              /* as in config_sources; may be NULL */
    struct config_arena *arena;          /* owns all texts, the tree and this struct */
};
struct sl_config *config_free(struct sl_config *config); /* NULL is fine; returns NULL */

#define CONFIG_NO_DISK   "none"                       /* of data.dir: everything is in memory */
#define CONFIG_NO_SOCKET "none"                       /* of admin.socket */
bool config_has_disk(const struct sl_config *config); /* [any] */

/* ---- errors ---- */

#define CONFIG_PROBLEMS_MAX     8
#define CONFIG_PROBLEM_TEXT_MAX 512
/* What is wrong, each as one sentence that begins with its place ("sluice.yaml:3:5: …"). */
struct config_report {
    uint32_t count; /* found; only the first CONFIG_PROBLEMS_MAX are kept */
    sl_err first; /* E_CONFIG_SYNTAX, E_CONFIG_UNKNOWN_KEY, E_CONFIG_VALUE, E_NOT_FOUND, E_NO_MEMORY
                     … */
    char problems[CONFIG_PROBLEMS_MAX][CONFIG_PROBLEM_TEXT_MAX];
};
/* Writes each problem as one line. */
void config_report_write(const struct config_report *report, FILE *out);

/* ---- loading ---- */

#define CONFIG_FILES_MAX      16
#define CONFIG_SETTINGS_MAX   64
#define CONFIG_FILE_BYTES_MAX (256 * 1024)

/* Where to look. All texts borrowed for the call to config_load. */
struct config_sources {
    const char *files[CONFIG_FILES_MAX];
    uint32_t file_count;
    const char *settings[CONFIG_SETTINGS_MAX]; /* "key=value" of --set */
    uint32_t setting_count;
    const char *profile; /* of conf/profiles, below all files; NULL: none */
    const char *home;    /* NULL: none given */
    bool dev;
    const char *const *environment; /* "NAME=value", NULL-terminated; NULL: none */
    const char *executable; /* absolute path of the program, for plugins.system_dir; or NULL */
};

/* Reads the arguments of `sluice serve` (after the word serve): --config FILE, --home DIR, --dev,
 * --set key=value, --help; "--name=value" too. E_INVALID with a sentence in ret_problem. */
sl_err config_args(int argc, char *const *argv, struct config_sources *sources, bool *ret_help,
                   char ret_problem[CONFIG_PROBLEM_TEXT_MAX]) SL_MUST_CHECK;

/* Loads, checks, merges. On failure the report says why and *ret_config is untouched. [blocks] */
sl_err config_load(struct sl_os *os, const struct config_sources *sources,
                   struct config_report *report, struct sl_config **ret_config) SL_MUST_CHECK;
/* The same through a reader of files: at most `size` bytes of the file at path into buffer. */
typedef sl_err config_read_fn(void *arg, const char *path, void *buffer, size_t size,
                              size_t *ret_size);
sl_err config_load_through(config_read_fn *read, void *read_arg,
                           const struct config_sources *sources, struct config_report *report,
                           struct sl_config **ret_config) SL_MUST_CHECK;
/* The same from one text instead of files, for tests and the fuzzer; name is shown in errors. */
sl_err config_load_text(struct sl_bytes text, const char *name,
                        const struct config_sources *sources, struct config_report *report,
                        struct sl_config **ret_config) SL_MUST_CHECK;

/* ---- comparing, for a reload ---- */

enum config_outcome {
    CONFIG_APPLIED,       /* the new value is in force when the caller swaps */
    CONFIG_NEEDS_RESTART, /* the running value stays */
    CONFIG_COMPONENT,     /* as APPLIED; what it belongs to is made anew */
    CONFIG_REFUSED,       /* by a plugin; the running value stays, as all others do */
    CONFIG_NOT_APPLIED,   /* since another one was refused */
    CONFIG_FAILED,        /* it is in force, but what it is for does not run */
    CONFIG_OUTCOME_COUNT
};
const char *config_outcome_text(enum config_outcome outcome); /* "applied live" */
struct config_change {
    char *key;            /* "log.level", "plugins.instances.mask.config" */
    char *before, *after; /* as text; "" when unset */
    char *origin;         /* of the new value: "sluice.yaml:3:5", "SLUICE_LOG__LEVEL", "default" */
    char *instance;       /* of plugins.instances; NULL: of none */
    enum config_outcome outcome;
    char *note;      /* what it cost, or the plugin's words; NULL: nothing is to be said */
    int64_t took_ns; /* until it was in force, or refused; 0: not measured */
};
struct config_diff {
    struct config_change *changes;
    uint32_t count;
    uint32_t restart_count; /* of changes that need one */
    uint32_t refused_count; /* REFUSED, NOT_APPLIED */
    uint32_t failed_count;
};
/* Which keys differ, and what a reload does with each. */
sl_err config_diff_new(const struct sl_config *before, const struct sl_config *after,
                       struct config_diff **ret_diff) SL_MUST_CHECK;
struct config_diff *config_diff_free(struct config_diff *diff);
/* What became of a key, once more is known. note may be NULL. [borrows note] E_NO_MEMORY: the
 * outcome is set all the same. */
sl_err config_change_settle(struct config_diff *diff, struct config_change *change,
                            enum config_outcome outcome, const char *note,
                            int64_t took_ns) SL_MUST_CHECK;
struct cJSON;
/* [{key, before, after, origin, outcome, note?, took_us?}] */
struct cJSON *config_diff_json(const struct config_diff *diff) SL_MUST_CHECK; /* NULL: no memory */

/* What a running broker shall go on with after the reload: `running` with the live keys of `loaded`
 * and all its instances. Texts are copied. */
sl_err config_merge_live(const struct sl_config *running, const struct sl_config *loaded,
                         struct sl_config **ret_config) SL_MUST_CHECK;

/* ---- the table as text ---- */

void config_help_write(FILE *out);      /* keys with defaults and doc, for `serve --help` */
void config_schema_write(FILE *out);    /* JSON Schema, draft 2020-12 */
void config_reference_write(FILE *out); /* docs/reference/configuration.md */
/* The configuration in force: text lines "key = value  # origin", or one JSON object. */
void config_show_write(const struct sl_config *config, FILE *out);
struct cJSON *config_show_json(const struct sl_config *config) SL_MUST_CHECK; /* NULL: no memory */

#endif
