/* plugin_reload.c: a new configuration of instances: all that run take it, or none does
 * (plugin_manager.h).
 *
 *   compare ─► ask: new workers beside the old, then `reconfigure` of those whose config alone
 *   changed ─► all agree: settings swapped, workers switched ─► instances that came or went
 *            └► one refuses: the new workers go, those that took theirs get the old one back
 *
 * What is asked is asked one after the other; files are not looked at meanwhile. A new worker has
 * to be ready on every shard, and is told when it took over on every shard (plugin_agree.c). On
 * shard 0's loop. */
#include "base/bytes.h"
#include "base/status.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

struct reload_entry {
    char name[MANIFEST_ID_BYTES];   /* in the configuration */
    char file[PLUGIN_FILE_BYTES];   /* that comes or goes with it; empty: none */
    int32_t what;                   /* PLUGIN_RELOAD_* */
    bool taken;                     /* asked, and agreed */
    bool waits;                     /* for the end of a load, or of an instance */
    struct plugin_version *version; /* RESTART: the coming one; referenced */
    int64_t begun_ns, took_ns;
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

enum reload_phase { RELOAD_WAITING, RELOAD_ASKING, RELOAD_BACK, RELOAD_SETTLING };

struct plugin_reconfigure {
    struct kept_settings coming;
    bool dry_run;
    plugin_reloaded_fn *done;
    void *arg;
    enum reload_phase phase;
    uint32_t at; /* the one that is asked (entry_at); RELOAD_SETTLING: what comes next */
    uint32_t count;
    uint32_t waiting_count;
    bool is_asking;      /* its answer may come inside */
    bool is_giving_back; /* likewise */
    sl_err err;          /* of the first that refused */
    struct reload_entry entries[2 * PLUGIN_INSTANCES_MAX];
};

/* ---- comparing ---- */

static struct plugin_instance *find_configured(const struct plugin_manager *manager,
                                               const char *name)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->config_name, name) == 0) {
            return instance;
        }
    }
    return NULL;
}

static bool runs(const struct plugin_instance *instance)
{
    return instance != NULL && instance->active != NULL && instance->parts[0].host != NULL &&
           (instance->state == INSTANCE_RUNNING || instance->state == INSTANCE_WAITING);
}

static struct reload_entry *entry_add(struct plugin_reconfigure *self, const char *name,
                                      int32_t what, const char *file)
{
    SL_ASSERT(self->count < SL_COUNT_OF(self->entries));
    struct reload_entry *entry = &self->entries[self->count++];
    entry->what = what;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    snprintf(entry->file, sizeof(entry->file), "%s", file != NULL ? file : "");
    return entry;
}

/* The file that the configuration names; NULL: none. */
static const char *file_of(const struct plugin_instance_config *config,
                           char ret_file[PLUGIN_FILE_BYTES])
{
    if (config->module == NULL) {
        return NULL;
    }
    instance_module_file(config, ret_file);
    return ret_file;
}

static void plan_changed(struct plugin_manager *manager,
                         const struct plugin_instance_config *before,
                         const struct plugin_instance_config *after)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    const struct plugin_instance *instance = find_configured(manager, after->name);
    char file[PLUGIN_FILE_BYTES];
    bool same = plugin_instance_same_component(before, after);
    if (same && plugin_instance_same_config(before, after)) {
        return;
    }
    if (strcmp(before->module != NULL ? before->module : "",
               after->module != NULL ? after->module : "") != 0) {
        entry_add(self, after->name, PLUGIN_RELOAD_REMOVE,
                  instance != NULL ? instance->file : NULL);
        entry_add(self, after->name, PLUGIN_RELOAD_ADD, file_of(after, file));
    } else if (runs(instance)) {
        entry_add(self, after->name, same ? PLUGIN_RELOAD_LIVE : PLUGIN_RELOAD_RESTART, NULL);
    } else { /* it was refused, or is not there: perhaps it runs with this */
        entry_add(self, after->name, PLUGIN_RELOAD_ADD,
                  instance != NULL ? instance->file : file_of(after, file));
    }
}

static void plan_added(struct plugin_manager *manager, const struct plugin_instance_config *after)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    const struct plugin_instance *instance = instance_find(manager, after->name);
    char name[PLUGIN_FILE_BYTES];
    const char *file = file_of(after, name);
    bool its = instance != NULL && instance->config_name[0] == '\0' &&
               (file == NULL || strcmp(file, instance->file) == 0);
    if (its && runs(instance)) { /* dropped in, and configured now */
        entry_add(self, after->name, PLUGIN_RELOAD_RESTART, NULL);
    } else {
        entry_add(self, after->name, PLUGIN_RELOAD_ADD, its ? instance->file : file);
    }
}

static void plan_removed(struct plugin_manager *manager,
                         const struct plugin_instance_config *before)
{
    const struct plugin_instance *instance = find_configured(manager, before->name);
    bool stays = runs(instance) && before->module == NULL; /* as a dropped-in one */
    entry_add(manager->reconfigure, before->name,
              stays ? PLUGIN_RELOAD_RESTART : PLUGIN_RELOAD_REMOVE,
              instance != NULL ? instance->file : NULL);
}

static void plan(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const struct plugin_instance_config *before = &manager->settings.instances[i];
        const struct plugin_instance_config *after = /* most are where they were */
            i < self->coming.is.instance_count &&
                    strcmp(self->coming.instances[i].name, before->name) == 0
                ? &self->coming.instances[i]
                : kept_settings_find(&self->coming, before->name);
        if (after == NULL) {
            plan_removed(manager, before);
        } else {
            plan_changed(manager, before, after);
        }
    }
    for (uint32_t i = 0; i < self->coming.is.instance_count; i++) {
        const struct plugin_instance_config *after = &self->coming.instances[i];
        if (kept_settings_find(&manager->settings, after->name) == NULL) {
            plan_added(manager, after);
        }
    }
}

/* ---- the end ---- */

static int64_t now_ns(const struct plugin_manager *manager)
{
    return sl_os_mono_ns(manager->config.os);
}

static void entry_end(struct plugin_manager *manager, struct reload_entry *entry, sl_err err,
                      const char *text)
{
    entry->err = err;
    entry->took_ns = entry->begun_ns != 0 ? now_ns(manager) - entry->begun_ns : 0;
    snprintf(entry->text, sizeof(entry->text), "%s", text);
}

static void finish(struct plugin_manager *manager)
{
    static struct plugin_reload_result none;
    struct plugin_reconfigure *self = manager->reconfigure;
    struct plugin_reload_result *results =
        self->count > 0 ? sl_alloc_zero(self->count, sizeof(*results)) : &none;
    uint32_t count = results != NULL ? self->count : 0;
    manager->reconfigure = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct reload_entry *entry = &self->entries[i];
        results[i] = (struct plugin_reload_result){.name = entry->name,
                                                   .what = entry->what,
                                                   .err = entry->err,
                                                   .text = entry->text,
                                                   .took_ns = entry->took_ns};
    }
    self->done(self->arg, self->err, results, count);
    for (uint32_t i = 0; i < self->count; i++) {
        plugin_version_unref(self->entries[i].version);
    }
    if (results != &none) {
        sl_free(results);
    }
    kept_settings_fini(&self->coming);
    sl_free(self);
    orders_go_on(manager);
    manager_look_again(manager);
}

/* ---- asking ---- */

/* All are gone through twice. */
static struct reload_entry *entry_at(struct plugin_reconfigure *self)
{
    return &self->entries[self->at % self->count];
}

static void go_on(struct plugin_manager *manager);
static void settle_next(struct plugin_manager *manager);

static const struct reload_entry *asked(const struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    return self != NULL && self->at < 2 * self->count ? entry_at(self) : NULL;
}

static struct plugin_instance *instance_of(const struct plugin_manager *manager,
                                           const struct reload_entry *entry)
{
    struct plugin_instance *instance = find_configured(manager, entry->name);
    return instance != NULL ? instance
                            : instance_find((struct plugin_manager *)manager, entry->name);
}

const struct plugin_instance_config *reload_config(const struct plugin_instance *instance)
{
    const struct plugin_manager *manager = instance->manager;
    const struct reload_entry *entry = asked(manager);
    if (instance->trying && entry != NULL) {
        return kept_settings_find(&manager->reconfigure->coming, entry->name);
    }
    return instance->config_name[0] != '\0'
               ? kept_settings_find(&manager->settings, instance->config_name)
               : NULL;
}

/* The version with the coming, or the old, configuration. */
static struct plugin_version *version_for(const struct plugin_instance *instance,
                                          const struct plugin_instance_config *config)
{
    struct plugin_instance_config none = {
        .name = instance->name, .rollback_errors_percent = -1, .rollback_grace_ms = -1};
    struct plugin_version *version =
        instance_version_with(instance->active, config != NULL ? config : &none);
    if (version != NULL) {
        snprintf(version->instance, sizeof(version->instance), "%s", instance->name);
    }
    return version;
}

static void count_in(struct plugin_instance *instance, uint32_t which)
{
    if (instance != NULL) {
        stage_count_add(&instance->parts[0].counts, which, 1);
    }
}

static void refuse(struct plugin_manager *manager, const char *text)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    count_in(instance_of(manager, entry_at(self)), STAGE_COUNT_CONFIGS_REFUSED);
    entry_end(manager, entry_at(self), SLUICE_E_PLUGIN_CONFIG, text);
    self->err = SLUICE_E_PLUGIN_CONFIG;
    self->phase = RELOAD_BACK;
}

/* The version that it is asked about. False: it is refused. */
static bool version_make(struct plugin_manager *manager, struct plugin_instance *instance,
                         struct reload_entry *entry, const char *why_none)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    entry->version = version_for(instance, kept_settings_find(&self->coming, entry->name));
    bool loads = instance->loading != NULL || instance->agree.phase != AGREE_NONE;
    if (entry->version == NULL || loads) {
        refuse(manager, loads ? "busy: a new version of it is being loaded" : why_none);
        return false;
    }
    return true;
}

/* False: the answer comes later. */
static bool ask_live(struct plugin_manager *manager, struct plugin_instance *instance,
                     struct reload_entry *entry)
{
    if (!version_make(manager, instance, entry, "not a JSON object, or out of memory")) {
        return true;
    }
    instance_config_ask(instance, entry->version);
    return false;
}

static bool ask_restart(struct plugin_manager *manager, struct plugin_instance *instance,
                        struct reload_entry *entry)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    if (!version_make(manager, instance, entry,
                      "not a JSON object, a permission that is none, or out of memory")) {
        return true;
    }
    instance->trying = true;
    self->is_asking = true;
    worker_host_load(instance->parts[0].host, entry->version);
    self->is_asking = false;
    return !instance->trying; /* refused at once */
}

/* Whose batches wait while others are asked come last. True: nothing to wait for. */
static bool ask(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    struct reload_entry *entry = entry_at(self);
    struct plugin_instance *instance = instance_of(manager, entry);
    int32_t what = self->at < self->count ? PLUGIN_RELOAD_RESTART : PLUGIN_RELOAD_LIVE;
    if (entry->what != what) {
        return true;
    }
    entry->begun_ns = now_ns(manager);
    if (!runs(instance)) {
        refuse(manager, "it ended meanwhile");
        return true;
    }
    return what == PLUGIN_RELOAD_RESTART ? ask_restart(manager, instance, entry)
                                         : ask_live(manager, instance, entry);
}

void reload_ready(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    struct reload_entry *entry = entry_at(self);
    instance->trying = false;
    entry->taken = true;
    if (!self->is_asking) { /* else who asks goes on */
        self->at++;
        go_on(manager);
    }
}

void reload_refused(struct plugin_instance *instance, const char *text)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    instance->trying = false;
    if (self == NULL) {
        return;
    }
    refuse(manager, text);
    if (!self->is_asking) {
        go_on(manager);
    }
}

/* A new worker that had agreed died before the others were asked. True: it was one. */
bool reload_lost(struct plugin_instance *instance, const struct plugin_version *version,
                 const char *text)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; self != NULL && i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        if (entry->version == version && entry->taken) {
            entry->taken = false;
            entry_end(manager, entry, SLUICE_E_PLUGIN_CRASHED, text);
            self->err = SLUICE_E_PLUGIN_CRASHED; /* told when the one that is asked has answered */
            return true;
        }
    }
    return false;
}

static void config_asked(struct plugin_manager *manager, sl_err err, const char *text, bool took)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    struct reload_entry *entry = entry_at(self);
    if (err == SLUICE_OK) {
        entry_end(manager, entry, SLUICE_OK,
                  took ? "taken by the plugin while it runs" : "counts from its worker's start");
    } else {
        refuse(manager, text);
    }
    entry->taken = true; /* on some shard, at least: its batches wait */
    self->at++;
    go_on(manager);
}

static void config_kept(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        if (entry->waits && entry->what == PLUGIN_RELOAD_LIVE &&
            instance_of(manager, entry) == instance) {
            entry->waits = false;
            entry->took_ns = now_ns(manager) - entry->begun_ns;
            self->waiting_count--;
            settle_next(manager);
            return;
        }
    }
}

void reload_config_answered(struct plugin_instance *instance, sl_err err, const char *text,
                            bool took)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    if (self == NULL) { /* the broker stops */
        return;
    }
    if (self->phase == RELOAD_SETTLING) {
        config_kept(instance);
    } else if (self->is_giving_back) { /* who gives back goes on */
        self->is_giving_back = false;
    } else if (self->phase == RELOAD_BACK) {
        go_on(manager);
    } else {
        config_asked(manager, err, text, took);
    }
}

/* ---- back ---- */

/* True: it is back, or needs nothing. */
static bool give_back(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    struct reload_entry *entry = entry_at(self);
    struct plugin_instance *instance = entry->taken ? instance_of(manager, entry) : NULL;
    if (instance == NULL) {
        return true;
    }
    entry->taken = false;
    if (entry->what == PLUGIN_RELOAD_RESTART) {
        instance_agree_drop(instance);
        return true;
    }
    self->is_giving_back = true;
    instance_config_settle(instance, false);
    bool done = !self->is_giving_back;
    self->is_giving_back = false;
    return done;
}

/* ---- in force ---- */

static void swap_settings(struct plugin_manager *manager)
{
    kept_settings_swap(&manager->settings, &manager->reconfigure->coming);
    manager->awaited_told = false;
}

static void switch_over(struct plugin_manager *manager, struct reload_entry *entry)
{
    struct plugin_instance *instance = instance_of(manager, entry);
    bool configured = kept_settings_find(&manager->settings, entry->name) != NULL;
    snprintf(instance->config_name, sizeof(instance->config_name), "%s",
             configured ? entry->name : "");
    entry->waits = true; /* for all shards: reload_load_ended */
    manager->reconfigure->waiting_count++;
    instance_take_over(instance);
}

static void keep_config(struct plugin_manager *manager, struct reload_entry *entry)
{
    struct plugin_instance *instance = instance_of(manager, entry);
    plugin_version_unref(instance->active);
    instance->active = plugin_version_ref(entry->version);
    entry->waits = true; /* for all shards: config_kept */
    manager->reconfigure->waiting_count++;
    instance_config_settle(instance, true);
}

static void entry_settled(struct plugin_manager *manager, struct reload_entry *entry, sl_err err,
                          const char *text)
{
    entry->waits = false;
    entry_end(manager, entry, err, text);
    manager->reconfigure->waiting_count--;
    settle_next(manager);
}

static void remove_instance(struct plugin_manager *manager, struct reload_entry *entry)
{
    struct plugin_instance *instance = find_configured(manager, entry->name);
    entry->begun_ns = now_ns(manager);
    if (instance == NULL || instance->state == INSTANCE_DRAINING) {
        entry_end(manager, entry, SLUICE_OK, "nothing of it ran");
        return;
    }
    entry->waits = true;
    manager->reconfigure->waiting_count++;
    instance_unload(instance);
}

/* A file of the instance's name: a frontend that is pinned now, or one that was refused. */
static void guess_file(struct plugin_manager *manager, struct reload_entry *entry)
{
    static const char *const endings[] = {".so", ".lua"};
    for (size_t i = 0; i < SL_COUNT_OF(endings) && entry->file[0] == '\0'; i++) {
        char name[MANIFEST_ID_BYTES + 8];
        snprintf(name, sizeof(name), "%s%s", entry->name, endings[i]);
        if (manager_file(manager, name) != NULL) {
            snprintf(entry->file, sizeof(entry->file), "%s", name);
        }
    }
}

static void add_instance(struct plugin_manager *manager, struct reload_entry *entry)
{
    guess_file(manager, entry);
    entry->begun_ns = now_ns(manager);
    bool may_be_there = entry->file[0] != '\0' && (manager_file(manager, entry->file) != NULL ||
                                                   instance_module_is_shipped(entry->file));
    if (!may_be_there || !manager_want_file(manager, entry->file)) {
        char text[PLUGIN_REASON_BYTES];
        snprintf(text, sizeof(text), "in force; waits for %s in %s",
                 entry->file[0] != '\0' ? entry->file : "its file",
                 manager->settings.is.plugins_dir);
        entry_end(manager, entry, SLUICE_OK, text);
        return;
    }
    entry->waits = true;
    manager->reconfigure->waiting_count++;
}

/* First all that go, then all that come: a name may do both. */
static void settle_next(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    static const int32_t order[] = {PLUGIN_RELOAD_REMOVE, PLUGIN_RELOAD_ADD};
    while (self->waiting_count == 0 && self->at < SL_COUNT_OF(order)) {
        int32_t what = order[self->at++];
        self->waiting_count++; /* until all are begun */
        for (uint32_t i = 0; i < self->count; i++) {
            struct reload_entry *entry = &self->entries[i];
            if (entry->what != what) {
                continue;
            }
            if (what == PLUGIN_RELOAD_REMOVE) {
                remove_instance(manager, entry);
            } else {
                add_instance(manager, entry);
            }
        }
        self->waiting_count--;
    }
    if (self->waiting_count == 0) {
        for (uint32_t i = 0; i < self->count; i++) { /* what goes may leave a file without any */
            struct reload_entry *entry = &self->entries[i];
            bool left = entry->what == PLUGIN_RELOAD_REMOVE && entry->file[0] != '\0' &&
                        manager_file(manager, entry->file) != NULL;
            if (left && !manager_want_file(manager, entry->file)) {
                entry_end(manager, entry, SLUICE_E_NO_MEMORY, "its file is not read again");
            }
        }
        finish(manager);
    }
}

void reload_load_ended(struct plugin_instance *instance, sl_err err, const char *text)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; self != NULL && self->phase == RELOAD_SETTLING && i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        if (entry->waits && entry->what == PLUGIN_RELOAD_RESTART &&
            instance_of(manager, entry) == instance) {
            entry_settled(manager, entry, err,
                          err == SLUICE_OK
                              ? "a new worker beside the old one, switched between two batches"
                              : text);
            return;
        }
        if (entry->waits && entry->what == PLUGIN_RELOAD_ADD &&
            strcmp(entry->name, instance->config_name) == 0) {
            entry_settled(manager, entry, err, err == SLUICE_OK ? "loaded" : text);
            return;
        }
    }
}

bool reload_wants(const struct plugin_manager *manager, const struct plugin_instance *instance)
{
    const struct plugin_reconfigure *self = manager->reconfigure;
    bool wanted = false;
    for (uint32_t i = 0; self != NULL && i < self->count && !wanted; i++) {
        const struct reload_entry *entry = &self->entries[i];
        wanted = entry->waits && entry->what == PLUGIN_RELOAD_ADD &&
                 strcmp(entry->name, instance->config_name) == 0;
    }
    return wanted;
}

void reload_file_taken(struct plugin_manager *manager, const char *file, bool found)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; self != NULL && self->phase == RELOAD_SETTLING && i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        const struct plugin_instance *instance = find_configured(manager, entry->name);
        bool loads = found && instance != NULL && instance->loading != NULL;
        if (entry->waits && entry->what == PLUGIN_RELOAD_ADD && strcmp(entry->file, file) == 0 &&
            !loads) {
            bool is_there = instance != NULL && instance->active != NULL;
            sl_err err = found && (is_there || instance == NULL) ? SLUICE_OK : SLUICE_E_NOT_FOUND;
            entry_settled(manager, entry, err,
                          is_there           ? "loaded"
                          : instance != NULL ? instance->reason
                          : err == SLUICE_OK ? "in force"
                                             : "its file is not there");
            return; /* perhaps it was the last one */
        }
    }
}

void reload_instance_gone(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; self != NULL && self->phase == RELOAD_SETTLING && i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        if (entry->waits && entry->what == PLUGIN_RELOAD_REMOVE &&
            strcmp(entry->name, instance->config_name) == 0) {
            entry_settled(manager, entry, SLUICE_OK, "unloaded; its positions are kept");
            return;
        }
    }
}

static void commit(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    self->phase = RELOAD_SETTLING;
    self->waiting_count = 1; /* until all are told */
    swap_settings(manager);
    for (uint32_t i = 0; i < self->count; i++) {
        struct reload_entry *entry = &self->entries[i];
        if (entry->what == PLUGIN_RELOAD_RESTART) {
            switch_over(manager, entry);
        } else if (entry->what == PLUGIN_RELOAD_LIVE) {
            keep_config(manager, entry);
            count_in(instance_of(manager, entry), STAGE_COUNT_CONFIGS);
        }
    }
    self->at = 0;
    self->waiting_count--;
    settle_next(manager);
}

static void go_on(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    while (self->phase == RELOAD_ASKING && self->at < 2 * self->count) {
        if (self->err != SLUICE_OK) { /* one that had agreed died */
            self->phase = RELOAD_BACK;
            break;
        }
        if (!ask(manager)) {
            return;
        }
        self->at += self->phase == RELOAD_ASKING;
    }
    if (self->phase == RELOAD_ASKING && self->err == SLUICE_OK) {
        commit(manager);
        return;
    }
    self->phase = RELOAD_BACK;
    while (self->at > 0) {
        self->at--;
        if (!give_back(manager)) {
            return;
        }
    }
    finish(manager);
}

/* ---- the call ---- */

static void say_plan(struct plugin_manager *manager)
{
    static const char *const texts[] = {
        [PLUGIN_RELOAD_LIVE] = "the plugin is asked, and may refuse",
        [PLUGIN_RELOAD_RESTART] = "a new worker beside the old one; its plugin may refuse",
        [PLUGIN_RELOAD_ADD] = "is loaded, if its file is there",
        [PLUGIN_RELOAD_REMOVE] = "is unloaded; its positions are kept",
    };
    struct plugin_reconfigure *self = manager->reconfigure;
    for (uint32_t i = 0; i < self->count; i++) {
        entry_end(manager, &self->entries[i], SLUICE_OK, texts[self->entries[i].what]);
    }
    finish(manager);
}

void reload_begin(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    if (self == NULL || self->phase != RELOAD_WAITING || manager->order_begun) {
        return;
    }
    self->phase = RELOAD_ASKING;
    plan(manager);
    if (self->dry_run) {
        say_plan(manager);
    } else {
        go_on(manager);
    }
}

void reload_stop(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    if (self != NULL) {
        self->err = SLUICE_E_STOPPING;
        finish(manager);
    }
}

bool reload_holds_files(const struct plugin_manager *manager)
{
    const struct plugin_reconfigure *self = manager->reconfigure;
    return self != NULL && (self->phase == RELOAD_ASKING || self->phase == RELOAD_BACK);
}

void plugin_manager_reload(struct plugin_manager *manager, const struct plugin_settings *settings,
                           bool dry_run, plugin_reloaded_fn *done, void *arg)
{
    bool busy = manager->reconfigure != NULL || manager->stopping;
    struct plugin_reconfigure *self = busy ? NULL : sl_alloc_zero(1, sizeof(*self));
    if (self == NULL || kept_settings_copy(&self->coming, settings) != SLUICE_OK) {
        sl_free(self);
        done(arg,
             manager->stopping ? SLUICE_E_STOPPING
             : busy            ? SLUICE_E_BUSY
                               : SLUICE_E_NO_MEMORY,
             NULL, 0);
        return;
    }
    self->dry_run = dry_run;
    self->done = done;
    self->arg = arg;
    manager->reconfigure = self;
    reload_begin(manager);
}
