/* kafka_frontend.h: one instance of the Kafka frontend and its connections.
 *
 *   bytes ─► kafka_conn (frames, order) ─► kafka_call (one request under way, its memory)
 *         ─► handler (kafka_api.h) ─► broker ─► done ─► kafka_call_answer ─► bytes, in request
 * order
 *
 * An instance belongs to one loop thread; everything here runs on it. [loop] */
#ifndef KAFKA_FRONTEND_H
#define KAFKA_FRONTEND_H

#include "fetch_session.h"
#include "kafka_codec.h"
#include "share_session.h"

#include <sluice/frontend.h>
#include <sluice/message_set.h>
#include <sluice/quota.h>
#include <sluice/security.h>
#include <sluice/task.h>
#include <sluice/telemetry.h>

#define KAFKA_REQUEST_BYTES_MAX  (100u << 20) /* default of request_bytes_max */
#define KAFKA_CALL_BYTES_MAX     (32u << 20)  /* memory of one request beside its record batches */
#define KAFKA_INSTANCE_BYTES_MAX (256u << 20) /* … of all requests of an instance */
#define KAFKA_RESPONSE_BYTES_MAX (64u << 20)  /* of one response beside its records */
#define KAFKA_CALLS_KEPT         1024u        /* idle call objects of an instance */
#define KAFKA_BLOCKS_KEPT        64u          /* … and about how many of them keep a block */
#define KAFKA_PIPELINE_MAX       32u /* Produce requests of a connection under way at once */
#define KAFKA_PIPELINE_RESUME    16u /* … and how few there must be to read on */
#define KAFKA_CONTEXT_TEXT_BYTES 256u
#define KAFKA_PRINCIPAL_BYTES    1024u   /* as long as access rules have them */
#define KAFKA_IDLE_MS            600000u /* default of connections_idle_ms */
#define KAFKA_LINE_BYTES         64u     /* of a cache; a wrong one costs time only */

struct kafka_call;
struct kafka_legacy_job;

/* Calls of the broker may end after the last connection has gone and the host has destroyed the
 * instance: then its memory stays until they have, and host, io and broker are not touched. */
struct kafka_frontend {
    uint32_t refs; /* one of the host, one a connection */
    const struct sluice_host *host;
    const struct sluice_frontend_host *io;
    const struct sluice_broker *broker;
    const struct sluice_security *security;   /* NULL: the host has none */
    const struct sluice_quota *quota;         /* likewise */
    const struct sluice_telemetry *telemetry; /* likewise; then clients are not asked */
    struct kafka_conn *timed; /* whose request is being worked on, kafka_throttle.c */
    int64_t timed_ns;         /* since when */
    uint32_t request_bytes_max;
    bool groups; /* consumer groups are served */
    bool legacy; /* so are versions that Kafka 4 dropped (kafka_legacy.h) */
    const struct sluice_task_host *tasks;               /* not NULL with legacy */
    const struct sluice_message_set_host *message_sets; /* likewise */
    struct kafka_legacy_job *legacy_waiting;            /* for a task, by next */
    size_t legacy_bytes;                                /* batches being converted for fetches */
    struct fetch_sessions sessions;
    struct share_sessions share_sessions;
    struct kafka_writer writer;    /* of the response that is being sent */
    struct kafka_call *idle_calls; /* list by next */
    uint32_t idle_call_count;
    size_t call_bytes;         /* blocks of all calls */
    struct kafka_conn *muted;  /* list by next_muted: throttled connections */
    int64_t idle_ms;           /* connections.max.idle.ms; 0: silence is fine */
    struct kafka_conn *newest; /* open connections by last input (about), kafka_idle.c */
    struct kafka_conn *oldest;
};

/* Why nothing more is taken from a connection. */
enum kafka_block {
    KAFKA_BLOCK_NONE,
    KAFKA_BLOCK_DRAIN, /* the next request starts when those before it are answered */
    KAFKA_BLOCK_FULL,  /* KAFKA_PIPELINE_MAX Produce requests are under way */
};

/* Who is at the other end, as long as texts may be. Apart, as few requests look at it and the pages
 * that all of them touch are to be few, too. */
struct kafka_peer {
    char listener[KAFKA_CONTEXT_TEXT_BYTES];
    char client_host[KAFKA_CONTEXT_TEXT_BYTES];
    char principal[KAFKA_PRINCIPAL_BYTES];
};

/* What each request uses comes first, close together: a thousand of these fit no near cache. */
struct kafka_conn {
    _Alignas(KAFKA_LINE_BYTES) struct kafka_frontend *frontend;
    uint32_t refs;            /* one of the host, one a call, one while input is taken */
    uint32_t call_count;      /* calls in the queue */
    struct kafka_call *first; /* queue of calls in request order */
    struct kafka_call *last;
    enum kafka_block block;
    bool exclusive;   /* the call in the queue overlaps with nothing */
    bool needs_login; /* its listener has mechanisms */
    bool logged_in;
    bool login_raw;   /* frames are the mechanism's, without headers */
    bool login_waits; /* for the answer to such a frame */
    bool muted;
    bool closing;                             /* we asked for it */
    bool closed;                              /* the host said so */
    bool watched;                             /* in the list of its frontend */
    int64_t used_ms;                          /* when its peer sent something last */
    int64_t moved_ms;                         /* when it moved in the list of its frontend */
    int64_t busy_ns;                          /* worked for it, not yet charged */
    int64_t login_until_ms;                   /* monotonic; 0: for ever */
    struct sluice_context context;            /* texts point to client_id and the peer */
    char client_id[KAFKA_CONTEXT_TEXT_BYTES]; /* compared by each request */
    int64_t muted_until_ms;
    struct kafka_conn *next_muted;
    struct kafka_conn *newer;
    struct kafka_conn *older;
    char *software;          /* [owned] "name\0version" of the client; NULL: not known */
    struct kafka_peer *peer; /* [owned] */
};

/* The calls of struct sluice_frontend on connections. */
sluice_status kafka_conn_open(void *self, const struct sluice_connection *connection,
                              void **ret_conn);
sluice_status kafka_conn_input(void *self, void *data, struct sluice_bytes input,
                               uint64_t *ret_consumed, uint64_t *ret_wanted);
void kafka_conn_closed(void *self, void *data);
void kafka_conn_tick(void *self);

/* kafka_idle.c */
void kafka_idle_watch(struct kafka_conn *conn);  /* a new one */
void kafka_idle_touch(struct kafka_conn *conn);  /* its peer sent something */
void kafka_idle_forget(struct kafka_conn *conn); /* it is closed */
/* When kafka_idle_expire is to be called; INT64_MAX: not. */
int64_t kafka_idle_due_ms(const struct kafka_frontend *frontend);
/* Closes those that were silent for too long. */
void kafka_idle_expire(struct kafka_frontend *frontend, int64_t now_ms);

/* Frees the instance with the last of what refers to it. */
void kafka_frontend_unref(struct kafka_frontend *frontend);
/* Frees the calls that are kept for reuse. */
void kafka_frontend_free_calls(struct kafka_frontend *frontend);

/* Whether answers still have somewhere to go. */
static inline bool kafka_conn_is_open(const struct kafka_conn *conn)
{
    return !conn->closed && !conn->closing;
}
/* What members on the connection hold of shared streams is given back (handle_share.c). */
void kafka_share_conn_closed(struct kafka_conn *conn);
/* Closes the connection and logs why, once. */
void kafka_conn_fail(struct kafka_conn *conn, const char *why, sluice_status status);
/* Takes the first call off the queue. */
void kafka_conn_pop(struct kafka_conn *conn);
/* Reads on when what was waited for has happened. */
void kafka_conn_settle(struct kafka_conn *conn);
/* Takes no request for so long (KIP-219: the answer has gone out with the time). */
void kafka_conn_mute(struct kafka_conn *conn, int32_t throttle_ms);
void kafka_conn_ref(struct kafka_conn *conn);
void kafka_conn_unref(struct kafka_conn *conn);

#endif
