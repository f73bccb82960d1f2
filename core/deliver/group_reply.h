/* group_reply.h: the answers that are owed, each delivered exactly once.
 *
 * A reply is made when the call comes in, so that a failure needs no memory; when it is settled,
 * all it shows is copied into it, and it is queued. Delivery happens at the end of the
 * coordinator's functions, when the state is settled; a callback may call the coordinator again.
 * Private to the room. */
#ifndef SL_DELIVER_GROUP_REPLY_H
#define SL_DELIVER_GROUP_REPLY_H

#include "deliver/group.h"

struct group_reply {
    struct group_reply *next;
    void *arg;
    bool is_join;
    uint8_t *blob; /* what the answer points at; owned */
    union {
        sluice_group_joined_done *joined_done;
        sluice_group_synced_done *synced_done;
    };
    union {
        struct sluice_group_joined joined;
        struct sluice_group_synced synced;
    };
};

/* Without memory the answer is given at once, and NULL returned. */
struct group_reply *group_reply_of_join(struct group_coordinator *coordinator,
                                        sluice_group_joined_done *done, void *arg);
struct group_reply *group_reply_of_sync(struct group_coordinator *coordinator,
                                        sluice_group_synced_done *done, void *arg);

/* Each [takes reply]; NULL, for a caller that went away, is fine. */
void group_reply_join_fail(struct group_coordinator *coordinator, struct group_reply *reply,
                           sl_err err, struct sl_bytes member);
void group_reply_sync_fail(struct group_coordinator *coordinator, struct group_reply *reply,
                           sl_err err);
/* The generation as it stands; the members when asked for; `leader` as it shall be told. */
void group_reply_joined(struct group_coordinator *coordinator, struct group_reply *reply,
                        const struct group_member *member, struct sl_bytes leader,
                        bool with_members, bool skip_assignment);
void group_reply_synced(struct group_coordinator *coordinator, struct group_reply *reply,
                        const struct group_member *member);

/* Calls the callbacks of what is queued, unless that is being done already. */
void group_reply_deliver(struct group_coordinator *coordinator);

#endif
