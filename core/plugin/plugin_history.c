/* plugin_history.c: the versions of an instance that ran before, kept so that they can run again
 * (plugin_state.h). Newest first, each hash once, at most PLUGIN_PAST_MAX; their bytes are the
 * staged copies, so the file may be gone. In memory: a start of the broker begins anew. On shard
 * 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

static int64_t wall_ms(const struct plugin_instance *instance)
{
    return sl_os_wall_ms(instance->manager->config.os);
}

static void drop(struct past_version *past)
{
    plugin_version_unref(past->version);
    shared_attachment_unref(past->attachment);
}

void instance_past_forget(struct plugin_instance *instance, uint32_t index)
{
    SL_ASSERT(index < instance->past_count);
    drop(&instance->past[index]);
    instance->past_count--;
    memmove(&instance->past[index], &instance->past[index + 1],
            (instance->past_count - index) * sizeof(instance->past[0]));
}

void instance_past_forget_hash(struct plugin_instance *instance, const uint8_t *hash)
{
    for (uint32_t i = instance->past_count; i-- > 0;) {
        if (memcmp(instance->past[i].version->hash, hash, PLUGIN_HASH_SIZE) == 0) {
            instance_past_forget(instance, i);
        }
    }
}

void instance_past_push(struct plugin_instance *instance, bool failed, const char *why)
{
    instance_past_forget_hash(instance, instance->active->hash);
    if (instance->past_count == PLUGIN_PAST_MAX) {
        instance_past_forget(instance, PLUGIN_PAST_MAX - 1);
    }
    memmove(&instance->past[1], &instance->past[0],
            instance->past_count * sizeof(instance->past[0]));
    instance->past_count++;
    struct past_version *past = &instance->past[0];
    *past = (struct past_version){.version = instance->active,
                                  .attachment = instance->attachment,
                                  .since_ms = instance->active_since_ms,
                                  .until_ms = wall_ms(instance),
                                  .failed = failed};
    memcpy(past->module_text, instance->module_text, sizeof(past->module_text));
    memcpy(past->version_text, instance->version_text, sizeof(past->version_text));
    snprintf(past->why, sizeof(past->why), "%s", why);
    instance->active = NULL;
    instance->attachment = NULL;
}

void instance_past_show(const struct plugin_instance *instance, struct plugin_info *info)
{
    for (uint32_t i = 0; i < instance->past_count; i++) {
        const struct past_version *past = &instance->past[i];
        info->past[i] = (struct plugin_past){.hash = past->version->hash_text,
                                             .version = past->version_text,
                                             .since_ms = past->since_ms,
                                             .until_ms = past->until_ms,
                                             .why = past->why};
    }
    info->past_count = instance->past_count;
}

void instance_past_fini(struct plugin_instance *instance)
{
    while (instance->past_count > 0) {
        instance_past_forget(instance, instance->past_count - 1);
    }
}
