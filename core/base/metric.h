/* metric.h: counters, gauges and histograms of one instance, by table.
 *
 *   static const struct sl_metric_row rows[] = { [M_BYTES] = {"sluice_wal_bytes_total", …}, … };
 *   sl_metrics_new(rows, M_COUNT, &metrics)            one per instance
 *   sl_metric_writer_new(metrics, &writer)             one per thread that counts
 *   sl_metric_add(sl_metric_cell(writer, M_BYTES), n)  about a nanosecond: no lock, no shared line
 *   sl_metrics_render(metrics, &buffer)                Prometheus text, the sum over the writers
 *
 * A writer's cells belong to one thread; readers load them relaxed, so a sum may lag by an instant
 * but is never torn. Series of a labelled metric are made on first use up to the row's series_max,
 * then all others share the series whose labels are "other". A cell stays valid until the metrics
 * are freed: keep it with the topic, plugin or connection that it counts for. */
#ifndef SL_BASE_METRIC_H
#define SL_BASE_METRIC_H

#include "base/buffer.h"

#include <stdatomic.h>

#define SL_METRIC_LABELS_MAX      3u
#define SL_METRIC_LABEL_BYTES_MAX 255u
#define SL_METRIC_SERIES_MAX      4096u /* upper bound of series_max */
#define SL_METRIC_WRITERS_MAX     256u
/* Histogram: values 0 to 3 exactly, then 4 steps per power of two (at most 25 % wide) up to 2^63.
 */
#define SL_METRIC_BUCKETS 252u

enum sl_metric_kind { SL_METRIC_COUNTER, SL_METRIC_GAUGE, SL_METRIC_HISTOGRAM };

struct sl_metric_row {
    const char *name; /* sluice_<room>_<what>_<unit>[_total] */
    enum sl_metric_kind kind;
    const char *help;                         /* a sentence */
    const char *labels[SL_METRIC_LABELS_MAX]; /* names, in order; NULL behind the last */
    uint32_t series_max; /* of a labelled metric, without "other"; 0: not labelled */
    uint32_t divisor; /* value of a cell per unit shown: 1000000000 for ns shown as seconds; 0: 1 */
};

struct sl_metrics;
struct sl_metric_writer;
/* One number (counter, gauge) or the first of a histogram's. */
struct sl_metric_cell {
    _Atomic uint64_t value;
};

/* [borrows rows, which outlive the metrics] [any] */
sl_err sl_metrics_new(const struct sl_metric_row *rows, size_t count,
                      struct sl_metrics **ret_metrics) SL_MUST_CHECK;
/* With all writers; no thread uses a cell any more. NULL is fine. [any] */
struct sl_metrics *sl_metrics_free(struct sl_metrics *metrics);
/* Cells for one thread; they live until sl_metrics_free. E_LIMIT, E_NO_MEMORY. [any] */
sl_err sl_metric_writer_new(struct sl_metrics *metrics,
                            struct sl_metric_writer **ret_writer) SL_MUST_CHECK;

/* The cell of a metric without labels. index: into rows. [writer's thread] */
struct sl_metric_cell *sl_metric_cell(const struct sl_metric_writer *writer, size_t index);
/* The cell of the series with these label values (as many as the row has labels; at most
 * SL_METRIC_LABEL_BYTES_MAX bytes each, more is cut), made when missing; that of "other" at the
 * bound or without memory. Never NULL. Takes a lock: look it up once and keep it. [writer's thread]
 */
struct sl_metric_cell *sl_metric_series(struct sl_metric_writer *writer, size_t index,
                                        const struct sl_bytes *values);

/* [writer's thread], all. The cell is the thread's own: a load and a store, no locked
 * instruction. */
static inline void sl_metric_add(struct sl_metric_cell *cell, uint64_t count)
{
    uint64_t value = atomic_load_explicit(&cell->value, memory_order_relaxed);
    atomic_store_explicit(&cell->value, value + count, memory_order_relaxed);
}

static inline uint64_t sl_metric_get(const struct sl_metric_cell *cell)
{
    return atomic_load_explicit(&cell->value, memory_order_relaxed);
}

/* Gauges are summed over the writers; a negative part is fine. */
static inline void sl_metric_set(struct sl_metric_cell *cell, int64_t value)
{
    atomic_store_explicit(&cell->value, (uint64_t)value, memory_order_relaxed);
}

static inline uint32_t sl_metric_bucket(uint64_t value)
{
    if (value < 4)
        return (uint32_t)value;
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value); /* at least 2 */
    return exponent * 4 - 4 + (uint32_t)((value >> (exponent - 2)) & 3);
}

/* Counts value in a histogram (cells: buckets, then the sum). */
static inline void sl_metric_observe(struct sl_metric_cell *cell, uint64_t value)
{
    sl_metric_add(cell + sl_metric_bucket(value), 1);
    sl_metric_add(cell + SL_METRIC_BUCKETS, value);
}

/* Sum over the writers (histogram: the number of observations). Labelled: values as above; 0 when
 * there is no such series. [any] */
uint64_t sl_metrics_value(struct sl_metrics *metrics, size_t index, const struct sl_bytes *values);
/* A value that at least `permille` of 1000 observations are not above (upper end of its bucket); 0
 * without any. [any] */
uint64_t sl_metrics_quantile(struct sl_metrics *metrics, size_t index,
                             const struct sl_bytes *values, uint32_t permille);
/* The same of buckets that are not in metrics. */
uint64_t sl_metric_quantile_of(const uint64_t buckets[SL_METRIC_BUCKETS], uint32_t permille);
/* Appends everything in the Prometheus text format 0.0.4. E_LIMIT, E_NO_MEMORY: the buffer's. [any]
 */
sl_err sl_metrics_render(struct sl_metrics *metrics, struct sl_buffer *buffer) SL_MUST_CHECK;

#endif
