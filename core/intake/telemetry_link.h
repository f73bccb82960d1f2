/* telemetry_link.h: the table of <sluice/telemetry.h> for one loop.
 *
 *   ask   home ─► shard 0: the book says what is wanted ─► home
 *   push  home ─► shard 0: may it? ─► home ─► (helper: opened, within bytes_max) ─► one record into
 *         the topic, which is made at the first one ─► durable ─► done
 *
 * The record: key = the client instance's id (22 characters, as clients print it); value = OTLP
 * MetricsData in protobuf, never compressed by itself; headers client_id, client_software_name,
 * client_software_version, client_source_address, client_source_port, principal, content_type,
 * terminating (true or false). Its partition is the key's, as Kafka's producers choose it. It is
 * written by the broker itself: clients need no right to the topic. [loop] */
#ifndef SL_INTAKE_TELEMETRY_LINK_H
#define SL_INTAKE_TELEMETRY_LINK_H

#include "deliver/telemetry_book.h"
#include "shard/shard.h"

#include <sluice/telemetry.h>

#define TELEMETRY_TEXT_BYTES   1024u       /* of one header's value; what is longer is cut */
#define TELEMETRY_RECORD_BYTES (16u << 10) /* what a record has beside its payload, at most */

/* Of the whole broker; the book is shard 0's loop's. */
struct telemetry_room {
    char topic[256];  /* empty: nothing is taken */
    size_t bytes_max; /* of a push */
    struct telemetry_book *book;
};

struct telemetry_link {
    struct sluice_telemetry table;
    struct telemetry_room *room;
    struct shard *home;
    const struct sluice_broker *broker; /* without rules: the record is the broker's own */
    uint64_t pushed_total, refused_total;
};

/* A topic that cannot be: E_INVALID_TOPIC with a static sentence. E_NO_MEMORY. */
sl_err telemetry_room_init(struct telemetry_room *room, struct sl_os *os, const char *topic,
                           size_t bytes_max, const char **ret_reason) SL_MUST_CHECK;
void telemetry_room_fini(struct telemetry_room *room); /* after the shards */
void telemetry_link_init(struct telemetry_link *link, struct telemetry_room *room,
                         struct shard *home, const struct sluice_broker *broker);
/* NULL where nothing is taken. */
const struct sluice_telemetry *telemetry_link_table(const struct telemetry_link *link);

#endif
