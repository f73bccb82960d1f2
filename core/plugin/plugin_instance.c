/* plugin_instance.c: the life of an instance: load beside what runs, check, switch, unload
 * (plugin_state.h). On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct plugin_instance *instance_find(struct plugin_manager *manager, const char *name)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->name, name) == 0) {
            return instance;
        }
    }
    return NULL;
}

static struct sl_logger *logger_of(const struct plugin_instance *instance)
{
    return instance->manager->config.logger;
}

static void path_of(const struct plugin_instance *instance, char *ret_path, size_t size)
{
    snprintf(ret_path, size, "%s/%s", instance->manager->settings.is.plugins_dir, instance->file);
}

static void first_load_ended(struct plugin_instance *instance)
{
    if (instance->first_load) {
        instance->first_load = false;
        instance->manager->starting--;
        manager_progress(instance->manager);
    }
}

static void drop_loading(struct plugin_instance *instance)
{
    instance->loading = plugin_version_unref(instance->loading);
}

/* What came does not run; what ran before goes on. One line in the log. */
static void refuse(struct plugin_instance *instance, const char *text)
{
    char path[PLUGIN_REASON_BYTES];
    path_of(instance, path, sizeof(path));
    struct sl_text_out out = SL_TEXT_OUT(instance->reason);
    sl_text_add(&out, "%s", text);
    if (instance->active != NULL) {
        sl_text_add(&out, "; version %s keeps running", instance->active->hash_text);
    } else {
        instance->state = INSTANCE_REFUSED;
    }
    sl_log(logger_of(instance), SL_LOG_ERROR, instance->name, "not loaded",
           sl_log_text("path", path), sl_log_text("reason", instance->reason));
    drop_loading(instance);
    first_load_ended(instance);
}

/* ---- versions ---- */

/* The module's defaults under the configuration's keys. */
static char *merge_config(const char *defaults, const char *config)
{
    cJSON *merged = cJSON_Parse(defaults != NULL ? defaults : "{}");
    cJSON *over = cJSON_Parse(config != NULL ? config : "{}");
    char *text = NULL;
    if (cJSON_IsObject(merged) && cJSON_IsObject(over)) {
        while (over->child != NULL) {
            cJSON *item = cJSON_DetachItemViaPointer(over, over->child);
            if (cJSON_HasObjectItem(merged, item->string)) {
                cJSON_ReplaceItemInObjectCaseSensitive(merged, item->string, item);
            } else {
                cJSON_AddItemToObject(merged, item->string, item);
            }
        }
        char *printed = cJSON_PrintUnformatted(merged);
        text = printed != NULL ? sl_strdup_bytes(printed, strlen(printed)) : NULL;
        cJSON_free(printed);
    }
    cJSON_Delete(merged);
    cJSON_Delete(over);
    return text;
}

/* The stricter of both; 0: not said. */
static int64_t stricter(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 ? a : SL_MIN(a, b);
}

static void set_limits(struct plugin_version *version, const struct manifest *manifest,
                       const struct plugin_instance_config *config)
{
    int64_t memory = stricter(manifest->memory_bytes, config != NULL ? config->memory_bytes : 0);
    int64_t descriptors = stricter(manifest->descriptors, config != NULL ? config->descriptors : 0);
    if (memory > 0) {
        version->limits.memory_bytes_max = (uint64_t)memory;
    }
    if (descriptors > 0) {
        version->limits.descriptors_max = (uint32_t)SL_MAX(descriptors, 16);
    }
}

struct version_parts {
    struct plugin_module *module;
    const uint8_t *script;
    size_t script_size;
    const char *file;
    const uint8_t *hash;
    const char *instance;
    const struct plugin_instance_config *config;
    bool dev;
};

static struct plugin_version *make_version(const struct version_parts *parts)
{
    struct plugin_version *version = plugin_version_new(parts->module);
    if (version == NULL) {
        return NULL;
    }
    snprintf(version->instance, sizeof(version->instance), "%s", parts->instance);
    snprintf(version->file, sizeof(version->file), "%s", parts->file);
    memcpy(version->hash, parts->hash, PLUGIN_HASH_SIZE);
    plugin_hash_text(parts->hash, version->hash_text, sizeof(version->hash_text));
    version->config_json = merge_config(parts->module->manifest.defaults,
                                        parts->config != NULL ? parts->config->config_json : NULL);
    bool ok = version->config_json != NULL;
    if (ok && parts->script != NULL) {
        version->script = sl_alloc(parts->script_size + 1);
        ok = version->script != NULL;
        if (ok) {
            memcpy(version->script, parts->script, parts->script_size);
            version->script_size = parts->script_size;
        }
    }
    set_limits(version, &parts->module->manifest, parts->config);
    /* What the plugin may emit to is checked by the stage; the early check is a convenience that
     * the attachment, known only after the start, would be needed for. */
    version->outputs_any = true;
    return ok ? version : plugin_version_unref(version);
}

struct plugin_version *instance_version_with(const struct plugin_version *from,
                                             const struct plugin_instance_config *config)
{
    return make_version(&(struct version_parts){.module = from->module,
                                                .script = from->script,
                                                .script_size = from->script_size,
                                                .file = from->file,
                                                .hash = from->hash,
                                                .instance = config->name,
                                                .config = config});
}

/* ---- what the worker of shard 0 tells ---- */

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

static void load_version(struct plugin_instance *instance, struct plugin_version *version);

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
        refuse(instance, text);
        return NAME_REFUSED;
    }
    const struct plugin_instance *taken = instance_find(manager, wanted);
    if (taken != NULL) {
        snprintf(text, sizeof(text), "%s names itself %s, which %s is already", instance->file,
                 wanted, taken->file);
        refuse(instance, text);
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
    load_version(instance, again);
    plugin_version_unref(again);
    return RENAMED_AND_RELOADED;
}

static sl_err check_graph(const struct plugin_instance *instance,
                          const struct plugin_attachment *attachment, char *ret_reason)
{
    struct graph_node nodes[GRAPH_NODES_MAX];
    uint32_t count = 0;
    nodes[count++] = (struct graph_node){instance->name, attachment};
    SL_LIST_EACH(&instance->manager->instances, link)
    {
        const struct plugin_instance *other = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (other != instance && other->attachment != NULL && count < GRAPH_NODES_MAX) {
            nodes[count++] = (struct graph_node){other->name, &other->attachment->is};
        }
    }
    return plugin_graph_check(nodes, count, ret_reason);
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
        .config = instance->config_name[0] != '\0'
                      ? kept_settings_find(&manager->settings, instance->config_name)
                      : NULL,
        .dev = manager->settings.is.dev,
    };
    sl_err err = plugin_attachment_resolve(&sources, ret_attachment, ret_reason);
    err = err != SLUICE_OK ? err : check_graph(instance, ret_attachment, ret_reason);
    if (err != SLUICE_OK) {
        return err;
    }
    const char *other =
        plugin_shard_gate_conflict(&manager->shards[0], &instance->parts[0], ret_attachment);
    if (other != NULL) {
        snprintf(ret_reason, PLUGIN_REASON_BYTES,
                 "the gate %s stands before the same topic already; one is the limit", other);
        return SLUICE_E_EXISTS;
    }
    return plugin_shard_misplaced(&manager->shards[0], ret_attachment, ret_reason)
               ? SLUICE_E_UNSUPPORTED
               : SLUICE_OK;
}

static void describe_module(struct plugin_instance *instance, const struct plugin_version *version,
                            const struct sandbox_event *event)
{
    snprintf(instance->module_text, sizeof(instance->module_text), "%.*s %.*s",
             (int)SL_MIN(event->ready.id.size, (uint64_t)MANIFEST_ID_BYTES),
             event->ready.id.data != NULL ? event->ready.id.data : "",
             (int)SL_MIN(event->ready.version.size, (uint64_t)MANIFEST_VERSION_BYTES - 1),
             event->ready.version.data != NULL ? event->ready.version.data : "");
    if (version->script != NULL) {
        snprintf(instance->version_text, sizeof(instance->version_text), "%s", version->hash_text);
    } else {
        snprintf(instance->version_text, sizeof(instance->version_text), "%.*s",
                 (int)SL_MIN(event->ready.version.size, (uint64_t)MANIFEST_VERSION_BYTES - 1),
                 event->ready.version.data != NULL ? event->ready.version.data : "");
    }
}

static void log_loaded(const struct plugin_instance *instance, bool again)
{
    const struct plugin_attachment *is = &instance->attachment->is;
    char path[PLUGIN_REASON_BYTES];
    char inputs[PLUGIN_TEXT_BYTES];
    char flow[PLUGIN_REASON_BYTES];
    struct sl_text_out out = SL_TEXT_OUT(flow);
    path_of(instance, path, sizeof(path));
    plugin_attachment_inputs_text(is, inputs, sizeof(inputs));
    sl_text_add(&out, "%s", inputs);
    if (is->on == SLUICE_ON_PRODUCE) {
        sl_text_add(&out, " (gate)");
    } else if (is->output[0] != '\0') {
        sl_text_add(&out, " → %s", is->output);
    }
    sl_log(logger_of(instance), SL_LOG_INFO, instance->name, again ? "reloaded" : "loaded",
           sl_log_text("path", path), sl_log_text("attached", flow),
           sl_log_text("as", is->on == SLUICE_ON_PRODUCE ? "gate" : "stage"),
           sl_log_text("module", instance->module_text),
           sl_log_text("version", instance->active->hash_text));
}

static void version_ready(void *arg, struct plugin_version *version,
                          const struct sandbox_event *event)
{
    struct plugin_instance *instance = arg;
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    enum naming naming = settle_name(instance, version, event);
    if (naming == RENAMED_AND_RELOADED) {
        return; /* the load took this one's place */
    }
    sl_err err =
        naming == NAMED ? resolve(instance, version, event, &attachment, reason) : SLUICE_E_EXISTS;
    struct shared_attachment *shared = err == SLUICE_OK ? shared_attachment_new(&attachment) : NULL;
    if (shared == NULL) {
        worker_host_refuse(instance->parts[0].host);
        if (naming == NAMED) {
            refuse(instance, reason[0] != '\0' ? reason : sl_status_text(err));
        }
        return;
    }
    bool again = instance->active != NULL;
    describe_module(instance, version, event);
    plugin_version_unref(instance->active);
    instance->active = plugin_version_ref(version);
    drop_loading(instance);
    shared_attachment_unref(instance->attachment);
    instance->attachment = shared;
    instance->state = INSTANCE_RUNNING;
    instance->reason[0] = '\0';
    log_loaded(instance, again);
    worker_host_accept(instance->parts[0].host);
    instance_part_attach(&instance->parts[0], shared, instance->version_text);
    instance_spread(instance);
    first_load_ended(instance);
}

static void version_refused(void *arg, struct plugin_version *version, const char *text)
{
    (void)version;
    refuse(arg, text);
}

static void worker_changed(void *arg, bool running, const char *text)
{
    struct plugin_instance *instance = arg;
    if (instance->state == INSTANCE_DRAINING || instance->active == NULL) {
        return;
    }
    instance->state = running ? INSTANCE_RUNNING : INSTANCE_WAITING;
    if (!running) {
        snprintf(instance->reason, sizeof(instance->reason), "%s", text);
    }
}

static void host_reconfigured(void *arg, sl_err err, const char *text)
{
    struct plugin_instance *instance = arg;
    reconfigure_answer(instance->manager, instance, err, text);
}

/* ---- other shards ---- */

struct part_call {
    struct shard_call call;
    struct plugin_instance *instance;
    struct plugin_version *version;       /* referenced */
    struct shared_attachment *attachment; /* referenced */
    char version_text[MANIFEST_VERSION_BYTES];
};

static void part_version_ready(void *arg, struct plugin_version *version,
                               const struct sandbox_event *event)
{
    struct instance_part *part = arg;
    (void)version;
    (void)event;
    worker_host_accept(part->host); /* shard 0 has checked it */
}

static void part_version_refused(void *arg, struct plugin_version *version, const char *text)
{
    struct instance_part *part = arg;
    (void)version;
    sl_log(part->owner->shard->logger, SL_LOG_ERROR, part->name,
           "the new version does not start on this shard; the old one goes on",
           sl_log_u64("shard", part->owner->shard->index), sl_log_text("reason", text));
}

static void part_changed(void *arg, bool running, const char *text)
{
    (void)arg;
    (void)running;
    (void)text;
}

static void part_reconfigured(void *arg, sl_err err, const char *text)
{
    (void)arg;
    (void)err;
    (void)text;
}

static sl_err make_host(struct instance_part *part, const struct plugin_manager *manager,
                        const struct worker_host_events *events)
{
    struct shard *shard = part->owner->shard;
    struct worker_host_config config = {
        .os = manager->config.os,
        .loop = shard->loop,
        .logger = manager->config.logger,
        .sandbox = manager->sandbox,
        .name = part->name,
        .counts = &part->counts,
        .causes = part->causes,
        .events = *events,
    };
    return worker_host_new(&config, &part->host);
}

static void part_update_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    struct worker_host_events events = {.arg = part,
                                        .ready = part_version_ready,
                                        .refused = part_version_refused,
                                        .changed = part_changed,
                                        .reconfigured = part_reconfigured};
    if (part->host == NULL && make_host(part, self->instance->manager, &events) != SLUICE_OK) {
        sl_log(call->target->logger, SL_LOG_ERROR, part->name, "cannot run on this shard",
               sl_log_u64("shard", call->target->index));
    } else {
        worker_host_adopt(part->host, self->version);
        instance_part_attach(part, self->attachment, self->version_text);
    }
    shard_call_reply(call);
}

static void part_call_free(struct part_call *self)
{
    plugin_version_unref(self->version);
    shared_attachment_unref(self->attachment);
    sl_free(self);
}

static void instance_gone(struct plugin_instance *instance);

static void part_answered(struct plugin_instance *instance)
{
    if (--instance->pending_parts == 0 && instance->state == INSTANCE_DRAINING) {
        instance_gone(instance);
    }
}

static void part_update_replied(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct plugin_instance *instance = self->instance;
    part_call_free(self);
    part_answered(instance);
}

void instance_spread(struct plugin_instance *instance)
{
    struct shard_set *set = instance->manager->config.set;
    for (uint32_t i = 1; i < set->count; i++) {
        struct part_call *self = sl_alloc_zero(1, sizeof(*self));
        SL_ASSERT(self != NULL);
        self->instance = instance;
        self->version = plugin_version_ref(instance->active);
        self->attachment = shared_attachment_ref(instance->attachment);
        snprintf(self->version_text, sizeof(self->version_text), "%s", instance->version_text);
        self->call.run = part_update_run;
        self->call.reply = part_update_replied;
        instance->pending_parts++;
        shard_call_start(&self->call, set->shards[i], instance->manager->loop, SL_PRIORITY_CONTROL);
    }
}

/* ---- loading ---- */

static sl_err open_sandbox(struct plugin_manager *manager)
{
    struct sandbox_options options = {.worker_path = manager->settings.is.worker_path};
    if (manager->sandbox != NULL) {
        return SLUICE_OK;
    }
    return sandbox_open(&options, &manager->sandbox, manager->sandbox_reason,
                        sizeof(manager->sandbox_reason));
}

static void load_version(struct plugin_instance *instance, struct plugin_version *version)
{
    struct plugin_manager *manager = instance->manager;
    struct instance_part *part = &instance->parts[0];
    struct worker_host_events events = {.arg = instance,
                                        .ready = version_ready,
                                        .refused = version_refused,
                                        .changed = worker_changed,
                                        .reconfigured = host_reconfigured};
    plugin_version_unref(instance->loading);
    instance->loading = plugin_version_ref(version);
    if (open_sandbox(manager) != SLUICE_OK) {
        refuse(instance, manager->sandbox_reason);
        return;
    }
    if (part->host == NULL && make_host(part, manager, &events) != SLUICE_OK) {
        refuse(instance, "out of memory");
        return;
    }
    worker_host_load(part->host, version);
}

static struct plugin_instance *instance_new(struct plugin_manager *manager, const char *name,
                                            const char *file, const char *config_name)
{
    struct plugin_instance *instance = sl_alloc_zero(1, sizeof(*instance));
    uint32_t count = manager->config.set->count;
    struct instance_part *parts = sl_alloc_zero(count, sizeof(*parts));
    if (instance == NULL || parts == NULL || manager->instance_count == PLUGIN_INSTANCES_MAX) {
        sl_free(instance);
        sl_free(parts);
        return NULL;
    }
    instance->manager = manager;
    instance->parts = parts;
    sl_link_init(&instance->link);
    snprintf(instance->name, sizeof(instance->name), "%s", name);
    snprintf(instance->file, sizeof(instance->file), "%s", file);
    snprintf(instance->config_name, sizeof(instance->config_name), "%s", config_name);
    for (uint32_t i = 0; i < count; i++) {
        instance_part_init(&parts[i], &manager->shards[i], name);
    }
    manager->instance_count++;
    instance->first_load = !manager->first_scan_done;
    manager->starting += instance->first_load;
    sl_list_push_back(&manager->instances, &instance->link);
    return instance;
}

static struct plugin_instance *find_of_file(struct plugin_manager *manager, const char *file,
                                            const char *config_name)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->file, file) == 0 &&
            (config_name[0] == '\0' || strcmp(instance->config_name, config_name) == 0)) {
            return instance;
        }
    }
    return NULL;
}

static void load_one(struct plugin_manager *manager, struct plugin_file *file,
                     const struct scan_entry *entry, const char *name,
                     const struct plugin_instance_config *config)
{
    const char *config_name = config != NULL ? config->name : "";
    struct plugin_instance *instance = find_of_file(manager, file->name, config_name);
    if (instance == NULL && instance_find(manager, name) != NULL) {
        snprintf(file->reason, sizeof(file->reason), "the name %s is taken by %s", name,
                 instance_find(manager, name)->file);
        sl_log(manager->config.logger, SL_LOG_ERROR, name, "not loaded",
               sl_log_text("path", file->name), sl_log_text("reason", file->reason));
        return;
    }
    if (instance == NULL) {
        instance = instance_new(manager, name, file->name, config_name);
    }
    if (instance == NULL) {
        snprintf(file->reason, sizeof(file->reason), "no room: at most %u instances",
                 PLUGIN_INSTANCES_MAX);
        return;
    }
    file->reason[0] = '\0';
    struct plugin_module *module = entry->script ? manager->lua : entry->module;
    if (module == NULL) {
        refuse(instance, entry->script ? manager->lua_reason : entry->reason);
        return;
    }
    const struct plugin_instance_config *its =
        config != NULL || instance->config_name[0] == '\0'
            ? config
            : kept_settings_find(&manager->settings, instance->config_name);
    struct plugin_version *version = make_version(&(struct version_parts){
        .module = module,
        .script = entry->script ? entry->bytes : NULL,
        .script_size = entry->size,
        .file = file->name,
        .hash = entry->hash,
        .instance = instance->name,
        .config = its,
    });
    if (version == NULL) {
        refuse(instance, "out of memory, or its configuration is not a JSON object");
        return;
    }
    load_version(instance, version);
    plugin_version_unref(version);
}

/* The file's name without its ending, as an instance may be called. */
static void stem_of(const char *file, char ret_stem[MANIFEST_ID_BYTES])
{
    size_t size = strcspn(file, ".");
    size = SL_MIN(size, (size_t)MANIFEST_ID_BYTES - 1);
    for (size_t i = 0; i < size; i++) {
        char c = file[i];
        char lower = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        ret_stem[i] = manifest_id_is_valid(sl_bytes_of(&lower, 1)) ? lower : '_';
    }
    ret_stem[size] = '\0';
}

void instances_load(struct plugin_manager *manager, struct plugin_file *file,
                    const struct scan_entry *entry)
{
    char name[MANIFEST_ID_BYTES];
    bool any = false;
    stem_of(file->name, name);
    if (entry->module != NULL && entry->module->manifest.id[0] != '\0') {
        snprintf(name, sizeof(name), "%s", entry->module->manifest.id);
    }
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const struct plugin_instance_config *config = &manager->settings.instances[i];
        bool its = config->module != NULL ? strcmp(config->module, file->name) == 0
                                          : strcmp(config->name, name) == 0;
        if (its) {
            load_one(manager, file, entry, config->name, config);
            any = true;
        }
    }
    if (!any) {
        load_one(manager, file, entry, name, NULL);
    }
}

/* ---- unloading ---- */

static void instance_gone(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    sl_log(manager->config.logger, SL_LOG_INFO, instance->name, "unloaded",
           sl_log_text("file", instance->file));
    sl_list_remove(&instance->link);
    manager->instance_count--;
    plugin_version_unref(instance->active);
    plugin_version_unref(instance->loading);
    shared_attachment_unref(instance->attachment);
    sl_free(instance->parts);
    sl_free(instance);
    manager_progress(manager);
}

static void part_detached(void *arg)
{
    struct part_call *self = arg;
    shard_call_reply(&self->call);
}

static void part_detach_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    instance_part_detach(&self->instance->parts[call->target->index], part_detached, self);
}

void instance_unload(struct plugin_instance *instance)
{
    struct shard_set *set = instance->manager->config.set;
    if (instance->state == INSTANCE_DRAINING) {
        return;
    }
    instance->state = INSTANCE_DRAINING;
    first_load_ended(instance);
    instance->pending_parts++; /* until all are asked */
    for (uint32_t i = 0; i < set->count; i++) {
        struct part_call *self = sl_alloc_zero(1, sizeof(*self));
        SL_ASSERT(self != NULL);
        self->instance = instance;
        self->call.run = part_detach_run;
        self->call.reply = part_update_replied;
        instance->pending_parts++;
        shard_call_start(&self->call, set->shards[i], instance->manager->loop, SL_PRIORITY_CONTROL);
    }
    part_answered(instance);
}

void instances_unload(struct plugin_manager *manager, const char *file)
{
    SL_LIST_EACH_SAFE(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->file, file) == 0) {
            instance_unload(instance);
        }
    }
}

bool instances_leaving(const struct plugin_manager *manager, const char *file)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        const struct plugin_instance *instance =
            SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->file, file) == 0 && instance->state == INSTANCE_DRAINING) {
            return true;
        }
    }
    return false;
}
