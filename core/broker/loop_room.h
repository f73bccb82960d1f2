/* loop_room.h: what lives on one loop: its shards, its memory, its connections and frontends. */
#ifndef SL_BROKER_LOOP_ROOM_H
#define SL_BROKER_LOOP_ROOM_H

#include "broker/broker_metrics.h"
#include "intake/quota_link.h"
#include "intake/security_link.h"
#include "intake/telemetry_link.h"
#include "plugin/filter_pool.h"

#define ROOM_FRONTENDS_MAX 16u

struct room_frontend {
    const struct sluice_plugin_descriptor *descriptor; /* NULL: the slot is free */
    struct frontend *frontend;
};

struct room_step;

struct loop_room {
    struct sluice *sluice;
    uint32_t index;
    struct sl_loop *loop;
    struct chunk_cache cache;
    struct broker_link link;
    struct flow_book flow;    /* of who produces */
    struct flow_book readers; /* of who fetches */
    struct broker_guard guard;
    struct security_link security;
    struct quota_link quota;
    struct telemetry_link telemetry;
    struct filter_pool filters;
    struct intake intake;
    struct shard *shards[SHARD_COUNT_MAX];
    uint32_t shard_count;
    struct room_frontend frontends[ROOM_FRONTENDS_MAX]; /* by the listener's slot */
    struct sl_timer *beat;
    struct room_step *ending; /* waits until the room is quiet; NULL: it does not end */
    int64_t ending_since_ms;
    struct broker_counters counters;
    int64_t beat_ms; /* monotonic time of the last beat, for /livez; written by this loop */
    uint32_t expected_connections; /* given to this loop, arrived or not; kept by loop 0 */
};

#endif
