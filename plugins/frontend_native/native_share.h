/* native_share.h: what a durable subscription adds: it is a member of a group that shares records
 * (native_member.c), takes them (native_share.c), and says what became of them (native_ack.c).
 * Private to those files, native_source.c, native_conn.c and native_sub.c. */
#ifndef FRONTEND_NATIVE_NATIVE_SHARE_H
#define FRONTEND_NATIVE_NATIVE_SHARE_H

#include "native_frontend.h"

#define NATIVE_GROUP_BYTES_MAX 255u

/* What the group's coordinator knows (native_member.c). */
typedef void native_joined(void *arg, sluice_status status, const char *reason);
struct native_member {
    struct sluice_share_heartbeat request; /* the one that is under way */
    struct sluice_text *topics;            /* owned; of it */
    native_joined *joined;                 /* until it has joined, or was refused */
    void *arg;
    int64_t due_ms; /* monotonic: of the next heartbeat */
    int32_t epoch;  /* 0: it is no member */
    bool beating;
    bool changed; /* it reads other topics than it said */
    bool left;
};

struct native_share {
    struct native_sub *sub;
    struct native_member membership;
    struct native_call *unsubscribe; /* to be answered when it has left; or NULL */
    uint64_t tag;
    int32_t lock_ms;
    bool fetching;
    bool is_parked; /* for credit or output; woken with the subscription */
    bool pumping;
    bool again;
    int64_t retry_ms;
    uint32_t judged_count; /* sources whose records a filter in Lua has */
    uint32_t turn;         /* which source is first in the next request */
    uint32_t entry_room;
    uint32_t entry_count;
    struct sluice_share_entry *entries; /* owned; of the request that is under way */
    struct native_source **sources;     /* owned; of the entries, a reference each */
    struct sluice_share_fetch request;
    struct native_held *held, **held_end; /* owned: acquired, and not sent yet */
    struct native_ack *acks, **acks_end;  /* with an answer, in their order */
    struct sluice_text group, member;     /* behind the struct */
};

/* NULL: no memory. */
struct native_share *native_share_new(struct native_sub *sub, struct sluice_text group,
                                      uint32_t lock_ms);
void native_share_free(struct native_share *share); /* with the subscription; NULL is fine */
bool native_share_is_live(const struct native_share *share);
/* Says where each partition begins; native_member_begun follows. */
void native_share_begin(struct native_share *share);
/* What was tried without success is tried again, heartbeats are sent. When to look again;
 * INT64_MAX: nothing waits. */
int64_t native_share_try(struct native_share *share, int64_t now_ms);
/* Sets *at_ms, and looks again then. */
void native_share_wake_at(struct native_share *share, int64_t *at_ms, int64_t in_ms);
/* Goes on if it can. */
void native_share_pump(struct native_share *share);
/* Records that were judged, perhaps none: they are sent, and it goes on. [takes held] */
void native_share_hold(struct native_share *share, struct native_held *held);
/* It has another source. */
void native_share_changed(struct native_share *share);
/* What it holds is given to others; the subscription has ended. */
void native_share_leave(struct native_share *share);
/* A source is gone, with what was held of it. */
void native_share_forget(struct native_share *share, const struct native_source *source);

/* ---- native_member.c ---- */

/* done follows: it is a member, and the places where the group begins are kept; or an error, with a
 * reason or "". */
void native_member_join(struct native_share *share, native_joined *done, void *arg);
/* The answer to native_share_begin. */
void native_member_begun(struct native_share *share, sluice_status status);
/* It reads other topics. */
void native_member_changed(struct native_share *share);
/* A heartbeat, when it is due; when the next one is. */
int64_t native_member_try(struct native_share *share, int64_t now_ms);
/* Once, when it has ended and nothing of it is under way: what it holds is given back, and it goes.
 */
void native_member_maybe_leave(struct native_share *share);

/* ---- native_ack.c ---- */

/* Says of runs what the server knows itself: filtered, expired, no record there. */
void native_ack_runs(struct native_source *source, const struct native_runs *runs, int8_t type);

#endif
