/* streams_groups.h: groups of Kafka Streams applications (KIP-1071), of one shard.
 *
 * Kafka 4.3's semantics. As a consumer group whose partitions the broker assigns
 * (consumer_groups.h), with tasks instead of partitions: a group has an epoch, a target, and each
 * member walks towards it on its own heartbeats, giving back first. Besides:
 *
 *   first heartbeat ─► topology ─► plan: numbers of tasks, missing topics ─► ready? ─► target
 *
 * The topology is the first member's and stays as long as the group is there. While topics are
 * missing or do not fit, nobody has tasks, and members are told why. Topics that are missing are
 * named in the answer; who asked makes them.
 *
 * As Kafka 4.3, this version refuses static members, patterns of topics, warm-up tasks and offsets
 * of tasks.
 *
 * All of it is state: a call changes memory at once, and what changed is taken as items by
 * streams_groups_dirty for one unit of the log; the caller answers when that is durable. No clock,
 * no I/O: calls get now_ms (monotonic). One thread. Payloads: streams_item.c. */
#ifndef SL_DELIVER_STREAMS_GROUPS_H
#define SL_DELIVER_STREAMS_GROUPS_H

#include "deliver/answer_arena.h"
#include "deliver/consumer_groups.h"

#include <sluice/streams_group.h>

#define STREAMS_ITEM_VERSION 1u

struct streams_groups;

/* Kafka's streams.* of a group; asked for at each use. */
struct streams_group_config {
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
    int32_t initial_delay_ms;       /* from the first member to the first tasks */
    int32_t assignment_interval_ms; /* between two targets */
    int32_t standby_count;          /* copies of each task's state */
    uint32_t members_max;
};
struct streams_config_source {
    void (*get)(void *arg, struct sl_bytes group, struct streams_group_config *ret_config);
    void *arg;
};

/* [borrows the args] NULL: no memory. */
struct streams_groups *
streams_groups_new(const struct group_topics *topics,
                   const struct streams_config_source *configs) SL_MUST_CHECK;
struct streams_groups *streams_groups_free(struct streams_groups *groups);

/* An answer with all that it points at. Zeroed before; fini when it was read. */
struct streams_answer {
    struct sluice_streams_heartbeat_answer answer;
    struct answer_arena arena;
};
void streams_answer_fini(struct streams_answer *answer);
void streams_group_heartbeat(struct streams_groups *groups,
                             const struct sluice_streams_heartbeat *request,
                             const struct group_caller *client, int64_t now_ms,
                             struct streams_answer *ret_answer);

/* Twins of those in consumer_groups.h. */
bool streams_group_exists(const struct streams_groups *groups, struct sluice_text group);
bool streams_group_has_members(const struct streams_groups *groups, struct sluice_text group);
int64_t streams_group_idle_ms(const struct streams_groups *groups, struct sluice_text group,
                              int64_t now_ms);
sluice_status streams_group_delete(struct streams_groups *groups, struct sluice_text group);
bool streams_group_subscribes(const struct streams_groups *groups, struct sluice_text group,
                              struct sl_bytes topic);
/* An epoch that is not the member's any more is good for partitions of tasks that it has had since
 * (KIP-1251). */
sluice_status streams_group_commit_check(const struct streams_groups *groups,
                                         const struct sluice_offset_commit *request,
                                         bool is_transactional, uint64_t metadata_bytes_max,
                                         sluice_status *ret_statuses);
sluice_status streams_group_fetch_check(const struct streams_groups *groups,
                                        struct sluice_text group, struct sluice_text member,
                                        int32_t epoch);

/* ---- time ---- */

void streams_groups_start(struct streams_groups *groups, int64_t now_ms);
int64_t streams_groups_next_deadline_ms(const struct streams_groups *groups);
void streams_groups_tick(struct streams_groups *groups, int64_t now_ms);

/* ---- what is shown ---- */

struct streams_group_view {
    struct sluice_text group;
    const char *state;
};
bool streams_group_view_get(const struct streams_groups *groups, struct sluice_text group,
                            struct streams_group_view *ret_view);
void streams_groups_each(const struct streams_groups *groups,
                         void (*visit)(void *arg, const struct streams_group_view *view),
                         void *arg);
void streams_groups_status_get(const struct streams_groups *groups,
                               struct group_coordinator_status *ret_status);
/* All but the group's name; in the arena. E_GROUP_NOT_FOUND, E_NO_MEMORY. */
sl_err streams_group_describe(const struct streams_groups *groups, struct sluice_text group,
                              struct answer_arena *arena,
                              struct sluice_streams_group_info *ret_info) SL_MUST_CHECK;

/* ---- the log: as in consumer_groups.h ---- */

bool streams_groups_is_dirty(const struct streams_groups *groups);
sl_err streams_groups_dirty(struct streams_groups *groups, consumer_groups_add_fn *add,
                            void *add_arg) SL_MUST_CHECK;
void streams_groups_clean(struct streams_groups *groups);
sl_err streams_groups_apply(struct streams_groups *groups, uint16_t kind, uint8_t version,
                            struct sl_bytes payload) SL_MUST_CHECK;
sl_err streams_groups_snapshot(struct streams_groups *groups, struct consumer_groups_walk *at,
                               uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                               bool *ret_done) SL_MUST_CHECK;

#endif
