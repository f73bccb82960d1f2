/* consumer_group_reconcile.c: one member's next step towards its target, as Kafka takes it
 * (CurrentAssignmentBuilder).
 *
 *   kept      what it has and shall have      revoked   what it has and shall not have
 *   pending   what it shall have and has not, as far as nobody else has it; the rest is unreleased
 *
 * While it still owns something revoked it stays at its epoch. Then it goes to the target's epoch
 * with what is kept and pending, and waits for what is unreleased. */
#include "deliver/consumer_group.h"

struct step {
    struct partition_set kept, revoked, pending;
    bool waits;
};

static void step_fini(struct step *step)
{
    partition_set_fini(&step->kept);
    partition_set_fini(&step->revoked);
    partition_set_fini(&step->pending);
}

/* Leaves in `wanted` what no other member has; returns whether there was something else. */
static bool release(const struct consumer_member *member, struct partition_set *wanted)
{
    uint32_t before = wanted->count;
    for (const struct consumer_member *m = consumer_member_first(consumer_group_of(member));
         m != NULL && wanted->count != 0; m = consumer_member_next(m)) {
        if (m != member) {
            partition_set_subtract(wanted, &m->assigned);
            partition_set_subtract(wanted, &m->revoking);
        }
    }
    return wanted->count != before;
}

static sl_err add_entry(struct partition_set *set, const struct partition_entry *entry,
                        int32_t epoch)
{
    return partition_set_add(set, &entry->topic, entry->partition, epoch);
}

static sl_err step_make(struct consumer_groups *groups, const struct consumer_member *member,
                        struct step *step)
{
    const struct partition_set *has = &member->assigned, *shall = &member->target;
    int32_t epoch = member->base.group->assignment_epoch;
    sl_err err = SLUICE_OK;
    struct sl_uuid topic = {{0}};
    bool reads = false, is_known = false;
    for (uint32_t i = 0, j = 0; (i < has->count || j < shall->count) && err == SLUICE_OK;) {
        int order = partition_set_walk(has, i, shall, j);
        const struct partition_entry *entry = order <= 0 ? &has->entries[i] : &shall->entries[j];
        if (!is_known || !sl_uuid_equal(&topic, &entry->topic)) {
            topic = entry->topic;
            reads = consumer_member_reads(groups, member, &topic);
            is_known = true;
        }
        if (order == 0 && reads)
            err = add_entry(&step->kept, entry, entry->epoch);
        else if (order <= 0)
            err = add_entry(&step->revoked, entry, entry->epoch);
        else if (reads)
            err = add_entry(&step->pending, entry, epoch);
        i += order <= 0;
        j += order >= 0;
    }
    step->waits = release(member, &step->pending);
    return err;
}

bool consumer_member_waits(const struct consumer_member *member)
{
    struct partition_set missing = {0};
    bool waits = false;
    for (uint32_t i = 0, j = 0; j < member->target.count;) {
        int order = partition_set_walk(&member->assigned, i, &member->target, j);
        if (order > 0 && add_entry(&missing, &member->target.entries[j], 0) != SLUICE_OK)
            break;
        i += order <= 0;
        j += order >= 0;
    }
    waits = release(member, &missing);
    partition_set_fini(&missing);
    return waits;
}

static bool still_owns(const struct partition_set *owned, const struct partition_set *revoked)
{
    return owned == NULL || partition_set_meets(owned, revoked);
}

static void epoch_set(struct consumer_member *member, int32_t epoch)
{
    if (epoch != member->base.epoch)
        member->base.previous_epoch = member->base.epoch;
    member->base.epoch = epoch;
}

/* It gives back first, at its epoch. */
static void revoke(struct consumer_groups *groups, struct consumer_member *member,
                   struct step *step)
{
    member->base.state = MEMBER_UNREVOKED;
    partition_set_take(&member->assigned, &step->kept);
    partition_set_take(&member->revoking, &step->revoked);
    if (!member->is_classic) {
        member->base.rebalance_deadline_ms =
            groups->base.now_ms + member->base.rebalance_timeout_ms;
        epoch_member_schedule(&groups->base, &member->base);
    }
}

static sl_err advance(struct consumer_member *member, struct step *step)
{
    sl_err err = partition_set_reserve(&step->kept, step->kept.count + step->pending.count);
    for (uint32_t i = 0; i < step->pending.count && err == SLUICE_OK; i++)
        err = add_entry(&step->kept, &step->pending.entries[i], step->pending.entries[i].epoch);
    if (err != SLUICE_OK)
        return err;
    partition_set_sort(&step->kept);
    partition_set_take(&member->assigned, &step->kept);
    partition_set_fini(&member->revoking);
    member->base.state = step->waits ? MEMBER_UNRELEASED : MEMBER_STABLE;
    epoch_set(member, member->base.group->assignment_epoch);
    if (!member->is_classic)
        member->base.rebalance_deadline_ms = DUE_NEVER;
    return SLUICE_OK;
}

/* Whether there is a step to take at all. */
static bool is_due(const struct consumer_member *member, const struct partition_set *owned,
                   bool reads_less)
{
    if (member->base.state == MEMBER_UNREVOKED)
        return !still_owns(owned, &member->revoking) || reads_less;
    return member->base.state == MEMBER_UNRELEASED || reads_less ||
           member->base.epoch != member->base.group->assignment_epoch;
}

/* What it no longer subscribes to is revoked, too, while it has not given back the former. */
static sl_err revoke_more(struct consumer_member *member, struct step *step)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < member->revoking.count && err == SLUICE_OK; i++)
        err = add_entry(&step->revoked, &member->revoking.entries[i],
                        member->revoking.entries[i].epoch);
    partition_set_sort(&step->revoked);
    return err;
}

sl_err consumer_member_reconcile(struct consumer_groups *groups, struct consumer_member *member,
                                 const struct partition_set *owned, bool reads_less,
                                 bool *ret_changed)
{
    struct step step = {0};
    struct partition_set before = {0};
    int32_t epoch = member->base.epoch;
    uint8_t state = member->base.state;
    if (!is_due(member, owned, reads_less))
        return SLUICE_OK;
    bool owns_former = state == MEMBER_UNREVOKED && still_owns(owned, &member->revoking);
    sl_err err = step_make(groups, member, &step);
    err = err != SLUICE_OK ? err : partition_set_copy(&before, &member->assigned);
    if (err == SLUICE_OK && owns_former)
        err = revoke_more(member, &step);
    if (err == SLUICE_OK) {
        if (step.revoked.count != 0 && still_owns(owned, &step.revoked))
            revoke(groups, member, &step);
        else
            err = advance(member, &step);
    }
    if (err == SLUICE_OK && (state != member->base.state || epoch != member->base.epoch ||
                             !partition_set_equal(&before, &member->assigned, true))) {
        *ret_changed = *ret_changed || !partition_set_equal(&before, &member->assigned, false);
        epoch_member_moved(&groups->base, &member->base);
    }
    partition_set_fini(&before);
    step_fini(&step);
    return err;
}
