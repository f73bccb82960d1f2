/* kafka_legacy.h: the legacy tier: clients from Kafka 0.9 on (kafka.legacy: true).
 *
 * Produce 0 to 2 and Fetch 0 to 3 carry message sets of magic 0 and 1, which are converted to and
 * from batches here, at the edge, in tasks: the broker sees batches alone. Versions that Kafka 4
 * still has are answered as without it. Such requests overlap with nothing on their connection, and
 * a fetch reads at most KAFKA_LEGACY_FETCH_BYTES at a time. [loop] */
#ifndef KAFKA_LEGACY_H
#define KAFKA_LEGACY_H

#include "kafka_call.h"

#define KAFKA_LEGACY_PRODUCE_BELOW 3 /* versions of Produce with message sets */
#define KAFKA_LEGACY_FETCH_BELOW   4 /* … of Fetch */
#define KAFKA_LEGACY_FETCH_BYTES   (8u << 20)
#define KAFKA_LEGACY_BYTES_MAX     (64u << 20) /* batches that an instance converts for fetches … */
#define KAFKA_LEGACY_BYTES_MIN     (64u << 10) /* … but so much for each, so that readers go on */

/* Converts what the entries carry, then goes on with kafka_produce_start; entries and slots of the
 * call whose messages are not sound are answered and leave both. */
void kafka_legacy_produce(struct kafka_call *call, struct sluice_produce_entry *entries,
                          uint32_t count);
/* Fetches, and converts for `done`; goes on by itself over batches that nothing comes of. entries:
 * the request's, in the call; their offsets move on. */
void kafka_legacy_fetch(struct kafka_call *call, const struct sluice_fetch *fetch,
                        struct sluice_fetch_entry *entries, sluice_fetch_done *done);

/* handle_produce.c */
void kafka_produce_start(struct kafka_call *call, const struct sluice_produce_entry *entries,
                         uint32_t count);
/* One entry is answered without the broker. */
void kafka_produce_refuse(struct kafka_call *call, uint32_t index, sluice_status status);

/* ListOffsets 0: as many offsets as are asked for, the newest first. */
void kafka_handle_list_offsets_0(struct kafka_call *call);

#endif
