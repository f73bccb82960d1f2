/* share_session.h: share sessions (KIP-932): what a member of a group that shares streams has asked
 * for, so that it names only what changes. A session belongs to a member and to the connection that
 * opened it; with either gone, what the member held is given back.
 *
 *   epoch 0 ─► a new session (epoch 1 is expected next) ─► epoch n ─► n + 1 …; -1 ends it
 *
 * Bounded in number and in partitions. One thread. */
#ifndef SHARE_SESSION_H
#define SHARE_SESSION_H

#include <sluice/broker.h>

#define SHARE_SESSIONS_MAX           2000u /* of an instance; Kafka's group.share.max.share.sessions */
#define SHARE_SESSION_PARTITIONS_MAX 10000u
#define SHARE_SESSION_BUCKETS        256u

#define SHARE_EPOCH_INITIAL 0
#define SHARE_EPOCH_FINAL   (-1)

struct share_session_partition {
    struct sluice_uuid topic;
    int32_t partition;
};

struct share_session {
    struct share_session *chain; /* of its bucket */
    const void *conn;            /* whose it is */
    int32_t epoch;               /* expected next */
    uint32_t partition_count;
    uint32_t partition_capacity;
    struct share_session_partition *partitions; /* owned */
    uint32_t hash;
    uint32_t group_size;
    uint32_t member_size;
    char texts[]; /* the group, then the member */
};

struct share_sessions {
    uint32_t count;
    struct share_session *buckets[SHARE_SESSION_BUCKETS];
};

static inline struct sluice_text share_session_group(const struct share_session *session)
{
    return (struct sluice_text){session->texts, session->group_size};
}
static inline struct sluice_text share_session_member(const struct share_session *session)
{
    return (struct sluice_text){session->texts + session->group_size, session->member_size};
}

void share_sessions_fini(struct share_sessions *sessions);
struct share_session *share_session_find(const struct share_sessions *sessions,
                                         struct sluice_text group, struct sluice_text member);
/* In place of the one that the member may have. NULL: no room. */
struct share_session *share_session_new(struct share_sessions *sessions, struct sluice_text group,
                                        struct sluice_text member, const void *conn);
void share_session_free(struct share_sessions *sessions, struct share_session *session);
/* One of the connection's; NULL: none (any more). */
struct share_session *share_session_of(const struct share_sessions *sessions, const void *conn);
/* The session was used with its expected epoch: the next one follows (after 2^31-1 comes 1). */
void share_session_advance(struct share_session *session);

/* Adds what is not there yet. false: no room. */
bool share_session_add(struct share_session *session, struct sluice_uuid topic, int32_t partition);
void share_session_forget(struct share_session *session, struct sluice_uuid topic,
                          int32_t partition);
bool share_session_has(const struct share_session *session, struct sluice_uuid topic,
                       int32_t partition);

#endif
