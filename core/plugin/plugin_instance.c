/* plugin_instance.c: the life of an instance: a file makes it, loads into it beside what runs, and
 * takes it away (plugin_state.h). What its worker offers is judged in plugin_offer.c; its parts on
 * the shards are told by plugin_spread.c. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/status.h"
#include "base/text.h"

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

void instance_path(const struct plugin_instance *instance, char *ret_path, size_t size)
{
    const struct plugin_settings *is = &instance->manager->settings.is;
    snprintf(ret_path, size, "%s/%s", instance->shipped ? is->system_dir : is->plugins_dir,
             instance->file);
}

void instance_first_load_ended(struct plugin_instance *instance)
{
    if (instance->first_load) {
        instance->first_load = false;
        instance->manager->starting--;
        manager_progress(instance->manager);
    }
}

void instance_drop_loading(struct plugin_instance *instance)
{
    instance->loading = plugin_version_unref(instance->loading);
}

void instance_refuse(struct plugin_instance *instance, const char *text)
{
    char path[PLUGIN_REASON_BYTES];
    instance_path(instance, path, sizeof(path));
    struct sl_text_out out = SL_TEXT_OUT(instance->reason);
    sl_text_add(&out, "%s", text);
    if (instance->active != NULL) {
        sl_text_add(&out, "; version %s keeps running", instance->active->hash_text);
    } else {
        instance->state = INSTANCE_REFUSED;
        instance_adopt_kept(instance); /* an earlier one can be put back */
    }
    sl_log(instance->manager->config.logger, SL_LOG_ERROR, instance->name, "not loaded",
           sl_log_text("path", path), sl_log_text("reason", instance->reason));
    stage_count_add(&instance->parts[0].counts, STAGE_COUNT_REFUSED, 1);
    instance->ending_why[0] = '\0';
    instance_hold_batches(instance, false);
    instance->shadow.asked = (struct shadow_wish){0};
    instance_drop_loading(instance);
    instance_first_load_ended(instance);
    instance_answer(instance, SLUICE_E_PLUGIN_LOAD, instance->reason);
    order_load_ended(instance, SLUICE_E_PLUGIN_LOAD, instance->reason);
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

void instance_load_version(struct plugin_instance *instance, struct plugin_version *version)
{
    struct plugin_manager *manager = instance->manager;
    struct instance_part *part = &instance->parts[0];
    instance_shadow_cancel(instance);
    instance_agree_drop(instance);
    instance_recall_cancel(instance);
    struct plugin_version *before = instance->loading;
    instance->loading = plugin_version_ref(version);
    plugin_version_unref(before);
    order_load_began(instance);
    if (instance->agree.phase == AGREE_SWITCHING) {
        return; /* when that is done */
    }
    if (instance->active == NULL && instance->state != INSTANCE_DRAINING) {
        instance->state = INSTANCE_STARTING;
    }
    if (open_sandbox(manager) != SLUICE_OK) {
        instance_refuse(instance, manager->sandbox_reason);
        return;
    }
    if (part->host == NULL && instance_offer_host(instance) != SLUICE_OK) {
        instance_refuse(instance, "out of memory");
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
    struct worker_meter *meters = sl_alloc_zero(count, sizeof(*meters));
    if (instance == NULL || parts == NULL || meters == NULL ||
        manager->instance_count == PLUGIN_INSTANCES_MAX) {
        sl_free(instance);
        sl_free(parts);
        sl_free(meters);
        return NULL;
    }
    instance->manager = manager;
    instance->parts = parts;
    instance->meters = meters;
    sl_link_init(&instance->link);
    snprintf(instance->name, sizeof(instance->name), "%s", name);
    snprintf(instance->file, sizeof(instance->file), "%s", file);
    snprintf(instance->config_name, sizeof(instance->config_name), "%s", config_name);
    for (uint32_t i = 0; i < count; i++) {
        instance_part_init(&parts[i], &manager->shards[i], name);
        parts[i].meter = &meters[i];
        instance_part_watch(instance, i);
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

/* What a command ended stays so, until a command or a change of its file. */
static bool stays_ended(const struct plugin_instance *instance, const struct scan_entry *entry)
{
    const struct plugin_manager *manager = instance->manager;
    bool wanted =
        order_wants(manager, instance->file, instance->name) || reload_wants(manager, instance);
    bool same = memcmp(instance->hash, entry->hash, sizeof(instance->hash)) == 0;
    if (instance->state == INSTANCE_DISABLED) {
        return true;
    }
    bool is_other = entry->wanted && !wanted; /* of the same file */
    return is_other ? same || instance->state == INSTANCE_UNLOADED
                    : instance->state == INSTANCE_UNLOADED && !wanted && same;
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
    if (instance->active == NULL && instance->state == INSTANCE_STARTING &&
        switch_has(manager_switch(manager, instance->name), SWITCH_DISABLED)) {
        instance_stay_disabled(instance);
    }
    if (stays_ended(instance, entry)) {
        return;
    }
    memcpy(instance->hash, entry->hash, sizeof(instance->hash));
    order_load_began(instance);
    instance->shipped = entry->shipped;
    struct plugin_module *module = entry->script ? manager->lua : entry->module;
    if (module == NULL) {
        instance_refuse(instance, entry->script ? manager->lua_reason : entry->reason);
        return;
    }
    const struct plugin_instance_config *its =
        config != NULL || instance->config_name[0] == '\0'
            ? config
            : kept_settings_find(&manager->settings, instance->config_name);
    struct plugin_version *version = instance_version_new(&(struct version_parts){
        .module = module,
        .script = entry->script ? entry->bytes : NULL,
        .script_size = entry->size,
        .file = file->name,
        .hash = entry->hash,
        .instance = instance->name,
        .config = its,
    });
    if (version == NULL) {
        instance_refuse(
            instance,
            "out of memory, its configuration is not a JSON object, or a permission is none");
        return;
    }
    instance_answer(instance, SLUICE_E_CANCELLED, "its file changed meanwhile");
    instance->ending_why[0] = '\0'; /* the file counts, not a rollback under way */
    instance_hold_batches(instance, false);
    instance_load_version(instance, version);
    plugin_version_unref(version);
}

void instance_module_file(const struct plugin_instance_config *config,
                          char ret_file[PLUGIN_FILE_BYTES])
{
    bool whole = strchr(config->module, '.') != NULL;
    snprintf(ret_file, PLUGIN_FILE_BYTES, "%s%s", config->module, whole ? "" : ".so");
}

bool instance_module_is_shipped(const char *file)
{
    size_t size = strlen(file);
    return strncmp(file, "processor_", 10) == 0 && strchr(file, '/') == NULL && size > 3 &&
           strcmp(file + size - 3, ".so") == 0;
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

/* What an instance of the file is called unless the configuration says otherwise. */
static void default_name(const struct plugin_file *file, const struct scan_entry *entry,
                         char ret_name[MANIFEST_ID_BYTES])
{
    stem_of(file->name, ret_name);
    if (entry->module != NULL && entry->module->manifest.id[0] != '\0') {
        snprintf(ret_name, MANIFEST_ID_BYTES, "%s", entry->module->manifest.id);
    }
}

static bool is_of_file(const struct plugin_instance_config *config, const struct plugin_file *file,
                       const char *name)
{
    char module[PLUGIN_FILE_BYTES];
    if (config->module == NULL) {
        return strcmp(config->name, name) == 0;
    }
    instance_module_file(config, module);
    return strcmp(module, file->name) == 0;
}

void instances_load(struct plugin_manager *manager, struct plugin_file *file,
                    const struct scan_entry *entry)
{
    char name[MANIFEST_ID_BYTES];
    bool any = false;
    default_name(file, entry, name);
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const struct plugin_instance_config *config = &manager->settings.instances[i];
        if (is_of_file(config, file, name)) {
            load_one(manager, file, entry, config->name, config);
            any = true;
        }
    }
    if (!any && !entry->shipped) {
        load_one(manager, file, entry, name, NULL);
    }
}

bool instances_end_default(struct plugin_manager *manager, const struct plugin_file *file,
                           const struct scan_entry *entry)
{
    char name[MANIFEST_ID_BYTES];
    bool any = false;
    bool ends = false;
    default_name(file, entry, name);
    for (uint32_t i = 0; i < manager->settings.is.instance_count && !any; i++) {
        any = is_of_file(&manager->settings.instances[i], file, name);
    }
    SL_LIST_EACH_SAFE(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (any && strcmp(instance->file, file->name) == 0 && instance->config_name[0] == '\0') {
            ends = true;
            instance_unload(instance);
        }
    }
    return ends;
}

/* ---- unloading ---- */

/* Ready to attach again; what it counted stays. */
static void part_renew(struct instance_part *part, const char *name)
{
    struct worker_meter *meter = part->meter;
    uint64_t counts[STAGE_COUNT_COUNT];
    uint64_t causes[SANDBOX_CAUSE_COUNT];
    for (uint32_t i = 0; i < STAGE_COUNT_COUNT; i++) {
        counts[i] = atomic_load_explicit(&part->counts.values[i], memory_order_relaxed);
    }
    for (uint32_t i = 0; i < SANDBOX_CAUSE_COUNT; i++) {
        causes[i] = atomic_load_explicit(&part->causes[i], memory_order_relaxed);
    }
    instance_part_init(part, part->owner, name);
    part->meter = meter;
    for (uint32_t i = 0; i < STAGE_COUNT_COUNT; i++) {
        atomic_init(&part->counts.values[i], counts[i]);
    }
    for (uint32_t i = 0; i < SANDBOX_CAUSE_COUNT; i++) {
        atomic_init(&part->causes[i], causes[i]);
    }
}

/* Nothing of it is on the shards; it can be loaded again. */
static void instance_rested(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    instance->state = instance->resting;
    instance->resting = INSTANCE_STARTING;
    instance_recall_cancel(instance);
    if (instance->active != NULL) {
        instance_past_push(instance, false,
                           instance->state == INSTANCE_DISABLED ? "disabled" : "unloaded");
        manager_keep(manager);
    }
    instance->attachment = shared_attachment_unref(instance->attachment);
    instance->loading = plugin_version_unref(instance->loading);
    instance->reason[0] = '\0';
    instance->deploy.on = false;
    instance->held = false;
    atomic_store(&instance->brake.cause, STAGE_PAUSE_NONE);
    instance->ending_why[0] = '\0';
    for (uint32_t i = 0; i < manager->config.set->count; i++) {
        part_renew(&instance->parts[i], instance->name);
        instance_part_watch(instance, i);
    }
    order_rested(instance);
}

void instance_stay_disabled(struct plugin_instance *instance)
{
    instance->state = INSTANCE_DISABLED;
    instance_adopt_kept(instance);
    instance_drop_loading(instance);
    instance_first_load_ended(instance);
}

static void instance_gone(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    if (instance->resting != INSTANCE_STARTING) {
        instance_rested(instance);
        return;
    }
    order_load_ended(instance, SLUICE_E_NOT_FOUND, "its file went");
    order_instance_gone(instance);
    sl_log(manager->config.logger, SL_LOG_INFO, instance->name, "unloaded",
           sl_log_text("file", instance->file));
    sl_list_remove(&instance->link);
    manager->instance_count--;
    instance_answer(instance, SLUICE_E_STOPPING, "it is unloaded");
    instance_recall_cancel(instance);
    instance_give_back_kept(instance);
    instance_past_fini(instance);
    plugin_version_unref(instance->active);
    plugin_version_unref(instance->loading);
    shared_attachment_unref(instance->attachment);
    sl_free(instance->parts);
    sl_free(instance->meters);
    sl_free(instance);
    manager_progress(manager);
}

void instance_part_answered(struct plugin_instance *instance)
{
    instance->pending_parts--;
    instance_maybe_gone(instance);
}

void instance_maybe_gone(struct plugin_instance *instance)
{
    if (instance->pending_parts == 0 && instance->state == INSTANCE_DRAINING &&
        !instance_has_posted(instance)) {
        instance_gone(instance);
    }
}

void instance_unload(struct plugin_instance *instance)
{
    instance->resting = INSTANCE_STARTING;
    if (instance->state == INSTANCE_DRAINING) {
        return;
    }
    instance->state = INSTANCE_DRAINING;
    instance_first_load_ended(instance);
    instance_detach(instance);
}

void instance_rest(struct plugin_instance *instance, enum instance_state state)
{
    SL_ASSERT(instance->state != INSTANCE_DRAINING);
    instance->state = INSTANCE_DRAINING;
    instance->resting = state;
    instance_first_load_ended(instance);
    instance_detach(instance);
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
