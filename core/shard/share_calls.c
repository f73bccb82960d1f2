/* share_calls.c: who is in a group that shares streams: heartbeats and descriptions, on the shard
 * that coordinates the group (shares.h). An answer is one block: structs, then what they point at.
 */
#include "base/bytes.h"
#include "catalog/feature.h"
#include "shard/features.h"
#include "shard/shares.h"

#include <string.h>

struct member_call {
    struct shard_call call;
    struct shard *home;
    const struct sluice_share_heartbeat *request;
    struct group_caller client;
    struct sluice_text group;
    struct sluice_share_joined joined;
    struct sluice_share_group info;
    uint8_t *block; /* owned; of the answer */
    size_t block_size;
    struct wal_unit unit;
    struct wal_item item;
    uint8_t payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX];
    union {
        sluice_share_joined_done *joined;
        sluice_share_group_done *group;
    } on;
    void *arg;
};

static struct member_call *call_new(struct shard *home, struct sluice_text group, void *arg)
{
    struct member_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        shard_request_begin(home);
        self->home = home;
        self->group = group;
        self->arg = arg;
    }
    return self;
}

static void call_free(struct member_call *self)
{
    struct shard *home = self->home;
    sl_free(self->block);
    sl_free(self);
    shard_request_end(home);
}

static void start(struct member_call *self, void (*run)(struct shard_call *call),
                  void (*reply)(struct shard_call *call))
{
    self->call.run = run;
    self->call.reply = reply;
    shard_call_start(&self->call, shard_of_group(self->home->set, self->group), self->home->loop,
                     SL_PRIORITY_CONTROL);
}

/* ---- a block that is measured first, then filled ---- */

struct filler_block {
    uint8_t *block; /* NULL: only measured */
    size_t at;
};

static void *block_take(struct filler_block *block, size_t count, size_t size)
{
    size_t at = (block->at + 7) & ~(size_t)7;
    block->at = at + count * size;
    return block->block == NULL ? NULL : block->block + at;
}

static struct sluice_text block_text(struct filler_block *block, struct sl_bytes text)
{
    char *copy = block_take(block, text.size + 1, 1);
    if (copy != NULL) {
        sl_bytes_copy(copy, text);
    }
    return (struct sluice_text){text.data == NULL ? NULL : copy, text.size};
}

/* Places come by topic: each topic's run of them is one assignment. */
static uint32_t block_places(struct filler_block *block, const struct shard *shard,
                             const struct share_member *member,
                             const struct sluice_share_assignment **ret_assignments)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        count +=
            i == 0 || memcmp(member->places[i].topic.b, member->places[i - 1].topic.b, 16) != 0;
    }
    struct sluice_share_assignment *all = block_take(block, count + 1u, sizeof(*all));
    int32_t *partitions = block_take(block, member->place_count + 1u, sizeof(*partitions));
    for (uint32_t i = 0, at = 0; i < member->place_count; i++) {
        bool begins =
            i == 0 || memcmp(member->places[i].topic.b, member->places[i - 1].topic.b, 16) != 0;
        if (begins) {
            const struct topic *topic = catalog_by_id(shard->catalog, &member->places[i].topic);
            struct sl_bytes none = {(const uint8_t *)"", 0};
            struct sluice_text name = block_text(block, topic != NULL ? topic->name : none);
            if (all != NULL) {
                all[at] =
                    (struct sluice_share_assignment){.name = name, .partitions = partitions + i};
                memcpy(all[at].topic.bytes, member->places[i].topic.b, 16);
            }
            at++;
        }
        if (all != NULL) {
            partitions[i] = member->places[i].partition;
            all[at - 1].count++;
        }
    }
    *ret_assignments = all;
    return count;
}

/* ---- heartbeats ---- */

bool shares_are_in_force(const struct shard_set *set)
{
    const struct feature *feature = feature_find(sl_bytes_of_text(FEATURE_SHARE));
    return feature_word_level(features_word(set), (uint32_t)(feature - feature_table)) > 0;
}

static void joined_landed(struct shard_call *call)
{
    struct member_call *self = SL_CONTAINER_OF(call, struct member_call, call);
    self->on.joined(self->arg, &self->joined);
    call_free(self);
}

static void group_durable(struct wal_unit *unit, sl_err err)
{
    struct member_call *self = SL_CONTAINER_OF(unit, struct member_call, unit);
    struct shard *shard = self->call.target;
    if (err == SLUICE_OK) {
        err = share_members_apply(&shard->share_members, SHARE_ITEM_VERSION, self->item.payload);
    }
    self->joined.status = err != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE : SLUICE_OK;
    shard_call_reply(&self->call);
}

bool shares_topic_known(void *arg, struct sl_bytes name, struct sl_uuid *ret_id,
                        uint32_t *ret_partition_count)
{
    const struct shard *shard = arg;
    const struct topic *topic = catalog_by_name(shard->catalog, name);
    if (topic == NULL) {
        return false;
    }
    *ret_id = topic->id;
    *ret_partition_count = topic->partition_count;
    return true;
}

/* A group of another kind has this name. */
static bool is_taken(const struct shard *shard, struct sluice_text group)
{
    return share_members_group(&shard->share_members, sl_of_text(group)) == NULL &&
           (consumer_group_exists(shard->consumers.groups, group) ||
            streams_group_exists(shard->consumers.streams, group) ||
            group_coordinator_view(shard->groups, group).state != GROUP_DEAD ||
            offset_store_group_count(shard->offsets, sl_of_text(group)) > 0);
}

static void fill_joined(struct member_call *self, const struct share_member *member, bool tells)
{
    const struct shard *shard = self->call.target;
    struct filler_block block = {NULL, 0};
    self->joined.epoch = member == NULL ? -1 : member->epoch;
    if (member == NULL || member->reads_all || !tells) {
        return;
    }
    (void)block_places(&block, shard, member, &self->joined.assignments);
    self->block = sl_alloc_zero(1, block.at + 1);
    if (self->block == NULL) {
        self->joined.status = SLUICE_E_NO_MEMORY;
        return;
    }
    block = (struct filler_block){self->block, 0};
    self->joined.assignment_count = block_places(&block, shard, member, &self->joined.assignments);
}

static void heartbeat_run(struct shard_call *call)
{
    struct member_call *self = SL_CONTAINER_OF(call, struct member_call, call);
    struct shard *shard = call->target;
    struct share_told told = {NULL, false};
    if (shard->status != SLUICE_OK || !shares_are_in_force(shard->set)) {
        self->joined.status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                                         : SLUICE_E_UNSUPPORTED_VERSION;
        shard_call_reply(call);
        return;
    }
    const struct share_settings settings =
        share_store_settings(&shard->shares, sl_of_text(self->group));
    self->joined.heartbeat_ms = (int32_t)share_setting(&settings, SHARE_CONFIG_heartbeat_ms);
    self->joined.status =
        is_taken(shard, self->group)
            ? SLUICE_E_GROUP_NOT_FOUND
            : share_members_heartbeat(&shard->share_members, self->request, &self->client,
                                      &settings, shard_now_ms(shard), &told);
    shard_schedule(shard);
    const struct share_member_group *group =
        share_members_group(&shard->share_members, sl_of_text(self->group));
    bool begins = (self->request->flags & SLUICE_SHARE_BEGAN) != 0;
    if (self->joined.status == SLUICE_OK) {
        fill_joined(self, told.member, told.is_due);
        self->joined.has_begun = group != NULL && group->has_begun;
    }
    if (self->joined.status != SLUICE_OK || group == NULL ||
        (group->is_durable && (group->has_begun || !begins))) {
        shard_call_reply(call);
        return;
    }
    size_t size = share_group_item_encode(group->name, group->epoch, begins, self->payload);
    self->item = (struct wal_item){.kind = WAL_ITEM_SHARE_GROUP,
                                   .version = SHARE_ITEM_VERSION,
                                   .payload = {self->payload, size}};
    self->unit = (struct wal_unit){
        .items = &self->item, .item_count = 1, .reserve = true, .durable = group_durable};
    sl_err err = commit_log_submit(shard->log, &self->unit);
    if (err != SLUICE_OK) {
        group_durable(&self->unit, err);
    }
}

void share_heartbeat_start(struct shard *home, const struct sluice_context *context,
                           const struct sluice_share_heartbeat *request,
                           sluice_share_joined_done *done, void *arg)
{
    struct member_call *self = call_new(home, request->group, arg);
    if (self == NULL) {
        done(arg, &(struct sluice_share_joined){.status = SLUICE_E_NO_MEMORY});
        return;
    }
    self->request = request;
    self->client =
        (struct group_caller){context->client_id, context->client_host, context->principal};
    self->on.joined = done;
    start(self, heartbeat_run, joined_landed);
}

/* ---- descriptions ---- */

static void described(struct shard_call *call)
{
    struct member_call *self = SL_CONTAINER_OF(call, struct member_call, call);
    self->on.group(self->arg, &self->info);
    call_free(self);
}

static void fill_group(struct member_call *self, struct filler_block *block,
                       const struct share_member_group *group)
{
    const struct shard *shard = self->call.target;
    struct sluice_share_member *all = block_take(block, group->member_count + 1u, sizeof(*all));
    uint32_t at = 0;
    for (struct sl_link *link = group->members.head.next; link != &group->members.head;
         link = link->next, at++) {
        const struct share_member *member = SL_CONTAINER_OF(link, struct share_member, link);
        struct sluice_share_member told = {.id = block_text(block, member->id),
                                           .rack = block_text(block, member->rack),
                                           .client_id = block_text(block, member->client_id),
                                           .client_host = block_text(block, member->client_host),
                                           .epoch = member->epoch,
                                           .topic_count = member->topic_count};
        struct sluice_text *topics = block_take(block, member->topic_count + 1u, sizeof(*topics));
        for (uint32_t i = 0; i < member->topic_count; i++) {
            struct sluice_text topic = block_text(block, member->topics[i]);
            if (topics != NULL) {
                topics[i] = topic;
            }
        }
        told.topics = topics;
        told.assignment_count = block_places(block, shard, member, &told.assignments);
        if (all != NULL) {
            all[at] = told;
        }
    }
    self->info.members = all;
    self->info.member_count = at;
}

static void describe_run(struct shard_call *call)
{
    struct member_call *self = SL_CONTAINER_OF(call, struct member_call, call);
    struct shard *shard = call->target;
    const struct share_member_group *group =
        share_members_group(&shard->share_members, sl_of_text(self->group));
    struct filler_block block = {NULL, 0};
    self->info = (struct sluice_share_group){.size = sizeof(self->info), .group = self->group};
    if (shard->status != SLUICE_OK || group == NULL) {
        self->info.status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                                       : SLUICE_E_GROUP_NOT_FOUND;
        self->info.state = sluice_text_of("Dead");
        shard_call_reply(call);
        return;
    }
    self->info.state = sluice_text_of(group->member_count > 0 ? "Stable" : "Empty");
    self->info.epoch = group->epoch;
    fill_group(self, &block, group);
    self->block = sl_alloc_zero(1, block.at + 1);
    block = (struct filler_block){self->block, 0};
    if (self->block != NULL) {
        fill_group(self, &block, group);
    } else {
        self->info.status = SLUICE_E_NO_MEMORY;
        self->info.member_count = 0;
    }
    shard_call_reply(call);
}

void share_describe_start(struct shard *home, struct sluice_text group,
                          sluice_share_group_done *done, void *arg)
{
    struct member_call *self = call_new(home, group, arg);
    if (self == NULL) {
        done(arg, &(struct sluice_share_group){.status = SLUICE_E_NO_MEMORY, .group = group});
        return;
    }
    self->on.group = done;
    start(self, describe_run, described);
}
