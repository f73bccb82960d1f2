/* sim_driver.c: histories by seed in some processes (sim_driver.h). */
#include "sim_driver.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 16u
#define MIB           (1024 * 1024)

struct options {
    uint64_t cuts;
    uint64_t seed;
    uint64_t processes;
    const struct sim_mutant *mutant;
    bool mutants;
    bool json;
};

/* What processes share. */
struct shared {
    uint64_t next_seed;
    uint64_t cuts;
    bool failed;
    uint64_t failed_seed;
    uint64_t failed_cuts; /* until then, of all */
    char fault[256];
    uint64_t counts[PROCESSES_MAX][SIM_COUNTS_MAX];
    uint64_t seeds[PROCESSES_MAX]; /* under way */
    double seconds[PROCESSES_MAX];
};

/* ---- processes ---- */

static void note_failure(struct shared *shared, uint64_t seed, const char *fault)
{
    bool expected = false;
    if (__atomic_compare_exchange_n(&shared->failed, &expected, true, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        shared->failed_seed = seed;
        shared->failed_cuts = shared->cuts;
        snprintf(shared->fault, sizeof(shared->fault), "%s", fault);
    }
}

static uint32_t cuts_place(const struct sim_driver *driver)
{
    uint32_t place = 0;
    while (strcmp(driver->count_table[place].name, "power_cuts") != 0) {
        place++;
    }
    return place;
}

static uint64_t count_of(const struct sim_driver *driver, const void *sim, uint32_t place)
{
    const uint8_t *counts = driver->counts(sim);
    uint64_t value = 0;
    memcpy(&value, counts + driver->count_table[place].at, sizeof(value));
    return value;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void process_run(const struct sim_driver *driver, struct shared *shared, uint32_t index,
                        const struct options *options, const struct sim_mutant *mutant)
{
    double begin = cpu_seconds();
    void *sim = driver->open(mutant);
    uint32_t cuts = cuts_place(driver);
    while (__atomic_load_n(&shared->cuts, __ATOMIC_RELAXED) < options->cuts &&
           !__atomic_load_n(&shared->failed, __ATOMIC_RELAXED)) {
        uint64_t before = count_of(driver, sim, cuts);
        shared->seeds[index] = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_RELAXED);
        const char *fault = driver->history(sim, shared->seeds[index]);
        __atomic_fetch_add(&shared->cuts, count_of(driver, sim, cuts) - before, __ATOMIC_RELAXED);
        if (fault != NULL) {
            note_failure(shared, shared->seeds[index], fault);
        }
    }
    for (uint32_t i = 0; i < driver->count_count; i++) {
        shared->counts[index][i] = count_of(driver, sim, i);
    }
    driver->close(sim);
    shared->seconds[index] = cpu_seconds() - begin;
}

static void process_wait(struct shared *shared, uint32_t index, pid_t child)
{
    int status = 0;
    if (child <= 0 || waitpid(child, &status, 0) != child || status != 0) {
        note_failure(shared, shared->seeds[index], "a process crashed");
    }
}

static void processes_run(const struct sim_driver *driver, struct shared *shared,
                          const struct options *options, const struct sim_mutant *mutant)
{
    pid_t children[PROCESSES_MAX];
    memset(shared, 0, sizeof(*shared));
    shared->next_seed = options->seed;
    fflush(stdout);
    if (options->processes == 0) {
        process_run(driver, shared, 0, options, mutant);
    }
    for (uint32_t i = 0; i < options->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (mutant != NULL && freopen("/dev/null", "w", stderr) == NULL) {
                _exit(2);
            }
            process_run(driver, shared, i, options, mutant);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < options->processes; i++) {
        process_wait(shared, i, children[i]);
    }
}

/* ---- the program ---- */

static const struct sim_mutant *mutant_find(const struct sim_driver *driver, const char *name)
{
    for (uint32_t i = 0; i < driver->mutant_count; i++) {
        if (strcmp(driver->mutants[i].name, name) == 0) {
            return &driver->mutants[i];
        }
    }
    return NULL;
}

static bool options_read(const struct sim_driver *driver, int count, char **words,
                         struct options *options)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "--json") == 0) {
            options->json = true;
            continue;
        }
        if (strcmp(words[i], "--mutants") == 0) {
            options->mutants = true;
            continue;
        }
        if (strcmp(words[i], "--cuts") == 0) {
            options->cuts = strtoull(value, NULL, 10);
        } else if (strcmp(words[i], "--seed") == 0) {
            options->seed = strtoull(value, NULL, 10);
        } else if (strcmp(words[i], "--processes") == 0) {
            options->processes = strtoull(value, NULL, 10);
        } else if (strcmp(words[i], "--mutant") == 0) {
            options->mutant = mutant_find(driver, value);
            if (options->mutant == NULL) {
                return false;
            }
        } else {
            return false;
        }
        i++;
    }
    return options->processes <= PROCESSES_MAX;
}

static double counts_sum(const struct shared *shared, uint64_t *ret_sum)
{
    double seconds = 0;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        for (uint32_t k = 0; k < SIM_COUNTS_MAX; k++) {
            ret_sum[k] += shared->counts[i][k];
        }
        seconds += shared->seconds[i];
    }
    return seconds;
}

static void print_count(const struct options *options, const char *name, uint64_t value)
{
    printf(options->json ? ",\"%s\":%" PRIu64 : ", %s %" PRIu64, name, value);
}

static void report(const struct sim_driver *driver, const struct shared *shared,
                   const struct options *options)
{
    uint64_t sum[SIM_COUNTS_MAX] = {0};
    double seconds = counts_sum(shared, sum);
    double cuts = (double)sum[cuts_place(driver)];
    printf(options->json ? "{\"mutant\":\"%s\"" : "mutant %s",
           options->mutant != NULL ? options->mutant->name : "none");
    print_count(options, "seed", options->seed);
    for (uint32_t i = 0; i < driver->count_count; i++) {
        print_count(options, driver->count_table[i].name, sum[i]);
    }
    print_count(options, "cuts_per_cpu_second", seconds > 0 ? (uint64_t)(cuts / seconds) : 0);
    if (shared->failed) {
        printf(options->json ? ",\"failure\":\"%s\",\"failure_seed\":%" PRIu64 "}\n"
                             : "\n%s; replay: --cuts 1 --seed %" PRIu64 "\n",
               shared->fault, shared->failed_seed);
    } else if (options->json) {
        printf(",\"failure\":null}\n");
    } else {
        printf("\n");
        driver->held(sum);
    }
}

/* Each must be caught, be it by an assertion. */
static bool mutants_run(const struct sim_driver *driver, struct shared *shared,
                        const struct options *options)
{
    uint32_t alive = 0;
    printf("%-22s %-10s %8s %8s  %s\n", "mutant", "", "seed", "cuts", "what it breaks; the fault");
    for (uint32_t i = 0; i < driver->mutant_count; i++) {
        const struct sim_mutant *mutant = &driver->mutants[i];
        processes_run(driver, shared, options, mutant);
        alive += !shared->failed;
        printf("%-22s %-10s %8" PRIu64 " %8" PRIu64 "  %s; %s\n", mutant->name,
               shared->failed ? "killed" : "SURVIVED", shared->failed_seed,
               shared->failed ? shared->failed_cuts : shared->cuts, mutant->what,
               shared->failed ? shared->fault : "none");
        fflush(stdout);
    }
    printf("%u mutants, %u survived\n", driver->mutant_count, alive);
    return alive == 0;
}

static int usage(const struct sim_driver *driver)
{
    fprintf(stderr,
            "%s [--cuts N] [--seed S] [--processes P] [--json] [--mutant NAME | --mutants]\n"
            "mutants:",
            driver->name);
    for (uint32_t i = 0; i < driver->mutant_count; i++) {
        fprintf(stderr, " %s", driver->mutants[i].name);
    }
    fprintf(stderr, "\n");
    return 2;
}

int sim_driver_main(const struct sim_driver *driver, int count, char **words)
{
    struct options options = {.cuts = driver->cuts, .seed = 1, .processes = 1};
    if (!options_read(driver, count, words, &options)) {
        return usage(driver);
    }
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return 2;
    }
    /* Each history would give memory back and take it again. */
    mallopt(M_TRIM_THRESHOLD, 256 * MIB);
    mallopt(M_MMAP_THRESHOLD, 64 * MIB);
    if (options.mutants) {
        return mutants_run(driver, shared, &options) ? 0 : 1;
    }
    processes_run(driver, shared, &options, options.mutant);
    report(driver, shared, &options);
    return shared->failed == (options.mutant != NULL) ? 0 : 1;
}
