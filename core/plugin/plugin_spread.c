/* plugin_spread.c: an instance's parts on the shards: their hosts, the brake that any of them
 * pulls, and the end, when every part detaches. On shard 0's loop, but for the ..._run and what a
 * part's host tells, which are on the part's. */
#include "plugin/plugin_state.h"

#include "base/status.h"

#include <stdio.h>

struct spread_call {
    struct shard_call call;
    struct plugin_instance *instance;
    bool held;
};

sl_err instance_part_make_host(struct instance_part *part, const struct plugin_manager *manager,
                               const struct worker_host_events *events)
{
    struct shard *shard = part->owner->shard;
    struct worker_host_config config = {
        .os = manager->config.os,
        .loop = shard->loop,
        .logger = manager->config.logger,
        .sandbox = manager->sandbox,
        .name = part->name,
        .counts = &part->counts,
        .causes = part->causes,
        .meter = part->meter,
        .events = *events,
    };
    return worker_host_new(&config, &part->host);
}

static void part_call_free(struct spread_call *self)
{
    sl_free(self);
}

static void part_replied(struct shard_call *call)
{
    struct spread_call *self = SL_CONTAINER_OF(call, struct spread_call, call);
    struct plugin_instance *instance = self->instance;
    part_call_free(self);
    instance_part_answered(instance);
}

static struct spread_call *part_call_new(struct plugin_instance *instance,
                                         void (*run)(struct shard_call *call))
{
    struct spread_call *self = sl_alloc_zero(1, sizeof(*self));
    SL_ASSERT(self != NULL);
    self->instance = instance;
    self->call.run = run;
    self->call.reply = part_replied;
    return self;
}

void instance_part_call(struct plugin_instance *instance, struct shard_call *call, uint32_t shard)
{
    struct plugin_manager *manager = instance->manager;
    instance->pending_parts++;
    shard_call_start(call, manager->config.set->shards[shard], manager->loop, SL_PRIORITY_CONTROL);
}

static void part_call_start(struct spread_call *self, uint32_t shard)
{
    instance_part_call(self->instance, &self->call, shard);
}

/* ---- the brake ---- */

/* [the manager's loop] */
static void take_note(struct sl_task *task)
{
    struct instance_part *part = SL_CONTAINER_OF(task, struct instance_part, note);
    struct plugin_instance *instance =
        SL_CONTAINER_OF(part->watch.brake, struct plugin_instance, brake);
    atomic_store(&part->note_posted, false);
    if (instance->state == INSTANCE_DRAINING) {
        instance_maybe_gone(instance);
        return;
    }
    enum stage_pause cause = atomic_load(&instance->brake.cause);
    bool pulled = atomic_exchange(&part->brake_pulled, false);
    if (pulled && cause != STAGE_PAUSE_NONE) {
        instance_pulled(instance, cause);
    } else {
        instance_look_at_deploy(instance);
    }
}

void instance_part_tell(struct instance_part *part)
{
    struct plugin_instance *instance =
        SL_CONTAINER_OF(part->watch.brake, struct plugin_instance, brake);
    if (!atomic_exchange(&part->note_posted, true)) {
        part->note = (struct sl_task){.run = take_note, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(instance->manager->loop, &part->note);
    }
}

/* [the part's loop] */
static void brake_pulled(void *arg, enum stage_pause cause)
{
    struct instance_part *part = arg;
    (void)cause;
    atomic_store(&part->brake_pulled, true);
    instance_part_tell(part);
}

void instance_part_watch(struct plugin_instance *instance, uint32_t shard)
{
    struct stage_watch *watch = &instance->parts[shard].watch;
    watch->brake = &instance->brake;
    watch->pulled = brake_pulled;
    watch->pulled_arg = &instance->parts[shard];
}

bool instance_has_posted(const struct plugin_instance *instance)
{
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        if (atomic_load(&instance->parts[i].note_posted) ||
            atomic_load(&instance->parts[i].lost_posted)) {
            return true;
        }
    }
    return false;
}

void instance_pulled(struct plugin_instance *instance, enum stage_pause cause)
{
    sl_log(instance->manager->config.logger, SL_LOG_ERROR, instance->name, "stage is paused",
           sl_log_text("cause", stage_pause_text(cause)),
           sl_log_text("version", instance->version_text));
    manager_save_brakes(instance->manager);
    instance_look_at_deploy(
        instance); /* a fresh one goes back, and the stage goes on with the old */
}

static void part_go_on_run(struct shard_call *call)
{
    struct spread_call *self = SL_CONTAINER_OF(call, struct spread_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    stage_watch_reset(&part->watch);
    instance_part_wake(part);
    shard_call_reply(call);
}

bool instance_release_brake(struct plugin_instance *instance)
{
    if (atomic_exchange(&instance->brake.cause, STAGE_PAUSE_NONE) == STAGE_PAUSE_NONE) {
        return false;
    }
    instance->pending_parts++; /* until all are asked */
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        part_call_start(part_call_new(instance, part_go_on_run), i);
    }
    instance_part_answered(instance);
    manager_save_brakes(instance->manager);
    return true;
}

/* ---- held ---- */

static void part_hold_run(struct shard_call *call)
{
    struct spread_call *self = SL_CONTAINER_OF(call, struct spread_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    if (part->host != NULL && !part->leaving) {
        worker_host_hold(part->host, self->held);
    }
    shard_call_reply(call);
}

void instance_hold_batches(struct plugin_instance *instance, bool held)
{
    if (instance->held == held) {
        return;
    }
    instance->held = held;
    instance->pending_parts++; /* until all are asked */
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        struct spread_call *self = part_call_new(instance, part_hold_run);
        self->held = held;
        part_call_start(self, i);
    }
    instance_part_answered(instance);
}

/* ---- the end ---- */

static void part_detached(void *arg)
{
    struct spread_call *self = arg;
    shard_call_reply(&self->call);
}

static void part_detach_run(struct shard_call *call)
{
    struct spread_call *self = SL_CONTAINER_OF(call, struct spread_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    instance_part_give_up(part);
    instance_part_detach(part, part_detached, self);
}

void instance_detach(struct plugin_instance *instance)
{
    instance_shadow_cancel(instance);
    instance_agree_forget(instance);
    instance->pending_parts++; /* until all are asked */
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        part_call_start(part_call_new(instance, part_detach_run), i);
    }
    instance_part_answered(instance);
}
