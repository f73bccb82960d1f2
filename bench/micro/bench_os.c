/* bench_os.c: what the seam to the system costs: a task on its own loop, a hop between threads, a
 * lane's round trip, and beside them a metric and a log line below the level.
 *
 * Costs are CPU time by bench_round. Hops are latencies, measured by the wall one at a time: median
 * and 99th percentile of HOPS, each begun after a pause, so that the other thread sleeps and has to
 * be woken
 * ("asleep"), or at once after the one before ("awake"). Run: bench_os [--json] */
#include "base/log.h"
#include "base/metric.h"
#include "bench_round.h"
#include "os/os_uv.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HOPS = 2000, POSTS = 256 };

struct bench {
    struct sl_os *os;
    struct sl_loop *home;  /* on the main thread */
    struct sl_loop *other; /* on a thread of its own */
    struct sl_lane *lane;
    struct sl_task there, back;
    struct sl_job job;
    struct post {
        struct sl_task task;
        struct bench *bench;
    } posts[POSTS];
    uint32_t posts_left;
    int64_t started_ns;
    int64_t samples[HOPS];
    uint32_t hop_count;
    bool by_lane, asleep, json;
    struct sl_metric_cell *cell, *histogram;
    struct sl_logger *logger;
};

static void must(sl_err err)
{
    SL_ASSERT(err == SLUICE_OK);
}

/* ---- hops ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_hops(struct bench *bench, const char *name)
{
    qsort(bench->samples, HOPS, sizeof bench->samples[0], compare);
    long long median = bench->samples[HOPS / 2], late = bench->samples[HOPS - HOPS / 100];
    if (bench->json)
        printf("{\"case\":\"%s\",\"ns_median\":%lld,\"ns_p99\":%lld}\n", name, median, late);
    else
        printf("%-24s %12lld ns median %10lld ns p99\n", name, median, late);
    fflush(stdout);
}

static void pause_until_asleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void hop(struct bench *bench)
{
    if (bench->asleep)
        pause_until_asleep();
    bench->started_ns = sl_os_mono_ns(bench->os);
    if (bench->by_lane)
        sl_lane_submit(bench->lane, bench->home, &bench->job);
    else
        sl_loop_post(bench->other, &bench->there);
}

static void hop_done(struct bench *bench)
{
    bench->samples[bench->hop_count++] = sl_os_mono_ns(bench->os) - bench->started_ns;
    if (bench->hop_count == HOPS)
        sl_loop_stop(bench->home);
    else
        hop(bench);
}

static void on_there(struct sl_task *task)
{
    struct bench *bench = SL_CONTAINER_OF(task, struct bench, there);
    sl_loop_post(bench->home, &bench->back);
}

static void on_back(struct sl_task *task)
{
    hop_done(SL_CONTAINER_OF(task, struct bench, back));
}

static void on_work(struct sl_job *job)
{
    (void)job;
}

static void on_done(struct sl_job *job)
{
    hop_done(SL_CONTAINER_OF(job, struct bench, job));
}

static void start_hops(struct sl_task *task)
{
    hop(SL_CONTAINER_OF(task, struct post, task)->bench);
}

static void run_hops(struct bench *bench, const char *name, bool by_lane, bool asleep)
{
    bench->by_lane = by_lane;
    bench->asleep = asleep;
    bench->hop_count = 0;
    bench->posts[0] =
        (struct post){{.run = start_hops, .priority = SL_PRIORITY_IO}, .bench = bench};
    sl_loop_post(bench->home, &bench->posts[0].task);
    sl_loop_run(bench->home);
    print_hops(bench, name);
}

/* ---- costs ---- */

static void on_post(struct sl_task *task)
{
    struct bench *bench = SL_CONTAINER_OF(task, struct post, task)->bench;
    if (--bench->posts_left == 0)
        sl_loop_stop(bench->home);
}

static void post_here(void *subject)
{
    struct bench *bench = subject;
    bench->posts_left = POSTS;
    for (uint32_t i = 0; i < POSTS; i++) {
        bench->posts[i] = (struct post){{.run = on_post, .priority = i % SL_PRIORITY_COUNT}, bench};
        sl_loop_post(bench->home, &bench->posts[i].task);
    }
    sl_loop_run(bench->home);
}

static void count(void *subject)
{
    sl_metric_add(((struct bench *)subject)->cell, 1);
    atomic_signal_fence(memory_order_seq_cst);
}

static void observe(void *subject)
{
    struct bench *bench = subject;
    sl_metric_observe(bench->histogram, (uint64_t)(uintptr_t)bench);
    atomic_signal_fence(memory_order_seq_cst);
}

static void log_below_level(void *subject)
{
    sl_log(((struct bench *)subject)->logger, SL_LOG_DEBUG, "bench", "not written",
           sl_log_u64("n", 1));
}

static void log_line(void *subject)
{
    sl_log(((struct bench *)subject)->logger, SL_LOG_INFO, "bench", "segment sealed",
           sl_log_u64("segment", 17), sl_log_text("path", "wal/0000000000000017"));
}

static void drop_line(void *arg, enum sl_log_level level, const char *line, size_t size)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)size;
}

static int64_t bench_clock(void *arg)
{
    return sl_os_wall_ms(arg);
}

int main(int argc, char **argv)
{
    static const struct sl_metric_row rows[] = {
        {"sluice_bench_total", SL_METRIC_COUNTER, "A counter.", {0}, 0, 0},
        {"sluice_bench_seconds", SL_METRIC_HISTOGRAM, "A histogram.", {0}, 0, 1000000000}};
    static struct bench bench;
    struct sl_metrics *metrics;
    struct sl_metric_writer *writer;
    bench.json = bench_wants_json(argc, argv);
    bench.there = (struct sl_task){.run = on_there, .priority = SL_PRIORITY_IO};
    bench.back = (struct sl_task){.run = on_back, .priority = SL_PRIORITY_IO};
    bench.job = (struct sl_job){.work = on_work, .done = on_done, .task.priority = SL_PRIORITY_IO};
    must(sl_os_uv_new(1, &bench.os));
    must(sl_loop_new(bench.os, "home", -1, &bench.home));
    must(sl_loop_new(bench.os, "other", -1, &bench.other));
    must(sl_lane_new(bench.os, "lane", &bench.lane));
    must(sl_metrics_new(rows, SL_COUNT_OF(rows), &metrics));
    must(sl_metric_writer_new(metrics, &writer));
    must(sl_logger_new(
        &(struct sl_log_config){
            .sink = drop_line, .wall_ms = bench_clock, .clock_arg = bench.os, .level = SL_LOG_INFO},
        &bench.logger));
    bench.cell = sl_metric_cell(writer, 0);
    bench.histogram = sl_metric_cell(writer, 1);
    must(sl_loop_start(bench.other));

    bench_print_head(bench.json);
    bench_case_run(&(struct bench_case){"post and run here", post_here, &bench, POSTS, 0},
                   bench.json);
    bench_case_run(&(struct bench_case){"counter", count, &bench, 1, 0}, bench.json);
    bench_case_run(&(struct bench_case){"histogram", observe, &bench, 1, 0}, bench.json);
    bench_case_run(&(struct bench_case){"log below level", log_below_level, &bench, 1, 0},
                   bench.json);
    bench_case_run(&(struct bench_case){"log line", log_line, &bench, 1, 0}, bench.json);
    run_hops(&bench, "loop and back, awake", false, false);
    run_hops(&bench, "loop and back, asleep", false, true);
    run_hops(&bench, "lane and back, awake", true, false);
    run_hops(&bench, "lane and back, asleep", true, true);

    sl_loop_stop(bench.other);
    sl_loop_join(bench.other);
    sl_loop_free(bench.other);
    sl_loop_free(bench.home);
    sl_lane_free(bench.lane);
    sl_logger_free(bench.logger);
    sl_metrics_free(metrics);
    sl_os_free(bench.os);
    return 0;
}
