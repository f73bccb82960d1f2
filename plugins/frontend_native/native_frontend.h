/* native_frontend.h: one instance of the native frontend, its connections and subscriptions.
 *
 *   bytes ─► native_conn (frames, order) ─► native_kinds (kind → handler) ─► broker ─► answer
 *   records ─► native_source (one partition of one subscription, its waiting fetch)
 *           ─► native_sub (credit, filter) ─► MESSAGES
 *
 * An instance belongs to one loop thread; everything here runs on it. Calls to the broker may end
 * after their connection has gone, and after the host has destroyed the instance: what they point
 * at holds a reference, and host, broker and connections are not touched then. [loop] */
#ifndef FRONTEND_NATIVE_NATIVE_FRONTEND_H
#define FRONTEND_NATIVE_NATIVE_FRONTEND_H

#include "native_credit.h"
#include "native_filter.h"
#include "native_held.h"
#include "native_last.h"
#include "native_pattern.h"
#include "native_runs.h"
#include "native_topics.h"
#include "native_wire.h"

#include <sluice/filter.h>
#include <sluice/frontend.h>
#include <sluice/quota.h>
#include <sluice/records.h>
#include <sluice/security.h>

#define NATIVE_PRINCIPAL_BYTES 1024u       /* as long as access rules have them */
#define NATIVE_LOGIN_BYTES_MAX (64u << 10) /* of a frame before the login */
#define NATIVE_SCRATCH_KEPT    (64u << 10) /* of the instance's buffers between frames */
#define NATIVE_INBOX_BYTES     47u         /* of an address for replies */
#define NATIVE_TICK_MS         50u         /* how soon a new topic is found */
#define NATIVE_MESSAGES_BYTES  (64u << 10) /* of a frame of them, but for one that is larger */

struct native_conn;
struct native_lua_wait;
struct native_share;
struct native_source;
struct native_sub;

/* Of the configuration. */
struct native_limits {
    uint32_t frame_bytes_max;
    uint32_t subscriptions_max; /* of a connection */
    uint32_t sources_max;       /* of a subscription */
    uint32_t publishes_max;     /* requests of a connection that are under way */
    uint32_t output_bytes_max;  /* queued, beyond which nothing is pushed */
    uint32_t keys_max;
    uint32_t heartbeat_ms; /* 0: none */
};

struct native_frontend {
    uint32_t refs; /* one of the host, one a connection */
    const struct sluice_host *host;
    const struct sluice_frontend_host *io;
    const struct sluice_broker *broker;
    const struct sluice_records_host *records;
    const struct sluice_security *security;   /* NULL: the host has none */
    const struct sluice_quota *quota;         /* likewise */
    const struct sluice_filter_host *filters; /* likewise */
    struct native_limits limits;
    struct native_topics topics;
    size_t frame_at;                    /* where in the writer the last frame begins */
    struct native_writer writer;        /* of the frame that is being sent */
    struct sluice_record *read_records; /* of the frame that is being read */
    struct sluice_header *read_headers;
    uint32_t read_record_room;
    uint32_t read_header_room;
    uint32_t round; /* of keyless publishes: which partition is their turn */
    uint64_t next_tag;
    struct native_conn *newest; /* open connections by last input */
    struct native_conn *oldest;
    struct native_sub *subs;       /* all, by next */
    struct native_sub *cursor;     /* the next of a walk over them: who leaves moves it on */
    struct native_source *ready;   /* list by next_ready: go on at the next tick */
    struct native_conn *throttled; /* list by next_throttled: those that wait for their quota */
    bool is_timed;                 /* the time of a loop is being measured */
    int64_t tick_at_ms;            /* INT64_MAX: none is set */
    int64_t shares_due_ms;         /* a durable subscription tries again; INT64_MAX: none does */
    size_t held_bytes;             /* of ephemeral subscriptions; sources free it as they end */
    uint64_t seed;                 /* so that names of members cannot be guessed */
    bool destroyed;
};

/* What a connection waits for with a frame that is not consumed yet. */
enum native_wait {
    NATIVE_WAIT_NONE,
    NATIVE_WAIT_CALLS,  /* publishes_max are under way */
    NATIVE_WAIT_TOPIC,  /* a topic is looked up, perhaps made */
    NATIVE_WAIT_LOGIN,  /* a step of a login */
    NATIVE_WAIT_QUOTA,  /* it used more than it may: until muted_until_ms */
    NATIVE_WAIT_FILTER, /* a filter in Lua is compiled */
};

struct native_conn {
    struct native_frontend *frontend;
    struct sluice_context context; /* its texts are in `texts` */
    char *texts; /* owned: principal, listener, client host, client id one after the other */
    uint32_t
        refs; /* one of the host, one a call, source or subscription, one while input is taken */
    uint32_t calls; /* requests under way */
    enum native_wait wait;
    sluice_status looked_up; /* of the topic that was waited for, when has_looked_up */
    bool has_looked_up;
    bool greeted; /* HELLO came */
    bool needs_login;
    bool logged_in;
    bool login_begun;
    bool closing;           /* we asked for it */
    bool closed;            /* the host said so */
    bool blocked;           /* its output is not taken: sources wait for conn_drained */
    bool pumping;           /* sources are being resumed */
    bool is_held;           /* nothing is pushed, until held_until_ms */
    int64_t login_until_ms; /* monotonic; 0: for ever */
    int64_t used_ms;        /* monotonic: of the last input */
    int64_t muted_until_ms; /* monotonic: see NATIVE_WAIT_QUOTA */
    int64_t held_until_ms;  /* monotonic: its quota lets nothing be pushed before */
    struct native_conn *next_throttled, **throttled_at; /* NULL: it is in no list */
    struct native_conn *newer, *older;
    struct native_sub **subs; /* table by id, of sub_room, a power of two; NULL: none yet */
    uint32_t sub_room;
    uint32_t sub_count;
    uint32_t share_count;           /* durable ones of them */
    char inbox[NATIVE_INBOX_BYTES]; /* the address for replies; "": nobody asked for it yet */
    uint64_t inbox_secret;
    struct native_source *parked; /* those that wait for output or quota, by next_parked */
    struct native_lua_wait *lua;  /* owned: SUBSCRIBE waits for its filter; or NULL */
};

/* A request that is under way in the broker. */
struct native_call {
    struct native_conn *conn; /* a reference */
    uint32_t id;
    uint16_t kind; /* of the request */
    uint16_t flags;
    int32_t partition;
};

/* Flags of SUBSCRIBE. */
#define NATIVE_EXCLUSIVE 1u
#define NATIVE_COMMITTED 2u

/* A subscription. */
struct native_sub {
    struct native_conn *conn; /* a reference */
    uint32_t id;
    uint32_t refs; /* one while it is in the connection's table, one a source, one a call */
    uint16_t flags;
    uint8_t start;
    bool live;  /* SUBSCRIBED was sent */
    bool ended; /* nothing of it follows */
    int32_t partition;
    int64_t start_value;
    struct native_pattern pattern;
    struct native_filter filter;
    struct sluice_filter *lua;   /* owned: its expression stays; NULL: it has none in Lua */
    struct sluice_text lua_text; /* owned; data NULL: likewise */
    struct native_credit credit;
    struct native_share *share;    /* owned; NULL: ephemeral */
    struct native_source *sources; /* by next; each holds a reference of the subscription */
    struct native_source *waiting, **waiting_end; /* for credit, by next_parked, the first first */
    struct native_sub *next_of_conn;              /* in its bucket of conn->subs */
    uint32_t source_count;
    uint32_t behind_count; /* of them, not at their end */
    uint32_t next_number;
    struct native_sub *next, *previous; /* in frontend->subs */
};

/* A partition that a subscription reads. */
struct native_source {
    struct native_sub *sub; /* a reference */
    struct native_source *next;
    struct native_source **previous_next; /* NULL: not in sub->sources any more */
    struct native_source *next_ready;
    struct native_source *next_parked;
    struct native_source **parked_at; /* in conn->parked: what points at it */
    struct native_topic *topic;       /* a reference */
    uint32_t refs;                    /* one of the list, one of a fetch */
    uint32_t number;
    int32_t partition;
    uint64_t tag; /* of its fetch */
    int64_t next_offset;
    uint64_t stalled_bytes;      /* the next record wants so much credit; 0: not known */
    struct sluice_fetch request; /* the one that is under way */
    struct sluice_fetch_entry entry;
    bool is_placed; /* the client said where it begins */
    bool announced; /* SOURCE was sent */
    bool fetching;
    bool is_ready;  /* in frontend->ready */
    bool is_parked; /* in conn->parked or sub->waiting */
    bool behind;    /* counted in sub->behind_count */
    bool pumping;
    bool again;
    struct native_runs sent;    /* durable: given, and nothing was said of them */
    uint8_t share_start;        /* SLUICE_SHARE_START_* */
    int64_t retry_ms;           /* after a failure that may pass: not before; 0 */
    struct native_held *held;   /* owned; ephemeral: records before next_offset */
    int64_t held_since_ms;      /* monotonic */
    int64_t held_expires_ms;    /* wall clock: with a filter in Lua, when the first of these does */
    struct sluice_filter *lua;  /* owned, from its first batch on */
    struct native_held *judged; /* owned: the batch that is judged by it; or NULL */
    bool looks;                 /* whether there is more, without waiting for it */
    struct native_last *last;   /* owned: of start 4, until what is there now is through; or NULL */
};

/* ---- native_conn.c ---- */

sluice_status native_conn_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn);
sluice_status native_conn_input(void *self, void *data, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted);
void native_conn_closed(void *self, void *data);
void native_conn_drained(void *self, void *data);
void native_conn_leaving(void *self, void *data);
void native_tick(void *self);
void native_tick_at(struct native_frontend *frontend, int64_t at_ms);
void native_frontend_unref(struct native_frontend *frontend);
/* What was parked is tried again. */
void native_conn_resume(struct native_conn *conn);
void native_conn_ref(struct native_conn *conn);
void native_conn_unref(struct native_conn *conn);
/* Frames can still be sent. */
static inline bool native_conn_is_open(const struct native_conn *conn)
{
    return !conn->closed && !conn->closing;
}
/* Sets one text of the context. SLUICE_E_NO_MEMORY. */
sluice_status native_conn_set_text(struct native_conn *conn, struct sluice_text *which,
                                   struct sluice_text text);
/* Stops input until native_conn_go. */
void native_conn_wait(struct native_conn *conn, enum native_wait wait);
void native_conn_go(struct native_conn *conn);
/* A frame in the instance's writer; native_conn_send ends and sends it. */
struct native_writer *native_conn_frame(struct native_conn *conn, uint16_t kind, uint16_t flags,
                                        uint32_t id);
/* Another one behind it, to be sent with it. */
struct native_writer *native_conn_more(struct native_conn *conn, uint16_t kind, uint16_t flags,
                                       uint32_t id);
void native_conn_send(struct native_conn *conn);
/* ERROR; reason empty: the status's own sentence. */
void native_conn_error(struct native_conn *conn, uint32_t id, sluice_status status,
                       struct sluice_text reason);
/* GOAWAY, and the end. */
void native_conn_goaway(struct native_conn *conn, sluice_status status, const char *reason);
/* NULL: no memory; then the request was answered. */
struct native_call *native_call_new(struct native_conn *conn, const struct native_frame *frame);
void native_call_end(
    struct native_call *call); /* [takes call]; reads on when there is room again */

/* ---- handlers; true: the frame is done with, false: it comes again (native_conn_wait) ---- */

typedef bool native_handler(struct native_conn *conn, const struct native_frame *frame);
native_handler native_handle_hello;
native_handler native_handle_auth;
native_handler native_handle_publish;
native_handler native_handle_subscribe;
native_handler native_handle_credit;
native_handler native_handle_unsubscribe;
native_handler native_handle_ack;
native_handler native_handle_reply;
native_handler native_handle_topics;
native_handler native_handle_topic_create;
native_handler native_handle_topic_delete;
native_handler native_handle_topic_config;
native_handler native_handle_offsets;
native_handler native_handle_trim;
native_handler native_handle_group_delete;

/* ---- native_publish.c ---- */

/* Reads records into the instance's memory. SLUICE_E_MALFORMED, SLUICE_E_LIMIT, SLUICE_E_NO_MEMORY.
 */
sluice_status native_read_some(struct native_frontend *frontend, struct native_reader *reader,
                               uint32_t count);
/* They are done with: what a large frame took is not kept. */
void native_read_give_back(struct native_frontend *frontend);

/* ---- native_inbox.c ---- */

/* A reply that is wanted at `_inbox` is wanted at the connection's address, which lives as long as
 * it. `headers`: the record's. SLUICE_E_BUSY: no random bytes. */
sluice_status native_inbox_address(struct native_conn *conn, struct sluice_record *record,
                                   struct sluice_header *headers);
sluice_status native_conn_told(void *self, void *data, struct sluice_bytes note);

/* ---- native_sub.c ---- */

/* NULL: unknown. */
struct native_sub *native_sub_find(const struct native_conn *conn, uint32_t id);
void native_sub_ref(struct native_sub *sub);
void native_sub_unref(struct native_sub *sub);
/* ENDED, and the end of its sources. */
void native_sub_end(struct native_sub *sub, sluice_status status, const char *reason);
/* All of a connection that is gone. */
void native_subs_drop(struct native_conn *conn);
/* The catalog changed. */
void native_subs_topic_came(struct native_frontend *frontend, struct native_topic *topic,
                            uint32_t first_partition);
void native_subs_topic_went(struct native_frontend *frontend, struct native_topic *topic);
/* Whether the user may read it. */
bool native_may_read(const struct native_conn *conn, struct sluice_text topic);

/* ---- native_source.c ---- */

/* NULL: no memory. `offset`: the first record. */
struct native_source *native_source_new(struct native_sub *sub, struct native_topic *topic,
                                        int32_t partition, int64_t offset);
/* It goes on at a tick, not before retry_ms (0: the next). */
void native_source_delay(struct native_source *source, int64_t retry_ms);
void native_source_ref(struct native_source *source);
/* SOURCE, which is sent with the next native_conn_send; `first`: nothing is in the writer yet. */
void native_source_announce(struct native_source *source, bool first);
void native_source_set_behind(struct native_source *source, bool behind);
/* MESSAGES without a record: all there was is read. */
void native_sub_caught_up(struct native_sub *sub);
/* MESSAGES: begun with the source, ended with the number of records that were written, which is 0
 * then. */
void native_messages_begin(struct native_source *source);
void native_messages_send(struct native_sub *sub, uint32_t *count, uint16_t flags);
/* STALLED, once. */
void native_source_stall(struct native_source *source, int64_t offset, uint64_t bytes);
/* Records before next_offset that are sent later. [takes held, which may be NULL] */
void native_source_hold(struct native_source *source, struct native_held *held);
/* Goes on if it can. */
void native_source_pump(struct native_source *source);
/* The subscription or the partition is gone. */
void native_source_end(struct native_source *source);
/* It waits for nothing of its connection any more. */
void native_source_unpark(struct native_source *source);
void native_source_unref(struct native_source *source);

/* ---- native_committed.c ---- */

/* As native_records each, without the records of aborted transactions, which the result lists. */
sluice_status native_each(const struct native_frontend *frontend,
                          const struct sluice_fetch_result *result, int64_t offset,
                          sluice_record_each *each, void *arg, int64_t *ret_next_offset);

/* ---- native_quota.c ---- */

/* The client used so much of SLUICE_QUOTA_*; beyond its quota it is not read for a time. */
void native_quota_charge(struct native_conn *conn, int32_t kind, int64_t amount);
/* Nothing may be pushed to it before held_until_ms. Sends a frame when that begins. */
bool native_quota_holds(struct native_conn *conn);
/* Records of so many bytes were pushed. Likewise. */
void native_quota_sent(struct native_conn *conn, size_t bytes);
/* The most that is to be pushed at once. */
uint64_t native_quota_allows(const struct native_conn *conn);
/* Topics may be made and deleted now; so many of their partitions were. */
bool native_quota_allows_topics(const struct native_conn *conn);
void native_quota_topics(struct native_conn *conn, int32_t partitions);
/* What is done between the two is its; 0: nobody asks, or it is inside of another's. */
int64_t native_quota_begin(const struct native_conn *conn);
void native_quota_end(struct native_conn *conn, int64_t begun_ns);
void native_quota_tick(struct native_frontend *frontend, int64_t at_ms);
void native_quota_forget(struct native_conn *conn); /* it is closed */

/* ---- native_status.c ---- */

const char *native_status_text(sluice_status status);
bool native_status_may_pass(sluice_status status);

#endif
