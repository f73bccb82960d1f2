/* plugin_shadow.c: the shadow run of an instance: a new version that is ready gets the next records
 * beside the one that runs, on all shards; then it takes over, or is refused because too much
 * differs. Not for a version with a connection: what it sends is not undone. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 60000 /* then what was compared counts */
#define LOOK_MS 20

static int64_t mono_ms(const struct plugin_manager *manager)
{
    return sl_os_mono_ns(manager->config.os) / 1000000;
}

struct shadow_wish instance_shadow_wish(struct plugin_instance *instance)
{
    struct shadow_wish wish = instance->shadow.asked;
    const struct plugin_instance_config *config =
        instance->config_name[0] != '\0'
            ? kept_settings_find(&instance->manager->settings, instance->config_name)
            : NULL;
    if (wish.records == 0 && config != NULL) {
        wish = (struct shadow_wish){config->shadow_records, config->shadow_max_diff_percent};
    }
    instance->shadow.asked = (struct shadow_wish){0};
    return wish;
}

static bool has_connection(const struct plugin_version *version)
{
    for (uint32_t i = 0; i < version->has.count; i++) {
        if (version->has.items[i].kind == PERMISSION_CONNECTION) {
            return true;
        }
    }
    return false;
}

bool instance_shadow_begin(struct plugin_instance *instance)
{
    struct plugin_manager *manager = instance->manager;
    const struct version_coming *coming = &instance->agree.coming;
    struct shadow_wish wish = instance_shadow_wish(instance);
    if (wish.records <= 0 || instance->active == NULL || instance->ending_why[0] != '\0') {
        return false;
    }
    if (has_connection(coming->version)) {
        sl_log(manager->config.logger, SL_LOG_WARN, instance->name,
               "no shadow run: it has a connection, and what it sends cannot be discarded",
               sl_log_text("version", coming->version->hash_text));
        return false;
    }
    struct instance_shadow *shadow = &instance->shadow;
    shadow->run = shadow_run_new(wish.records);
    if (shadow->run == NULL) {
        return false;
    }
    shadow->wish = wish;
    shadow->until_ms = mono_ms(manager) + WAIT_MS;
    instance_agree_shadow(instance, shadow->run);
    sl_log(manager->config.logger, SL_LOG_INFO, instance->name, "shadow run begins",
           sl_log_text("version", coming->version->hash_text), sl_log_i64("records", wish.records));
    sl_timer_start(manager->deploy_timer, LOOK_MS * INT64_C(1000000));
    return true;
}

/* ---- what was found ---- */

static void sum_up(struct plugin_instance *instance)
{
    const struct shadow_run *run = instance->shadow.run;
    struct shadow_result *last = &instance->shadow.last;
    *last = (struct shadow_result){.same = atomic_load(&run->same),
                                   .changed = atomic_load(&run->changed)};
    memcpy(last->hash_text, instance->agree.coming.version->hash_text, sizeof(last->hash_text));
    for (uint32_t i = 0; i < SHADOW_DIFFS_MAX; i++) {
        if (atomic_load_explicit(&run->diffs[i].is_written, memory_order_acquire)) {
            memcpy(last->diffs[last->diff_count++], run->diffs[i].text, SHADOW_TEXT_BYTES);
        }
    }
}

static bool too_different(const struct plugin_instance *instance)
{
    const struct shadow_result *last = &instance->shadow.last;
    uint64_t all = last->same + last->changed;
    return all > 0 && last->changed * 100 > all * (uint64_t)instance->shadow.wish.max_diff_percent;
}

static void say_result(const struct plugin_instance *instance, bool refused)
{
    const struct shadow_result *last = &instance->shadow.last;
    sl_log(instance->manager->config.logger, refused ? SL_LOG_WARN : SL_LOG_INFO, instance->name,
           "shadow run ended", sl_log_text("version", last->hash_text),
           sl_log_u64("same", last->same), sl_log_u64("changed", last->changed),
           sl_log_text("first", last->diff_count > 0 ? last->diffs[0] : ""));
}

static void conclude(struct plugin_instance *instance)
{
    sum_up(instance);
    bool refused = too_different(instance);
    say_result(instance, refused);
    instance->shadow.run = shadow_run_unref(instance->shadow.run);
    if (!refused) {
        instance_take_over(instance);
        return;
    }
    char text[PLUGIN_REASON_BYTES];
    const struct shadow_result *last = &instance->shadow.last;
    snprintf(text, sizeof(text),
             "its shadow run changed %llu of %llu records, more than %lld %%: %.300s",
             (unsigned long long)last->changed, (unsigned long long)(last->same + last->changed),
             (long long)instance->shadow.wish.max_diff_percent, last->diffs[0]);
    instance_agree_drop(instance);
    instance_refuse(instance, text);
}

bool instance_shadow_look(struct plugin_instance *instance)
{
    const struct shadow_run *run = instance->shadow.run;
    if (run == NULL) {
        return false;
    }
    uint64_t compared = atomic_load(&run->same) + atomic_load(&run->changed);
    if (compared >= (uint64_t)instance->shadow.wish.records ||
        mono_ms(instance->manager) >= instance->shadow.until_ms) {
        conclude(instance);
        return false;
    }
    return true;
}

void instance_shadow_cancel(struct plugin_instance *instance)
{
    if (instance->shadow.run == NULL) {
        return;
    }
    sum_up(instance);
    instance->shadow.run = shadow_run_unref(instance->shadow.run);
}

void instance_shadow_say(const struct plugin_instance *instance, char *text, size_t size)
{
    const struct shadow_result *last = &instance->shadow.last;
    size_t used = strlen(text);
    if (instance->active == NULL || strcmp(last->hash_text, instance->active->hash_text) != 0) {
        return;
    }
    snprintf(text + used, size - used,
             "; in its shadow run %llu records were the same and %llu changed%s%.300s",
             (unsigned long long)last->same, (unsigned long long)last->changed,
             last->diff_count > 0 ? ", first " : "", last->diffs[0]);
}
