/* consumer_desk.h: groups whose partitions the broker assigns (KIP-848), of a shard: calls from any
 * loop, and their state in its log.
 *
 *   call ─► groups change in memory ─► unit of all that changed ─► durable ─► answer
 *
 * Memory is ahead of the log by the units under way; an answer waits for the last of them, also
 * where its own call changed nothing, so that no client ever knows what a crash could take back. A
 * unit that the log refuses is tried again with the next call or tick. [loop] */
#ifndef SL_SHARD_CONSUMER_DESK_H
#define SL_SHARD_CONSUMER_DESK_H

#include "deliver/consumer_groups.h"
#include "deliver/streams_groups.h"

#include <sluice/broker.h>

struct consumer_call;
struct consumer_flush;
struct policy;
struct shard;

struct consumer_desk {
    struct consumer_groups *groups;
    struct streams_groups *streams; /* of applications (KIP-1071); streams_desk.c has their calls */
    struct consumer_flush *first, *last; /* under way, in the order of the log */
    int64_t retry_ms;                    /* a unit that was refused; INT64_MAX: none */
    struct policy *rules;                /* of access, as they were seen last; referenced */
    uint64_t rules_seen;                 /* how often they were others */
};

/* E_NO_MEMORY */
sl_err consumer_desk_init(struct shard *shard) SL_MUST_CHECK;
void consumer_desk_fini(struct shard *shard);
/* Sessions of recovered members begin. */
void consumer_desk_start(struct shard *shard);
int64_t consumer_desk_due_ms(const struct shard *shard);
int64_t consumer_desk_tick(struct shard *shard, int64_t now_ms); /* returns when it is due again */
/* Puts what changed on its way. */
void consumer_desk_flush(struct shard *shard);
/* Empty groups without offsets go. */
void consumer_desk_expire(struct shard *shard);

/* `settled` runs when all that has changed so far is durable, perhaps before the call returns;
 * err: E_COORDINATOR_NOT_AVAILABLE, it is not known to be. */
struct consumer_wait {
    struct consumer_wait *next;
    void (*settled)(struct consumer_wait *wait, sl_err err);
};
void consumer_desk_settle(struct shard *shard, struct consumer_wait *wait);

/* ---- calls [loop of home] ---- */

void consumer_heartbeat_start(struct shard *home, const struct sluice_context *context,
                              const struct sluice_consumer_heartbeat *request,
                              sluice_consumer_heartbeat_done *done, void *arg);
void consumer_describe_start(struct shard *home, struct sluice_text group,
                             sluice_consumer_group_info_done *done, void *arg);

#endif
