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
