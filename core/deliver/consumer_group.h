/* consumer_group.h: a group of KIP-848 and its members. Private to the room; consumer_groups.h is
 * the contract.
 *
 * What is to be written down is marked when it changes: groups and members hang in lists of what is
 * dirty, what is gone waits as an item. */
#ifndef SL_DELIVER_CONSUMER_GROUP_H
#define SL_DELIVER_CONSUMER_GROUP_H

#include "base/bytes.h"
#include "catalog/chain_map.h"
#include "deliver/assignor.h"
#include "deliver/consumer_groups.h"
#include "deliver/due_heap.h"
#include "deliver/group.h"
#include "deliver/topic_pattern.h"

/* Numbers are stored: never reused. */
#define MEMBER_STABLE     0
#define MEMBER_UNREVOKED  1 /* gives partitions back, at its old epoch */
#define MEMBER_UNRELEASED 2 /* waits for partitions that others have */

struct consumer_group;

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
    struct chain_link by_id; /* in the groups' map */
    struct due_node due;
    struct consumer_group *group;
    struct consumer_member *previous, *next; /* in order of joining */
    struct consumer_member *dirty_previous, *dirty_next;
    struct sl_bytes id;       /* owned, as all that follow; data NULL: none */
    struct sl_bytes instance; /* data NULL: dynamic */
    struct sl_bytes rack;
    struct sl_bytes client_id;
    struct sl_bytes client_host;
    struct sl_bytes assignor;
    struct name_list topics;
    struct consumer_pattern *pattern; /* NULL: none */
    int32_t rebalance_timeout_ms;
    int32_t epoch;
    int32_t previous_epoch;
    uint8_t state;  /* MEMBER_* */
    bool is_listed; /* in the list of what is dirty */
    bool is_dirty;  /* itself */
    bool is_moved;  /* its assignment */
    struct partition_set assigned;
    struct partition_set revoking;
    struct partition_set target;
    int64_t session_deadline_ms;
    int64_t rebalance_deadline_ms; /* of giving back; of a classic member: of joining again */
    int64_t sync_deadline_ms;      /* of a classic member */
    /* Of a classic member. */
    bool is_classic;
    int32_t session_timeout_ms;
    uint32_t protocol_count;
    struct group_protocol *protocols; /* owned, with their bytes behind */
};

struct consumer_group {
    struct chain_link by_name;
    struct consumer_group *dirty_previous, *dirty_next;
    struct sl_bytes name; /* owned */
    struct consumer_member *first, *last;
    uint32_t member_count;
    int32_t epoch;
    int32_t assignment_epoch;
    uint64_t topics_hash;    /* of what the members subscribe to, as it was when the epoch rose */
    uint64_t topics_version; /* looked at with this version of the topics */
    int64_t empty_since_ms;
    int64_t assigned_ms; /* the last assignment, if was_assigned */
    bool is_dirty;
    bool was_looked_at; /* topics_version is one */
    bool was_assigned;  /* since the start */
};

/* An item that says that something is gone. */
struct consumer_gone {
    struct consumer_gone *next;
    uint16_t kind;
    size_t size;
    uint8_t payload[];
};

struct consumer_groups {
    struct consumer_group_config config;
    struct consumer_group_asks asks;
    struct group_topics topics;
    struct group_coordinator *classic;
    struct chain_map groups;  /* by name */
    struct chain_map members; /* by group and id */
    struct due_heap due;
    struct consumer_group *dirty_groups;
    struct consumer_member *dirty_members;
    struct consumer_gone *gone, **gone_end;
    struct consumer_pattern *patterns;
    struct sl_buffer scratch; /* of encoding */
    uint64_t random[2];
    int64_t now_ms; /* of the call under way */
    uint64_t rebalance_count, expired_count;
};

/* ---- groups and members (consumer_groups.c) ---- */

struct consumer_group *consumer_group_get(const struct consumer_groups *groups,
                                          struct sl_bytes name); /* or NULL */
sl_err consumer_group_add(struct consumer_groups *groups, struct sl_bytes name,
                          struct consumer_group **ret_group) SL_MUST_CHECK;
/* E_NO_MEMORY: nothing changed. With members: they go, too. */
sl_err consumer_group_remove(struct consumer_groups *groups,
                             struct consumer_group *group) SL_MUST_CHECK;
void consumer_group_mark(struct consumer_groups *groups, struct consumer_group *group);
void consumer_group_raise(struct consumer_groups *groups, struct consumer_group *group);

struct consumer_member *consumer_member_get(const struct consumer_groups *groups,
                                            const struct consumer_group *group, struct sl_bytes id);
struct consumer_member *consumer_member_of_instance(const struct consumer_group *group,
                                                    struct sl_bytes instance); /* or NULL */
sl_err consumer_member_add(struct consumer_groups *groups, struct consumer_group *group,
                           struct sl_bytes id, struct consumer_member **ret_member) SL_MUST_CHECK;
/* E_NO_MEMORY: nothing changed. */
sl_err consumer_member_remove(struct consumer_groups *groups,
                              struct consumer_member *member) SL_MUST_CHECK;
/* A static member came back under another id. E_NO_MEMORY: nothing changed. */
sl_err consumer_member_rename(struct consumer_groups *groups, struct consumer_member *member,
                              struct sl_bytes id) SL_MUST_CHECK;
void consumer_member_mark(struct consumer_groups *groups, struct consumer_member *member);
void consumer_member_moved(struct consumer_groups *groups, struct consumer_member *member);
/* Looks at its deadlines no later than the earliest. */
void consumer_member_schedule(struct consumer_groups *groups, struct consumer_member *member);
struct consumer_group_own consumer_group_own_of(const struct consumer_groups *groups,
                                                const struct consumer_group *group);
int32_t consumer_member_session_ms(const struct consumer_groups *groups,
                                   const struct consumer_member *member);
/* The member goes, the epoch rises; the group may become a classic one. */
sl_err consumer_member_fence(struct consumer_groups *groups,
                             struct consumer_member *member) SL_MUST_CHECK;
/* Sets *ret_changed where the text is another one. E_NO_MEMORY. */
sl_err consumer_text_set(struct sl_bytes *text, struct sl_bytes value,
                         bool *ret_changed) SL_MUST_CHECK;
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
bool consumer_member_is_reconciled(const struct consumer_member *member);

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
