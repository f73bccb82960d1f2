/* plugin_awaited.c: instances of the configuration whose file is not there: they are listed, and
 * told in the log when the configuration is new (plugin_state.h). On shard 0's loop. */
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

static bool is_configured(const struct plugin_manager *manager, const char *name)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        const struct plugin_instance *instance =
            SL_CONTAINER_OF(link, struct plugin_instance, link);
        if (strcmp(instance->config_name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool manager_awaits(const struct plugin_manager *manager,
                    const struct plugin_instance_config *config,
                    char ret_reason[PLUGIN_REASON_BYTES])
{
    static const uint8_t none[PLUGIN_HASH_SIZE];
    const struct plugin_settings *is = &manager->settings.is;
    char name[PLUGIN_FILE_BYTES];
    if (!manager->first_scan_done || config->module == NULL ||
        is_configured(manager, config->name)) {
        return false;
    }
    instance_module_file(config, name);
    const struct plugin_file *file = manager_file((struct plugin_manager *)manager, name);
    if (file != NULL && memcmp(file->loaded, none, sizeof(none)) != 0) {
        return false; /* it was taken, or refused */
    }
    bool both = instance_module_is_shipped(name);
    snprintf(ret_reason, PLUGIN_REASON_BYTES, "waits for %s, which is %s %s%s%s", name,
             file != NULL ? "looked at twice in" : "not in", is->plugins_dir, both ? " or " : "",
             both ? is->system_dir : "");
    return true;
}

void manager_tell_awaited(struct plugin_manager *manager)
{
    char reason[PLUGIN_REASON_BYTES];
    if (manager->awaited_told) {
        return;
    }
    manager->awaited_told = true;
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const struct plugin_instance_config *config = &manager->settings.instances[i];
        if (manager_awaits(manager, config, reason)) {
            sl_log(manager->config.logger, SL_LOG_WARN, config->name, "awaited",
                   sl_log_text("reason", reason));
        }
    }
}
