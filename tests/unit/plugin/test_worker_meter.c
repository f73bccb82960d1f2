/* What workers cost, from times and clocks that are given. */
#include "plugin/worker_meter.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MS 1000000

static uint64_t count_of(const struct worker_meter *meter, uint32_t which)
{
    uint64_t count = 0;
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++) {
        count += sl_metric_get(&meter->times[which][b]);
    }
    return count;
}

Test(worker_meter, a_batch_counts_once_and_each_of_its_records)
{
    static struct worker_meter meter;
    worker_meter_batch(&meter, 10 * MS, 1000);
    worker_meter_batch(&meter, 1 * MS, 0);
    cr_assert_eq(count_of(&meter, PLUGIN_TIME_BATCH), 2);
    cr_assert_eq(count_of(&meter, PLUGIN_TIME_RECORD), 1000);
    cr_assert_eq(sl_metric_get(&meter.times[PLUGIN_TIME_RECORD][sl_metric_bucket(10000)]), 1000);
    cr_assert_eq(sl_metric_get(&meter.times[PLUGIN_TIME_RECORD][SL_METRIC_BUCKETS]), 10 * MS);
}

Test(worker_meter, cpu_time_belongs_to_the_records_between_two_looks_and_loading_to_none)
{
    static struct worker_meter meter;
    worker_meter_cpu(&meter, 7, 3 * MS);
    worker_meter_batch(&meter, MS, 10);
    worker_meter_batch(&meter, MS, 10);
    worker_meter_cpu(&meter, 7, 5 * MS);
    worker_meter_cpu(&meter, 7, 6 * MS); /* idle */
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU), 6 * MS);
    cr_assert_eq(count_of(&meter, PLUGIN_TIME_RECORD_CPU), 20);
    cr_assert_eq(sl_metric_get(&meter.times[PLUGIN_TIME_RECORD_CPU][SL_METRIC_BUCKETS]), 2 * MS);
    worker_meter_cpu(&meter, 8, 4 * MS); /* another worker: its clock begins anew */
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU), 10 * MS);
    worker_meter_cpu(&meter, 8, 0); /* a clock that shows nothing takes nothing back */
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU), 10 * MS);
}

Test(worker_meter, rests_add_up_while_they_last)
{
    static struct worker_meter meter;
    worker_meter_rest(&meter, false, 1 * MS);
    worker_meter_rest(&meter, true, 2 * MS);
    worker_meter_rest(&meter, true, 5 * MS);
    worker_meter_rest(&meter, false, 6 * MS);
    worker_meter_rest(&meter, false, 9 * MS);
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_THROTTLED), 4 * MS);
}

Test(worker_meter, the_share_is_of_the_last_window)
{
    static struct worker_meter meter;
    worker_meter_share(&meter, 1000 * (int64_t)MS);
    worker_meter_cpu(&meter, 7, 500 * MS);
    worker_meter_share(&meter, 1500 * (int64_t)MS); /* too early */
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU_SHARE), 0);
    worker_meter_share(&meter, 3000 * (int64_t)MS);
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU_SHARE), 250000);
    worker_meter_idle(&meter);
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU_SHARE), 0);
    cr_assert_eq(worker_meter_get(&meter, PLUGIN_GAUGE_CPU), 500 * MS);
}

Test(worker_meter, names_of_denied_calls_are_bounded)
{
    static struct worker_meter meter;
    char name[32];
    worker_meter_denied(&meter, "");
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "call%d", i % 20);
        worker_meter_denied(&meter, name);
    }
    cr_assert_str_eq(meter.denied[0].call, "unknown");
    cr_assert_str_eq(meter.denied[1].call, "call0");
    cr_assert_eq(meter.denied[1].count, 2);
    cr_assert_str_eq(meter.denied[WORKER_METER_CALLS - 1].call, "other");
    cr_assert_eq(meter.denied[WORKER_METER_CALLS - 1].count, 40 + 1 - 1 - 2 * 14);
}
