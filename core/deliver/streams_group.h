/* streams_group.h: a group of KIP-1071 and its members. Private to the room; streams_groups.h is
 * the contract.
 *
 * A task is an entry of a partition_set: the topic's id holds the place of the subtopology in the
 * group's topology (streams_task_id), which never changes while the group is there. */
#ifndef SL_DELIVER_STREAMS_GROUP_H
#define SL_DELIVER_STREAMS_GROUP_H

#include "catalog/chain_map.h"
#include "deliver/consumer_group.h"
#include "deliver/streams_groups.h"
#include "deliver/streams_plan.h"

#define STREAMS_ACTIVE   0u
#define STREAMS_STANDBY  1u
#define STREAMS_ROLES    2u /* the log says how many it has: warm-ups may follow */
#define STREAMS_TAGS_MAX 64u
#define STREAMS_NO_EPOCH (-1) /* of a topology that is not ready */
#define STREAMS_ITEM_MAX (8u << 20)

/* Tasks of each role. */
struct streams_tasks {
    struct partition_set roles[STREAMS_ROLES];
};

struct streams_member {
    struct chain_link by_id;
    struct due_node due;
    struct streams_group *group;
    struct streams_member *previous, *next; /* in order of joining */
    struct sl_bytes id;                     /* owned, as all that follow; data NULL: none */
    struct sl_bytes rack;
    struct sl_bytes client_id;
    struct sl_bytes client_host;
    struct sl_bytes process;
    struct sl_bytes host; /* of its endpoint; data NULL: it has none */
    struct sl_bytes tags; /* as in the log: key size u16, value size u16, key, value, each */
    uint16_t port;
    int32_t rebalance_timeout_ms;
    int32_t topology_epoch;
    int32_t epoch;
    int32_t previous_epoch;
    uint8_t state;  /* MEMBER_* */
    bool is_dirty;  /* what it said of itself */
    bool is_moved;  /* its tasks */
    uint32_t place; /* of use while a target is computed */
    struct streams_tasks assigned;
    struct streams_tasks revoking;
    struct streams_tasks target;
    int64_t session_deadline_ms;
    int64_t rebalance_deadline_ms;
};

struct streams_group {
    struct chain_link by_name;
    struct streams_group *dirty_previous, *dirty_next;
    struct sl_bytes name;              /* owned */
    struct streams_topology *topology; /* owned; NULL only while the group is being made */
    struct streams_plan *plan;         /* owned; NULL: not made since the start */
    struct streams_member *first, *last;
    uint32_t member_count;
    int32_t epoch;
    int32_t assignment_epoch;
    int32_t ready_epoch;   /* of the topology with which the epoch rose last; STREAMS_NO_EPOCH */
    int32_t standby_count; /* likewise */
    int32_t endpoint_epoch;
    uint64_t topics_hash;
    uint64_t topics_version; /* looked at with this version of the topics */
    int64_t empty_since_ms;
    int64_t delayed_until_ms; /* no target before */
    int64_t assigned_at_ms;   /* the last target */
    struct sl_bytes shutdown; /* id of the member that wants all to stop; owned */
    bool is_dirty;            /* it, its topology or a member */
    bool is_topology_dirty;
};

struct streams_groups {
    struct group_topics topics;
    struct streams_config_source configs;
    struct chain_map groups;
    struct chain_map members; /* by group and id */
    struct due_heap due;
    struct streams_group *dirty;
    struct consumer_gone *gone, **gone_end;
    struct sl_buffer scratch;
    int64_t now_ms; /* of the call under way */
    uint64_t rebalance_count, expired_count;
};

struct sl_uuid streams_task_id(uint32_t subtopology);
uint32_t streams_task_subtopology(const struct sl_uuid *id);

/* ---- groups and members (streams_groups.c) ---- */

struct streams_group *streams_group_get(const struct streams_groups *groups, struct sl_bytes name);
sl_err streams_group_add(struct streams_groups *groups, struct sl_bytes name,
                         struct streams_group **ret_group) SL_MUST_CHECK;
sl_err streams_group_remove(struct streams_groups *groups,
                            struct streams_group *group) SL_MUST_CHECK;
void streams_group_mark(struct streams_groups *groups, struct streams_group *group);
void streams_group_raise(struct streams_groups *groups, struct streams_group *group);
struct streams_member *streams_member_get(const struct streams_groups *groups,
                                          const struct streams_group *group, struct sl_bytes id);
sl_err streams_member_add(struct streams_groups *groups, struct streams_group *group,
                          struct sl_bytes id, struct streams_member **ret_member) SL_MUST_CHECK;
sl_err streams_member_remove(struct streams_groups *groups,
                             struct streams_member *member) SL_MUST_CHECK;
/* It goes, the epoch rises. */
sl_err streams_member_fence(struct streams_groups *groups,
                            struct streams_member *member) SL_MUST_CHECK;
void streams_member_mark(struct streams_groups *groups, struct streams_member *member);
void streams_member_moved(struct streams_groups *groups, struct streams_member *member);
void streams_member_schedule(struct streams_groups *groups, struct streams_member *member);
void streams_tasks_fini(struct streams_tasks *tasks);
bool streams_tasks_empty(const struct streams_tasks *tasks);

/* ---- targets (streams_assignor.c) ---- */

/* A target for every member, empty without a plan that is ready. E_NO_MEMORY: as before. */
sl_err streams_group_assign(struct streams_groups *groups,
                            struct streams_group *group) SL_MUST_CHECK;

/* ---- one member's way (streams_reconcile.c) ---- */

/* owned NULL: the member did not say. *ret_changed: it has other tasks than before. */
sl_err streams_member_reconcile(struct streams_groups *groups, struct streams_member *member,
                                const struct streams_tasks *owned, bool *ret_changed) SL_MUST_CHECK;
bool streams_member_is_reconciled(const struct streams_member *member);

/* ---- items (streams_item.c) ---- */

sl_err streams_group_encode(const struct streams_group *group, bool gone, bool with_topology,
                            struct sl_buffer *ret_payload) SL_MUST_CHECK;
sl_err streams_member_encode(const struct streams_member *member, bool gone, bool description,
                             bool tasks, struct sl_buffer *ret_payload) SL_MUST_CHECK;
/* Key and value of each, in a block as the log has it. E_LIMIT, E_NO_MEMORY. */
sl_err streams_tags_encode(const struct sluice_streams_pair *tags, uint32_t count,
                           struct sl_buffer *ret_block) SL_MUST_CHECK;
sl_err streams_tags_decode(struct sl_bytes block, struct answer_arena *arena,
                           const struct sluice_streams_pair **ret_tags,
                           uint32_t *ret_count) SL_MUST_CHECK;

/* ---- what is shown (streams_show.c) ---- */

sl_err streams_show_tasks(const struct streams_group *group, const struct streams_tasks *tasks,
                          struct answer_arena *arena,
                          struct sluice_streams_assignment *ret_assignment) SL_MUST_CHECK;
/* What can be asked about at each member's endpoint. */
sl_err streams_show_endpoints(const struct streams_groups *groups,
                              const struct streams_group *group, struct answer_arena *arena,
                              const struct sluice_streams_endpoint_info **ret_endpoints,
                              uint32_t *ret_count) SL_MUST_CHECK;

#endif
