/* sim_driver.h: what programs that judge histories by seed have in common: options, processes that
 * share the seeds, mutants, the report.
 *
 *   NAME [--cuts N] [--seed S] [--processes P] [--mutant NAME | --mutants] [--json]
 *
 * Histories are taken from seed S on until N power cuts were recovered from and judged; P processes
 * share them (0: this one does it, for debuggers). Exit status 0: all held; with --mutant: what was
 * broken was caught; with --mutants: each of the table was, within N cuts, and which seed caught it
 * is printed. When something is wrong the history's seed is printed; `--cuts 1 --seed THAT` replays
 * it. An assertion that fails in a process is a failure of its history. */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include "base/base.h"

#define SIM_COUNTS_MAX 32u /* numbers of a kind of history */

/* What is broken on purpose: a switch, or what the disk does not sync. */
struct sim_mutant {
    const char *name;
    uint32_t block;         /* whose switches: the simulation's own numbering */
    size_t at;              /* of the bool in there */
    const char *no_sync_of; /* not NULL: instead of a switch, as in os_sim.h */
    const char *no_dir_sync_of;
    const char *what;
};

/* A number that histories add up: a uint64_t at `at` of what `counts` returns. */
struct sim_count {
    const char *name;
    size_t at;
};

struct sim_driver {
    const char *name;
    uint64_t cuts; /* where nothing is said */
    const struct sim_mutant *mutants;
    uint32_t mutant_count;
    /* One per process. mutant NULL: nothing is broken. */
    void *(*open)(const struct sim_mutant *mutant);
    void (*close)(void *sim);
    /* What was wrong, or NULL. [borrowed until the next] */
    const char *(*history)(void *sim, uint64_t seed);
    const void *(*counts)(const void *sim); /* of all its histories so far */
    const struct sim_count *count_table;    /* one is named "power_cuts" */
    uint32_t count_count;                   /* at most SIM_COUNTS_MAX */
    /* Prints the sentence of a run without a fault. counts: in the order of the table. */
    void (*held)(const uint64_t *counts);
};

/* Of main. */
int sim_driver_main(const struct sim_driver *driver, int count, char **words);

#endif
