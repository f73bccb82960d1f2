/* plugin_settings.c: a copy of the settings with all its texts, and what differs between two
 * (plugin_state.h). */
#include "plugin/plugin_state.h"

#include <string.h>

static bool copy_text(const char **to, const char *from)
{
    *to = from == NULL ? NULL : sl_strdup_bytes(from, strlen(from));
    return from == NULL || *to != NULL;
}

static bool copy_list(const char *const **to, uint32_t *ret_count, const char *const *from,
                      uint32_t count)
{
    const char **list = sl_alloc_zero(count + 1u, sizeof(*list));
    *to = list;
    *ret_count = 0;
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        if (!copy_text(&list[i], from[i])) {
            return false;
        }
        (*ret_count)++;
    }
    return list != NULL;
}

static void free_text(const char *text)
{
    sl_free((void *)(uintptr_t)text);
}

static void free_list(const char *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free_text(list[i]);
    }
    sl_free((void *)(uintptr_t)list);
}

static bool copy_instance(struct plugin_instance_config *to,
                          const struct plugin_instance_config *from)
{
    *to = *from;
    to->name = to->module = to->output = to->config_json = to->sha256 = NULL;
    to->broker_config_json = NULL;
    to->inputs = to->outputs = to->permissions = NULL;
    to->input_count = to->output_count = to->permission_count = 0;
    return copy_text(&to->name, from->name) && copy_text(&to->module, from->module) &&
           copy_text(&to->output, from->output) && copy_text(&to->config_json, from->config_json) &&
           copy_text(&to->sha256, from->sha256) &&
           copy_text(&to->broker_config_json, from->broker_config_json) &&
           copy_list(&to->inputs, &to->input_count, from->inputs, from->input_count) &&
           copy_list(&to->outputs, &to->output_count, from->outputs, from->output_count) &&
           copy_list(&to->permissions, &to->permission_count, from->permissions,
                     from->permission_count);
}

sl_err kept_settings_copy(struct kept_settings *kept, const struct plugin_settings *from)
{
    *kept = (struct kept_settings){.is = *from};
    kept->is.plugins_dir = kept->is.system_dir = kept->is.worker_path = kept->is.kept_dir = NULL;
    kept->instances = sl_alloc_zero(from->instance_count + 1u, sizeof(*kept->instances));
    kept->is.instances = kept->instances;
    bool ok = kept->instances != NULL && copy_text(&kept->is.plugins_dir, from->plugins_dir) &&
              copy_text(&kept->is.system_dir, from->system_dir) &&
              copy_text(&kept->is.kept_dir, from->kept_dir) &&
              copy_text(&kept->is.worker_path, from->worker_path);
    for (uint32_t i = 0; ok && i < from->instance_count; i++) {
        ok = copy_instance(&kept->instances[i], &from->instances[i]);
    }
    if (!ok) {
        kept_settings_fini(kept);
        return SLUICE_E_NO_MEMORY;
    }
    return SLUICE_OK;
}

void kept_settings_fini(struct kept_settings *kept)
{
    for (uint32_t i = 0; kept->instances != NULL && i < kept->is.instance_count; i++) {
        struct plugin_instance_config *instance = &kept->instances[i];
        free_text(instance->name);
        free_text(instance->module);
        free_text(instance->output);
        free_text(instance->config_json);
        free_text(instance->sha256);
        free_text(instance->broker_config_json);
        free_list(instance->inputs, instance->input_count);
        free_list(instance->outputs, instance->output_count);
        free_list(instance->permissions, instance->permission_count);
    }
    sl_free(kept->instances);
    free_text(kept->is.plugins_dir);
    free_text(kept->is.system_dir);
    free_text(kept->is.kept_dir);
    free_text(kept->is.worker_path);
    *kept = (struct kept_settings){0};
}

void kept_settings_swap(struct kept_settings *running, struct kept_settings *coming)
{
    struct kept_settings before = *running;
    running->instances = coming->instances;
    running->is.instances = coming->is.instances;
    running->is.instance_count = coming->is.instance_count;
    running->is.rollback = coming->is.rollback;
    coming->instances = before.instances;
    coming->is.instances = before.is.instances;
    coming->is.instance_count = before.is.instance_count;
    coming->is.rollback = before.is.rollback;
}

const struct plugin_instance_config *kept_settings_find(const struct kept_settings *kept,
                                                        const char *name)
{
    for (uint32_t i = 0; i < kept->is.instance_count; i++) {
        if (strcmp(kept->instances[i].name, name) == 0) {
            return &kept->instances[i];
        }
    }
    return NULL;
}

const struct plugin_instance_config *plugin_settings_find(const struct plugin_settings *settings,
                                                          const char *name)
{
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        if (strcmp(settings->instances[i].name, name) == 0) {
            return &settings->instances[i];
        }
    }
    return NULL;
}

/* ---- comparing ---- */

static bool same_text(const char *a, const char *b, const char *none)
{
    return strcmp(a != NULL ? a : none, b != NULL ? b : none) == 0;
}

static bool same_list(const char *const *a, uint32_t a_count, const char *const *b,
                      uint32_t b_count)
{
    bool same = a_count == b_count;
    for (uint32_t i = 0; same && i < a_count; i++) {
        same = strcmp(a[i], b[i]) == 0;
    }
    return same;
}

bool plugin_instance_same_component(const struct plugin_instance_config *a,
                                    const struct plugin_instance_config *b)
{
    return same_text(a->module, b->module, "") && a->on == b->on &&
           same_list(a->inputs, a->input_count, b->inputs, b->input_count) &&
           same_text(a->output, b->output, "") &&
           same_list(a->outputs, a->output_count, b->outputs, b->output_count) &&
           a->from_beginning == b->from_beginning && same_text(a->sha256, b->sha256, "") &&
           a->memory_bytes == b->memory_bytes && a->deadline_ms == b->deadline_ms &&
           a->descriptors == b->descriptors && a->cpu_percent == b->cpu_percent &&
           same_list(a->permissions, a->permission_count, b->permissions, b->permission_count) &&
           a->observe == b->observe && error_rule_equal(&a->on_error, &b->on_error);
}

bool plugin_instance_same_config(const struct plugin_instance_config *a,
                                 const struct plugin_instance_config *b)
{
    return same_text(a->config_json, b->config_json, "{}");
}
