/* assignor.h: who of a group shall read which partitions: Kafka's server-side assignors (KIP-848).
 *
 *   uniform  balance first, then what everybody has stays where it is. Where all members subscribe
 *            to the same topics, counts differ by at most one; else each partition goes to the
 *            least loaded subscriber, and moves until no move evens anything out.
 *   range    topic by topic, the same numbers of each topic to the same member, so that partitions
 *            can be joined; what a member has of a topic stays with it within its share.
 *
 * Pure functions: no order but that of the arguments counts, so the same input gives the same
 * result. Members come in the order of their ids, topics in that of theirs. [any] */
#ifndef SL_DELIVER_ASSIGNOR_H
#define SL_DELIVER_ASSIGNOR_H

#include "deliver/partition_set.h"

#define ASSIGNOR_PARTITIONS_MAX 200000u /* of all topics of a group */

struct assignor_topic {
    struct sl_uuid id;
    uint32_t partition_count;
};

struct assignor_member {
    const uint32_t *topics; /* that it subscribes to, rising indexes */
    uint32_t topic_count;
    const struct partition_set *current; /* the target so far, sorted; other topics are ignored */
    struct partition_set target;         /* result, sorted; empty before */
};

struct assignor_input {
    const struct assignor_topic *topics; /* sorted by id */
    uint32_t topic_count;
    struct assignor_member *members;
    uint32_t member_count;
};

/* Fills the members' targets, which the caller frees also on an error. E_NO_MEMORY; E_LIMIT: more
 * partitions than ASSIGNOR_PARTITIONS_MAX. */
typedef sl_err assignor_fn(const struct assignor_input *input);

struct assignor {
    const char *name;
    assignor_fn *assign;
};
/* The first is the default, as in Kafka. */
extern const struct assignor assignors[];
extern const uint32_t assignor_count;
const struct assignor *assignor_get(struct sl_bytes name); /* or NULL */

#endif
