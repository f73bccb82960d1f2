/* sluice_reload.c: a new configuration in force (SIGHUP, `sluice reload`).
 *
 *   helper: read, check, compare, merge ─► loop 0: plugins are asked ─► all agree: one pointer is
 *   swapped, live settings are taken ─► report, key by key
 *
 * When a plugin refuses, nothing changes anywhere. What reads and parses runs on a helper: the loop
 * is held for the swap alone, and how long that was is in the report. On loop 0, but for [helper].
 */
#include "broker/sluice_state.h"

#include "base/status.h"

#include <cjson/cJSON.h>
#include <string.h>

#define CHANGES_LOGGED_MAX 32u /* lines of a report in the log; the command's has all */

struct reload {
    struct sluice *sluice;
    bool dry_run;
    sluice_reloaded_fn *done; /* NULL: nobody waits */
    void *arg;
    struct sl_job job;
    /* Of the helper: */
    sl_err err;
    struct config_report problems;
    struct sl_config *loaded, *merged;
    struct config_diff *diff;
    struct plugin_settings_copy plugins;
    cJSON *keys; /* what became of certificates and keys of tokens; NULL: there are none */
    bool keys_failed;
    /* Of the loop: */
    int64_t begun_ns, turn_ns, longest_ns;
    bool in_turn;
    uint32_t settle_at; /* where the next result's keys are looked for first */
    uint32_t turns;
};

/* ---- what it costs the loop ---- */

/* Plugins may answer inside the turn that asks them: then it is one. */
static void turn_begin(struct reload *reload)
{
    if (!reload->in_turn) {
        reload->turn_ns = sl_os_mono_ns(reload->sluice->os);
        reload->turns++;
        reload->in_turn = true;
    }
}

static void turn_measure(struct reload *reload)
{
    int64_t took_ns = sl_os_mono_ns(reload->sluice->os) - reload->turn_ns;
    reload->longest_ns = SL_MAX(reload->longest_ns, took_ns);
}

static void turn_end(struct reload *reload)
{
    turn_measure(reload);
    reload->in_turn = false;
}

/* ---- the report ---- */

enum { OUTCOME_DONE, OUTCOME_PARTLY, OUTCOME_REFUSED, OUTCOME_BAD };

static int outcome_of(const struct reload *reload)
{
    return reload->diff == NULL              ? OUTCOME_BAD
           : reload->diff->refused_count > 0 ? OUTCOME_REFUSED
           : reload->diff->restart_count > 0 || reload->diff->failed_count > 0 ||
                   reload->keys_failed
               ? OUTCOME_PARTLY
               : OUTCOME_DONE;
}

static const char *outcome_name(const struct reload *reload)
{
    static const char *const names[] = {"done", "partly", "refused", "bad configuration"};
    return names[outcome_of(reload)];
}

static void log_changes(const struct reload *reload)
{
    struct sl_logger *logger = reload->sluice->logger;
    uint32_t count = SL_MIN(reload->diff->count, CHANGES_LOGGED_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct config_change *change = &reload->diff->changes[i];
        bool applied = change->outcome == CONFIG_APPLIED || change->outcome == CONFIG_COMPONENT;
        bool restart = change->outcome == CONFIG_NEEDS_RESTART;
        sl_log(logger, applied ? SL_LOG_INFO : SL_LOG_WARN, "config",
               applied   ? "changed"
               : restart ? "needs a restart; the running value stays"
                         : config_outcome_text(change->outcome),
               sl_log_text("key", change->key), sl_log_text("before", change->before),
               sl_log_text("after", change->after), sl_log_text("origin", change->origin),
               sl_log_text("note", change->note != NULL ? change->note : ""));
    }
}

static void log_outcome(const struct reload *reload)
{
    static const char *const texts[] = {"reloaded", "reloaded in part",
                                        "not reloaded: nothing was changed",
                                        "not reloaded: nothing was changed"};
    struct sl_logger *logger = reload->sluice->logger;
    int outcome = outcome_of(reload);
    enum sl_log_level level = outcome >= OUTCOME_REFUSED ? SL_LOG_ERROR : SL_LOG_INFO;
    if (outcome == OUTCOME_BAD) {
        for (uint32_t i = 0; i < SL_MIN(reload->problems.count, CONFIG_PROBLEMS_MAX); i++) {
            sl_log(logger, SL_LOG_ERROR, "config", reload->problems.problems[i]);
        }
        sl_log(logger, level, "config", texts[outcome], sl_log_err(reload->err));
        return;
    }
    log_changes(reload);
    sl_log(logger, level, "config", texts[outcome], sl_log_u64("changed", reload->diff->count),
           sl_log_u64("need_restart", reload->diff->restart_count),
           sl_log_u64("refused", reload->diff->refused_count),
           sl_log_duration("took", sl_os_mono_ns(reload->sluice->os) - reload->begun_ns),
           sl_log_duration("loop", reload->longest_ns));
}

static cJSON *report_new(const struct reload *reload)
{
    cJSON *object = cJSON_CreateObject();
    int64_t took_ns = sl_os_mono_ns(reload->sluice->os) - reload->begun_ns;
    cJSON_AddStringToObject(object, "outcome", outcome_name(reload));
    cJSON_AddBoolToObject(object, "dry_run", reload->dry_run);
    cJSON_AddNumberToObject(object, "took_us", (double)(took_ns / 1000));
    cJSON_AddNumberToObject(object, "loop_turns", reload->turns);
    cJSON_AddNumberToObject(object, "loop_longest_us", (double)(reload->longest_ns / 1000));
    if (reload->diff != NULL) {
        cJSON_AddNumberToObject(object, "need_restart", reload->diff->restart_count);
        cJSON_AddItemToObject(object, "changes", config_diff_json(reload->diff));
        if (reload->keys != NULL) {
            cJSON_AddItemToObject(object, "keys", cJSON_Duplicate(reload->keys, true));
        }
        return object;
    }
    cJSON *problems = cJSON_AddArrayToObject(object, "problems");
    for (uint32_t i = 0; i < SL_MIN(reload->problems.count, CONFIG_PROBLEMS_MAX); i++) {
        cJSON_AddItemToArray(problems, cJSON_CreateString(reload->problems.problems[i]));
    }
    if (reload->problems.count == 0) {
        cJSON_AddItemToArray(problems, cJSON_CreateString(sl_status_text(reload->err)));
    }
    return object;
}

static void retire(struct sl_job *job)
{
    struct reload *reload = SL_CONTAINER_OF(job, struct reload, job);
    config_free(reload->loaded);
    config_free(reload->merged);
    config_diff_free(reload->diff);
    plugin_settings_drop(&reload->plugins);
    cJSON_Delete(reload->keys);
}

static void retired(struct sl_job *job)
{
    struct reload *reload = SL_CONTAINER_OF(job, struct reload, job);
    struct sluice *sluice = reload->sluice;
    sl_free(reload);
    shard_request_end(sluice->shards.shards[0]);
}

static void tell_reloading(const struct reload *reload, bool has_begun)
{
    const struct sluice_events *events = &reload->sluice->events;
    if (events->reloading != NULL && !reload->dry_run) {
        events->reloading(events->arg, has_begun);
    }
}

static void reload_end(struct reload *reload)
{
    struct sluice *sluice = reload->sluice;
    turn_measure(reload);
    if (!reload->dry_run) {
        log_outcome(reload);
    }
    turn_measure(reload);
    sluice->reloading = false; /* who has the answer may ask again at once; what is left is freed */
    tell_reloading(reload, false);
    if (reload->done != NULL) {
        reload->done(reload->arg, report_new(reload));
    }
    turn_end(reload);
    reload->job = (struct sl_job){.work = retire, .done = retired};
    reload->job.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(sluice->os, sluice->rooms[0].loop, &reload->job);
}

/* ---- in force ---- */

static void settle(struct reload *reload, struct config_change *change, enum config_outcome outcome,
                   const char *note, int64_t took_ns)
{
    sl_err err = config_change_settle(reload->diff, change, outcome, note, took_ns);
    if (err != SLUICE_OK) {
        sl_log(reload->sluice->logger, SL_LOG_WARN, "config", "a note is not kept",
               sl_log_text("key", change->key), sl_log_err(err));
    }
}

static void settle_instance(struct reload *reload, const struct plugin_reload_result *result,
                            bool refused)
{
    /* The keys of an instance lie together, most often behind those of the one before. */
    uint32_t count = reload->diff->count;
    bool found = false;
    for (uint32_t k = 0, from = reload->settle_at; k < count; k++) {
        uint32_t i = (from + k) % count;
        struct config_change *change = &reload->diff->changes[i];
        if (change->instance == NULL || strcmp(change->instance, result->name) != 0) {
            if (found) {
                break;
            }
            continue;
        }
        found = true;
        reload->settle_at = i + 1;
        enum config_outcome outcome = result->err != SLUICE_OK && refused  ? CONFIG_REFUSED
                                      : result->err != SLUICE_OK           ? CONFIG_FAILED
                                      : result->what == PLUGIN_RELOAD_LIVE ? CONFIG_APPLIED
                                                                           : CONFIG_COMPONENT;
        settle(reload, change, outcome, result->text, result->took_ns);
    }
}

static void settle_refused(struct reload *reload)
{
    for (uint32_t i = 0; i < reload->diff->count; i++) {
        struct config_change *change = &reload->diff->changes[i];
        if (change->outcome != CONFIG_REFUSED) {
            settle(reload, change, CONFIG_NOT_APPLIED, "since another change was refused", 0);
        }
    }
}

static void swap(struct reload *reload)
{
    struct sluice *sluice = reload->sluice;
    access_keeper_look(&sluice->access);
    const struct sl_config *merged = reload->merged;
    struct sl_config *before = sluice->config;
    sl_logger_set_level(sluice->logger, (enum sl_log_level)merged->log.level);
    sl_logger_set_format(sluice->logger, (enum sl_log_format)merged->log.format, false);
    sluice_settings_take_live(&sluice->settings, merged);
    struct quota_windows windows = {(uint32_t)merged->quota.window_count,
                                    merged->quota.window_size_ms / 1000 * 1000};
    quota_book_set_windows(sluice->shards.shards[0]->quotas, &windows);
    sluice->config = reload->merged;
    listener_config_limit(sluice);
    reload->merged = before; /* freed by the helper */
}

static void keys_done(void *arg, cJSON *report)
{
    struct reload *reload = arg;
    const cJSON *entry = NULL;
    turn_begin(reload);
    reload->keys = report;
    cJSON_ArrayForEach(entry, report)
    {
        bool failed = cJSON_GetObjectItemCaseSensitive(entry, "reason") != NULL;
        reload->keys_failed = reload->keys_failed || failed;
    }
    reload_end(reload);
}

/* The new configuration is in force, and files that it names are read again. */
static void take_over(struct reload *reload)
{
    if (reload->dry_run) {
        reload_end(reload);
        return;
    }
    swap(reload);
    turn_end(reload);
    key_keeper_look(&reload->sluice->keys, keys_done, reload);
}

static void plugins_done(void *arg, sl_err err, const struct plugin_reload_result *results,
                         uint32_t count)
{
    struct reload *reload = arg;
    turn_begin(reload);
    for (uint32_t i = 0; i < count; i++) {
        settle_instance(reload, &results[i], err != SLUICE_OK);
    }
    if (err != SLUICE_OK) {
        settle_refused(reload);
        reload->diff->refused_count = SL_MAX(reload->diff->refused_count, 1u);
        reload_end(reload);
    } else {
        take_over(reload);
    }
}

/* ---- the way there ---- */

/* [helper] */
static void load_work(struct sl_job *job)
{
    struct reload *reload = SL_CONTAINER_OF(job, struct reload, job);
    const struct sl_config *running = reload->sluice->config; /* this reload alone replaces it */
    const struct sluice_events *events = &reload->sluice->events;
    reload->err = events->load(events->arg, &reload->problems, &reload->loaded);
    if (reload->err == SLUICE_OK) {
        reload->err = config_merge_live(running, reload->loaded, &reload->merged);
    }
    if (reload->err == SLUICE_OK) {
        reload->err = plugin_settings_take(reload->merged, &reload->plugins);
    }
    if (reload->err == SLUICE_OK) {
        reload->err = config_diff_new(running, reload->loaded, &reload->diff);
    }
}

static void load_done(struct sl_job *job)
{
    struct reload *reload = SL_CONTAINER_OF(job, struct reload, job);
    struct sluice *sluice = reload->sluice;
    turn_begin(reload);
    if (reload->err != SLUICE_OK || sluice->stopping) {
        reload->diff = config_diff_free(reload->diff);
        reload->err = reload->err != SLUICE_OK ? reload->err : SLUICE_E_STOPPING;
        reload_end(reload);
    } else if (!sluice->plugins_started) {
        take_over(reload);
    } else {
        /* It may end inside; it is freed in a later turn all the same. */
        plugin_manager_reload(sluice->plugins, &reload->plugins.settings, reload->dry_run,
                              plugins_done, reload);
        turn_end(reload);
    }
}

sl_err sluice_reload(struct sluice *sluice, bool dry_run, sluice_reloaded_fn *done, void *arg)
{
    if (sluice->stopping || sluice->reloading || sluice->events.load == NULL) {
        return sluice->stopping    ? SLUICE_E_STOPPING
               : sluice->reloading ? SLUICE_E_BUSY
                                   : SLUICE_E_UNSUPPORTED;
    }
    struct reload *reload = sl_alloc_zero(1, sizeof(*reload));
    if (reload == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sluice->reloading = true;
    shard_request_begin(sluice->shards.shards[0]);
    reload->sluice = sluice;
    reload->dry_run = dry_run;
    reload->done = done;
    reload->arg = arg;
    reload->begun_ns = sl_os_mono_ns(sluice->os);
    tell_reloading(reload, true);
    reload->job = (struct sl_job){.work = load_work, .done = load_done};
    reload->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(sluice->os, sluice->rooms[0].loop, &reload->job);
    return SLUICE_OK;
}
