/* sim_failures.c: every allocation fails once, and every call of the system fails once.
 *
 *   sim_failures [--seed S] [--every N] [--steps N] [--processes P]
 *
 * A data folder of two shards is opened (which recovers it), works for a while (produces, also in
 * units of stages, commits offsets, creates and deletes topics, deletes records, seals, compacts,
 * retains, checkpoints) and is closed. That is done again for every Nth allocation of it, which
 * fails, and for every Nth call of files and directories, which fails with E_IO, E_DISK_FULL or
 * E_LIMIT (no descriptor left). Then it ends in order, or refuses, or a shard stops serving; no
 * memory is left behind; the power goes; and the next start has all that was acknowledged and
 * serves.
 *
 * The allocators of base.h are wrapped by the linker. */
#include "storage_sim.h"

#include "os/os_sim_disk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 16u
#define BUILD_STEPS   2500u

/* ---- allocations ---- */

static uint64_t countdown; /* 0: not armed */
static int64_t outstanding;

static bool fails_now(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_sl_alloc(size_t size);
void *__wrap_sl_alloc(size_t size);
void *__wrap_sl_alloc(size_t size)
{
    void *memory = fails_now() ? NULL : __real_sl_alloc(size);
    outstanding += memory != NULL;
    return memory;
}
void *__real_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size)
{
    void *memory = fails_now() ? NULL : __real_sl_alloc_zero(count, size);
    outstanding += memory != NULL;
    return memory;
}
void *__real_sl_realloc(void *memory, size_t size);
void *__wrap_sl_realloc(void *memory, size_t size);
void *__wrap_sl_realloc(void *memory, size_t size)
{
    void *grown = fails_now() ? NULL : __real_sl_realloc(memory, size);
    outstanding += grown != NULL && memory == NULL;
    return grown;
}
char *__real_sl_strdup_bytes(const void *data, size_t size);
char *__wrap_sl_strdup_bytes(const void *data, size_t size);
char *__wrap_sl_strdup_bytes(const void *data, size_t size)
{
    char *copy = fails_now() ? NULL : __real_sl_strdup_bytes(data, size);
    outstanding += copy != NULL;
    return copy;
}
void __real_sl_free(void *memory);
void __wrap_sl_free(void *memory);
void __wrap_sl_free(void *memory)
{
    outstanding -= memory != NULL;
    __real_sl_free(memory);
}

/* ---- the scenario ---- */

enum failure { ALLOCATION, CALL_IO, CALL_FULL, CALL_LIMIT, FAILURE_COUNT };
static const struct {
    const char *name;
    sl_err err;
} failures[FAILURE_COUNT] = {{"allocation", SLUICE_OK},
                             {"call: E_IO", SLUICE_E_IO},
                             {"call: E_DISK_FULL", SLUICE_E_DISK_FULL},
                             {"call: E_LIMIT", SLUICE_E_LIMIT}};

struct tally {
    uint64_t done;
    uint64_t refused; /* the start */
    uint64_t stopped; /* a shard stopped serving */
    uint64_t went_on;
    uint64_t acked;
    uint64_t count;  /* of what may fail in an undisturbed run */
    uint64_t at_sum; /* of those that failed, by their number */
};

struct shared {
    struct tally tallies[PROCESSES_MAX][FAILURE_COUNT];
    uint64_t faults;
    uint64_t at[PROCESSES_MAX]; /* under way */
    enum failure kind[PROCESSES_MAX];
};

struct campaign {
    struct sim *sim;
    struct shared *shared;
    struct storage_model saved; /* what the folder holds */
    uint64_t seed, every, steps;
    uint32_t process, processes;
    enum failure kind;
    uint64_t at;
};

static void fault(struct campaign *campaign, const char *what)
{
    if (__atomic_fetch_add(&campaign->shared->faults, 1, __ATOMIC_RELAXED) < 20) {
        printf("%s %" PRIu64 ": %s\n", failures[campaign->kind].name, campaign->at, what);
        fflush(stdout);
    }
}

static void restore(struct campaign *campaign)
{
    struct sl_buffer scratch = campaign->sim->model.scratch;
    memcpy(&campaign->sim->model, &campaign->saved, sizeof(campaign->saved));
    campaign->sim->model.scratch = scratch;
}

/* What was acknowledged is there; so is what may be there. */
static void look(struct campaign *campaign)
{
    const struct sl_sim_faults none = {0};
    struct sim *sim = campaign->sim;
    sl_err err = sim_machine_open(sim, &sim->machine, sim->copy, 11, &none);
    if (err != SLUICE_OK) {
        fault(campaign, sim->machine.problem);
    } else {
        model_judge(&sim->model, &sim->machine.set, &sim->found);
    }
    if (!model_is_well(&sim->model)) {
        fault(campaign, sim->model.fault);
    }
    sim_machine_kill(&sim->machine);
}

static bool serves(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->set.count; i++) {
        sl_err status = machine->set.shards[i]->status;
        if (status != SLUICE_OK && status != SLUICE_E_STOPPING) {
            return false;
        }
    }
    return true;
}

static void work(struct campaign *campaign, struct tally *tally)
{
    struct sim *sim = campaign->sim;
    uint64_t acked = sim->counts.acked;
    if (sim_machine_start(&sim->machine) != SLUICE_OK) {
        tally->refused++;
        return;
    }
    sim_run_work(sim, (uint32_t)campaign->steps, true);
    tally->stopped += !serves(&sim->machine);
    tally->went_on += serves(&sim->machine);
    tally->acked += sim->counts.acked - acked;
}

/* Returns what was left of the countdown. */
static uint64_t scenario(struct campaign *campaign)
{
    struct sim *sim = campaign->sim;
    struct tally *tally = &campaign->shared->tallies[campaign->process][campaign->kind];
    struct sl_sim_faults faults = {.call_error = failures[campaign->kind].err};
    bool is_call = campaign->kind != ALLOCATION;
    faults.call_fails_after = is_call ? campaign->at : 0;
    restore(campaign);
    sim->random = campaign->seed;
    sl_sim_disk_copy(sim->copy, sim->disk, 1);
    int64_t before = outstanding;
    sim->fails_after = is_call ? NULL : &countdown;
    sim->fails_at = campaign->at;
    sim->may_fail = true;
    sl_err err = sim_machine_open(sim, &sim->machine, sim->copy, 11, &faults);
    bool opened = err == SLUICE_OK;
    if (opened) {
        uint64_t armed = countdown;
        countdown = 0;
        model_judge(&sim->model, &sim->machine.set, &sim->found); /* for what follows */
        sim->model.fault[0] = '\0';                               /* a read may fail */
        countdown = armed;
        work(campaign, tally);
    } else {
        tally->refused++;
    }
    uint64_t left = is_call ? sl_os_sim_calls_left(sim->machine.os) : countdown;
    countdown = 0;
    tally->done++;
    if (!model_is_well(&sim->model)) {
        fault(campaign, sim->model.fault);
    }
    sim_acts_abandon(sim);
    sim_machine_kill(&sim->machine);
    if (outstanding != before) {
        fault(campaign, "memory is left behind");
    }
    sim->may_fail = false;
    sl_sim_disk_power_cut(sim->copy);
    look(campaign);
    return left;
}

static void run(struct campaign *campaign)
{
    for (uint32_t kind = 0; kind < FAILURE_COUNT; kind++) {
        campaign->kind = kind;
        campaign->at = UINT64_MAX;
        uint64_t count = UINT64_MAX - scenario(campaign);
        struct tally *tally = &campaign->shared->tallies[campaign->process][kind];
        uint64_t first = 1 + campaign->every * campaign->process;
        tally->count = count;
        for (uint64_t at = first; at <= count; at += campaign->every * campaign->processes) {
            campaign->at = at;
            tally->at_sum += at;
            campaign->shared->at[campaign->process] = at;
            campaign->shared->kind[campaign->process] = kind;
            scenario(campaign);
        }
    }
}

/* ---- the folder ---- */

static bool build(struct campaign *campaign)
{
    const struct sl_sim_faults none = {0};
    struct sim *sim = campaign->sim;
    sim->random = campaign->seed;
    sim->disk = sl_sim_disk_new(sim_draw64(sim));
    sim->copy = sl_sim_disk_new(0);
    model_init(&sim->model, campaign->seed, 2);
    sim_limits_draw(sim);
    sim->no_branches = true;
    sl_err err = sim_machine_open(sim, &sim->machine, sim->disk, sim_draw64(sim), &none);
    SL_ASSERT(err == SLUICE_OK);
    err = sim_machine_start(&sim->machine);
    SL_ASSERT(err == SLUICE_OK);
    sim_run_work(sim, BUILD_STEPS, true);
    sim_machine_kill(&sim->machine);
    err = sl_buffer_reserve(&sim->model.scratch, 1u << 20); /* never again */
    SL_ASSERT(err == SLUICE_OK);
    memcpy(&campaign->saved, &sim->model, sizeof(campaign->saved));
    return model_is_well(&sim->model);
}

/* ---- the program ---- */

static void report(const struct shared *shared)
{
    printf("%-20s %8s %8s %8s %8s %10s\n", "what fails once", "done", "refused", "stopped",
           "went on", "acked");
    for (uint32_t kind = 0; kind < FAILURE_COUNT; kind++) {
        struct tally sum = {0};
        for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
            const struct tally *tally = &shared->tallies[i][kind];
            sum.done += tally->done;
            sum.refused += tally->refused;
            sum.stopped += tally->stopped;
            sum.went_on += tally->went_on;
            sum.acked += tally->acked;
        }
        printf("%-20s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64 "\n",
               failures[kind].name, sum.done, sum.refused, sum.stopped, sum.went_on, sum.acked);
    }
}

/* The processes have done every Nth one, each once. */
static bool is_whole(const struct campaign *campaign, const struct shared *shared)
{
    bool whole = true;
    for (uint32_t kind = 0; kind < FAILURE_COUNT; kind++) {
        uint64_t sum = 0;
        uint64_t count = shared->tallies[0][kind].count;
        uint64_t wanted = (count + campaign->every - 1) / campaign->every;
        for (uint32_t i = 0; i < campaign->processes; i++) {
            sum += shared->tallies[i][kind].at_sum;
        }
        if (count == 0 || sum != wanted + campaign->every * (wanted * (wanted - 1) / 2)) {
            printf("%s: not every one of %" PRIu64 " failed once\n", failures[kind].name, count);
            whole = false;
        }
    }
    return whole;
}

static bool processes_run(struct campaign *campaign)
{
    pid_t children[PROCESSES_MAX];
    bool sound = true;
    fflush(stdout);
    if (campaign->processes == 1) {
        run(campaign);
        return true;
    }
    for (uint32_t i = 0; i < campaign->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            campaign->process = i;
            run(campaign);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < campaign->processes; i++) {
        int status = 0;
        if (children[i] <= 0 || waitpid(children[i], &status, 0) != children[i] || status != 0) {
            printf("%s %" PRIu64 ": the process crashed\n",
                   failures[campaign->shared->kind[i]].name, campaign->shared->at[i]);
            sound = false;
        }
    }
    return sound;
}

static bool options_read(int count, char **words, struct campaign *campaign)
{
    for (int i = 1; i + 1 < count; i += 2) {
        uint64_t value = strtoull(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--seed") == 0) {
            campaign->seed = value;
        } else if (strcmp(words[i], "--every") == 0) {
            campaign->every = value;
        } else if (strcmp(words[i], "--steps") == 0) {
            campaign->steps = value;
        } else if (strcmp(words[i], "--processes") == 0) {
            campaign->processes = (uint32_t)value;
        } else {
            return false;
        }
    }
    return count % 2 == 1 && campaign->every > 0 && campaign->processes >= 1 &&
           campaign->processes <= PROCESSES_MAX;
}

int main(int count, char **words)
{
    static struct sim sim;
    static struct campaign campaign = {
        .sim = &sim, .seed = 1, .every = 1, .steps = 1200, .processes = 1};
    if (!options_read(count, words, &campaign)) {
        fprintf(stderr, "sim_failures [--seed S] [--every N] [--steps N] [--processes P]\n");
        return 2;
    }
    campaign.shared = mmap(NULL, sizeof(*campaign.shared), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (campaign.shared == MAP_FAILED || !build(&campaign)) {
        printf("%s\n", sim.model.fault);
        return 2;
    }
    bool sound = processes_run(&campaign);
    report(campaign.shared);
    sound = is_whole(&campaign, campaign.shared) && sound;
    printf("seed %" PRIu64 ", %" PRIu64 " faults\n", campaign.seed, campaign.shared->faults);
    return sound && campaign.shared->faults == 0 ? 0 : 1;
}
