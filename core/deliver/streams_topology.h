/* streams_topology.h: what a Kafka Streams application is made of (KIP-1071), as bytes and as
 * structs.
 *
 * The bytes are what the log keeps (streams_item.c); two topologies are the same where their bytes
 * are. Subtopologies are sorted by id, so that a task can be named by the place of its
 * subtopology.
 *
 * Bytes (little-endian): epoch i32, subtopology count u32, per subtopology: id; source count u32,
 * sources; changelog count u32, changelogs; sink count u32, sinks; repartition count u32,
 * repartitions; copartition count u32, per copartition: source count u32, i16 each, repartition
 * count u32, i16 each. A text: size u16, bytes. A topic: name, partition count i32, replication
 * factor i16, config count u32, key and value of each. */
#ifndef SL_DELIVER_STREAMS_TOPOLOGY_H
#define SL_DELIVER_STREAMS_TOPOLOGY_H

#include "base/buffer.h"
#include "deliver/answer_arena.h"

#include <sluice/streams_group.h>

#define STREAMS_TOPOLOGY_BYTES_MAX (1u << 20) /* encoded */
#define STREAMS_TEXT_BYTES_MAX     8192u      /* of an id, a config's value */

struct streams_topology {
    struct answer_arena arena;
    struct sluice_streams_topology view; /* in the arena */
    struct sl_bytes bytes;               /* likewise */
};

/* E_LIMIT: it is larger than it may be; E_STREAMS_TOPOLOGY: two subtopologies have one id, or a
 * copartition names what is not there; E_NO_MEMORY. */
sl_err streams_topology_encode(const struct sluice_streams_topology *from,
                               struct sl_buffer *ret_bytes) SL_MUST_CHECK;
/* E_CORRUPT, E_NO_MEMORY. */
sl_err streams_topology_new(struct sl_bytes bytes,
                            struct streams_topology **ret_topology) SL_MUST_CHECK;
struct streams_topology *streams_topology_free(struct streams_topology *topology);

/* Place of the subtopology of this id; -1: there is none. */
int32_t streams_topology_find(const struct streams_topology *topology, struct sl_bytes id);
/* A deep copy. E_NO_MEMORY. */
sl_err streams_topic_copy(struct answer_arena *arena, const struct sluice_streams_topic *from,
                          struct sluice_streams_topic *ret_topic) SL_MUST_CHECK;
sl_err streams_topology_copy(struct answer_arena *arena, const struct sluice_streams_topology *from,
                             struct sluice_streams_topology *ret_topology) SL_MUST_CHECK;

/* As memcmp, a shorter one that the other begins with first. */
int streams_text_compare(struct sluice_text a, struct sluice_text b);
bool streams_text_equal(struct sluice_text a, struct sluice_text b);

#endif
