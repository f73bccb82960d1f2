/* bench_wal.c: group commit of the write-ahead log on the real disk, fdatasync before every answer.
 *
 *   bench_wal [--directory DIR] [--seconds S] [--json]
 *
 * Closed loop: N callers, each submits a unit of 100 B and submits again when it is durable. Open
 * loop: as much as 4 MiB under way at any time. Latency is from wal_submit to the callback. The
 * median of the rounds is printed, and the best, because the machine may be shared. Durability
 * mode: fsync, all the time. */
#include "os/os_uv.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNIT_BYTES  100u
#define CALLERS_MAX 40000u
#define SAMPLES_MAX 2000000u
#define ROUNDS      5u

struct caller {
    struct wal_unit unit;
    struct wal_item item;
    struct sl_iovec piece;
    int64_t begin_ns;
};

struct bench {
    struct sl_os *os;
    struct sl_loop *loop;
    struct wal *wal;
    struct caller *callers;
    uint32_t caller_count;
    uint32_t under_way;
    int64_t end_ns;
    uint32_t *samples_us10; /* tenths of a microsecond */
    uint32_t sample_count;
    uint64_t done;
    uint64_t newest_segment;
    struct sl_task begin;
    bool is_closed;
};

static struct bench bench;
static uint8_t body[UNIT_BYTES];
static uint64_t payload = 1;

struct result {
    double units_per_s;
    double mb_per_s;
    double p50_us;
    double p99_us;
    double frames_per_s;
};

static void caller_submit(struct caller *caller)
{
    caller->begin_ns = sl_os_mono_ns(bench.os);
    sl_err err = wal_submit(bench.wal, &caller->unit);
    if (err != SLUICE_OK) {
        fprintf(stderr, "bench_wal: submit failed: %d\n", err);
        exit(1);
    }
    bench.under_way++;
}

static void on_durable(struct wal_unit *unit, sl_err err)
{
    struct caller *caller = SL_CONTAINER_OF(unit, struct caller, unit);
    int64_t now_ns = sl_os_mono_ns(bench.os);
    if (err != SLUICE_OK) {
        fprintf(stderr, "bench_wal: commit failed: %d\n", err);
        exit(1);
    }
    bench.under_way--;
    bench.done++;
    if (bench.sample_count < SAMPLES_MAX)
        bench.samples_us10[bench.sample_count++] = (uint32_t)((now_ns - caller->begin_ns) / 100);
    if (unit->items[0].place.segment > bench.newest_segment) {
        bench.newest_segment = unit->items[0].place.segment;
        wal_release(bench.wal, bench.newest_segment); /* so that segments go round */
    }
    if (now_ns < bench.end_ns)
        caller_submit(caller);
    else if (bench.under_way == 0)
        sl_loop_stop(bench.loop);
}

static void begin_run(struct sl_task *task)
{
    (void)task;
    for (uint32_t i = 0; i < bench.caller_count; i++)
        caller_submit(&bench.callers[i]);
}

static int compare(const void *a, const void *b)
{
    const uint32_t *left = a;
    const uint32_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static struct result round_run(uint32_t callers, double seconds)
{
    struct wal_status before;
    struct wal_status after;
    bench.caller_count = callers;
    bench.sample_count = 0;
    bench.done = 0;
    bench.begin = (struct sl_task){.run = begin_run, .priority = SL_PRIORITY_IO};
    wal_status_get(bench.wal, &before);
    int64_t begin_ns = sl_os_mono_ns(bench.os);
    bench.end_ns = begin_ns + (int64_t)(seconds * 1e9);
    sl_loop_post(bench.loop, &bench.begin);
    sl_loop_run(bench.loop);
    double elapsed = (double)(sl_os_mono_ns(bench.os) - begin_ns) / 1e9;
    wal_status_get(bench.wal, &after);
    qsort(bench.samples_us10, bench.sample_count, sizeof *bench.samples_us10, compare);
    return (struct result){
        .units_per_s = (double)bench.done / elapsed,
        .mb_per_s = (double)bench.done * UNIT_BYTES / elapsed / 1e6,
        .p50_us = bench.samples_us10[bench.sample_count / 2] / 10.0,
        .p99_us = bench.samples_us10[(uint64_t)bench.sample_count * 99 / 100] / 10.0,
        .frames_per_s = (double)(after.frames - before.frames) / elapsed,
    };
}

static int result_compare(const void *a, const void *b)
{
    const struct result *left = a;
    const struct result *right = b;
    return left->units_per_s < right->units_per_s ? -1 : left->units_per_s > right->units_per_s;
}

static void case_run(const char *name, uint32_t callers, double seconds, bool json)
{
    struct result results[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++)
        results[i] = round_run(callers, seconds / ROUNDS);
    qsort(results, ROUNDS, sizeof results[0], result_compare);
    const struct result *median = &results[ROUNDS / 2];
    const struct result *best = &results[ROUNDS - 1];
    if (json)
        printf("{\"bench\":\"wal_group_commit\",\"mode\":\"%s\",\"durability\":\"fsync\","
               "\"unit_bytes\":%u,\"callers\":%u,\"units_per_s\":%.0f,\"mb_per_s\":%.1f,"
               "\"p50_us\":%.1f,\"p99_us\":%.1f,\"frames_per_s\":%.0f,\"best_units_per_s\":%.0f,"
               "\"best_p50_us\":%.1f}\n",
               name, UNIT_BYTES, callers, median->units_per_s, median->mb_per_s, median->p50_us,
               median->p99_us, median->frames_per_s, best->units_per_s, best->p50_us);
    else
        printf("%-7s %7u %12.0f %9.1f %9.1f %9.1f %9.0f %13.0f %9.1f\n", name, callers,
               median->units_per_s, median->mb_per_s, median->p50_us, median->p99_us,
               median->frames_per_s, best->units_per_s, best->p50_us);
    fflush(stdout);
}

static void callers_make(void)
{
    bench.callers = calloc(CALLERS_MAX, sizeof *bench.callers);
    bench.samples_us10 = calloc(SAMPLES_MAX, sizeof *bench.samples_us10);
    if (bench.callers == NULL || bench.samples_us10 == NULL)
        exit(1);
    for (uint32_t i = 0; i < CALLERS_MAX; i++) {
        struct caller *caller = &bench.callers[i];
        caller->piece = (struct sl_iovec){body, sizeof body};
        caller->item = (struct wal_item){.kind = WAL_ITEM_BATCH,
                                         .version = 1,
                                         .payload = {(const uint8_t *)&payload, sizeof payload},
                                         .body = &caller->piece,
                                         .body_count = 1,
                                         .body_size = sizeof body};
        caller->unit =
            (struct wal_unit){.items = &caller->item, .item_count = 1, .durable = on_durable};
    }
}

static sl_err on_snapshot(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done)
{
    (void)arg;
    (void)begins;
    (void)add;
    (void)add_arg;
    *ret_done = true;
    return SLUICE_OK;
}

static void on_closed(void *arg)
{
    (void)arg;
    sl_loop_stop(bench.loop);
}

static void must(sl_err err, const char *what)
{
    if (err != SLUICE_OK) {
        fprintf(stderr, "bench_wal: %s: error %d\n", what, err);
        exit(1);
    }
}

static void log_open(const char *directory)
{
    static const struct wal_events events = {.snapshot = on_snapshot};
    struct wal_recovery recovery;
    must(sl_os_uv_new(2, &bench.os), "os");
    must(sl_loop_new(bench.os, "bench", -1, &bench.loop), "loop");
    const struct wal_config config = {.os = bench.os,
                                      .loop = bench.loop,
                                      .directory = directory,
                                      .limits = {.segment_bytes = 64u << 20,
                                                 .bytes_max = 1u << 30,
                                                 .group_bytes_max = 1u << 20,
                                                 .frame_bytes_max = 16u << 20,
                                                 .spare_segments = 2,
                                                 .idle_mark_ms = 50,
                                                 .reach_bytes = WAL_REACH_BYTES},
                                      .events = &events};
    must(wal_open(&config, &recovery, &bench.wal), recovery.problem);
}

static void run_all(double seconds, bool json)
{
    static const uint32_t closed[] = {1, 10, 100, 1000};
    if (!json)
        printf(
            "durability: fsync; units of %u B\n"
            "loop    callers      units/s      MB/s    p50 us    p99 us  frames/s  best units/s  "
            "best p50\n",
            UNIT_BYTES);
    case_run("warm", 100, 0.5, json);
    for (size_t i = 0; i < SL_COUNT_OF(closed); i++)
        case_run("closed", closed[i], seconds, json);
    case_run("open", CALLERS_MAX, seconds, json);
}

int main(int count, char **words)
{
    char made[] = "/tmp/bench-wal-XXXXXX";
    const char *directory = NULL;
    double seconds = 2;
    bool json = false;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--json") == 0)
            json = true;
        else if (strcmp(words[i], "--directory") == 0 && i + 1 < count)
            directory = words[++i];
        else if (strcmp(words[i], "--seconds") == 0 && i + 1 < count)
            seconds = strtod(words[++i], NULL);
        else {
            fprintf(stderr, "bench_wal [--directory DIR] [--seconds S] [--json]\n");
            return 2;
        }
    }
    if (directory == NULL && mkdtemp(made) == NULL)
        return 1;
    callers_make();
    log_open(directory != NULL ? directory : made);
    run_all(seconds, json);
    wal_close(bench.wal, on_closed, NULL);
    sl_loop_run(bench.loop);
    wal_free(bench.wal);
    sl_loop_free(bench.loop);
    sl_os_free(bench.os);
    if (directory == NULL)
        fprintf(stderr, "left in %s\n", made);
    return 0;
}
