/* sim_stages.c: a stateful stage and the redrive of its dead letters under simulated power cuts,
 * kills, failed writes and syncs (stage_sim.h): each record counts once, whatever happens. Options:
 * sim_driver.h. */
#include "sim_driver.h"
#include "stage_acts.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX       5u
#define RECOVERIES_MAX 3u /* of a branch, that lose the power again */

/* ---- mutants ---- */

#define IN_STAGE           0u
#define IN_STORAGE         1u
#define OF_STAGE(member)   IN_STAGE, offsetof(struct stage_mutants, member), NULL, NULL
#define OF_STORAGE(member) IN_STORAGE, offsetof(struct sim_mutants, member), NULL, NULL

static const struct sim_mutant mutants[] = {
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

static void mutant_set(struct stage_sim *sim, const struct sim_mutant *mutant)
{
    if (mutant != NULL) {
        uint8_t *switches =
            mutant->block == IN_STORAGE ? (uint8_t *)&sim->base.mutants : (uint8_t *)&sim->mutants;
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

static void history_run(struct stage_sim *sim, uint64_t seed)
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

/* ---- what the driver asks for ---- */

static void *sim_open(const struct sim_mutant *mutant)
{
    static struct stage_sim sim;
    memset(&sim, 0, sizeof(sim));
    sim_init(&sim.base);
    mutant_set(&sim, mutant);
    return &sim;
}

static void sim_close(void *arg)
{
    struct stage_sim *sim = arg;
    sl_sim_disk_free(sim->base.copy);
}

static const char *history(void *arg, uint64_t seed)
{
    struct stage_sim *sim = arg;
    history_run(sim, seed);
    return model_is_well(model_of(sim)) ? NULL : model_of(sim)->fault;
}

static const void *counts(const void *arg)
{
    return &((const struct stage_sim *)arg)->counts;
}

enum {
    HISTORIES,
    CUTS,
    CUT_RECOVERIES,
    RECOVERIES,
    KILLS,
    CLOSES,
    FAILURES,
    RECORDS,
    PROCESSED,
    DEAD_LETTERS,
    REDRIVEN,
    STATE_LOADS,
    WORKER_DEATHS,
    STATE_RECORDS,
    EXTENTS,
    COMPACTIONS,
    RECORDS_COMPACTED,
    COUNTS
};
#define COUNT(name, member)                             \
    {                                                   \
        name, offsetof(struct stage_sim_counts, member) \
    }

static const struct sim_count count_table[COUNTS] = {
    [HISTORIES] = COUNT("histories", histories),
    [CUTS] = COUNT("power_cuts", cuts),
    [CUT_RECOVERIES] = COUNT("cuts_in_recovery", cut_recoveries),
    [RECOVERIES] = COUNT("recoveries", recoveries),
    [KILLS] = COUNT("kills", kills),
    [CLOSES] = COUNT("closes", closes),
    [FAILURES] = COUNT("failures", failures),
    [RECORDS] = COUNT("records", records),
    [PROCESSED] = COUNT("processed", processed),
    [DEAD_LETTERS] = COUNT("dead_letters", dead_letters),
    [REDRIVEN] = COUNT("redriven", redriven),
    [STATE_LOADS] = COUNT("state_loads", state_loads),
    [WORKER_DEATHS] = COUNT("worker_deaths", worker_deaths),
    [STATE_RECORDS] = COUNT("state_records", state_records),
    [EXTENTS] = COUNT("extents", extents),
    [COMPACTIONS] = COUNT("compactions", compactions),
    [RECORDS_COMPACTED] = COUNT("records_compacted", records_compacted),
};

static void held(const uint64_t *sums)
{
    printf("%" PRIu64 " power cuts, %" PRIu64 " records processed, %" PRIu64
           " dead letters handed back, %" PRIu64 " deaths of workers: each record counted once\n",
           sums[CUTS], sums[PROCESSED], sums[REDRIVEN], sums[WORKER_DEATHS]);
}

int main(int count, char **words)
{
    static const struct sim_driver driver = {
        .name = "sim_stages",
        .cuts = 2000,
        .mutants = mutants,
        .mutant_count = SL_COUNT_OF(mutants),
        .open = sim_open,
        .close = sim_close,
        .history = history,
        .counts = counts,
        .count_table = count_table,
        .count_count = SL_COUNT_OF(count_table),
        .held = held,
    };
    _Static_assert(COUNTS <= SIM_COUNTS_MAX, "all are added up");
    return sim_driver_main(&driver, count, words);
}
