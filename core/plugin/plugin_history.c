/* plugin_history.c: the versions of an instance that ran before, kept so that they can run again
 * (plugin_state.h). Newest first, each hash once, at most PLUGIN_PAST_MAX; their bytes are the
 * staged copies, so the file may be gone; of those that ran before the broker's start they are on
 * the disk (plugin_keep.c). On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

static int64_t wall_ms(const struct plugin_instance *instance)
{
    return sl_os_wall_ms(instance->manager->config.os);
}

void instance_past_forget(struct plugin_instance *instance, uint32_t index)
{
    SL_ASSERT(index < instance->past_count);
    plugin_version_unref(instance->past[index].kept.version);
    instance->past_count--;
    memmove(&instance->past[index], &instance->past[index + 1],
            (instance->past_count - index) * sizeof(instance->past[0]));
}

void instance_past_forget_hash(struct plugin_instance *instance, const uint8_t *hash)
{
    for (uint32_t i = instance->past_count; i-- > 0;) {
        if (memcmp(instance->past[i].kept.is.hash, hash, PLUGIN_HASH_SIZE) == 0) {
            instance_past_forget(instance, i);
        }
    }
}

void past_describe(const struct plugin_instance *instance, struct kept_version *ret_is)
{
    const struct plugin_version *active = instance->active;
    const struct manifest *manifest = &active->module->manifest;
    *ret_is = (struct kept_version){
        .size = active->script != NULL ? active->script_size : active->module->staged.size,
        .is_script = active->script != NULL,
        .state_version = active->script != NULL ? 0 : manifest->state_version,
        .since_ms = instance->active_since_ms};
    memcpy(ret_is->instance, instance->name, sizeof(ret_is->instance));
    memcpy(ret_is->file, active->file, sizeof(ret_is->file));
    memcpy(ret_is->hash, active->hash, sizeof(ret_is->hash));
    memcpy(ret_is->version_text, instance->version_text, sizeof(ret_is->version_text));
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
    *past = (struct past_version){.hash_text = ""};
    past_describe(instance, &past->kept.is);
    past->kept.version = instance->active;
    past->kept.is.until_ms = wall_ms(instance);
    past->kept.is.failed = failed;
    memcpy(past->hash_text, instance->active->hash_text, sizeof(past->hash_text));
    snprintf(past->kept.is.why, sizeof(past->kept.is.why), "%s", why);
    instance->active = NULL;
    instance->attachment = shared_attachment_unref(instance->attachment);
}

void instance_past_show(const struct plugin_instance *instance, struct plugin_info *info)
{
    for (uint32_t i = 0; i < instance->past_count; i++) {
        const struct past_version *past = &instance->past[i];
        info->past[i] = (struct plugin_past){.hash = past->hash_text,
                                             .version = past->kept.is.version_text,
                                             .since_ms = past->kept.is.since_ms,
                                             .until_ms = past->kept.is.until_ms,
                                             .why = past->kept.is.why};
    }
    info->past_count = instance->past_count;
}

void instance_past_fini(struct plugin_instance *instance)
{
    while (instance->past_count > 0) {
        instance_past_forget(instance, instance->past_count - 1);
    }
}
