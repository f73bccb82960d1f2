/* stage_count.h: what stages, gates and workers count, per instance and shard. Written by one loop,
 * read by any: relaxed atomics, plain instructions. */
#ifndef SL_STAGE_STAGE_COUNT_H
#define SL_STAGE_STAGE_COUNT_H

#include "base/base.h"

#include <stdatomic.h>

#define STAGE_COUNT_TABLE(X)                                                                 \
    X(RECORDS_IN, "records_in", "records whose results are committed")                       \
    X(RECORDS_OUT, "records_out", "records written to output topics")                        \
    X(DROPPED, "records_dropped", "records that the plugin dropped")                         \
    X(REJECTED, "records_rejected", "records dead-lettered by a stage or refused by a gate") \
    X(POISONED, "records_poisoned", "records dead-lettered because the plugin died on them") \
    X(DEAD_LETTERED, "records_dead_lettered", "records written to the dead letters")         \
    X(DISCARDED, "records_discarded", "records left out because of on_error: drop")          \
    X(REDRIVEN, "records_redriven", "dead letters that were handed back")                    \
    X(RETRIES, "retries", "batches that came again")                                         \
    X(RETRIED, "records_retried", "records that came again")                                 \
    X(TIMEOUTS, "timeouts", "gate calls past their deadline")                                \
    X(STARTS, "worker_starts", "worker processes started")                                   \
    X(DEATHS, "worker_deaths", "worker processes that ended unasked")                        \
    X(RESTS, "cpu_rests", "times that a worker used up its CPU share")                       \
    X(RELOADS, "reloads", "new versions that took over")                                     \
    X(REFUSED, "reloads_refused", "versions that did not load; what ran before went on")     \
    X(ROLLBACKS, "rollbacks", "times that an earlier version was put back")                  \
    X(CONFIGS, "config_reloads", "changes of its config that it took while it runs")         \
    X(CONFIGS_REFUSED, "config_reloads_refused",                                             \
      "reloads that failed as it, or a new worker of it, refused; nothing changed")
enum {
#define STAGE_COUNT_ENUM(name, key, doc) STAGE_COUNT_##name,
    STAGE_COUNT_TABLE(STAGE_COUNT_ENUM)
#undef STAGE_COUNT_ENUM
        STAGE_COUNT_COUNT
};

#define STAGE_ERROR_BYTES 256u
/* The last failure of a worker or a record; under a spin lock, as its text is read by any thread.
 */
struct stage_error {
    atomic_flag locked;
    int64_t time_ms; /* wall clock; 0: none */
    char text[STAGE_ERROR_BYTES];
};

struct stage_counts {
    _Atomic uint64_t values[STAGE_COUNT_COUNT];
    struct stage_error error;
};

/* Takes the text's beginning. [loop] */
void stage_error_set(struct stage_counts *counts, int64_t wall_ms, const char *text);
/* The newer of what is in ret_error and the last one here. [any] */
void stage_error_newest(struct stage_counts *counts, struct stage_error *ret_error);

static inline void stage_count_add(struct stage_counts *counts, uint32_t which, uint64_t n)
{
    uint64_t value = atomic_load_explicit(&counts->values[which], memory_order_relaxed);
    atomic_store_explicit(&counts->values[which], value + n, memory_order_relaxed);
}

#endif
