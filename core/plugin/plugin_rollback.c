/* plugin_rollback.c: an earlier version is put back, because somebody asks or because a fresh
 * deploy fails too often (plugin_manager.h: plugin_rollback_rule).
 *
 * It is loaded as any version is: a worker beside the old one, READY, the switch at a batch
 * boundary; it goes on at the position that is committed then. What was written is not undone. The
 * file keeps what it has, and is looked at again when its hash changes. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define LOOK_MS        100
#define SHADOW_LOOK_MS 20

static int64_t mono_ms(const struct plugin_manager *manager)
{
    return sl_os_mono_ns(manager->config.os) / 1000000;
}

void instance_answer(struct plugin_instance *instance, sl_err err, const char *text)
{
    plugin_reload_done *done = instance->asked;
    instance->asked = NULL;
    if (done != NULL) {
        done(instance->asked_arg, err, text);
    }
}

/* ---- the load ---- */

static const struct plugin_instance_config *config_of(const struct plugin_instance *instance)
{
    return instance->config_name[0] != '\0'
               ? kept_settings_find(&instance->manager->settings, instance->config_name)
               : NULL;
}

/* The old code with the configuration of now. NULL: no memory. */
static struct plugin_version *version_again(const struct plugin_instance *instance,
                                            const struct plugin_version *from)
{
    return instance_version_new(&(struct version_parts){.module = from->module,
                                                        .script = from->script,
                                                        .script_size = from->script_size,
                                                        .file = from->file,
                                                        .hash = from->hash,
                                                        .instance = instance->name,
                                                        .config = config_of(instance)});
}

static bool same_state(const struct plugin_version *a, const struct kept_version *b)
{
    return a == NULL || a->script != NULL || b->is_script ||
           a->module->manifest.state_version == b->state_version;
}

/* [takes version; NULL: no memory] */
static void put_back(struct plugin_instance *instance, struct plugin_version *version,
                     const char *why)
{
    if (version == NULL) {
        instance_hold_batches(instance, false);
        instance_answer(instance, SLUICE_E_NO_MEMORY, "");
        return;
    }
    snprintf(instance->ending_why, sizeof(instance->ending_why), "%s", why);
    sl_log(instance->manager->config.logger, SL_LOG_WARN, instance->name, "goes back",
           sl_log_text("to", version->hash_text),
           sl_log_text("from", instance->active != NULL ? instance->active->hash_text : "nothing"),
           sl_log_text("reason", why));
    instance_load_version(instance, version);
    plugin_version_unref(version);
}

static void roll_back(struct plugin_instance *instance, const struct past_version *past,
                      const char *why)
{
    if (past->kept.version != NULL) {
        put_back(instance, version_again(instance, past->kept.version), why);
    } else {
        instance_recall(instance, &past->kept.is, why);
    }
}

void instance_recalled(struct plugin_instance *instance, const struct version_parts *parts,
                       const char *why, const char *text)
{
    bool busy = instance->loading != NULL || instance->trying;
    bool ends = instance->state == INSTANCE_DRAINING;
    if (parts == NULL || busy || ends) {
        const char *said = parts == NULL ? text : busy ? "a version is being loaded" : "it ends";
        sl_log(instance->manager->config.logger, SL_LOG_ERROR, instance->name, "not put back",
               sl_log_text("reason", said));
        instance_hold_batches(instance, false);
        instance_answer(instance, parts == NULL ? SLUICE_E_PLUGIN_LOAD : SLUICE_E_BUSY, said);
        return;
    }
    struct version_parts with = *parts;
    with.config = config_of(instance);
    put_back(instance, instance_version_new(&with), why);
}

/* ---- asked for ---- */

static bool is_meant(const struct past_version *past, const char *to)
{
    if (to == NULL) {
        return !past->kept.is.failed;
    }
    char hash[2 * PLUGIN_HASH_SIZE + 1];
    plugin_hash_text(past->kept.is.hash, hash, sizeof(hash));
    return strncmp(hash, to, strlen(to)) == 0 || strcmp(past->kept.is.version_text, to) == 0;
}

static const struct past_version *find_past(const struct plugin_instance *instance, const char *to)
{
    for (uint32_t i = 0; i < instance->past_count; i++) {
        if (is_meant(&instance->past[i], to)) {
            return &instance->past[i];
        }
    }
    return NULL;
}

static sl_err check_ask(const struct plugin_instance *instance, const struct past_version *past,
                        const char **ret_text)
{
    if (instance == NULL || instance->state == INSTANCE_DRAINING) {
        *ret_text = "no such plugin instance";
        return SLUICE_E_NOT_FOUND;
    }
    if (instance->loading != NULL || instance->asked != NULL || instance->trying ||
        instance->recall != NULL || instance->agree.phase != AGREE_NONE) {
        *ret_text = "a version is being loaded";
        return SLUICE_E_BUSY;
    }
    if (past == NULL) {
        *ret_text = "there is no such version before; plugin info lists those that are kept";
        return SLUICE_E_NOT_FOUND;
    }
    if (!same_state(instance->active, &past->kept.is)) {
        *ret_text = "its state_version is another, and state is not converted back";
        return SLUICE_E_UNSUPPORTED;
    }
    return SLUICE_OK;
}

void plugin_manager_rollback(struct plugin_manager *manager, const char *name, const char *to,
                             bool dry_run, plugin_reload_done *done, void *arg)
{
    struct plugin_instance *instance = instance_find(manager, name);
    const struct past_version *past = instance != NULL ? find_past(instance, to) : NULL;
    const char *text = "";
    sl_err err = check_ask(instance, past, &text);
    if (err != SLUICE_OK) {
        done(arg, err, text);
        return;
    }
    if (dry_run) {
        char hash[2 * PLUGIN_HASH_SIZE + 1];
        char said[160];
        plugin_hash_text(past->kept.is.hash, hash, sizeof(hash));
        snprintf(said, sizeof(said), "%.64s would run version %.8s %.40s again", name, hash,
                 past->kept.is.version_text);
        done(arg, SLUICE_OK, said);
        return;
    }
    instance->asked = done;
    instance->asked_arg = arg;
    roll_back(instance, past, "rolled back by sluice plugin rollback");
}

/* ---- by itself ---- */

static struct error_tally instance_tally(const struct plugin_instance *instance)
{
    uint64_t counts[STAGE_COUNT_COUNT] = {0};
    uint64_t losses = 0;
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        const struct instance_part *part = &instance->parts[i];
        for (uint32_t k = 0; k < STAGE_COUNT_COUNT; k++) {
            counts[k] += atomic_load_explicit(&part->counts.values[k], memory_order_relaxed);
        }
        losses += atomic_load_explicit(&part->losses, memory_order_relaxed);
    }
    uint64_t calls = losses + counts[STAGE_COUNT_TIMEOUTS];
    uint64_t records =
        counts[STAGE_COUNT_REJECTED] + counts[STAGE_COUNT_POISONED] + counts[STAGE_COUNT_DISCARDED];
    return (struct error_tally){.records = counts[STAGE_COUNT_RECORDS_IN] + calls,
                                .errors = records + calls};
}

static struct error_tally since(struct error_tally now, struct error_tally base)
{
    return (struct error_tally){.records = now.records - base.records,
                                .errors = now.errors - base.errors};
}

static uint64_t percent(struct error_tally tally)
{
    uint64_t all =
        SL_MAX(tally.records, tally.errors); /* a gate's rejected ones are not counted in */
    return all == 0 ? 0 : tally.errors * 100 / all;
}

static struct plugin_rollback_rule rule_of(const struct plugin_instance *instance)
{
    struct plugin_rollback_rule rule = instance->manager->settings.is.rollback;
    const struct plugin_instance_config *config = config_of(instance);
    if (config != NULL && config->rollback_errors_percent >= 0) {
        rule.errors_percent = config->rollback_errors_percent;
    }
    if (config != NULL && config->rollback_grace_ms >= 0) {
        rule.grace_ms = config->rollback_grace_ms;
    }
    return rule;
}

void instance_deployed(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    struct error_tally now = instance_tally(instance);
    struct plugin_rollback_rule rule = rule_of(instance);
    bool put_back = instance->ending_why[0] != '\0';
    stage_count_add(&instance->parts[0].counts,
                    put_back ? STAGE_COUNT_ROLLBACKS : STAGE_COUNT_RELOADS,
                    put_back || instance->replaces ? 1 : 0);
    instance->deploy =
        (struct deploy_watch){.on = !put_back && instance->replaces && rule.errors_percent > 0 &&
                                    find_past(instance, NULL) != NULL,
                              .until_ms = mono_ms(manager) + rule.grace_ms,
                              .before = since(now, instance->active_base)};
    instance->active_base = now;
    instance->active_since_ms = sl_os_wall_ms(manager->config.os);
    instance->back_why[0] = '\0';
    if (put_back) { /* after its reason was cleared: why the file is not what runs */
        snprintf(instance->reason, sizeof(instance->reason), "%s; %s runs until the file changes",
                 instance->ending_why, instance->active->hash_text);
        memcpy(instance->back_why, instance->reason, sizeof(instance->back_why));
        instance->ending_why[0] = '\0';
    }
    if (instance->deploy.on && manager->deploy_timer != NULL) {
        sl_timer_start(manager->deploy_timer, LOOK_MS * INT64_C(1000000));
    }
}

void instance_look_at_deploy(struct plugin_instance *instance)
{
    struct deploy_watch *deploy = &instance->deploy;
    struct plugin_rollback_rule rule = rule_of(instance);
    struct error_tally now = since(instance_tally(instance), instance->active_base);
    if (!deploy->on || instance->loading != NULL || instance->trying || instance->recall != NULL ||
        instance->agree.phase != AGREE_NONE || now.errors < (uint64_t)rule.errors_min ||
        percent(now) <= percent(deploy->before) + (uint64_t)rule.errors_percent) {
        return;
    }
    const struct past_version *past = find_past(instance, NULL);
    deploy->on = false;
    if (past == NULL || !same_state(instance->active, &past->kept.is)) {
        return;
    }
    char why[PLUGIN_WHY_BYTES];
    snprintf(
        why, sizeof(why),
        "rolled back: %llu of %llu failed (%llu %%, before it %llu %%) within its first %lld s",
        (unsigned long long)now.errors, (unsigned long long)SL_MAX(now.records, now.errors),
        (unsigned long long)percent(now), (unsigned long long)percent(deploy->before),
        (long long)(rule.grace_ms / 1000));
    /* What it would do to the next records is not wanted any more. A gate's producers wait. */
    instance_hold_batches(instance, instance->attachment->is.on != SLUICE_ON_PRODUCE);
    roll_back(instance, past, why);
}

static void look(void *arg)
{
    struct plugin_manager *manager = arg;
    int64_t now = mono_ms(manager);
    bool any = false;
    bool shadows = false;
    SL_LIST_EACH(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (instance->deploy.on && instance->state != INSTANCE_DRAINING) {
            instance_look_at_deploy(instance);
            instance->deploy.on = instance->deploy.on && now < instance->deploy.until_ms;
            any = any || instance->deploy.on;
        }
        shadows = instance_shadow_look(instance) || shadows;
    }
    if (any || shadows) {
        sl_timer_start(manager->deploy_timer,
                       (shadows ? SHADOW_LOOK_MS : LOOK_MS) * INT64_C(1000000));
    }
}

sl_err manager_watch_deploys(struct plugin_manager *manager)
{
    return sl_timer_new(manager->loop, look, manager, &manager->deploy_timer);
}
