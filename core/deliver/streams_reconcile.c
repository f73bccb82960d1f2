/* streams_reconcile.c: one member's next step towards its target, as Kafka takes it (the streams'
 * CurrentAssignmentBuilder).
 *
 * As consumer_group_reconcile.c, with roles: a task is active at one member, and a process (which
 * has one disk) has a task once, whatever its role. So what a member shall have waits while
 *   active    anybody has it as active, or a member of its process as standby
 *   standby   a member of its process has it, as active or as standby
 * Another process may have the same standby: it is another copy. */
#include "deliver/streams_group.h"

struct step {
    struct streams_tasks kept, revoked, pending;
    bool waits;
};

static void step_fini(struct step *step)
{
    streams_tasks_fini(&step->kept);
    streams_tasks_fini(&step->revoked);
    streams_tasks_fini(&step->pending);
}

static bool release_from(struct step *step, const struct streams_tasks *held, bool same_process)
{
    bool waits =
        partition_set_subtract(&step->pending.roles[STREAMS_ACTIVE], &held->roles[STREAMS_ACTIVE]);
    for (uint32_t r = 0; r < STREAMS_ROLES && same_process; r++) {
        waits |= partition_set_subtract(&step->pending.roles[STREAMS_STANDBY], &held->roles[r]);
        waits |= partition_set_subtract(&step->pending.roles[STREAMS_ACTIVE], &held->roles[r]);
    }
    return waits;
}

/* Leaves in `pending` what may be had now. */
static void release(const struct streams_member *member, struct step *step)
{
    for (const struct streams_member *m = streams_member_first(streams_group_of(member));
         m != NULL && !streams_tasks_empty(&step->pending); m = streams_member_next(m)) {
        bool same_process = sl_bytes_equal(m->process, member->process);
        if (m != member) {
            step->waits |= release_from(step, &m->assigned, same_process);
            step->waits |= release_from(step, &m->revoking, same_process);
        }
    }
}

static sl_err add_entry(struct partition_set *set, const struct partition_entry *entry,
                        int32_t epoch)
{
    return partition_set_add(set, &entry->topic, entry->partition, epoch);
}

static sl_err step_role(const struct streams_member *member, uint32_t role, struct step *step)
{
    const struct partition_set *has = &member->assigned.roles[role];
    const struct partition_set *shall = &member->target.roles[role];
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0, j = 0; (i < has->count || j < shall->count) && err == SLUICE_OK;) {
        int order = partition_set_walk(has, i, shall, j);
        if (order == 0)
            err = add_entry(&step->kept.roles[role], &has->entries[i], has->entries[i].epoch);
        else if (order < 0)
            err = add_entry(&step->revoked.roles[role], &has->entries[i], has->entries[i].epoch);
        else
            err = add_entry(&step->pending.roles[role], &shall->entries[j],
                            member->base.group->assignment_epoch);
        i += order <= 0;
        j += order >= 0;
    }
    return err;
}

static bool still_owns(const struct streams_tasks *owned, const struct streams_tasks *revoked)
{
    bool owns = owned == NULL && !streams_tasks_empty(revoked);
    for (uint32_t r = 0; r < STREAMS_ROLES && owned != NULL; r++)
        owns = owns || partition_set_meets(&owned->roles[r], &revoked->roles[r]);
    return owns;
}

static void tasks_take(struct streams_tasks *to, struct streams_tasks *from)
{
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        partition_set_take(&to->roles[r], &from->roles[r]);
}

/* It gives back first, at its epoch. */
static void revoke(struct streams_groups *groups, struct streams_member *member, struct step *step)
{
    member->base.state = MEMBER_UNREVOKED;
    tasks_take(&member->assigned, &step->kept);
    tasks_take(&member->revoking, &step->revoked);
    member->base.rebalance_deadline_ms = groups->base.now_ms + member->base.rebalance_timeout_ms;
    epoch_member_schedule(&groups->base, &member->base);
}

static sl_err advance(struct streams_member *member, struct step *step)
{
    sl_err err = SLUICE_OK;
    for (uint32_t r = 0; r < STREAMS_ROLES && err == SLUICE_OK; r++) {
        struct partition_set *kept = &step->kept.roles[r], *pending = &step->pending.roles[r];
        err = partition_set_reserve(kept, kept->count + pending->count);
        for (uint32_t i = 0; i < pending->count && err == SLUICE_OK; i++)
            err = add_entry(kept, &pending->entries[i], pending->entries[i].epoch);
        partition_set_sort(kept);
    }
    if (err != SLUICE_OK)
        return err;
    tasks_take(&member->assigned, &step->kept);
    streams_tasks_fini(&member->revoking);
    member->base.state = step->waits ? MEMBER_UNRELEASED : MEMBER_STABLE;
    if (member->base.epoch != member->base.group->assignment_epoch)
        member->base.previous_epoch = member->base.epoch;
    member->base.epoch = member->base.group->assignment_epoch;
    member->base.rebalance_deadline_ms = DUE_NEVER;
    return SLUICE_OK;
}

static bool is_due(const struct streams_member *member, const struct streams_tasks *owned)
{
    if (member->base.state == MEMBER_UNREVOKED)
        return !still_owns(owned, &member->revoking);
    return member->base.state == MEMBER_UNRELEASED ||
           member->base.epoch != member->base.group->assignment_epoch;
}

static bool same_tasks(const struct streams_tasks *a, const struct streams_tasks *b)
{
    bool same = true;
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        same = same && partition_set_equal(&a->roles[r], &b->roles[r], false);
    return same;
}

sl_err streams_member_reconcile(struct streams_groups *groups, struct streams_member *member,
                                const struct streams_tasks *owned, bool *ret_changed)
{
    struct step step = {0};
    struct streams_tasks before = {0};
    int32_t epoch = member->base.epoch;
    uint8_t state = member->base.state;
    sl_err err = SLUICE_OK;
    if (!is_due(member, owned))
        return SLUICE_OK;
    for (uint32_t r = 0; r < STREAMS_ROLES && err == SLUICE_OK; r++) {
        err = step_role(member, r, &step);
        if (err == SLUICE_OK)
            err = partition_set_copy(&before.roles[r], &member->assigned.roles[r]);
    }
    release(member, &step);
    if (err == SLUICE_OK && still_owns(owned, &step.revoked))
        revoke(groups, member, &step);
    else if (err == SLUICE_OK)
        err = advance(member, &step);
    if (err == SLUICE_OK) {
        bool same = same_tasks(&before, &member->assigned);
        *ret_changed = *ret_changed || !same;
        if (!same || state != member->base.state || epoch != member->base.epoch)
            epoch_member_moved(&groups->base, &member->base);
    }
    streams_tasks_fini(&before);
    step_fini(&step);
    return err;
}
