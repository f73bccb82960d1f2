/* group.c: groups in the coordinator's maps, and what their members have in common. */
#include "deliver/group.h"

#include "base/hash.h"

static struct group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct group, by_name);
}

static bool name_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

static uint64_t name_hash(struct sl_bytes name)
{
    return sl_hash64(name.data, name.size);
}

struct group *group_get(const struct group_coordinator *coordinator, struct sl_bytes name)
{
    struct chain_link *link =
        chain_map_get(&coordinator->groups, name_hash(name), name_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

sl_err group_bytes_set(struct sl_bytes *bytes, struct sl_bytes value)
{
    char *copy = sl_strdup_bytes(value.data, value.size);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    sl_free((void *)(uintptr_t)bytes->data);
    *bytes = sl_bytes_of(copy, value.size);
    return SLUICE_OK;
}

void group_idle_enter(struct group_coordinator *coordinator, struct group *group, int64_t now_ms)
{
    group->empty_since_ms = now_ms;
    group->idle_previous = coordinator->idle_last;
    group->idle_next = NULL;
    *(coordinator->idle_last != NULL ? &coordinator->idle_last->idle_next
                                     : &coordinator->idle_first) = group;
    coordinator->idle_last = group;
}

void group_idle_leave(struct group_coordinator *coordinator, struct group *group)
{
    *(group->idle_previous != NULL ? &group->idle_previous->idle_next : &coordinator->idle_first) =
        group->idle_next;
    *(group->idle_next != NULL ? &group->idle_next->idle_previous : &coordinator->idle_last) =
        group->idle_previous;
    group->idle_previous = NULL;
    group->idle_next = NULL;
}

/* Room for one more, where the bound is reached: the group that is empty longest goes. */
static sl_err room_make(struct group_coordinator *coordinator)
{
    if (coordinator->groups.count < coordinator->config.groups_max)
        return SLUICE_OK;
    struct group *group = coordinator->idle_first;
    while (group != NULL && group->pending_count != 0)
        group = group->idle_next;
    if (group == NULL)
        return SLUICE_E_LIMIT;
    coordinator->since_ms = SL_MAX(coordinator->since_ms, group->empty_since_ms);
    group_remove(coordinator, group);
    return SLUICE_OK;
}

sl_err group_add(struct group_coordinator *coordinator, struct sl_bytes name, int64_t now_ms,
                 struct group **ret_group)
{
    sl_err err = room_make(coordinator);
    if (err != SLUICE_OK)
        return err;
    struct group *group = sl_alloc_zero(1, sizeof *group);
    if (group == NULL)
        return SLUICE_E_NO_MEMORY;
    group->state = GROUP_EMPTY;
    group->join_deadline_ms = GROUP_NEVER;
    group->sync_deadline_ms = GROUP_NEVER;
    if (group_bytes_set(&group->name, name) != SLUICE_OK ||
        group_due_add(coordinator, group) != SLUICE_OK) {
        sl_free((void *)(uintptr_t)group->name.data);
        sl_free(group);
        return SLUICE_E_NO_MEMORY;
    }
    chain_map_put(&coordinator->groups, &group->by_name, name_hash(name));
    group_idle_enter(coordinator, group, now_ms);
    *ret_group = group;
    return SLUICE_OK;
}

void group_remove(struct group_coordinator *coordinator, struct group *group)
{
    while (group->pending != NULL)
        group_pending_remove(group, &group->pending);
    while (group->first != NULL)
        group_member_remove(coordinator, group->first);
    if (group->state == GROUP_EMPTY)
        group_idle_leave(coordinator, group);
    group_due_remove(coordinator, group);
    chain_map_remove(&coordinator->groups, &group->by_name);
    sl_free((void *)(uintptr_t)group->name.data);
    sl_free((void *)(uintptr_t)group->protocol_type.data);
    sl_free((void *)(uintptr_t)group->protocol.data);
    sl_free(group);
}

static bool member_knows(const struct group_member *member, struct sl_bytes protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        if (sl_bytes_equal(member->protocols[i].name, protocol))
            return true;
    }
    return false;
}

static bool all_know(const struct group *group, struct sl_bytes protocol)
{
    for (const struct group_member *m = group->first; m != NULL; m = m->next) {
        if (!member_knows(m, protocol))
            return false;
    }
    return true;
}

bool group_supports(const struct group *group, struct sl_bytes protocol_type,
                    const struct sluice_group_protocol *protocols, uint32_t count)
{
    if (group->member_count == 0)
        return protocol_type.size != 0 && count != 0;
    if (!sl_bytes_equal(group->protocol_type, protocol_type))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (all_know(group, sl_of_text(protocols[i].name)))
            return true;
    }
    return false;
}

struct sl_bytes group_protocol_select(const struct group *group)
{
    struct sl_bytes candidates[GROUP_PROTOCOLS_MAX];
    uint32_t votes[GROUP_PROTOCOLS_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->first->protocol_count; i++) {
        if (all_know(group, group->first->protocols[i].name))
            candidates[count++] = group->first->protocols[i].name;
    }
    SL_ASSERT(count > 0);
    for (const struct group_member *m = group->first; m != NULL; m = m->next) {
        bool voted = false;
        for (uint32_t i = 0; i < m->protocol_count && !voted; i++) {
            for (uint32_t c = 0; c < count && !voted; c++) {
                voted = sl_bytes_equal(candidates[c], m->protocols[i].name);
                votes[c] += voted;
            }
        }
    }
    uint32_t best = 0;
    for (uint32_t c = 1; c < count; c++)
        best = votes[c] > votes[best] ? c : best;
    return candidates[best];
}

int32_t group_rebalance_timeout_ms(const struct group *group)
{
    int32_t timeout_ms = 1;
    for (const struct group_member *m = group->first; m != NULL; m = m->next)
        timeout_ms = SL_MAX(timeout_ms, m->rebalance_timeout_ms);
    return timeout_ms;
}
