/* native_share.h: what a durable subscription adds: it is a member of a group that shares records
 * (native_share.c), and says what became of them (native_ack.c). Private to native_share*.c,
 * native_ack.c and native_sub.c. */
#ifndef FRONTEND_NATIVE_NATIVE_SHARE_H
#define FRONTEND_NATIVE_NATIVE_SHARE_H

#include "native_frontend.h"

#define NATIVE_GROUP_BYTES_MAX 255u

/* Records that were acquired and do not fit into the credit yet, encoded. */
struct native_held {
    struct native_held *next;
    struct native_source *source; /* a reference */
    int64_t until_ms;             /* monotonic: then somebody else may have them */
    size_t at;
    size_t size;
    uint8_t *data; /* owned */
};

struct native_share {
    struct native_sub *sub;
    uint64_t tag;
    int32_t lock_ms;
    bool fetching;
    bool is_parked; /* for credit or output; woken with the subscription */
    bool pumping;
    bool again;
    int64_t retry_ms;
    uint32_t turn; /* which source is first in the next request */
    uint32_t entry_room;
    uint32_t entry_count;
    struct sluice_share_entry *entries; /* owned; of the request that is under way */
    struct native_source **sources;     /* owned; of the entries, a reference each */
    struct sluice_share_fetch request;
    struct native_held *held, **held_end;
    struct native_ack *acks, **acks_end; /* with an answer, in their order */
    struct sluice_text group, member;    /* behind the struct */
};

/* NULL: no memory. */
struct native_share *native_share_new(struct native_sub *sub, struct sluice_text group,
                                      uint32_t lock_ms);
void native_share_free(struct native_share *share); /* with the subscription; NULL is fine */
/* Goes on if it can. */
void native_share_pump(struct native_share *share);
/* It has another source. */
void native_share_changed(struct native_share *share);
/* What it holds is given to others; the subscription has ended. */
void native_share_leave(struct native_share *share);
/* Held records of a source that is gone. */
void native_share_forget(struct native_share *share, const struct native_source *source);

/* Says of runs what the server knows itself: filtered, expired, no record there. */
void native_ack_runs(struct native_source *source, const struct native_runs *runs, int8_t type);

#endif
