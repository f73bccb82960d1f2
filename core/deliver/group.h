/* group.h: one classic consumer group and its members. Private to the room; group_coordinator.h is
 * the contract.
 *
 * A member is counted in its group from its first join; a pending one was only told an id
 * (KIP-394). `awaiting` says that the member has called and the protocol owes it an answer; the
 * reply is NULL when the caller went away meanwhile, which changes nothing for the group. */
#ifndef SL_DELIVER_GROUP_H
#define SL_DELIVER_GROUP_H

#include "base/bytes.h"
#include "catalog/chain_map.h"
#include "deliver/group_coordinator.h"

#define GROUP_NEVER         INT64_MAX
#define GROUP_PROTOCOLS_MAX 64u

struct group_reply;

struct group_protocol {
    struct sl_bytes name;
    struct sl_bytes metadata;
};

struct group_member {
    struct chain_link by_id; /* in the coordinator's map */
    struct group *group;
    struct group_member *previous, *next; /* in order of joining */
    struct sl_bytes id;                   /* owned */
    struct sl_bytes instance;             /* owned; data NULL: dynamic */
    struct sl_bytes client_id;            /* owned, of the last join */
    struct sl_bytes client_host;          /* owned, likewise */
    struct group_protocol *protocols;     /* owned, with the bytes they point at behind them */
    uint32_t protocol_count;
    size_t protocols_size;      /* bytes of names and metadata */
    struct sl_bytes assignment; /* owned */
    struct group_reply *join;   /* waiting, or NULL */
    struct group_reply *sync;   /* waiting, or NULL */
    int64_t deadline_ms;        /* of the session */
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool awaiting_join;
    bool awaiting_sync;
    bool is_new;    /* has not been in a generation yet */
    bool owes_sync; /* was answered its join and has not synced since */
};

/* A member id that was given out and not used yet. */
struct group_pending {
    struct group_pending *next;
    int64_t deadline_ms;
    struct sl_bytes id; /* the bytes follow the struct */
};

struct group {
    struct chain_link by_name;               /* in the coordinator's map */
    struct group *idle_previous, *idle_next; /* empty groups, idle longest first */
    struct sl_bytes name;                    /* owned */
    struct sl_bytes protocol_type;           /* owned; data NULL: none yet */
    struct sl_bytes protocol;                /* owned; data NULL: none chosen */
    struct group_member *first, *last;
    struct group_member *leader; /* NULL only without members */
    struct group_pending *pending;
    size_t size;              /* bytes of protocols and assignments */
    int64_t join_deadline_ms; /* of the join phase, or of the initial delay */
    int64_t sync_deadline_ms; /* who owes a sync then is removed */
    int64_t empty_since_ms;
    int64_t due_ms;               /* not later than the earliest deadline */
    int64_t initial_delay_ms;     /* of the delay under way */
    int64_t initial_remaining_ms; /* by which the delay may still be extended */
    uint32_t due_index;           /* in the coordinator's heap */
    uint32_t member_count;
    uint32_t awaiting_join_count;
    uint32_t pending_count;
    uint32_t owes_sync_count;
    int32_t state; /* GROUP_* */
    int32_t generation;
    bool initial;          /* the join phase began from Empty */
    bool new_member_added; /* since the initial delay was last (re)started */
};

struct group_coordinator {
    struct group_config config;
    struct chain_map groups;  /* by name */
    struct chain_map members; /* by group and member id */
    struct group *idle_first, *idle_last;
    struct group **due; /* heap by due_ms; owned */
    uint32_t due_count;
    uint32_t due_capacity;
    struct group_reply *ready_first, *ready_last; /* settled, to be delivered */
    bool delivering;
    bool stopping;
    int64_t since_ms; /* since when groups that are not here count as empty */
    uint64_t random[2];
    uint32_t waiting_count;
    uint64_t rebalance_count;
    uint64_t expired_count;
};

/* ---- groups (group.c) ---- */

struct group *group_get(const struct group_coordinator *coordinator, struct sl_bytes name);
/* E_LIMIT: the bound is reached and no group is empty; E_NO_MEMORY. */
sl_err group_add(struct group_coordinator *coordinator, struct sl_bytes name, int64_t now_ms,
                 struct group **ret_group) SL_MUST_CHECK;
void group_remove(struct group_coordinator *coordinator, struct group *group);
void group_idle_enter(struct group_coordinator *coordinator, struct group *group, int64_t now_ms);
void group_idle_leave(struct group_coordinator *coordinator, struct group *group);
/* Whether a member with these protocols could be in the group. */
bool group_supports(const struct group *group, struct sl_bytes protocol_type,
                    const struct sluice_group_protocol *protocols, uint32_t count);
/* The protocol that all members know and most prefer. The group has members. */
struct sl_bytes group_protocol_select(const struct group *group);
int32_t group_rebalance_timeout_ms(const struct group *group);
sl_err group_bytes_set(struct sl_bytes *bytes,
                       struct sl_bytes value) SL_MUST_CHECK; /* owned copy */

/* ---- members (group_member.c) ---- */

struct group_member *group_member_get(const struct group_coordinator *coordinator,
                                      const struct group *group, struct sl_bytes id);
struct group_member *group_member_of_instance(const struct group *group, struct sl_bytes instance);
/* E_UNKNOWN_MEMBER, E_FENCED_INSTANCE_ID. */
sl_err group_member_validate(const struct group_coordinator *coordinator, const struct group *group,
                             struct sl_bytes id, struct sl_bytes instance,
                             struct group_member **ret_member) SL_MUST_CHECK;
/* A new member without protocols; the first one leads. E_NO_MEMORY. */
sl_err group_member_add(struct group_coordinator *coordinator, struct group *group,
                        struct sl_bytes id, struct sl_bytes instance,
                        struct group_member **ret_member) SL_MUST_CHECK;
/* Answers what it waits for with E_UNKNOWN_MEMBER. */
void group_member_remove(struct group_coordinator *coordinator, struct group_member *member);
/* A static member came back: its old self is fenced. E_NO_MEMORY. */
sl_err group_member_rename(struct group_coordinator *coordinator, struct group_member *member,
                           struct sl_bytes id) SL_MUST_CHECK;
/* One block with the bytes of names and metadata behind it, the caller's to sl_free; NULL: no
 * memory. */
struct group_protocol *group_protocols_copy(const struct sluice_group_protocol *protocols,
                                            uint32_t count);
/* E_LIMIT: too many bytes or protocols; E_NO_MEMORY. Nothing changed then. */
sl_err group_member_protocols_set(const struct group_coordinator *coordinator,
                                  struct group_member *member,
                                  const struct sluice_group_protocol *protocols,
                                  uint32_t count) SL_MUST_CHECK;
bool group_member_matches(const struct group_member *member,
                          const struct sluice_group_protocol *protocols, uint32_t count);
void group_member_assignment_clear(struct group_member *member);
/* The session starts anew. */
void group_member_touch(struct group_coordinator *coordinator, struct group_member *member,
                        int64_t now_ms);
void group_member_sync_received(struct group_member *member);
/* Fills ret_id with prefix-uuid; its size. */
#define GROUP_MEMBER_ID_BYTES_MAX 256u
size_t group_member_id_make(struct group_coordinator *coordinator, struct sl_bytes prefix,
                            char ret_id[GROUP_MEMBER_ID_BYTES_MAX]);

/* E_GROUP_MAX_SIZE, E_NO_MEMORY from _add. */
struct group_pending **group_pending_find(struct group *group, struct sl_bytes id); /* or NULL */
sl_err group_pending_add(struct group_coordinator *coordinator, struct group *group,
                         struct sl_bytes id, int64_t deadline_ms) SL_MUST_CHECK;
void group_pending_remove(struct group *group, struct group_pending **at);

/* What the member says of itself for this protocol; empty: nothing. */
struct sl_bytes group_member_metadata(const struct group_member *member, struct sl_bytes protocol);

/* ---- the heap of deadlines (group_due.c) ---- */

sl_err group_due_add(struct group_coordinator *coordinator, struct group *group) SL_MUST_CHECK;
void group_due_remove(struct group_coordinator *coordinator, struct group *group);
/* The group must be looked at no later than deadline_ms. */
void group_due_by(struct group_coordinator *coordinator, struct group *group, int64_t deadline_ms);
/* After its deadlines were handled: the earliest left. */
void group_due_update(struct group_coordinator *coordinator, struct group *group);

/* ---- the phases (group_rebalance.c) ---- */

/* Starts a join phase where the state allows one, else sees whether the one under way is complete.
 */
void group_rebalance_or_complete(struct group_coordinator *coordinator, struct group *group,
                                 int64_t now_ms);
void group_rebalance_prepare(struct group_coordinator *coordinator, struct group *group,
                             int64_t now_ms);
void group_join_maybe_complete(struct group_coordinator *coordinator, struct group *group,
                               int64_t now_ms);
/* The deadlines of one group that have passed. */
void group_deadlines_handle(struct group_coordinator *coordinator, struct group *group,
                            int64_t now_ms);

#endif
