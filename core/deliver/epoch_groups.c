/* epoch_groups.c: birth and end of groups and members, deadlines, and what is written down. */
#include "deliver/epoch_groups.h"
#include "base/hash.h"
#include "deliver/group.h"

/* An item that says that something is gone. */
bool epoch_text_is_blank(struct sluice_text text)
{
    for (uint64_t i = 0; i < text.size; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t')
            return false;
    }
    return text.data != NULL;
}

struct epoch_gone {
    struct epoch_gone *next;
    uint16_t kind;
    size_t size;
    uint8_t payload[];
};

/* ---- texts ---- */

void epoch_text_fini(struct sl_bytes *text)
{
    sl_free((void *)(uintptr_t)text->data);
    *text = (struct sl_bytes){0};
}

sl_err epoch_text_set(struct sl_bytes *text, struct sl_bytes value, bool *ret_changed)
{
    if (text->data != NULL && sl_bytes_equal(*text, value))
        return SLUICE_OK;
    sl_err err = group_bytes_set(text, value);
    *ret_changed = *ret_changed || err == SLUICE_OK;
    return err;
}

/* ---- all groups ---- */

static struct epoch_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct epoch_group, by_name);
}

static struct epoch_member *member_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct epoch_member, by_id);
}

static void member_free(struct epoch_groups *groups, struct epoch_member *member)
{
    groups->kind->member_fini(groups, member);
    epoch_text_fini(&member->id);
    epoch_text_fini(&member->rack);
    epoch_text_fini(&member->client_id);
    epoch_text_fini(&member->client_host);
    sl_free(member);
}

static void group_free(struct epoch_groups *groups, struct epoch_group *group)
{
    if (groups->kind->group_fini != NULL)
        groups->kind->group_fini(groups, group);
    epoch_text_fini(&group->name);
    sl_free(group);
}

static void free_member(void *arg, struct chain_link *link)
{
    member_free(arg, member_of(link));
}

static void free_group(void *arg, struct chain_link *link)
{
    group_free(arg, group_of(link));
}

sl_err epoch_groups_init(struct epoch_groups *groups, const struct epoch_kind *kind,
                         const struct group_topics *topics, size_t scratch_bytes_max)
{
    *groups = (struct epoch_groups){.kind = kind, .topics = *topics};
    if (chain_map_init(&groups->groups) != SLUICE_OK ||
        chain_map_init(&groups->members) != SLUICE_OK) {
        chain_map_fini(&groups->groups);
        return SLUICE_E_NO_MEMORY;
    }
    groups->gone_end = &groups->gone;
    sl_buffer_init(&groups->scratch, scratch_bytes_max);
    return SLUICE_OK;
}

static void gone_free(struct epoch_groups *groups)
{
    while (groups->gone != NULL) {
        struct epoch_gone *gone = groups->gone;
        groups->gone = gone->next;
        sl_free(gone);
    }
    groups->gone_end = &groups->gone;
}

void epoch_groups_fini(struct epoch_groups *groups)
{
    chain_map_each(&groups->members, free_member, groups);
    chain_map_each(&groups->groups, free_group, groups);
    chain_map_fini(&groups->members);
    chain_map_fini(&groups->groups);
    due_heap_fini(&groups->due);
    gone_free(groups);
    sl_buffer_fini(&groups->scratch);
}

/* ---- what is to be written down ---- */

void epoch_group_mark(struct epoch_groups *groups, struct epoch_group *group)
{
    if (group->is_dirty)
        return;
    group->is_dirty = true;
    group->dirty_previous = NULL;
    group->dirty_next = groups->dirty_groups;
    if (group->dirty_next != NULL)
        group->dirty_next->dirty_previous = group;
    groups->dirty_groups = group;
}

static void group_unmark(struct epoch_groups *groups, struct epoch_group *group)
{
    if (!group->is_dirty)
        return;
    group->is_dirty = false;
    *(group->dirty_previous != NULL ? &group->dirty_previous->dirty_next : &groups->dirty_groups) =
        group->dirty_next;
    if (group->dirty_next != NULL)
        group->dirty_next->dirty_previous = group->dirty_previous;
}

void epoch_group_raise(struct epoch_groups *groups, struct epoch_group *group)
{
    group->epoch = group->epoch == INT32_MAX ? 1 : group->epoch + 1;
    groups->rebalance_count++;
    epoch_group_mark(groups, group);
}

static void member_list(struct epoch_groups *groups, struct epoch_member *member)
{
    if (member->is_listed)
        return;
    member->is_listed = true;
    member->dirty_previous = NULL;
    member->dirty_next = groups->dirty_members;
    if (member->dirty_next != NULL)
        member->dirty_next->dirty_previous = member;
    groups->dirty_members = member;
}

static void member_unlist(struct epoch_groups *groups, struct epoch_member *member)
{
    if (!member->is_listed)
        return;
    member->is_listed = member->is_dirty = member->is_moved = false;
    *(member->dirty_previous != NULL ? &member->dirty_previous->dirty_next
                                     : &groups->dirty_members) = member->dirty_next;
    if (member->dirty_next != NULL)
        member->dirty_next->dirty_previous = member->dirty_previous;
}

void epoch_member_mark(struct epoch_groups *groups, struct epoch_member *member)
{
    member_list(groups, member);
    member->is_dirty = true;
}

void epoch_member_moved(struct epoch_groups *groups, struct epoch_member *member)
{
    member_list(groups, member);
    member->is_moved = true;
}

/* The item in `scratch`, kept until the next flush. */
static sl_err gone_add(struct epoch_groups *groups, uint16_t kind)
{
    struct epoch_gone *gone = sl_alloc(sizeof *gone + groups->scratch.size);
    if (gone == NULL)
        return SLUICE_E_NO_MEMORY;
    *gone = (struct epoch_gone){.kind = kind, .size = groups->scratch.size};
    sl_bytes_copy(gone->payload, sl_buffer_bytes(&groups->scratch));
    *groups->gone_end = gone;
    groups->gone_end = &gone->next;
    return SLUICE_OK;
}

static sl_err member_gone_add(struct epoch_groups *groups, const struct epoch_member *member)
{
    sl_err err = groups->kind->member_gone(member, &groups->scratch);
    return err != SLUICE_OK ? err : gone_add(groups, groups->kind->member_item);
}

sl_err epoch_item_add(const struct epoch_items *items, uint16_t item)
{
    return items->add(items->arg, item, items->groups->kind->version,
                      sl_buffer_bytes(&items->groups->scratch));
}

bool epoch_groups_is_dirty(const struct epoch_groups *groups)
{
    return groups->gone != NULL || groups->dirty_groups != NULL || groups->dirty_members != NULL;
}

sl_err epoch_groups_dirty(struct epoch_groups *groups, consumer_groups_add_fn *add, void *add_arg)
{
    const struct epoch_items items = {groups, add, add_arg, false};
    const struct epoch_kind *kind = groups->kind;
    sl_err err = SLUICE_OK;
    for (const struct epoch_gone *g = groups->gone; g != NULL && err == SLUICE_OK; g = g->next)
        err = add(add_arg, g->kind, kind->version, sl_bytes_of(g->payload, g->size));
    for (const struct epoch_group *g = groups->dirty_groups; g != NULL && err == SLUICE_OK;
         g = g->dirty_next)
        err = kind->group_items(&items, g);
    for (const struct epoch_member *m = groups->dirty_members; m != NULL && err == SLUICE_OK;
         m = m->dirty_next)
        err = kind->member_items(&items, m);
    return err;
}

void epoch_groups_clean(struct epoch_groups *groups)
{
    gone_free(groups);
    while (groups->dirty_groups != NULL)
        group_unmark(groups, groups->dirty_groups);
    while (groups->dirty_members != NULL)
        member_unlist(groups, groups->dirty_members);
}

struct walk {
    struct epoch_items items;
    sl_err err;
};

static void walk_group(void *arg, struct chain_link *link)
{
    struct walk *walk = arg;
    if (walk->err == SLUICE_OK)
        walk->err = walk->items.groups->kind->group_items(&walk->items, group_of(link));
}

static void walk_member(void *arg, struct chain_link *link)
{
    struct walk *walk = arg;
    if (walk->err == SLUICE_OK)
        walk->err = walk->items.groups->kind->member_items(&walk->items, member_of(link));
}

sl_err epoch_groups_snapshot(struct epoch_groups *groups, struct consumer_groups_walk *at,
                             uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                             bool *ret_done)
{
    struct walk walk = {{groups, add, add_arg, true}, SLUICE_OK};
    if (at->group != UINT32_MAX)
        at->group = chain_map_visit(&groups->groups, at->group, count, walk_group, &walk);
    else if (at->member != UINT32_MAX)
        at->member = chain_map_visit(&groups->members, at->member, count, walk_member, &walk);
    *ret_done = at->group == UINT32_MAX && at->member == UINT32_MAX;
    return walk.err;
}

/* ---- groups ---- */

static uint64_t name_hash(struct sl_bytes name)
{
    return sl_hash64(name.data, name.size);
}

static bool name_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

struct epoch_group *epoch_group_get(const struct epoch_groups *groups, struct sl_bytes name)
{
    struct chain_link *link = chain_map_get(&groups->groups, name_hash(name), name_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

struct epoch_group *epoch_group_find(const struct epoch_groups *groups, struct sluice_text name)
{
    return epoch_group_get(groups, sl_of_text(name));
}

sl_err epoch_group_add(struct epoch_groups *groups, struct epoch_group *group, struct sl_bytes name)
{
    if (group == NULL || group_bytes_set(&group->name, name) != SLUICE_OK) {
        sl_free(group);
        return SLUICE_E_NO_MEMORY;
    }
    group->empty_since_ms = groups->now_ms;
    chain_map_put(&groups->groups, &group->by_name, name_hash(name));
    epoch_group_mark(groups, group);
    return SLUICE_OK;
}

static void member_drop(struct epoch_groups *groups, struct epoch_member *member)
{
    struct epoch_group *group = member->group;
    *(member->previous != NULL ? &member->previous->next : &group->first) = member->next;
    *(member->next != NULL ? &member->next->previous : &group->last) = member->previous;
    if (--group->member_count == 0)
        group->empty_since_ms = groups->now_ms;
    if (groups->kind->member_left != NULL)
        groups->kind->member_left(groups, member);
    member_unlist(groups, member);
    due_heap_remove(&groups->due, &member->due);
    chain_map_remove(&groups->members, &member->by_id);
    member_free(groups, member);
}

sl_err epoch_group_remove(struct epoch_groups *groups, struct epoch_group *group)
{
    sl_err err = groups->kind->group_gone(group, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, groups->kind->group_item);
    if (err != SLUICE_OK)
        return err;
    while (group->first != NULL)
        member_drop(groups, group->first);
    group_unmark(groups, group);
    chain_map_remove(&groups->groups, &group->by_name);
    group_free(groups, group);
    return SLUICE_OK;
}

bool epoch_group_has_members(const struct epoch_groups *groups, struct sluice_text name)
{
    const struct epoch_group *found = epoch_group_find(groups, name);
    return found != NULL && found->member_count != 0;
}

int64_t epoch_group_idle_ms(const struct epoch_groups *groups, struct sluice_text name,
                            int64_t now_ms)
{
    const struct epoch_group *found = epoch_group_find(groups, name);
    return found == NULL || found->member_count != 0 ? -1 : now_ms - found->empty_since_ms;
}

sluice_status epoch_group_delete(struct epoch_groups *groups, struct sluice_text name)
{
    struct epoch_group *found = epoch_group_find(groups, name);
    if (found == NULL)
        return SLUICE_E_GROUP_NOT_FOUND;
    return found->member_count != 0 ? SLUICE_E_GROUP_NOT_EMPTY : epoch_group_remove(groups, found);
}

sluice_status epoch_group_commit_entries(const struct sluice_offset_commit *request,
                                         sluice_status status, uint64_t metadata_bytes_max,
                                         sluice_status *ret_statuses)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        const struct sluice_offset_commit_entry *entry = &request->entries[i];
        ret_statuses[i] = status != SLUICE_OK ? status
                          : entry->offset < 0 ? SLUICE_E_INVALID_REQUEST
                          : entry->metadata.size > metadata_bytes_max
                              ? SLUICE_E_OFFSET_METADATA_TOO_LARGE
                              : SLUICE_OK;
    }
    return status;
}

/* ---- members ---- */

struct member_key {
    const struct epoch_group *group;
    struct sl_bytes id;
};

static bool member_matches(const struct chain_link *link, const void *key)
{
    const struct member_key *wanted = key;
    const struct epoch_member *member = member_of(link);
    return member->group == wanted->group && sl_bytes_equal(member->id, wanted->id);
}

static uint64_t member_hash(const struct epoch_group *group, struct sl_bytes id)
{
    return sl_hash64_mix((uint64_t)(uintptr_t)group ^ sl_hash64(id.data, id.size));
}

struct epoch_member *epoch_member_get(const struct epoch_groups *groups,
                                      const struct epoch_group *group, struct sl_bytes id)
{
    struct member_key key = {group, id};
    struct chain_link *link =
        chain_map_get(&groups->members, member_hash(group, id), member_matches, &key);
    return link == NULL ? NULL : member_of(link);
}

sl_err epoch_member_add(struct epoch_groups *groups, struct epoch_group *group,
                        struct epoch_member *member, struct sl_bytes id)
{
    if (member == NULL || group_bytes_set(&member->id, id) != SLUICE_OK ||
        due_heap_add(&groups->due, &member->due) != SLUICE_OK) {
        if (member != NULL)
            member_free(groups, member);
        return SLUICE_E_NO_MEMORY;
    }
    member->group = group;
    member->session_deadline_ms = DUE_NEVER;
    member->rebalance_deadline_ms = DUE_NEVER;
    member->rebalance_timeout_ms = -1;
    member->previous = group->last;
    *(group->last != NULL ? &group->last->next : &group->first) = member;
    group->last = member;
    group->member_count++;
    chain_map_put(&groups->members, &member->by_id, member_hash(group, id));
    epoch_member_mark(groups, member);
    epoch_member_moved(groups, member);
    return SLUICE_OK;
}

sl_err epoch_member_remove(struct epoch_groups *groups, struct epoch_member *member)
{
    sl_err err = member_gone_add(groups, member);
    if (err == SLUICE_OK)
        member_drop(groups, member);
    return err;
}

sl_err epoch_member_rename(struct epoch_groups *groups, struct epoch_member *member,
                           struct sl_bytes id)
{
    struct sl_bytes copy = {0};
    sl_err err = group_bytes_set(&copy, id);
    err = err != SLUICE_OK ? err : member_gone_add(groups, member);
    if (err != SLUICE_OK) {
        epoch_text_fini(&copy);
        return err;
    }
    chain_map_remove(&groups->members, &member->by_id);
    epoch_text_fini(&member->id);
    member->id = copy;
    chain_map_put(&groups->members, &member->by_id, member_hash(member->group, copy));
    epoch_member_mark(groups, member);
    epoch_member_moved(groups, member);
    return SLUICE_OK;
}

void epoch_member_schedule(struct epoch_groups *groups, struct epoch_member *member)
{
    due_heap_by(&groups->due, &member->due, groups->kind->earliest_ms(member));
}

/* ---- time ---- */

static void start_member(void *arg, struct chain_link *link)
{
    struct epoch_groups *groups = arg;
    groups->kind->member_start(groups, member_of(link));
    epoch_member_schedule(groups, member_of(link));
}

static void start_group(void *arg, struct chain_link *link)
{
    group_of(link)->empty_since_ms = ((struct epoch_groups *)arg)->now_ms;
}

int32_t epoch_heartbeat_ms(int32_t interval_ms, int32_t session_timeout_ms)
{
    return interval_ms < session_timeout_ms ? interval_ms : SL_MAX(session_timeout_ms / 3, 1);
}

void epoch_groups_start(struct epoch_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    chain_map_each(&groups->members, start_member, groups);
    chain_map_each(&groups->groups, start_group, groups);
}

#define RETRY_MS 1000 /* of what could not be done for want of memory */

void epoch_groups_tick(struct epoch_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    while (due_heap_next_ms(&groups->due) <= now_ms) {
        struct epoch_member *member =
            SL_CONTAINER_OF(groups->due.nodes[0], struct epoch_member, due);
        int64_t due_ms = groups->kind->earliest_ms(member);
        if (due_ms <= now_ms) {
            groups->expired_count++;
            if (groups->kind->member_fence(groups, member) == SLUICE_OK)
                continue;
            due_ms = now_ms + RETRY_MS;
        }
        due_heap_move(&groups->due, &member->due, due_ms);
    }
}

/* ---- what is shown ---- */

void epoch_groups_status_get(const struct epoch_groups *groups,
                             struct group_coordinator_status *ret_status)
{
    *ret_status = (struct group_coordinator_status){.group_count = groups->groups.count,
                                                    .member_count = groups->members.count,
                                                    .rebalance_count = groups->rebalance_count,
                                                    .expired_count = groups->expired_count};
}

bool epoch_member_is_reconciled(const struct epoch_member *member)
{
    return member->state == MEMBER_STABLE && member->epoch == member->group->assignment_epoch;
}

const char *epoch_group_state(const struct epoch_group *group)
{
    if (group->member_count == 0)
        return "Empty";
    if (group->epoch != group->assignment_epoch)
        return "Assigning";
    for (const struct epoch_member *m = group->first; m != NULL; m = m->next) {
        if (!epoch_member_is_reconciled(m))
            return "Reconciling";
    }
    return "Stable";
}
