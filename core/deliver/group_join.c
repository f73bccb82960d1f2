/* group_join.c: JoinGroup (GroupMetadataManager.classicGroupJoin and what it calls). */
#include "deliver/group_reply.h"

/* One call on its way through the cases. */
struct join {
    struct group_coordinator *coordinator;
    const struct sluice_group_join *request;
    struct sl_bytes client_id;
    struct sl_bytes client_host;
    struct sl_bytes member;   /* as the request names it */
    struct sl_bytes instance; /* data NULL: dynamic */
    struct group_reply *reply;
    struct group *group;
    int64_t now_ms;
    int32_t session_ms;
};

static void fail(const struct join *join, sl_err err, struct sl_bytes member)
{
    group_reply_join_fail(join->coordinator, join->reply, err, member);
}

/* The member has called: its reply waits for the join phase to end. */
static void park(const struct join *join, struct group_member *member)
{
    /* A former call of the same member will not be heard any more; it is answered all the same. */
    group_reply_join_fail(join->coordinator, member->join, SLUICE_E_REBALANCE_IN_PROGRESS,
                          member->id);
    group_reply_sync_fail(join->coordinator, member->sync, SLUICE_E_REBALANCE_IN_PROGRESS);
    member->sync = NULL;
    member->awaiting_sync = false;
    member->join = join->reply;
    join->group->awaiting_join_count += !member->awaiting_join;
    member->awaiting_join = true;
}

#define CLIENT_BYTES_MAX 255u /* of what is shown of a client */

static sl_err client_set(struct sl_bytes *text, struct sl_bytes value)
{
    return group_bytes_set(text, sl_bytes_of(value.data, SL_MIN(value.size, CLIENT_BYTES_MAX)));
}

static sl_err member_configure(const struct join *join, struct group_member *member)
{
    const struct sluice_group_join *request = join->request;
    sl_err err = group_member_protocols_set(join->coordinator, member, request->protocols,
                                            request->protocol_count);
    if (err == SLUICE_OK)
        err = client_set(&member->client_id, join->client_id);
    if (err == SLUICE_OK)
        err = client_set(&member->client_host, join->client_host);
    if (err != SLUICE_OK)
        return err;
    int32_t rebalance_timeout_ms = request->rebalance_timeout_ms;
    if (rebalance_timeout_ms == -1)
        rebalance_timeout_ms = join->session_ms;
    member->session_timeout_ms = join->session_ms;
    member->rebalance_timeout_ms = SL_MAX(rebalance_timeout_ms, 1);
    return SLUICE_OK;
}

static void update_then_rebalance(const struct join *join, struct group_member *member)
{
    sl_err err = member_configure(join, member);
    if (err != SLUICE_OK) {
        fail(join, err, member->id);
        return;
    }
    park(join, member);
    group_rebalance_or_complete(join->coordinator, join->group, join->now_ms);
}

/* The generation as it is, without a new one. */
static void answer_now(const struct join *join, struct group_member *member, bool with_members)
{
    group_member_touch(join->coordinator, member, join->now_ms);
    group_reply_joined(join->coordinator, join->reply, member, join->group->leader->id,
                       with_members, false);
}

/* ---- new members ---- */

static sl_err protocol_type_adopt(const struct join *join)
{
    if (join->group->member_count != 0)
        return SLUICE_OK;
    return group_bytes_set(&join->group->protocol_type, sl_of_text(join->request->protocol_type));
}

static void add_then_rebalance(const struct join *join, struct sl_bytes id)
{
    struct group_coordinator *coordinator = join->coordinator;
    struct group_member *member = NULL;
    sl_err err = protocol_type_adopt(join);
    if (err == SLUICE_OK)
        err = group_member_add(coordinator, join->group, id, join->instance, &member);
    if (err == SLUICE_OK)
        err = member_configure(join, member);
    if (err != SLUICE_OK) {
        if (member != NULL)
            group_member_remove(coordinator, member);
        fail(join, err, (struct sl_bytes){0});
        group_join_maybe_complete(coordinator, join->group, join->now_ms);
        return;
    }
    if (join->group->state == GROUP_PREPARING && join->group->initial)
        join->group->new_member_added = true;
    park(join, member);
    member->deadline_ms = join->now_ms + GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS;
    group_due_by(coordinator, join->group, member->deadline_ms);
    group_rebalance_or_complete(coordinator, join->group, join->now_ms);
}

/* KIP-394: the id is told first, and used with the next call. */
static void pending_make(const struct join *join, struct sl_bytes id)
{
    sl_err err =
        group_pending_add(join->coordinator, join->group, id, join->now_ms + join->session_ms);
    fail(join, err == SLUICE_OK ? SLUICE_E_MEMBER_ID_REQUIRED : err, id);
}

/* Stable, and the protocol stays: the one that came back gets its old place without a rebalance. An
 * older client cannot skip the assignment: it is told that its former self leads (KIP-814). */
static void static_resume(const struct join *join, struct group_member *member,
                          struct sl_bytes former_leader)
{
    bool leads = join->group->leader == member;
    bool skip = join->request->supports_skip_assignment && leads;
    struct sl_bytes leader =
        join->request->supports_skip_assignment ? join->group->leader->id : former_leader;
    group_member_touch(join->coordinator, member, join->now_ms);
    group_reply_joined(join->coordinator, join->reply, member, leader, skip, skip);
}

static void static_replace(const struct join *join, struct group_member *member, struct sl_bytes id)
{
    struct group *group = join->group;
    struct sl_bytes former_leader = {0};
    sl_err err = group_bytes_set(&former_leader, group->leader->id);
    if (err == SLUICE_OK)
        err = member_configure(join, member);
    if (err == SLUICE_OK)
        err = group_member_rename(join->coordinator, member, id);
    if (err != SLUICE_OK) {
        fail(join, err, (struct sl_bytes){0});
    } else if (group->state == GROUP_STABLE &&
               sl_bytes_equal(group->protocol, group_protocol_select(group))) {
        static_resume(join, member, former_leader);
    } else {
        group_member_touch(join->coordinator, member, join->now_ms);
        park(join, member);
        group_rebalance_or_complete(join->coordinator, group, join->now_ms);
    }
    sl_free((void *)(uintptr_t)former_leader.data);
}

static void join_new(const struct join *join)
{
    char text[GROUP_MEMBER_ID_BYTES_MAX];
    bool is_static = join->instance.data != NULL;
    size_t size =
        group_member_id_make(join->coordinator, is_static ? join->instance : join->client_id, text);
    struct sl_bytes id = sl_bytes_of(text, size);
    struct group_member *former =
        is_static ? group_member_of_instance(join->group, join->instance) : NULL;
    if (former != NULL)
        static_replace(join, former, id);
    else if (!is_static && join->request->require_member_id)
        pending_make(join, id);
    else
        add_then_rebalance(join, id);
}

/* ---- members that are known ---- */

static void rejoin_completing(const struct join *join, struct group_member *member)
{
    const struct sluice_group_join *request = join->request;
    /* It lost the answer: the same again. */
    if (group_member_matches(member, request->protocols, request->protocol_count))
        answer_now(join, member, join->group->leader == member);
    else
        update_then_rebalance(join, member);
}

static void rejoin_stable(const struct join *join, struct group_member *member)
{
    const struct sluice_group_join *request = join->request;
    /* A leader joins again to have partitions assigned anew; others when their subscription
     * changed. */
    if (join->group->leader == member ||
        !group_member_matches(member, request->protocols, request->protocol_count))
        update_then_rebalance(join, member);
    else
        answer_now(join, member, false);
}

static void join_known(const struct join *join)
{
    struct group *group = join->group;
    struct group_member *member = NULL;
    struct group_pending **pending = group_pending_find(group, join->member);
    if (pending != NULL) {
        group_pending_remove(group, pending);
        add_then_rebalance(join, join->member);
        return;
    }
    sl_err err =
        group_member_validate(join->coordinator, group, join->member, join->instance, &member);
    if (err != SLUICE_OK || group->state == GROUP_EMPTY)
        fail(join, err != SLUICE_OK ? err : SLUICE_E_UNKNOWN_MEMBER, join->member);
    else if (group->state == GROUP_PREPARING)
        update_then_rebalance(join, member);
    else if (group->state == GROUP_COMPLETING)
        rejoin_completing(join, member);
    else
        rejoin_stable(join, member);
}

/* ---- the bound on members ---- */

/* While a group rebalances, those who call first get the places (Kafka's acceptJoiningMember). */
static bool has_place(const struct join *join)
{
    const struct group *group = join->group;
    uint32_t members_max = join->coordinator->config.limits.members_max;
    const struct group_member *member =
        join->member.size == 0 ? group_member_of_instance(group, join->instance)
                               : group_member_get(join->coordinator, group, join->member);
    if (group->state == GROUP_EMPTY)
        return group->pending_count < members_max;
    if (group->state == GROUP_PREPARING)
        return (member != NULL && member->awaiting_join) ||
               group->awaiting_join_count < members_max;
    return member != NULL || group->member_count < members_max;
}

static void no_place(const struct join *join)
{
    struct group_member *member = group_member_get(join->coordinator, join->group, join->member);
    struct group_pending **pending = group_pending_find(join->group, join->member);
    if (member != NULL)
        group_member_remove(join->coordinator, member);
    if (pending != NULL)
        group_pending_remove(join->group, pending);
    fail(join, SLUICE_E_GROUP_MAX_SIZE, (struct sl_bytes){0});
    group_join_maybe_complete(join->coordinator, join->group, join->now_ms);
}

static sl_err group_find(struct join *join, struct sl_bytes name)
{
    const struct group_limits *limits = &join->coordinator->config.limits;
    if (join->session_ms == 0)
        join->session_ms = limits->session_default_ms;
    if (join->coordinator->stopping)
        return SLUICE_E_STOPPING;
    if (name.size == 0 || name.size > GROUP_ID_BYTES_MAX)
        return SLUICE_E_INVALID_GROUP_ID;
    if (join->session_ms < limits->session_min_ms || join->session_ms > limits->session_max_ms)
        return SLUICE_E_INVALID_SESSION_TIMEOUT;
    join->group = group_get(join->coordinator, name);
    if (join->group != NULL)
        return SLUICE_OK;
    if (join->member.size != 0)
        return SLUICE_E_UNKNOWN_MEMBER;
    return group_add(join->coordinator, name, join->now_ms, &join->group);
}

void group_join(struct group_coordinator *coordinator, const struct sluice_group_join *request,
                const struct group_caller *client, int64_t now_ms, sluice_group_joined_done *done,
                void *arg)
{
    struct join join = {
        .coordinator = coordinator,
        .request = request,
        .client_id = sl_of_text(client->id),
        .client_host = sl_of_text(client->host),
        .member = sl_of_text(request->member),
        .instance = sl_of_text(request->instance),
        .reply = group_reply_of_join(coordinator, done, arg),
        .now_ms = now_ms,
        .session_ms = request->session_timeout_ms,
    };
    if (join.reply == NULL)
        return;
    sl_err err = group_find(&join, sl_of_text(request->group));
    if (err != SLUICE_OK)
        fail(&join, err, join.member);
    else if (!has_place(&join))
        no_place(&join);
    else if (!group_supports(join.group, sl_of_text(request->protocol_type), request->protocols,
                             request->protocol_count))
        fail(&join, SLUICE_E_INCONSISTENT_GROUP_PROTOCOL, join.member);
    else if (join.member.size == 0)
        join_new(&join);
    else
        join_known(&join);
    group_reply_deliver(coordinator);
}
