/* plugin_offer.c: what the worker of shard 0 tells: a version that loaded is named, its attachment
 * is resolved and checked against all others, and then it is accepted here and given to the other
 * shards, or refused while the one before goes on. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <sluice/state.h>
#include <stdio.h>
#include <string.h>

/* ---- its name ---- */

static void name_of_text(struct sluice_text text, char ret_name[MANIFEST_ID_BYTES])
{
    struct sl_bytes bytes = sl_bytes_of(text.data, (size_t)text.size);
    ret_name[0] = '\0';
    if (manifest_id_is_valid(bytes)) {
        snprintf(ret_name, MANIFEST_ID_BYTES, "%.*s", (int)bytes.size, (const char *)bytes.data);
    }
}

/* What the plugin calls itself; empty: it does not say. */
static void own_name(const struct plugin_version *version, const struct sandbox_event *event,
                     char ret_name[MANIFEST_ID_BYTES])
{
    name_of_text(event->ready.attachment.name, ret_name);
    if (ret_name[0] == '\0' && version->script == NULL) {
        name_of_text(event->ready.id, ret_name);
    }
}

enum naming { NAMED, RENAMED_AND_RELOADED, NAME_REFUSED };

/* Names the instance as the plugin does, unless the configuration named it. */
static enum naming settle_name(struct plugin_instance *instance, struct plugin_version *version,
                               const struct sandbox_event *event)
{
    struct plugin_manager *manager = instance->manager;
    char wanted[MANIFEST_ID_BYTES];
    char text[PLUGIN_REASON_BYTES];
    own_name(version, event, wanted);
    if (wanted[0] == '\0' || instance->config_name[0] != '\0' ||
        strcmp(wanted, instance->name) == 0) {
        return NAMED;
    }
    if (instance->active != NULL) {
        snprintf(text, sizeof(text), "%s names itself %s, but runs as %s: remove it first",
                 instance->file, wanted, instance->name);
        instance_refuse(instance, text);
        return NAME_REFUSED;
    }
    const struct plugin_instance *taken = instance_find(manager, wanted);
    if (taken != NULL) {
        snprintf(text, sizeof(text), "%s names itself %s, which %s is already", instance->file,
                 wanted, taken->file);
        instance_refuse(instance, text);
        return NAME_REFUSED;
    }
    snprintf(instance->name, sizeof(instance->name), "%s", wanted);
    for (uint32_t i = 0; i < manager->config.set->count; i++) {
        snprintf(instance->parts[i].name, sizeof(instance->parts[i].name), "%s", wanted);
    }
    const struct plugin_instance_config *config = kept_settings_find(&manager->settings, wanted);
    bool its =
        config != NULL && (config->module == NULL || strcmp(config->module, instance->file) == 0);
    struct plugin_version *again = its ? instance_version_with(version, config) : NULL;
    if (again == NULL) {
        return NAMED;
    }
    snprintf(instance->config_name, sizeof(instance->config_name), "%s", config->name);
    instance_load_version(instance, again);
    plugin_version_unref(again);
    return RENAMED_AND_RELOADED;
}

/* ---- its attachment ---- */

static sl_err check_graph(const struct plugin_instance *instance,
                          const struct plugin_attachment *attachment, char *ret_reason)
{
    struct graph_node nodes[GRAPH_NODES_MAX];
    uint32_t count = 0;
    nodes[count++] = (struct graph_node){instance->name, attachment};
    SL_LIST_EACH(&instance->manager->instances, link)
    {
        const struct plugin_instance *other = SL_CONTAINER_OF(link, struct plugin_instance, link);
        const struct shared_attachment *its = other->agree.phase == AGREE_SWITCHING
                                                  ? other->agree.coming.attachment
                                                  : other->attachment;
        if (other != instance && its != NULL && count < GRAPH_NODES_MAX) {
            nodes[count++] = (struct graph_node){other->name, &its->is};
        }
    }
    return plugin_graph_check(nodes, count, ret_reason);
}

/* Whether what the version that runs has kept is for the new one as well. */
static bool state_fits(const struct plugin_instance *instance, const struct plugin_attachment *is,
                       const struct sandbox_event *event, char ret_reason[PLUGIN_REASON_BYTES])
{
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    const struct shard *shard = instance->manager->config.set->shards[0];
    stage_state_name(instance->name, name);
    /* A script asks for its state only when it runs: what it says counts alone. */
    bool asks = event->ready.wants_state || event->ready.attachment.state_version != 0 ||
                (instance->attachment != NULL && instance->attachment->is.state_version != 0);
    if (instance->attachment == NULL || !asks ||
        catalog_by_name(shard->catalog, sl_bytes_of_text(name)) == NULL) {
        return true;
    }
    int64_t before = instance->attachment->is.state_version;
    bool fits = before == is->state_version;
    for (uint32_t i = 0; i < is->state_import_count; i++) {
        fits = fits || is->state_import[i] == before;
    }
    if (!fits) {
        snprintf(
            ret_reason, PLUGIN_REASON_BYTES,
            "its state_version is %lld, the state was written with %lld, and its manifest does "
            "not say state_import [%lld]",
            (long long)is->state_version, (long long)before, (long long)before);
    }
    return fits;
}

/* Beside what else there is; asked again before the switch, since that may have changed. */
static sl_err check_place(const struct plugin_instance *instance,
                          const struct plugin_attachment *attachment,
                          char ret_reason[PLUGIN_REASON_BYTES])
{
    const struct plugin_manager *manager = instance->manager;
    sl_err err = check_graph(instance, attachment, ret_reason);
    if (err != SLUICE_OK) {
        return err;
    }
    const char *other =
        plugin_shard_gate_conflict(&manager->shards[0], &instance->parts[0], attachment);
    if (other != NULL) {
        snprintf(ret_reason, PLUGIN_REASON_BYTES,
                 "the gate %s stands before the same topic already; one is the limit", other);
        return SLUICE_E_EXISTS;
    }
    return plugin_shard_misplaced(&manager->shards[0], attachment, ret_reason)
               ? SLUICE_E_UNSUPPORTED
               : SLUICE_OK;
}

static sl_err resolve(struct plugin_instance *instance, struct plugin_version *version,
                      const struct sandbox_event *event, struct plugin_attachment *ret_attachment,
                      char ret_reason[PLUGIN_REASON_BYTES])
{
    struct plugin_manager *manager = instance->manager;
    struct attachment_sources sources = {
        .instance = instance->name,
        .file = instance->file,
        .manifest = version->script == NULL ? &version->module->manifest : NULL,
        .described = &event->ready.attachment,
        .config = reload_config(instance),
        .dev = manager->settings.is.dev,
    };
    sl_err err = plugin_attachment_resolve(&sources, ret_attachment, ret_reason);
    if (err != SLUICE_OK) {
        return err;
    }
    if (!state_fits(instance, ret_attachment, event, ret_reason)) {
        return SLUICE_E_UNSUPPORTED;
    }
    if (ret_attachment->on == SLUICE_ON_PRODUCE && event->ready.wants_state) {
        snprintf(ret_reason, PLUGIN_REASON_BYTES,
                 "it is a gate and wants " SLUICE_EXT_STATE
                 ": gates have no durable state in ABI 1");
        return SLUICE_E_UNSUPPORTED;
    }
    return check_place(instance, ret_attachment, ret_reason);
}

static void add_text(char *to, size_t size, struct sluice_text text)
{
    snprintf(to, size, "%.*s", (int)SL_MIN(text.size, (uint64_t)size - 1),
             text.data != NULL ? text.data : "");
}

static void describe_module(struct version_coming *coming, const struct sandbox_event *event)
{
    char id[MANIFEST_ID_BYTES];
    char version[MANIFEST_VERSION_BYTES];
    add_text(id, sizeof(id), event->ready.id);
    add_text(version, sizeof(version), event->ready.version);
    snprintf(coming->module_text, sizeof(coming->module_text), "%s %s", id, version);
    snprintf(coming->version_text, sizeof(coming->version_text), "%s",
             coming->version->script != NULL ? coming->version->hash_text : version);
}

static void log_loaded(const struct plugin_instance *instance, bool again)
{
    const struct plugin_attachment *is = &instance->attachment->is;
    char path[PLUGIN_REASON_BYTES];
    char inputs[PLUGIN_TEXT_BYTES];
    char flow[PLUGIN_REASON_BYTES];
    struct sl_text_out out = SL_TEXT_OUT(flow);
    instance_path(instance, path, sizeof(path));
    plugin_attachment_inputs_text(is, inputs, sizeof(inputs));
    sl_text_add(&out, "%s", inputs);
    if (is->on == SLUICE_ON_PRODUCE) {
        sl_text_add(&out, " (gate)");
    } else if (is->output[0] != '\0') {
        sl_text_add(&out, " → %s", is->output);
    }
    sl_log(instance->manager->config.logger, SL_LOG_INFO, instance->name,
           again ? "reloaded" : "loaded", sl_log_text("path", path), sl_log_text("attached", flow),
           sl_log_text("as", is->on == SLUICE_ON_PRODUCE ? "gate" : "stage"),
           sl_log_text("module", instance->module_text),
           sl_log_text("version", instance->active->hash_text));
}

/* ---- the events ---- */

/* Why the one that runs ends. */
static void ending(const struct plugin_instance *instance, const struct plugin_version *version,
                   char ret_why[PLUGIN_WHY_BYTES])
{
    if (instance->ending_why[0] != '\0') {
        snprintf(ret_why, PLUGIN_WHY_BYTES, "%s", instance->ending_why);
    } else {
        snprintf(ret_why, PLUGIN_WHY_BYTES, "%s took over", version->hash_text);
    }
}

void instance_in_force(struct plugin_instance *instance, struct version_coming *coming,
                       bool then_newer)
{
    bool again = instance->active != NULL;
    char why[PLUGIN_WHY_BYTES];
    ending(instance, coming->version, why);
    instance->replaces = again;
    instance_adopt_kept(instance);
    if (again) {
        instance_past_push(instance, instance->ending_why[0] != '\0', why);
    }
    instance_past_forget_hash(instance, coming->version->hash);
    instance->active = coming->version;
    instance->attachment = coming->attachment;
    memcpy(instance->module_text, coming->module_text, sizeof(instance->module_text));
    memcpy(instance->version_text, coming->version_text, sizeof(instance->version_text));
    instance_drop_loading(instance);
    instance->state =
        worker_host_is_running(instance->parts[0].host) ? INSTANCE_RUNNING : INSTANCE_WAITING;
    instance->reason[0] = '\0';
    instance_deployed(instance);
    log_loaded(instance, again);
    if (!instance->brake_kept) {
        (void)instance_release_brake(instance); /* there is new code, and no other */
    }
    instance->brake_kept = false;
    manager_save_brakes(instance->manager); /* one of an older version, from before the start */
    instance_hold_batches(instance, false);
    instance_first_load_ended(instance);
    if (!then_newer) {
        instance_answer(instance, SLUICE_OK, "");
        order_load_ended(instance, SLUICE_OK, "");
    }
    manager_keep(instance->manager);
}

void instance_take_over(struct plugin_instance *instance)
{
    char reason[PLUGIN_REASON_BYTES] = "";
    sl_err err = check_place(instance, &instance->agree.coming.attachment->is, reason);
    if (err == SLUICE_OK) {
        instance_agree_switch(instance);
        return;
    }
    instance_agree_drop(instance);
    instance_refuse(instance, reason[0] != '\0' ? reason : sl_status_text(err));
}

void instance_agreed(struct plugin_instance *instance)
{
    if (instance->trying) {
        reload_ready(instance);
    } else if (!instance_shadow_begin(instance)) {
        instance_take_over(instance);
    }
}

/* [takes attachment] */
static void ask_others(struct plugin_instance *instance, struct plugin_version *version,
                       const struct sandbox_event *event, struct shared_attachment *attachment)
{
    struct version_coming coming = {.version = plugin_version_ref(version),
                                    .attachment = attachment};
    describe_module(&coming, event);
    instance_agree_ask(instance, &coming);
}

/* A reload asks: nothing is switched before all have agreed. */
static void try_ready(struct plugin_instance *instance, struct plugin_version *version,
                      const struct sandbox_event *event)
{
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    sl_err err = resolve(instance, version, event, &attachment, reason);
    struct shared_attachment *shared = err == SLUICE_OK ? shared_attachment_new(&attachment) : NULL;
    if (shared != NULL) {
        ask_others(instance, version, event, shared);
        return;
    }
    err = err == SLUICE_OK ? SLUICE_E_NO_MEMORY : err;
    worker_host_refuse(instance->parts[0].host);
    reload_refused(instance, reason[0] != '\0' ? reason : sl_status_text(err));
}

static void version_ready(void *arg, struct plugin_version *version,
                          const struct sandbox_event *event)
{
    struct plugin_instance *instance = arg;
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    if (instance->trying) {
        try_ready(instance, version, event);
        return;
    }
    enum naming naming = settle_name(instance, version, event);
    if (naming == RENAMED_AND_RELOADED) {
        return; /* the load took this one's place */
    }
    const struct plugin_switch *is = manager_switch(instance->manager, instance->name);
    if (naming == NAMED && instance->active == NULL && switch_has(is, SWITCH_DISABLED)) {
        worker_host_refuse(instance->parts[0].host); /* its name is known only now */
        instance_stay_disabled(instance);
        instance_answer(instance, SLUICE_E_BUSY, "it is disabled");
        order_load_ended(instance, SLUICE_E_BUSY, "it is disabled");
        return;
    }
    instance->paused = switch_has(is, SWITCH_PAUSED);
    if (naming == NAMED && instance->active == NULL) {
        instance_brake_restore(instance, version);
    }
    sl_err err =
        naming == NAMED ? resolve(instance, version, event, &attachment, reason) : SLUICE_E_EXISTS;
    struct shared_attachment *shared = err == SLUICE_OK ? shared_attachment_new(&attachment) : NULL;
    if (shared == NULL) {
        err = err == SLUICE_OK ? SLUICE_E_NO_MEMORY : err;
        worker_host_refuse(instance->parts[0].host);
        if (naming == NAMED) {
            instance_refuse(instance, reason[0] != '\0' ? reason : sl_status_text(err));
        }
        return;
    }
    ask_others(instance, version, event, shared);
}

void instance_version_lost(struct plugin_instance *instance, struct plugin_version *version,
                           const char *text)
{
    instance_shadow_cancel(instance);
    instance_agree_drop(instance);
    if (instance->trying) {
        reload_refused(instance, text);
    } else if (!reload_lost(instance, version, text)) {
        instance_refuse(instance, text);
    }
}

static void version_refused(void *arg, struct plugin_version *version, const char *text)
{
    struct plugin_instance *instance = arg;
    if (!instance_part_lost_version(&instance->parts[0], version, text)) {
        instance_version_lost(instance, version, text);
    }
}

static void version_switched(void *arg)
{
    struct plugin_instance *instance = arg;
    instance_part_switched(&instance->parts[0]);
}

static void worker_changed(void *arg, bool running, const char *text)
{
    struct plugin_instance *instance = arg;
    if (instance->state == INSTANCE_DRAINING || instance->active == NULL) {
        return;
    }
    instance->state = running ? INSTANCE_RUNNING : INSTANCE_WAITING;
    if (running && instance->back_why[0] != '\0') { /* what it replaced may have died meanwhile */
        memcpy(instance->reason, instance->back_why, sizeof(instance->reason));
    }
    if (!running) {
        snprintf(instance->reason, sizeof(instance->reason), "%s", text);
        instance_part_lost(&instance->parts[0]);
        instance_look_at_deploy(instance);
    }
}

static void host_reconfigured(void *arg, sl_err err, const char *text, bool took)
{
    struct plugin_instance *instance = arg;
    instance_part_reconfigured(&instance->parts[0], err, text, took);
}

sl_err instance_offer_host(struct plugin_instance *instance)
{
    const struct worker_host_events events = {.arg = instance,
                                              .ready = version_ready,
                                              .refused = version_refused,
                                              .switched = version_switched,
                                              .changed = worker_changed,
                                              .reconfigured = host_reconfigured};
    return instance_part_make_host(&instance->parts[0], instance->manager, &events);
}
