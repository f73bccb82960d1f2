/* sim_stages.c: a stateful stage and the redrive of its dead letters under simulated power cuts,
 * kills, failed writes and syncs (stage_sim.h): each record counts once, whatever happens.
 *
 *   sim_stages [--cuts N] [--seed S] [--processes P] [--mutant NAME | --mutants]
 *
 * Histories are taken from seed S on until N power cuts were recovered from and judged; P processes
 * share them (0: this one does it, for debuggers). Exit status 0: all held; with --mutant: the
 * broken stage was caught; with --mutants: each of the table was, within N cuts. When something is
 * wrong the history's seed is printed; `--cuts 1 --seed THAT` replays it. */
#include "stage_acts.h"

#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX  16u
#define RUNS_MAX       5u
#define RECOVERIES_MAX 3u /* of a branch, that lose the power again */

/* ---- mutants ---- */

struct mutant {
    const char *name;
    bool is_storage;
    size_t at; /* of its switch in struct stage_mutants, or in struct sim_mutants */
    const char *what;
};
#define OF_STAGE(member)   false, offsetof(struct stage_mutants, member)
#define OF_STORAGE(member) true, offsetof(struct sim_mutants, member)

static const struct mutant mutants[] = {
    {"position_unlogged", OF_STAGE(position_unlogged),
     "state and outputs are committed without the position"},
    {"state_unlogged", OF_STAGE(state_unlogged),
     "position and outputs are committed without the state"},
    {"marks_unlogged", OF_STAGE(marks_unlogged),
     "what a redrive writes is committed without the marks of its letters"},
    {"marks_alone", OF_STAGE(marks_alone), "letters are marked without what was made of them"},
    {"state_stale", OF_STAGE(state_stale), "a worker gets the state of an earlier time"},
    {"no_turns", OF_STAGE(no_turns),
     "a redrive and the partition's task do not wait for each other"},
    {"no_sync", OF_STORAGE(wal.no_sync), "the log is acknowledged before it is on the disk"},
    {"no_positions", OF_STORAGE(shard.no_positions), "checkpoints forget positions and marks"},
    {"checkpoint_early", OF_STORAGE(wal.checkpoint_early),
     "segments are recycled before the checkpoint is on the disk"},
};

static const struct mutant *mutant_find(const char *name)
{
    for (size_t i = 0; i < SL_COUNT_OF(mutants); i++) {
        if (strcmp(mutants[i].name, name) == 0) {
            return &mutants[i];
        }
    }
    return NULL;
}

static void mutant_set(struct stage_sim *sim, const struct mutant *mutant)
{
    if (mutant != NULL) {
        uint8_t *switches =
            mutant->is_storage ? (uint8_t *)&sim->base.mutants : (uint8_t *)&sim->mutants;
        *(bool *)(switches + mutant->at) = true;
    }
}

/* ---- a history ---- */

static struct storage_model *model_of(struct stage_sim *sim)
{
    return &sim->base.model;
}

/* Whether the shards serve. The machine is open in any case. */
static bool recover(struct stage_sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                    const struct sl_sim_faults *faults)
{
    sl_err err = sim_machine_open(&sim->base, machine, disk, sim_draw64(&sim->base), faults);
    bool excused = sl_os_sim_power_is_off(machine->os) || faults->sync_fails_after > 0 ||
                   faults->write_fails_after > 0;
    if (err != SLUICE_OK && excused) {
        sim->counts.cut_recoveries++;
        return false;
    }
    if (err != SLUICE_OK) {
        model_fault(model_of(sim), "refused with %d: %.180s", err, machine->problem);
        return false;
    }
    stage_sim_judge(sim, &machine->set);
    sim->counts.recoveries++;
    if (sl_os_sim_power_is_off(machine->os)) { /* reads fail then, which is no fault */
        model_of(sim)->fault[0] = '\0';
        return false;
    }
    return model_is_well(model_of(sim));
}

/* What if the power went now? */
static void branch(struct stage_sim *sim)
{
    bool cut = true;
    sl_sim_disk_copy(sim->base.copy, sim->base.machine.disk, sim_draw64(&sim->base));
    for (uint32_t i = 0; i < RECOVERIES_MAX && cut && model_is_well(model_of(sim)); i++) {
        struct machine machine;
        struct sl_sim_faults faults = {0};
        sl_sim_disk_power_cut(sim->base.copy);
        sim->counts.cuts++;
        cut = i + 1 < RECOVERIES_MAX && sim_draw(&sim->base, 3) == 0;
        faults.power_cut_after = cut ? 1 + sim_draw(&sim->base, 24) : 0;
        recover(sim, &machine, sim->base.copy, &faults);
        sim_machine_kill(&machine);
    }
}

static struct sl_sim_faults faults_draw(struct sim *sim)
{
    struct sl_sim_faults faults = {.reads_are_cold = sim_draw(sim, 3) == 0};
    uint32_t kind = sim_draw(sim, 16);
    if (kind < 7) {
        faults.power_cut_after = 1 + sim_draw(sim, sim_draw(sim, 2) == 0 ? 300 : 1500);
    } else if (kind == 7) {
        faults.sync_fails_after = 1 + sim_draw(sim, 300);
    } else if (kind == 8) {
        faults.write_fails_after = 1 + sim_draw(sim, 300);
    }
    return faults;
}

static bool serves(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->set.count; i++) {
        if (machine->set.shards[i]->status != SLUICE_OK) {
            return false;
        }
    }
    return true;
}

static void work(struct stage_sim *sim, uint32_t steps)
{
    struct machine *machine = &sim->base.machine;
    uint32_t rate = 2 + sim_draw(&sim->base, 10);
    uint32_t cut_rate = 128u << sim_draw(&sim->base, 3);
    for (uint32_t i = 0; i < steps; i++) {
        if (sl_os_sim_power_is_off(machine->os) || !model_is_well(model_of(sim))) {
            return;
        }
        if (serves(machine) && sim_draw(&sim->base, rate) == 0) {
            stage_act(sim);
        }
        sl_os_sim_step(machine->os);
        if (sim_draw(&sim->base, cut_rate) == 0) {
            branch(sim);
        }
    }
}

static void count_run(struct stage_sim *sim)
{
    const struct machine *machine = &sim->base.machine;
    for (uint32_t i = 0; i < machine->set.count; i++) {
        const struct shard *shard = machine->set.shards[i];
        const _Atomic uint64_t *stage = sim->shards[i].counts.values;
        struct seal_status seal;
        struct compact_status compact;
        seal_status_get(shard, &seal);
        compact_status_get(shard, &compact);
        sim->counts.extents += seal.extents;
        sim->counts.compactions += compact.jobs;
        sim->counts.records_compacted += compact.records_removed;
        sim->counts.processed += stage[STAGE_COUNT_RECORDS_IN];
        sim->counts.dead_letters += stage[STAGE_COUNT_DEAD_LETTERED];
        sim->counts.redriven += stage[STAGE_COUNT_REDRIVEN];
    }
}

static void run(struct stage_sim *sim)
{
    struct sim *base = &sim->base;
    struct machine *machine = &base->machine;
    struct sl_sim_faults faults = faults_draw(base);
    bool close = faults.power_cut_after == 0 && sim_draw(base, 2) == 0;
    bool closed = false;
    bool begun = false;
    if (recover(sim, machine, base->disk, &faults)) {
        stage_sim_adopt(sim, &machine->set);
        stage_acts_begin(sim);
        begun = true;
        if (sim_machine_start(machine) == SLUICE_OK) {
            work(sim, 500 + sim_draw(base, 4000));
        }
        if (close && model_is_well(model_of(sim)) && !sl_os_sim_power_is_off(machine->os) &&
            serves(machine)) {
            stage_acts_close(sim);
            sim_machine_close(base, machine);
            closed = machine->closed_count == machine->set.count;
        }
    }
    /* A kill leaves all that was written. */
    bool off = sl_os_sim_power_is_off(machine->os);
    bool cut = off ? sim_draw(base, 4) > 0 : !closed && sim_draw(base, 2) == 0;
    sim->counts.closes += closed;
    sim->counts.failures += faults.sync_fails_after > 0 || faults.write_fails_after > 0;
    sim->counts.kills += !cut && !closed;
    sim->counts.cuts += cut;
    sl_os_sim_abandon(machine->os);
    if (begun) {
        count_run(sim);
        stage_acts_abandon(sim);
    }
    sim_machine_kill(machine);
    if (cut) {
        sl_sim_disk_power_cut(base->disk);
    }
}

static void history(struct stage_sim *sim, uint64_t seed)
{
    const struct sl_sim_faults none = {0};
    struct sim *base = &sim->base;
    base->seed = seed;
    base->random = seed;
    base->disk = sl_sim_disk_new(sim_draw64(base));
    model_init(&base->model, seed, 1 + sim_draw(base, 2));
    sim_limits_draw(base);
    sim->partitions = 1 + sim_draw(base, STAGE_PARTITIONS_MAX);
    sim->next_id = sim->version = 0;
    memset(sim->acked, 0, sizeof(sim->acked));
    uint32_t runs = 1 + sim_draw(base, RUNS_MAX);
    for (uint32_t i = 0; i < runs && model_is_well(&base->model); i++) {
        run(sim);
    }
    if (model_is_well(&base->model)) {
        recover(sim, &base->machine, base->disk, &none);
        sim_machine_kill(&base->machine);
    }
    model_fini(&base->model);
    base->disk = sl_sim_disk_free(base->disk);
    sim->counts.histories++;
}

/* ---- processes ---- */

struct options {
    uint64_t cuts, seed, processes;
    const char *mutant;
    bool mutants;
};

/* What processes share. */
struct shared {
    uint64_t next_seed;
    uint64_t cuts;
    bool failed;
    uint64_t failed_seed;
    char fault[256];
    struct stage_sim_counts counts[PROCESSES_MAX];
    uint64_t seeds[PROCESSES_MAX]; /* under way */
    double seconds[PROCESSES_MAX];
};

static void note_failure(struct shared *shared, uint64_t seed, const char *fault)
{
    bool expected = false;
    if (__atomic_compare_exchange_n(&shared->failed, &expected, true, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        shared->failed_seed = seed;
        snprintf(shared->fault, sizeof(shared->fault), "%s", fault);
    }
}

static void process_run(struct shared *shared, uint32_t index, const struct options *options,
                        const struct mutant *mutant)
{
    static struct stage_sim sim;
    struct timespec time;
    memset(&sim, 0, sizeof(sim));
    sim_init(&sim.base);
    mutant_set(&sim, mutant);
    while (__atomic_load_n(&shared->cuts, __ATOMIC_RELAXED) < options->cuts &&
           !__atomic_load_n(&shared->failed, __ATOMIC_RELAXED)) {
        uint64_t cuts = sim.counts.cuts;
        shared->seeds[index] = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_RELAXED);
        history(&sim, shared->seeds[index]);
        __atomic_fetch_add(&shared->cuts, sim.counts.cuts - cuts, __ATOMIC_RELAXED);
        if (!model_is_well(&sim.base.model)) {
            note_failure(shared, shared->seeds[index], sim.base.model.fault);
        }
    }
    sl_sim_disk_free(sim.base.copy);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    shared->counts[index] = sim.counts;
    shared->seconds[index] = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* An assertion that failed is a failure of the history under way. */
static void process_wait(struct shared *shared, uint32_t index, pid_t child)
{
    int status = 0;
    if (child <= 0 || waitpid(child, &status, 0) != child || status != 0) {
        note_failure(shared, shared->seeds[index], "a process crashed");
    }
}

static void processes_run(struct shared *shared, const struct options *options,
                          const struct mutant *mutant)
{
    pid_t children[PROCESSES_MAX];
    memset(shared, 0, sizeof(*shared));
    shared->next_seed = options->seed;
    fflush(stdout);
    if (options->processes == 0) {
        process_run(shared, 0, options, mutant);
    }
    for (uint32_t i = 0; i < options->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (mutant != NULL && freopen("/dev/null", "w", stderr) == NULL) {
                _exit(2);
            }
            process_run(shared, i, options, mutant);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < options->processes; i++) {
        process_wait(shared, i, children[i]);
    }
}

/* ---- the program ---- */

static bool options_read(int count, char **words, struct options *options)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
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
            options->mutant = value;
        } else {
            return false;
        }
        i++;
    }
    return options->processes <= PROCESSES_MAX &&
           (options->mutant == NULL || mutant_find(options->mutant) != NULL);
}

static struct stage_sim_counts counts_sum(const struct shared *shared, double *ret_seconds)
{
    struct stage_sim_counts sum = {0};
    uint64_t *to = (uint64_t *)&sum;
    *ret_seconds = 0;
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        const uint64_t *from = (const uint64_t *)&shared->counts[i];
        for (size_t k = 0; k < sizeof(sum) / sizeof(*to); k++) {
            to[k] += from[k];
        }
        *ret_seconds += shared->seconds[i];
    }
    return sum;
}

static void report(const struct shared *shared, const struct options *options)
{
    double seconds = 0;
    struct stage_sim_counts c = counts_sum(shared, &seconds);
    const struct {
        const char *name;
        uint64_t value;
    } table[] = {{"seed", options->seed},
                 {"histories", c.histories},
                 {"power_cuts", c.cuts},
                 {"cuts_in_recovery", c.cut_recoveries},
                 {"recoveries", c.recoveries},
                 {"kills", c.kills},
                 {"closes", c.closes},
                 {"failures", c.failures},
                 {"records", c.records},
                 {"processed", c.processed},
                 {"dead_letters", c.dead_letters},
                 {"redriven", c.redriven},
                 {"state_loads", c.state_loads},
                 {"worker_deaths", c.worker_deaths},
                 {"state_records", c.state_records},
                 {"extents", c.extents},
                 {"compactions", c.compactions},
                 {"records_compacted", c.records_compacted},
                 {"cuts_per_cpu_second", seconds > 0 ? (uint64_t)((double)c.cuts / seconds) : 0}};
    printf("mutant %s", options->mutant != NULL ? options->mutant : "none");
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        printf(", %s %" PRIu64, table[i].name, table[i].value);
    }
    if (!shared->failed) {
        printf("\n%" PRIu64 " power cuts, %" PRIu64 " records processed, %" PRIu64
               " dead letters handed back, %" PRIu64
               " deaths of workers: each record counted once\n",
               c.cuts, c.processed, c.redriven, c.worker_deaths);
    } else {
        printf("\n%s; replay: --cuts 1 --seed %" PRIu64 "\n", shared->fault, shared->failed_seed);
    }
}

/* Each must be caught, be it by an assertion. */
static bool mutants_run(struct shared *shared, const struct options *options)
{
    uint32_t alive = 0;
    printf("%-18s %-9s %8s %8s  %s\n", "mutant", "", "seed", "cuts", "what it breaks; the fault");
    for (size_t i = 0; i < SL_COUNT_OF(mutants); i++) {
        processes_run(shared, options, &mutants[i]);
        alive += !shared->failed;
        printf("%-18s %-9s %8" PRIu64 " %8" PRIu64 "  %s; %s\n", mutants[i].name,
               shared->failed ? "killed" : "SURVIVED", shared->failed_seed, shared->cuts,
               mutants[i].what, shared->failed ? shared->fault : "none");
        fflush(stdout);
    }
    printf("%zu mutants, %u survived\n", SL_COUNT_OF(mutants), alive);
    return alive == 0;
}

int main(int count, char **words)
{
    struct options options = {.cuts = 2000, .seed = 1, .processes = 1};
    if (!options_read(count, words, &options)) {
        fprintf(stderr, "sim_stages [--cuts N] [--seed S] [--processes P] [--mutant NAME | "
                        "--mutants]\nmutants:");
        for (size_t i = 0; i < SL_COUNT_OF(mutants); i++) {
            fprintf(stderr, " %s", mutants[i].name);
        }
        fprintf(stderr, "\n");
        return 2;
    }
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return 2;
    }
    mallopt(M_TRIM_THRESHOLD, 256 << 20); /* as sim_storage */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    if (options.mutants) {
        return mutants_run(shared, &options) ? 0 : 1;
    }
    const struct mutant *mutant = options.mutant != NULL ? mutant_find(options.mutant) : NULL;
    processes_run(shared, &options, mutant);
    report(shared, &options);
    return shared->failed == (options.mutant != NULL) ? 0 : 1;
}
