/* plugin_spread.c: an instance's parts on the shards: shard 0 has checked a version, the others
 * take it as it is; at the end every part detaches. On shard 0's loop, but for the ..._run and what
 * a part's host tells, which are on the part's. */
#include "plugin/plugin_state.h"

#include "base/status.h"

#include <stdio.h>

struct part_call {
    struct shard_call call;
    struct plugin_instance *instance;
    struct plugin_version *version;       /* referenced */
    struct shared_attachment *attachment; /* referenced */
    struct shadow_run *shadow;            /* referenced */
    char version_text[MANIFEST_VERSION_BYTES];
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

static void part_call_free(struct part_call *self)
{
    plugin_version_unref(self->version);
    shared_attachment_unref(self->attachment);
    shadow_run_unref(self->shadow);
    sl_free(self);
}

static void part_replied(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct plugin_instance *instance = self->instance;
    part_call_free(self);
    instance_part_answered(instance);
}

static struct part_call *part_call_new(struct plugin_instance *instance,
                                       void (*run)(struct shard_call *call))
{
    struct part_call *self = sl_alloc_zero(1, sizeof(*self));
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

static void part_call_start(struct part_call *self, uint32_t shard)
{
    instance_part_call(self->instance, &self->call, shard);
}

/* ---- a version for the other shards ---- */

/* The version that loaded beside takes over, with where it reads and writes. */
static void part_take_adopted(struct instance_part *part)
{
    struct shared_attachment *attachment = part->adopted;
    part->adopted = NULL;
    if (attachment != NULL && !part->leaving) {
        instance_part_attach(part, attachment, part->adopted_text);
    }
    shared_attachment_unref(attachment);
}

static void part_version_ready(void *arg, struct plugin_version *version,
                               const struct sandbox_event *event)
{
    struct instance_part *part = arg;
    (void)version;
    (void)event;
    if (part->shadow == NULL || worker_host_shadow(part->host, part->shadow) != SLUICE_OK) {
        worker_host_accept(part->host); /* shard 0 has checked it */
        part_take_adopted(part);
    }
}

static void part_version_refused(void *arg, struct plugin_version *version, const char *text)
{
    struct instance_part *part = arg;
    (void)version;
    part->adopted = shared_attachment_unref(part->adopted);
    sl_log(part->owner->shard->logger, SL_LOG_ERROR, part->name,
           "the new version does not start on this shard; the old one goes on",
           sl_log_u64("shard", part->owner->shard->index), sl_log_text("reason", text));
}

static void part_changed(void *arg, bool running, const char *text)
{
    (void)text;
    if (!running) {
        instance_part_lost(arg);
    }
}

static void part_reconfigured(void *arg, sl_err err, const char *text)
{
    (void)arg;
    (void)err;
    (void)text;
}

static void part_update_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    struct worker_host_events events = {.arg = part,
                                        .ready = part_version_ready,
                                        .refused = part_version_refused,
                                        .changed = part_changed,
                                        .reconfigured = part_reconfigured};
    if (part->host == NULL &&
        instance_part_make_host(part, self->instance->manager, &events) != SLUICE_OK) {
        sl_log(call->target->logger, SL_LOG_ERROR, part->name, "cannot run on this shard",
               sl_log_u64("shard", call->target->index));
    } else {
        part->shadow = shadow_run_unref(part->shadow);
        shared_attachment_unref(part->adopted);
        part->adopted = shared_attachment_ref(self->attachment);
        snprintf(part->adopted_text, sizeof(part->adopted_text), "%s", self->version_text);
        part->held = self->held;
        worker_host_adopt(part->host, self->version);
        if (!worker_host_awaits(part->host)) {
            part_take_adopted(part);
        }
    }
    shard_call_reply(call);
}

void instance_spread(struct plugin_instance *instance)
{
    for (uint32_t i = 1; i < instance->manager->config.set->count; i++) {
        struct part_call *self = part_call_new(instance, part_update_run);
        self->version = plugin_version_ref(instance->active);
        self->attachment = shared_attachment_ref(instance->attachment);
        self->held = instance->paused;
        snprintf(self->version_text, sizeof(self->version_text), "%s", instance->version_text);
        part_call_start(self, i);
    }
}

/* ---- a shadow run on the other shards ---- */

static void part_shadow_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = &self->instance->parts[call->target->index];
    if (part->shadow != NULL) {
        part->shadow = shadow_run_unref(part->shadow);
        worker_host_refuse(part->host);
    }
    if (self->version != NULL && part->host != NULL && !worker_host_is_loading(part->host)) {
        part->shadow = shadow_run_ref(self->shadow);
        worker_host_load(part->host, self->version);
    }
    shard_call_reply(call);
}

void instance_spread_shadow(struct plugin_instance *instance, struct plugin_version *version,
                            struct shadow_run *run)
{
    for (uint32_t i = 1; i < instance->manager->config.set->count; i++) {
        struct part_call *self = part_call_new(instance, part_shadow_run);
        self->version = version != NULL ? plugin_version_ref(version) : NULL;
        self->shadow = run != NULL ? shadow_run_ref(run) : NULL;
        part_call_start(self, i);
    }
}

/* ---- the brake ---- */

/* [the manager's loop] */
static void tell_pulled(struct sl_task *task)
{
    struct instance_part *part = SL_CONTAINER_OF(task, struct instance_part, pulled);
    struct plugin_instance *instance =
        SL_CONTAINER_OF(part->watch.brake, struct plugin_instance, brake);
    atomic_store(&part->pulled_posted, false);
    if (instance->state == INSTANCE_DRAINING) {
        instance_maybe_gone(instance);
        return;
    }
    enum stage_pause cause = atomic_load(&instance->brake.cause);
    if (cause != STAGE_PAUSE_NONE) {
        instance_pulled(instance, cause);
    }
}

/* [the part's loop] */
static void brake_pulled(void *arg, enum stage_pause cause)
{
    struct instance_part *part = arg;
    struct plugin_instance *instance =
        SL_CONTAINER_OF(part->watch.brake, struct plugin_instance, brake);
    (void)cause;
    if (!atomic_exchange(&part->pulled_posted, true)) {
        part->pulled = (struct sl_task){.run = tell_pulled, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(instance->manager->loop, &part->pulled);
    }
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
        if (atomic_load(&instance->parts[i].pulled_posted)) {
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
    instance_look_at_deploy(
        instance); /* a fresh one goes back, and the stage goes on with the old */
}

static void part_go_on_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
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
    return true;
}

/* ---- the end ---- */

static void part_detached(void *arg)
{
    struct part_call *self = arg;
    shard_call_reply(&self->call);
}

static void part_detach_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    instance_part_detach(&self->instance->parts[call->target->index], part_detached, self);
}

void instance_detach(struct plugin_instance *instance)
{
    instance_shadow_cancel(instance);
    instance->pending_parts++; /* until all are asked */
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        part_call_start(part_call_new(instance, part_detach_run), i);
    }
    instance_part_answered(instance);
}
