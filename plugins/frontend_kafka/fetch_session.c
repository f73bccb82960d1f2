/* fetch_session.c: see fetch_session.h. */
#include "fetch_session.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 8u

/* ---- the set of sessions ---- */

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t slots_max, uint64_t seed)
{
    memset(sessions, 0, sizeof(*sessions));
    sessions->slots_max = slots_max;
    sessions->random = seed;
}

void fetch_sessions_fini(struct fetch_sessions *sessions)
{
    while (sessions->newest != NULL) {
        fetch_session_free(sessions, sessions->newest);
    }
}

/* splitmix64; a positive id that is not in use. */
static int32_t choose_id(struct fetch_sessions *sessions)
{
    for (;;) {
        uint64_t z = sessions->random += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        int32_t id = (int32_t)((z ^ (z >> 31)) & 0x7fffffff);
        if (id != 0 && fetch_session_find(sessions, id) == NULL) {
            return id;
        }
    }
}

static struct fetch_session **bucket_of(struct fetch_sessions *sessions, int32_t id)
{
    return &sessions->buckets[(uint32_t)id % FETCH_SESSION_BUCKETS];
}

struct fetch_session *fetch_session_find(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *session = *bucket_of(sessions, id);
    while (session != NULL && session->id != id) {
        session = session->chain;
    }
    return session;
}

static void push_newest(struct fetch_sessions *sessions, struct fetch_session *session)
{
    session->newer = NULL;
    session->older = sessions->newest;
    if (sessions->newest != NULL) {
        sessions->newest->newer = session;
    } else {
        sessions->oldest = session;
    }
    sessions->newest = session;
}

static void unlink_use(struct fetch_sessions *sessions, struct fetch_session *session)
{
    struct fetch_session **from_newer =
        session->newer != NULL ? &session->newer->older : &sessions->newest;
    struct fetch_session **from_older =
        session->older != NULL ? &session->older->newer : &sessions->oldest;
    *from_newer = session->older;
    *from_older = session->newer;
}

static bool make_slot(struct fetch_sessions *sessions, int64_t now_ms)
{
    struct fetch_session *oldest = sessions->oldest;

    if (sessions->count < sessions->slots_max) {
        return true;
    }
    if (oldest == NULL || now_ms - oldest->used_ms < FETCH_SESSION_IDLE_MS) {
        return false;
    }
    fetch_session_free(sessions, oldest);
    return true;
}

struct fetch_session *fetch_session_new(struct fetch_sessions *sessions, bool by_id, int64_t now_ms)
{
    struct fetch_session *session;

    if (!make_slot(sessions, now_ms)) {
        return NULL;
    }
    session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->buckets = calloc(BUCKETS_FIRST, sizeof(struct fetch_partition *));
    if (session->buckets == NULL) {
        free(session);
        return NULL;
    }
    session->bucket_count = BUCKETS_FIRST;
    session->id = choose_id(sessions);
    session->epoch = FETCH_EPOCH_INITIAL + 1;
    session->by_id = by_id;
    session->used_ms = now_ms;
    session->chain = *bucket_of(sessions, session->id);
    *bucket_of(sessions, session->id) = session;
    push_newest(sessions, session);
    sessions->count++;
    return session;
}

void fetch_session_free(struct fetch_sessions *sessions, struct fetch_session *session)
{
    struct fetch_session **at = bucket_of(sessions, session->id);

    while (*at != session) {
        at = &(*at)->chain;
    }
    *at = session->chain;
    unlink_use(sessions, session);
    while (session->first != NULL) {
        struct fetch_partition *partition = session->first;
        session->first = partition->next;
        free(partition);
    }
    sessions->partition_count -= session->partition_count;
    sessions->count--;
    free(session->buckets);
    free(session);
}

void fetch_session_advance(struct fetch_sessions *sessions, struct fetch_session *session,
                           int64_t now_ms)
{
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    session->used_ms = now_ms;
    unlink_use(sessions, session);
    push_newest(sessions, session);
}

/* ---- partitions of a session ---- */

/* FNV-1a over name, id and partition. */
static uint32_t hash_of(const struct sluice_topic_ref *topic, int32_t partition)
{
    uint32_t hash = 2166136261u;
    for (uint64_t i = 0; i < topic->name.size; i++) {
        hash = (hash ^ (uint8_t)topic->name.data[i]) * 16777619u;
    }
    for (size_t i = 0; i < sizeof(topic->id.bytes); i++) {
        hash = (hash ^ topic->id.bytes[i]) * 16777619u;
    }
    for (uint32_t i = 0; i < 4; i++) {
        hash = (hash ^ (((uint32_t)partition >> (8 * i)) & 0xff)) * 16777619u;
    }
    return hash;
}

static bool is_partition(const struct fetch_partition *at, const struct sluice_topic_ref *topic,
                         int32_t partition)
{
    return at->partition == partition && at->name_size == topic->name.size &&
           memcmp(at->topic_id.bytes, topic->id.bytes, sizeof(topic->id.bytes)) == 0 &&
           (at->name_size == 0 || memcmp(at->name, topic->name.data, at->name_size) == 0);
}

/* The link that points at the partition, or the one at the chain's end. */
static struct fetch_partition **find(struct fetch_session *session,
                                     const struct sluice_topic_ref *topic, int32_t partition)
{
    uint32_t hash = hash_of(topic, partition);
    struct fetch_partition **at = &session->buckets[hash & (session->bucket_count - 1)];
    while (*at != NULL && !((*at)->hash == hash && is_partition(*at, topic, partition))) {
        at = &(*at)->chain;
    }
    return at;
}

static void append(struct fetch_session *session, struct fetch_partition *partition)
{
    partition->next = NULL;
    partition->previous = session->last;
    if (session->last != NULL) {
        session->last->next = partition;
    } else {
        session->first = partition;
    }
    session->last = partition;
}

static void unlink_order(struct fetch_session *session, struct fetch_partition *partition)
{
    struct fetch_partition **from_previous =
        partition->previous != NULL ? &partition->previous->next : &session->first;
    struct fetch_partition **from_next =
        partition->next != NULL ? &partition->next->previous : &session->last;
    *from_previous = partition->next;
    *from_next = partition->previous;
}

/* Keeps chains short; without memory they just grow longer. */
static void grow_buckets(struct fetch_session *session)
{
    uint32_t count = session->bucket_count * 2;
    struct fetch_partition **buckets;

    if (session->partition_count < session->bucket_count) {
        return;
    }
    buckets = calloc(count, sizeof(struct fetch_partition *));
    if (buckets == NULL) {
        return;
    }
    for (struct fetch_partition *at = session->first; at != NULL; at = at->next) {
        at->chain = buckets[at->hash & (count - 1)];
        buckets[at->hash & (count - 1)] = at;
    }
    free(session->buckets);
    session->buckets = buckets;
    session->bucket_count = count;
}

static struct fetch_partition *add(struct fetch_session *session,
                                   const struct sluice_fetch_entry *entry)
{
    uint32_t name_size = (uint32_t)entry->topic.name.size;
    struct fetch_partition *partition = malloc(sizeof(*partition) + name_size);

    if (partition == NULL) {
        return NULL;
    }
    memset(partition, 0, sizeof(*partition));
    if (name_size > 0) {
        memcpy(partition->name, entry->topic.name.data, name_size);
    }
    partition->name_size = name_size;
    partition->topic_id = entry->topic.id;
    partition->partition = entry->partition;
    partition->hash = hash_of(&entry->topic, entry->partition);
    partition->high_watermark = partition->log_start_offset = -1;
    append(session, partition);
    partition->chain = session->buckets[partition->hash & (session->bucket_count - 1)];
    session->buckets[partition->hash & (session->bucket_count - 1)] = partition;
    session->partition_count++;
    grow_buckets(session);
    return partition;
}

bool fetch_session_set(struct fetch_sessions *sessions, struct fetch_session *session,
                       const struct sluice_fetch_entry *entry)
{
    struct fetch_partition *partition = *find(session, &entry->topic, entry->partition);

    if (partition == NULL) {
        if (sessions->partition_count >= FETCH_SESSION_PARTITIONS_MAX) {
            return false;
        }
        partition = add(session, entry);
        if (partition == NULL) {
            return false;
        }
        sessions->partition_count++;
    }
    partition->leader_epoch = entry->leader_epoch;
    partition->last_epoch = entry->last_epoch;
    partition->bytes_max = entry->bytes_max;
    partition->offset = entry->offset;
    return true;
}

void fetch_session_forget(struct fetch_sessions *sessions, struct fetch_session *session,
                          const struct sluice_topic_ref *topic, int32_t partition)
{
    struct fetch_partition **at = find(session, topic, partition);
    struct fetch_partition *gone = *at;

    if (gone != NULL) {
        *at = gone->chain;
        unlink_order(session, gone);
        session->partition_count--;
        sessions->partition_count--;
        free(gone);
    }
}

bool fetch_session_note(struct fetch_session *session, const struct sluice_fetch_entry *entry,
                        const struct sluice_fetch_result *result)
{
    struct fetch_partition *partition = *find(session, &entry->topic, entry->partition);
    bool news;

    if (partition == NULL) {
        return true;
    }
    if (result->status != SLUICE_OK) {
        partition->high_watermark = -1; /* so that the recovery is news as well */
        return true;
    }
    news = result->records.size > 0 || partition->high_watermark != result->high_watermark ||
           partition->log_start_offset != result->log_start_offset || result->diverging_epoch > 0;
    partition->high_watermark = result->high_watermark;
    partition->log_start_offset = result->log_start_offset;
    if (result->records.size > 0) {
        unlink_order(session, partition);
        append(session, partition);
    }
    return news;
}
