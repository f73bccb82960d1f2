/* stage_errors.h: what becomes of records that a stage cannot process, and when there are too many.
 *
 * A record fails when the plugin rejects it, when what the plugin emits for it may not go out, or
 * when it is convicted: the worker died of it alone, twice, each time fresh from committed state.
 * on_error of the instance says what becomes of it; it is the record that costs, never its
 * neighbours.
 *
 * Convictions and failures that the plugin reports of itself (not rejections: those are answers)
 * are watched: STAGE_FAILURES_ROW in a row on one partition, or as many within a minute that are
 * one in a hundred of its records, and the stage pauses. The fault is then not in the records. */
#ifndef SL_STAGE_STAGE_ERRORS_H
#define SL_STAGE_STAGE_ERRORS_H

#include "catalog/error_rule.h"

#include <stdatomic.h>

/* ---- too many ---- */

#define STAGE_FAILURES_ROW    100u /* in a row on a partition */
#define STAGE_FAILURES_MIN    100u /* within a minute, for the share to count */
#define STAGE_FAILURES_ONE_IN 100u

enum stage_pause {
    STAGE_PAUSE_NONE,
    STAGE_PAUSE_ROW,   /* STAGE_FAILURES_ROW in a row */
    STAGE_PAUSE_SHARE, /* one in STAGE_FAILURES_ONE_IN within a minute */
    STAGE_PAUSE_STOP,  /* on_error: stop */
};
const char *stage_pause_text(enum stage_pause cause); /* "paused: …"; "" for none; static */

/* Of one instance, on all shards. */
struct stage_brake {
    _Atomic uint32_t cause; /* enum stage_pause; set by any shard, cleared by the owner */
};

#define STAGE_WATCH_SECONDS 60u
/* What one shard saw of one instance within the last minute. [loop] */
struct stage_watch {
    struct stage_brake *brake;
    /* The brake was pulled here, once until it is let go. [loop] */
    void (*pulled)(void *arg, enum stage_pause cause);
    void *pulled_arg;
    int64_t second; /* of the newest bucket */
    uint32_t records[STAGE_WATCH_SECONDS];
    uint32_t failures[STAGE_WATCH_SECONDS];
};
/* Forgets what was seen: there is new code, or a person said go on. */
void stage_watch_reset(struct stage_watch *watch);
/* `records` were done with, `failures` of them failed. True: that makes too many. */
bool stage_watch_count(struct stage_watch *watch, int64_t now_ms, uint64_t records,
                       uint64_t failures);
void stage_watch_pull(struct stage_watch *watch, enum stage_pause cause);
static inline enum stage_pause stage_watch_paused(const struct stage_watch *watch)
{
    return atomic_load_explicit(&watch->brake->cause, memory_order_acquire);
}

#endif
