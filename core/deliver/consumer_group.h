/* consumer_group.h: a group of KIP-848 and its members. Private to the room; consumer_groups.h is
 * the contract.
 *
 * What it shares with other groups whose members the broker assigns: epoch_groups.h. */
#ifndef SL_DELIVER_CONSUMER_GROUP_H
#define SL_DELIVER_CONSUMER_GROUP_H

#include "deliver/assignor.h"
#include "deliver/epoch_groups.h"
#include "deliver/group.h"
#include "deliver/topic_pattern.h"

/* Sorted texts, in one block. */
struct name_list {
    struct sl_bytes *names; /* owned, with the bytes behind */
    uint32_t count;
};

/* A pattern that members of some group subscribe with, and what it matches. */
struct consumer_pattern {
    struct consumer_pattern *next;
    struct sl_bytes text;      /* owned */
    struct sl_bytes principal; /* owned; whose it is: the topics are those that he may describe … */
    struct sl_bytes host;      /* … from there; owned */
    struct topic_pattern *pattern;
    struct assignor_topic *topics; /* owned, sorted by id */
    uint32_t topic_count, topic_capacity;
    uint64_t version; /* of the topics it was resolved with */
    uint32_t users;
    bool resolved;
    bool failed; /* no memory */
};

struct consumer_member {
    struct epoch_member base;
    struct sl_bytes instance; /* owned, as all that follow; data NULL: dynamic */
    struct sl_bytes assignor;
    struct name_list topics;
    struct consumer_pattern *pattern; /* NULL: none */
    struct partition_set assigned;
    struct partition_set revoking;
    struct partition_set target;
    /* Of a classic member, whose rebalance deadline is that of joining again. */
    bool is_classic;
    int32_t session_timeout_ms;
    int64_t sync_deadline_ms;
    uint32_t protocol_count;
    struct group_protocol *protocols; /* owned, with their bytes behind */
};

struct consumer_group {
    struct epoch_group base;
    int64_t assigned_ms; /* the last assignment, if was_assigned */
    bool was_looked_at;  /* topics_version is one */
    bool was_assigned;   /* since the start */
};

struct consumer_groups {
    struct epoch_groups base;
    struct consumer_group_config config;
    struct consumer_group_asks asks;
    struct group_coordinator *classic;
    struct consumer_pattern *patterns;
    uint64_t random[2];
};

static inline struct consumer_group *consumer_group_of(const struct consumer_member *member)
{
    return SL_CONTAINER_OF(member->base.group, struct consumer_group, base);
}

static inline struct consumer_member *consumer_member_of(struct epoch_member *member)
{
    return member == NULL ? NULL : SL_CONTAINER_OF(member, struct consumer_member, base);
}

/* In order of joining; NULL: no further one. */
static inline struct consumer_member *consumer_member_first(const struct consumer_group *group)
{
    return consumer_member_of(group->base.first);
}

static inline struct consumer_member *consumer_member_next(const struct consumer_member *member)
{
    return consumer_member_of(member->base.next);
}

/* ---- groups and members (consumer_groups.c) ---- */

struct consumer_group *consumer_group_get(const struct consumer_groups *groups,
                                          struct sl_bytes name); /* or NULL */
sl_err consumer_group_add(struct consumer_groups *groups, struct sl_bytes name,
                          struct consumer_group **ret_group) SL_MUST_CHECK;

struct consumer_member *consumer_member_get(const struct consumer_groups *groups,
                                            const struct consumer_group *group, struct sl_bytes id);
struct consumer_member *consumer_member_of_instance(const struct consumer_group *group,
                                                    struct sl_bytes instance); /* or NULL */
sl_err consumer_member_add(struct consumer_groups *groups, struct consumer_group *group,
                           struct sl_bytes id, struct consumer_member **ret_member) SL_MUST_CHECK;
struct consumer_group_own consumer_group_own_of(const struct consumer_groups *groups,
                                                const struct consumer_group *group);
int32_t consumer_member_session_ms(const struct consumer_groups *groups,
                                   const struct consumer_member *member);
/* The member goes, the epoch rises; the group may become a classic one. */
sl_err consumer_member_fence(struct consumer_groups *groups,
                             struct consumer_member *member) SL_MUST_CHECK;
sl_err name_list_set(struct name_list *list, const struct sluice_text *names, uint32_t count,
                     bool *ret_changed) SL_MUST_CHECK;
bool name_list_has(const struct name_list *list, struct sl_bytes name);
void name_list_fini(struct name_list *list);
/* What a classic member knows, copied. E_NO_MEMORY. */
sl_err consumer_protocols_set(struct consumer_member *member,
                              const struct sluice_group_protocol *protocols,
                              uint32_t count) SL_MUST_CHECK;

/* ---- topics and targets (consumer_group_target.c) ---- */

/* principal: on whose behalf; the host is the member's. E_INVALID_REGEX with *ret_reason,
 * E_NO_MEMORY. Text empty: no pattern. */
sl_err consumer_pattern_set(struct consumer_groups *groups, struct consumer_member *member,
                            struct sl_bytes text, struct sl_bytes principal, bool *ret_changed,
                            const char **ret_reason) SL_MUST_CHECK;
void consumer_pattern_drop(struct consumer_groups *groups, struct consumer_pattern *pattern);
bool consumer_member_reads(struct consumer_groups *groups, const struct consumer_member *member,
                           const struct sl_uuid *topic);
/* Raises the epoch where the topics that the group reads are others than they were. */
sl_err consumer_group_look(struct consumer_groups *groups, struct consumer_group *group,
                           bool force) SL_MUST_CHECK;
/* A target for the group's epoch, where there is none yet. */
sl_err consumer_group_assign(struct consumer_groups *groups,
                             struct consumer_group *group) SL_MUST_CHECK;
const char *consumer_group_assignor(const struct consumer_groups *groups,
                                    const struct consumer_group *group);

/* ---- one member's way to its target (consumer_group_reconcile.c) ---- */

/* owned NULL: the member did not say. reads_less: its subscription changed. *ret_changed: it has
 * other partitions than before. */
sl_err consumer_member_reconcile(struct consumer_groups *groups, struct consumer_member *member,
                                 const struct partition_set *owned, bool reads_less,
                                 bool *ret_changed) SL_MUST_CHECK;
/* Whether others still have partitions of the member's target. */
bool consumer_member_waits(const struct consumer_member *member);

/* ---- items (consumer_group_item.c) ---- */

sl_err consumer_group_encode(const struct consumer_group *group, bool gone,
                             struct sl_buffer *ret_payload) SL_MUST_CHECK;
sl_err consumer_member_encode(const struct consumer_member *member, bool gone,
                              struct sl_buffer *ret_payload) SL_MUST_CHECK;
sl_err consumer_assignment_encode(const struct consumer_member *member,
                                  struct sl_buffer *ret_payload) SL_MUST_CHECK;

/* ---- from and to the classic protocol (consumer_group_migrate.c) ---- */

struct consumer_metadata;
/* The partitions that a subscription or assignment names, of topics that are there. E_NO_MEMORY. */
sl_err consumer_owned_of(const struct consumer_groups *groups,
                         const struct consumer_metadata *metadata,
                         struct partition_set *set) SL_MUST_CHECK;
/* The set as a classic member is told it. */
sl_err consumer_assignment_of(struct consumer_groups *groups, const struct consumer_member *member,
                              const struct partition_set *set, struct sl_buffer *out) SL_MUST_CHECK;

/* Whether the group that loses this member (NULL: none) has only classic ones left. */
bool consumer_group_may_downgrade(const struct consumer_groups *groups,
                                  const struct consumer_group *group,
                                  const struct consumer_member *leaving);
sl_err consumer_group_downgrade(struct consumer_groups *groups, struct consumer_group *group,
                                const struct consumer_member *leaving) SL_MUST_CHECK;
/* A classic group of that name becomes one of these. E_GROUP_NOT_FOUND with a message: it cannot.
 */
sl_err consumer_group_upgrade(struct consumer_groups *groups, struct sl_bytes name,
                              struct consumer_group **ret_group,
                              char ret_message[CONSUMER_GROUP_MESSAGE_BYTES]) SL_MUST_CHECK;

#endif
