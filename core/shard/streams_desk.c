/* streams_desk.c: see streams_desk.h. An answer is made in one arena on the group's loop, waits for
 * what it tells to be durable, and goes to the loop that asked as it is. */
#include "shard/streams_desk.h"

#include "catalog/feature.h"
#include "deliver/epoch_groups.h"
#include "shard/features.h"
#include "shard/shard.h"

#include <stdio.h>

/* What is set for this group (Kafka's streams.* of a group). */
static void take_own(const struct shard *shard, struct sl_bytes group,
                     struct streams_group_config *config)
{
    const struct share_owner_group *found = share_store_group(&shard->shares, group);
    const struct {
        int32_t *field;
        enum share_config_key key;
    } rows[] = {{&config->session_timeout_ms, SHARE_CONFIG_streams_session_ms},
                {&config->heartbeat_interval_ms, SHARE_CONFIG_streams_heartbeat_ms},
                {&config->initial_delay_ms, SHARE_CONFIG_streams_initial_delay_ms},
                {&config->assignment_interval_ms, SHARE_CONFIG_streams_assignment_ms},
                {&config->standby_count, SHARE_CONFIG_streams_standby_count}};
    for (uint32_t i = 0; found != NULL && i < SL_COUNT_OF(rows); i++) {
        if (found->settings.set[rows[i].key]) {
            *rows[i].field = (int32_t)found->settings.values[rows[i].key];
        }
    }
}

void streams_desk_config(void *arg, struct sl_bytes group, struct streams_group_config *ret_config)
{
    const struct shard *shard = arg;
    const struct broker_settings *settings = shard->config.settings;
    *ret_config = (struct streams_group_config){
        .session_timeout_ms = broker_setting_i32(&settings->streams_session_ms),
        .heartbeat_interval_ms = broker_setting_i32(&settings->streams_heartbeat_ms),
        .initial_delay_ms = broker_setting_i32(&settings->streams_initial_delay_ms),
        .assignment_interval_ms = broker_setting_i32(&settings->streams_interval_ms),
        .standby_count = broker_setting_i32(&settings->streams_standby_count),
        .members_max = (uint32_t)broker_setting_i32(&settings->group_members_max),
    };
    take_own(shard, group, ret_config);
    ret_config->heartbeat_interval_ms =
        epoch_heartbeat_ms(ret_config->heartbeat_interval_ms, ret_config->session_timeout_ms);
}

/* A group of that name that is of another kind. An empty classic one becomes a group of an
 * application. */
static bool is_other(const struct shard *shard, struct sluice_text group)
{
    struct group_view view = group_coordinator_view(shard->groups, group);
    return consumer_group_exists(shard->consumers.groups, group) ||
           share_members_group(&shard->share_members, sl_of_text(group)) != NULL ||
           view.member_count != 0 || view.pending_count != 0;
}

/* ---- heartbeats ---- */

struct streams_call {
    struct shard_call call;
    struct consumer_wait wait;
    struct shard *home;
    struct group_caller client;
    const struct sluice_streams_heartbeat *request;
    struct streams_answer result;
    char message[320];
    sluice_streams_heartbeat_done *done;
    void *arg;
};

static void heartbeat_landed(struct shard_call *call)
{
    struct streams_call *self = SL_CONTAINER_OF(call, struct streams_call, call);
    struct shard *home = self->home;
    self->done(self->arg, &self->result.answer);
    streams_answer_fini(&self->result);
    sl_free(self);
    shard_request_end(home);
}

static void fail(struct streams_call *self, sl_err err)
{
    self->result.answer = (struct sluice_streams_heartbeat_answer){
        .size = sizeof(self->result.answer), .status = err};
}

static void heartbeat_settled(struct consumer_wait *wait, sl_err err)
{
    struct streams_call *self = SL_CONTAINER_OF(wait, struct streams_call, wait);
    if (err != SLUICE_OK) {
        fail(self, err);
    }
    shard_call_reply(&self->call);
}

/* The feature may have been taken back (UpdateFeatures). */
static bool is_in_force(const struct shard *shard)
{
    const struct feature *feature = feature_find(sl_bytes_of_text(FEATURE_STREAMS));
    return feature_word_level(features_word(shard->set), (uint32_t)(feature - feature_table)) > 0;
}

static bool refuse(struct streams_call *self, const struct shard *shard)
{
    struct sluice_text group = self->request->group;
    sl_err err = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                 : !is_in_force(shard)      ? SLUICE_E_UNSUPPORTED_VERSION
                 : is_other(shard, group)   ? SLUICE_E_GROUP_NOT_FOUND
                                            : SLUICE_OK;
    if (err == SLUICE_OK) {
        return false;
    }
    fail(self, err);
    if (err == SLUICE_E_GROUP_NOT_FOUND) {
        snprintf(self->message, sizeof(self->message), "Group %.*s is not a streams group.",
                 (int)SL_MIN(group.size, (uint64_t)200), group.data);
        self->result.answer.message = sluice_text_of(self->message);
    }
    return true;
}

static void heartbeat_run(struct shard_call *call)
{
    struct streams_call *self = SL_CONTAINER_OF(call, struct streams_call, call);
    struct shard *shard = call->target;
    if (refuse(self, shard)) {
        shard_call_reply(call);
        return;
    }
    streams_group_heartbeat(shard->consumers.streams, self->request, &self->client,
                            shard_now_ms(shard), &self->result);
    if (self->result.answer.status == SLUICE_OK) {
        (void)group_coordinator_delete(shard->groups, self->request->group); /* an empty one */
    }
    self->wait.settled = heartbeat_settled;
    consumer_desk_settle(shard, &self->wait);
}

void streams_heartbeat_start(struct shard *home, const struct sluice_context *context,
                             const struct sluice_streams_heartbeat *request,
                             sluice_streams_heartbeat_done *done, void *arg)
{
    struct streams_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg, &(struct sluice_streams_heartbeat_answer){
                      .size = sizeof(struct sluice_streams_heartbeat_answer),
                      .status = SLUICE_E_NO_MEMORY});
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->client =
        (struct group_caller){context->client_id, context->client_host, context->principal};
    self->request = request;
    self->done = done;
    self->arg = arg;
    self->call.run = heartbeat_run;
    self->call.reply = heartbeat_landed;
    shard_call_start(&self->call, shard_of_group(home->set, request->group), home->loop,
                     SL_PRIORITY_CONTROL);
}

/* ---- descriptions ---- */

struct streams_describe {
    struct shard_call call;
    struct shard *home;
    struct answer_arena arena;
    struct sluice_streams_group_info info;
    char message[320];
    sluice_streams_group_info_done *done;
    void *arg;
};

static void say_missing(struct streams_describe *self)
{
    const struct shard *shard = self->call.target;
    struct sluice_text group = self->info.group;
    bool is_known = is_other(shard, group) ||
                    group_coordinator_view(shard->groups, group).state != GROUP_DEAD ||
                    offset_store_group_count(shard->offsets, sl_of_text(group)) > 0;
    snprintf(self->message, sizeof(self->message), "Group %.*s %s.",
             (int)SL_MIN(group.size, (uint64_t)200), group.data,
             is_known ? "is not a streams group" : "not found");
    self->info.message = sluice_text_of(self->message);
}

static void describe_run(struct shard_call *call)
{
    struct streams_describe *self = SL_CONTAINER_OF(call, struct streams_describe, call);
    const struct shard *shard = call->target;
    self->info.status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                        : self->info.group.size == 0
                            ? SLUICE_E_INVALID_GROUP_ID
                            : streams_group_describe(shard->consumers.streams, self->info.group,
                                                     &self->arena, &self->info);
    if (self->info.status == SLUICE_E_GROUP_NOT_FOUND) {
        say_missing(self);
    }
    shard_call_reply(call);
}

static void described(struct shard_call *call)
{
    struct streams_describe *self = SL_CONTAINER_OF(call, struct streams_describe, call);
    struct shard *home = self->home;
    if (self->info.status != SLUICE_OK) {
        self->info.member_count = 0;
        self->info.topology = NULL;
    }
    self->done(self->arg, &self->info);
    answer_arena_fini(&self->arena);
    sl_free(self);
    shard_request_end(home);
}

void streams_describe_start(struct shard *home, struct sluice_text group,
                            sluice_streams_group_info_done *done, void *arg)
{
    struct streams_describe *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg,
             &(struct sluice_streams_group_info){.size = sizeof(struct sluice_streams_group_info),
                                                 .status = SLUICE_E_NO_MEMORY,
                                                 .group = group});
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->info = (struct sluice_streams_group_info){.size = sizeof(self->info), .group = group};
    self->done = done;
    self->arg = arg;
    self->call.run = describe_run;
    self->call.reply = described;
    shard_call_start(&self->call, shard_of_group(home->set, group), home->loop,
                     SL_PRIORITY_CONTROL);
}
