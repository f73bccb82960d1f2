/* group_rebalance.c: the phases of a rebalance and the deadlines that drive them
 * (GroupMetadataManager: prepareRebalance, completeClassicGroupJoin,
 * tryCompleteInitialRebalanceElseSchedule, expirePendingSync). */
#include "deliver/group_reply.h"

static void join_deadline_set(struct group_coordinator *coordinator, struct group *group,
                              int64_t deadline_ms)
{
    group->join_deadline_ms = deadline_ms;
    group_due_by(coordinator, group, deadline_ms);
}

static bool all_joined(const struct group *group)
{
    return group->awaiting_join_count == group->member_count && group->pending_count == 0;
}

/* A leader that did not come back is replaced by a member that did. */
static bool joined_leader_elect(struct group *group)
{
    if (group->leader == NULL || group->leader->awaiting_join)
        return group->leader != NULL;
    for (struct group_member *m = group->first; m != NULL; m = m->next) {
        if (m->awaiting_join) {
            group->leader = m;
            return true;
        }
    }
    return false;
}

/* Dynamic members that did not come back are gone; static ones may still, until their session ends.
 */
static void absent_remove(struct group_coordinator *coordinator, struct group *group)
{
    for (struct group_member *m = group->first, *next; m != NULL; m = next) {
        next = m->next;
        if (!m->awaiting_join && m->instance.data == NULL)
            group_member_remove(coordinator, m);
    }
}

static void empty_enter(struct group_coordinator *coordinator, struct group *group, int64_t now_ms)
{
    group->generation++;
    group->state = GROUP_EMPTY;
    sl_free((void *)(uintptr_t)group->protocol.data);
    group->protocol = (struct sl_bytes){0};
    group_idle_enter(coordinator, group, now_ms);
}

static void member_complete(struct group_coordinator *coordinator, struct group_member *member,
                            int64_t now_ms)
{
    struct group *group = member->group;
    struct group_reply *reply = member->join;
    bool leads = group->leader == member;
    group->awaiting_join_count -= member->awaiting_join;
    member->awaiting_join = false;
    member->join = NULL;
    member->is_new = false;
    group->owes_sync_count += !member->owes_sync;
    member->owes_sync = true;
    group_member_touch(coordinator, member, now_ms);
    group_reply_joined(coordinator, reply, member, group->leader->id, leads, false);
}

static void join_complete(struct group_coordinator *coordinator, struct group *group,
                          int64_t now_ms)
{
    SL_ASSERT(group->state == GROUP_PREPARING);
    group->join_deadline_ms = GROUP_NEVER;
    group->initial = false;
    absent_remove(coordinator, group);
    if (group->member_count == 0) {
        empty_enter(coordinator, group, now_ms);
        return;
    }
    /* Without anyone to lead, or memory, the join phase goes on; sessions end in the meantime. */
    if (!joined_leader_elect(group) ||
        group_bytes_set(&group->protocol, group_protocol_select(group)) != SLUICE_OK) {
        join_deadline_set(coordinator, group, now_ms + group_rebalance_timeout_ms(group));
        return;
    }
    group->generation++;
    group->state = GROUP_COMPLETING;
    coordinator->rebalance_count++;
    for (struct group_member *m = group->first; m != NULL; m = m->next)
        member_complete(coordinator, m, now_ms);
    group->sync_deadline_ms = now_ms + group_rebalance_timeout_ms(group);
    group_due_by(coordinator, group, group->sync_deadline_ms);
}

void group_join_maybe_complete(struct group_coordinator *coordinator, struct group *group,
                               int64_t now_ms)
{
    if (group->state == GROUP_PREPARING && !group->initial && all_joined(group))
        join_complete(coordinator, group, now_ms);
}

/* Whoever waits for the assignment of the generation that is being given up joins again. */
static void syncs_fail(struct group_coordinator *coordinator, struct group *group, int64_t now_ms)
{
    for (struct group_member *m = group->first; m != NULL; m = m->next) {
        group_member_assignment_clear(m);
        if (m->awaiting_sync) {
            group_reply_sync_fail(coordinator, m->sync, SLUICE_E_REBALANCE_IN_PROGRESS);
            m->sync = NULL;
            m->awaiting_sync = false;
            group_member_touch(coordinator, m, now_ms);
        }
    }
}

static void sync_debts_forgive(struct group *group)
{
    for (struct group_member *m = group->first; m != NULL; m = m->next)
        m->owes_sync = false;
    group->owes_sync_count = 0;
    group->sync_deadline_ms = GROUP_NEVER;
}

static void initial_begin(struct group_coordinator *coordinator, struct group *group,
                          int64_t now_ms)
{
    int64_t delay_ms = coordinator->config.limits.initial_delay_ms;
    group_idle_leave(coordinator, group);
    group->initial = true;
    group->new_member_added = false;
    group->initial_delay_ms = delay_ms;
    group->initial_remaining_ms = SL_MAX(group_rebalance_timeout_ms(group) - delay_ms, 0);
    if (delay_ms > 0)
        join_deadline_set(coordinator, group, now_ms + delay_ms);
    else
        join_complete(coordinator, group, now_ms);
}

void group_rebalance_prepare(struct group_coordinator *coordinator, struct group *group,
                             int64_t now_ms)
{
    int32_t former = group->state;
    SL_ASSERT(former != GROUP_PREPARING && former != GROUP_DEAD);
    if (former == GROUP_COMPLETING)
        syncs_fail(coordinator, group, now_ms);
    sync_debts_forgive(group);
    group->state = GROUP_PREPARING;
    group->initial = false;
    if (former == GROUP_EMPTY)
        initial_begin(coordinator, group, now_ms);
    else if (all_joined(group))
        join_complete(coordinator, group, now_ms);
    else
        join_deadline_set(coordinator, group, now_ms + group_rebalance_timeout_ms(group));
}

void group_rebalance_or_complete(struct group_coordinator *coordinator, struct group *group,
                                 int64_t now_ms)
{
    if (group->state != GROUP_PREPARING)
        group_rebalance_prepare(coordinator, group, now_ms);
    else
        group_join_maybe_complete(coordinator, group, now_ms);
}

/* ---- deadlines ---- */

/* While members keep coming, the initial delay is extended, up to the rebalance timeout. */
static void initial_handle(struct group_coordinator *coordinator, struct group *group,
                           int64_t now_ms)
{
    if (!group->new_member_added || group->initial_remaining_ms == 0) {
        join_complete(coordinator, group, now_ms);
        return;
    }
    int64_t delay_ms =
        SL_MIN(coordinator->config.limits.initial_delay_ms, group->initial_remaining_ms);
    group->new_member_added = false;
    group->initial_remaining_ms = SL_MAX(group->initial_remaining_ms - group->initial_delay_ms, 0);
    group->initial_delay_ms = delay_ms;
    join_deadline_set(coordinator, group, now_ms + delay_ms);
}

/* Returns whether someone was removed. */
static bool sessions_expire(struct group_coordinator *coordinator, struct group *group,
                            int64_t now_ms)
{
    uint64_t before = coordinator->expired_count;
    for (struct group_member *m = group->first, *next; m != NULL; m = next) {
        next = m->next;
        if (m->deadline_ms > now_ms)
            continue;
        if (!m->is_new && (m->awaiting_join || m->awaiting_sync)) {
            /* It is we who owe it an answer; the session starts anew with that. */
            m->deadline_ms = GROUP_NEVER;
            continue;
        }
        group_member_remove(coordinator, m);
        coordinator->expired_count++;
    }
    return coordinator->expired_count != before;
}

static bool pending_expire(struct group *group, int64_t now_ms)
{
    bool removed = false;
    for (struct group_pending **at = &group->pending; *at != NULL;) {
        if ((*at)->deadline_ms > now_ms) {
            at = &(*at)->next;
            continue;
        }
        group_pending_remove(group, at);
        removed = true;
    }
    return removed;
}

static void syncs_expire(struct group_coordinator *coordinator, struct group *group, int64_t now_ms)
{
    group->sync_deadline_ms = GROUP_NEVER;
    for (struct group_member *m = group->first, *next; m != NULL; m = next) {
        next = m->next;
        if (m->owes_sync) {
            group_member_remove(coordinator, m);
            coordinator->expired_count++;
        }
    }
    group_rebalance_or_complete(coordinator, group, now_ms);
}

void group_deadlines_handle(struct group_coordinator *coordinator, struct group *group,
                            int64_t now_ms)
{
    bool pending_gone = pending_expire(group, now_ms);
    bool members_gone = sessions_expire(coordinator, group, now_ms);
    if (members_gone)
        group_rebalance_or_complete(coordinator, group, now_ms);
    else if (pending_gone)
        group_join_maybe_complete(coordinator, group, now_ms);
    if (group->join_deadline_ms <= now_ms) {
        group->join_deadline_ms = GROUP_NEVER;
        if (group->initial)
            initial_handle(coordinator, group, now_ms);
        else
            join_complete(coordinator, group, now_ms);
    }
    if (group->sync_deadline_ms <= now_ms)
        syncs_expire(coordinator, group, now_ms);
    group_due_update(coordinator, group);
}
