/* group_due.c: a binary heap of groups by the time they must be looked at.
 *
 * due_ms may be earlier than the earliest deadline, never later: a heartbeat moves a deadline back
 * without touching the heap; the look then finds nothing and puts it right. */
#include "deliver/group.h"

static void put(struct group_coordinator *coordinator, struct group *group, uint32_t index)
{
    coordinator->due[index] = group;
    group->due_index = index;
}

static void sift_up(struct group_coordinator *coordinator, struct group *group)
{
    uint32_t index = group->due_index;
    while (index > 0 && coordinator->due[(index - 1) / 2]->due_ms > group->due_ms) {
        put(coordinator, coordinator->due[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    put(coordinator, group, index);
}

static void sift_down(struct group_coordinator *coordinator, struct group *group)
{
    uint32_t index = group->due_index;
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= coordinator->due_count)
            break;
        if (child + 1 < coordinator->due_count &&
            coordinator->due[child + 1]->due_ms < coordinator->due[child]->due_ms)
            child++;
        if (coordinator->due[child]->due_ms >= group->due_ms)
            break;
        put(coordinator, coordinator->due[child], index);
        index = child;
    }
    put(coordinator, group, index);
}

sl_err group_due_add(struct group_coordinator *coordinator, struct group *group)
{
    if (coordinator->due_count == coordinator->due_capacity) {
        uint32_t capacity = SL_MAX(16u, coordinator->due_capacity * 2);
        struct group **due = sl_realloc(coordinator->due, capacity * sizeof(struct group *));
        if (due == NULL)
            return SLUICE_E_NO_MEMORY;
        coordinator->due = due;
        coordinator->due_capacity = capacity;
    }
    group->due_ms = GROUP_NEVER;
    put(coordinator, group, coordinator->due_count++);
    return SLUICE_OK;
}

void group_due_remove(struct group_coordinator *coordinator, struct group *group)
{
    uint32_t index = group->due_index;
    SL_ASSERT(coordinator->due[index] == group);
    struct group *moved = coordinator->due[--coordinator->due_count];
    if (moved == group)
        return;
    put(coordinator, moved, index);
    sift_up(coordinator, moved);
    sift_down(coordinator, moved);
}

void group_due_by(struct group_coordinator *coordinator, struct group *group, int64_t deadline_ms)
{
    if (deadline_ms < group->due_ms) {
        group->due_ms = deadline_ms;
        sift_up(coordinator, group);
    }
}

void group_due_update(struct group_coordinator *coordinator, struct group *group)
{
    int64_t due_ms = SL_MIN(group->join_deadline_ms, group->sync_deadline_ms);
    for (const struct group_member *m = group->first; m != NULL; m = m->next)
        due_ms = SL_MIN(due_ms, m->deadline_ms);
    for (const struct group_pending *p = group->pending; p != NULL; p = p->next)
        due_ms = SL_MIN(due_ms, p->deadline_ms);
    group->due_ms = due_ms;
    sift_up(coordinator, group);
    sift_down(coordinator, group);
}
