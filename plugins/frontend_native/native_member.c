/* native_member.c: a durable subscription as its group's coordinator knows it: a member that reads
 * all partitions of its topics by itself (SLUICE_SHARE_READS_ALL).
 *
 *   join ─► has the group begun? ─ no ─► the place of each partition is kept ─► "begun" ─► joined
 *                                └ yes ───────────────────────────────────────────────────┘
 *   heartbeats: as often as the coordinator wants them, and when it reads other topics
 *   leaving: what it holds is given back ─► it goes ─► UNSUBSCRIBED, where that is an answer
 *
 * A group that has begun reads what it has not read yet from its beginning, so that topics that
 * came while nobody was connected are read whole. A member whose session ended (the process was
 * stopped) joins again. */
#include "native_share.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 1000u
#define RETRY_MS    200
#define GRID_MS     500 /* heartbeats are due at multiples of it, so that many are one look */

/* ---- topics ---- */

/* One source of each topic stands for it. */
static bool stands_for_topic(const struct native_source *source)
{
    return source->partition == 0 || source->sub->partition >= 0;
}

/* In one piece of memory, texts behind them: the broker reads them on another thread, and sources
 * may end meanwhile. */
static bool copy_topics(struct native_share *share)
{
    struct native_member *member = &share->membership;
    struct sluice_share_heartbeat *request = &member->request;
    size_t size = 1;
    uint32_t count = 0;
    for (struct native_source *at = share->sub->sources; at != NULL; at = at->next) {
        size += stands_for_topic(at) ? sizeof(struct sluice_text) + at->topic->name.size : 0;
        count += stands_for_topic(at);
    }
    struct sluice_text *topics = malloc(size);
    if (topics == NULL) {
        return false;
    }
    char *text = (char *)(topics + count);
    for (struct native_source *at = share->sub->sources; at != NULL; at = at->next) {
        if (stands_for_topic(at)) {
            struct sluice_text name = at->topic->name;
            memcpy(text, name.data, (size_t)name.size);
            topics[request->topic_count++] = (struct sluice_text){text, name.size};
            text += name.size;
        }
    }
    member->topics = topics;
    request->topics = topics;
    return true;
}

/* ---- heartbeats ---- */

static void answered(void *arg, const struct sluice_share_joined *joined);

/* False: no memory; it is tried again later. The answer may come inside. */
static bool beat(struct native_share *share, uint32_t flags)
{
    struct native_sub *sub = share->sub;
    struct native_member *member = &share->membership;
    const struct sluice_broker *broker = sub->conn->frontend->broker;
    bool is_joining = member->epoch == 0;
    flags |= is_joining ? SLUICE_SHARE_READS_ALL : 0;
    flags |= is_joining && (sub->flags & NATIVE_EXCLUSIVE) != 0 ? SLUICE_SHARE_ALONE : 0;
    member->request = (struct sluice_share_heartbeat){.size = sizeof(member->request),
                                                      .epoch = member->epoch,
                                                      .group = share->group,
                                                      .member = share->member,
                                                      .flags = flags,
                                                      .partition = sub->partition};
    if ((is_joining || member->changed) && !copy_topics(share)) {
        native_share_wake_at(share, &member->due_ms, RETRY_MS);
        return false;
    }
    member->changed = false;
    member->beating = true;
    native_sub_ref(sub);
    broker->share_heartbeat(broker, &sub->conn->context, &member->request, answered, share);
    return true;
}

static bool may_beat(const struct native_share *share)
{
    const struct native_member *member = &share->membership;
    return !member->beating && member->joined == NULL && native_share_is_live(share);
}

void native_member_changed(struct native_share *share)
{
    share->membership.changed = true;
    if (may_beat(share)) { /* at the next tick: an answer that comes at once may end all of it */
        native_share_wake_at(share, &share->membership.due_ms, 0);
    }
}

int64_t native_member_try(struct native_share *share, int64_t now_ms)
{
    if (share->membership.due_ms <= now_ms && may_beat(share)) {
        share->membership.due_ms = INT64_MAX;
        (void)beat(share, 0);
    }
    return share->membership.due_ms;
}

/* It is told when to be heard of next. */
static void again_later(struct native_share *share, int32_t heartbeat_ms)
{
    const struct sluice_frontend_host *io = share->sub->conn->frontend->io;
    int64_t at_ms = io->now_ms(io) + heartbeat_ms;
    int64_t in_ms = at_ms - at_ms % GRID_MS - io->now_ms(io);
    native_share_wake_at(share, &share->membership.due_ms, in_ms > GRID_MS ? in_ms : GRID_MS);
}

static bool is_forgotten(sluice_status status)
{
    return status == SLUICE_E_UNKNOWN_MEMBER || status == SLUICE_E_FENCED_MEMBER_EPOCH ||
           status == SLUICE_E_GROUP_NOT_FOUND;
}

/* A heartbeat of one that had joined. */
static void settle(struct native_share *share, sluice_status status)
{
    struct native_member *member = &share->membership;
    if (is_forgotten(status) && member->epoch > 0) {
        member->epoch = 0;
        (void)beat(share, 0);
    } else if (status == SLUICE_OK && member->changed) {
        (void)beat(share, 0);
    } else if (status != SLUICE_OK && status != SLUICE_E_GROUP_EXCLUSIVE &&
               (native_status_may_pass(status) || status == SLUICE_E_TOPIC_AUTHORIZATION)) {
        member->changed = true;
        native_share_wake_at(share, &member->due_ms, RETRY_MS);
    } else if (status != SLUICE_OK) {
        native_sub_end(share->sub, status, "");
    }
}

/* ---- joining ---- */

static void joined_end(struct native_share *share, sluice_status status, const char *reason)
{
    struct native_member *member = &share->membership;
    native_joined *done = member->joined;
    member->joined = NULL;
    done(member->arg, status, reason);
    if (member->changed && may_beat(share)) {
        (void)beat(share, 0);
    }
}

static void read_from_the_beginning(struct native_share *share)
{
    for (struct native_source *at = share->sub->sources; at != NULL; at = at->next) {
        at->share_start = SLUICE_SHARE_START_FIRST;
    }
}

void native_member_begun(struct native_share *share, sluice_status status)
{
    if (status != SLUICE_OK || share->sub->ended) {
        joined_end(share, status, "");
    } else if (!beat(share, SLUICE_SHARE_BEGAN)) {
        joined_end(share, SLUICE_E_NO_MEMORY, "");
    }
}

static void go_on_joining(struct native_share *share, const struct sluice_share_joined *joined)
{
    bool has_said_so = (share->membership.request.flags & SLUICE_SHARE_BEGAN) != 0;
    if (joined->status != SLUICE_OK || share->sub->ended) {
        joined_end(share, joined->status,
                   joined->status == SLUICE_E_GROUP_NOT_FOUND
                       ? "a group of another kind has this name"
                       : "");
    } else if (joined->has_begun || has_said_so) {
        if (!has_said_so) {
            read_from_the_beginning(share);
        }
        joined_end(share, SLUICE_OK, "");
    } else if (share->sub->source_count == 0) {
        native_member_begun(share, SLUICE_OK);
    } else {
        native_share_begin(share);
    }
}

static void answered(void *arg, const struct sluice_share_joined *joined)
{
    struct native_share *share = arg;
    struct native_sub *sub = share->sub;
    struct native_member *member = &share->membership;
    member->beating = false;
    free(member->topics);
    member->topics = NULL;
    member->epoch = joined->status == SLUICE_OK ? joined->epoch : member->epoch;
    if (joined->status == SLUICE_OK && !sub->ended) {
        again_later(share, joined->heartbeat_ms);
    }
    if (member->joined != NULL) {
        go_on_joining(share, joined);
    } else if (native_share_is_live(share)) {
        settle(share, joined->status);
    }
    native_member_maybe_leave(share);
    native_sub_unref(sub);
}

void native_member_join(struct native_share *share, native_joined *done, void *arg)
{
    share->membership.joined = done;
    share->membership.arg = arg;
    if (share->sub->source_count > SOURCES_MAX) {
        joined_end(share, SLUICE_E_LIMIT, "a durable subscription reads at most 1000 partitions");
        return;
    }
    if (!beat(share, 0)) {
        joined_end(share, SLUICE_E_NO_MEMORY, "");
    }
}

/* ---- leaving ---- */

struct leaving {
    struct native_conn *conn; /* a reference */
    struct native_call *call; /* UNSUBSCRIBE, which is answered; or NULL */
    bool is_member;
    struct sluice_share_fetch fetch;
    struct sluice_share_heartbeat heartbeat;
};

static void unsubscribed(struct native_call *call)
{
    if (call != NULL && native_conn_is_open(call->conn)) {
        (void)native_conn_frame(call->conn, NATIVE_UNSUBSCRIBED, 0, call->id);
        native_conn_send(call->conn);
    }
    if (call != NULL) {
        native_call_end(call);
    }
}

static void gone(void *arg, const struct sluice_share_joined *joined)
{
    struct leaving *leaving = arg;
    (void)joined;
    unsubscribed(leaving->call);
    native_conn_unref(leaving->conn);
    free(leaving);
}

/* Who comes now finds what was held here available. */
static void given_back(void *arg, sluice_status status, int32_t lock_ms,
                       const struct sluice_share_result *results, uint32_t count)
{
    struct leaving *leaving = arg;
    struct native_conn *conn = leaving->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    (void)status, (void)lock_ms, (void)results, (void)count;
    if (conn->frontend->destroyed || !leaving->is_member) {
        gone(leaving, NULL);
    } else {
        broker->share_heartbeat(broker, &conn->context, &leaving->heartbeat, gone, leaving);
    }
}

/* Without memory its locks, and its session, end by themselves. */
static void leave(struct native_share *share)
{
    struct native_conn *conn = share->sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    size_t size = (size_t)(share->group.size + share->member.size);
    bool is_there = share->sub->live || share->membership.epoch > 0;
    struct leaving *leaving =
        conn->frontend->destroyed || !is_there ? NULL : calloc(1, sizeof(*leaving) + size);
    if (leaving == NULL) {
        unsubscribed(share->unsubscribe);
        return;
    }
    char *texts = (char *)(leaving + 1);
    memcpy(texts, share->group.data, size); /* the member is behind the group */
    const struct sluice_text group = {texts, share->group.size};
    const struct sluice_text member = {texts + group.size, share->member.size};
    leaving->conn = conn;
    leaving->call = share->unsubscribe;
    leaving->is_member = share->membership.epoch > 0;
    leaving->fetch = (struct sluice_share_fetch){.size = sizeof(leaving->fetch),
                                                 .flags = SLUICE_SHARE_LEAVES,
                                                 .group = group,
                                                 .member = member};
    leaving->heartbeat = (struct sluice_share_heartbeat){
        .size = sizeof(leaving->heartbeat), .epoch = -1, .group = group, .member = member};
    native_conn_ref(conn);
    broker->share_fetch(broker, &conn->context, &leaving->fetch, given_back, leaving);
}

void native_member_maybe_leave(struct native_share *share)
{
    if (share->sub->ended && !share->fetching && !share->membership.beating &&
        !share->membership.left) {
        share->membership.left = true;
        leave(share);
    }
}
