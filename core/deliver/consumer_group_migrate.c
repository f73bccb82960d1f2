/* consumer_group_migrate.c: groups that change their protocol while they work (KIP-848, "online
 * migration"; ClassicGroup.fromConsumerGroup, ConsumerGroup.fromClassicGroup).
 *
 *   classic group ──first member of the consumer protocol joins──► consumer group, in which the
 *   classic members stay (consumer_group_classic.c)
 *   consumer group ──its last member of the consumer protocol goes──► classic group, which
 *   rebalances
 *
 * On the way up members keep what they were assigned, epoch and target are the generation's. */
#include "base/buffer.h"
#include "deliver/consumer_group.h"
#include "deliver/consumer_protocol.h"
#include "deliver/group_reply.h"

#include <stdio.h>

/* ---- up ---- */

static sl_err names_to_ids(const struct consumer_groups *groups,
                           const struct consumer_metadata *metadata, int32_t epoch,
                           struct partition_set *set)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < metadata->partition_count && err == SLUICE_OK; i++) {
        struct group_topic topic;
        struct sl_bytes name = sl_of_text(metadata->partitions[i].topic);
        if (groups->base.topics.by_name(groups->base.topics.arg, name, &topic))
            err = partition_set_add(set, &topic.id, metadata->partitions[i].partition, epoch);
    }
    partition_set_sort(set);
    return err;
}

sl_err consumer_owned_of(const struct consumer_groups *groups,
                         const struct consumer_metadata *metadata, struct partition_set *set)
{
    return names_to_ids(groups, metadata, 0, set);
}

static struct sl_bytes metadata_of(const struct group *group, const struct group_member *member)
{
    return group->protocol.data != NULL ? group_member_metadata(member, group->protocol)
                                        : member->protocols[0].metadata;
}

/* Whether all that its members say can be read, and nothing of a foreign assignor would be lost. */
static sl_err check_members(const struct group *group)
{
    sl_err err = SLUICE_OK;
    for (const struct group_member *m = group->first; m != NULL && err == SLUICE_OK; m = m->next) {
        struct consumer_metadata subscription = {0}, assignment = {0};
        err = m->protocol_count == 0
                  ? SLUICE_E_CORRUPT
                  : consumer_subscription_read(metadata_of(group, m), &subscription);
        err = err != SLUICE_OK ? err : consumer_assignment_read(m->assignment, &assignment);
        if (err == SLUICE_OK && assignment.has_user_data)
            err = SLUICE_E_UNSUPPORTED;
        consumer_metadata_fini(&subscription);
        consumer_metadata_fini(&assignment);
    }
    return err;
}

static sl_err protocols_copy(struct consumer_member *member, const struct group_member *from)
{
    struct sluice_group_protocol protocols[GROUP_PROTOCOLS_MAX];
    for (uint32_t i = 0; i < from->protocol_count; i++) {
        const struct group_protocol *protocol = &from->protocols[i];
        protocols[i] =
            (struct sluice_group_protocol){{(const char *)protocol->name.data, protocol->name.size},
                                           {protocol->metadata.data, protocol->metadata.size}};
    }
    return consumer_protocols_set(member, protocols, from->protocol_count);
}

static sl_err texts_copy(struct consumer_member *member, const struct group_member *from,
                         struct sluice_text rack)
{
    bool changed = false;
    sl_err err = SLUICE_OK;
    if (from->instance.data != NULL)
        err = epoch_text_set(&member->instance, from->instance, &changed);
    if (err == SLUICE_OK && rack.size != 0)
        err = epoch_text_set(&member->base.rack, sl_of_text(rack), &changed);
    if (err == SLUICE_OK)
        err = epoch_text_set(&member->base.client_id, from->client_id, &changed);
    return err != SLUICE_OK
               ? err
               : epoch_text_set(&member->base.client_host, from->client_host, &changed);
}

static sl_err member_take(struct consumer_groups *groups, struct consumer_group *group,
                          const struct group_member *from)
{
    struct consumer_metadata subscription = {0}, assignment = {0};
    struct consumer_member *member = NULL;
    bool changed = false;
    sl_err err = consumer_member_add(groups, group, from->id, &member);
    err = err != SLUICE_OK
              ? err
              : consumer_subscription_read(metadata_of(from->group, from), &subscription);
    err = err != SLUICE_OK ? err : consumer_assignment_read(from->assignment, &assignment);
    err = err != SLUICE_OK ? err : texts_copy(member, from, subscription.rack);
    err = err != SLUICE_OK ? err
                           : name_list_set(&member->topics, subscription.topics,
                                           subscription.topic_count, &changed);
    err = err != SLUICE_OK ? err : protocols_copy(member, from);
    err = err != SLUICE_OK
              ? err
              : names_to_ids(groups, &assignment, group->base.epoch, &member->assigned);
    err = err != SLUICE_OK ? err : partition_set_copy(&member->target, &member->assigned);
    if (err == SLUICE_OK) {
        member->base.epoch = member->base.previous_epoch = group->base.epoch;
        member->is_classic = true;
        member->session_timeout_ms = from->session_timeout_ms;
        member->base.rebalance_timeout_ms = from->rebalance_timeout_ms;
        member->base.session_deadline_ms = groups->base.now_ms + from->session_timeout_ms;
        epoch_member_schedule(&groups->base, &member->base);
    }
    consumer_metadata_fini(&subscription);
    consumer_metadata_fini(&assignment);
    return err;
}

/* Who waits for the old group is to join again. */
static void dissolve(struct group_coordinator *coordinator, struct group *group)
{
    for (struct group_member *m = group->first; m != NULL; m = m->next) {
        group_reply_join_fail(coordinator, m->join, SLUICE_E_REBALANCE_IN_PROGRESS, m->id);
        group_reply_sync_fail(coordinator, m->sync, SLUICE_E_REBALANCE_IN_PROGRESS);
        m->join = NULL;
        m->sync = NULL;
    }
    group_remove(coordinator, group);
}

static sl_err may_upgrade(const struct consumer_groups *groups, const struct group *group)
{
    bool is_consumer =
        sl_bytes_equal(group->protocol_type, sl_bytes_of_text(CONSUMER_PROTOCOL_TYPE));
    if (groups->config.no_upgrade || !is_consumer ||
        group->member_count > groups->config.members_max)
        return SLUICE_E_GROUP_NOT_FOUND;
    return check_members(group);
}

sl_err consumer_group_upgrade(struct consumer_groups *groups, struct sl_bytes name,
                              struct consumer_group **ret_group,
                              char ret_message[CONSUMER_GROUP_MESSAGE_BYTES])
{
    struct group *from = group_get(groups->classic, name);
    struct consumer_group *group = NULL;
    sl_err err = from == NULL ? SLUICE_E_GROUP_NOT_FOUND : may_upgrade(groups, from);
    if (err != SLUICE_OK) {
        snprintf(ret_message, CONSUMER_GROUP_MESSAGE_BYTES, "%s %.*s %s.",
                 err == SLUICE_E_GROUP_NOT_FOUND ? "Group" : "Cannot upgrade classic group",
                 (int)SL_MIN(name.size, (size_t)200), (const char *)name.data,
                 err == SLUICE_E_GROUP_NOT_FOUND ? "is not a consumer group"
                 : err == SLUICE_E_UNSUPPORTED
                     ? "to consumer group because an unsupported custom assignor is in use"
                     : "to consumer group because the embedded consumer protocol is malformed");
        return err == SLUICE_E_NO_MEMORY ? err : SLUICE_E_GROUP_NOT_FOUND;
    }
    err = consumer_group_add(groups, name, &group);
    if (err == SLUICE_OK)
        group->base.epoch = group->base.assignment_epoch = from->generation;
    for (const struct group_member *m = from->first; m != NULL && err == SLUICE_OK; m = m->next)
        err = member_take(groups, group, m);
    if (err != SLUICE_OK) {
        sl_err undone = group == NULL ? SLUICE_OK : epoch_group_remove(&groups->base, &group->base);
        return undone != SLUICE_OK ? undone : err;
    }
    dissolve(groups->classic, from);
    *ret_group = group;
    return SLUICE_OK;
}

/* ---- what classic members are told they have ---- */

sl_err consumer_assignment_of(struct consumer_groups *groups, const struct consumer_member *member,
                              const struct partition_set *set, struct sl_buffer *out)
{
    struct consumer_metadata subscription = {0};
    struct named_partition *named = sl_alloc_zero(set->count + 1u, sizeof *named);
    uint32_t count = 0;
    sl_err err = named == NULL || member->protocol_count == 0
                     ? SLUICE_E_NO_MEMORY
                     : consumer_subscription_read(member->protocols[0].metadata, &subscription);
    for (uint32_t i = 0; i < set->count && err == SLUICE_OK; i++) {
        struct group_topic topic;
        if (groups->base.topics.by_id(groups->base.topics.arg, &set->entries[i].topic, &topic))
            named[count++] = (struct named_partition){
                {(const char *)topic.name.data, topic.name.size}, set->entries[i].partition};
    }
    sl_buffer_reset(out);
    err =
        err != SLUICE_OK ? err : consumer_assignment_write(out, subscription.version, named, count);
    consumer_metadata_fini(&subscription);
    sl_free(named);
    return err;
}

void consumer_groups_deliver(struct consumer_groups *groups)
{
    if (groups->classic != NULL)
        group_reply_deliver(groups->classic);
}

/* ---- down ---- */

bool consumer_group_may_downgrade(const struct consumer_groups *groups,
                                  const struct consumer_group *group,
                                  const struct consumer_member *leaving)
{
    if (groups->classic == NULL || groups->config.no_downgrade || leaving->is_classic ||
        group->base.member_count < 2)
        return false;
    for (const struct consumer_member *m = consumer_member_first(group); m != NULL;
         m = consumer_member_next(m)) {
        if (m != leaving && !m->is_classic)
            return false;
    }
    return true;
}

static sl_err member_give(struct consumer_groups *groups, struct group *to,
                          const struct consumer_member *member)
{
    struct group_coordinator *coordinator = groups->classic;
    struct sluice_group_protocol protocols[GROUP_PROTOCOLS_MAX];
    struct group_member *made = NULL;
    sl_err err = group_member_add(coordinator, to, member->base.id, member->instance, &made);
    for (uint32_t i = 0; i < member->protocol_count && i < GROUP_PROTOCOLS_MAX; i++)
        protocols[i] = (struct sluice_group_protocol){
            {(const char *)member->protocols[i].name.data, member->protocols[i].name.size},
            {member->protocols[i].metadata.data, member->protocols[i].metadata.size}};
    if (err == SLUICE_OK)
        err = group_member_protocols_set(coordinator, made, protocols, member->protocol_count);
    if (err == SLUICE_OK)
        err = group_bytes_set(&made->client_id, member->base.client_id);
    if (err == SLUICE_OK)
        err = group_bytes_set(&made->client_host, member->base.client_host);
    if (err == SLUICE_OK)
        err = consumer_assignment_of(groups, member, &member->target, &groups->base.scratch);
    if (err == SLUICE_OK)
        err = group_bytes_set(&made->assignment, sl_buffer_bytes(&groups->base.scratch));
    if (err != SLUICE_OK)
        return err;
    to->size += made->assignment.size;
    made->is_new = false;
    made->session_timeout_ms = member->session_timeout_ms;
    made->rebalance_timeout_ms = SL_MAX(member->base.rebalance_timeout_ms, 1);
    group_member_touch(coordinator, made, groups->base.now_ms);
    return SLUICE_OK;
}

sl_err consumer_group_downgrade(struct consumer_groups *groups, struct consumer_group *group,
                                const struct consumer_member *leaving)
{
    struct group_coordinator *coordinator = groups->classic;
    struct group *to = group_get(coordinator, group->base.name);
    if (to != NULL)
        group_remove(coordinator, to);
    sl_err err = group_add(coordinator, group->base.name, groups->base.now_ms, &to);
    if (err != SLUICE_OK)
        return err;
    err = group_bytes_set(&to->protocol_type, sl_bytes_of_text(CONSUMER_PROTOCOL_TYPE));
    for (const struct consumer_member *m = consumer_member_first(group);
         m != NULL && err == SLUICE_OK; m = consumer_member_next(m)) {
        if (m != leaving)
            err = member_give(groups, to, m);
    }
    if (err == SLUICE_OK)
        err = group_bytes_set(&to->protocol, group_protocol_select(to));
    int32_t epoch = group->base.epoch;
    err = err != SLUICE_OK ? err : epoch_group_remove(&groups->base, &group->base);
    if (err != SLUICE_OK) {
        group_remove(coordinator, to);
        return err;
    }
    group_idle_leave(coordinator, to);
    to->state = GROUP_STABLE;
    to->generation = epoch;
    group_rebalance_prepare(coordinator, to, groups->base.now_ms);
    return SLUICE_OK;
}
