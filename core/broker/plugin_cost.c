/* plugin_cost.c: see plugin_cost.h. */
#include "broker/plugin_cost.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static void add_number(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    cJSON_AddStringToObject(object, key, text); /* 64-bit values are strings */
}

static void add_times(cJSON *object, const char *key, const struct plugin_times *times)
{
    cJSON *entry = cJSON_AddObjectToObject(object, key);
    add_number(entry, "count", times->count);
    add_number(entry, "mean_ns", times->count > 0 ? times->sum / times->count : 0);
    add_number(entry, "p50_ns", times->p50);
    add_number(entry, "p99_ns", times->p99);
    add_number(entry, "p999_ns", times->p999);
}

static void add_denied(cJSON *object, const struct plugin_info *info)
{
    cJSON *calls = cJSON_AddObjectToObject(object, "denied_calls");
    for (uint32_t i = 0; i < info->denied_count; i++) {
        add_number(calls, info->denied[i].call, info->denied[i].count);
    }
}

static void add_last_error(cJSON *object, const struct plugin_info *info)
{
    char time[40] = "";
    struct sl_text_out out = SL_TEXT_OUT(time);
    if (info->gauges[PLUGIN_GAUGE_LAST_ERROR] != 0) {
        sl_text_add_time(&out, (int64_t)info->gauges[PLUGIN_GAUGE_LAST_ERROR]);
    }
    cJSON_AddStringToObject(object, "last_error", info->last_error);
    cJSON_AddStringToObject(object, "last_error_time", time);
}

static void add_own(cJSON *object, const struct plugin_info *info)
{
    static const char *const kinds[] = {"", "counter", "gauge", "histogram"};
    cJSON *array = cJSON_AddArrayToObject(object, "metrics");
    for (uint32_t i = 0; i < info->own.count; i++) {
        const struct worker_metric_sum *own = &info->own.items[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "metric", own->name);
        cJSON_AddStringToObject(entry, "kind", kinds[own->kind]);
        if (own->kind == SLUICE_METRIC_GAUGE) {
            char text[24];
            snprintf(text, sizeof(text), "%lld", (long long)own->value);
            cJSON_AddStringToObject(entry, "value", text);
        } else if (own->cells == NULL) {
            add_number(entry, "value", own->value);
        } else {
            uint64_t count = 0;
            for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++) {
                count += own->cells[b];
            }
            add_number(entry, "value", count);
            add_number(entry, "sum", own->cells[SL_METRIC_BUCKETS]);
            add_number(entry, "p50", sl_metric_quantile_of(own->cells, 500));
            add_number(entry, "p99", sl_metric_quantile_of(own->cells, 990));
            add_number(entry, "p999", sl_metric_quantile_of(own->cells, 999));
        }
        cJSON_AddItemToArray(array, entry);
    }
}

void plugin_cost_json(const struct plugin_info *info, cJSON *object)
{
    for (uint32_t i = 0; i < PLUGIN_GAUGE_COUNT; i++) {
        add_number(object, plugin_gauge_key(i), info->gauges[i]);
    }
    cJSON *times = cJSON_AddObjectToObject(object, "times");
    for (uint32_t i = 0; i < PLUGIN_TIME_COUNT; i++) {
        add_times(times, plugin_time_key(i), &info->times[i]);
    }
    add_denied(object, info);
    add_own(object, info);
    add_last_error(object, info);
}

void plugin_cost_short_json(const struct plugin_info *info, cJSON *object)
{
    add_number(object, "records_in", info->counts[PLUGIN_COUNT_RECORDS_IN]);
    add_number(object, "records_out", info->counts[PLUGIN_COUNT_RECORDS_OUT]);
    add_number(object, "records_rejected", info->counts[PLUGIN_COUNT_REJECTED]);
    add_number(object, "worker_deaths", info->counts[PLUGIN_COUNT_DEATHS]);
    add_number(object, "batch_p99_ns", info->times[PLUGIN_TIME_BATCH].p99);
    add_number(object, "cpu_share_ppm", info->gauges[PLUGIN_GAUGE_CPU_SHARE]);
    add_number(object, "memory_bytes", info->gauges[PLUGIN_GAUGE_MEMORY]);
    uint64_t denied = 0;
    for (uint32_t i = 0; i < info->denied_count; i++) {
        denied += info->denied[i].count;
    }
    add_number(object, "denied", denied);
}

int64_t plugin_lag_age_ms(const struct plugin_lag *lag, int64_t wall_ms)
{
    bool behind = lag->end_offset > lag->next_offset && lag->time_ms >= 0;
    return behind ? SL_MAX(wall_ms - lag->time_ms, (int64_t)0) : 0;
}
