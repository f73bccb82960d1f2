/* sluice/consumer_group.h: consumer groups whose partitions the broker assigns (KIP-848).
 *
 * One call, the heartbeat, joins, stays, tells what changed, acknowledges and leaves. A member gets
 * the partitions that it may read now; what another member still reads comes when that one gave it
 * back. Included by <sluice/broker.h>, which has the calls. */
#ifndef SLUICE_CONSUMER_GROUP_H
#define SLUICE_CONSUMER_GROUP_H

#include <sluice/status.h>
#include <sluice/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_MEMBER_JOINS  0  /* epoch of who joins */
#define SLUICE_MEMBER_LEAVES -1 /* epoch of who leaves */
#define SLUICE_MEMBER_LEAVES_STATIC                                \
    -2 /* … and comes back: its partitions wait for its instance \
        */

/* A partition by its topic's id. */
struct sluice_assigned_partition {
    struct sluice_uuid topic;
    int32_t partition;
};

/* A member's heartbeat. What did not change since the last one may be left out: text with data
 * NULL, -1, false. */
struct sluice_consumer_heartbeat {
    uint32_t size;
    int32_t member_epoch; /* SLUICE_MEMBER_JOINS, _LEAVES, _LEAVES_STATIC, or as it was told */
    struct sluice_text group;
    struct sluice_text member;   /* made by the client; empty: the broker makes one up */
    struct sluice_text instance; /* data NULL: dynamic */
    struct sluice_text rack;
    struct sluice_text regex;    /* topics by pattern (RE2); empty: none any more */
    struct sluice_text assignor; /* "uniform", "range" */
    int32_t rebalance_timeout_ms;
    bool has_topics;   /* the topics follow, perhaps none */
    bool has_owned;    /* the partitions that the member owns follow, perhaps none */
    bool needs_member; /* the client must have made an id */
    uint8_t reserved;
    uint32_t topic_count;
    uint32_t owned_count;
    const struct sluice_text *topics; /* names */
    const struct sluice_assigned_partition *owned;
};

/* What a member is told. */
struct sluice_consumer_heartbeat_answer {
    uint32_t size;
    sluice_status status;
    struct sluice_text message; /* about the status; may be empty */
    struct sluice_text member;
    int32_t member_epoch;
    int32_t heartbeat_interval_ms;
    bool has_assignment; /* false: it did not change */
    uint8_t reserved[3];
    uint32_t partition_count;
    const struct sluice_assigned_partition *partitions; /* all that it may read now */
};
/* Ends `consumer_group_heartbeat`. */
typedef void sluice_consumer_heartbeat_done(void *arg,
                                            const struct sluice_consumer_heartbeat_answer *answer);

/* A partition as a description names it. */
struct sluice_described_partition {
    struct sluice_uuid topic;
    struct sluice_text name; /* empty: the topic is gone */
    int32_t partition;
    uint32_t reserved;
};
/* A member as an administrator sees it. */
struct sluice_consumer_member_info {
    struct sluice_text id;
    struct sluice_text instance; /* data NULL: dynamic */
    struct sluice_text rack;     /* data NULL: none */
    struct sluice_text client_id;
    struct sluice_text client_host;
    struct sluice_text regex; /* data NULL: none */
    int32_t epoch;
    bool is_classic; /* it speaks the classic protocol */
    uint8_t reserved[3];
    uint32_t topic_count;
    uint32_t assigned_count;
    uint32_t target_count;
    uint32_t reserved2;
    const struct sluice_text *topics; /* names it subscribed to */
    const struct sluice_described_partition *assigned;
    const struct sluice_described_partition *target;
};
/* A group with its members. */
struct sluice_consumer_group_info {
    uint32_t size;
    sluice_status status; /* E_GROUP_NOT_FOUND: none, or one of another kind */
    struct sluice_text message;
    struct sluice_text group;
    struct sluice_text state; /* "Stable", "Assigning" … as Kafka names them */
    struct sluice_text assignor;
    int32_t epoch;
    int32_t assignment_epoch;
    uint32_t member_count;
    uint32_t reserved;
    const struct sluice_consumer_member_info *members;
};
/* Ends `consumer_group_describe`. */
typedef void sluice_consumer_group_info_done(void *arg,
                                             const struct sluice_consumer_group_info *info);

#ifdef __cplusplus
}
#endif

#endif
