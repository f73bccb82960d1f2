/* worker_metrics.c: see worker_metrics.h. */
#include "plugin/worker_metrics.h"

#include <string.h>

static struct worker_metric *find(struct worker_metrics *metrics, const struct sandbox_metric *from)
{
    uint32_t count = atomic_load_explicit(&metrics->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (metrics->items[i].kind == from->kind &&
            strcmp(metrics->items[i].name, from->name) == 0) {
            return &metrics->items[i];
        }
    }
    bool is_histogram = from->kind == SLUICE_METRIC_HISTOGRAM;
    if (count == SLUICE_METRICS_MAX ||
        (is_histogram && metrics->histograms == SLUICE_HISTOGRAMS_MAX)) {
        return NULL; /* of earlier versions too: what is beyond is not shown */
    }
    struct worker_metric *item = &metrics->items[count];
    item->kind = from->kind;
    memcpy(item->name, from->name, sizeof(item->name));
    item->histogram = is_histogram ? metrics->histograms++ : 0;
    atomic_store_explicit(&metrics->count, count + 1, memory_order_release);
    return item;
}

static uint64_t grown(uint64_t *seen, uint64_t value)
{
    uint64_t more = value > *seen ? value - *seen : 0;
    *seen = value;
    return more;
}

static void take_one(struct worker_metrics *metrics, const struct sandbox_metric *from,
                     uint64_t *seen_value, uint64_t *seen_cells, bool only_look)
{
    struct worker_metric *item = find(metrics, from);
    if (item == NULL) {
        return;
    }
    if (from->kind == SLUICE_METRIC_GAUGE) {
        atomic_store_explicit(&item->value, from->cells[0], memory_order_relaxed);
    } else if (from->kind == SLUICE_METRIC_COUNTER) {
        uint64_t more = grown(seen_value, from->cells[0]);
        uint64_t value = atomic_load_explicit(&item->value, memory_order_relaxed);
        atomic_store_explicit(&item->value, value + (only_look ? 0 : more), memory_order_relaxed);
    } else {
        for (uint32_t i = 0; i < SANDBOX_METRIC_CELLS; i++) {
            uint64_t more = grown(&seen_cells[i], from->cells[i]);
            sl_metric_add(&metrics->cells[item->histogram][i], only_look ? 0 : more);
        }
    }
}

void worker_metrics_take(struct worker_metrics *metrics, struct worker_metrics_seen **seen,
                         const struct sandbox_worker *worker, bool only_look)
{
    struct sandbox_metric from;
    for (uint32_t i = 0; i < SLUICE_METRICS_MAX && sandbox_worker_metric(worker, i, &from); i++) {
        *seen = *seen != NULL ? *seen : sl_alloc_zero(1, sizeof(**seen));
        if (*seen == NULL) {
            return;
        }
        take_one(metrics, &from, &(*seen)->values[i], (*seen)->cells[i], only_look);
    }
}

static struct worker_metric_sum *find_sum(struct worker_metrics_sum *sum,
                                          const struct worker_metric *from)
{
    for (uint32_t i = 0; i < sum->count; i++) {
        if (sum->items[i].kind == from->kind && strcmp(sum->items[i].name, from->name) == 0) {
            return &sum->items[i];
        }
    }
    bool is_histogram = from->kind == SLUICE_METRIC_HISTOGRAM;
    if (sum->count == SLUICE_METRICS_MAX ||
        (is_histogram && sum->histograms == SLUICE_HISTOGRAMS_MAX)) {
        return NULL;
    }
    struct worker_metric_sum *item = &sum->items[sum->count++];
    *item = (struct worker_metric_sum){
        .kind = from->kind, .cells = is_histogram ? sum->cells[sum->histograms++] : NULL};
    memcpy(item->name, from->name, sizeof(item->name));
    return item;
}

void worker_metrics_add(const struct worker_metrics *metrics, struct worker_metrics_sum *sum)
{
    uint32_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        const struct worker_metric *from = &metrics->items[i];
        struct worker_metric_sum *item = find_sum(sum, from);
        if (item == NULL) {
            continue;
        }
        item->value += atomic_load_explicit(&from->value, memory_order_relaxed);
        if (item->cells != NULL) {
            uint64_t *to = sum->cells[(item->cells - sum->cells[0]) / (int)SANDBOX_METRIC_CELLS];
            for (uint32_t c = 0; c < SANDBOX_METRIC_CELLS; c++) {
                to[c] += sl_metric_get(&metrics->cells[from->histogram][c]);
            }
        }
    }
}
