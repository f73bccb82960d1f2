/* worker_meter.h: what the workers of one instance cost on one shard: times as histograms, CPU,
 * memory, queue, denied calls. One table for `sluice plugin info`, its JSON, /metrics and
 * docs/plugins/metrics.md.
 *
 * Written by the shard's loop, read by any: relaxed atomics, plain instructions, no allocation. CPU
 * time is read where the pacing reads it, before batches are given to the worker; what was used
 * since the reading before is that of the records that ended in between. */
#ifndef SL_PLUGIN_WORKER_METER_H
#define SL_PLUGIN_WORKER_METER_H

#include "plugin/worker_metrics.h"

#include <sandbox/sandbox.h>

/* Of each instance, summed over its shards: key in JSON, name in /metrics, kind, what a unit of
 * /metrics is worth. */
#define PLUGIN_GAUGE_TABLE(X)                                                                 \
    X(CPU, "cpu_ns", "sluice_plugin_cpu_seconds_total", COUNTER, 1000000000,                  \
      "CPU time that its workers used, loading included")                                     \
    X(THROTTLED, "cpu_throttled_ns", "sluice_plugin_cpu_throttled_seconds_total", COUNTER,    \
      1000000000, "time that batches waited as the worker had used up its CPU share")         \
    X(CPU_SHARE, "cpu_share_ppm", "sluice_plugin_cpu_share_ratio", GAUGE, 1000000,            \
      "processors that its workers used in the last seconds; 1: one of them wholly")          \
    X(CPU_LIMIT, "cpu_limit_ppm", "sluice_plugin_cpu_limit_ratio", GAUGE, 1000000,            \
      "processors that its workers may use in the long run; 0: not bounded")                  \
    X(MEMORY, "memory_bytes", "sluice_plugin_memory_bytes", GAUGE, 0,                         \
      "resident memory of its workers, with the shared pages of their batches")               \
    X(MEMORY_LIMIT, "memory_limit_bytes", "sluice_plugin_memory_limit_bytes", GAUGE, 0,       \
      "memory that its workers may have for themselves")                                      \
    X(WORKERS, "workers", "sluice_plugin_workers", GAUGE, 0,                                  \
      "worker processes, those that load or drain included")                                  \
    X(QUEUED, "queued_batches", "sluice_plugin_queued_batches", GAUGE, 0,                     \
      "batches that wait for a worker")                                                       \
    X(RUNNING, "running_batches", "sluice_plugin_running_batches", GAUGE, 0,                  \
      "batches that workers have")                                                            \
    X(VERSIONS, "kept_versions", "sluice_plugin_kept_versions", GAUGE, 0,                     \
      "earlier versions that are kept and can be put back")                                   \
    X(LAST_ERROR, "last_error_ms", "sluice_plugin_last_error_timestamp_seconds", GAUGE, 1000, \
      "when a worker or a record last failed, in Unix time; 0: never")
enum {
#define PLUGIN_GAUGE_ENUM(id, key, name, kind, divisor, doc) PLUGIN_GAUGE_##id,
    PLUGIN_GAUGE_TABLE(PLUGIN_GAUGE_ENUM)
#undef PLUGIN_GAUGE_ENUM
        PLUGIN_GAUGE_COUNT
};

/* Histograms, in nanoseconds. */
#define PLUGIN_TIME_TABLE(X)                                             \
    X(BATCH, "batch", "sluice_plugin_batch_seconds",                     \
      "time from giving a batch to the worker to its result")            \
    X(RECORD, "record", "sluice_plugin_record_seconds",                  \
      "that time divided by the records of the batch, for each of them") \
    X(RECORD_CPU, "record_cpu", "sluice_plugin_record_cpu_seconds",      \
      "CPU time of the worker divided by the records that ended meanwhile, for each of them")
enum {
#define PLUGIN_TIME_ENUM(id, key, name, doc) PLUGIN_TIME_##id,
    PLUGIN_TIME_TABLE(PLUGIN_TIME_ENUM)
#undef PLUGIN_TIME_ENUM
        PLUGIN_TIME_COUNT
};
const char *plugin_gauge_key(uint32_t gauge); /* "memory_bytes" */
const char *plugin_time_key(uint32_t time);   /* "batch" */

#define WORKER_METER_CELLS (SL_METRIC_BUCKETS + 1u) /* buckets, then the sum */
#define WORKER_METER_CALLS 16u                      /* names of denied calls; more are "other" */

struct worker_denial {
    char call[32];
    _Atomic uint64_t count; /* 0: the slot is free; the name is there before it is counted */
};

struct worker_meter {
    struct sl_metric_cell times[PLUGIN_TIME_COUNT][WORKER_METER_CELLS];
    _Atomic uint64_t gauges[PLUGIN_GAUGE_COUNT];
    struct worker_denial denied[WORKER_METER_CALLS];
    struct worker_metrics own; /* that the plugin makes itself */
    /* The loop's own: */
    int32_t pid;            /* of the worker whose clock was read last */
    uint64_t cpu_seen_ns;   /* what it showed */
    uint64_t records;       /* that ended since */
    int64_t rest_since_ns;  /* its batches wait since then; 0: they do not */
    int64_t share_since_ns; /* start of the window that the share is of */
    uint64_t share_cpu_ns;  /* used until then */
    int64_t memory_ns;      /* when its memory was last looked at */
};

/* All [loop of the shard]. */
/* A batch of so many records came back. */
void worker_meter_batch(struct worker_meter *meter, int64_t elapsed_ns, uint32_t record_count);
/* The worker's clock was read. */
void worker_meter_cpu(struct worker_meter *meter, int32_t pid, uint64_t cpu_ns);
/* Its batches wait because its share is used up, or do not any more. */
void worker_meter_rest(struct worker_meter *meter, bool rests, int64_t now_ns);
/* A call was denied; empty: its name is not known. */
void worker_meter_denied(struct worker_meter *meter, const char *call);
/* No worker is left. */
void worker_meter_idle(struct worker_meter *meter);
/* Once in a while: the share of the window that ends now. */
void worker_meter_share(struct worker_meter *meter, int64_t now_ns);

static inline void worker_meter_set(struct worker_meter *meter, uint32_t gauge, uint64_t value)
{
    atomic_store_explicit(&meter->gauges[gauge], value, memory_order_relaxed);
}
static inline uint64_t worker_meter_get(const struct worker_meter *meter,
                                        uint32_t gauge) /* [any] */
{
    return atomic_load_explicit(&meter->gauges[gauge], memory_order_relaxed);
}

#endif
