/* group_sync.c: SyncGroup, Heartbeat, LeaveGroup, and the check of OffsetCommit
 * (GroupMetadataManager: classicGroupSync, classicGroupHeartbeat, classicGroupLeave;
 * ClassicGroup.validateOffsetCommit). */
#include "deliver/group_reply.h"

/* ---- SyncGroup ---- */

/* A name that was given must be the group's (KIP-559). */
static bool contradicts(struct sluice_text given, struct sl_bytes actual)
{
    return given.data != NULL && !sl_bytes_equal(sl_of_text(given), actual);
}

static sl_err sync_check(const struct group_coordinator *coordinator,
                         const struct sluice_group_sync *request, struct group_member **ret_member)
{
    if (request->group.size == 0)
        return SLUICE_E_INVALID_GROUP_ID;
    const struct group *group = group_get(coordinator, sl_of_text(request->group));
    if (group == NULL)
        return SLUICE_E_UNKNOWN_MEMBER;
    struct group_member *member = NULL;
    sl_err err = group_member_validate(coordinator, group, sl_of_text(request->member),
                                       sl_of_text(request->instance), &member);
    if (err != SLUICE_OK)
        return err;
    if (request->generation != group->generation)
        return SLUICE_E_ILLEGAL_GENERATION;
    if (contradicts(request->protocol_type, group->protocol_type) ||
        contradicts(request->protocol, group->protocol))
        return SLUICE_E_INCONSISTENT_GROUP_PROTOCOL;
    if (group->state == GROUP_PREPARING)
        return SLUICE_E_REBALANCE_IN_PROGRESS;
    *ret_member = member;
    return SLUICE_OK;
}

static sl_err assignment_set(struct group_coordinator *coordinator, struct group_member *member,
                             struct sluice_bytes given)
{
    struct group *group = member->group;
    group_member_assignment_clear(member);
    if (group->size + given.size > coordinator->config.group_bytes_max)
        return SLUICE_E_LIMIT;
    sl_err err = group_bytes_set(&member->assignment, sl_bytes_of(given.data, (size_t)given.size));
    if (err == SLUICE_OK)
        group->size += member->assignment.size;
    return err;
}

/* What the leader gave, and nothing for those it left out; who is not a member any more is skipped.
 */
static sl_err assignments_take(struct group_coordinator *coordinator, const struct group *group,
                               const struct sluice_group_sync *request)
{
    for (struct group_member *m = group->first; m != NULL; m = m->next)
        group_member_assignment_clear(m); /* of the generation before */
    for (uint32_t i = 0; i < request->assignment_count; i++) {
        const struct sluice_group_assignment *given = &request->assignments[i];
        struct group_member *member =
            group_member_get(coordinator, group, sl_of_text(given->member));
        sl_err err =
            member == NULL ? SLUICE_OK : assignment_set(coordinator, member, given->assignment);
        if (err != SLUICE_OK)
            return err;
    }
    return SLUICE_OK;
}

static void assignments_propagate(struct group_coordinator *coordinator, struct group *group,
                                  int64_t now_ms)
{
    group->state = GROUP_STABLE;
    for (struct group_member *m = group->first; m != NULL; m = m->next) {
        if (!m->awaiting_sync)
            continue;
        struct group_reply *reply = m->sync;
        m->sync = NULL;
        m->awaiting_sync = false;
        group_member_touch(coordinator, m, now_ms);
        group_reply_synced(coordinator, reply, m);
    }
}

static void sync_completing(struct group_coordinator *coordinator, struct group_member *member,
                            const struct sluice_group_sync *request, struct group_reply *reply,
                            int64_t now_ms)
{
    struct group *group = member->group;
    if (group->leader == member) {
        sl_err err = assignments_take(coordinator, group, request);
        if (err != SLUICE_OK) {
            for (struct group_member *m = group->first; m != NULL; m = m->next)
                group_member_assignment_clear(m);
            group_reply_sync_fail(coordinator, reply, err);
            return;
        }
    }
    group_reply_sync_fail(coordinator, member->sync, SLUICE_E_REBALANCE_IN_PROGRESS);
    member->sync = reply;
    member->awaiting_sync = true;
    group_member_sync_received(member);
    if (group->leader == member)
        assignments_propagate(coordinator, group, now_ms);
}

void group_sync(struct group_coordinator *coordinator, const struct sluice_group_sync *request,
                int64_t now_ms, sluice_group_synced_done *done, void *arg)
{
    struct group_reply *reply = group_reply_of_sync(coordinator, done, arg);
    struct group_member *member = NULL;
    if (reply == NULL)
        return;
    sl_err err = sync_check(coordinator, request, &member);
    if (err != SLUICE_OK) {
        group_reply_sync_fail(coordinator, reply, err);
    } else if (member->group->state == GROUP_COMPLETING) {
        sync_completing(coordinator, member, request, reply, now_ms);
    } else {
        SL_ASSERT(member->group->state == GROUP_STABLE);
        group_member_sync_received(member);
        group_member_touch(coordinator, member, now_ms);
        group_reply_synced(coordinator, reply, member);
    }
    group_reply_deliver(coordinator);
}

/* ---- Heartbeat ---- */

static sl_err identity_check(const struct group_coordinator *coordinator, const struct group *group,
                             const struct sluice_group_identity *identity,
                             struct group_member **ret_member)
{
    sl_err err = group_member_validate(coordinator, group, sl_of_text(identity->member),
                                       sl_of_text(identity->instance), ret_member);
    if (err == SLUICE_OK && identity->generation != group->generation)
        err = SLUICE_E_ILLEGAL_GENERATION;
    return err;
}

sluice_status group_heartbeat(struct group_coordinator *coordinator,
                              const struct sluice_group_identity *request, int64_t now_ms)
{
    struct group_member *member = NULL;
    if (request->group.size == 0)
        return SLUICE_E_INVALID_GROUP_ID;
    const struct group *group = group_get(coordinator, sl_of_text(request->group));
    if (group == NULL)
        return SLUICE_E_UNKNOWN_MEMBER;
    sl_err err = identity_check(coordinator, group, request, &member);
    if (err != SLUICE_OK)
        return err;
    /* One that waits for its first join keeps that longer deadline. */
    if (!member->is_new)
        group_member_touch(coordinator, member, now_ms);
    return group->state == GROUP_PREPARING ? SLUICE_E_REBALANCE_IN_PROGRESS : SLUICE_OK;
}

/* ---- LeaveGroup ---- */

static sl_err leave_one(struct group_coordinator *coordinator, struct group *group,
                        const struct sluice_group_leave_entry *entry)
{
    struct sl_bytes id = sl_of_text(entry->member);
    struct sl_bytes instance = sl_of_text(entry->instance);
    struct group_member *member = NULL;
    sl_err err = SLUICE_OK;
    struct group_pending **pending = group_pending_find(group, id);
    if (pending != NULL) {
        group_pending_remove(group, pending);
        return SLUICE_OK;
    }
    if (id.size == 0 && instance.data != NULL) {
        member = group_member_of_instance(group, instance);
        err = member == NULL ? SLUICE_E_UNKNOWN_MEMBER : SLUICE_OK;
    } else {
        err = group_member_validate(coordinator, group, id, instance, &member);
    }
    if (err == SLUICE_OK)
        group_member_remove(coordinator, member);
    return err;
}

sluice_status group_leave(struct group_coordinator *coordinator,
                          const struct sluice_group_leave *request, int64_t now_ms,
                          sluice_status *ret_statuses)
{
    struct group *group = group_get(coordinator, sl_of_text(request->group));
    sluice_status status = SLUICE_OK;
    if (group == NULL)
        status = request->group.size == 0 ? SLUICE_E_INVALID_GROUP_ID : SLUICE_E_UNKNOWN_MEMBER;
    uint32_t member_count = group == NULL ? 0 : group->member_count;
    for (uint32_t i = 0; i < request->entry_count; i++)
        ret_statuses[i] =
            group == NULL ? status : leave_one(coordinator, group, &request->entries[i]);
    if (group != NULL && group->member_count != member_count)
        group_rebalance_or_complete(coordinator, group, now_ms);
    else if (group != NULL)
        group_join_maybe_complete(coordinator, group, now_ms);
    group_reply_deliver(coordinator);
    return status;
}

/* ---- OffsetCommit ---- */

static sl_err commit_identity_check(struct group_coordinator *coordinator,
                                    const struct sluice_group_identity *identity, int64_t now_ms)
{
    struct group_member *member = NULL;
    struct group *group = group_get(coordinator, sl_of_text(identity->group));
    bool outsider =
        identity->generation < 0 && identity->member.size == 0 && identity->instance.data == NULL;
    if (identity->group.size > GROUP_ID_BYTES_MAX)
        return SLUICE_E_INVALID_GROUP_ID;
    if (group == NULL)
        return identity->generation < 0 ? SLUICE_OK : SLUICE_E_GROUP_NOT_FOUND;
    if (identity->generation < 0 && group->state == GROUP_EMPTY)
        return SLUICE_OK;
    if (outsider)
        return SLUICE_E_UNKNOWN_MEMBER;
    sl_err err = identity_check(coordinator, group, identity, &member);
    if (err != SLUICE_OK)
        return err;
    if (group->state == GROUP_COMPLETING)
        return SLUICE_E_REBALANCE_IN_PROGRESS;
    if (!member->is_new)
        group_member_touch(coordinator, member, now_ms);
    return SLUICE_OK;
}

static sl_err commit_entry_check(const struct group_coordinator *coordinator,
                                 const struct sluice_offset_commit_entry *entry)
{
    if (entry->metadata.size > coordinator->config.metadata_bytes_max)
        return SLUICE_E_OFFSET_METADATA_TOO_LARGE;
    return entry->partition < 0 ? SLUICE_E_UNKNOWN_TOPIC : SLUICE_OK;
}

sluice_status group_commit_check(struct group_coordinator *coordinator,
                                 const struct sluice_offset_commit *request, int64_t now_ms,
                                 sluice_status *ret_statuses)
{
    sluice_status status = commit_identity_check(coordinator, &request->identity, now_ms);
    for (uint32_t i = 0; i < request->entry_count; i++)
        ret_statuses[i] =
            status != SLUICE_OK ? status : commit_entry_check(coordinator, &request->entries[i]);
    return status;
}
