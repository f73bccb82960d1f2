/* consumer_groups.h: consumer groups whose partitions the broker assigns (KIP-848), of one shard.
 *
 * Kafka 4.3's semantics. A group has an epoch, raised by whatever calls for a new assignment
 * (members, subscriptions, topics), and a target: who shall own what at that epoch. Each member
 * walks towards the target on its own heartbeats:
 *
 *   STABLE ──target moved──► gives back first (UNREVOKED, old epoch) ──owns none of it──► new epoch
 *      ▲                                                                                   │
 *      └── gets what is free; waits for what others still have (UNRELEASED) ◄──────────────┘
 *
 * All of it is state: a call changes memory at once, and what changed is taken as items by
 * consumer_groups_flush for one unit of the log; the caller answers when that is durable. After a
 * start recovery applies the items again, and sessions begin anew.
 *
 * No clock, no I/O: calls get now_ms (monotonic). Members of the classic protocol may be in such a
 * group, and groups become new or classic ones while they work (consumer_group_classic.c). One
 * thread.
 *
 * Payloads: consumer_group_item.h. */
#ifndef SL_DELIVER_CONSUMER_GROUPS_H
#define SL_DELIVER_CONSUMER_GROUPS_H

#include "base/buffer.h"
#include "deliver/group_coordinator.h"
#include "deliver/partition_set.h"
#include "wal/item.h"

#include <sluice/consumer_group.h>

#define CONSUMER_GROUP_ITEM_VERSION  1u
#define CONSUMER_GROUP_MESSAGE_BYTES 400u
#define CONSUMER_GROUP_INSTANCE_MAX  1024u  /* bytes of ids, racks, assignors */
#define CONSUMER_GROUP_TOPICS_MAX    10000u /* names that a member subscribes to */
#define CONSUMER_GROUP_OWNED_MAX     200000u

struct consumer_groups;

/* What the groups ask of topics. Internal ones are not among `each`. */
struct group_topic {
    struct sl_uuid id;
    struct sl_bytes name;
    uint32_t partition_count;
};
struct group_topics {
    uint64_t (*version)(void *arg); /* another one when topics came, went or grew */
    bool (*by_name)(void *arg, struct sl_bytes name, struct group_topic *ret_topic);
    bool (*by_id)(void *arg, const struct sl_uuid *id, struct group_topic *ret_topic);
    void (*each)(void *arg, void (*visit)(void *visit_arg, const struct group_topic *topic),
                 void *visit_arg);
    void *arg;
};

/* Kafka's group.consumer.*; may be changed while groups live. */
struct consumer_group_config {
    int32_t session_timeout_ms;     /* 0: 45,000 */
    int32_t heartbeat_interval_ms;  /* 0: 5,000 */
    int32_t assignment_interval_ms; /* the least time between two assignments of a group */
    uint32_t members_max;           /* 0: no bound but memory's */
    uint32_t groups_max;            /* 0: 100,000 */
    uint32_t assignor;              /* number in `assignors`, where no member names one */
    bool no_upgrade, no_downgrade;  /* of classic groups, and back */
};

/* classic: where groups come from and go to that change their protocol; NULL: none do. [borrows
 * topics' arg and classic] NULL: no memory. */
struct consumer_groups *consumer_groups_new(const struct consumer_group_config *config,
                                            const struct group_topics *topics,
                                            struct group_coordinator *classic,
                                            const uint64_t seed[2]) SL_MUST_CHECK;
struct consumer_groups *consumer_groups_free(struct consumer_groups *groups);
void consumer_groups_configure(struct consumer_groups *groups,
                               const struct consumer_group_config *config);

/* What a group has of its own, and what a member may see; each may be NULL: nothing, everything. */
struct consumer_group_own {
    int32_t session_timeout_ms, heartbeat_interval_ms, assignment_interval_ms; /* -1: as all */
};
struct consumer_group_asks {
    void (*own)(void *arg, struct sl_bytes group, struct consumer_group_own *ret_own);
    bool (*may_describe)(void *arg, struct sl_bytes principal, struct sl_bytes host,
                         struct sl_bytes topic);
    void *arg;
};
void consumer_groups_ask(struct consumer_groups *groups, const struct consumer_group_asks *asks);

/* The answer's texts and partitions live until the next call. */
struct consumer_group_answer {
    struct sluice_consumer_heartbeat_answer answer; /* partitions: NULL, they are in *assigned */
    const struct partition_set *assigned;           /* where the answer has an assignment */
    char message[CONSUMER_GROUP_MESSAGE_BYTES];
    char member[64]; /* that was made up */
};
void consumer_group_heartbeat(struct consumer_groups *groups,
                              const struct sluice_consumer_heartbeat *request,
                              const struct group_caller *client, int64_t now_ms,
                              struct consumer_group_answer *ret_answer);

/* After a heartbeat or tick, whose result was taken: who waited for a classic group that became one
 * of these, or for one that came to be, is answered. May call back into anything. */
void consumer_groups_deliver(struct consumer_groups *groups);

/* Whether such a group is there, with or without members. */
bool consumer_group_exists(const struct consumer_groups *groups, struct sluice_text group);
bool consumer_group_has_members(const struct consumer_groups *groups, struct sluice_text group);
/* As group_commit_check. version_ok: the client can tell E_STALE_MEMBER_EPOCH. */
sluice_status consumer_group_commit_check(struct consumer_groups *groups,
                                          const struct sluice_offset_commit *request,
                                          bool is_transactional, sluice_status *ret_statuses);
/* Whether a member with this epoch may ask for offsets. data NULL and -1: an outsider, who may. */
sluice_status consumer_group_fetch_check(const struct consumer_groups *groups,
                                         struct sluice_text group, struct sluice_text member,
                                         int32_t epoch);
bool consumer_group_subscribes(struct consumer_groups *groups, struct sluice_text group,
                               const struct sl_uuid *topic);
/* For how long it has had no members; -1: it has some; the group is there. */
int64_t consumer_group_idle_ms(const struct consumer_groups *groups, struct sluice_text group,
                               int64_t now_ms);
/* Forgets an empty group. E_GROUP_NOT_FOUND, E_GROUP_NOT_EMPTY, E_NO_MEMORY. */
sluice_status consumer_group_delete(struct consumer_groups *groups, struct sluice_text group);

/* ---- time ---- */

/* Sessions begin anew: after recovery. */
void consumer_groups_start(struct consumer_groups *groups, int64_t now_ms);
int64_t consumer_groups_next_deadline_ms(const struct consumer_groups *groups);
void consumer_groups_tick(struct consumer_groups *groups, int64_t now_ms);

/* ---- what is shown ---- */

struct consumer_group_view {
    struct sluice_text group;
    const char *state;
    const char *assignor;
    int32_t epoch, assignment_epoch;
    uint32_t member_count;
};
bool consumer_group_view_get(const struct consumer_groups *groups, struct sluice_text group,
                             struct consumer_group_view *ret_view);
void consumer_groups_each(const struct consumer_groups *groups,
                          void (*visit)(void *arg, const struct consumer_group_view *view),
                          void *arg);
/* Partitions of *info are counted, not listed: they are in the sets. */
typedef void consumer_member_visit_fn(void *arg, const struct sluice_consumer_member_info *info,
                                      const struct partition_set *assigned,
                                      const struct partition_set *target);
void consumer_group_members(const struct consumer_groups *groups, struct sluice_text group,
                            consumer_member_visit_fn *visit, void *arg);

/* waiting_count is 0: nobody waits. */
void consumer_groups_status_get(const struct consumer_groups *groups,
                                struct group_coordinator_status *ret_status);

/* ---- the log ---- */

bool consumer_groups_is_dirty(const struct consumer_groups *groups);
typedef sl_err consumer_groups_add_fn(void *arg, uint16_t kind, uint8_t version,
                                      struct sl_bytes payload);
/* Everything that changed since the last flush that was kept, as items in the order in which they
 * must be applied; payloads are borrowed for the call. */
sl_err consumer_groups_dirty(struct consumer_groups *groups, consumer_groups_add_fn *add,
                             void *add_arg) SL_MUST_CHECK;
void consumer_groups_clean(struct consumer_groups *groups); /* what was given is in a unit */
/* Applies an item, at recovery. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err consumer_groups_apply(struct consumer_groups *groups, uint16_t kind, uint8_t version,
                             struct sl_bytes payload) SL_MUST_CHECK;
/* About `count` members and groups, as they are now, from *at on (begin with zeros); *ret_done:
 * that was all. As offset_store_snapshot. */
struct consumer_groups_walk {
    uint32_t group, member;
};
sl_err consumer_groups_snapshot(struct consumer_groups *groups, struct consumer_groups_walk *at,
                                uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                                bool *ret_done) SL_MUST_CHECK;

/* ---- members of the classic protocol (consumer_group_classic.c) ---- */

/* Each as its twin in group_coordinator.h, of a group that consumer_group_has_members; answered at
 * once. Views live until the next call. */
struct consumer_classic_joined {
    struct sluice_group_joined joined;
    char member[256]; /* an id that was made up */
};
void consumer_group_classic_join(struct consumer_groups *groups,
                                 const struct sluice_group_join *request,
                                 const struct group_caller *client, int64_t now_ms,
                                 struct consumer_classic_joined *ret_joined);
void consumer_group_classic_sync(struct consumer_groups *groups,
                                 const struct sluice_group_sync *request, int64_t now_ms,
                                 struct sluice_group_synced *ret_synced);
sluice_status consumer_group_classic_heartbeat(struct consumer_groups *groups,
                                               const struct sluice_group_identity *request,
                                               int64_t now_ms);
sluice_status consumer_group_classic_leave(struct consumer_groups *groups,
                                           const struct sluice_group_leave *request, int64_t now_ms,
                                           sluice_status *ret_statuses);

#endif
