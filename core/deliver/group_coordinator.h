/* group_coordinator.h: the classic consumer group protocol of one shard's groups, as a state
 * machine.
 *
 * Kafka 4.3's semantics (GroupMetadataManager, classic groups): KIP-62 (rebalance timeout), KIP-134
 * (initial delay), KIP-345 (static members), KIP-394 (member id first), KIP-559 (protocol checks in
 * sync), KIP-814 (skip_assignment).
 *
 *   Empty ──join──► PreparingRebalance ──all joined, or the rebalance timeout──►
 * CompletingRebalance ▲                    ▲  ▲ │ leader's sync └── last one left ───┘  └── join,
 * leave, session timeout, sync timeout ── Stable ◄┘
 *
 * No clock, no I/O: every call gets now_ms (monotonic), timers are
 * group_coordinator_next_deadline_ms and _tick. Members live in memory only: after a restart they
 * meet E_UNKNOWN_MEMBER and join again; committed offsets are in offset_store. A lost connection
 * does not remove a member, its session timeout does.
 *
 * Each join and sync is answered exactly once through `done`, perhaps before the call returns,
 * always after the state is settled; a callback may call the coordinator again. Requests are
 * borrowed for the call only. One thread. */
#ifndef SL_DELIVER_GROUP_COORDINATOR_H
#define SL_DELIVER_GROUP_COORDINATOR_H

#include "base/base.h"

#include <sluice/broker.h>

#define GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS 300000
#define GROUP_ID_BYTES_MAX               1024u

struct group_coordinator;

/* What may change while groups live: it holds from the next join on. */
struct group_limits {
    uint32_t members_max;       /* of a group; 0: 10,000; further ones get E_GROUP_MAX_SIZE */
    int32_t session_min_ms;     /* 0: 6,000 */
    int32_t session_max_ms;     /* 0: 1,800,000 */
    int32_t session_default_ms; /* of a member that asks for 0, within the bounds; 0: 30,000 */
    int32_t initial_delay_ms;   /* as it is: 0 completes the first join at once */
};

struct group_config {
    uint32_t groups_max;         /* 0: 100,000; further ones get E_LIMIT */
    uint32_t member_bytes_max;   /* protocols and metadata of a member; 0: 1 MiB; E_LIMIT */
    uint32_t group_bytes_max;    /* … of all members and their assignments; 0: 64 MiB; E_LIMIT */
    uint32_t metadata_bytes_max; /* of a committed offset; 0: 4096 */
    struct group_limits limits;
    uint64_t seed[2]; /* random, for member ids */
};

/* NULL: no memory. now_ms: since when unknown groups count as empty. */
struct group_coordinator *group_coordinator_new(const struct group_config *config,
                                                int64_t now_ms) SL_MUST_CHECK;
/* Answers whatever waits with E_STOPPING. NULL is fine. */
struct group_coordinator *group_coordinator_free(struct group_coordinator *coordinator);

void group_coordinator_set_limits(struct group_coordinator *coordinator,
                                  const struct group_limits *limits);

/* Who calls; shown with the member. The id becomes part of a new member's, as Kafka does. */
struct group_caller {
    struct sluice_text id;
    struct sluice_text host;
    struct sluice_text principal;
};
void group_join(struct group_coordinator *coordinator, const struct sluice_group_join *request,
                const struct group_caller *client, int64_t now_ms, sluice_group_joined_done *done,
                void *arg);
void group_sync(struct group_coordinator *coordinator, const struct sluice_group_sync *request,
                int64_t now_ms, sluice_group_synced_done *done, void *arg);
sluice_status group_heartbeat(struct group_coordinator *coordinator,
                              const struct sluice_group_identity *request, int64_t now_ms);
/* ret_statuses: one an entry. Returns the status of the whole. */
sluice_status group_leave(struct group_coordinator *coordinator,
                          const struct sluice_group_leave *request, int64_t now_ms,
                          sluice_status *ret_statuses);
/* The caller of this `arg` went away: its waiting join or sync is answered with E_CANCELLED now.
 * The member stays. Returns how many were answered. */
uint32_t group_cancel(struct group_coordinator *coordinator, struct sluice_text group, void *arg);
/* The same, over all groups, for every waiting call whose arg matches. */
uint32_t group_coordinator_cancel(struct group_coordinator *coordinator,
                                  bool (*match)(void *match_arg, void *arg), void *match_arg);

/* Whether this commit is allowed now; ret_statuses gets one status an entry (metadata size,
 * negative offsets); topics and partitions are the caller's to check. Not SLUICE_OK: it holds for
 * all entries, and ret_statuses is filled with it. Counts as a heartbeat. */
sluice_status group_commit_check(struct group_coordinator *coordinator,
                                 const struct sluice_offset_commit *request, int64_t now_ms,
                                 sluice_status *ret_statuses);

/* When to call tick next, monotonic; INT64_MAX: nothing waits. May be early, never late. Ask again
 * after every call. */
int64_t group_coordinator_next_deadline_ms(const struct group_coordinator *coordinator);
void group_coordinator_tick(struct group_coordinator *coordinator, int64_t now_ms);

/* For how long the group has had no members; unknown groups count since the coordinator's start;
 * -1: it has members. */
int64_t group_coordinator_idle_ms(const struct group_coordinator *coordinator,
                                  struct sluice_text group, int64_t now_ms);

#define GROUP_EMPTY      0
#define GROUP_PREPARING  1
#define GROUP_COMPLETING 2
#define GROUP_STABLE     3
#define GROUP_DEAD       4
/* One group as seen from outside; texts live until the next call. */
struct group_view {
    struct sluice_text group;
    struct sluice_text protocol_type;
    struct sluice_text protocol;
    struct sluice_text leader;
    int32_t state; /* GROUP_*; what is not there is GROUP_DEAD */
    int32_t generation;
    uint32_t member_count;
    uint32_t pending_count; /* were given an id and have not joined yet */
};
struct group_view group_coordinator_view(const struct group_coordinator *coordinator,
                                         struct sluice_text group);
void group_coordinator_each(const struct group_coordinator *coordinator,
                            void (*visit)(void *arg, const struct group_view *view), void *arg);
/* Its members in order of joining; the texts live until the next call. */
void group_coordinator_members(
    const struct group_coordinator *coordinator, struct sluice_text group,
    void (*visit)(void *arg, const struct sluice_group_member_info *info), void *arg);
/* Forgets an empty group. E_GROUP_NOT_EMPTY: it has members, or somebody is about to join;
 * E_GROUP_NOT_FOUND. */
sluice_status group_coordinator_delete(struct group_coordinator *coordinator,
                                       struct sluice_text group);
const char *group_state_text(int32_t state); /* "Stable", … as Kafka names them [any] */

struct group_coordinator_status {
    uint32_t group_count;
    uint32_t member_count;
    uint32_t waiting_count;   /* joins and syncs not answered yet */
    uint64_t rebalance_count; /* generations begun */
    uint64_t expired_count;   /* members removed by a timeout */
};
void group_coordinator_status_get(const struct group_coordinator *coordinator,
                                  struct group_coordinator_status *ret_status);

#endif
