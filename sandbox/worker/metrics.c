/* metrics.c: the extension "sluice.metrics/1" in a worker: names and numbers behind the last output
 * slot, where the host reads them when it likes (channel_layout.h). A number is written with one
 * store; the host trusts none of it. */
#include "worker.h"

#include <stdatomic.h>
#include <string.h>

static struct channel_metrics *area(const struct worker *worker)
{
    return (struct channel_metrics *)(void *)(worker->output +
                                              channel_metrics_at(&worker->boot->geometry));
}

static bool is_name(struct sluice_text name)
{
    if (name.size == 0 || name.size > SLUICE_METRIC_NAME_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < name.size; i++) {
        const char c = name.data[i];
        const bool letter = c >= 'a' && c <= 'z';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_'))) {
            return false;
        }
    }
    return true;
}

static sluice_status refuse(struct worker *worker, struct sluice_text name)
{
    static const char why[] = ": it needs the permission write_metrics, in the manifest and in "
                              "plugins.instances.NAME.permissions";
    char text[128 + SLUICE_METRIC_NAME_MAX] = "the metric ";
    const size_t size =
        name.size < SLUICE_METRIC_NAME_MAX ? (size_t)name.size : SLUICE_METRIC_NAME_MAX;
    const size_t start = strlen(text);

    memcpy(text + start, name.data, size);
    memcpy(text + start + size, why, sizeof(why));
    worker->host.set_error(&worker->host, sluice_text_of(text));
    return SLUICE_E_PERMISSION;
}

static sluice_status metric(const struct sluice_metrics *metrics, uint32_t kind,
                            struct sluice_text name, uint32_t *ret_metric)
{
    struct worker *worker = metrics->data;
    struct channel_metrics *all = area(worker);
    struct worker_metrics *own = &worker->metrics;
    struct channel_metric *item;

    if (worker->boot->write_metrics == 0) {
        return refuse(worker, name);
    }
    if (!is_name(name) || kind < SLUICE_METRIC_COUNTER || kind > SLUICE_METRIC_HISTOGRAM) {
        return SLUICE_E_INVALID;
    }
    for (uint32_t i = 0; i < own->count; i++) {
        if (own->kinds[i] == kind && strlen(all->items[i].name) == name.size &&
            memcmp(all->items[i].name, name.data, name.size) == 0) {
            *ret_metric = i;
            return SLUICE_OK;
        }
    }
    if (own->count == SLUICE_METRICS_MAX ||
        (kind == SLUICE_METRIC_HISTOGRAM && own->histograms == SLUICE_HISTOGRAMS_MAX)) {
        return SLUICE_E_LIMIT;
    }
    item = &all->items[own->count];
    memcpy(item->name, name.data, name.size);
    item->name[name.size] = '\0';
    item->kind = own->kinds[own->count] = kind;
    item->histogram = own->places[own->count] =
        kind == SLUICE_METRIC_HISTOGRAM ? own->histograms++ : 0;
    *ret_metric = own->count++;
    atomic_store_explicit(&all->count, own->count, memory_order_release);
    return SLUICE_OK;
}

static bool is_one(const struct worker *worker, uint32_t number, uint32_t kind)
{
    return number < worker->metrics.count && worker->metrics.kinds[number] == kind;
}

static void grow(_Atomic uint64_t *cell, uint64_t count)
{
    const uint64_t value = atomic_load_explicit(cell, memory_order_relaxed);

    atomic_store_explicit(cell, value + count, memory_order_relaxed); /* one writer */
}

static void add(const struct sluice_metrics *metrics, uint32_t number, uint64_t count)
{
    const struct worker *worker = metrics->data;

    if (is_one(worker, number, SLUICE_METRIC_COUNTER)) {
        grow(&area(worker)->values[number], count);
    }
}

static void set(const struct sluice_metrics *metrics, uint32_t number, int64_t value)
{
    const struct worker *worker = metrics->data;

    if (is_one(worker, number, SLUICE_METRIC_GAUGE)) {
        atomic_store_explicit(&area(worker)->values[number], (uint64_t)value, memory_order_relaxed);
    }
}

static uint32_t bucket_of(uint64_t value)
{
    uint32_t exponent;

    if (value < 4) {
        return (uint32_t)value;
    }
    exponent = 63u - (uint32_t)__builtin_clzll(value); /* at least 2 */
    return exponent * 4 - 4 + (uint32_t)((value >> (exponent - 2)) & 3);
}

static void observe(const struct sluice_metrics *metrics, uint32_t number, uint64_t value)
{
    const struct worker *worker = metrics->data;

    if (is_one(worker, number, SLUICE_METRIC_HISTOGRAM)) {
        _Atomic uint64_t *cells = area(worker)->histograms[worker->metrics.places[number]];

        grow(&cells[bucket_of(value)], 1);
        grow(&cells[SANDBOX_METRIC_CELLS - 1], value); /* the sum */
    }
}

void metrics_init(struct worker *worker)
{
    worker->metrics.table = (struct sluice_metrics){.size = sizeof(worker->metrics.table),
                                                    .data = worker,
                                                    .metric = metric,
                                                    .add = add,
                                                    .set = set,
                                                    .observe = observe};
}
