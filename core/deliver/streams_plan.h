/* streams_plan.h: what a topology comes to with the topics that are there (KIP-1071): how many
 * tasks each subtopology has, and which of the application's own topics are missing. */
#ifndef SL_DELIVER_STREAMS_PLAN_H
#define SL_DELIVER_STREAMS_PLAN_H

#include "deliver/consumer_groups.h"
#include "deliver/streams_topology.h"

#define STREAMS_MESSAGE_BYTES 600u
#define STREAMS_TASKS_MAX     200000u /* of a group */

struct streams_plan {
    struct answer_arena arena;
    int32_t status;                      /* SLUICE_STREAMS_*; -1: all is there */
    char detail[STREAMS_MESSAGE_BYTES];  /* of the status */
    const uint32_t *task_counts;         /* a subtopology each; NULL: they cannot be told */
    struct sluice_streams_topology view; /* with what was decided; where task_counts are there */
    uint32_t task_count;                 /* of all */
    uint32_t missing_count;
    const struct sluice_streams_topic *missing;
};

/* E_STREAMS_TOPOLOGY with a sentence: no topics could make it right. E_LIMIT, E_NO_MEMORY. */
sl_err streams_plan_new(const struct streams_topology *topology, const struct group_topics *topics,
                        char ret_message[STREAMS_MESSAGE_BYTES],
                        struct streams_plan **ret_plan) SL_MUST_CHECK;
struct streams_plan *streams_plan_free(struct streams_plan *plan);
/* Of all topics that the topology names and that are there, with ids and partitions. */
uint64_t streams_topics_hash(const struct streams_topology *topology,
                             const struct group_topics *topics);

#endif
