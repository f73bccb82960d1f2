/* plugin_keep.c: what is kept of versions over a start of the broker (plugin_kept.h): the manager's
 * table of instances that are not there, the write after each switch, and the way back of one
 * version.
 *
 * One write at a time, by a helper; what changes meanwhile is in the next one. A crash before the
 * end of a write forgets the newest switch, nothing more. On shard 0's loop but for the two `work`.
 */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

struct keep_job {
    struct sl_job job;
    struct plugin_manager *manager;
    struct kept_item *items; /* owned; those that have code reference it */
    uint32_t count;
    uint32_t kept; /* of these, in front */
    sl_err err;
};

/* ---- the table ---- */

static bool table_room(struct kept_table *table, uint32_t more)
{
    if (table->count + more <= table->room) {
        return true;
    }
    uint32_t room = SL_MAX(2 * table->room, table->count + more);
    struct kept_item *items = sl_alloc_zero(room, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    if (table->count > 0) {
        memcpy(items, table->items, table->count * sizeof(*items));
    }
    sl_free(table->items);
    table->items = items;
    table->room = room;
    return true;
}

static void table_remove(struct kept_table *table, uint32_t index)
{
    plugin_version_unref(table->items[index].version);
    table->count--;
    memmove(&table->items[index], &table->items[index + 1],
            (table->count - index) * sizeof(table->items[0]));
}

uint32_t manager_kept_count(const struct plugin_manager *manager, const char *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < manager->kept.count; i++) {
        count += strcmp(manager->kept.items[i].is.instance, name) == 0;
    }
    return count;
}

static void table_forget(struct kept_table *table, const char *name)
{
    for (uint32_t i = table->count; i-- > 0;) {
        if (strcmp(table->items[i].is.instance, name) == 0) {
            table_remove(table, i);
        }
    }
}

void manager_forget_kept(struct plugin_manager *manager, const char *name)
{
    struct plugin_instance *instance = instance_find(manager, name);
    table_forget(&manager->kept, name);
    if (instance != NULL) {
        instance_past_fini(instance);
    }
    manager_keep(manager);
}

void manager_take_kept(struct plugin_manager *manager, struct plugin_scan *scan)
{
    if (scan->kept_err != SLUICE_OK) {
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins",
               "earlier versions cannot be read: there are none to put back",
               sl_log_text("folder", manager->settings.is.kept_dir), sl_log_err(scan->kept_err));
    }
    if (scan->kept != NULL) {
        manager->kept = (struct kept_table){scan->kept, scan->kept_count, scan->kept_count + 1u};
        scan->kept = NULL;
    }
}

/* ---- instances ---- */

static void adopt(struct plugin_instance *instance, const struct kept_item *item)
{
    struct past_version *past = &instance->past[instance->past_count];
    if (instance->past_count == PLUGIN_PAST_MAX) {
        plugin_version_unref(item->version);
        return;
    }
    instance->past_count++;
    *past = (struct past_version){.kept = *item};
    plugin_hash_text(item->is.hash, past->hash_text, sizeof(past->hash_text));
    if (item->is.is_active) {
        past->kept.is.is_active = false;
        past->kept.is.until_ms = sl_os_wall_ms(instance->manager->config.os);
        snprintf(past->kept.is.why, sizeof(past->kept.is.why), "%s",
                 "the broker, or the plugin, was started with another file");
    }
}

void instance_adopt_kept(struct plugin_instance *instance)
{
    struct kept_table *table = &instance->manager->kept;
    uint32_t left = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].is.instance, instance->name) == 0) {
            adopt(instance, &table->items[i]);
        } else {
            table->items[left++] = table->items[i];
        }
    }
    table->count = left;
}

static struct kept_item item_of_active(const struct plugin_instance *instance)
{
    struct kept_item item = {.version = plugin_version_ref(instance->active)};
    past_describe(instance, &item.is);
    item.is.is_active = true;
    return item;
}

static struct kept_item item_of_past(const struct past_version *past)
{
    struct kept_item item = past->kept;
    if (item.version != NULL) {
        plugin_version_ref(item.version);
    }
    return item;
}

static uint32_t items_of(const struct plugin_instance *instance, struct kept_item *ret_items)
{
    uint32_t count = 0;
    if (instance->active != NULL) {
        ret_items[count++] = item_of_active(instance);
    }
    for (uint32_t i = 0; i < instance->past_count; i++) {
        ret_items[count++] = item_of_past(&instance->past[i]);
    }
    return count;
}

void instance_give_back_kept(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    struct kept_table *table = &manager->kept;
    if (manager->settings.is.kept_dir == NULL || manager->stopping ||
        (instance->active == NULL && instance->past_count == 0)) {
        return;
    }
    table_forget(table, instance->name);
    while (table->count > 0 && table->count + PLUGIN_PAST_MAX + 1u > KEPT_VERSIONS_MAX) {
        table_remove(table, 0); /* who left first */
    }
    if (table_room(table, PLUGIN_PAST_MAX + 1u)) {
        table->count += items_of(instance, &table->items[table->count]);
    }
    manager_keep(manager);
}

/* ---- writing ---- */

static struct keep_job *job_free(struct keep_job *job)
{
    for (uint32_t i = 0; job != NULL && i < job->count; i++) {
        plugin_version_unref(job->items[i].version);
    }
    if (job != NULL) {
        sl_free(job->items);
    }
    sl_free(job);
    return NULL;
}

/* What is kept now. NULL: no memory. */
static struct keep_job *job_new(struct plugin_manager *manager)
{
    struct keep_job *job = sl_alloc_zero(1, sizeof(*job));
    uint32_t room = manager->kept.count + manager->instance_count * (PLUGIN_PAST_MAX + 1u) + 1u;
    struct kept_item *items = job != NULL ? sl_alloc_zero(room, sizeof(*items)) : NULL;
    if (items == NULL) {
        sl_free(job);
        return NULL;
    }
    *job = (struct keep_job){.manager = manager, .items = items};
    SL_LIST_EACH(&manager->instances, link)
    {
        job->count +=
            items_of(SL_CONTAINER_OF(link, struct plugin_instance, link), &items[job->count]);
    }
    for (uint32_t i = 0; i < manager->kept.count; i++) {
        struct kept_item *item = &items[job->count++];
        *item = manager->kept.items[i];
        if (item->version != NULL) {
            plugin_version_ref(item->version);
        }
    }
    return job;
}

/* [helper] */
static void work(struct sl_job *job)
{
    struct keep_job *self = SL_CONTAINER_OF(job, struct keep_job, job);
    self->err = kept_write(self->manager->config.os, self->manager->settings.is.kept_dir,
                           self->items, self->count, &self->kept);
}

static bool was_kept(const struct keep_job *job, const struct kept_item *item)
{
    for (uint32_t i = 0; i < job->kept; i++) {
        if (strcmp(job->items[i].is.instance, item->is.instance) == 0 &&
            memcmp(job->items[i].is.hash, item->is.hash, PLUGIN_HASH_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* Code of instances that are not there need not be in memory, nor what the disk does not hold. */
static void settle_table(struct plugin_manager *manager, const struct keep_job *job)
{
    struct kept_table *table = &manager->kept;
    for (uint32_t i = table->count; i-- > 0;) {
        if (was_kept(job, &table->items[i])) {
            table->items[i].version = plugin_version_unref(table->items[i].version);
        } else {
            table_remove(table, i);
        }
    }
}

static void tell_outcome(struct plugin_manager *manager, sl_err err)
{
    if (err != SLUICE_OK && !manager->keep_failed) {
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins",
               "earlier versions are not kept on the disk",
               sl_log_text("folder", manager->settings.is.kept_dir), sl_log_err(err));
    }
    manager->keep_failed = err != SLUICE_OK;
}

static void submit(struct keep_job *job);

static void done(struct sl_job *job)
{
    struct keep_job *self = SL_CONTAINER_OF(job, struct keep_job, job);
    struct plugin_manager *manager = self->manager;
    struct keep_job *last = manager->keep_last;
    manager->keeping = NULL;
    manager->keep_last = NULL;
    tell_outcome(manager, self->err);
    if (!manager->keep_again) { /* else the table may have changed since */
        settle_table(manager, self);
    }
    job_free(self);
    if (last != NULL) {
        submit(last);
    } else if (manager->stopping) {
        manager_progress(manager);
    } else if (manager->keep_again) {
        manager->keep_again = false;
        manager_keep(manager);
    }
}

static void submit(struct keep_job *job)
{
    struct plugin_manager *manager = job->manager;
    manager->keeping = job;
    job->job = (struct sl_job){.work = work, .done = done};
    job->job.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(manager->config.os, manager->loop, &job->job);
}

void manager_keep(struct plugin_manager *manager)
{
    if (manager->settings.is.kept_dir == NULL || manager->stopping) {
        return;
    }
    struct keep_job *job = manager->keeping == NULL ? job_new(manager) : NULL;
    if (job != NULL) {
        submit(job);
    } else {
        manager->keep_again = true; /* without memory: at the next switch */
    }
}

void manager_keep_last(struct plugin_manager *manager)
{
    if (manager->settings.is.kept_dir != NULL && manager->keep_again) {
        manager->keep_again = false;
        manager->keep_last = job_new(manager);
    }
    if (manager->keep_last != NULL && manager->keeping == NULL) {
        submit(manager->keep_last);
        manager->keep_last = NULL;
    }
}

bool manager_keeps(const struct plugin_manager *manager)
{
    return manager->keeping != NULL || manager->recall_count > 0;
}

void manager_kept_fini(struct plugin_manager *manager)
{
    while (manager->kept.count > 0) {
        table_remove(&manager->kept, manager->kept.count - 1);
    }
    sl_free(manager->kept.items);
    manager->kept = (struct kept_table){0};
}

/* ---- the way back ---- */

struct recall {
    struct sl_job job;
    struct plugin_manager *manager;
    struct plugin_instance *instance; /* NULL: it is gone, or wants another one by now */
    struct kept_version is;
    char why[PLUGIN_WHY_BYTES];
    uint8_t *bytes; /* owned */
    size_t size;
    struct plugin_module *module; /* of a module; referenced */
    sl_err err;
    char reason[MANIFEST_REASON_BYTES];
};

/* [helper] */
static void recall_work(struct sl_job *job)
{
    struct recall *self = SL_CONTAINER_OF(job, struct recall, job);
    self->err = kept_read(self->manager->config.os, self->manager->settings.is.kept_dir,
                          self->is.hash, self->is.is_script, &self->bytes, &self->size);
    if (self->err == SLUICE_E_CORRUPT) {
        snprintf(self->reason, sizeof(self->reason), "its copy on the disk has other bytes");
    } else if (self->err != SLUICE_OK) {
        snprintf(self->reason, sizeof(self->reason), "its copy on the disk cannot be read: %s",
                 sl_status_text(self->err));
    } else if (!self->is.is_script) {
        self->err = plugin_module_new((struct sl_bytes){self->bytes, self->size}, self->is.hash,
                                      &self->module, self->reason);
    }
}

static void recall_done(struct sl_job *job)
{
    struct recall *self = SL_CONTAINER_OF(job, struct recall, job);
    struct plugin_manager *manager = self->manager;
    struct plugin_instance *instance = self->instance;
    manager->recall_count--;
    if (instance != NULL) {
        struct version_parts parts = {.module = self->is.is_script ? manager->lua : self->module,
                                      .script = self->is.is_script ? self->bytes : NULL,
                                      .script_size = self->size,
                                      .file = self->is.file,
                                      .hash = self->is.hash,
                                      .instance = instance->name};
        bool ok = self->err == SLUICE_OK && parts.module != NULL;
        instance->recall = NULL;
        instance_recalled(instance, ok ? &parts : NULL, self->why,
                          self->reason[0] != '\0' ? self->reason : manager->lua_reason);
    }
    plugin_module_unref(self->module);
    sl_free(self->bytes);
    sl_free(self);
    manager_progress(manager);
}

void instance_recall(struct plugin_instance *instance, const struct kept_version *is,
                     const char *why)
{
    struct plugin_manager *manager = instance->manager;
    struct recall *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        instance_recalled(instance, NULL, why, "out of memory");
        return;
    }
    *self = (struct recall){.manager = manager, .instance = instance, .is = *is};
    snprintf(self->why, sizeof(self->why), "%s", why);
    instance->recall = self;
    manager->recall_count++;
    self->job = (struct sl_job){.work = recall_work, .done = recall_done};
    self->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(manager->config.os, manager->loop, &self->job);
}

void instance_recall_cancel(struct plugin_instance *instance)
{
    if (instance->recall != NULL) {
        instance->recall->instance = NULL;
        instance->recall = NULL;
    }
}
