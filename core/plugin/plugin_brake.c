/* plugin_brake.c: a stage that paused by itself stays paused over a start of the broker. Its brake
 * is written into shard 0's log as a switch beside those of the operator (switch_store.h), with the
 * version that it was pulled for: what a start finds is in force again for that version only.
 *
 *   brake pulled or let go, a command ended ─► the first instance whose switch says otherwise
 *     ─► commit ─► switch store ─► the next one, until none is left; then commands go on
 *
 * Commands change whole switches, so neither begins while the other is under way. On shard 0's
 * loop. */
#include "plugin/plugin_state.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define WHO_VERSION "version " /* and its hash */

static const uint32_t flags[] = {
    [STAGE_PAUSE_NONE] = 0,
    [STAGE_PAUSE_ROW] = SWITCH_STOPPED_ROW,
    [STAGE_PAUSE_SHARE] = SWITCH_STOPPED_SHARE,
    [STAGE_PAUSE_STOP] = SWITCH_STOPPED_RECORD,
};

static struct shard *home(const struct plugin_manager *manager)
{
    return manager->config.set->shards[0];
}

/* ---- at a start ---- */

void instance_brake_restore(struct plugin_instance *instance, const struct plugin_version *version)
{
    const struct plugin_switch *is = manager_switch(instance->manager, instance->name);
    size_t head = strlen(WHO_VERSION);
    instance->brake_kept = false;
    if (!switch_has(is, SWITCH_STOPPED)) {
        return;
    }
    if (strncmp(is->who, WHO_VERSION, head) == 0 &&
        strcmp(is->who + head, version->hash_text) != 0) {
        return; /* there is new code since; the switch goes when it runs */
    }
    for (uint32_t cause = STAGE_PAUSE_ROW; cause < SL_COUNT_OF(flags); cause++) {
        if ((is->flags & flags[cause]) != 0) {
            atomic_store(&instance->brake.cause, cause);
            instance->brake_kept = true;
            sl_log(instance->manager->config.logger, SL_LOG_WARN, instance->name,
                   "stage stays paused; `sluice plugin resume` lets it go on",
                   sl_log_text("cause", stage_pause_text(cause)),
                   sl_log_text("version", version->hash_text));
        }
    }
}

/* ---- while it runs ---- */

/* Whether its brake is known: before its first version runs it is the switch that counts. */
static bool is_known(const struct plugin_instance *instance)
{
    bool ended = instance->state == INSTANCE_UNLOADED || instance->state == INSTANCE_DISABLED;
    return instance->state != INSTANCE_DRAINING && (instance->active != NULL || ended);
}

/* False: the switch is as the brake is. */
static bool differs(const struct plugin_instance *instance, struct plugin_switch *ret_switch)
{
    const struct plugin_switch *is = manager_switch(instance->manager, instance->name);
    uint32_t before = is != NULL ? is->flags : 0;
    uint32_t stopped = flags[atomic_load(&instance->brake.cause)];
    uint32_t wanted = (before & ~SWITCH_STOPPED) | stopped;
    if (!is_known(instance) || wanted == before ||
        !switch_store_takes(&home(instance->manager)->switches, instance->name)) {
        return false;
    }
    *ret_switch = is != NULL ? *is : (struct plugin_switch){0};
    ret_switch->flags = wanted;
    snprintf(ret_switch->name, sizeof(ret_switch->name), "%s", instance->name);
    if (stopped != 0 && (before & ~SWITCH_STOPPED) == 0) {
        ret_switch->time_ms = sl_os_wall_ms(instance->manager->config.os);
        snprintf(ret_switch->who, sizeof(ret_switch->who), WHO_VERSION "%s",
                 instance->active != NULL ? instance->active->hash_text : "");
    }
    return true;
}

static void saved(struct commit *commit, sl_err err)
{
    struct brake_save *save = SL_CONTAINER_OF(commit, struct brake_save, commit);
    struct plugin_manager *manager = SL_CONTAINER_OF(save, struct plugin_manager, brakes);
    save->under_way = false;
    if (err == SLUICE_OK) {
        err = switch_store_apply(&home(manager)->switches, SWITCH_ITEM_VERSION,
                                 (struct sl_bytes){save->payload, save->payload_size});
        if (err != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(home(manager), err);
        }
        manager_save_brakes(manager);
    } else {
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins", "a pause did not become durable",
               sl_log_err(err));
    }
    if (!save->under_way) {
        orders_go_on(manager);
        manager_progress(manager);
    }
}

static void save_one(struct plugin_manager *manager, const struct plugin_switch *is)
{
    struct brake_save *save = &manager->brakes;
    save->payload_size = switch_item_encode(is, save->payload);
    save->item = (struct wal_item){.kind = WAL_ITEM_PLUGIN_SWITCH,
                                   .version = SWITCH_ITEM_VERSION,
                                   .payload = {save->payload, save->payload_size}};
    save->commit = (struct commit){.shard = home(manager),
                                   .items = &save->item,
                                   .extra_count = 1,
                                   .reserve = true,
                                   .done = saved};
    save->under_way = true;
    sl_err err = commit_submit(&save->commit);
    if (err != SLUICE_OK) {
        save->under_way = false;
        sl_log(manager->config.logger, SL_LOG_WARN, "plugins", "a pause did not become durable",
               sl_log_err(err));
    }
}

void manager_save_brakes(struct plugin_manager *manager)
{
    struct plugin_switch is;
    if (manager->brakes.under_way || manager->order_begun || manager->stopping ||
        home(manager)->status != SLUICE_OK) {
        return; /* looked at again when a command has ended; a start finds what is durable */
    }
    SL_LIST_EACH(&manager->instances, link)
    {
        if (differs(SL_CONTAINER_OF(link, struct plugin_instance, link), &is)) {
            save_one(manager, &is);
            return;
        }
    }
}
