/* plugin_reload.c: new configurations of running instances: all take them, or none
 * (plugin_manager.h).
 *
 * One instance after the other is asked. When one refuses, those that took theirs are given the old
 * one back. Workers of other shards follow when shard 0's took it. */
#include "base/bytes.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

struct plugin_reconfigure {
    struct kept_settings coming;
    plugin_reload_done *done;
    void *arg;
    struct plugin_instance *asked[PLUGIN_INSTANCES_MAX];
    uint32_t count;
    uint32_t at; /* the one that is asked now */
    bool back;   /* one refused: the old ones are put back */
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

static void ask_next(struct plugin_manager *manager);

static const struct plugin_instance_config *config_of(const struct plugin_manager *manager,
                                                      const struct plugin_instance *instance)
{
    const struct plugin_reconfigure *self = manager->reconfigure;
    const struct kept_settings *settings = self->back ? &manager->settings : &self->coming;
    return kept_settings_find(settings, instance->config_name);
}

static void finish(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    manager->reconfigure = NULL;
    if (self->err == SLUICE_OK) {
        /* plugins.dir and the like need a restart; the instances are what changed. */
        struct plugin_settings *is = &self->coming.is;
        const char *directory = is->plugins_dir;
        is->plugins_dir = manager->settings.is.plugins_dir;
        manager->settings.is.plugins_dir = directory;
        const char *system_dir = is->system_dir;
        is->system_dir = manager->settings.is.system_dir;
        manager->settings.is.system_dir = system_dir;
        const char *worker = is->worker_path;
        is->worker_path = manager->settings.is.worker_path;
        manager->settings.is.worker_path = worker;
        is->dev = manager->settings.is.dev;
        kept_settings_fini(&manager->settings);
        manager->settings = self->coming;
    } else {
        kept_settings_fini(&self->coming);
    }
    self->done(self->arg, self->err, self->text);
    sl_free(self);
}

static void refuse(struct plugin_manager *manager, const struct plugin_instance *instance,
                   const char *text)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    self->err = SLUICE_E_PLUGIN_CONFIG;
    snprintf(self->text, sizeof(self->text), "%s refuses its configuration: %.512s", instance->name,
             text);
    self->back = true;
}

/* The worker runs the new configuration; so do its restarts, and the other shards. */
static void took(struct plugin_manager *manager, struct plugin_instance *instance)
{
    struct plugin_version *version =
        instance_version_with(instance->active, config_of(manager, instance));
    if (version == NULL) {
        return; /* restarts use the old one until the next change */
    }
    plugin_version_unref(instance->active);
    instance->active = version;
    instance_spread(instance);
}

void reconfigure_answer(struct plugin_manager *manager, struct plugin_instance *instance,
                        sl_err err, const char *text)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    if (self == NULL) {
        return;
    }
    if (err == SLUICE_OK) {
        took(manager, instance);
    }
    if (err != SLUICE_OK && !self->back) {
        refuse(manager, instance, text);
    } else if (!self->back) {
        self->at++;
    }
    ask_next(manager);
}

/* False: it needs no answer, or cannot be asked. */
static bool ask(struct plugin_manager *manager, struct plugin_instance *instance)
{
    const struct plugin_instance_config *config = config_of(manager, instance);
    struct plugin_version *version =
        config != NULL ? instance_version_with(instance->active, config) : NULL;
    if (version == NULL) {
        refuse(manager, instance, "not a JSON object, or out of memory");
        return false;
    }
    sl_err err = worker_host_reconfigure(instance->parts[0].host, version);
    if (err == SLUICE_E_NOT_FOUND) { /* no worker runs: it counts from its start */
        worker_host_adopt(instance->parts[0].host, version);
        took(manager, instance);
    } else if (err != SLUICE_OK && !manager->reconfigure->back) {
        refuse(manager, instance, "busy");
    }
    plugin_version_unref(version);
    return err == SLUICE_OK;
}

static void ask_next(struct plugin_manager *manager)
{
    struct plugin_reconfigure *self = manager->reconfigure;
    while (!self->back && self->at < self->count) {
        if (ask(manager, self->asked[self->at])) {
            return;
        }
        self->at += !self->back;
    }
    while (self->back && self->at > 0) {
        self->at--;
        if (ask(manager, self->asked[self->at])) {
            return;
        }
    }
    finish(manager);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "{}", b != NULL ? b : "{}") == 0;
}

void plugin_manager_reload(struct plugin_manager *manager, const struct plugin_settings *settings,
                           plugin_reload_done *done, void *arg)
{
    struct plugin_reconfigure *self =
        manager->reconfigure != NULL ? NULL : sl_alloc_zero(1, sizeof(*self));
    if (self == NULL || kept_settings_copy(&self->coming, settings) != SLUICE_OK) {
        sl_free(self);
        done(arg, SLUICE_E_BUSY, "a reload is under way");
        return;
    }
    self->done = done;
    self->arg = arg;
    manager->reconfigure = self;
    SL_LIST_EACH(&manager->instances, link)
    {
        struct plugin_instance *instance = SL_CONTAINER_OF(link, struct plugin_instance, link);
        const struct plugin_instance_config *before =
            kept_settings_find(&manager->settings, instance->config_name);
        const struct plugin_instance_config *after =
            kept_settings_find(&self->coming, instance->config_name);
        if (before != NULL && after != NULL && instance->active != NULL &&
            instance->state != INSTANCE_DRAINING &&
            !same_text(before->config_json, after->config_json)) {
            self->asked[self->count++] = instance;
        }
    }
    ask_next(manager);
}
