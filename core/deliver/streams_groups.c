/* streams_groups.c: groups and members of KIP-1071 as data, time, and what others ask of them
 * (streams_groups.h). */
#include "deliver/streams_group.h"

#include <string.h>

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

static const struct streams_group *as_group(const struct epoch_group *group)
{
    return SL_CONTAINER_OF(group, const struct streams_group, base);
}

static const struct streams_member *as_member(const struct epoch_member *member)
{
    return SL_CONTAINER_OF(member, const struct streams_member, base);
}

static void member_fini(struct epoch_groups *groups, struct epoch_member *base)
{
    struct streams_member *member = streams_member_of(base);
    (void)groups;
    epoch_text_fini(&member->process);
    epoch_text_fini(&member->host);
    epoch_text_fini(&member->tags);
    streams_tasks_fini(&member->assigned);
    streams_tasks_fini(&member->revoking);
    streams_tasks_fini(&member->target);
}

static void group_fini(struct epoch_groups *groups, struct epoch_group *base)
{
    struct streams_group *group = SL_CONTAINER_OF(base, struct streams_group, base);
    (void)groups;
    epoch_text_fini(&group->shutdown);
    streams_topology_free(group->topology);
    streams_plan_free(group->plan);
}

static const struct epoch_kind streams_kind;

struct streams_groups *streams_groups_new(const struct group_topics *topics,
                                          const struct streams_config_source *configs)
{
    struct streams_groups *groups = sl_alloc_zero(1, sizeof *groups);
    if (groups == NULL)
        return NULL;
    if (epoch_groups_init(&groups->base, &streams_kind, topics, STREAMS_ITEM_MAX) != SLUICE_OK) {
        sl_free(groups);
        return NULL;
    }
    groups->configs = *configs;
    return groups;
}

struct streams_groups *streams_groups_free(struct streams_groups *groups)
{
    if (groups == NULL)
        return NULL;
    epoch_groups_fini(&groups->base);
    sl_free(groups);
    return NULL;
}

/* ---- what is to be written down ---- */

static sl_err group_gone(const struct epoch_group *group, struct sl_buffer *ret_payload)
{
    return streams_group_encode(as_group(group), true, false, ret_payload);
}

static sl_err member_gone(const struct epoch_member *member, struct sl_buffer *ret_payload)
{
    return streams_member_encode(as_member(member), true, false, false, ret_payload);
}

static sl_err group_items(const struct epoch_items *items, const struct epoch_group *group)
{
    bool with_topology = items->is_whole || as_group(group)->is_topology_dirty;
    sl_err err =
        streams_group_encode(as_group(group), false, with_topology, &items->groups->scratch);
    return err != SLUICE_OK ? err : epoch_item_add(items, WAL_ITEM_STREAMS_GROUP);
}

static sl_err member_items(const struct epoch_items *items, const struct epoch_member *member)
{
    sl_err err =
        streams_member_encode(as_member(member), false, items->is_whole || member->is_dirty,
                              items->is_whole || member->is_moved, &items->groups->scratch);
    return err != SLUICE_OK ? err : epoch_item_add(items, WAL_ITEM_STREAMS_MEMBER);
}

bool streams_groups_is_dirty(const struct streams_groups *groups)
{
    return epoch_groups_is_dirty(&groups->base);
}

sl_err streams_groups_dirty(struct streams_groups *groups, consumer_groups_add_fn *add,
                            void *add_arg)
{
    return epoch_groups_dirty(&groups->base, add, add_arg);
}

void streams_groups_clean(struct streams_groups *groups)
{
    for (struct epoch_group *g = groups->base.dirty_groups; g != NULL; g = g->dirty_next)
        SL_CONTAINER_OF(g, struct streams_group, base)->is_topology_dirty = false;
    epoch_groups_clean(&groups->base);
}

sl_err streams_groups_snapshot(struct streams_groups *groups, struct consumer_groups_walk *at,
                               uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                               bool *ret_done)
{
    return epoch_groups_snapshot(&groups->base, at, count, add, add_arg, ret_done);
}

/* ---- groups and members ---- */

struct streams_group *streams_group_get(const struct streams_groups *groups, struct sl_bytes name)
{
    struct epoch_group *found = epoch_group_get(&groups->base, name);
    return found == NULL ? NULL : SL_CONTAINER_OF(found, struct streams_group, base);
}

sl_err streams_group_add(struct streams_groups *groups, struct sl_bytes name,
                         struct streams_group **ret_group)
{
    struct streams_group *group = sl_alloc_zero(1, sizeof *group);
    if (group != NULL) {
        group->base.epoch = 1; /* so that the first member has 2, as in Kafka */
        group->ready_epoch = STREAMS_NO_EPOCH;
        group->assigned_at_ms = INT64_MIN;
        group->delayed_until_ms = INT64_MIN;
    }
    sl_err err = epoch_group_add(&groups->base, group == NULL ? NULL : &group->base, name);
    if (err == SLUICE_OK)
        *ret_group = group;
    return err;
}

static void member_left(struct epoch_groups *groups, struct epoch_member *member)
{
    struct streams_group *group = streams_group_of(as_member(member));
    (void)groups;
    if (as_member(member)->host.data != NULL)
        group->endpoint_epoch++;
    if (group->base.member_count == 0) {
        group->delayed_until_ms = INT64_MIN;
        epoch_text_fini(&group->shutdown);
    }
}

struct streams_member *streams_member_get(const struct streams_groups *groups,
                                          const struct streams_group *group, struct sl_bytes id)
{
    return streams_member_of(epoch_member_get(&groups->base, &group->base, id));
}

sl_err streams_member_add(struct streams_groups *groups, struct streams_group *group,
                          struct sl_bytes id, struct streams_member **ret_member)
{
    struct streams_member *member = sl_alloc_zero(1, sizeof *member);
    if (member != NULL)
        member->topology_epoch = STREAMS_NO_EPOCH;
    sl_err err =
        epoch_member_add(&groups->base, &group->base, member == NULL ? NULL : &member->base, id);
    if (err == SLUICE_OK)
        *ret_member = member;
    return err;
}

sl_err streams_member_fence(struct streams_groups *groups, struct streams_member *member)
{
    struct epoch_group *group = member->base.group;
    sl_err err = epoch_member_remove(&groups->base, &member->base);
    if (err == SLUICE_OK)
        epoch_group_raise(&groups->base, group);
    return err;
}

/* ---- time ---- */

static int64_t earliest_ms(const struct epoch_member *member)
{
    return SL_MIN(member->session_deadline_ms, member->rebalance_deadline_ms);
}

static void member_start(struct epoch_groups *base, struct epoch_member *member)
{
    const struct streams_groups *groups = SL_CONTAINER_OF(base, struct streams_groups, base);
    struct streams_group_config config;
    groups->configs.get(groups->configs.arg, member->group->name, &config);
    member->session_deadline_ms = base->now_ms + config.session_timeout_ms;
    if (member->state == MEMBER_UNREVOKED)
        member->rebalance_deadline_ms = base->now_ms + member->rebalance_timeout_ms;
}

static sl_err member_fence(struct epoch_groups *groups, struct epoch_member *member)
{
    return streams_member_fence(SL_CONTAINER_OF(groups, struct streams_groups, base),
                                streams_member_of(member));
}

static const struct epoch_kind streams_kind = {
    .group_item = WAL_ITEM_STREAMS_GROUP,
    .member_item = WAL_ITEM_STREAMS_MEMBER,
    .version = STREAMS_ITEM_VERSION,
    .group_fini = group_fini,
    .member_fini = member_fini,
    .group_gone = group_gone,
    .member_gone = member_gone,
    .group_items = group_items,
    .member_items = member_items,
    .member_left = member_left,
    .earliest_ms = earliest_ms,
    .member_start = member_start,
    .member_fence = member_fence,
};

void streams_groups_start(struct streams_groups *groups, int64_t now_ms)
{
    epoch_groups_start(&groups->base, now_ms);
}

int64_t streams_groups_next_deadline_ms(const struct streams_groups *groups)
{
    return due_heap_next_ms(&groups->base.due);
}

void streams_groups_tick(struct streams_groups *groups, int64_t now_ms)
{
    epoch_groups_tick(&groups->base, now_ms);
}

/* ---- what others ask ---- */

static struct streams_group *find(const struct streams_groups *groups, struct sluice_text name)
{
    return streams_group_get(groups, sl_of_text(name));
}

bool streams_group_exists(const struct streams_groups *groups, struct sluice_text group)
{
    return epoch_group_find(&groups->base, group) != NULL;
}

bool streams_group_has_members(const struct streams_groups *groups, struct sluice_text group)
{
    return epoch_group_has_members(&groups->base, group);
}

int64_t streams_group_idle_ms(const struct streams_groups *groups, struct sluice_text group,
                              int64_t now_ms)
{
    return epoch_group_idle_ms(&groups->base, group, now_ms);
}

sluice_status streams_group_delete(struct streams_groups *groups, struct sluice_text group)
{
    return epoch_group_delete(&groups->base, group);
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
    return found != NULL && found->base.member_count != 0 && found->topology != NULL &&
           reader_of(found, topic) >= 0;
}

/* Whether the member has had the partition's task since that epoch. */
static bool had_since(const struct streams_groups *groups, const struct streams_member *member,
                      const struct sluice_topic_ref *ref, uint32_t partition, int32_t epoch)
{
    const struct partition_set *sets[] = {&member->assigned.roles[STREAMS_ACTIVE],
                                          &member->revoking.roles[STREAMS_ACTIVE]};
    struct sl_bytes name = sl_of_text(ref->name);
    struct group_topic topic;
    struct sl_uuid topic_id;
    memcpy(topic_id.b, ref->id.bytes, sizeof topic_id.b);
    if (name.size == 0 && groups->base.topics.by_id(groups->base.topics.arg, &topic_id, &topic))
        name = topic.name;
    const struct streams_group *group = streams_group_of(member);
    int32_t place = group->topology == NULL ? -1 : reader_of(group, name);
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
    if (group == NULL || (identity->generation < 0 && group->base.member_count == 0))
        return SLUICE_OK;
    if (is_transactional && identity->generation < 0 && identity->member.size == 0)
        return SLUICE_OK;
    *ret_member = streams_member_get(groups, group, sl_of_text(identity->member));
    return *ret_member == NULL                                ? SLUICE_E_UNKNOWN_MEMBER
           : identity->generation > (*ret_member)->base.epoch ? SLUICE_E_STALE_MEMBER_EPOCH
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
    bool is_older =
        status == SLUICE_OK && member != NULL && identity->generation < member->base.epoch;
    for (uint32_t i = 0; i < request->entry_count && is_older; i++) {
        const struct sluice_offset_commit_entry *entry = &request->entries[i];
        if (!had_since(groups, member, &entry->topic, (uint32_t)entry->partition,
                       identity->generation))
            status = SLUICE_E_STALE_MEMBER_EPOCH;
    }
    return epoch_group_commit_entries(request, status, metadata_bytes_max, ret_statuses);
}

sluice_status streams_group_fetch_check(const struct streams_groups *groups,
                                        struct sluice_text group, struct sluice_text member,
                                        int32_t epoch)
{
    const struct streams_group *found = find(groups, group);
    if (found == NULL || (member.data == NULL && epoch < 0))
        return SLUICE_OK;
    const struct streams_member *asks = streams_member_get(groups, found, sl_of_text(member));
    return asks == NULL                ? SLUICE_E_UNKNOWN_MEMBER
           : epoch == asks->base.epoch ? SLUICE_OK
                                       : SLUICE_E_STALE_MEMBER_EPOCH;
}

void streams_groups_status_get(const struct streams_groups *groups,
                               struct group_coordinator_status *ret_status)
{
    epoch_groups_status_get(&groups->base, ret_status);
}

/* ---- views ---- */

static const char *state_of(const struct streams_group *group)
{
    bool is_ready = group->topology != NULL && group->ready_epoch == group->topology->view.epoch;
    return group->base.member_count == 0 || is_ready ? epoch_group_state(&group->base) : "NotReady";
}

static struct streams_group_view view_of(const struct streams_group *group)
{
    return (struct streams_group_view){{(const char *)group->base.name.data, group->base.name.size},
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
    const struct epoch_group *group = SL_CONTAINER_OF(link, struct epoch_group, by_name);
    const struct streams_group_view view = view_of(as_group(group));
    each->visit(each->arg, &view);
}

void streams_groups_each(const struct streams_groups *groups,
                         void (*visit)(void *arg, const struct streams_group_view *view), void *arg)
{
    struct each each = {visit, arg};
    chain_map_each(&groups->base.groups, each_group, &each);
}
