/* streams_group.h: a group of KIP-1071 and its members. Private to the room; streams_groups.h is
 * the contract.
 *
 * A task is an entry of a partition_set: the topic's id holds the place of the subtopology in the
 * group's topology (streams_task_id), which never changes while the group is there. */
#ifndef SL_DELIVER_STREAMS_GROUP_H
#define SL_DELIVER_STREAMS_GROUP_H

#include "deliver/epoch_groups.h"
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
    struct epoch_member base;
    struct sl_bytes process; /* owned, as all that follow; data NULL: none */
    struct sl_bytes host;    /* of its endpoint; data NULL: it has none */
    struct sl_bytes tags;    /* as in the log: key size u16, value size u16, key, value, each */
    uint16_t port;
    int32_t topology_epoch;
    uint32_t place; /* of use while a target is computed */
    struct streams_tasks assigned;
    struct streams_tasks revoking;
    struct streams_tasks target;
};

struct streams_group {
    struct epoch_group base;
    struct streams_topology *topology; /* owned; NULL only while the group is being made */
    struct streams_plan *plan;         /* owned; NULL: not made since the start */
    int32_t ready_epoch;   /* of the topology with which the epoch rose last; STREAMS_NO_EPOCH */
    int32_t standby_count; /* likewise */
    int32_t endpoint_epoch;
    int64_t delayed_until_ms; /* no target before */
    int64_t assigned_at_ms;   /* the last target */
    struct sl_bytes shutdown; /* id of the member that wants all to stop; owned */
    bool is_topology_dirty;   /* with is_dirty */
};

struct streams_groups {
    struct epoch_groups base;
    struct streams_config_source configs;
};

static inline struct streams_group *streams_group_of(const struct streams_member *member)
{
    return SL_CONTAINER_OF(member->base.group, struct streams_group, base);
}

static inline struct streams_member *streams_member_of(struct epoch_member *member)
{
    return member == NULL ? NULL : SL_CONTAINER_OF(member, struct streams_member, base);
}

/* In order of joining; NULL: no further one. */
static inline struct streams_member *streams_member_first(const struct streams_group *group)
{
    return streams_member_of(group->base.first);
}

static inline struct streams_member *streams_member_next(const struct streams_member *member)
{
    return streams_member_of(member->base.next);
}

struct sl_uuid streams_task_id(uint32_t subtopology);
uint32_t streams_task_subtopology(const struct sl_uuid *id);

/* ---- groups and members (streams_groups.c) ---- */

struct streams_group *streams_group_get(const struct streams_groups *groups, struct sl_bytes name);
sl_err streams_group_add(struct streams_groups *groups, struct sl_bytes name,
                         struct streams_group **ret_group) SL_MUST_CHECK;
struct streams_member *streams_member_get(const struct streams_groups *groups,
                                          const struct streams_group *group, struct sl_bytes id);
sl_err streams_member_add(struct streams_groups *groups, struct streams_group *group,
                          struct sl_bytes id, struct streams_member **ret_member) SL_MUST_CHECK;
/* It goes, the epoch rises. */
sl_err streams_member_fence(struct streams_groups *groups,
                            struct streams_member *member) SL_MUST_CHECK;
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
