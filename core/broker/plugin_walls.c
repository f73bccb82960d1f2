/* plugin_walls.c: what confines one plugin, as JSON for `sluice sandbox explain`: the layers around
 * its worker, its limits, what it may have and where it may write (plugin_link.h). */
#include "broker/plugin_link.h"

#include <cjson/cJSON.h>
#include <sandbox/layers.h>
#include <stdio.h>
#include <string.h>

#define PERMISSION_TEXT_BYTES (PERMISSION_NAME_BYTES + 32u)

static void add_layers(cJSON *object, const struct sandbox_report *report)
{
    struct sandbox_layer layers[SANDBOX_LAYERS_MAX];
    cJSON *array = cJSON_AddArrayToObject(object, "layers");
    uint32_t count = report != NULL ? sandbox_layers(report, layers) : 0;
    for (uint32_t i = 0; i < count; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "layer", layers[i].name);
        cJSON_AddStringToObject(entry, "state", layers[i].label);
        cJSON_AddStringToObject(entry, "detail", layers[i].text);
        cJSON_AddItemToArray(array, entry);
    }
}

static void add_limits(cJSON *object, const struct plugin_info *info)
{
    cJSON *limits = cJSON_AddObjectToObject(object, "limits");
    if (info->report != NULL) {
        const struct sandbox_limits *is = &info->report->limits;
        admin_add_uint64(limits, "memory_bytes", is->memory_bytes_max);
        cJSON_AddNumberToObject(limits, "cpu_percent", is->cpu_percent);
        cJSON_AddNumberToObject(limits, "cpu_burst_ms", is->cpu_burst_ms);
        cJSON_AddNumberToObject(limits, "descriptors", is->descriptors_max);
    }
    cJSON_AddNumberToObject(limits, "deadline_ms", info->deadline_ms);
}

static void add_permission(cJSON *array, const struct plugin_permission *permission,
                           const char *state)
{
    char text[PERMISSION_TEXT_BYTES];
    cJSON *entry = cJSON_CreateObject();
    plugin_permission_text(permission, text, sizeof(text));
    cJSON_AddStringToObject(entry, "permission", text);
    cJSON_AddStringToObject(entry, "state", state);
    cJSON_AddItemToArray(array, entry);
}

/* By its own name, not by "library *". */
static bool is_listed(const struct plugin_permissions *asked,
                      const struct plugin_permission *permission)
{
    for (uint32_t i = 0; i < asked->count; i++) {
        if (asked->items[i].kind == permission->kind &&
            strcmp(asked->items[i].name, permission->name) == 0) {
            return true;
        }
    }
    return false;
}

/* What it has, what it asks for in vain, what is granted for nothing. */
static void add_permissions(cJSON *object, const struct plugin_info *info)
{
    static const struct plugin_permissions none = {.count = 0};
    const struct plugin_permissions *asked = info->asked != NULL ? info->asked : &none;
    const struct plugin_permissions *granted = info->granted != NULL ? info->granted : &none;
    cJSON *array = cJSON_AddArrayToObject(object, "permissions");
    for (uint32_t i = 0; i < asked->count; i++) {
        if (plugin_permission_is_any(&asked->items[i])) {
            continue; /* those that are granted are listed below */
        }
        bool both = plugin_permission_has(granted, &asked->items[i]);
        add_permission(array, &asked->items[i],
                       both ? "granted" : "asked for, not granted by the configuration");
    }
    for (uint32_t i = 0; i < granted->count; i++) {
        const struct plugin_permission *each = &granted->items[i];
        if (plugin_permission_is_any(each)) {
            add_permission(array, each, "not given: the configuration names each library");
        } else if (!plugin_permission_has(asked, each)) {
            add_permission(array, each, "not given: its manifest does not ask for it");
        } else if (!is_listed(asked, each)) {
            add_permission(array, each, "granted");
        }
    }
}

static void add_topics(cJSON *object, const struct plugin_info *info)
{
    cJSON *reads = cJSON_AddArrayToObject(object, "reads");
    cJSON *writes = cJSON_AddArrayToObject(object, "writes");
    cJSON_AddItemToArray(reads, cJSON_CreateString(info->input));
    if (info->output[0] != '\0') {
        cJSON_AddItemToArray(writes, cJSON_CreateString(info->output));
    }
    for (uint32_t i = 0; i < info->output_count; i++) {
        cJSON_AddItemToArray(writes, cJSON_CreateString(info->outputs[i]));
    }
    if (info->outputs_any) {
        cJSON_AddItemToArray(writes, cJSON_CreateString("any but internal topics (--dev)"));
    }
}

struct walls_search {
    const char *name;
    cJSON *object;
    bool found;
};

static void explain_one(void *arg, const struct plugin_info *info)
{
    struct walls_search *search = arg;
    if (search->found || strcmp(info->name, search->name) != 0) {
        return;
    }
    search->found = true;
    cJSON *object = search->object;
    char principal[128];
    snprintf(principal, sizeof(principal), "Plugin:%s", info->name);
    cJSON_AddStringToObject(object, "plugin", info->name);
    cJSON_AddStringToObject(object, "principal", principal);
    cJSON_AddStringToObject(object, "state", info->state);
    cJSON_AddStringToObject(object, "reason", info->reason);
    if (info->report != NULL) {
        cJSON_AddStringToObject(object, "mode", info->report->observe ? "observe" : "enforce");
        cJSON_AddNumberToObject(object, "worker_pid", info->pid);
    }
    admin_add_uint64(object, "observed_calls", info->observed);
    add_topics(object, info);
    add_limits(object, info);
    add_permissions(object, info);
    add_layers(object, info->report);
}

sl_err plugin_walls_json(struct plugin_manager *manager, const char *name, struct cJSON *object)
{
    struct walls_search search = {.name = name, .object = object};
    plugin_manager_each(manager, explain_one, &search);
    return search.found ? SLUICE_OK : SLUICE_E_NOT_FOUND;
}
