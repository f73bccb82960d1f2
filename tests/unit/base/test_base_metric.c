/* test_base_metric.c: sums over writers, bounded series, histograms, Prometheus text. */
#include "base/bytes.h"
#include "base/metric.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

enum { M_REQUESTS, M_OPEN, M_TOPIC_BYTES, M_SYNC, M_COUNT };

static const struct sl_metric_row rows[M_COUNT] = {
    [M_REQUESTS] = {"sluice_requests_total", SL_METRIC_COUNTER, "Requests answered.", {0}, 0, 0},
    [M_OPEN] = {"sluice_connections", SL_METRIC_GAUGE, "Connections open.", {0}, 0, 0},
    [M_TOPIC_BYTES] =
        {"sluice_topic_bytes_total", SL_METRIC_COUNTER, "Bytes taken.", {"topic", "cause"}, 3, 0},
    [M_SYNC] = {"sluice_sync_seconds", SL_METRIC_HISTOGRAM, "Time of a sync.", {0}, 0, 1000000000},
};

static struct sl_metrics *metrics;
static struct sl_metric_writer *writer;
static struct sl_buffer text_buffer;

static void open_metrics(void)
{
    cr_assert_eq(sl_metrics_new(rows, M_COUNT, &metrics), SLUICE_OK);
    cr_assert_eq(sl_metric_writer_new(metrics, &writer), SLUICE_OK);
}

static void close_metrics(void)
{
    sl_metrics_free(metrics);
    sl_buffer_fini(&text_buffer);
}

TestSuite(metric, .init = open_metrics, .fini = close_metrics);

static struct sl_metric_cell *topic(const char *name)
{
    struct sl_bytes values[2] = {sl_bytes_of_text(name), sl_bytes_of_text("client")};
    return sl_metric_series(writer, M_TOPIC_BYTES, values);
}

static const char *rendered(void)
{
    sl_buffer_init(&text_buffer, 1 << 20);
    cr_assert_eq(sl_metrics_render(metrics, &text_buffer), SLUICE_OK);
    cr_assert_eq(sl_buffer_append(&text_buffer, "", 1), SLUICE_OK); /* once a test */
    return (const char *)text_buffer.data;
}

enum { THREADS = 4, STEPS = 100000 };

static void *count_up(void *arg)
{
    struct sl_metric_writer *own = NULL;
    (void)arg;
    cr_assert_eq(sl_metric_writer_new(metrics, &own), SLUICE_OK);
    struct sl_metric_cell *cell = sl_metric_cell(own, M_REQUESTS);
    for (int i = 0; i < STEPS; i++) {
        sl_metric_add(cell, 1);
        if (i % 1000 == 0)
            sl_metric_add(sl_metric_series(own, M_TOPIC_BYTES,
                                           (struct sl_bytes[]){sl_bytes_of_text("t"),
                                                               sl_bytes_of_text("client")}),
                          10);
    }
    sl_metric_set(sl_metric_cell(own, M_OPEN), -2);
    return NULL;
}

Test(metric, is_the_sum_of_what_all_threads_counted)
{
    pthread_t threads[THREADS];
    struct sl_bytes values[2] = {sl_bytes_of_text("t"), sl_bytes_of_text("client")};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    while (sl_metrics_value(metrics, M_REQUESTS, NULL) < STEPS)
        ; /* reading while they write is fine */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(sl_metrics_value(metrics, M_REQUESTS, NULL), THREADS * STEPS);
    cr_expect_eq((int64_t)sl_metrics_value(metrics, M_OPEN, NULL), -2 * THREADS);
    cr_expect_eq(sl_metrics_value(metrics, M_TOPIC_BYTES, values), THREADS * STEPS / 1000 * 10);
}

Test(metric, counts_series_beyond_its_bound_as_other)
{
    char name[16];
    struct sl_metric_cell *first = topic("t0");
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "t%d", i);
        sl_metric_add(topic(name), 1);
    }
    cr_expect_eq(topic("t0"), first, "the same labels are the same cell");
    const char *text = rendered();
    cr_expect_not_null(strstr(text, "sluice_topic_bytes_total{topic=\"t2\",cause=\"client\"} 1\n"));
    cr_expect_null(strstr(text, "topic=\"t3\""));
    cr_expect_not_null(
        strstr(text, "sluice_topic_bytes_total{topic=\"other\",cause=\"other\"} 7\n"));
}

Test(metric, escapes_label_values)
{
    sl_metric_add(topic("a\"b\\c\nd"), 1);
    cr_expect_not_null(strstr(rendered(), "{topic=\"a\\\"b\\\\c\\nd\",cause=\"client\"} 1\n"));
}

Test(metric, puts_each_value_into_a_bucket_at_most_a_quarter_wide)
{
    uint64_t value = 1;
    for (int i = 0; i < 4000; i++, value += value / 90 + 1) {
        uint32_t bucket = sl_metric_bucket(value);
        cr_assert_lt(bucket, SL_METRIC_BUCKETS);
        cr_assert_geq(bucket, sl_metric_bucket(value - 1));
        cr_assert_leq(bucket, sl_metric_bucket(value - 1) + 1);
        if (value > UINT64_MAX / 2)
            break;
    }
    cr_expect_eq(sl_metric_bucket(UINT64_MAX), SL_METRIC_BUCKETS - 1);
}

Test(metric, renders_a_histogram_that_prometheus_reads)
{
    struct sl_metric_cell *cell = sl_metric_cell(writer, M_SYNC);
    for (uint64_t i = 1; i <= 1000; i++)
        sl_metric_observe(cell, i * 1000);
    uint64_t median = sl_metrics_quantile(metrics, M_SYNC, NULL, 500);
    cr_expect(median >= 500000 && median <= 625000, "%lu", (unsigned long)median);
    const char *text = rendered();
    cr_expect_not_null(strstr(text, "# TYPE sluice_sync_seconds histogram\n"));
    cr_expect_not_null(strstr(text, "sluice_sync_seconds_bucket{le=\"6.5535e-05\"} 65\n"), "%s",
                       text);
    cr_expect_not_null(strstr(text, "sluice_sync_seconds_bucket{le=\"+Inf\"} 1000\n"));
    cr_expect_not_null(strstr(text, "sluice_sync_seconds_sum 0.5005\n"));
    cr_expect_not_null(strstr(text, "sluice_sync_seconds_count 1000\n"));
}

Test(metric, tells_the_buffers_bound)
{
    struct sl_buffer buffer;
    sl_buffer_init(&buffer, 100);
    cr_expect_eq(sl_metrics_render(metrics, &buffer), SLUICE_E_LIMIT);
    sl_buffer_fini(&buffer);
}
