/* sluice/streams_group.h: groups of Kafka Streams applications (KIP-1071): the broker knows the
 * application's topology and gives its members tasks.
 *
 * A task is a partition of a subtopology: of all topics that the subtopology reads. A member gets
 * active tasks, which it runs, and standby tasks, whose state it keeps a copy of. One call, the
 * heartbeat, joins, stays, tells what changed, acknowledges and leaves. Included by
 * <sluice/broker.h>, which has the calls. */
#ifndef SLUICE_STREAMS_GROUP_H
#define SLUICE_STREAMS_GROUP_H

#include <sluice/status.h>
#include <sluice/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a group is told besides the tasks; numbers are Kafka's. */
#define SLUICE_STREAMS_STALE_TOPOLOGY     0 /* the group's topology is newer than the member's */
#define SLUICE_STREAMS_MISSING_SOURCE     1 /* topics to read from are not there */
#define SLUICE_STREAMS_WRONG_PARTITIONS   2 /* numbers of partitions do not fit together */
#define SLUICE_STREAMS_MISSING_INTERNAL   3 /* the application's own topics are not there yet */
#define SLUICE_STREAMS_SHUTDOWN           4 /* a member wants all to stop */
#define SLUICE_STREAMS_ASSIGNMENT_DELAYED 5 /* tasks come later */

/* Key and value. */
struct sluice_streams_pair {
    struct sluice_text key;
    struct sluice_text value;
};
/* A topic of the application's own: between two subtopologies, or the log of a state store. */
struct sluice_streams_topic {
    struct sluice_text name;
    int32_t partition_count;    /* 0: follows from what is read */
    int16_t replication_factor; /* 0: the broker's default */
    uint16_t reserved;
    uint32_t config_count;
    uint32_t reserved2;
    const struct sluice_streams_pair *configs;
};
/* Topics that must have the same number of partitions, as places in the subtopology's lists. */
struct sluice_streams_copartition {
    uint32_t source_count;
    uint32_t repartition_count;
    const int16_t *sources;
    const int16_t *repartitions;
};
/* A part of an application whose tasks run for themselves. */
struct sluice_streams_subtopology {
    struct sluice_text id;
    uint32_t source_count;
    uint32_t pattern_count;
    uint32_t changelog_count;
    uint32_t sink_count;
    uint32_t repartition_count;
    uint32_t copartition_count;
    const struct sluice_text *sources; /* topics it reads from */
    const struct sluice_text
        *patterns; /* … by pattern; refused by this version, as Kafka 4.3 does */
    const struct sluice_streams_topic *changelogs;   /* logs of its state */
    const struct sluice_text *sinks;                 /* topics between subtopologies it writes to */
    const struct sluice_streams_topic *repartitions; /* … and those it reads from */
    const struct sluice_streams_copartition *copartitions;
};
/* What an application is made of. */
struct sluice_streams_topology {
    int32_t epoch;
    uint32_t subtopology_count;
    const struct sluice_streams_subtopology *subtopologies;
};
/* Where a member can be asked about its state. */
struct sluice_streams_endpoint {
    struct sluice_text host; /* data NULL: nowhere */
    uint16_t port;
    uint16_t reserved[3];
};
/* Tasks of one subtopology. */
struct sluice_streams_tasks {
    struct sluice_text subtopology;
    uint32_t count;
    uint32_t reserved;
    const int32_t *partitions;
};
/* The tasks of a member. */
struct sluice_streams_assignment {
    uint32_t active_count;
    uint32_t standby_count;
    const struct sluice_streams_tasks *active;
    const struct sluice_streams_tasks *standby;
};

/* A member's heartbeat. What did not change since the last one may be left out: text with data
 * NULL, -1, NULL, false. */
struct sluice_streams_heartbeat {
    uint32_t size;
    int32_t member_epoch;   /* SLUICE_MEMBER_JOINS, _LEAVES, _LEAVES_STATIC, or as it was told */
    int32_t endpoint_epoch; /* of the endpoints that it knows */
    int32_t rebalance_timeout_ms;
    struct sluice_text group;
    struct sluice_text member;
    struct sluice_text instance; /* refused by this version, as Kafka 4.3 does */
    struct sluice_text rack;
    struct sluice_text process; /* members of a process share its memory and disk */
    struct sluice_streams_endpoint endpoint;
    const struct sluice_streams_topology *topology; /* with SLUICE_MEMBER_JOINS */
    const struct sluice_streams_assignment *owned;
    const struct sluice_streams_pair *tags;
    uint32_t tag_count;
    bool has_tags;
    bool has_warmups;      /* it names warm-up tasks; refused unless empty */
    bool has_warmup_tasks; /* … and they are not empty */
    bool has_offsets;      /* of tasks; refused by this version */
    bool has_end_offsets;  /* likewise */
    bool has_active;       /* of what it owns, this kind of task was named */
    bool has_standby;
    bool shutdown; /* all members shall stop */
};

/* Something that a group is told (SLUICE_STREAMS_*). */
struct sluice_streams_status {
    int32_t code;
    uint32_t reserved;
    struct sluice_text detail;
};
/* Partitions of a topic. */
struct sluice_streams_partitions {
    struct sluice_text topic;
    uint32_t count;
    uint32_t reserved;
    const int32_t *partitions;
};
/* What can be asked about at a member's endpoint. */
struct sluice_streams_endpoint_info {
    struct sluice_streams_endpoint endpoint;
    uint32_t active_count;
    uint32_t standby_count;
    const struct sluice_streams_partitions *active;
    const struct sluice_streams_partitions *standby;
};
/* What a member is told. */
struct sluice_streams_heartbeat_answer {
    uint32_t size;
    sluice_status status;
    struct sluice_text message; /* about the status; may be empty */
    struct sluice_text member;
    int32_t member_epoch;
    int32_t heartbeat_interval_ms;
    int32_t endpoint_epoch;
    uint32_t status_count;
    const struct sluice_streams_status *statuses;
    const struct sluice_streams_assignment *assignment; /* NULL: it did not change */
    const struct sluice_streams_endpoint_info *endpoints;
    uint32_t endpoint_count;
    uint32_t missing_count;
    bool has_endpoints; /* false: they did not change */
    uint8_t reserved[7];
    /* Topics that the application needs and that are not there. Who asked makes them
     * (topics_create), and so needs the rights to. */
    const struct sluice_streams_topic *missing;
};
/* Ends `streams_group_heartbeat`. */
typedef void sluice_streams_heartbeat_done(void *arg,
                                           const struct sluice_streams_heartbeat_answer *answer);

/* A member as an administrator sees it. */
struct sluice_streams_member_info {
    struct sluice_text id;
    struct sluice_text rack; /* data NULL: none */
    struct sluice_text client_id;
    struct sluice_text client_host;
    struct sluice_text process;
    struct sluice_streams_endpoint endpoint;
    int32_t epoch;
    int32_t topology_epoch;
    uint32_t tag_count;
    uint32_t reserved;
    const struct sluice_streams_pair *tags;
    struct sluice_streams_assignment assigned;
    struct sluice_streams_assignment target;
};
/* A group with its topology and members. */
struct sluice_streams_group_info {
    uint32_t size;
    sluice_status status; /* E_GROUP_NOT_FOUND: none, or one of another kind */
    struct sluice_text message;
    struct sluice_text group;
    struct sluice_text state; /* "Stable", "NotReady" … as Kafka names them */
    int32_t epoch;
    int32_t assignment_epoch;
    const struct sluice_streams_topology *topology; /* NULL: none yet; partitions as decided */
    bool is_ready;                                  /* the topology's topics are all there */
    uint8_t reserved[3];
    uint32_t member_count;
    const struct sluice_streams_member_info *members;
};
/* Ends `streams_group_describe`. */
typedef void sluice_streams_group_info_done(void *arg,
                                            const struct sluice_streams_group_info *info);

#ifdef __cplusplus
}
#endif

#endif
