/* plugin_config.c: a configuration that the workers of an instance take while they run: all of
 * them, on all shards, or none.
 *
 *   asked: batches wait, the plugin is told when none is in flight ─► all take it (and all other
 *   plugins of the reload): kept, batches begin again
 *                        └► one refuses: those that took it get the old one back, then batches
 * begin
 *
 * On shard 0's loop, but for the part_..., which are on the part's. */
#include "base/status.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

struct config_call {
    struct shard_call call;
    struct plugin_instance *instance;
    struct plugin_version *version; /* referenced; NULL: of what was asked */
    bool keep;
    bool took; /* a worker that ran did */
    sl_err err;
    char text[PLUGIN_REASON_BYTES];
};

static struct instance_part *part_of(struct shard_call *call)
{
    struct config_call *self = SL_CONTAINER_OF(call, struct config_call, call);
    return &self->instance->parts[call->target->index];
}

static void replied(struct shard_call *call)
{
    struct config_call *self = SL_CONTAINER_OF(call, struct config_call, call);
    struct plugin_instance *instance = self->instance;
    struct instance_config *config = &instance->config;
    config->took = config->took || self->took;
    if (self->err != SLUICE_OK && config->err == SLUICE_OK) {
        bool first = call->target->index == 0;
        config->err = self->err;
        snprintf(config->text, sizeof(config->text), "%.900s", self->text);
        if (!first) {
            size_t size = strlen(config->text);
            snprintf(config->text + size, sizeof(config->text) - size, " (on shard %u)",
                     call->target->index);
        }
    }
    plugin_version_unref(self->version);
    sl_free(self);
    if (--config->waits == 0) {
        reload_config_answered(instance, config->err, config->text, config->took);
    }
    instance_part_answered(instance);
}

/* [the part's loop] */
void instance_part_reconfigured(struct instance_part *part, sl_err err, const char *text, bool took)
{
    struct config_call *self = part->telling;
    part->telling = NULL;
    if (self != NULL) {
        self->err = err;
        self->took = took;
        snprintf(self->text, sizeof(self->text), "%.900s", text);
        shard_call_reply(&self->call);
    }
}

static void part_ask_run(struct shard_call *call)
{
    struct config_call *self = SL_CONTAINER_OF(call, struct config_call, call);
    struct instance_part *part = part_of(call);
    SL_ASSERT(part->host != NULL && part->telling == NULL);
    part->telling = self;
    worker_host_reconfigure(part->host, self->version);
}

static void part_settle_run(struct shard_call *call)
{
    struct config_call *self = SL_CONTAINER_OF(call, struct config_call, call);
    struct instance_part *part = part_of(call);
    if (self->keep || part->leaving) {
        if (!part->leaving) {
            worker_host_keep(part->host);
        }
        shard_call_reply(call);
    } else {
        part->telling = self;
        worker_host_give_back(part->host);
    }
}

static void call_all(struct plugin_instance *instance, void (*run)(struct shard_call *call),
                     struct plugin_version *version, bool keep)
{
    uint32_t count = instance->manager->config.set->count;
    struct instance_config *config = &instance->config;
    *config = (struct instance_config){.waits = count};
    for (uint32_t i = 0; i < count; i++) {
        struct config_call *self = sl_alloc_zero(1, sizeof(*self));
        SL_ASSERT(self != NULL);
        self->instance = instance;
        self->version = version != NULL ? plugin_version_ref(version) : NULL;
        self->keep = keep;
        self->call.run = run;
        self->call.reply = replied;
        instance_part_call(instance, &self->call, i);
    }
}

void instance_config_ask(struct plugin_instance *instance, struct plugin_version *version)
{
    call_all(instance, part_ask_run, version, false);
}

void instance_config_settle(struct plugin_instance *instance, bool keep)
{
    call_all(instance, part_settle_run, NULL, keep);
}
