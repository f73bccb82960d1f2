/* worker_meter.c: see worker_meter.h. */
#include "plugin/worker_meter.h"

#include <stdio.h>
#include <string.h>

#define SHARE_WINDOW_NS 1000000000

const char *plugin_gauge_key(uint32_t gauge)
{
    static const char *const keys[] = {
#define GAUGE_KEY(id, key, name, kind, divisor, doc) key,
        PLUGIN_GAUGE_TABLE(GAUGE_KEY)
#undef GAUGE_KEY
    };
    return gauge < PLUGIN_GAUGE_COUNT ? keys[gauge] : "";
}

const char *plugin_time_key(uint32_t time)
{
    static const char *const keys[] = {
#define TIME_KEY(id, key, name, doc) key,
        PLUGIN_TIME_TABLE(TIME_KEY)
#undef TIME_KEY
    };
    return time < PLUGIN_TIME_COUNT ? keys[time] : "";
}

static void add(struct worker_meter *meter, uint32_t gauge, uint64_t value)
{
    worker_meter_set(meter, gauge, worker_meter_get(meter, gauge) + value);
}

/* As often as there are records, each with its part of the whole. */
static void observe_each(struct sl_metric_cell *cells, uint64_t total_ns, uint64_t records)
{
    sl_metric_add(cells + sl_metric_bucket(total_ns / records), records);
    sl_metric_add(cells + SL_METRIC_BUCKETS, total_ns);
}

void worker_meter_batch(struct worker_meter *meter, int64_t elapsed_ns, uint32_t record_count)
{
    uint64_t elapsed = elapsed_ns > 0 ? (uint64_t)elapsed_ns : 0;
    sl_metric_observe(meter->times[PLUGIN_TIME_BATCH], elapsed);
    if (record_count > 0) {
        observe_each(meter->times[PLUGIN_TIME_RECORD], elapsed, record_count);
        meter->records += record_count;
    }
}

void worker_meter_cpu(struct worker_meter *meter, int32_t pid, uint64_t cpu_ns)
{
    if (pid != meter->pid) { /* what it took to load is no record's */
        meter->pid = pid;
        meter->cpu_seen_ns = 0;
        meter->records = 0;
    }
    if (cpu_ns < meter->cpu_seen_ns) {
        return; /* its end: the clock shows nothing any more */
    }
    uint64_t used = cpu_ns - meter->cpu_seen_ns;
    meter->cpu_seen_ns = cpu_ns;
    add(meter, PLUGIN_GAUGE_CPU, used);
    if (meter->records > 0) {
        observe_each(meter->times[PLUGIN_TIME_RECORD_CPU], used, meter->records);
        meter->records = 0;
    }
}

void worker_meter_rest(struct worker_meter *meter, bool rests, int64_t now_ns)
{
    if (meter->rest_since_ns != 0 && now_ns > meter->rest_since_ns) {
        add(meter, PLUGIN_GAUGE_THROTTLED, (uint64_t)(now_ns - meter->rest_since_ns));
    }
    meter->rest_since_ns = rests ? now_ns : 0;
}

void worker_meter_denied(struct worker_meter *meter, const char *call)
{
    const char *name = call[0] != '\0' ? call : "unknown";
    struct worker_denial *denial = meter->denied;
    for (uint32_t i = 0; i < WORKER_METER_CALLS; i++) {
        denial = &meter->denied[i];
        if (atomic_load_explicit(&denial->count, memory_order_relaxed) == 0) {
            bool last = i + 1 == WORKER_METER_CALLS;
            snprintf(denial->call, sizeof(denial->call), "%s", last ? "other" : name);
            break;
        }
        if (i + 1 == WORKER_METER_CALLS || strcmp(denial->call, name) == 0) {
            break;
        }
    }
    uint64_t count = atomic_load_explicit(&denial->count, memory_order_relaxed);
    atomic_store_explicit(&denial->count, count + 1, memory_order_release);
}

void worker_meter_idle(struct worker_meter *meter)
{
    static const uint32_t now[] = {PLUGIN_GAUGE_CPU_SHARE, PLUGIN_GAUGE_CPU_LIMIT,
                                   PLUGIN_GAUGE_MEMORY,    PLUGIN_GAUGE_MEMORY_LIMIT,
                                   PLUGIN_GAUGE_WORKERS,   PLUGIN_GAUGE_QUEUED,
                                   PLUGIN_GAUGE_RUNNING};
    for (size_t i = 0; i < SL_COUNT_OF(now); i++) {
        worker_meter_set(meter, now[i], 0);
    }
    meter->rest_since_ns = 0;
    meter->share_since_ns = 0;
}

void worker_meter_share(struct worker_meter *meter, int64_t now_ns)
{
    int64_t elapsed_ns = now_ns - meter->share_since_ns;
    uint64_t cpu_ns = worker_meter_get(meter, PLUGIN_GAUGE_CPU);
    if (elapsed_ns < SHARE_WINDOW_NS) {
        return;
    }
    if (meter->share_since_ns != 0) {
        uint64_t used_us = (cpu_ns - meter->share_cpu_ns) / 1000;
        worker_meter_set(meter, PLUGIN_GAUGE_CPU_SHARE,
                         used_us * 1000000 / ((uint64_t)elapsed_ns / 1000));
    }
    meter->share_since_ns = now_ns;
    meter->share_cpu_ns = cpu_ns;
}
