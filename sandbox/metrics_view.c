/* metrics_view.c: the metrics of a worker as its host sees them: in memory that the worker writes
 * at any time, so everything is copied, then checked (channel_layout.h). */
#include "channel_layout.h"
#include "worker_handle.h"

#include <string.h>

static bool is_name(const char *name)
{
    const size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return size > 0 && name[size] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

bool sandbox_worker_metric(const struct sandbox_worker *worker, uint32_t index,
                           struct sandbox_metric *ret_metric)
{
    const struct channel_metrics *all =
        (const void *)(worker->output + channel_metrics_at(&worker->channel.geometry));
    struct channel_metric item;

    if (index >= SLUICE_METRICS_MAX ||
        index >= atomic_load_explicit(&all->count, memory_order_acquire)) {
        return false;
    }
    memcpy(&item, &all->items[index], sizeof(item));
    item.name[SLUICE_METRIC_NAME_MAX] = '\0';
    if (!is_name(item.name) || item.kind < SLUICE_METRIC_COUNTER ||
        item.kind > SLUICE_METRIC_HISTOGRAM || item.histogram >= SLUICE_HISTOGRAMS_MAX) {
        return false;
    }
    ret_metric->kind = item.kind;
    memcpy(ret_metric->name, item.name, sizeof(item.name));
    ret_metric->cells[0] = atomic_load_explicit(&all->values[index], memory_order_relaxed);
    for (uint32_t i = 0; item.kind == SLUICE_METRIC_HISTOGRAM && i < SANDBOX_METRIC_CELLS; i++) {
        ret_metric->cells[i] =
            atomic_load_explicit(&all->histograms[item.histogram][i], memory_order_relaxed);
    }
    return true;
}
