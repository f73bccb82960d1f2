/* group_coordinator.c: birth and end, ticks, cancelled calls, and what is shown of the groups. */
#include "deliver/group_coordinator.h"

#include "deliver/group_reply.h"
#include "deliver/offset_store.h"

/* An empty group is remembered while its offsets may expire by its emptiness, and an hour more. */
#define EMPTY_KEEP_MS ((int64_t)OFFSET_STORE_RETENTION_MS + 3600000)

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given != 0 ? given : otherwise;
}

static void limits_complete(struct group_limits *limits)
{
    limits->members_max = or_default(limits->members_max, 10000);
    limits->session_min_ms = (int32_t)or_default((uint32_t)limits->session_min_ms, 6000);
    limits->session_max_ms = (int32_t)or_default((uint32_t)limits->session_max_ms, 1800000);
    limits->session_min_ms = SL_MAX(limits->session_min_ms, 1);
    limits->session_default_ms = (int32_t)or_default((uint32_t)limits->session_default_ms, 30000);
    limits->session_default_ms = SL_MAX(limits->session_default_ms, limits->session_min_ms);
    limits->session_default_ms = SL_MIN(limits->session_default_ms, limits->session_max_ms);
}

void group_coordinator_set_limits(struct group_coordinator *coordinator,
                                  const struct group_limits *limits)
{
    coordinator->config.limits = *limits;
    limits_complete(&coordinator->config.limits);
}

static void config_complete(struct group_config *config)
{
    config->groups_max = or_default(config->groups_max, 100000);
    config->member_bytes_max = or_default(config->member_bytes_max, 1u << 20);
    config->group_bytes_max = or_default(config->group_bytes_max, 64u << 20);
    config->metadata_bytes_max = or_default(config->metadata_bytes_max, 4096);
    limits_complete(&config->limits);
}

struct group_coordinator *group_coordinator_new(const struct group_config *config, int64_t now_ms)
{
    struct group_coordinator *coordinator = sl_alloc_zero(1, sizeof *coordinator);
    if (coordinator == NULL)
        return NULL;
    if (chain_map_init(&coordinator->groups) != SLUICE_OK ||
        chain_map_init(&coordinator->members) != SLUICE_OK) {
        chain_map_fini(&coordinator->groups);
        sl_free(coordinator);
        return NULL;
    }
    coordinator->config = *config;
    config_complete(&coordinator->config);
    coordinator->random[0] = config->seed[0];
    coordinator->random[1] = config->seed[1];
    coordinator->since_ms = now_ms;
    return coordinator;
}

static struct group *group_of(struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct group, by_name);
}

static void stop_visit(void *arg, struct chain_link *link)
{
    struct group_coordinator *coordinator = arg;
    for (struct group_member *m = group_of(link)->first; m != NULL; m = m->next) {
        group_reply_join_fail(coordinator, m->join, SLUICE_E_STOPPING, m->id);
        group_reply_sync_fail(coordinator, m->sync, SLUICE_E_STOPPING);
        m->join = NULL;
        m->sync = NULL;
    }
}

static void remove_visit(void *arg, struct chain_link *link)
{
    group_remove(arg, group_of(link));
}

struct group_coordinator *group_coordinator_free(struct group_coordinator *coordinator)
{
    if (coordinator == NULL)
        return NULL;
    SL_ASSERT(!coordinator->delivering);
    coordinator->stopping = true;
    chain_map_each(&coordinator->groups, stop_visit, coordinator);
    group_reply_deliver(coordinator);
    chain_map_each(&coordinator->groups, remove_visit, coordinator);
    SL_ASSERT(coordinator->waiting_count == 0 && coordinator->members.count == 0);
    chain_map_fini(&coordinator->groups);
    chain_map_fini(&coordinator->members);
    sl_free(coordinator->due);
    sl_free(coordinator);
    return NULL;
}

/* ---- calls whose caller went away ---- */

struct cancel {
    struct group_coordinator *coordinator;
    bool (*match)(void *match_arg, void *arg);
    void *match_arg;
    uint32_t count;
};

static bool cancel_one(struct cancel *cancel, const struct group_reply *reply)
{
    bool hit = reply != NULL && cancel->match(cancel->match_arg, reply->arg);
    cancel->count += hit;
    return hit;
}

static void cancel_visit(void *arg, struct chain_link *link)
{
    struct cancel *cancel = arg;
    for (struct group_member *m = group_of(link)->first; m != NULL; m = m->next) {
        if (cancel_one(cancel, m->join)) {
            group_reply_join_fail(cancel->coordinator, m->join, SLUICE_E_CANCELLED, m->id);
            m->join = NULL;
        }
        if (cancel_one(cancel, m->sync)) {
            group_reply_sync_fail(cancel->coordinator, m->sync, SLUICE_E_CANCELLED);
            m->sync = NULL;
        }
    }
}

static bool same_arg(void *match_arg, void *arg)
{
    return match_arg == arg;
}

uint32_t group_cancel(struct group_coordinator *coordinator, struct sluice_text group, void *arg)
{
    struct cancel cancel = {coordinator, same_arg, arg, 0};
    struct group *found = group_get(coordinator, sl_of_text(group));
    if (found != NULL)
        cancel_visit(&cancel, &found->by_name);
    group_reply_deliver(coordinator);
    return cancel.count;
}

uint32_t group_coordinator_cancel(struct group_coordinator *coordinator,
                                  bool (*match)(void *match_arg, void *arg), void *match_arg)
{
    struct cancel cancel = {coordinator, match, match_arg, 0};
    chain_map_each(&coordinator->groups, cancel_visit, &cancel);
    group_reply_deliver(coordinator);
    return cancel.count;
}

/* ---- time ---- */

static int64_t idle_deadline_ms(const struct group_coordinator *coordinator)
{
    return coordinator->idle_first == NULL
               ? GROUP_NEVER
               : coordinator->idle_first->empty_since_ms + EMPTY_KEEP_MS;
}

int64_t group_coordinator_next_deadline_ms(const struct group_coordinator *coordinator)
{
    int64_t due_ms = coordinator->due_count == 0 ? GROUP_NEVER : coordinator->due[0]->due_ms;
    return SL_MIN(due_ms, idle_deadline_ms(coordinator));
}

void group_coordinator_tick(struct group_coordinator *coordinator, int64_t now_ms)
{
    while (coordinator->due_count != 0 && coordinator->due[0]->due_ms <= now_ms) {
        struct group *group = coordinator->due[0];
        group_deadlines_handle(coordinator, group, now_ms);
        SL_ASSERT(group->due_ms > now_ms);
    }
    while (idle_deadline_ms(coordinator) <= now_ms)
        group_remove(coordinator, coordinator->idle_first);
    group_reply_deliver(coordinator);
}

/* ---- what is shown ---- */

int64_t group_coordinator_idle_ms(const struct group_coordinator *coordinator,
                                  struct sluice_text group, int64_t now_ms)
{
    const struct group *found = group_get(coordinator, sl_of_text(group));
    if (found == NULL)
        return now_ms - coordinator->since_ms;
    bool empty = found->state == GROUP_EMPTY && found->pending_count == 0;
    return empty ? now_ms - found->empty_since_ms : -1;
}

static struct group_view view_of(const struct group *group)
{
    return (struct group_view){
        .group = text_of_sl(group->name),
        .protocol_type = text_of_sl(group->protocol_type),
        .protocol = text_of_sl(group->protocol),
        .leader = text_of_sl(group->leader == NULL ? (struct sl_bytes){0} : group->leader->id),
        .state = group->state,
        .generation = group->generation,
        .member_count = group->member_count,
        .pending_count = group->pending_count,
    };
}

struct group_view group_coordinator_view(const struct group_coordinator *coordinator,
                                         struct sluice_text group)
{
    const struct group *found = group_get(coordinator, sl_of_text(group));
    if (found == NULL)
        return (struct group_view){.group = group, .state = GROUP_DEAD, .generation = -1};
    return view_of(found);
}

struct each {
    void (*visit)(void *arg, const struct group_view *view);
    void *arg;
};

static void each_visit(void *arg, struct chain_link *link)
{
    const struct each *each = arg;
    struct group_view view = view_of(group_of(link));
    each->visit(each->arg, &view);
}

void group_coordinator_each(const struct group_coordinator *coordinator,
                            void (*visit)(void *arg, const struct group_view *view), void *arg)
{
    struct each each = {visit, arg};
    chain_map_each(&coordinator->groups, each_visit, &each);
}

void group_coordinator_members(
    const struct group_coordinator *coordinator, struct sluice_text group,
    void (*visit)(void *arg, const struct sluice_group_member_info *info), void *arg)
{
    const struct group *found = group_get(coordinator, sl_of_text(group));
    const struct group_member *m = found == NULL ? NULL : found->first;
    for (; m != NULL; m = m->next) {
        struct sl_bytes metadata = group_member_metadata(m, found->protocol);
        struct sluice_group_member_info info = {
            .id = text_of_sl(m->id),
            .instance = text_of_sl(m->instance),
            .client_id = text_of_sl(m->client_id),
            .client_host = text_of_sl(m->client_host),
            .metadata = {metadata.data, metadata.size},
            .assignment = {m->assignment.data, m->assignment.size},
        };
        visit(arg, &info);
    }
}

sluice_status group_coordinator_delete(struct group_coordinator *coordinator,
                                       struct sluice_text group)
{
    struct group *found = group_get(coordinator, sl_of_text(group));
    if (found == NULL)
        return SLUICE_E_GROUP_NOT_FOUND;
    if (found->state != GROUP_EMPTY || found->pending_count > 0)
        return SLUICE_E_GROUP_NOT_EMPTY;
    group_remove(coordinator, found);
    return SLUICE_OK;
}

const char *group_state_text(int32_t state)
{
    static const char *const texts[] = {
        [GROUP_EMPTY] = "Empty",
        [GROUP_PREPARING] = "PreparingRebalance",
        [GROUP_COMPLETING] = "CompletingRebalance",
        [GROUP_STABLE] = "Stable",
        [GROUP_DEAD] = "Dead",
    };
    SL_ASSERT(state >= 0 && (size_t)state < SL_COUNT_OF(texts));
    return texts[state];
}

void group_coordinator_status_get(const struct group_coordinator *coordinator,
                                  struct group_coordinator_status *ret_status)
{
    *ret_status = (struct group_coordinator_status){
        .group_count = coordinator->groups.count,
        .member_count = coordinator->members.count,
        .waiting_count = coordinator->waiting_count,
        .rebalance_count = coordinator->rebalance_count,
        .expired_count = coordinator->expired_count,
    };
}
