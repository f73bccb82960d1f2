/* bench_round.h: times a function in rounds on one thread and prints the median.
 *
 * A round calls the function until ROUND_NS have passed; the median of the rounds stands for the
 * run, with the best and worst beside it, because the machine may be shared. CPU time of the
 * thread, so that being preempted costs nothing. */
#ifndef BENCH_ROUND_H
#define BENCH_ROUND_H

#include <stdbool.h>
#include <stddef.h>

/* One operation. */
typedef void bench_fn(void *subject);

struct bench_case {
    const char *name;
    bench_fn *run;
    void *subject;
    size_t item_count; /* records, calls … per operation: what ns are divided by */
    size_t byte_count; /* bytes per operation, for MB/s; 0: not shown */
};

/* --json among the arguments: a JSON object a line instead of a table. */
bool bench_wants_json(int argc, char **argv);
void bench_print_head(bool json);
void bench_case_run(const struct bench_case *bench, bool json);

#endif
