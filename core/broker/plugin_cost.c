/* plugin_cost.c: see plugin_cost.h. */
#include "broker/plugin_cost.h"

#include "base/text.h"
#include "control/admin.h"

#include <cjson/cJSON.h>

static void add_times(cJSON *object, const char *key, const struct plugin_times *times)
{
    cJSON *entry = cJSON_AddObjectToObject(object, key);
    admin_add_uint64(entry, "count", times->count);
    admin_add_uint64(entry, "mean_ns", times->count > 0 ? times->sum / times->count : 0);
    admin_add_uint64(entry, "p50_ns", times->p50);
    admin_add_uint64(entry, "p99_ns", times->p99);
    admin_add_uint64(entry, "p999_ns", times->p999);
}

static void add_denied(cJSON *object, const struct plugin_info *info)
{
    cJSON *calls = cJSON_AddObjectToObject(object, "denied_calls");
    for (uint32_t i = 0; i < info->denied_count; i++) {
        admin_add_uint64(calls, info->denied[i].call, info->denied[i].count);
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
            admin_add_int64(entry, "value", (int64_t)own->value);
        } else if (own->cells == NULL) {
            admin_add_uint64(entry, "value", own->value);
        } else {
            uint64_t count = 0;
            for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++) {
                count += own->cells[b];
            }
            admin_add_uint64(entry, "value", count);
            admin_add_uint64(entry, "sum", own->cells[SL_METRIC_BUCKETS]);
            admin_add_uint64(entry, "p50", sl_metric_quantile_of(own->cells, 500));
            admin_add_uint64(entry, "p99", sl_metric_quantile_of(own->cells, 990));
            admin_add_uint64(entry, "p999", sl_metric_quantile_of(own->cells, 999));
        }
        cJSON_AddItemToArray(array, entry);
    }
}

void plugin_cost_json(const struct plugin_info *info, cJSON *object)
{
    for (uint32_t i = 0; i < PLUGIN_GAUGE_COUNT; i++) {
        admin_add_uint64(object, plugin_gauge_key(i), info->gauges[i]);
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
    admin_add_uint64(object, "records_in", info->counts[PLUGIN_COUNT_RECORDS_IN]);
    admin_add_uint64(object, "records_out", info->counts[PLUGIN_COUNT_RECORDS_OUT]);
    admin_add_uint64(object, "records_rejected", info->counts[PLUGIN_COUNT_REJECTED]);
    admin_add_uint64(object, "worker_deaths", info->counts[PLUGIN_COUNT_DEATHS]);
    admin_add_uint64(object, "batch_p99_ns", info->times[PLUGIN_TIME_BATCH].p99);
    admin_add_uint64(object, "cpu_share_ppm", info->gauges[PLUGIN_GAUGE_CPU_SHARE]);
    admin_add_uint64(object, "memory_bytes", info->gauges[PLUGIN_GAUGE_MEMORY]);
    uint64_t denied = 0;
    for (uint32_t i = 0; i < info->denied_count; i++) {
        denied += info->denied[i].count;
    }
    admin_add_uint64(object, "denied", denied);
}

int64_t plugin_lag_age_ms(const struct plugin_lag *lag, int64_t wall_ms)
{
    bool behind = lag->end_offset > lag->next_offset && lag->time_ms >= 0;
    return behind ? SL_MAX(wall_ms - lag->time_ms, (int64_t)0) : 0;
}
