/* plugin_manager.c: see plugin_manager.h. Start, stop, and what changes in the directory. */
#include "plugin/plugin_manager.h"

#include "base/bytes.h"
#include "base/status.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

#define DEBOUNCE_MS 60   /* after an event of the directory */
#define SETTLE_MS   60   /* between the two looks that must agree */
#define POLL_MS     5000 /* network file systems send no events */

/* ---- hooks of the shards ---- */

static void topic_created(void *arg, struct shard *shard, struct topic *topic)
{
    struct plugin_manager *manager = arg;
    struct plugin_shard *own = &manager->shards[shard->config.index];
    if (own->shard != NULL) {
        plugin_shard_topic_created(own, topic);
    }
}

static void topic_grown(void *arg, struct shard *shard, struct topic *topic, uint32_t first)
{
    struct plugin_manager *manager = arg;
    struct plugin_shard *own = &manager->shards[shard->config.index];
    if (own->shard != NULL) {
        plugin_shard_topic_grown(own, topic, first);
    }
}

static void topic_deleted(void *arg, struct shard *shard, struct topic *topic)
{
    struct plugin_manager *manager = arg;
    struct plugin_shard *own = &manager->shards[shard->config.index];
    if (own->shard != NULL) {
        plugin_shard_topic_deleted(own, topic);
    }
}

const struct shard_hooks plugin_manager_hooks = {
    .topic_created = topic_created, .topic_grown = topic_grown, .topic_deleted = topic_deleted};

/* ---- waiting for the start and the stop ---- */

void manager_progress(struct plugin_manager *manager)
{
    if (manager->started != NULL && manager->first_scan_done && manager->starting == 0) {
        void (*started)(void *arg) = manager->started;
        manager->started = NULL;
        started(manager->started_arg);
    }
    if (manager->stopping && manager->stopped != NULL && manager->scan == NULL &&
        sl_list_is_empty(&manager->instances) && sl_list_is_empty(&manager->orders) &&
        manager->order_task.queued == 0 && manager->redrive == NULL && !manager_keeps(manager) &&
        !manager->brakes.under_way) {
        void (*stopped)(void *arg) = manager->stopped;
        manager->stopped = NULL;
        stopped(manager->stopped_arg);
    }
}

/* ---- files ---- */

static struct plugin_file *file_find(struct plugin_manager *manager, const char *name)
{
    SL_LIST_EACH(&manager->files, link)
    {
        struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}

static struct plugin_file *file_get(struct plugin_manager *manager, const char *name)
{
    struct plugin_file *file = file_find(manager, name);
    if (file == NULL) {
        file = sl_alloc_zero(1, sizeof(*file));
        if (file != NULL) {
            sl_link_init(&file->link);
            snprintf(file->name, sizeof(file->name), "%s", name);
            sl_list_push_back(&manager->files, &file->link);
        }
    }
    return file;
}

struct plugin_file *manager_file(struct plugin_manager *manager, const char *name)
{
    return file_find(manager, name);
}

static void file_free(struct plugin_file *file)
{
    sl_list_remove(&file->link);
    sl_free(file);
}

static void refuse_file(struct plugin_manager *manager, struct plugin_file *file,
                        const char *reason)
{
    snprintf(file->reason, sizeof(file->reason), "%s", reason);
    sl_log(manager->config.logger, SL_LOG_ERROR, "plugins", "file refused",
           sl_log_text("file", file->name), sl_log_text("reason", reason));
}

/* "frontend_kafka.so" → "frontend_kafka". */
static void frontend_name(const char *file, char ret_name[PLUGIN_FILE_BYTES])
{
    snprintf(ret_name, PLUGIN_FILE_BYTES, "%.*s", (int)(strlen(file) - strlen(".so")), file);
}

static bool is_pinned(const struct plugin_manager *manager, const struct scan_entry *entry)
{
    char hash[2 * PLUGIN_HASH_SIZE + 1];
    plugin_hash_text(entry->hash, hash, sizeof(hash));
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const char *pin = manager->settings.instances[i].sha256;
        if (pin != NULL && strcmp(pin, hash) == 0) {
            return true;
        }
    }
    return false;
}

/* The path of the version's own file; false: too many are resident. */
static bool resident_path(struct plugin_manager *manager, const struct plugin_file *file,
                          struct plugin_module *module, char ret_path[PLUGIN_REASON_BYTES])
{
    uint32_t of_file = 0;
    for (uint32_t i = 0; i < manager->resident_count; i++) {
        const struct resident_frontend *resident = &manager->residents[i];
        if (strcmp(resident->file, file->name) != 0) {
            continue;
        }
        of_file++;
        if (memcmp(resident->module->hash, module->hash, PLUGIN_HASH_SIZE) == 0) {
            snprintf(ret_path, PLUGIN_REASON_BYTES, "/proc/self/fd/%d",
                     resident->module->staged.fd);
            return true;
        }
    }
    if (of_file == RESIDENTS_OF_FILE_MAX || manager->resident_count == RESIDENTS_MAX) {
        return false;
    }
    struct resident_frontend *resident = &manager->residents[manager->resident_count++];
    snprintf(resident->file, sizeof(resident->file), "%s", file->name);
    resident->module = plugin_module_ref(module);
    snprintf(ret_path, PLUGIN_REASON_BYTES, "/proc/self/fd/%d", module->staged.fd);
    return true;
}

static void take_frontend(struct plugin_manager *manager, struct plugin_file *file,
                          const struct scan_entry *entry)
{
    char name[PLUGIN_FILE_BYTES];
    char path[PLUGIN_REASON_BYTES];
    const struct plugin_frontend_events *events = &manager->config.frontends;
    frontend_name(file->name, name);
    if (!entry->first_party && !is_pinned(manager, entry)) {
        char hash[2 * PLUGIN_HASH_SIZE + 1];
        char reason[PLUGIN_REASON_BYTES];
        plugin_hash_text(entry->hash, hash, sizeof(hash));
        snprintf(reason, sizeof(reason),
                 "%s is a frontend that Sluice does not ship: it would run inside the broker; pin "
                 "it by plugins.instances.%s.sha256: %s if you trust it",
                 file->name, name, hash);
        refuse_file(manager, file, reason);
        return;
    }
    bool replaces = file->frontend_open;
    if (entry->first_party && !replaces) {
        snprintf(path, sizeof(path), "%s/%s", manager->settings.is.system_dir, file->name);
    } else if (!resident_path(manager, file, entry->module, path)) {
        refuse_file(manager, file,
                    "restart needed: eight old versions of the frontend are resident, and code in "
                    "the broker is never unloaded; the version before serves on");
        return;
    }
    file->reason[0] = '\0';
    file->frontend_open = true;
    if (events->appeared != NULL) {
        events->appeared(events->arg, name, path, replaces);
    }
}

static void file_vanished(struct plugin_manager *manager, struct plugin_file *file)
{
    const struct plugin_frontend_events *events = &manager->config.frontends;
    if (file->frontend_open && events->vanished != NULL) {
        char name[PLUGIN_FILE_BYTES];
        frontend_name(file->name, name);
        events->vanished(events->arg, name);
    }
    instances_unload(manager, file->name);
    if (file->wanted) { /* since this look began */
        order_file_taken(manager, file, false);
    }
    file_free(file);
}

/* ---- scanning ---- */

static void scan_start(struct plugin_manager *manager);

static void scan_later(struct plugin_manager *manager, int64_t delay_ms)
{
    if (manager->scan != NULL) {
        manager->scan_again = true;
        manager->scan_at_once = manager->scan_at_once || delay_ms == 0;
    } else if (!manager->stopping) {
        sl_timer_start(manager->scan_timer, delay_ms * 1000000);
    }
}

bool manager_want_file(struct plugin_manager *manager, const char *name)
{
    struct plugin_file *file = file_get(manager, name);
    if (file == NULL) {
        return false;
    }
    file->wanted = true;
    scan_later(manager, 0);
    return true;
}

void manager_look_again(struct plugin_manager *manager)
{
    scan_later(manager, SETTLE_MS);
}

/* True: something is to be looked at again soon. */
static bool take_entry(struct plugin_manager *manager, struct scan_entry *entry)
{
    struct plugin_file *file = file_get(manager, entry->name);
    if (file == NULL) {
        return true;
    }
    file->missing_count = 0;
    memcpy(file->seen, entry->hash, sizeof(file->seen));
    bool follows = !manager->first_scan_done || manager_follows_files() || entry->wanted;
    if (!entry->taken || !follows) {
        return false;
    }
    if (instances_leaving(manager, file->name) || reload_holds_files(manager) ||
        instances_end_default(manager, file, entry)) {
        return true;
    }
    bool wanted = file->wanted && entry->wanted;
    file->wanted = file->wanted && !wanted;
    memcpy(file->loaded, entry->hash, sizeof(file->loaded));
    if (entry->module != NULL && entry->module->manifest.kind == MANIFEST_FRONTEND) {
        take_frontend(manager, file, entry);
    } else {
        instances_load(manager, file, entry);
    }
    if (wanted) {
        order_file_taken(manager, file, true);
    }
    return false;
}

static bool is_listed(const struct plugin_scan *scan, const char *name)
{
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        if (strcmp(scan->entries[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Files that a command wants, and that this scan did not read. */
static void tell_not_found(struct plugin_manager *manager, const struct plugin_scan *scan)
{
    SL_LIST_EACH(&manager->files, link)
    {
        struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        if (file->wanted && plugin_scan_wanted(scan, file->name) &&
            (scan->err != SLUICE_OK || !is_listed(scan, file->name))) {
            file->wanted = false;
            order_file_taken(manager, file, false);
        }
    }
}

static bool take_missing(struct plugin_manager *manager, const struct plugin_scan *scan)
{
    bool soon = false;
    SL_LIST_EACH_SAFE(&manager->files, link)
    {
        struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        if (is_listed(scan, file->name)) {
            continue;
        }
        if (reload_holds_files(manager)) {
            soon = true;
            continue;
        }
        if (++file->missing_count < 2) {
            soon = true; /* perhaps a successor comes */
        } else {
            file_vanished(manager, file);
        }
    }
    return soon;
}

static void scan_done(struct plugin_scan *scan)
{
    struct plugin_manager *manager = scan->arg;
    bool soon = scan->unsettled;
    manager->scan = NULL;
    manager_take_kept(manager, scan);
    if (manager->stopping) {
        plugin_scan_free(scan);
        manager_progress(manager);
        return;
    }
    if (scan->lua != NULL) {
        plugin_module_unref(manager->lua);
        manager->lua = plugin_module_ref(scan->lua);
    } else if (scan->lua_reason[0] != '\0') {
        memcpy(manager->lua_reason, scan->lua_reason, sizeof(manager->lua_reason));
    }
    if (scan->err == SLUICE_OK) {
        for (uint32_t i = 0; i < scan->entry_count; i++) {
            if (scan->entries[i].name[0] != '\0') {
                soon = take_entry(manager, &scan->entries[i]) || soon;
            }
        }
        soon = (manager_follows_files() && take_missing(manager, scan)) || soon;
    } else if (!manager->directory_told) {
        manager->directory_told = true;
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins", "the directory cannot be read",
               sl_log_text("path", manager->settings.is.plugins_dir), sl_log_err(scan->err));
    }
    tell_not_found(manager, scan);
    plugin_scan_free(scan);
    manager->first_scan_done = true;
    manager_tell_awaited(manager);
    bool again = manager->scan_again;
    manager->scan_again = false;
    int64_t delay_ms = manager->scan_at_once ? 0 : soon || again ? SETTLE_MS : POLL_MS;
    manager->scan_at_once = false;
    if (delay_ms < POLL_MS || manager_follows_files()) {
        scan_later(manager, delay_ms);
    }
    manager_progress(manager);
}

static sl_err fill_known(struct plugin_manager *manager, struct plugin_scan *scan)
{
    uint32_t count = 0;
    SL_LIST_EACH(&manager->files, link)
    {
        count++;
    }
    scan->known = sl_alloc_zero(count + 1u, sizeof(*scan->known));
    if (scan->known == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    SL_LIST_EACH(&manager->files, link)
    {
        const struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        struct scan_known *known = &scan->known[scan->known_count++];
        memcpy(known->name, file->name, sizeof(known->name));
        memcpy(known->loaded, file->loaded, sizeof(known->loaded));
        memcpy(known->seen, file->seen, sizeof(known->seen));
        known->wanted = file->wanted;
    }
    return SLUICE_OK;
}

/* The files that instances name, with their ending. */
static sl_err fill_shipped(struct plugin_manager *manager, struct plugin_scan *scan)
{
    const struct plugin_settings *is = &manager->settings.is;
    scan->shipped = sl_alloc_zero(is->instance_count + 1u, sizeof(*scan->shipped));
    if (scan->shipped == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < is->instance_count; i++) {
        if (is->instances[i].module != NULL) {
            instance_module_file(&is->instances[i], scan->shipped[scan->shipped_count]);
            scan->shipped_count += instance_module_is_shipped(scan->shipped[scan->shipped_count]);
        }
    }
    return SLUICE_OK;
}

static void scan_start(struct plugin_manager *manager)
{
    struct plugin_scan *scan = sl_alloc_zero(1, sizeof(*scan));
    if (scan == NULL || fill_known(manager, scan) != SLUICE_OK ||
        fill_shipped(manager, scan) != SLUICE_OK) {
        if (scan != NULL) {
            sl_free(scan->known);
        }
        sl_free(scan);
        scan_later(manager, POLL_MS);
        return;
    }
    scan->done = scan_done;
    scan->arg = manager;
    scan->os = manager->config.os;
    scan->directory = manager->settings.is.plugins_dir;
    scan->system_dir = manager->settings.is.system_dir;
    scan->at_once = !manager->first_scan_done;
    scan->want_lua = manager->lua == NULL;
    scan->kept_dir = manager->first_scan_done ? NULL : manager->settings.is.kept_dir;
    manager->scan = scan;
    plugin_scan_start(scan, manager->loop);
}

static void scan_due(void *arg)
{
    struct plugin_manager *manager = arg;
    if (manager->scan == NULL && !manager->stopping) {
        scan_start(manager);
    }
}

void manager_files_changed(void *manager)
{
    scan_later(manager, DEBOUNCE_MS);
}

/* ---- life ---- */

sl_err plugin_manager_new(const struct plugin_manager_config *config,
                          struct plugin_manager **ret_manager)
{
    struct plugin_manager *manager = sl_alloc_zero(1, sizeof(*manager));
    struct plugin_shard *shards = sl_alloc_zero(SHARD_COUNT_MAX, sizeof(*shards));
    if (manager == NULL || shards == NULL) {
        sl_free(manager);
        sl_free(shards);
        return SLUICE_E_NO_MEMORY;
    }
    manager->config = *config;
    manager->config.settings = NULL;
    manager->shards = shards;
    sl_list_init(&manager->files);
    sl_list_init(&manager->instances);
    sl_list_init(&manager->orders);
    sl_err err = kept_settings_copy(&manager->settings, config->settings);
    if (err != SLUICE_OK) {
        plugin_manager_free(manager);
        return err;
    }
    *ret_manager = manager;
    return SLUICE_OK;
}

static void make_directory(struct plugin_manager *manager)
{
    const char *path = manager->settings.is.plugins_dir;
    sl_err err =
        manager->settings.is.makes_no_folder ? SLUICE_OK : sl_dir_make(manager->config.os, path);
    err = err != SLUICE_OK ? err : manager_watch_files(manager);
    if (err != SLUICE_OK) {
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins",
               "the directory is not watched; it is looked at every few seconds",
               sl_log_text("path", path), sl_log_err(err));
    }
}

sl_err plugin_manager_start(struct plugin_manager *manager, void (*started)(void *arg), void *arg)
{
    struct shard_set *set = manager->config.set;
    manager->loop = set->shards[0]->loop;
    for (uint32_t i = 0; i < set->count; i++) {
        plugin_shard_init(&manager->shards[i], set->shards[i]);
    }
    sl_err err = sl_timer_new(manager->loop, scan_due, manager, &manager->scan_timer);
    err = err != SLUICE_OK ? err : manager_watch_deploys(manager);
    if (err != SLUICE_OK) {
        return err;
    }
    manager->started = started;
    manager->started_arg = arg;
    make_directory(manager);
    scan_start(manager);
    return SLUICE_OK;
}

void plugin_manager_stop(struct plugin_manager *manager, void (*stopped)(void *arg), void *arg)
{
    manager->stopping = true;
    manager->started = NULL;
    manager->stopped = stopped;
    manager->stopped_arg = arg;
    manager->watch = sl_watch_free(manager->watch);
    manager->scan_timer = sl_timer_free(manager->scan_timer);
    manager->deploy_timer = sl_timer_free(manager->deploy_timer);
    orders_stop(manager);
    reload_stop(manager);
    redrive_stop_all(manager);
    manager_keep_last(manager);
    SL_LIST_EACH_SAFE(&manager->instances, link)
    {
        instance_unload(SL_CONTAINER_OF(link, struct plugin_instance, link));
    }
    manager_progress(manager);
}

struct plugin_manager *plugin_manager_free(struct plugin_manager *manager)
{
    if (manager == NULL) {
        return NULL;
    }
    SL_ASSERT(sl_list_is_empty(&manager->instances));
    SL_LIST_EACH_SAFE(&manager->files, link)
    {
        file_free(SL_CONTAINER_OF(link, struct plugin_file, link));
    }
    for (uint32_t i = 0; i < SHARD_COUNT_MAX; i++) {
        plugin_shard_fini(&manager->shards[i]);
    }
    for (uint32_t i = 0; i < manager->resident_count; i++) {
        plugin_module_unref(manager->residents[i].module);
    }
    manager_kept_fini(manager);
    plugin_module_unref(manager->lua);
    sandbox_close(manager->sandbox);
    kept_settings_fini(&manager->settings);
    sl_free(manager->shards);
    sl_free(manager);
    return NULL;
}
