/* share_session.c: see share_session.h. */
#include "share_session.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_add(uint32_t hash, struct sluice_text text)
{
    for (uint64_t i = 0; i < text.size; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * 16777619u;
    }
    return (hash ^ 0xffu) * 16777619u;
}

static uint32_t hash_of(struct sluice_text group, struct sluice_text member)
{
    return hash_add(hash_add(2166136261u, group), member);
}

static bool same(struct sluice_text a, struct sluice_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

struct share_session *share_session_find(const struct share_sessions *sessions,
                                         struct sluice_text group, struct sluice_text member)
{
    uint32_t hash = hash_of(group, member);
    struct share_session *session = sessions->buckets[hash % SHARE_SESSION_BUCKETS];
    while (session != NULL &&
           (session->hash != hash || !same(share_session_group(session), group) ||
            !same(share_session_member(session), member))) {
        session = session->chain;
    }
    return session;
}

void share_session_free(struct share_sessions *sessions, struct share_session *session)
{
    struct share_session **at = &sessions->buckets[session->hash % SHARE_SESSION_BUCKETS];
    while (*at != session) {
        at = &(*at)->chain;
    }
    *at = session->chain;
    sessions->count--;
    free(session->partitions);
    free(session);
}

void share_sessions_fini(struct share_sessions *sessions)
{
    for (uint32_t i = 0; i < SHARE_SESSION_BUCKETS; i++) {
        while (sessions->buckets[i] != NULL) {
            share_session_free(sessions, sessions->buckets[i]);
        }
    }
}

struct share_session *share_session_new(struct share_sessions *sessions, struct sluice_text group,
                                        struct sluice_text member, const void *conn)
{
    struct share_session *session = share_session_find(sessions, group, member);
    if (session != NULL) {
        share_session_free(sessions, session);
    }
    if (sessions->count >= SHARE_SESSIONS_MAX) {
        return NULL;
    }
    session = malloc(sizeof(*session) + (size_t)(group.size + member.size));
    if (session == NULL) {
        return NULL;
    }
    uint32_t hash = hash_of(group, member);
    struct share_session **bucket = &sessions->buckets[hash % SHARE_SESSION_BUCKETS];
    *session = (struct share_session){.chain = *bucket,
                                      .conn = conn,
                                      .epoch = 1,
                                      .hash = hash,
                                      .group_size = (uint32_t)group.size,
                                      .member_size = (uint32_t)member.size};
    if (group.size > 0) {
        memcpy(session->texts, group.data, (size_t)group.size);
    }
    if (member.size > 0) {
        memcpy(session->texts + group.size, member.data, (size_t)member.size);
    }
    *bucket = session;
    sessions->count++;
    return session;
}

struct share_session *share_session_of(const struct share_sessions *sessions, const void *conn)
{
    for (uint32_t i = 0; sessions->count > 0 && i < SHARE_SESSION_BUCKETS; i++) {
        for (struct share_session *at = sessions->buckets[i]; at != NULL; at = at->chain) {
            if (at->conn == conn) {
                return at;
            }
        }
    }
    return NULL;
}

void share_session_advance(struct share_session *session)
{
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
}

static uint32_t find(const struct share_session *session, struct sluice_uuid topic,
                     int32_t partition)
{
    uint32_t at = 0;
    while (at < session->partition_count &&
           (session->partitions[at].partition != partition ||
            memcmp(session->partitions[at].topic.bytes, topic.bytes, sizeof(topic.bytes)) != 0)) {
        at++;
    }
    return at;
}

bool share_session_has(const struct share_session *session, struct sluice_uuid topic,
                       int32_t partition)
{
    return find(session, topic, partition) < session->partition_count;
}

bool share_session_add(struct share_session *session, struct sluice_uuid topic, int32_t partition)
{
    if (share_session_has(session, topic, partition)) {
        return true;
    }
    if (session->partition_count == session->partition_capacity) {
        uint32_t capacity = session->partition_capacity == 0 ? 8 : session->partition_capacity * 2;
        void *grown = capacity > SHARE_SESSION_PARTITIONS_MAX * 2
                          ? NULL
                          : realloc(session->partitions, capacity * sizeof(*session->partitions));
        if (grown == NULL) {
            return false;
        }
        session->partitions = grown;
        session->partition_capacity = capacity;
    }
    session->partitions[session->partition_count++] =
        (struct share_session_partition){topic, partition};
    return true;
}

void share_session_forget(struct share_session *session, struct sluice_uuid topic,
                          int32_t partition)
{
    uint32_t at = find(session, topic, partition);
    if (at < session->partition_count) {
        memmove(session->partitions + at, session->partitions + at + 1,
                (session->partition_count - at - 1) * sizeof(*session->partitions));
        session->partition_count--;
    }
}
