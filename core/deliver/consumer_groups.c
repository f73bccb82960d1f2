/* consumer_groups.c: birth and end of groups and members, deadlines, and what is written down. */
#include "base/hash.h"
#include "deliver/consumer_group.h"

#include <stdlib.h>

#define SCRATCH_BYTES_MAX (16u << 20) /* of one item */

/* ---- texts ---- */

static void text_fini(struct sl_bytes *text)
{
    sl_free((void *)(uintptr_t)text->data);
    *text = (struct sl_bytes){0};
}

sl_err consumer_text_set(struct sl_bytes *text, struct sl_bytes value, bool *ret_changed)
{
    if (text->data != NULL && sl_bytes_equal(*text, value))
        return SLUICE_OK;
    sl_err err = group_bytes_set(text, value);
    *ret_changed = *ret_changed || err == SLUICE_OK;
    return err;
}

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
        struct sl_bytes name = sl_bytes_of(names[i].data, (size_t)names[i].size);
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

static struct sl_bytes placed(uint8_t **at, const void *data, uint64_t size)
{
    struct sl_bytes copy = {*at, (size_t)size};
    sl_bytes_copy(*at, sl_bytes_of(data, (size_t)size));
    *at += size;
    return copy;
}

sl_err consumer_protocols_set(struct consumer_member *member,
                              const struct sluice_group_protocol *protocols, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += (size_t)(protocols[i].name.size + protocols[i].metadata.size);
    struct group_protocol *copy = sl_alloc(count * sizeof *copy + size + 1);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *at = (uint8_t *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        copy[i].name = placed(&at, protocols[i].name.data, protocols[i].name.size);
        copy[i].metadata = placed(&at, protocols[i].metadata.data, protocols[i].metadata.size);
    }
    sl_free(member->protocols);
    member->protocols = copy;
    member->protocol_count = count;
    return SLUICE_OK;
}

/* ---- all groups ---- */

struct consumer_groups *consumer_groups_new(const struct consumer_group_config *config,
                                            const struct group_topics *topics,
                                            struct group_coordinator *classic,
                                            const uint64_t seed[2])
{
    struct consumer_groups *groups = sl_alloc_zero(1, sizeof *groups);
    if (groups == NULL)
        return NULL;
    if (chain_map_init(&groups->groups) != SLUICE_OK ||
        chain_map_init(&groups->members) != SLUICE_OK) {
        chain_map_fini(&groups->groups);
        sl_free(groups);
        return NULL;
    }
    consumer_groups_configure(groups, config);
    groups->topics = *topics;
    groups->classic = classic;
    groups->gone_end = &groups->gone;
    groups->random[0] = seed[0];
    groups->random[1] = seed[1];
    sl_buffer_init(&groups->scratch, SCRATCH_BYTES_MAX);
    return groups;
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
        groups->asks.own(groups->asks.arg, group->name, &own);
    if (own.session_timeout_ms < 0)
        own.session_timeout_ms = config->session_timeout_ms;
    if (own.heartbeat_interval_ms < 0)
        own.heartbeat_interval_ms = config->heartbeat_interval_ms;
    if (own.assignment_interval_ms < 0)
        own.assignment_interval_ms = config->assignment_interval_ms;
    return own;
}

static struct consumer_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct consumer_group, by_name);
}

static struct consumer_member *member_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct consumer_member, by_id);
}

static void member_free(struct consumer_groups *groups, struct consumer_member *member)
{
    text_fini(&member->id);
    text_fini(&member->instance);
    text_fini(&member->rack);
    text_fini(&member->client_id);
    text_fini(&member->client_host);
    text_fini(&member->assignor);
    name_list_fini(&member->topics);
    partition_set_fini(&member->assigned);
    partition_set_fini(&member->revoking);
    partition_set_fini(&member->target);
    if (member->pattern != NULL)
        consumer_pattern_drop(groups, member->pattern);
    sl_free(member->protocols);
    sl_free(member);
}

static void free_member(void *arg, struct chain_link *link)
{
    member_free(arg, member_of(link));
}

static void free_group(void *arg, struct chain_link *link)
{
    struct consumer_group *group = group_of(link);
    (void)arg;
    text_fini(&group->name);
    sl_free(group);
}

static void gone_free(struct consumer_groups *groups)
{
    while (groups->gone != NULL) {
        struct consumer_gone *gone = groups->gone;
        groups->gone = gone->next;
        sl_free(gone);
    }
    groups->gone_end = &groups->gone;
}

struct consumer_groups *consumer_groups_free(struct consumer_groups *groups)
{
    if (groups == NULL)
        return NULL;
    chain_map_each(&groups->members, free_member, groups);
    chain_map_each(&groups->groups, free_group, groups);
    SL_ASSERT(groups->patterns == NULL);
    chain_map_fini(&groups->members);
    chain_map_fini(&groups->groups);
    due_heap_fini(&groups->due);
    gone_free(groups);
    sl_buffer_fini(&groups->scratch);
    sl_free(groups);
    return NULL;
}

/* ---- what is to be written down ---- */

void consumer_group_mark(struct consumer_groups *groups, struct consumer_group *group)
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

static void group_unmark(struct consumer_groups *groups, struct consumer_group *group)
{
    if (!group->is_dirty)
        return;
    group->is_dirty = false;
    *(group->dirty_previous != NULL ? &group->dirty_previous->dirty_next : &groups->dirty_groups) =
        group->dirty_next;
    if (group->dirty_next != NULL)
        group->dirty_next->dirty_previous = group->dirty_previous;
}

static void member_list(struct consumer_groups *groups, struct consumer_member *member)
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

static void member_unlist(struct consumer_groups *groups, struct consumer_member *member)
{
    if (!member->is_listed)
        return;
    member->is_listed = member->is_dirty = member->is_moved = false;
    *(member->dirty_previous != NULL ? &member->dirty_previous->dirty_next
                                     : &groups->dirty_members) = member->dirty_next;
    if (member->dirty_next != NULL)
        member->dirty_next->dirty_previous = member->dirty_previous;
}

void consumer_member_mark(struct consumer_groups *groups, struct consumer_member *member)
{
    member_list(groups, member);
    member->is_dirty = true;
}

void consumer_member_moved(struct consumer_groups *groups, struct consumer_member *member)
{
    member_list(groups, member);
    member->is_moved = true;
}

void consumer_group_raise(struct consumer_groups *groups, struct consumer_group *group)
{
    group->epoch = group->epoch == INT32_MAX ? 1 : group->epoch + 1;
    groups->rebalance_count++;
    consumer_group_mark(groups, group);
}

/* The item in `scratch`, kept until the next flush. */
static sl_err gone_add(struct consumer_groups *groups, uint16_t kind)
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

bool consumer_groups_is_dirty(const struct consumer_groups *groups)
{
    return groups->gone != NULL || groups->dirty_groups != NULL || groups->dirty_members != NULL;
}

struct add {
    struct consumer_groups *groups;
    consumer_groups_add_fn *add;
    void *arg;
};

static sl_err add_group(const struct add *add, const struct consumer_group *group)
{
    struct sl_buffer *scratch = &add->groups->scratch;
    sl_err err = consumer_group_encode(group, false, scratch);
    return err != SLUICE_OK ? err
                            : add->add(add->arg, WAL_ITEM_GROUP, CONSUMER_GROUP_ITEM_VERSION,
                                       sl_buffer_bytes(scratch));
}

static sl_err add_member(const struct add *add, const struct consumer_member *member)
{
    struct sl_buffer *scratch = &add->groups->scratch;
    sl_err err = consumer_member_encode(member, false, scratch);
    return err != SLUICE_OK ? err
                            : add->add(add->arg, WAL_ITEM_GROUP_MEMBER, CONSUMER_GROUP_ITEM_VERSION,
                                       sl_buffer_bytes(scratch));
}

static sl_err add_assignment(const struct add *add, const struct consumer_member *member)
{
    struct sl_buffer *scratch = &add->groups->scratch;
    sl_err err = consumer_assignment_encode(member, scratch);
    return err != SLUICE_OK ? err
                            : add->add(add->arg, WAL_ITEM_GROUP_ASSIGNMENT,
                                       CONSUMER_GROUP_ITEM_VERSION, sl_buffer_bytes(scratch));
}

/* What is gone comes first: a member may have come back under its id. */
sl_err consumer_groups_dirty(struct consumer_groups *groups, consumer_groups_add_fn *add,
                             void *add_arg)
{
    const struct add adder = {groups, add, add_arg};
    sl_err err = SLUICE_OK;
    for (struct consumer_gone *g = groups->gone; g != NULL && err == SLUICE_OK; g = g->next)
        err = add(add_arg, g->kind, CONSUMER_GROUP_ITEM_VERSION, sl_bytes_of(g->payload, g->size));
    for (struct consumer_group *g = groups->dirty_groups; g != NULL && err == SLUICE_OK;
         g = g->dirty_next)
        err = add_group(&adder, g);
    for (struct consumer_member *m = groups->dirty_members; m != NULL && err == SLUICE_OK;
         m = m->dirty_next) {
        err = m->is_dirty ? add_member(&adder, m) : SLUICE_OK;
        if (err == SLUICE_OK && m->is_moved)
            err = add_assignment(&adder, m);
    }
    return err;
}

void consumer_groups_clean(struct consumer_groups *groups)
{
    gone_free(groups);
    while (groups->dirty_groups != NULL)
        group_unmark(groups, groups->dirty_groups);
    while (groups->dirty_members != NULL)
        member_unlist(groups, groups->dirty_members);
}

struct walk {
    struct add add;
    sl_err err;
};

static void walk_group(void *arg, struct chain_link *link)
{
    struct walk *walk = arg;
    if (walk->err == SLUICE_OK)
        walk->err = add_group(&walk->add, group_of(link));
}

static void walk_member(void *arg, struct chain_link *link)
{
    struct walk *walk = arg;
    if (walk->err == SLUICE_OK)
        walk->err = add_member(&walk->add, member_of(link));
    if (walk->err == SLUICE_OK)
        walk->err = add_assignment(&walk->add, member_of(link));
}

sl_err consumer_groups_snapshot(struct consumer_groups *groups, struct consumer_groups_walk *at,
                                uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                                bool *ret_done)
{
    struct walk walk = {{groups, add, add_arg}, SLUICE_OK};
    if (at->group != UINT32_MAX)
        at->group = chain_map_visit(&groups->groups, at->group, count, walk_group, &walk);
    else
        at->member = chain_map_visit(&groups->members, at->member, count, walk_member, &walk);
    *ret_done = at->member == UINT32_MAX;
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

struct consumer_group *consumer_group_get(const struct consumer_groups *groups,
                                          struct sl_bytes name)
{
    struct chain_link *link = chain_map_get(&groups->groups, name_hash(name), name_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

sl_err consumer_group_add(struct consumer_groups *groups, struct sl_bytes name,
                          struct consumer_group **ret_group)
{
    struct consumer_group *group = sl_alloc_zero(1, sizeof *group);
    sl_err err = group == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (groups->groups.count >= groups->config.groups_max)
        err = SLUICE_E_LIMIT;
    if (err == SLUICE_OK)
        err = group_bytes_set(&group->name, name);
    if (err != SLUICE_OK) {
        sl_free(group);
        return err;
    }
    group->empty_since_ms = groups->now_ms;
    chain_map_put(&groups->groups, &group->by_name, name_hash(name));
    consumer_group_mark(groups, group);
    *ret_group = group;
    return SLUICE_OK;
}

static void member_drop(struct consumer_groups *groups, struct consumer_member *member);

sl_err consumer_group_remove(struct consumer_groups *groups, struct consumer_group *group)
{
    sl_err err = consumer_group_encode(group, true, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, WAL_ITEM_GROUP);
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
    const struct consumer_group *group;
    struct sl_bytes id;
};

static bool member_matches(const struct chain_link *link, const void *key)
{
    const struct member_key *wanted = key;
    const struct consumer_member *member = member_of(link);
    return member->group == wanted->group && sl_bytes_equal(member->id, wanted->id);
}

static uint64_t member_hash(const struct consumer_group *group, struct sl_bytes id)
{
    return sl_hash64_mix((uint64_t)(uintptr_t)group ^ sl_hash64(id.data, id.size));
}

struct consumer_member *consumer_member_get(const struct consumer_groups *groups,
                                            const struct consumer_group *group, struct sl_bytes id)
{
    struct member_key key = {group, id};
    struct chain_link *link =
        chain_map_get(&groups->members, member_hash(group, id), member_matches, &key);
    return link == NULL ? NULL : member_of(link);
}

struct consumer_member *consumer_member_of_instance(const struct consumer_group *group,
                                                    struct sl_bytes instance)
{
    struct consumer_member *member = group->first;
    while (member != NULL &&
           (member->instance.data == NULL || !sl_bytes_equal(member->instance, instance)))
        member = member->next;
    return member;
}

sl_err consumer_member_add(struct consumer_groups *groups, struct consumer_group *group,
                           struct sl_bytes id, struct consumer_member **ret_member)
{
    struct consumer_member *member = sl_alloc_zero(1, sizeof *member);
    if (member == NULL || group_bytes_set(&member->id, id) != SLUICE_OK ||
        due_heap_add(&groups->due, &member->due) != SLUICE_OK) {
        if (member != NULL)
            member_free(groups, member);
        return SLUICE_E_NO_MEMORY;
    }
    member->group = group;
    member->session_deadline_ms = DUE_NEVER;
    member->rebalance_deadline_ms = DUE_NEVER;
    member->sync_deadline_ms = DUE_NEVER;
    member->rebalance_timeout_ms = -1;
    member->previous = group->last;
    *(group->last != NULL ? &group->last->next : &group->first) = member;
    group->last = member;
    group->member_count++;
    chain_map_put(&groups->members, &member->by_id, member_hash(group, id));
    consumer_member_mark(groups, member);
    consumer_member_moved(groups, member);
    *ret_member = member;
    return SLUICE_OK;
}

static void member_drop(struct consumer_groups *groups, struct consumer_member *member)
{
    struct consumer_group *group = member->group;
    *(member->previous != NULL ? &member->previous->next : &group->first) = member->next;
    *(member->next != NULL ? &member->next->previous : &group->last) = member->previous;
    if (--group->member_count == 0)
        group->empty_since_ms = groups->now_ms;
    member_unlist(groups, member);
    due_heap_remove(&groups->due, &member->due);
    chain_map_remove(&groups->members, &member->by_id);
    member_free(groups, member);
}

sl_err consumer_member_remove(struct consumer_groups *groups, struct consumer_member *member)
{
    sl_err err = consumer_member_encode(member, true, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, WAL_ITEM_GROUP_MEMBER);
    if (err == SLUICE_OK)
        member_drop(groups, member);
    return err;
}

sl_err consumer_member_rename(struct consumer_groups *groups, struct consumer_member *member,
                              struct sl_bytes id)
{
    struct sl_bytes copy = {0};
    sl_err err = group_bytes_set(&copy, id);
    err = err != SLUICE_OK ? err : consumer_member_encode(member, true, &groups->scratch);
    err = err != SLUICE_OK ? err : gone_add(groups, WAL_ITEM_GROUP_MEMBER);
    if (err != SLUICE_OK) {
        text_fini(&copy);
        return err;
    }
    chain_map_remove(&groups->members, &member->by_id);
    text_fini(&member->id);
    member->id = copy;
    chain_map_put(&groups->members, &member->by_id, member_hash(member->group, copy));
    consumer_member_mark(groups, member);
    consumer_member_moved(groups, member);
    return SLUICE_OK;
}

sl_err consumer_member_fence(struct consumer_groups *groups, struct consumer_member *member)
{
    struct consumer_group *group = member->group;
    if (consumer_group_may_downgrade(groups, group, member))
        return consumer_group_downgrade(groups, group, member);
    sl_err err = consumer_member_remove(groups, member);
    if (err == SLUICE_OK)
        consumer_group_raise(groups, group);
    return err;
}

/* ---- time ---- */

int32_t consumer_member_session_ms(const struct consumer_groups *groups,
                                   const struct consumer_member *member)
{
    return member->is_classic ? member->session_timeout_ms
                              : consumer_group_own_of(groups, member->group).session_timeout_ms;
}

static int64_t earliest_ms(const struct consumer_member *member)
{
    return SL_MIN(member->session_deadline_ms,
                  SL_MIN(member->rebalance_deadline_ms, member->sync_deadline_ms));
}

void consumer_member_schedule(struct consumer_groups *groups, struct consumer_member *member)
{
    due_heap_by(&groups->due, &member->due, earliest_ms(member));
}

static void start_member(void *arg, struct chain_link *link)
{
    struct consumer_groups *groups = arg;
    struct consumer_member *member = member_of(link);
    if (member->epoch != SLUICE_MEMBER_LEAVES_STATIC || member->is_classic)
        member->session_deadline_ms = groups->now_ms + consumer_member_session_ms(groups, member);
    else
        member->session_deadline_ms =
            groups->now_ms + consumer_group_own_of(groups, member->group).session_timeout_ms;
    if (member->state == MEMBER_UNREVOKED && !member->is_classic)
        member->rebalance_deadline_ms = groups->now_ms + member->rebalance_timeout_ms;
    consumer_member_schedule(groups, member);
}

static void start_group(void *arg, struct chain_link *link)
{
    group_of(link)->empty_since_ms = ((struct consumer_groups *)arg)->now_ms;
}

void consumer_groups_start(struct consumer_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    chain_map_each(&groups->members, start_member, groups);
    chain_map_each(&groups->groups, start_group, groups);
}

int64_t consumer_groups_next_deadline_ms(const struct consumer_groups *groups)
{
    return due_heap_next_ms(&groups->due);
}

#define RETRY_MS 1000 /* of what could not be done for want of memory */

void consumer_groups_tick(struct consumer_groups *groups, int64_t now_ms)
{
    groups->now_ms = now_ms;
    while (due_heap_next_ms(&groups->due) <= now_ms) {
        struct consumer_member *member =
            SL_CONTAINER_OF(groups->due.nodes[0], struct consumer_member, due);
        int64_t due_ms = earliest_ms(member);
        if (due_ms <= now_ms) {
            groups->expired_count++;
            if (consumer_member_fence(groups, member) == SLUICE_OK)
                continue;
            due_ms = now_ms + RETRY_MS;
        }
        due_heap_move(&groups->due, &member->due, due_ms);
    }
}

/* ---- what others ask ---- */

static struct consumer_group *find(const struct consumer_groups *groups, struct sluice_text name)
{
    return consumer_group_get(groups, sl_bytes_of(name.data, (size_t)name.size));
}

bool consumer_group_exists(const struct consumer_groups *groups, struct sluice_text group)
{
    return find(groups, group) != NULL;
}

bool consumer_group_has_members(const struct consumer_groups *groups, struct sluice_text group)
{
    const struct consumer_group *found = find(groups, group);
    return found != NULL && found->member_count != 0;
}

int64_t consumer_group_idle_ms(const struct consumer_groups *groups, struct sluice_text group,
                               int64_t now_ms)
{
    const struct consumer_group *found = find(groups, group);
    return found == NULL || found->member_count != 0 ? -1 : now_ms - found->empty_since_ms;
}

sluice_status consumer_group_delete(struct consumer_groups *groups, struct sluice_text group)
{
    struct consumer_group *found = find(groups, group);
    if (found == NULL)
        return SLUICE_E_GROUP_NOT_FOUND;
    return found->member_count != 0 ? SLUICE_E_GROUP_NOT_EMPTY
                                    : consumer_group_remove(groups, found);
}

bool consumer_group_subscribes(struct consumer_groups *groups, struct sluice_text group,
                               const struct sl_uuid *topic)
{
    const struct consumer_group *found = find(groups, group);
    const struct consumer_member *member = found == NULL ? NULL : found->first;
    while (member != NULL && !consumer_member_reads(groups, member, topic))
        member = member->next;
    return member != NULL;
}

static sluice_status epoch_status(const struct consumer_member *member, int32_t epoch)
{
    return epoch == member->epoch ? SLUICE_OK
           : member->is_classic   ? SLUICE_E_ILLEGAL_GENERATION
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
    bool is_outsider = identity->generation < 0 && (group == NULL || group->member_count == 0);
    if (group != NULL && !is_outsider)
        member = consumer_member_get(
            groups, group, sl_bytes_of(identity->member.data, (size_t)identity->member.size));
    if (!is_outsider)
        status =
            member == NULL ? SLUICE_E_UNKNOWN_MEMBER : epoch_status(member, identity->generation);
    (void)is_transactional;
    uint64_t metadata_max =
        groups->classic == NULL ? 4096 : groups->classic->config.metadata_bytes_max;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        const struct sluice_offset_commit_entry *entry = &request->entries[i];
        ret_statuses[i] = status != SLUICE_OK                   ? status
                          : entry->offset < 0                   ? SLUICE_E_INVALID_REQUEST
                          : entry->metadata.size > metadata_max ? SLUICE_E_OFFSET_METADATA_TOO_LARGE
                                                                : SLUICE_OK;
    }
    return status;
}

sluice_status consumer_group_fetch_check(const struct consumer_groups *groups,
                                         struct sluice_text group, struct sluice_text member,
                                         int32_t epoch)
{
    const struct consumer_group *found = find(groups, group);
    if (found == NULL || (member.data == NULL && epoch < 0))
        return SLUICE_OK;
    const struct consumer_member *asks =
        consumer_member_get(groups, found, sl_bytes_of(member.data, (size_t)member.size));
    return asks == NULL ? SLUICE_E_UNKNOWN_MEMBER : epoch_status(asks, epoch);
}

/* ---- what is shown ---- */

static struct sluice_text text_of(struct sl_bytes bytes)
{
    return (struct sluice_text){(const char *)bytes.data, bytes.size};
}

static const char *state_of(const struct consumer_group *group)
{
    if (group->member_count == 0)
        return "Empty";
    if (group->epoch != group->assignment_epoch)
        return "Assigning";
    for (const struct consumer_member *m = group->first; m != NULL; m = m->next) {
        if (!consumer_member_is_reconciled(m))
            return "Reconciling";
    }
    return "Stable";
}

static struct consumer_group_view view_of(const struct consumer_groups *groups,
                                          const struct consumer_group *group)
{
    return (struct consumer_group_view){.group = text_of(group->name),
                                        .state = state_of(group),
                                        .assignor = consumer_group_assignor(groups, group),
                                        .epoch = group->epoch,
                                        .assignment_epoch = group->assignment_epoch,
                                        .member_count = group->member_count};
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
    const struct consumer_group_view view = view_of(each->groups, group_of(link));
    each->visit(each->arg, &view);
}

void consumer_groups_each(const struct consumer_groups *groups,
                          void (*visit)(void *arg, const struct consumer_group_view *view),
                          void *arg)
{
    struct each each = {groups, visit, arg};
    chain_map_each(&groups->groups, each_group, &each);
}

void consumer_group_members(const struct consumer_groups *groups, struct sluice_text group,
                            consumer_member_visit_fn *visit, void *arg)
{
    const struct consumer_group *found = find(groups, group);
    const struct consumer_member *m = found == NULL ? NULL : found->first;
    for (; m != NULL; m = m->next) {
        _Static_assert(sizeof(struct sl_bytes) == sizeof(struct sluice_text), "names are texts");
        const struct sluice_consumer_member_info info = {
            .id = text_of(m->id),
            .instance = text_of(m->instance),
            .rack = text_of(m->rack),
            .client_id = text_of(m->client_id),
            .client_host = text_of(m->client_host),
            .regex = text_of(m->pattern == NULL ? (struct sl_bytes){0} : m->pattern->text),
            .epoch = m->epoch,
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
    *ret_status = (struct group_coordinator_status){.group_count = groups->groups.count,
                                                    .member_count = groups->members.count,
                                                    .rebalance_count = groups->rebalance_count,
                                                    .expired_count = groups->expired_count};
}
