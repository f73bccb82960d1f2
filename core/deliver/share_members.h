/* share_members.h: who is in the groups that share streams of one shard's groups, and who reads
 * what (KIP-932): a state machine of heartbeats.
 *
 *   heartbeat (epoch 0) ─► member ─► the group's epoch rises ─► every partition has a reader ─►
 *   each member is told at its next heartbeat, with the new epoch
 *
 * Partitions are shared: each has one reader at least, each member one partition at least. Nobody
 * has to give up anything first, so that there is no rebalance to wait for. The assignment is that
 * of a simple assignor: partitions in turn to the topic's members, by the order of their ids.
 *
 * Members live in memory only: after a restart they meet E_UNKNOWN_MEMBER and join again. That a
 * group is there, and its epoch, is a SHARE_GROUP item: what u8 (1: there, 2: gone), flags u8 (1:
 * it has begun), group size u16, epoch u32, group; the caller commits and applies it. No clock, no
 * I/O. One thread.
 *
 * A member may read all partitions of its topics by itself (SLUICE_SHARE_READS_ALL): then it has
 * those beside what is shared among the others. One may be alone in its group (SLUICE_SHARE_ALONE):
 * then who comes next is refused. */
#ifndef SL_DELIVER_SHARE_MEMBERS_H
#define SL_DELIVER_SHARE_MEMBERS_H

#include "deliver/group_coordinator.h"
#include "deliver/share_store.h"
#include "deliver/share_topics.h"

#define SHARE_MEMBERS_MAX       200u /* of a group; E_GROUP_MAX_SIZE */
#define SHARE_MEMBER_TOPICS_MAX 1000u
#define SHARE_MEMBER_TEXT_MAX   1024u
#define SHARE_MEMBER_PLACES_MAX 10000u /* of one that reads all of its topics */
#define SHARE_GROUPS_MAX        100000u
#define SHARE_GROUP_ITEM_SIZE   8u /* before the group's name */

struct share_place {
    struct sl_uuid topic;
    int32_t partition;
};

struct share_member {
    struct sl_link link; /* in its group, by id */
    struct sl_bytes id;  /* owned, as all texts */
    struct sl_bytes rack;
    struct sl_bytes client_id;
    struct sl_bytes client_host;
    struct sl_bytes *topics; /* owned; one block with their bytes */
    uint32_t topic_count;
    int32_t epoch;
    int32_t former_epoch; /* a request that was answered and not heard may come again with it */
    int64_t deadline_ms;
    struct share_place *places; /* owned; what it reads, by topic */
    uint32_t place_count;
    uint32_t place_capacity;
    int32_t partition; /* of each topic the only one that it reads; -1: all */
    bool reads_all;
    bool is_alone;
    bool is_told; /* has heard of its places */
};

struct share_member_group {
    struct chain_link by_name;
    struct sl_list members;
    uint32_t member_count;
    int32_t epoch;
    struct share_topics topics; /* of those that partitions are shared among; made when asked for */
    uint64_t topics_hash;       /* of what is known of the topics when they were assigned */
    bool is_durable;
    bool has_begun;       /* durable, too: somebody said so */
    struct sl_bytes name; /* the bytes follow the struct */
};

/* What is known of a topic. False: there is none. */
typedef bool share_topic_fn(void *arg, struct sl_bytes name, struct sl_uuid *ret_id,
                            uint32_t *ret_partition_count);
struct share_catalog {
    share_topic_fn *topic;
    void *arg;
};

struct share_members {
    struct chain_map groups;
    struct share_catalog catalog; /* [borrows its arg] */
    int64_t due_ms;               /* no session ends before it */
};

/* What a heartbeat comes to. */
struct share_told {
    struct share_member *member; /* NULL after it left */
    bool is_due;                 /* its assignment is to be told */
};

/* E_NO_MEMORY. */
sl_err share_members_init(struct share_members *members,
                          const struct share_catalog *catalog) SL_MUST_CHECK;
void share_members_fini(struct share_members *members);

struct share_member_group *share_members_group(const struct share_members *members,
                                               struct sl_bytes name);
/* E_INVALID_GROUP_ID, E_INVALID_REQUEST, E_UNKNOWN_MEMBER, E_FENCED_MEMBER_EPOCH,
 * E_GROUP_MAX_SIZE, E_GROUP_EXCLUSIVE, E_LIMIT, E_NO_MEMORY. */
sl_err share_members_heartbeat(struct share_members *members,
                               const struct sluice_share_heartbeat *request,
                               const struct group_caller *client,
                               const struct share_settings *settings, int64_t now_ms,
                               struct share_told *ret_told) SL_MUST_CHECK;
/* When to call tick; INT64_MAX: no member is there. */
int64_t share_members_due_ms(const struct share_members *members);
/* Sessions that are over. */
void share_members_tick(struct share_members *members, int64_t now_ms);
/* A group without members that is not durable is not there. */
void share_members_each(const struct share_members *members,
                        void (*visit)(void *arg, struct share_member_group *group), void *arg);

/* epoch below 0: the group is gone. */
size_t share_group_item_encode(struct sl_bytes group, int32_t epoch, bool has_begun,
                               uint8_t ret_payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX]);
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err share_members_apply(struct share_members *members, uint8_t version,
                           struct sl_bytes payload) SL_MUST_CHECK;
sl_err share_members_snapshot(const struct share_members *members, uint32_t *at, uint32_t count,
                              share_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
