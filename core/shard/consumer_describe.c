/* consumer_describe.c: a group of KIP-848 as an administrator sees it (consumer_desk.h).
 *
 * The answer is one block: members, then their topics, then their partitions, then all texts. It is
 * counted first, then filled, and goes to the loop that asked as it is. */
#include "shard/shard.h"

#include <stdio.h>

struct describe {
    struct shard_call call;
    struct shard *home;
    struct sluice_text group;
    struct sluice_consumer_group_info info;
    struct sluice_consumer_member_info *members; /* the block; owned */
    struct sluice_text *topics;
    struct sluice_described_partition *partitions;
    char *bytes;
    uint32_t member_count, topic_count, partition_count;
    size_t byte_count;
    char message[CONSUMER_GROUP_MESSAGE_BYTES];
    sluice_consumer_group_info_done *done;
    void *arg;
};

/* ---- counting ---- */

static void count_set(struct describe *self, const struct partition_set *set)
{
    const struct shard *shard = self->call.target;
    self->partition_count += set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct topic *topic = catalog_by_id(shard->catalog, &set->entries[i].topic);
        self->byte_count += topic == NULL ? 0 : topic->name.size;
    }
}

static void count_member(void *arg, const struct sluice_consumer_member_info *info,
                         const struct partition_set *assigned, const struct partition_set *target)
{
    struct describe *self = arg;
    self->member_count++;
    self->topic_count += info->topic_count;
    self->byte_count += (size_t)(info->id.size + info->instance.size + info->rack.size +
                                 info->client_id.size + info->client_host.size + info->regex.size);
    for (uint32_t i = 0; i < info->topic_count; i++) {
        self->byte_count += (size_t)info->topics[i].size;
    }
    count_set(self, assigned);
    count_set(self, target);
}

/* ---- filling ---- */

static struct sluice_text keep(struct describe *self, struct sluice_text text)
{
    if (text.data == NULL) {
        return text;
    }
    char *at = self->bytes;
    sl_bytes_copy(at, sl_of_text(text));
    self->bytes += text.size;
    return (struct sluice_text){at, text.size};
}

static const struct sluice_described_partition *keep_set(struct describe *self,
                                                         const struct partition_set *set)
{
    const struct shard *shard = self->call.target;
    struct sluice_described_partition *first = self->partitions;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct partition_entry *entry = &set->entries[i];
        const struct topic *topic = catalog_by_id(shard->catalog, &entry->topic);
        struct sluice_described_partition *partition = self->partitions++;
        *partition = (struct sluice_described_partition){.partition = (int32_t)entry->partition};
        memcpy(partition->topic.bytes, entry->topic.b, sizeof(entry->topic.b));
        partition->name = keep(self, topic == NULL ? sluice_text_of("") : text_of_sl(topic->name));
    }
    return first;
}

static void fill_member(void *arg, const struct sluice_consumer_member_info *info,
                        const struct partition_set *assigned, const struct partition_set *target)
{
    struct describe *self = arg;
    struct sluice_consumer_member_info *member = &self->members[self->info.member_count++];
    *member = *info;
    struct sluice_text *texts[] = {&member->id,        &member->instance,    &member->rack,
                                   &member->client_id, &member->client_host, &member->regex};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++) {
        *texts[i] = keep(self, *texts[i]);
    }
    member->topics = self->topics;
    for (uint32_t i = 0; i < info->topic_count; i++) {
        *self->topics++ = keep(self, info->topics[i]);
    }
    member->assigned = keep_set(self, assigned);
    member->target = keep_set(self, target);
}

static sl_err fill(struct describe *self)
{
    const struct shard *shard = self->call.target;
    consumer_group_members(shard->consumers.groups, self->group, count_member, self);
    self->members = sl_alloc_zero(
        1, self->member_count * sizeof(*self->members) + self->topic_count * sizeof(*self->topics) +
               self->partition_count * sizeof(*self->partitions) + self->byte_count + 1);
    if (self->members == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->partitions = (void *)(self->members + self->member_count);
    self->topics = (void *)(self->partitions + self->partition_count);
    self->bytes = (char *)(self->topics + self->topic_count);
    consumer_group_members(shard->consumers.groups, self->group, fill_member, self);
    return SLUICE_OK;
}

/* ---- the call ---- */

static sl_err missing(struct describe *self)
{
    const struct shard *shard = self->call.target;
    bool is_other = group_coordinator_view(shard->groups, self->group).state != GROUP_DEAD ||
                    offset_store_group_count(shard->offsets, sl_of_text(self->group)) > 0;
    snprintf(self->message, sizeof(self->message), "Group %.*s %s.",
             (int)SL_MIN(self->group.size, (uint64_t)200), self->group.data,
             is_other ? "is not a consumer group" : "not found");
    self->info.message = sluice_text_of(self->message);
    return SLUICE_E_GROUP_NOT_FOUND;
}

static void describe_run(struct shard_call *call)
{
    struct describe *self = SL_CONTAINER_OF(call, struct describe, call);
    const struct shard *shard = call->target;
    struct consumer_group_view view;
    sl_err err = shard->status == SLUICE_OK ? SLUICE_OK : SLUICE_E_COORDINATOR_NOT_AVAILABLE;
    if (err == SLUICE_OK && !consumer_group_view_get(shard->consumers.groups, self->group, &view)) {
        err = missing(self);
    } else if (err == SLUICE_OK) {
        self->info.state = sluice_text_of(view.state);
        self->info.assignor = sluice_text_of(view.assignor);
        self->info.epoch = view.epoch;
        self->info.assignment_epoch = view.assignment_epoch;
        err = fill(self);
    }
    self->info.status = err;
    shard_call_reply(call);
}

static void described(struct shard_call *call)
{
    struct describe *self = SL_CONTAINER_OF(call, struct describe, call);
    struct shard *home = self->home;
    self->info.members = self->members;
    self->done(self->arg, &self->info);
    sl_free(self->members);
    sl_free(self);
    shard_request_end(home);
}

void consumer_describe_start(struct shard *home, struct sluice_text group,
                             sluice_consumer_group_info_done *done, void *arg)
{
    struct describe *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg,
             &(struct sluice_consumer_group_info){.size = sizeof(struct sluice_consumer_group_info),
                                                  .status = SLUICE_E_NO_MEMORY,
                                                  .group = group});
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->group = group;
    self->info = (struct sluice_consumer_group_info){.size = sizeof(self->info), .group = group};
    self->done = done;
    self->arg = arg;
    self->call.run = describe_run;
    self->call.reply = described;
    shard_call_start(&self->call, shard_of_group(home->set, group), home->loop,
                     SL_PRIORITY_CONTROL);
}
