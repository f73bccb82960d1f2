/* consumer_group_classic.c: members that speak the classic protocol in a group of KIP-848, until
 * all speak the new one (GroupMetadataManager: classicGroupJoinToConsumerGroup and its like).
 *
 * Such a member's generation is its epoch. A join is answered at once, without leader and members;
 * its owned partitions stand in its subscription. It hears of a new epoch by REBALANCE_IN_PROGRESS
 * and has its rebalance timeout to join again, and then as long to sync. */
#include "base/hash.h"
#include "deliver/consumer_group.h"
#include "deliver/consumer_protocol.h"

#include <stdio.h>

/* ---- join ---- */

struct entry {
    struct consumer_groups *groups;
    const struct sluice_group_join *request;
    const struct group_caller *client;
    struct consumer_classic_joined *joined;
    struct consumer_group *group;
    struct consumer_member *member;
    struct consumer_metadata subscription;
    struct partition_set owned;
    struct sl_bytes id;
    int32_t session_ms;
    bool is_new;
};

static bool member_knows(const struct consumer_member *member, struct sluice_text protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        if (sl_bytes_equal(member->protocols[i].name, sl_of_text(protocol)))
            return true;
    }
    return false;
}

/* Whether one of the protocols is known to all classic members. */
static bool fits(const struct entry *entry)
{
    const struct sluice_group_join *request = entry->request;
    bool is_consumer = sl_bytes_equal(sl_of_text(request->protocol_type),
                                      sl_bytes_of_text(CONSUMER_PROTOCOL_TYPE));
    for (uint32_t i = 0; is_consumer && i < request->protocol_count; i++) {
        const struct consumer_member *m = consumer_member_first(entry->group);
        while (m != NULL && (!m->is_classic || member_knows(m, request->protocols[i].name)))
            m = consumer_member_next(m);
        if (m == NULL)
            return true;
    }
    return false;
}

static sl_err check(struct entry *entry)
{
    const struct sluice_group_join *request = entry->request;
    const struct group_limits *limits = &entry->groups->classic->config.limits;
    if (entry->session_ms == 0)
        entry->session_ms = limits->session_default_ms;
    if (entry->session_ms < limits->session_min_ms || entry->session_ms > limits->session_max_ms)
        return SLUICE_E_INVALID_SESSION_TIMEOUT;
    if (request->member.size > CONSUMER_GROUP_INSTANCE_MAX ||
        request->instance.size > CONSUMER_GROUP_INSTANCE_MAX ||
        request->protocol_count > GROUP_PROTOCOLS_MAX)
        return SLUICE_E_LIMIT;
    if (!fits(entry))
        return SLUICE_E_INCONSISTENT_GROUP_PROTOCOL;
    sl_err err =
        consumer_subscription_read(sl_bytes_of(request->protocols[0].metadata.data,
                                               (size_t)request->protocols[0].metadata.size),
                                   &entry->subscription);
    if (err == SLUICE_OK && entry->subscription.topic_count > CONSUMER_GROUP_TOPICS_MAX)
        err = SLUICE_E_LIMIT;
    return err == SLUICE_E_CORRUPT ? SLUICE_E_INCONSISTENT_GROUP_PROTOCOL : err;
}

static void id_make(struct entry *entry)
{
    struct group_coordinator *classic = entry->groups->classic;
    const struct sluice_group_join *request = entry->request;
    struct sl_bytes prefix =
        sl_of_text(request->instance.data != NULL ? request->instance : entry->client->id);
    size_t size = group_member_id_make(classic, prefix, entry->joined->member);
    entry->id = sl_bytes_of(entry->joined->member, size);
}

static sl_err find_static(struct entry *entry, bool is_unknown)
{
    struct consumer_member *known =
        consumer_member_of_instance(entry->group, sl_of_text(entry->request->instance));
    if (!is_unknown) {
        entry->member = known;
        return known == NULL                               ? SLUICE_E_UNKNOWN_MEMBER
               : sl_bytes_equal(known->base.id, entry->id) ? SLUICE_OK
                                                           : SLUICE_E_FENCED_INSTANCE_ID;
    }
    if (known == NULL)
        return SLUICE_OK;
    sl_err err = epoch_member_rename(&entry->groups->base, &known->base, entry->id);
    if (err == SLUICE_OK) {
        known->base.epoch = known->base.previous_epoch = 0;
        entry->member = known;
    }
    return err;
}

static sl_err find_member(struct entry *entry)
{
    bool is_unknown = entry->request->member.size == 0;
    bool is_static = entry->request->instance.data != NULL;
    sl_err err = SLUICE_OK;
    if (is_unknown)
        id_make(entry);
    if (is_unknown && !is_static && entry->request->require_member_id)
        return SLUICE_E_MEMBER_ID_REQUIRED;
    if (is_static)
        err = find_static(entry, is_unknown);
    else
        entry->member = consumer_member_get(entry->groups, entry->group, entry->id);
    if (err != SLUICE_OK || entry->member != NULL)
        return err;
    if (entry->group->base.member_count >= entry->groups->config.members_max)
        return SLUICE_E_GROUP_MAX_SIZE;
    err = consumer_member_add(entry->groups, entry->group, entry->id, &entry->member);
    entry->is_new = err == SLUICE_OK;
    return err;
}

static sl_err update(struct entry *entry, bool *ret_reads)
{
    const struct sluice_group_join *request = entry->request;
    struct consumer_member *member = entry->member;
    const char *reason = NULL;
    bool changed = false;
    sl_err err = name_list_set(&member->topics, entry->subscription.topics,
                               entry->subscription.topic_count, ret_reads);
    if (err == SLUICE_OK) /* a classic member has no pattern */
        err = consumer_pattern_set(entry->groups, member, sl_bytes_of("", 0), sl_bytes_of("", 0),
                                   ret_reads, &reason);
    if (err == SLUICE_OK && request->instance.data != NULL)
        err = epoch_text_set(&member->instance, sl_of_text(request->instance), &changed);
    if (err == SLUICE_OK && entry->subscription.rack.size != 0)
        err = epoch_text_set(&member->base.rack, sl_of_text(entry->subscription.rack), &changed);
    if (err == SLUICE_OK)
        err = epoch_text_set(&member->base.client_id, sl_of_text(entry->client->id), &changed);
    if (err == SLUICE_OK)
        err = epoch_text_set(&member->base.client_host, sl_of_text(entry->client->host), &changed);
    if (err == SLUICE_OK)
        err = consumer_protocols_set(member, request->protocols, request->protocol_count);
    if (err != SLUICE_OK)
        return err;
    member->is_classic = true;
    member->session_timeout_ms = entry->session_ms;
    member->base.rebalance_timeout_ms =
        request->rebalance_timeout_ms < 0 ? entry->session_ms : request->rebalance_timeout_ms;
    epoch_member_mark(&entry->groups->base, &member->base);
    return SLUICE_OK;
}

static sl_err enter(struct entry *entry)
{
    struct consumer_groups *groups = entry->groups;
    bool reads_other = entry->is_new, moved = false;
    sl_err err = update(entry, &reads_other);
    err = err != SLUICE_OK ? err : consumer_group_look(groups, entry->group, reads_other);
    err = err != SLUICE_OK ? err : consumer_group_assign(groups, entry->group);
    err = err != SLUICE_OK ? err : consumer_owned_of(groups, &entry->subscription, &entry->owned);
    err = err != SLUICE_OK ? err
                           : consumer_member_reconcile(groups, entry->member, &entry->owned,
                                                       reads_other, &moved);
    if (err != SLUICE_OK)
        return err;
    struct consumer_member *member = entry->member;
    member->base.session_deadline_ms = groups->base.now_ms + member->session_timeout_ms;
    member->base.rebalance_deadline_ms = DUE_NEVER;
    member->sync_deadline_ms = groups->base.now_ms + member->base.rebalance_timeout_ms;
    epoch_member_schedule(&groups->base, &member->base);
    entry->joined->joined = (struct sluice_group_joined){
        .generation = member->base.epoch,
        .protocol_type = sluice_text_of(CONSUMER_PROTOCOL_TYPE),
        .protocol = text_of_sl(member->protocols[0].name),
        .leader = sluice_text_of(""),
        .member = text_of_sl(member->base.id),
    };
    return SLUICE_OK;
}

void consumer_group_classic_join(struct consumer_groups *groups,
                                 const struct sluice_group_join *request,
                                 const struct group_caller *client, int64_t now_ms,
                                 struct consumer_classic_joined *ret_joined)
{
    struct entry entry = {.groups = groups,
                          .request = request,
                          .client = client,
                          .joined = ret_joined,
                          .group = consumer_group_get(groups, sl_of_text(request->group)),
                          .id = sl_of_text(request->member),
                          .session_ms = request->session_timeout_ms};
    groups->base.now_ms = now_ms;
    sl_err err = check(&entry);
    err = err != SLUICE_OK ? err : find_member(&entry);
    err = err != SLUICE_OK ? err : enter(&entry);
    if (err != SLUICE_OK) {
        bool is_told = err == SLUICE_E_MEMBER_ID_REQUIRED || request->member.size != 0;
        ret_joined->joined = (struct sluice_group_joined){.status = err,
                                                          .generation = -1,
                                                          .leader = sluice_text_of(""),
                                                          .member = is_told ? text_of_sl(entry.id)
                                                                            : sluice_text_of("")};
        if (entry.is_new && epoch_member_remove(&groups->base, &entry.member->base) != SLUICE_OK)
            epoch_member_schedule(&groups->base, &entry.member->base); /* its session ends it */
    }
    consumer_metadata_fini(&entry.subscription);
    partition_set_fini(&entry.owned);
}

/* ---- sync, heartbeat, leave ---- */

static sl_err find_classic(const struct consumer_groups *groups, struct sluice_text group,
                           struct sluice_text id, struct sluice_text instance,
                           struct consumer_member **ret_member)
{
    const struct consumer_group *found = consumer_group_get(groups, sl_of_text(group));
    struct consumer_member *member = NULL;
    if (found == NULL)
        return SLUICE_E_UNKNOWN_MEMBER;
    if (instance.data == NULL)
        member = consumer_member_get(groups, found, sl_of_text(id));
    else
        member = consumer_member_of_instance(found, sl_of_text(instance));
    if (member == NULL)
        return SLUICE_E_UNKNOWN_MEMBER;
    if (instance.data != NULL && !sl_bytes_equal(member->base.id, sl_of_text(id)))
        return SLUICE_E_FENCED_INSTANCE_ID;
    *ret_member = member;
    return member->is_classic ? SLUICE_OK : SLUICE_E_UNKNOWN_MEMBER;
}

/* It has to come back: by the rebalance timeout, counted from the first time it was told. */
static sl_err call_back(struct consumer_groups *groups, struct consumer_member *member)
{
    if (member->base.rebalance_deadline_ms == DUE_NEVER)
        member->base.rebalance_deadline_ms =
            groups->base.now_ms + member->base.rebalance_timeout_ms;
    epoch_member_schedule(&groups->base, &member->base);
    return SLUICE_E_REBALANCE_IN_PROGRESS;
}

static void touch(struct consumer_groups *groups, struct consumer_member *member)
{
    member->base.session_deadline_ms = groups->base.now_ms + member->session_timeout_ms;
    epoch_member_schedule(&groups->base, &member->base);
}

static sl_err check_sync(struct consumer_groups *groups, const struct sluice_group_sync *request,
                         struct consumer_member *member)
{
    struct sl_bytes type = sl_of_text(request->protocol_type), name = sl_of_text(request->protocol);
    if (member->base.epoch != request->generation)
        return SLUICE_E_ILLEGAL_GENERATION;
    if ((type.data != NULL && !sl_bytes_equal(type, sl_bytes_of_text(CONSUMER_PROTOCOL_TYPE))) ||
        (name.data != NULL && !sl_bytes_equal(name, member->protocols[0].name)))
        return SLUICE_E_INCONSISTENT_GROUP_PROTOCOL;
    if (member->base.group->epoch > member->base.epoch && member->base.state != MEMBER_UNREVOKED)
        return call_back(groups, member);
    return SLUICE_OK;
}

void consumer_group_classic_sync(struct consumer_groups *groups,
                                 const struct sluice_group_sync *request, int64_t now_ms,
                                 struct sluice_group_synced *ret_synced)
{
    struct consumer_member *member = NULL;
    groups->base.now_ms = now_ms;
    sl_err err = find_classic(groups, request->group, request->member, request->instance, &member);
    err = err != SLUICE_OK ? err : check_sync(groups, request, member);
    err = err != SLUICE_OK
              ? err
              : consumer_assignment_of(groups, member, &member->assigned, &groups->base.scratch);
    *ret_synced =
        (struct sluice_group_synced){.status = err, .assignment = {(const uint8_t *)"", 0}};
    if (err != SLUICE_OK)
        return;
    member->sync_deadline_ms = DUE_NEVER;
    touch(groups, member);
    ret_synced->protocol_type = request->protocol_type;
    ret_synced->protocol = request->protocol;
    ret_synced->assignment =
        (struct sluice_bytes){groups->base.scratch.data, groups->base.scratch.size};
}

sluice_status consumer_group_classic_heartbeat(struct consumer_groups *groups,
                                               const struct sluice_group_identity *request,
                                               int64_t now_ms)
{
    struct consumer_member *member = NULL;
    groups->base.now_ms = now_ms;
    sl_err err = find_classic(groups, request->group, request->member, request->instance, &member);
    if (err != SLUICE_OK)
        return err;
    if (member->base.epoch != request->generation)
        return SLUICE_E_ILLEGAL_GENERATION;
    touch(groups, member);
    bool comes_back = member->base.epoch < member->base.group->epoch ||
                      member->base.state == MEMBER_UNREVOKED ||
                      (member->base.state == MEMBER_UNRELEASED && !consumer_member_waits(member));
    return comes_back ? call_back(groups, member) : SLUICE_OK;
}

static sl_err leave_one(struct consumer_groups *groups, struct sluice_text group,
                        const struct sluice_group_leave_entry *entry)
{
    struct consumer_member *member = NULL;
    struct sluice_text id = entry->member;
    if (entry->instance.data != NULL && id.size == 0) { /* an administrator names the instance */
        const struct consumer_group *found = consumer_group_get(groups, sl_of_text(group));
        const struct consumer_member *known =
            found == NULL ? NULL : consumer_member_of_instance(found, sl_of_text(entry->instance));
        id = known == NULL ? id : text_of_sl(known->base.id);
    }
    sl_err err = find_classic(groups, group, id, entry->instance, &member);
    return err != SLUICE_OK ? err : epoch_member_remove(&groups->base, &member->base);
}

sluice_status consumer_group_classic_leave(struct consumer_groups *groups,
                                           const struct sluice_group_leave *request, int64_t now_ms,
                                           sluice_status *ret_statuses)
{
    struct consumer_group *group = consumer_group_get(groups, sl_of_text(request->group));
    bool left = false;
    groups->base.now_ms = now_ms;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        ret_statuses[i] = leave_one(groups, request->group, &request->entries[i]);
        left = left || ret_statuses[i] == SLUICE_OK;
    }
    if (left)
        epoch_group_raise(&groups->base, &group->base);
    return SLUICE_OK;
}
