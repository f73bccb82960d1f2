/* plugin_make.c: a version of an instance from its parts: module, script, configuration over the
 * module's defaults, the stricter limits of both. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

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

/* The stricter of what the module says and what the operator says, whose silence is the default: a
 * module alone cannot give itself more than that. 0: not said. */
static int64_t stricter(int64_t manifest, int64_t config, int64_t initial)
{
    int64_t allowed = config == 0 ? initial : config;
    return manifest == 0 ? allowed : SL_MIN(manifest, allowed);
}

static void set_limits(struct plugin_version *version, const struct manifest *manifest,
                       const struct plugin_instance_config *config)
{
    static const struct plugin_instance_config none = {0};
    const struct plugin_instance_config *is = config != NULL ? config : &none;
    struct sandbox_limits *limits = &version->limits; /* the defaults */
    limits->memory_bytes_max = (uint64_t)stricter(manifest->memory_bytes, is->memory_bytes,
                                                  (int64_t)limits->memory_bytes_max);
    limits->state_bytes_max = (uint64_t)stricter(manifest->state_bytes, is->state_bytes,
                                                 (int64_t)limits->state_bytes_max);
    int64_t descriptors = stricter(manifest->descriptors, is->descriptors, limits->descriptors_max);
    limits->descriptors_max = (uint32_t)SL_MAX(descriptors, 16);
    limits->cpu_percent =
        (uint32_t)stricter(manifest->cpu_percent, is->cpu_percent, limits->cpu_percent);
}

/* False: one that the configuration names is none, or there are too many. */
static bool set_permissions(struct plugin_version *version, const struct manifest *manifest,
                            const struct plugin_instance_config *config)
{
    char reason[PERMISSION_REASON_BYTES];
    for (uint32_t i = 0; config != NULL && i < config->permission_count; i++) {
        if (plugin_permission_add(&version->granted, config->permissions[i], reason) != SLUICE_OK) {
            return false;
        }
    }
    plugin_permission_both(&manifest->permissions, &version->granted, &version->has);
    version->observe = config != NULL && config->observe;
    const struct plugin_permission reads = {.kind = PERMISSION_READ_CONFIG};
    if (config != NULL && config->broker_config_json != NULL &&
        plugin_permission_has(&version->has, &reads)) {
        const char *json = config->broker_config_json;
        version->broker_config_json = sl_strdup_bytes(json, strlen(json));
        return version->broker_config_json != NULL;
    }
    return true;
}

struct plugin_version *instance_version_new(const struct version_parts *parts)
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
    ok = ok && set_permissions(version, &parts->module->manifest, parts->config);
    return ok ? version : plugin_version_unref(version);
}

struct plugin_version *instance_version_with(const struct plugin_version *from,
                                             const struct plugin_instance_config *config)
{
    return instance_version_new(&(struct version_parts){.module = from->module,
                                                        .script = from->script,
                                                        .script_size = from->script_size,
                                                        .file = from->file,
                                                        .hash = from->hash,
                                                        .instance = config->name,
                                                        .config = config});
}
