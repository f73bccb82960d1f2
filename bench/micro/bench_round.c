/* bench_round.c: see bench_round.h. */
#include "bench_round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, ROUND_NS = 60000000 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double time_calls(const struct bench_case *bench, size_t calls)
{
    double start = now_ns();
    for (size_t i = 0; i < calls; i++)
        bench->run(bench->subject);
    return now_ns() - start;
}

/* Calls that fill a round: reading the clock costs as much as many of them. */
static size_t calls_per_round(const struct bench_case *bench)
{
    size_t calls = 1;
    double spent = time_calls(bench, calls);
    while (spent < ROUND_NS / 4) {
        calls *= 2;
        spent = time_calls(bench, calls);
    }
    return (size_t)((double)calls * ROUND_NS / spent) + 1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool bench_wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

void bench_print_head(bool json)
{
    if (!json)
        printf("%-24s %12s %10s %10s %12s\n", "case", "ns/item", "best", "worst", "MB/s");
}

void bench_case_run(const struct bench_case *bench, bool json)
{
    double rounds[ROUNDS];
    size_t calls = calls_per_round(bench); /* warms up caches and memory too */
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = time_calls(bench, calls) / (double)(calls * bench->item_count);
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    double median = rounds[ROUNDS / 2];
    double bytes_per_item = (double)bench->byte_count / (double)bench->item_count;
    double speed = bytes_per_item / median * 1e3;
    if (json)
        printf("{\"case\":\"%s\",\"ns_per_item\":%.2f,\"best\":%.2f,\"worst\":%.2f,"
               "\"mb_per_s\":%.0f}\n",
               bench->name, median, rounds[0], rounds[ROUNDS - 1], speed);
    else
        printf("%-24s %12.2f %10.2f %10.2f %12.0f\n", bench->name, median, rounds[0],
               rounds[ROUNDS - 1], speed);
    fflush(stdout);
}
