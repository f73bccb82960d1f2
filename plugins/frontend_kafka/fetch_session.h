/* fetch_session.h: incremental fetch sessions (KIP-227): what a client has asked for, so that it
 * names only what changes, and what it was told last, so that only changes are answered.
 *
 *   epoch 0 ─► a new session (epoch 1 is expected next) ─► epoch n ─► n + 1 … ; -1 ends it
 *
 * Sessions are bounded in number and in partitions. When all slots are taken, the one that was used
 * longest ago gives way if it has been idle for FETCH_SESSION_IDLE_MS; otherwise the client goes on
 * without a session. Partitions are kept in the order of the next answer: one that gave records
 * moves to the end, so that none starves. One thread. */
#ifndef FETCH_SESSION_H
#define FETCH_SESSION_H

#include <sluice/broker.h>

#define FETCH_SESSION_SLOTS_MAX      1000u /* default */
#define FETCH_SESSION_IDLE_MS        120000
#define FETCH_SESSION_PARTITIONS_MAX 200000u /* of all sessions together */
#define FETCH_SESSION_BUCKETS        1024u

#define FETCH_EPOCH_INITIAL 0
#define FETCH_EPOCH_FINAL   (-1)

struct fetch_partition {
    struct fetch_partition *next; /* in the session's order */
    struct fetch_partition *previous;
    struct fetch_partition *chain; /* of its hash bucket */
    uint32_t hash;
    int32_t partition;
    struct sluice_uuid topic_id;
    int32_t leader_epoch;
    int32_t last_epoch; /* of the record read last */
    int32_t bytes_max;
    int64_t offset;
    int64_t high_watermark;   /* as last answered; -1: not yet */
    int64_t log_start_offset; /* as last answered; -1: not yet */
    uint32_t name_size;
    char name[];
};

struct fetch_session {
    struct fetch_session *chain; /* of its bucket */
    struct fetch_session *newer; /* by last use */
    struct fetch_session *older;
    int64_t used_ms;
    int32_t id;
    int32_t epoch; /* expected next */
    bool by_id;    /* topics are named by id (Fetch version 13 and later) */
    uint32_t partition_count;
    uint32_t bucket_count; /* a power of two */
    struct fetch_partition **buckets;
    struct fetch_partition *first;
    struct fetch_partition *last;
};

struct fetch_sessions {
    uint32_t slots_max;
    uint32_t count;
    uint32_t partition_count;
    uint64_t random;
    struct fetch_session *newest;
    struct fetch_session *oldest;
    struct fetch_session *buckets[FETCH_SESSION_BUCKETS];
};

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t slots_max, uint64_t seed);
void fetch_sessions_fini(struct fetch_sessions *sessions);

/* A session without partitions that expects epoch 1; NULL: no slot or no memory. */
struct fetch_session *fetch_session_new(struct fetch_sessions *sessions, bool by_id,
                                        int64_t now_ms);
struct fetch_session *fetch_session_find(struct fetch_sessions *sessions, int32_t id);
void fetch_session_free(struct fetch_sessions *sessions, struct fetch_session *session);
/* The session was used with its expected epoch: the next one follows (after 2^31-1 comes 1). */
void fetch_session_advance(struct fetch_sessions *sessions, struct fetch_session *session,
                           int64_t now_ms);

/* Adds or changes what the client wants of a partition. false: no room. */
bool fetch_session_set(struct fetch_sessions *sessions, struct fetch_session *session,
                       const struct sluice_fetch_entry *entry);
void fetch_session_forget(struct fetch_sessions *sessions, struct fetch_session *session,
                          const struct sluice_topic_ref *topic, int32_t partition);
/* Notes what is answered; whether that is news to the client. A partition that the session does not
 * have is always news. */
bool fetch_session_note(struct fetch_session *session, const struct sluice_fetch_entry *entry,
                        const struct sluice_fetch_result *result);

#endif
