/* consumer_protocol.h: what classic consumers say of themselves inside JoinGroup and are told
 * inside SyncGroup ("consumer" protocol, Kafka's ConsumerProtocolSubscription and
 * ConsumerProtocolAssignment 0 to 3), read and written so that such members can be in a group of
 * KIP-848. Metadata is input.
 *
 * Subscription (big-endian): version i16, topics (count i32, each size i16 and text), user data
 * (size i32, -1: none), from 1 on owned partitions (count i32, each a topic and numbers i32), from
 * 2 on generation i32, from 3 on rack (size i16, -1: none). Assignment: version i16, partitions as
 * above, user data. What follows is ignored. [any] */
#ifndef SL_DELIVER_CONSUMER_PROTOCOL_H
#define SL_DELIVER_CONSUMER_PROTOCOL_H

#include "base/buffer.h"

#include <sluice/types.h>

#define CONSUMER_PROTOCOL_TYPE        "consumer"
#define CONSUMER_PROTOCOL_VERSION_MAX 3

/* A partition by its topic's name, a view into what was read. */
struct named_partition {
    struct sluice_text topic;
    uint32_t partition;
};

/* Views into the bytes it was read from; the arrays are its own. */
struct consumer_metadata {
    int16_t version;
    bool has_user_data;
    struct sluice_text *topics; /* owned; of a subscription */
    uint32_t topic_count;
    struct named_partition *partitions; /* owned */
    uint32_t partition_count;
    struct sluice_text rack; /* data NULL: none */
};

void consumer_metadata_fini(struct consumer_metadata *metadata);
/* E_CORRUPT, E_NO_MEMORY; *ret_metadata must be finished in any case. */
sl_err consumer_subscription_read(struct sl_bytes bytes,
                                  struct consumer_metadata *ret_metadata) SL_MUST_CHECK;
sl_err consumer_assignment_read(struct sl_bytes bytes,
                                struct consumer_metadata *ret_metadata) SL_MUST_CHECK;

/* Writes an assignment: partitions of a topic are in a row. */
sl_err consumer_assignment_write(struct sl_buffer *out, int16_t version,
                                 const struct named_partition *partitions,
                                 uint32_t count) SL_MUST_CHECK;

#endif
