/* worker_metrics.h: metrics that a plugin makes itself (sluice.metrics/1), of one instance on one
 * shard: what its workers counted, one after the other, so that a new one starts nothing anew.
 *
 * A worker writes its numbers into memory that the host reads; they are taken when somebody asks
 * and when the worker ends. They are an untrusted process's: one that goes back counts from there.
 * Written by the shard's loop, read by any. */
#ifndef SL_PLUGIN_WORKER_METRICS_H
#define SL_PLUGIN_WORKER_METRICS_H

#include "base/metric.h"

#include <sandbox/sandbox.h>

_Static_assert(SANDBOX_METRIC_CELLS == SL_METRIC_BUCKETS + 1, "one kind of histogram");

struct worker_metric {
    uint32_t kind; /* SLUICE_METRIC_* */
    uint32_t histogram;
    char name[SLUICE_METRIC_NAME_MAX + 1];
    _Atomic uint64_t value;
};
struct worker_metrics {
    _Atomic uint32_t count; /* an item is there before it is counted */
    uint32_t histograms;
    struct worker_metric items[SLUICE_METRICS_MAX];
    struct sl_metric_cell cells[SLUICE_HISTOGRAMS_MAX][SANDBOX_METRIC_CELLS];
};
/* What one worker's numbers were when they were taken last; by its numbers of metrics. */
struct worker_metrics_seen {
    uint64_t values[SLUICE_METRICS_MAX];
    uint64_t cells[SLUICE_METRICS_MAX][SANDBOX_METRIC_CELLS];
};

/* Takes what the worker counted since. *seen is made when it has metrics (sl_free). only_look: what
 * it counted so far does not count. [loop of the shard] */
void worker_metrics_take(struct worker_metrics *metrics, struct worker_metrics_seen **seen,
                         const struct sandbox_worker *worker, bool only_look);

/* Sums over shards, by kind and name. [any] */
struct worker_metric_sum {
    uint32_t kind;
    char name[SLUICE_METRIC_NAME_MAX + 1];
    uint64_t value;        /* a gauge's is signed */
    const uint64_t *cells; /* of a histogram, else NULL */
};
struct worker_metrics_sum {
    uint32_t count;
    uint32_t histograms;
    struct worker_metric_sum items[SLUICE_METRICS_MAX];
    uint64_t cells[SLUICE_HISTOGRAMS_MAX][SANDBOX_METRIC_CELLS];
};
void worker_metrics_add(const struct worker_metrics *metrics, struct worker_metrics_sum *sum);

#endif
