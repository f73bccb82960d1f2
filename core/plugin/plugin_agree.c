/* plugin_agree.c: a version comes to all shards, or to none.
 *
 *   ready on shard 0 ─► asked: loads beside what runs on the others ─► ready on all ─► (shadow run,
 *   other plugins of a reload) ─► each switches between two of its batches ─► all have: in force
 *                     └► one is not: the others let go     └► one died on it: the others go back
 *
 * What switched for the first time has nothing to go back to: where its worker died in the switch,
 * it is started again. On shard 0's loop, but for the part_..., which are on the part's. */
#include "base/status.h"
#include "base/text.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

struct part_call {
    struct shard_call call;
    struct plugin_instance *instance;
    struct plugin_version *version;       /* referenced */
    struct shared_attachment *attachment; /* referenced; or NULL */
    struct shadow_run *shadow;            /* referenced; or NULL */
    char version_text[MANIFEST_VERSION_BYTES];
    bool held;
    bool forward; /* nothing ran before it */
    uint32_t round;
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

static struct plugin_instance *instance_of_part(struct instance_part *part)
{
    return SL_CONTAINER_OF(part->watch.brake, struct plugin_instance, brake);
}

static struct instance_part *part_of(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    return &self->instance->parts[call->target->index];
}

void version_coming_fini(struct version_coming *coming)
{
    plugin_version_unref(coming->version);
    shared_attachment_unref(coming->attachment);
    *coming = (struct version_coming){0};
}

static void call_free(struct part_call *self)
{
    plugin_version_unref(self->version);
    shared_attachment_unref(self->attachment);
    shadow_run_unref(self->shadow);
    sl_free(self);
}

static void call_replied(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct plugin_instance *instance = self->instance;
    call_free(self);
    instance_part_answered(instance);
}

static struct part_call *call_new(struct plugin_instance *instance,
                                  void (*run)(struct shard_call *call),
                                  struct plugin_version *version)
{
    struct part_call *self = sl_alloc_zero(1, sizeof(*self));
    SL_ASSERT(self != NULL);
    self->instance = instance;
    self->version = version != NULL ? plugin_version_ref(version) : NULL;
    self->round = instance->agree.round;
    self->call.run = run;
    self->call.reply = call_replied;
    return self;
}

/* ---- the answers ---- */

static void part_reply(struct part_call **place, sl_err err, const char *text)
{
    struct part_call *self = *place;
    *place = NULL;
    if (self != NULL) {
        self->err = err;
        snprintf(self->text, sizeof(self->text), "%s", text);
        shard_call_reply(&self->call);
    }
}

void instance_part_give_up(struct instance_part *part)
{
    part_reply(&part->asked, SLUICE_E_STOPPING, "the instance ends");
    part_reply(&part->switching, SLUICE_E_STOPPING, "the instance ends");
    instance_part_reconfigured(part, SLUICE_E_STOPPING, "the instance ends", false);
}

static void agree_ended(struct plugin_instance *instance)
{
    version_coming_fini(&instance->agree.coming);
    instance->agree.phase = AGREE_NONE;
    instance->agree.round++;
}

static void go_back(struct plugin_instance *instance);

static void all_switched(struct plugin_instance *instance)
{
    struct instance_agree *agree = &instance->agree;
    struct plugin_version *newer = NULL; /* came meanwhile */
    if (instance->loading != agree->coming.version) {
        newer = instance->loading;
        instance->loading = NULL;
    }
    if (agree->err == SLUICE_OK) {
        struct version_coming coming = agree->coming;
        agree->coming = (struct version_coming){0};
        agree_ended(instance);
        instance_in_force(instance, &coming, newer != NULL);
    } else {
        go_back(instance);
        agree_ended(instance);
        instance_refuse(instance, agree->text);
    }
    if (newer != NULL) {
        instance_load_version(instance, newer);
        plugin_version_unref(newer);
    }
}

/* A shard did what it was to do in this round, or could not. */
static void answered(struct plugin_instance *instance, uint32_t round, sl_err err, const char *text,
                     uint32_t shard)
{
    struct instance_agree *agree = &instance->agree;
    if (agree->round != round) {
        return;
    }
    agree->waits--;
    if (err != SLUICE_OK && agree->err == SLUICE_OK) {
        agree->err = err;
        struct sl_text_out out = SL_TEXT_OUT(agree->text);
        sl_text_add(&out, "%s", text);
        if (shard > 0) {
            sl_text_add(&out, " (on shard %u)", shard);
        }
    }
    if (agree->phase == AGREE_ASKING && agree->err != SLUICE_OK) {
        char why[PLUGIN_REASON_BYTES];
        struct plugin_version *version = plugin_version_ref(agree->coming.version);
        memcpy(why, agree->text, sizeof(why));
        instance_version_lost(instance, version, why);
        plugin_version_unref(version);
    } else if (agree->waits == 0 && agree->phase == AGREE_ASKING) {
        agree->phase = AGREE_READY;
        instance_agreed(instance);
    } else if (agree->waits == 0 && agree->phase == AGREE_SWITCHING) {
        all_switched(instance);
    }
}

static void part_answered(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    answered(self->instance, self->round, self->err, self->text, call->target->index);
    call_replied(call);
}

/* ---- asked ---- */

static void part_version_ready(void *arg, struct plugin_version *version,
                               const struct sandbox_event *event)
{
    struct instance_part *part = arg;
    (void)event;
    if (part->asked != NULL && part->asked->version == version) {
        part_reply(&part->asked, SLUICE_OK, "");
    } else {
        worker_host_refuse(part->host);
    }
}

/* [the manager's loop] */
static void tell_lost(struct sl_task *task)
{
    struct instance_part *part = SL_CONTAINER_OF(task, struct instance_part, lost);
    struct plugin_instance *instance = instance_of_part(part);
    struct instance_agree *agree = &instance->agree;
    struct plugin_version *version = part->lost_version;
    char text[PLUGIN_REASON_BYTES];
    struct sl_text_out out = SL_TEXT_OUT(text);
    sl_text_add(&out, "%s (on shard %u)", part->lost_text, part->owner->shard->index);
    part->lost_version = NULL;
    atomic_store(&part->lost_posted, false);
    if (instance->state == INSTANCE_DRAINING) {
        instance_maybe_gone(instance);
    } else if ((agree->phase == AGREE_ASKING || agree->phase == AGREE_READY) &&
               agree->coming.version == version) {
        instance_version_lost(instance, version, text);
    }
    plugin_version_unref(version);
}

bool instance_part_lost_version(struct instance_part *part, struct plugin_version *version,
                                const char *text)
{
    if (part->switching == NULL || part->switching->version != version) {
        return false;
    }
    if (part->switching->forward) {
        worker_host_become(part->host, version);
    } else {
        char why[PLUGIN_REASON_BYTES];
        snprintf(why, sizeof(why), "died before its first batch: %.900s", text);
        part_reply(&part->switching, SLUICE_E_PLUGIN_CRASHED, why);
    }
    return true;
}

static void part_version_refused(void *arg, struct plugin_version *version, const char *text)
{
    struct instance_part *part = arg;
    if (part->asked != NULL && part->asked->version == version) {
        part_reply(&part->asked, SLUICE_E_PLUGIN_LOAD, text);
        return;
    }
    if (instance_part_lost_version(part, version, text) ||
        atomic_exchange(&part->lost_posted, true)) {
        return;
    }
    part->lost_version = plugin_version_ref(version);
    snprintf(part->lost_text, sizeof(part->lost_text), "%.900s", text);
    part->lost = (struct sl_task){.run = tell_lost, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(instance_of_part(part)->manager->loop, &part->lost);
}

static void part_changed(void *arg, bool running, const char *text)
{
    (void)text;
    if (!running) {
        instance_part_lost(arg);
        instance_part_tell(arg);
    }
}

static void part_reconfigured(void *arg, sl_err err, const char *text, bool took)
{
    instance_part_reconfigured(arg, err, text, took);
}

void instance_part_switched(void *part)
{
    part_reply(&((struct instance_part *)part)->switching, SLUICE_OK, "");
}

static void part_ask_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = part_of(call);
    struct worker_host_events events = {.arg = part,
                                        .ready = part_version_ready,
                                        .refused = part_version_refused,
                                        .switched = instance_part_switched,
                                        .changed = part_changed,
                                        .reconfigured = part_reconfigured};
    part_reply(&part->asked, SLUICE_E_CANCELLED, "");
    part->asked = self;
    if (part->host == NULL &&
        instance_part_make_host(part, self->instance->manager, &events) != SLUICE_OK) {
        part_reply(&part->asked, SLUICE_E_NO_MEMORY, sl_status_text(SLUICE_E_NO_MEMORY));
    } else {
        worker_host_load(part->host, self->version);
    }
}

void instance_agree_ask(struct plugin_instance *instance, struct version_coming *coming)
{
    struct instance_agree *agree = &instance->agree;
    SL_ASSERT(agree->phase == AGREE_NONE);
    uint32_t count = instance->manager->config.set->count;
    uint32_t round = ++agree->round;
    agree->phase = AGREE_ASKING;
    agree->coming = *coming;
    agree->waits = count; /* shard 0 is ready: until all are asked */
    agree->err = SLUICE_OK;
    for (uint32_t i = 1; i < count; i++) {
        struct part_call *self = call_new(instance, part_ask_run, coming->version);
        self->call.reply = part_answered;
        instance_part_call(instance, &self->call, i);
    }
    answered(instance, round, SLUICE_OK, "", 0);
}

/* ---- let go ---- */

static void part_drop_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = part_of(call);
    if (part->asked != NULL && part->asked->version == self->version) {
        part_reply(&part->asked, SLUICE_E_CANCELLED, "");
        worker_host_refuse(part->host);
    } else if (part->host != NULL && worker_host_offers(part->host, self->version)) {
        worker_host_refuse(part->host);
    }
    shard_call_reply(call);
}

void instance_agree_drop(struct plugin_instance *instance)
{
    struct instance_agree *agree = &instance->agree;
    if (agree->phase != AGREE_ASKING && agree->phase != AGREE_READY) {
        return;
    }
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        struct part_call *self = call_new(instance, part_drop_run, agree->coming.version);
        instance_part_call(instance, &self->call, i);
    }
    agree_ended(instance);
}

void instance_agree_forget(struct plugin_instance *instance)
{
    agree_ended(instance);
}

/* ---- a shadow run ---- */

static void part_shadow_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = part_of(call);
    if (part->host != NULL && worker_host_offers(part->host, self->version) &&
        worker_host_shadow(part->host, self->shadow) != SLUICE_OK) {
        sl_log(call->target->logger, SL_LOG_WARN, part->name, "no shadow run on this shard",
               sl_log_u64("shard", call->target->index), sl_log_err(SLUICE_E_NO_MEMORY));
    }
    shard_call_reply(call);
}

void instance_agree_shadow(struct plugin_instance *instance, struct shadow_run *run)
{
    SL_ASSERT(instance->agree.phase == AGREE_READY);
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        struct part_call *self =
            call_new(instance, part_shadow_run, instance->agree.coming.version);
        self->shadow = shadow_run_ref(run);
        instance_part_call(instance, &self->call, i);
    }
}

/* ---- the switch ---- */

static void part_switch_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = part_of(call);
    SL_ASSERT(part->host != NULL); /* it was asked */
    bool offered = worker_host_offers(part->host, self->version);
    part->switching = self;
    if (!offered && !instance_part_lost_version(part, self->version, "its worker ended")) {
        return;
    }
    if (part->switching == NULL) { /* refused */
        return;
    }
    if (offered) {
        worker_host_accept(part->host);
    }
    part->held = self->held;
    instance_part_attach(part, self->attachment, self->version_text);
}

void instance_agree_switch(struct plugin_instance *instance)
{
    struct instance_agree *agree = &instance->agree;
    SL_ASSERT(agree->phase == AGREE_READY);
    uint32_t count = instance->manager->config.set->count;
    uint32_t round = ++agree->round;
    sl_log(instance->manager->config.logger, SL_LOG_DEBUG, instance->name,
           "ready on all shards; each switches between two batches",
           sl_log_text("version", agree->coming.version->hash_text));
    agree->phase = AGREE_SWITCHING;
    agree->waits = count + 1; /* until all are told */
    for (uint32_t i = 0; i < count; i++) {
        struct part_call *self = call_new(instance, part_switch_run, agree->coming.version);
        self->call.reply = part_answered;
        self->attachment = shared_attachment_ref(agree->coming.attachment);
        self->held = instance->paused;
        self->forward = instance->active == NULL;
        snprintf(self->version_text, sizeof(self->version_text), "%s", agree->coming.version_text);
        instance_part_call(instance, &self->call, i);
    }
    answered(instance, round, SLUICE_OK, "", 0);
}

static void part_back_run(struct shard_call *call)
{
    struct part_call *self = SL_CONTAINER_OF(call, struct part_call, call);
    struct instance_part *part = part_of(call);
    if (part->host != NULL && !part->leaving) {
        worker_host_refuse(part->host);
        if (worker_host_version(part->host) != self->version) {
            worker_host_become(part->host, self->version);
        }
        instance_part_attach(part, self->attachment, self->version_text);
    }
    shard_call_reply(call);
}

static void go_back(struct plugin_instance *instance)
{
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        struct part_call *self = call_new(instance, part_back_run, instance->active);
        self->attachment = shared_attachment_ref(instance->attachment);
        snprintf(self->version_text, sizeof(self->version_text), "%s", instance->version_text);
        instance_part_call(instance, &self->call, i);
    }
}
