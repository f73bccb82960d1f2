/* storage_watch.h: how full the disk is, and what follows from it: looked at every second on a
 * helper, told to every shard, logged once at each change.
 *
 *   below 90 %            ok         all goes on
 *   90 % to 95 %          throttled  who produces is told to wait, the longer the fuller
 *   95 %, until below 92 % read-only  produce and new topics are refused; reads, deletion, offset
 *                                    commits and results of stages go on; compaction waits
 *
 * Percent of the file system's size that is not available to us. */
#ifndef SL_BROKER_STORAGE_WATCH_H
#define SL_BROKER_STORAGE_WATCH_H

#include "shard/shard.h"

struct sluice;

/* Numbers as in the metric sluice_storage_state. */
enum storage_state { STORAGE_OK, STORAGE_THROTTLED, STORAGE_READ_ONLY };

struct storage_call {
    struct shard_call call;
    struct storage_watch *watch;
};

struct storage_watch {
    struct sluice *sluice;
    struct sl_job job;
    bool busy;
    uint32_t beats;
    sl_err err;                          /* of the job */
    uint64_t seen_total, seen_available; /* likewise */
    uint64_t total, available;           /* loop 0's; shards read it while they are told */
    char directory[4096];
    uint32_t state;    /* enum storage_state; written by loop 0, read by any */
    uint32_t permille; /* of the disk in use; likewise */
    uint32_t pending;
    struct storage_call calls[SHARD_COUNT_MAX];
};

void storage_watch_init(struct storage_watch *watch, struct sluice *sluice);
void storage_watch_beat(struct storage_watch *watch); /* twice a second [loop 0] */
enum storage_state storage_watch_state(const struct storage_watch *watch); /* [any] */
const char *storage_state_name(enum storage_state state);
/* Why it is not ok: one sentence; "" when it is. [any] */
void storage_watch_explain(const struct storage_watch *watch, char ret_text[160]);

#endif
