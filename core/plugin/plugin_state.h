/* plugin_state.h: struct plugin_manager and its instances, for the files of this room alone. All on
 * shard 0's loop. */
#ifndef SL_PLUGIN_PLUGIN_STATE_H
#define SL_PLUGIN_PLUGIN_STATE_H

#include "plugin/plugin_kept.h"
#include "plugin/plugin_manager.h"
#include "plugin/plugin_scan.h"
#include "plugin/plugin_shard.h"
#include "shard/commit.h"

/* A copy of the settings that were given, with its texts. */
struct kept_settings {
    struct plugin_settings is;
    struct plugin_instance_config *instances; /* owned, with all texts */
};
sl_err kept_settings_copy(struct kept_settings *kept,
                          const struct plugin_settings *from) SL_MUST_CHECK;
void kept_settings_fini(struct kept_settings *kept);
/* What a reload changes. The folders and the rest need a restart, and are not even written: helpers
 * read them meanwhile. */
void kept_settings_swap(struct kept_settings *running, struct kept_settings *coming);
const struct plugin_instance_config *kept_settings_find(const struct kept_settings *kept,
                                                        const char *name); /* or NULL */
const struct plugin_instance_config *plugin_settings_find(const struct plugin_settings *settings,
                                                          const char *name); /* or NULL */
/* All but what `reconfigure` takes. */
bool plugin_instance_same_component(const struct plugin_instance_config *a,
                                    const struct plugin_instance_config *b);
bool plugin_instance_same_config(const struct plugin_instance_config *a,
                                 const struct plugin_instance_config *b); /* that */

struct plugin_file {
    struct sl_link link;
    char name[PLUGIN_FILE_BYTES];
    uint8_t loaded[PLUGIN_HASH_SIZE];
    uint8_t seen[PLUGIN_HASH_SIZE];
    uint32_t missing_count; /* scans in a row */
    bool frontend_open;
    char reason[PLUGIN_REASON_BYTES]; /* why it gives no instance; empty: it does */
    bool wanted;                      /* a command wants it read again, changed or not */
};

/* A version that ran: kept with all that it needs to run again; of one that ran before the broker's
 * start the code is on the disk. */
struct past_version {
    struct kept_item kept; /* its version is NULL on the disk; else referenced */
    char hash_text[9];
};

/* What an instance did in a while, for the share that failed. */
struct error_tally {
    uint64_t records; /* and calls and workers that failed */
    uint64_t errors;
};

/* A fresh deploy, until its grace is over. */
struct deploy_watch {
    bool on;
    int64_t until_ms;          /* monotonic */
    struct error_tally before; /* of the version before, over its life */
};

/* A version that is ready, and what it will be known as. */
struct version_coming {
    struct plugin_version *version;       /* referenced */
    struct shared_attachment *attachment; /* referenced */
    char module_text[2 * MANIFEST_ID_BYTES + MANIFEST_VERSION_BYTES];
    char version_text[MANIFEST_VERSION_BYTES];
};
void version_coming_fini(struct version_coming *coming);

/* A version on its way to all shards (plugin_agree.c). */
enum agree_phase {
    AGREE_NONE,
    AGREE_ASKING,    /* ready on shard 0, loads on the others */
    AGREE_READY,     /* on all */
    AGREE_SWITCHING, /* cannot be taken back any more */
};
struct instance_agree {
    enum agree_phase phase;
    struct version_coming coming;
    uint32_t round; /* answers of another one are late */
    uint32_t waits;
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

/* What the shards answer about a configuration (plugin_config.c). */
struct instance_config {
    uint32_t waits;
    bool took;
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

struct shadow_wish {
    int64_t records; /* 0: no shadow run */
    int64_t max_diff_percent;
};
struct shadow_result {
    char hash_text[9]; /* empty: there was none */
    uint64_t same;
    uint64_t changed;
    char diffs[SHADOW_DIFFS_MAX][SHADOW_TEXT_BYTES];
    uint32_t diff_count;
};
struct instance_shadow {
    struct shadow_wish asked; /* for the next load, by a command */
    struct shadow_run *run;   /* under way; referenced */
    struct shadow_wish wish;  /* of the run, whose version is agree.coming */
    int64_t until_ms;         /* monotonic */
    struct shadow_result last;
};

enum instance_state {
    INSTANCE_STARTING,
    INSTANCE_RUNNING,
    INSTANCE_WAITING, /* for its worker to come again */
    INSTANCE_REFUSED,
    INSTANCE_DRAINING,
    INSTANCE_UNLOADED, /* by a command; nothing of it is on the shards */
    INSTANCE_DISABLED, /* likewise */
};

struct plugin_instance {
    struct sl_link link;
    struct plugin_manager *manager;
    char name[MANIFEST_ID_BYTES];
    char file[PLUGIN_FILE_BYTES];
    char config_name[MANIFEST_ID_BYTES]; /* its entry in the configuration; empty: none */
    enum instance_state state;
    char reason[PLUGIN_REASON_BYTES];
    struct plugin_version *active;        /* referenced; NULL: never ran */
    struct plugin_version *loading;       /* referenced */
    struct shared_attachment *attachment; /* of active; referenced */
    char module_text[2 * MANIFEST_ID_BYTES + MANIFEST_VERSION_BYTES];
    char version_text[MANIFEST_VERSION_BYTES];
    int64_t active_since_ms;        /* wall clock */
    struct error_tally active_base; /* when it took over */
    struct past_version
        past[PLUGIN_PAST_MAX]; /* newest first, each hash once, never the active's */
    uint32_t past_count;
    bool replaces;                      /* another version ran when the active one took over */
    struct recall *recall;              /* a version is read from the disk, to be put back */
    char ending_why[PLUGIN_WHY_BYTES];  /* a rollback is being loaded, and why; empty: none is */
    char back_why[PLUGIN_REASON_BYTES]; /* the active version was put back; empty: it was not */
    struct deploy_watch deploy;
    struct instance_agree agree;
    struct instance_config config;
    struct instance_shadow shadow;
    plugin_reload_done *asked; /* somebody waits for what is being loaded; NULL: nobody */
    void *asked_arg;
    uint8_t hash[PLUGIN_HASH_SIZE]; /* of the file that was loaded last, well or not */
    enum instance_state resting;    /* DRAINING: what it comes to; STARTING: it goes */
    bool awaited;                   /* the command under way waits for the end of its load */
    bool held;                      /* batches wait until it has gone back, or cannot */
    bool trying;                    /* a reload asks a worker with a new configuration */
    bool paused;                    /* its stages read nothing */
    bool shipped;                   /* the file is of system_dir */
    bool first_load;                /* counted in manager->starting */
    uint32_t pending_parts;         /* commands to shards that are not answered */
    struct stage_brake brake;       /* of all its parts */
    bool brake_kept;                /* it was on before the broker started, for the same version */
    struct instance_part *parts;    /* by shard; owned */
    struct worker_meter *meters;    /* likewise */
};

/* Code of a frontend is never unloaded: each version has a file of its own, by a descriptor that
 * stays open, so that its path never means another one. */
#define RESIDENTS_MAX         64u
#define RESIDENTS_OF_FILE_MAX 9u /* eight old ones */
struct resident_frontend {
    char file[PLUGIN_FILE_BYTES];
    struct plugin_module *module; /* referenced */
};

/* What is kept of versions on the disk, beside what the instances have. */
struct kept_table {
    struct kept_item *items; /* owned; newest first within an instance */
    uint32_t count, room;
};

/* A brake on its way into shard 0's log (plugin_brake.c). */
struct brake_save {
    struct commit commit;
    struct wal_item item;
    uint8_t payload[SWITCH_ITEM_BYTES_MAX];
    size_t payload_size;
    bool under_way;
};

struct plugin_manager {
    struct resident_frontend residents[RESIDENTS_MAX];
    uint32_t resident_count;
    struct plugin_manager_config config;
    struct kept_settings settings;
    struct sl_loop *loop;
    struct sandbox *sandbox; /* opened at the first load */
    char sandbox_reason[PLUGIN_REASON_BYTES];
    struct plugin_module *lua;
    char lua_reason[MANIFEST_REASON_BYTES];
    struct plugin_shard *shards; /* by index; owned; SHARD_COUNT_MAX */
    struct sl_list files;
    struct sl_list instances;
    uint32_t instance_count;
    struct sl_watch *watch;
    struct sl_timer *scan_timer;
    struct plugin_scan *scan; /* under way */
    bool scan_again;
    bool scan_at_once;
    bool first_scan_done;
    bool directory_told;
    bool awaited_told; /* in the log, of this configuration */
    uint32_t starting; /* first loads under way */
    void (*started)(void *arg);
    void *started_arg;
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct plugin_reconfigure *reconfigure; /* under way */
    struct plugin_redrive *redrive;         /* under way */
    struct redrive_status redrive_last;
    sl_err redrive_err;
    char redrive_text[256];
    struct sl_timer *deploy_timer; /* looks at fresh deploys */
    struct kept_table kept;        /* of instances that are not there, or have not taken theirs */
    struct keep_job *keeping;      /* under way */
    struct keep_job *keep_last;    /* what it is to be when the broker stops, after that one */
    bool keep_again;
    bool keep_failed;      /* that is in the log */
    uint32_t recall_count; /* under way */
    struct sl_list orders; /* commands; the first one is under way */
    bool order_begun;
    struct sl_task order_task;
    struct brake_save brakes;
};

/* What a version is made of. [borrows all but module, which is counted] */
struct version_parts {
    struct plugin_module *module;
    const uint8_t *script; /* NULL: the module itself is the plugin */
    size_t script_size;
    const char *file;
    const uint8_t *hash; /* PLUGIN_HASH_SIZE bytes, of the file */
    const char *instance;
    const struct plugin_instance_config *config; /* NULL: none */
};

/* plugin_make.c */
/* NULL: no memory, or a configuration that is no JSON object. */
struct plugin_version *instance_version_new(const struct version_parts *parts) SL_MUST_CHECK;
/* The version with another configuration; NULL as above. */
struct plugin_version *
instance_version_with(const struct plugin_version *from,
                      const struct plugin_instance_config *config) SL_MUST_CHECK;

/* plugin_history.c */
/* What the active version is known as when it is kept; not how it ended. */
void past_describe(const struct plugin_instance *instance, struct kept_version *ret_is);
/* The active version ends, another takes over. */
void instance_past_push(struct plugin_instance *instance, bool failed, const char *why);
void instance_past_forget(struct plugin_instance *instance, uint32_t index);
/* The one that has the hash is active: it is no past one. */
void instance_past_forget_hash(struct plugin_instance *instance, const uint8_t *hash);
/* Copies what the past ones are. */
void instance_past_show(const struct plugin_instance *instance, struct plugin_info *info);
void instance_past_fini(struct plugin_instance *instance);

/* plugin_keep.c */
void manager_take_kept(struct plugin_manager *manager, struct plugin_scan *scan);
/* What is kept changed: it is written, by a helper, soon. Nothing without a disk. */
void manager_keep(struct plugin_manager *manager);
void manager_keep_last(struct plugin_manager *manager); /* the broker stops: before instances end */
void manager_kept_fini(struct plugin_manager *manager);
bool manager_keeps(const struct plugin_manager *manager); /* something is under way */
/* The instance has what is kept under its name; where it has taken that, nothing. */
void instance_adopt_kept(struct plugin_instance *instance);
void instance_give_back_kept(struct plugin_instance *instance); /* it goes, and may come again */
uint32_t manager_kept_count(const struct plugin_manager *manager, const char *name);
void manager_forget_kept(struct plugin_manager *manager, const char *name);
/* Reads the version from the disk; instance_recalled follows. why: for that. */
void instance_recall(struct plugin_instance *instance, const struct kept_version *is,
                     const char *why);
void instance_recall_cancel(struct plugin_instance *instance); /* none is fine */

/* plugin_rollback.c */
/* What the disk gave; parts NULL: nothing, and text says why. [borrows all] */
void instance_recalled(struct plugin_instance *instance, const struct version_parts *parts,
                       const char *why, const char *text);
/* Who waits for the load is told. text: "" is fine. */
void instance_answer(struct plugin_instance *instance, sl_err err, const char *text);
/* The version took over: it is watched unless it was put back. */
void instance_deployed(struct plugin_instance *instance);
/* A worker was lost: perhaps that is enough. */
void instance_look_at_deploy(struct plugin_instance *instance);
sl_err manager_watch_deploys(struct plugin_manager *manager) SL_MUST_CHECK; /* makes the timer */

/* plugin_instance.c */
struct plugin_instance *instance_find(struct plugin_manager *manager, const char *name);
/* The file that an instance names: "processor_ffi" is processor_ffi.so. */
void instance_module_file(const struct plugin_instance_config *config,
                          char ret_file[PLUGIN_FILE_BYTES]);
/* Of this name a module may come from system_dir: a processor, never a frontend. */
bool instance_module_is_shipped(const char *file);
/* Loads or reloads the instances that the file makes. [takes nothing of entry] */
void instances_load(struct plugin_manager *manager, struct plugin_file *file,
                    const struct scan_entry *entry);
/* Loads it beside what runs. [counts version] */
void instance_load_version(struct plugin_instance *instance, struct plugin_version *version);
/* What came does not run; what ran before goes on. One line in the log. */
void instance_refuse(struct plugin_instance *instance, const char *text);
/* The file of the instance, with its directory. */
void instance_path(const struct plugin_instance *instance, char *ret_path, size_t size);
void instance_stay_disabled(struct plugin_instance *instance); /* it is not loaded */
void instance_drop_loading(struct plugin_instance *instance);
void instance_first_load_ended(struct plugin_instance *instance); /* the start waits for it */
void instance_unload(struct plugin_instance *instance);
/* Likewise, but it stays in the list as `state`; order_rested follows. */
void instance_rest(struct plugin_instance *instance, enum instance_state state);
/* Instances of the configuration use the file: the one that it made under its own name ends, as it
 * would not come back at the next start. True: it is on its way out. */
bool instances_end_default(struct plugin_manager *manager, const struct plugin_file *file,
                           const struct scan_entry *entry);
/* Unloads those of the file. */
void instances_unload(struct plugin_manager *manager, const char *file);
bool instances_leaving(const struct plugin_manager *manager, const char *file);
/* A command to a shard was answered; with the last one a draining instance is gone. */
void instance_part_answered(struct plugin_instance *instance);
void instance_maybe_gone(struct plugin_instance *instance); /* it drains, and nothing is left */

/* plugin_offer.c: a worker host for shard 0's part, whose versions are judged. */
sl_err instance_offer_host(struct plugin_instance *instance) SL_MUST_CHECK;

/* What is ready on all shards takes over on all. */
void instance_take_over(struct plugin_instance *instance);
/* The version did not get ready, or is ready no more, on a shard: it goes from all, and what runs
 * goes on. */
void instance_version_lost(struct plugin_instance *instance, struct plugin_version *version,
                           const char *text);
void instance_agreed(struct plugin_instance *instance); /* it is ready on all shards */
/* It took over on all shards; then_newer: the load of a newer one follows. [takes what is in it] */
void instance_in_force(struct plugin_instance *instance, struct version_coming *coming,
                       bool then_newer);

/* plugin_agree.c */
/* Ready on shard 0: now on the others. instance_agreed or instance_version_lost follows, perhaps
 * inside. [takes what is in coming] */
void instance_agree_ask(struct plugin_instance *instance, struct version_coming *coming);
void instance_agree_drop(
    struct plugin_instance *instance); /* not switched: it goes; none is fine */
void instance_agree_forget(struct plugin_instance *instance); /* the parts end by themselves */
void instance_agree_shadow(struct plugin_instance *instance, struct shadow_run *run);
/* instance_in_force follows when all have switched, or instance_refuse. */
void instance_agree_switch(struct plugin_instance *instance);
/* [the part's loop] Who waits for the part is told that it ends. */
void instance_part_give_up(struct instance_part *part);
/* [the part's loop] The version died. True: it was about to take over, and that was told. */
bool instance_part_lost_version(struct instance_part *part, struct plugin_version *version,
                                const char *text);
void instance_part_switched(void *part); /* [the part's loop] its host did */

/* plugin_config.c */
/* On all shards the plugin is asked whether it takes the configuration of the version, and batches
 * wait. reload_config_answered follows. */
void instance_config_ask(struct plugin_instance *instance, struct plugin_version *version);
/* Afterwards, whatever was answered: it counts, or the old one does again; batches begin.
 * reload_config_answered follows, perhaps inside. */
void instance_config_settle(struct plugin_instance *instance, bool keep);
/* [the part's loop] */
void instance_part_reconfigured(struct instance_part *part, sl_err err, const char *text,
                                bool took);

/* plugin_shadow.c */
/* What is wished for the load that comes; a command's wish counts once. */
struct shadow_wish instance_shadow_wish(struct plugin_instance *instance);
/* False: none is wished, or possible. True: what was agreed on takes over later, or is refused. */
bool instance_shadow_begin(struct plugin_instance *instance);
bool instance_shadow_look(struct plugin_instance *instance); /* false: none is under way */
/* Adds what the shadow run of the active version found, if it had one. */
void instance_shadow_say(const struct plugin_instance *instance, char *text, size_t size);
void instance_shadow_cancel(struct plugin_instance *instance); /* none is fine */

/* plugin_awaited.c */
/* Whether the module file of the entry is in neither folder; then ret_reason says so. */
bool manager_awaits(const struct plugin_manager *manager,
                    const struct plugin_instance_config *config,
                    char ret_reason[PLUGIN_REASON_BYTES]);
/* One line in the log for each that is awaited, once for a configuration. */
void manager_tell_awaited(struct plugin_manager *manager);

/* plugin_spread.c */
/* A call to a shard that the instance waits for before it goes. */
void instance_part_call(struct plugin_instance *instance, struct shard_call *call, uint32_t shard);
sl_err instance_part_make_host(struct instance_part *part, const struct plugin_manager *manager,
                               const struct worker_host_events *events) SL_MUST_CHECK;
/* Its stages go on, on all shards; what was seen of failures is forgotten. False: they had not
 * paused by themselves. */
bool instance_release_brake(struct plugin_instance *instance);
/* The brake was pulled by a stage: too many of its records fail. What can be done about it is done
 * here. */
void instance_pulled(struct plugin_instance *instance, enum stage_pause cause);
/* Tells the manager when the brake is pulled on a shard. [before the part is used] */
void instance_part_watch(struct plugin_instance *instance, uint32_t shard);
/* A worker of the part died: perhaps a deploy goes back. [the part's loop] */
void instance_part_tell(struct instance_part *part);
/* Whether batches begin, on all shards. */
void instance_hold_batches(struct plugin_instance *instance, bool held);
bool instance_has_posted(const struct plugin_instance *instance); /* such a message is on its way */
/* Ends the parts on all shards. */
void instance_detach(struct plugin_instance *instance);

void redrive_stop_all(struct plugin_manager *manager); /* plugin_redrive.c */
/* plugin_watch.c */
/* Whether a change in plugins.dir is acted on; else it is read once, at the start. */
bool manager_follows_files(void);
/* Looks at files again when the directory changes (manager_files_changed). */
sl_err manager_watch_files(struct plugin_manager *manager) SL_MUST_CHECK;
/* plugin_manager.c: something that the start or the stop waited for ended. */
void manager_progress(struct plugin_manager *manager);
/* Reads the file as soon as can be, changed or not; order_file_taken follows. False: no memory. */
bool manager_want_file(struct plugin_manager *manager, const char *name) SL_MUST_CHECK;
struct plugin_file *manager_file(struct plugin_manager *manager, const char *name); /* or NULL */

/* ---- commands ---- */

/* A command that waits or is under way (plugin_command.c). */
struct plugin_order;
typedef void order_fn(struct plugin_order *order);
struct plugin_order {
    struct sl_link link;
    struct plugin_manager *manager;
    struct plugin_command command; /* with texts of its own */
    plugin_command_done *done;
    void *arg;
    struct plugin_instance *instance; /* while it waits for its parts: pending_parts holds it */
    char file[PLUGIN_FILE_BYTES];     /* that is to be taken; empty: none */
    bool loads_all;                   /* of the file; else the named instance */
    bool file_taken;
    uint32_t awaited_count; /* instances whose load has not ended */
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
    order_fn *next; /* when what is under way is durable, or told to all shards */
    struct sl_job job;
    struct commit commit;
    struct wal_item item;
    uint8_t payload[SWITCH_ITEM_BYTES_MAX];
    size_t payload_size;
    struct plugin_positions *positions; /* of a seek or forget; owned */
};
struct plugin_order *order_current(const struct plugin_manager *manager); /* NULL: none */
/* Ends it; the next one begins in a turn of the loop. */
void order_end(struct plugin_order *order, sl_err err, const char *format, ...) SL_PRINTF(3, 4);
/* Ends an order that is only tried, with what it would have done. Call it behind all checks, before
 * the first effect. False: it is meant. */
bool order_tried(struct plugin_order *order, const char *format, ...) SL_PRINTF(2, 3);
/* Makes the switches of an instance durable, then next runs; on an error the order has ended. */
void order_switch(struct plugin_order *order, uint32_t flags, order_fn *next);
/* Whether the load of this instance from that file is what the command wants; and it has begun. */
bool order_wants(const struct plugin_manager *manager, const char *file, const char *instance);
void order_load_began(struct plugin_instance *instance);
/* The load of an instance ended, well or not. */
void order_load_ended(struct plugin_instance *instance, sl_err err, const char *text);
/* The wanted file was read and what it makes has begun to load; found: it is there. */
void order_file_taken(struct plugin_manager *manager, const struct plugin_file *file, bool found);
/* The instance has nothing on the shards any more. */
void order_rested(struct plugin_instance *instance);
void order_instance_gone(
    struct plugin_instance *instance);            /* likewise, and it will not come again */
void orders_stop(struct plugin_manager *manager); /* all end with E_STOPPING */

/* plugin_position.c: seek and forget. */
order_fn order_seek, order_forget;
/* plugin_load.c */
order_fn order_load, order_reload;
/* The file is read again, then what it makes is loaded; on an error the order has ended. */
void order_want_file(struct plugin_order *order, const char *file);
void order_end_unknown(struct plugin_order *order);             /* no instance has the name */
void plugin_positions_free(struct plugin_positions *positions); /* NULL is fine */
/* What was moved, for the answer. */
void plugin_positions_outcome(const struct plugin_positions *positions,
                              struct plugin_outcome *ret_outcome);
/* Sets or lifts the hold of its parts on all shards; next runs when every shard has done it. */
void order_hold(struct plugin_order *order, bool held, order_fn *next);

/* What an operator switched of the name. */
const struct plugin_switch *manager_switch(const struct plugin_manager *manager, const char *name);
static inline bool switch_has(const struct plugin_switch *is, uint32_t flag)
{
    return is != NULL && (is->flags & flag) != 0;
}
/* plugin_brake.c */
/* Before the first version of an instance runs: its brake is as it was when the broker ended,
 * unless that was another version's. */
void instance_brake_restore(struct plugin_instance *instance, const struct plugin_version *version);
/* What changed of brakes becomes durable, one after the other; not while a command is under way. */
void manager_save_brakes(struct plugin_manager *manager);
void manager_look_again(struct plugin_manager *manager); /* at the files */
void manager_files_changed(void *manager);               /* an event of the directory */

/* plugin_reload.c */
/* All shards answered what plugin_config.c asked them; took: a worker that runs took it. */
void reload_config_answered(struct plugin_instance *instance, sl_err err, const char *text,
                            bool took);
/* The configuration that counts for what is being loaded; or NULL. */
const struct plugin_instance_config *reload_config(const struct plugin_instance *instance);
/* What became of a version that is tried; ready: on all shards. */
void reload_ready(struct plugin_instance *instance);
void reload_refused(struct plugin_instance *instance, const char *text);
bool reload_lost(struct plugin_instance *instance, const struct plugin_version *version,
                 const char *text);
void reload_load_ended(struct plugin_instance *instance, sl_err err, const char *text);
void reload_file_taken(struct plugin_manager *manager, const char *file, bool found);
void reload_instance_gone(struct plugin_instance *instance);
void reload_begin(struct plugin_manager *manager); /* if one waits, and no command is under way */
void reload_stop(struct plugin_manager *manager);
/* A load of the instance is what it waits for. */
bool reload_wants(const struct plugin_manager *manager, const struct plugin_instance *instance);
bool reload_holds_files(const struct plugin_manager *manager); /* no change of a file is taken */
void orders_go_on(struct plugin_manager *manager);             /* plugin_command.c */

#endif
