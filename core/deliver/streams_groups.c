/* streams_groups.c: groups and members of KIP-1071 as data, time, and what others ask of them
 * (streams_groups.h). */
#include "base/hash.h"
#include "deliver/streams_group.h"

#include <string.h>

static void text_fini(struct sl_bytes *text)
{
    sl_free((void *)(uintptr_t)text->data);
    *text = (struct sl_bytes){0};
}

struct sl_uuid streams_task_id(uint32_t subtopology)
{
    struct sl_uuid id = {{0}};
    sl_be32_store(id.b, subtopology); /* so that sets are in the order of subtopologies */
    return id;
}

uint32_t streams_task_subtopology(const struct sl_uuid *id)
{
    return sl_be32_load(id->b);
}

void streams_tasks_fini(struct streams_tasks *tasks)
{
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        partition_set_fini(&tasks->roles[r]);
}

bool streams_tasks_empty(const struct streams_tasks *tasks)
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        count += tasks->roles[r].count;
    return count == 0;
}

static struct streams_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct streams_group, by_name);
}

static struct streams_member *member_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct streams_member, by_id);
}

static void member_free(struct streams_member *member)
{
    struct sl_bytes *texts[] = {&member->id,          &member->rack,    &member->client_id,
                                &member->client_host, &member->process, &member->host,
                                &member->tags};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++)
        text_fini(texts[i]);
    streams_tasks_fini(&member->assigned);
    streams_tasks_fini(&member->revoking);
    streams_tasks_fini(&member->target);
    sl_free(member);
}

static void free_member(void *arg, struct chain_link *link)
{
    (void)arg;
    member_free(member_of(link));
}

static void free_group(void *arg, struct chain_link *link)
{
    struct streams_group *group = group_of(link);
    (void)arg;
    text_fini(&group->name);
    text_fini(&group->shutdown);
    streams_topology_free(group->topology);
    streams_plan_free(group->plan);
    sl_free(group);
}

struct streams_groups *streams_groups_new(const struct group_topics *topics,
                                          const struct streams_config_source *configs)
{
    struct streams_groups *groups = sl_alloc_zero(1, sizeof *groups);
    if (groups == NULL)
        return NULL;
    if (chain_map_init(&groups->groups) != SLUICE_OK ||
        chain_map_init(&groups->members) != SLUICE_OK) {
        chain_map_fini(&groups->groups);
        sl_free(groups);
        return NULL;
    }
    groups->topics = *topics;
    groups->configs = *configs;
    groups->gone_end = &groups->gone;
    sl_buffer_init(&groups->scratch, STREAMS_ITEM_MAX);
    return groups;
}

static void gone_free(struct streams_groups *groups)
{
    while (groups->gone != NULL) {
        struct consumer_gone *next = groups->gone->next;
        sl_free(groups->gone);
        groups->gone = next;
    }
    groups->gone_end = &groups->gone;
}

struct streams_groups *streams_groups_free(struct streams_groups *groups)
{
    if (groups == NULL)
        return NULL;
    chain_map_each(&groups->members, free_member, NULL);
    chain_map_each(&groups->groups, free_group, NULL);
    chain_map_fini(&groups->members);
    chain_map_fini(&groups->groups);
    due_heap_fini(&groups->due);
    gone_free(groups);
    sl_buffer_fini(&groups->scratch);
    sl_free(groups);
    return NULL;
}

/* ---- what is to be written down ---- */

void streams_group_mark(struct streams_groups *groups, struct streams_group *group)
{
    if (group->is_dirty)
        return;
    group->is_dirty = true;
    group->dirty_previous = NULL;
    group->dirty_next = groups->dirty;
    if (group->dirty_next != NULL)
        group->dirty_next->dirty_previous = group;
    groups->dirty = group;
}

static void group_unmark(struct streams_groups *groups, struct streams_group *group)
{
    if (!group->is_dirty)
        return;
    group->is_dirty = group->is_topology_dirty = false;
    *(group->dirty_previous != NULL ? &group->dirty_previous->dirty_next : &groups->dirty) =
        group->dirty_next;
    if (group->dirty_next != NULL)
        group->dirty_next->dirty_previous = group->dirty_previous;
}

void streams_group_raise(struct streams_groups *groups, struct streams_group *group)
{
    group->epoch = group->epoch == INT32_MAX ? 1 : group->epoch + 1;
    groups->rebalance_count++;
    streams_group_mark(groups, group);
}

void streams_member_mark(struct streams_groups *groups, struct streams_member *member)
{
    member->is_dirty = true;
    streams_group_mark(groups, member->group);
}

void streams_member_moved(struct streams_groups *groups, struct streams_member *member)
{
    member->is_moved = true;
    streams_group_mark(groups, member->group);
}

/* The item in `scratch`, kept until the next flush. */
static sl_err gone_add(struct streams_groups *groups, uint16_t kind)
{
    struct consumer_gone *gone = sl_alloc(sizeof *gone + groups->scratch.size);
    if (gone == NULL)
        return SLUICE_E_NO_MEMORY;
    *gone = (struct consumer_gone){.kind = kind, .size = groups->scratch.size};
    sl_bytes_copy(gone->payload, sl_buffer_bytes(&groups->scratch));
    *groups->gone_end = gone;
    groups->gone_end = &gone->next;
    return SLUICE_OK;
}

bool streams_groups_is_dirty(const struct streams_groups *groups)
{
    return groups->gone != NULL || groups->dirty != NULL;
}

struct add {
    struct streams_groups *groups;
    consumer_groups_add_fn *add;
    void *arg;
    sl_err err;
};

static sl_err add_group(struct add *add, const struct streams_group *group, bool with_topology)
{
    struct sl_buffer *scratch = &add->groups->scratch;
    sl_err err = streams_group_encode(group, false, with_topology, scratch);
    return err != SLUICE_OK ? err
                            : add->add(add->arg, WAL_ITEM_STREAMS_GROUP, STREAMS_ITEM_VERSION,
                                       sl_buffer_bytes(scratch));
}

static sl_err add_member(struct add *add, const struct streams_member *member, bool description,
                         bool tasks)
{
    struct sl_buffer *scratch = &add->groups->scratch;
    sl_err err = streams_member_encode(member, false, description, tasks, scratch);
    return err != SLUICE_OK ? err
                            : add->add(add->arg, WAL_ITEM_STREAMS_MEMBER, STREAMS_ITEM_VERSION,
                                       sl_buffer_bytes(scratch));
}

sl_err streams_groups_dirty(struct streams_groups *groups, consumer_groups_add_fn *add,
                            void *add_arg)
{
    struct add adding = {groups, add, add_arg, SLUICE_OK};
    sl_err err = SLUICE_OK;
    for (const struct consumer_gone *g = groups->gone; g != NULL && err == SLUICE_OK; g = g->next)
        err = add(add_arg, g->kind, STREAMS_ITEM_VERSION, sl_bytes_of(g->payload, g->size));
    for (const struct streams_group *g = groups->dirty; g != NULL && err == SLUICE_OK;
         g = g->dirty_next) {
        err = add_group(&adding, g, g->is_topology_dirty);
        for (const struct streams_member *m = g->first; m != NULL && err == SLUICE_OK;
             m = m->next) {
            if (m->is_dirty || m->is_moved)
                err = add_member(&adding, m, m->is_dirty, m->is_moved);
        }
    }
    return err;
}

void streams_groups_clean(struct streams_groups *groups)
{
    gone_free(groups);
    while (groups->dirty != NULL) {
        for (struct streams_member *m = groups->dirty->first; m != NULL; m = m->next)
            m->is_dirty = m->is_moved = false;
        group_unmark(groups, groups->dirty);
    }
}

static void snapshot_group(void *arg, struct chain_link *link)
{
    struct add *add = arg;
    if (add->err == SLUICE_OK)
        add->err = add_group(add, group_of(link), true);
}

static void snapshot_member(void *arg, struct chain_link *link)
{
    struct add *add = arg;
    if (add->err == SLUICE_OK)
        add->err = add_member(add, member_of(link), true, true);
}

/* Groups first: a member's item is nothing without its group's. */
sl_err streams_groups_snapshot(struct streams_groups *groups, struct consumer_groups_walk *at,
                               uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                               bool *ret_done)
{
    struct add adding = {groups, add, add_arg, SLUICE_OK};
    if (at->group != UINT32_MAX)
        at->group = chain_map_visit(&groups->groups, at->group, count, snapshot_group, &adding);
    else if (at->member != UINT32_MAX)
        at->member = chain_map_visit(&groups->members, at->member, count, snapshot_member, &adding);
    *ret_done = at->group == UINT32_MAX && at->member == UINT32_MAX;
    return adding.err;
}

/* ---- groups ---- */

static bool group_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

struct streams_group *streams_group_get(const struct streams_groups *groups, struct sl_bytes name)
{
    struct chain_link *link =
        chain_map_get(&groups->groups, sl_hash64(name.data, name.size), group_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

sl_err streams_group_add(struct streams_groups *groups, struct sl_bytes name,
                         struct streams_group **ret_group)
{
    bool changed = false;
    struct streams_group *group = sl_alloc_zero(1, sizeof *group);
    if (group == NULL || consumer_text_set(&group->name, name, &changed) != SLUICE_OK) {
        sl_free(group);
        return SLUICE_E_NO_MEMORY;
    }
    group->epoch = 1; /* so that the first member has 2, as in Kafka */
    group->ready_epoch = STREAMS_NO_EPOCH;
    group->empty_since_ms = groups->now_ms;
    group->assigned_at_ms = INT64_MIN;
    group->delayed_until_ms = INT64_MIN;
    chain_map_put(&groups->groups, &group->by_name, sl_hash64(name.data, name.size));
    streams_group_mark(groups, group);
    *ret_group = group;
    return SLUICE_OK;
}

static void member_drop(struct streams_groups *groups, struct streams_member *member)
{
    struct streams_group *group = member->group;
    *(member->previous != NULL ? &member->previous->next : &group->first) = member->next;
    *(member->next != NULL ? &member->next->previous : &group->last) = member->previous;
    if (member->host.data != NULL)
        group->endpoint_epoch++;
    if (--group->member_count == 0) {
        group->empty_since_ms = groups->now_ms;
        group->delayed_until_ms = INT64_MIN;
        text_fini(&group->shutdown);
    }
    due_heap_remove(&groups->due, &member->due);
    chain_map_remove(&groups->members, &member->by_id);
    member_free(member);
}

sl_err streams_group_remove(struct streams_groups *groups, struct streams_group *group)
{
    sl_err err = streams_group_encode(group, true, false, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, WAL_ITEM_STREAMS_GROUP);
    if (err != SLUICE_OK)
        return err;
    while (group->first != NULL)
        member_drop(groups, group->first);
    group_unmark(groups, group);
    chain_map_remove(&groups->groups, &group->by_name);
    free_group(NULL, &group->by_name);
    return SLUICE_OK;
}

/* ---- members ---- */

struct member_key {
    const struct streams_group *group;
    struct sl_bytes id;
};

static bool member_matches(const struct chain_link *link, const void *key)
{
    const struct member_key *wanted = key;
    const struct streams_member *member = member_of(link);
    return member->group == wanted->group && sl_bytes_equal(member->id, wanted->id);
}

static uint64_t member_hash(const struct streams_group *group, struct sl_bytes id)
{
    return sl_hash64_mix((uint64_t)(uintptr_t)group ^ sl_hash64(id.data, id.size));
}

struct streams_member *streams_member_get(const struct streams_groups *groups,
                                          const struct streams_group *group, struct sl_bytes id)
{
    struct member_key key = {group, id};
    struct chain_link *link =
        chain_map_get(&groups->members, member_hash(group, id), member_matches, &key);
    return link == NULL ? NULL : member_of(link);
}

sl_err streams_member_add(struct streams_groups *groups, struct streams_group *group,
                          struct sl_bytes id, struct streams_member **ret_member)
{
    bool changed = false;
    struct streams_member *member = sl_alloc_zero(1, sizeof *member);
    if (member == NULL || consumer_text_set(&member->id, id, &changed) != SLUICE_OK ||
        due_heap_add(&groups->due, &member->due) != SLUICE_OK) {
        if (member != NULL)
            member_free(member);
        return SLUICE_E_NO_MEMORY;
    }
    member->group = group;
    member->session_deadline_ms = DUE_NEVER;
    member->rebalance_deadline_ms = DUE_NEVER;
    member->rebalance_timeout_ms = -1;
    member->topology_epoch = STREAMS_NO_EPOCH;
    member->previous = group->last;
    *(group->last != NULL ? &group->last->next : &group->first) = member;
    group->last = member;
    group->member_count++;
    chain_map_put(&groups->members, &member->by_id, member_hash(group, id));
    streams_member_mark(groups, member);
    streams_member_moved(groups, member);
    *ret_member = member;
    return SLUICE_OK;
}

sl_err streams_member_remove(struct streams_groups *groups, struct streams_member *member)
{
    sl_err err = streams_member_encode(member, true, false, false, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, WAL_ITEM_STREAMS_MEMBER);
    if (err == SLUICE_OK)
        member_drop(groups, member);
    return err;
}

sl_err streams_member_fence(struct streams_groups *groups, struct streams_member *member)
{
    struct streams_group *group = member->group;
    sl_err err = streams_member_remove(groups, member);
    if (err == SLUICE_OK)
        streams_group_raise(groups, group);
    return err;
}

/* ---- time ---- */

static int64_t earliest_ms(const struct streams_member *member)
{
    return SL_MIN(member->session_deadline_ms, member->rebalance_deadline_ms);
}

void streams_member_schedule(struct streams_groups *groups, struct streams_member *member)
{
    due_heap_by(&groups->due, &member->due, earliest_ms(member));
}

static void start_member(void *arg, struct chain_link *link)
{
    struct streams_groups *groups = arg;
    struct streams_member *member = member_of(link);
    struct streams_group_config config;
    groups->configs.get(groups->configs.arg, member->group->name, &config);
    member->session_deadline_ms = groups->now_ms + config.session_timeout_ms;
    if (member->state == MEMBER_UNREVOKED)
        member->rebalance_deadline_ms = groups->now_ms + member->rebalance_timeout_ms;
    streams_member_schedule(groups, member);
}

static void start_group(void *arg, struct chain_link *link)
{
    group_of(link)->empty_since_ms = ((struct streams_groups *)arg)->now_ms;
}

void streams_groups_start(struct streams_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    chain_map_each(&groups->members, start_member, groups);
    chain_map_each(&groups->groups, start_group, groups);
}

int64_t streams_groups_next_deadline_ms(const struct streams_groups *groups)
{
    return due_heap_next_ms(&groups->due);
}

#define RETRY_MS 1000 /* of what could not be done for want of memory */

void streams_groups_tick(struct streams_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    while (due_heap_next_ms(&groups->due) <= now_ms) {
        struct streams_member *member =
            SL_CONTAINER_OF(groups->due.nodes[0], struct streams_member, due);
        int64_t due_ms = earliest_ms(member);
        if (due_ms <= now_ms) {
            groups->expired_count++;
            if (streams_member_fence(groups, member) == SLUICE_OK)
                continue;
            due_ms = now_ms + RETRY_MS;
        }
        due_heap_move(&groups->due, &member->due, due_ms);
    }
}

/* ---- what others ask ---- */

static struct streams_group *find(const struct streams_groups *groups, struct sluice_text name)
{
    return streams_group_get(groups, sl_bytes_of(name.data, (size_t)name.size));
}

bool streams_group_exists(const struct streams_groups *groups, struct sluice_text group)
{
    return find(groups, group) != NULL;
}

bool streams_group_has_members(const struct streams_groups *groups, struct sluice_text group)
{
    const struct streams_group *found = find(groups, group);
    return found != NULL && found->member_count != 0;
}

int64_t streams_group_idle_ms(const struct streams_groups *groups, struct sluice_text group,
                              int64_t now_ms)
{
    const struct streams_group *found = find(groups, group);
    return found == NULL || found->member_count != 0 ? -1 : now_ms - found->empty_since_ms;
}

sluice_status streams_group_delete(struct streams_groups *groups, struct sluice_text group)
{
    struct streams_group *found = find(groups, group);
    if (found == NULL)
        return SLUICE_E_GROUP_NOT_FOUND;
    return found->member_count != 0 ? SLUICE_E_GROUP_NOT_EMPTY
                                    : streams_group_remove(groups, found);
}

/* Place of the subtopology that reads the topic; -1: none does. */
static int32_t reader_of(const struct streams_group *group, struct sl_bytes topic)
{
    struct sluice_text name = {(const char *)topic.data, topic.size};
    const struct sluice_streams_topology *view = &group->topology->view;
    for (uint32_t i = 0; i < view->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &view->subtopologies[i];
        for (uint32_t t = 0; t < sub->source_count; t++) {
            if (streams_text_equal(sub->sources[t], name))
                return (int32_t)i;
        }
        for (uint32_t t = 0; t < sub->repartition_count; t++) {
            if (streams_text_equal(sub->repartitions[t].name, name))
                return (int32_t)i;
        }
    }
    return -1;
}

bool streams_group_subscribes(const struct streams_groups *groups, struct sluice_text group,
                              struct sl_bytes topic)
{
    const struct streams_group *found = find(groups, group);
    return found != NULL && found->member_count != 0 && found->topology != NULL &&
           reader_of(found, topic) >= 0;
}

/* Whether the member has had the partition's task since that epoch. */
static bool had_since(const struct streams_groups *groups, const struct streams_member *member,
                      const struct sluice_topic_ref *ref, uint32_t partition, int32_t epoch)
{
    const struct partition_set *sets[] = {&member->assigned.roles[STREAMS_ACTIVE],
                                          &member->revoking.roles[STREAMS_ACTIVE]};
    struct sl_bytes name = sl_bytes_of(ref->name.data, (size_t)ref->name.size);
    struct group_topic topic;
    struct sl_uuid topic_id;
    memcpy(topic_id.b, ref->id.bytes, sizeof topic_id.b);
    if (name.size == 0 && groups->topics.by_id(groups->topics.arg, &topic_id, &topic))
        name = topic.name;
    int32_t place = member->group->topology == NULL ? -1 : reader_of(member->group, name);
    struct sl_uuid id = streams_task_id((uint32_t)SL_MAX(place, 0));
    for (uint32_t s = 0; s < SL_COUNT_OF(sets) && place >= 0; s++) {
        const struct partition_entry *entry = partition_set_find(sets[s], &id, partition);
        if (entry != NULL)
            return entry->epoch <= epoch;
    }
    return false;
}

static sluice_status member_status(const struct streams_groups *groups,
                                   const struct sluice_group_identity *identity,
                                   bool is_transactional, const struct streams_member **ret_member)
{
    const struct streams_group *group = find(groups, identity->group);
    *ret_member = NULL;
    if (group == NULL || (identity->generation < 0 && group->member_count == 0))
        return SLUICE_OK;
    if (is_transactional && identity->generation < 0 && identity->member.size == 0)
        return SLUICE_OK;
    *ret_member = streams_member_get(
        groups, group, sl_bytes_of(identity->member.data, (size_t)identity->member.size));
    return *ret_member == NULL                           ? SLUICE_E_UNKNOWN_MEMBER
           : identity->generation > (*ret_member)->epoch ? SLUICE_E_STALE_MEMBER_EPOCH
                                                         : SLUICE_OK;
}

sluice_status streams_group_commit_check(const struct streams_groups *groups,
                                         const struct sluice_offset_commit *request,
                                         bool is_transactional, uint64_t metadata_bytes_max,
                                         sluice_status *ret_statuses)
{
    const struct sluice_group_identity *identity = &request->identity;
    const struct streams_member *member = NULL;
    sluice_status status = member_status(groups, identity, is_transactional, &member);
    bool is_older = status == SLUICE_OK && member != NULL && identity->generation < member->epoch;
    for (uint32_t i = 0; i < request->entry_count && is_older; i++) {
        const struct sluice_offset_commit_entry *entry = &request->entries[i];
        if (!had_since(groups, member, &entry->topic, (uint32_t)entry->partition,
                       identity->generation))
            status = SLUICE_E_STALE_MEMBER_EPOCH;
    }
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

sluice_status streams_group_fetch_check(const struct streams_groups *groups,
                                        struct sluice_text group, struct sluice_text member,
                                        int32_t epoch)
{
    const struct streams_group *found = find(groups, group);
    if (found == NULL || (member.data == NULL && epoch < 0))
        return SLUICE_OK;
    const struct streams_member *asks =
        streams_member_get(groups, found, sl_bytes_of(member.data, (size_t)member.size));
    return asks == NULL           ? SLUICE_E_UNKNOWN_MEMBER
           : epoch == asks->epoch ? SLUICE_OK
                                  : SLUICE_E_STALE_MEMBER_EPOCH;
}

void streams_groups_status_get(const struct streams_groups *groups,
                               struct group_coordinator_status *ret_status)
{
    *ret_status = (struct group_coordinator_status){.group_count = groups->groups.count,
                                                    .member_count = groups->members.count,
                                                    .rebalance_count = groups->rebalance_count,
                                                    .expired_count = groups->expired_count};
}

/* ---- views ---- */

static const char *state_of(const struct streams_group *group)
{
    if (group->member_count == 0)
        return "Empty";
    if (group->topology == NULL || group->ready_epoch != group->topology->view.epoch)
        return "NotReady";
    if (group->epoch != group->assignment_epoch)
        return "Assigning";
    for (const struct streams_member *m = group->first; m != NULL; m = m->next) {
        if (!streams_member_is_reconciled(m))
            return "Reconciling";
    }
    return "Stable";
}

static struct streams_group_view view_of(const struct streams_group *group)
{
    return (struct streams_group_view){{(const char *)group->name.data, group->name.size},
                                       state_of(group)};
}

bool streams_group_view_get(const struct streams_groups *groups, struct sluice_text group,
                            struct streams_group_view *ret_view)
{
    const struct streams_group *found = find(groups, group);
    if (found != NULL)
        *ret_view = view_of(found);
    return found != NULL;
}

struct each {
    void (*visit)(void *arg, const struct streams_group_view *view);
    void *arg;
};

static void each_group(void *arg, struct chain_link *link)
{
    const struct each *each = arg;
    const struct streams_group_view view = view_of(group_of(link));
    each->visit(each->arg, &view);
}

void streams_groups_each(const struct streams_groups *groups,
                         void (*visit)(void *arg, const struct streams_group_view *view), void *arg)
{
    struct each each = {visit, arg};
    chain_map_each(&groups->groups, each_group, &each);
}
