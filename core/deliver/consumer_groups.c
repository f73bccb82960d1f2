/* consumer_groups.c: groups and members of KIP-848 as data, and what others ask of them
 * (consumer_groups.h). */
#include "deliver/consumer_group.h"

#include <stdlib.h>

#define SCRATCH_BYTES_MAX (16u << 20) /* of one item */

/* ---- texts ---- */

static int compare_names(const void *a, const void *b)
{
    const struct sl_bytes *x = a, *y = b;
    size_t common = SL_MIN(x->size, y->size);
    int order = common == 0 ? 0 : memcmp(x->data, y->data, common);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

void name_list_fini(struct name_list *list)
{
    sl_free(list->names);
    *list = (struct name_list){0};
}

static void name_list_sort(struct name_list *list)
{
    uint32_t kept = 0;
    qsort(list->names, list->count, sizeof *list->names, compare_names);
    for (uint32_t i = 1; i < list->count; i++) {
        if (!sl_bytes_equal(list->names[kept], list->names[i]))
            list->names[++kept] = list->names[i];
    }
    list->count = list->count == 0 ? 0 : kept + 1;
}

sl_err name_list_set(struct name_list *list, const struct sluice_text *names, uint32_t count,
                     bool *ret_changed)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += (size_t)names[i].size;
    struct name_list made = {.names = sl_alloc(count * sizeof *made.names + size + 1)};
    if (made.names == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *at = (uint8_t *)(made.names + count);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_bytes name = sl_of_text(names[i]);
        sl_bytes_copy(at, name);
        made.names[made.count++] = sl_bytes_of(at, name.size);
        at += name.size;
    }
    name_list_sort(&made);
    bool same = made.count == list->count;
    for (uint32_t i = 0; same && i < made.count; i++)
        same = sl_bytes_equal(made.names[i], list->names[i]);
    *ret_changed = *ret_changed || !same;
    name_list_fini(list);
    *list = made;
    return SLUICE_OK;
}

bool name_list_has(const struct name_list *list, struct sl_bytes name)
{
    return list->count != 0 &&
           bsearch(&name, list->names, list->count, sizeof name, compare_names) != NULL;
}

sl_err consumer_protocols_set(struct consumer_member *member,
                              const struct sluice_group_protocol *protocols, uint32_t count)
{
    struct group_protocol *copy = group_protocols_copy(protocols, count);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    sl_free(member->protocols);
    member->protocols = copy;
    member->protocol_count = count;
    return SLUICE_OK;
}

/* ---- all groups ---- */

static const struct epoch_kind consumer_kind;

struct consumer_groups *consumer_groups_new(const struct consumer_group_config *config,
                                            const struct group_topics *topics,
                                            struct group_coordinator *classic,
                                            const uint64_t seed[2])
{
    struct consumer_groups *groups = sl_alloc_zero(1, sizeof *groups);
    if (groups == NULL)
        return NULL;
    if (epoch_groups_init(&groups->base, &consumer_kind, topics, SCRATCH_BYTES_MAX) != SLUICE_OK) {
        sl_free(groups);
        return NULL;
    }
    consumer_groups_configure(groups, config);
    groups->classic = classic;
    groups->random[0] = seed[0];
    groups->random[1] = seed[1];
    return groups;
}

struct consumer_groups *consumer_groups_free(struct consumer_groups *groups)
{
    if (groups == NULL)
        return NULL;
    epoch_groups_fini(&groups->base);
    SL_ASSERT(groups->patterns == NULL);
    sl_free(groups);
    return NULL;
}

void consumer_groups_configure(struct consumer_groups *groups,
                               const struct consumer_group_config *config)
{
    groups->config = *config;
    if (config->session_timeout_ms <= 0)
        groups->config.session_timeout_ms = 45000;
    if (config->heartbeat_interval_ms <= 0)
        groups->config.heartbeat_interval_ms = 5000;
    if (config->members_max == 0)
        groups->config.members_max = UINT32_MAX;
    if (config->groups_max == 0)
        groups->config.groups_max = 100000;
    groups->config.assignor = SL_MIN(config->assignor, assignor_count - 1);
}

void consumer_groups_ask(struct consumer_groups *groups, const struct consumer_group_asks *asks)
{
    groups->asks = *asks;
}

/* What is in force. */
struct consumer_group_own consumer_group_own_of(const struct consumer_groups *groups,
                                                const struct consumer_group *group)
{
    const struct consumer_group_config *config = &groups->config;
    struct consumer_group_own own = {-1, -1, -1};
    if (groups->asks.own != NULL)
        groups->asks.own(groups->asks.arg, group->base.name, &own);
    if (own.session_timeout_ms < 0)
        own.session_timeout_ms = config->session_timeout_ms;
    if (own.heartbeat_interval_ms < 0)
        own.heartbeat_interval_ms = config->heartbeat_interval_ms;
    if (own.assignment_interval_ms < 0)
        own.assignment_interval_ms = config->assignment_interval_ms;
    own.heartbeat_interval_ms =
        epoch_heartbeat_ms(own.heartbeat_interval_ms, own.session_timeout_ms);
    return own;
}

static struct consumer_groups *groups_of(struct epoch_groups *groups)
{
    return SL_CONTAINER_OF(groups, struct consumer_groups, base);
}

static void member_fini(struct epoch_groups *groups, struct epoch_member *base)
{
    struct consumer_member *member = consumer_member_of(base);
    epoch_text_fini(&member->instance);
    epoch_text_fini(&member->assignor);
    name_list_fini(&member->topics);
    partition_set_fini(&member->assigned);
    partition_set_fini(&member->revoking);
    partition_set_fini(&member->target);
    if (member->pattern != NULL)
        consumer_pattern_drop(groups_of(groups), member->pattern);
    sl_free(member->protocols);
}

/* ---- what is to be written down ---- */

static const struct consumer_group *as_group(const struct epoch_group *group)
{
    return SL_CONTAINER_OF(group, const struct consumer_group, base);
}

static const struct consumer_member *as_member(const struct epoch_member *member)
{
    return SL_CONTAINER_OF(member, const struct consumer_member, base);
}

static sl_err group_gone(const struct epoch_group *group, struct sl_buffer *ret_payload)
{
    return consumer_group_encode(as_group(group), true, ret_payload);
}

static sl_err member_gone(const struct epoch_member *member, struct sl_buffer *ret_payload)
{
    return consumer_member_encode(as_member(member), true, ret_payload);
}

static sl_err group_items(const struct epoch_items *items, const struct epoch_group *group)
{
    sl_err err = consumer_group_encode(as_group(group), false, &items->groups->scratch);
    return err != SLUICE_OK ? err : epoch_item_add(items, WAL_ITEM_GROUP);
}

static sl_err member_items(const struct epoch_items *items, const struct epoch_member *member)
{
    struct sl_buffer *scratch = &items->groups->scratch;
    sl_err err = SLUICE_OK;
    if (items->is_whole || member->is_dirty) {
        err = consumer_member_encode(as_member(member), false, scratch);
        err = err != SLUICE_OK ? err : epoch_item_add(items, WAL_ITEM_GROUP_MEMBER);
    }
    if (err == SLUICE_OK && (items->is_whole || member->is_moved)) {
        err = consumer_assignment_encode(as_member(member), scratch);
        err = err != SLUICE_OK ? err : epoch_item_add(items, WAL_ITEM_GROUP_ASSIGNMENT);
    }
    return err;
}

bool consumer_groups_is_dirty(const struct consumer_groups *groups)
{
    return epoch_groups_is_dirty(&groups->base);
}

sl_err consumer_groups_dirty(struct consumer_groups *groups, consumer_groups_add_fn *add,
                             void *add_arg)
{
    return epoch_groups_dirty(&groups->base, add, add_arg);
}

void consumer_groups_clean(struct consumer_groups *groups)
{
    epoch_groups_clean(&groups->base);
}

sl_err consumer_groups_snapshot(struct consumer_groups *groups, struct consumer_groups_walk *at,
                                uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                                bool *ret_done)
{
    return epoch_groups_snapshot(&groups->base, at, count, add, add_arg, ret_done);
}

/* ---- groups and members ---- */

struct consumer_group *consumer_group_get(const struct consumer_groups *groups,
                                          struct sl_bytes name)
{
    struct epoch_group *found = epoch_group_get(&groups->base, name);
    return found == NULL ? NULL : SL_CONTAINER_OF(found, struct consumer_group, base);
}

sl_err consumer_group_add(struct consumer_groups *groups, struct sl_bytes name,
                          struct consumer_group **ret_group)
{
    if (groups->base.groups.count >= groups->config.groups_max)
        return SLUICE_E_LIMIT;
    struct consumer_group *group = sl_alloc_zero(1, sizeof *group);
    sl_err err = epoch_group_add(&groups->base, group == NULL ? NULL : &group->base, name);
    if (err == SLUICE_OK)
        *ret_group = group;
    return err;
}

struct consumer_member *consumer_member_get(const struct consumer_groups *groups,
                                            const struct consumer_group *group, struct sl_bytes id)
{
    return consumer_member_of(epoch_member_get(&groups->base, &group->base, id));
}

struct consumer_member *consumer_member_of_instance(const struct consumer_group *group,
                                                    struct sl_bytes instance)
{
    struct consumer_member *member = consumer_member_first(group);
    while (member != NULL &&
           (member->instance.data == NULL || !sl_bytes_equal(member->instance, instance)))
        member = consumer_member_next(member);
    return member;
}

sl_err consumer_member_add(struct consumer_groups *groups, struct consumer_group *group,
                           struct sl_bytes id, struct consumer_member **ret_member)
{
    struct consumer_member *member = sl_alloc_zero(1, sizeof *member);
    if (member != NULL)
        member->sync_deadline_ms = DUE_NEVER;
    sl_err err =
        epoch_member_add(&groups->base, &group->base, member == NULL ? NULL : &member->base, id);
    if (err == SLUICE_OK)
        *ret_member = member;
    return err;
}

sl_err consumer_member_fence(struct consumer_groups *groups, struct consumer_member *member)
{
    struct consumer_group *group = consumer_group_of(member);
    if (consumer_group_may_downgrade(groups, group, member))
        return consumer_group_downgrade(groups, group, member);
    sl_err err = epoch_member_remove(&groups->base, &member->base);
    if (err == SLUICE_OK)
        epoch_group_raise(&groups->base, &group->base);
    return err;
}

/* ---- time ---- */

int32_t consumer_member_session_ms(const struct consumer_groups *groups,
                                   const struct consumer_member *member)
{
    return member->is_classic
               ? member->session_timeout_ms
               : consumer_group_own_of(groups, consumer_group_of(member)).session_timeout_ms;
}

static int64_t earliest_ms(const struct epoch_member *member)
{
    return SL_MIN(member->session_deadline_ms,
                  SL_MIN(member->rebalance_deadline_ms, as_member(member)->sync_deadline_ms));
}

static void member_start(struct epoch_groups *base, struct epoch_member *member)
{
    bool is_classic = as_member(member)->is_classic;
    member->session_deadline_ms =
        base->now_ms + consumer_member_session_ms(groups_of(base), as_member(member));
    if (member->state == MEMBER_UNREVOKED && !is_classic)
        member->rebalance_deadline_ms = base->now_ms + member->rebalance_timeout_ms;
}

static sl_err member_fence(struct epoch_groups *groups, struct epoch_member *member)
{
    return consumer_member_fence(groups_of(groups), consumer_member_of(member));
}

static const struct epoch_kind consumer_kind = {
    .group_item = WAL_ITEM_GROUP,
    .member_item = WAL_ITEM_GROUP_MEMBER,
    .version = CONSUMER_GROUP_ITEM_VERSION,
    .member_fini = member_fini,
    .group_gone = group_gone,
    .member_gone = member_gone,
    .group_items = group_items,
    .member_items = member_items,
    .earliest_ms = earliest_ms,
    .member_start = member_start,
    .member_fence = member_fence,
};

void consumer_groups_start(struct consumer_groups *groups, int64_t now_ms)
{
    epoch_groups_start(&groups->base, now_ms);
}

int64_t consumer_groups_next_deadline_ms(const struct consumer_groups *groups)
{
    return due_heap_next_ms(&groups->base.due);
}

void consumer_groups_tick(struct consumer_groups *groups, int64_t now_ms)
{
    epoch_groups_tick(&groups->base, now_ms);
}

/* ---- what others ask ---- */

static struct consumer_group *find(const struct consumer_groups *groups, struct sluice_text name)
{
    return consumer_group_get(groups, sl_of_text(name));
}

bool consumer_group_exists(const struct consumer_groups *groups, struct sluice_text group)
{
    return epoch_group_find(&groups->base, group) != NULL;
}

bool consumer_group_has_members(const struct consumer_groups *groups, struct sluice_text group)
{
    return epoch_group_has_members(&groups->base, group);
}

int64_t consumer_group_idle_ms(const struct consumer_groups *groups, struct sluice_text group,
                               int64_t now_ms)
{
    return epoch_group_idle_ms(&groups->base, group, now_ms);
}

sluice_status consumer_group_delete(struct consumer_groups *groups, struct sluice_text group)
{
    return epoch_group_delete(&groups->base, group);
}

bool consumer_group_subscribes(struct consumer_groups *groups, struct sluice_text group,
                               const struct sl_uuid *topic)
{
    const struct consumer_group *found = find(groups, group);
    const struct consumer_member *member = found == NULL ? NULL : consumer_member_first(found);
    while (member != NULL && !consumer_member_reads(groups, member, topic))
        member = consumer_member_next(member);
    return member != NULL;
}

static sluice_status epoch_status(const struct consumer_member *member, int32_t epoch)
{
    return epoch == member->base.epoch ? SLUICE_OK
           : member->is_classic        ? SLUICE_E_ILLEGAL_GENERATION
                                       : SLUICE_E_STALE_MEMBER_EPOCH;
}

sluice_status consumer_group_commit_check(struct consumer_groups *groups,
                                          const struct sluice_offset_commit *request,
                                          bool is_transactional, sluice_status *ret_statuses)
{
    const struct sluice_group_identity *identity = &request->identity;
    const struct consumer_group *group = find(groups, identity->group);
    const struct consumer_member *member = NULL;
    sluice_status status = SLUICE_OK;
    bool is_outsider = identity->generation < 0 && (group == NULL || group->base.member_count == 0);
    if (group != NULL && !is_outsider)
        member = consumer_member_get(groups, group, sl_of_text(identity->member));
    if (!is_outsider)
        status =
            member == NULL ? SLUICE_E_UNKNOWN_MEMBER : epoch_status(member, identity->generation);
    (void)is_transactional;
    uint64_t metadata_max =
        groups->classic == NULL ? 4096 : groups->classic->config.metadata_bytes_max;
    return epoch_group_commit_entries(request, status, metadata_max, ret_statuses);
}

sluice_status consumer_group_fetch_check(const struct consumer_groups *groups,
                                         struct sluice_text group, struct sluice_text member,
                                         int32_t epoch)
{
    const struct consumer_group *found = find(groups, group);
    if (found == NULL || (member.data == NULL && epoch < 0))
        return SLUICE_OK;
    const struct consumer_member *asks = consumer_member_get(groups, found, sl_of_text(member));
    return asks == NULL ? SLUICE_E_UNKNOWN_MEMBER : epoch_status(asks, epoch);
}

/* ---- what is shown ---- */

static struct consumer_group_view view_of(const struct consumer_groups *groups,
                                          const struct consumer_group *group)
{
    return (struct consumer_group_view){.group = text_of_sl(group->base.name),
                                        .state = epoch_group_state(&group->base),
                                        .assignor = consumer_group_assignor(groups, group),
                                        .epoch = group->base.epoch,
                                        .assignment_epoch = group->base.assignment_epoch,
                                        .member_count = group->base.member_count};
}

bool consumer_group_view_get(const struct consumer_groups *groups, struct sluice_text group,
                             struct consumer_group_view *ret_view)
{
    const struct consumer_group *found = find(groups, group);
    if (found != NULL)
        *ret_view = view_of(groups, found);
    return found != NULL;
}

struct each {
    const struct consumer_groups *groups;
    void (*visit)(void *arg, const struct consumer_group_view *view);
    void *arg;
};

static void each_group(void *arg, struct chain_link *link)
{
    const struct each *each = arg;
    const struct epoch_group *group = SL_CONTAINER_OF(link, struct epoch_group, by_name);
    const struct consumer_group_view view = view_of(each->groups, as_group(group));
    each->visit(each->arg, &view);
}

void consumer_groups_each(const struct consumer_groups *groups,
                          void (*visit)(void *arg, const struct consumer_group_view *view),
                          void *arg)
{
    struct each each = {groups, visit, arg};
    chain_map_each(&groups->base.groups, each_group, &each);
}

void consumer_group_members(const struct consumer_groups *groups, struct sluice_text group,
                            consumer_member_visit_fn *visit, void *arg)
{
    const struct consumer_group *found = find(groups, group);
    const struct consumer_member *m = found == NULL ? NULL : consumer_member_first(found);
    for (; m != NULL; m = consumer_member_next(m)) {
        _Static_assert(sizeof(struct sl_bytes) == sizeof(struct sluice_text), "names are texts");
        const struct sluice_consumer_member_info info = {
            .id = text_of_sl(m->base.id),
            .instance = text_of_sl(m->instance),
            .rack = text_of_sl(m->base.rack),
            .client_id = text_of_sl(m->base.client_id),
            .client_host = text_of_sl(m->base.client_host),
            .regex = text_of_sl(m->pattern == NULL ? (struct sl_bytes){0} : m->pattern->text),
            .epoch = m->base.epoch,
            .is_classic = m->is_classic,
            .topic_count = m->topics.count,
            .assigned_count = m->assigned.count,
            .target_count = m->target.count,
            .topics = (const struct sluice_text *)(const void *)m->topics.names,
        };
        visit(arg, &info, &m->assigned, &m->target);
    }
}

void consumer_groups_status_get(const struct consumer_groups *groups,
                                struct group_coordinator_status *ret_status)
{
    epoch_groups_status_get(&groups->base, ret_status);
}
