/* storage_sim.c: see storage_sim.h: machines, runs, branches. */
#include "storage_sim.h"

#include "extent/extent_set.h"
#include "os/os_sim_disk.h"

#include <stdio.h>
#include <string.h>

#define RUNS_MAX        5u
#define RECOVERIES_MAX  4u /* of a branch, that lose the power again */
#define CLOSE_STEPS_MAX 200000u

uint64_t sim_draw64(struct sim *sim)
{
    return sim_random_next(&sim->random);
}

uint32_t sim_draw(struct sim *sim, uint32_t below)
{
    return (uint32_t)(sim_draw64(sim) % below);
}

void sim_init(struct sim *sim)
{
    sim->copy = sl_sim_disk_new(0);
}

/* ---- machines ---- */

static sl_err machine_open_shard(struct sim *sim, struct machine *machine, uint32_t index)
{
    const struct shard_config config = {.os = machine->os,
                                        .loop = machine->loop,
                                        .cache = &machine->cache,
                                        .data_directory = "d",
                                        .has_folders = true,
                                        .cluster = machine->superblock.cluster,
                                        .index = index,
                                        .set = &machine->set,
                                        .wal = sim->wal,
                                        .wal_mutants = sim->mutants.wal,
                                        .seal = sim->seal,
                                        .seal_mutants = sim->mutants.seal,
                                        .compact = sim->compact,
                                        .compact_mutants = sim->mutants.compact,
                                        .rewrite = sim->rewrite,
                                        .rewrite_mutants = sim->mutants.rewrite,
                                        .mutants = sim->mutants.shard,
                                        .snapshot_slice = sim->snapshot_slice,
                                        .settings = &sim->settings,
                                        .expanded_bytes_max = 1u << 20};
    const struct shard *source = index > 0 ? machine->set.shards[0] : NULL;
    struct shard *shard = NULL;
    sl_err err = shard_open(&config, source, &shard, machine->problem);
    if (err != SLUICE_OK) {
        return err;
    }
    machine->set.shards[index] = shard;
    machine->set.count = SL_MAX(machine->set.count, index + 1);
    machine->borrowed &= ~(1u << index);
    if (shard->status != SLUICE_OK) {
        snprintf(machine->problem, sizeof(machine->problem), "%s", shard->recovery.problem);
    }
    return shard->status;
}

static void machine_begin(const struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                          uint64_t seed, const struct sl_sim_faults *faults)
{
    machine->disk = disk;
    machine->closed_count = 0;
    machine->set.count = 0;
    machine->borrowed = 0;
    machine->problem[0] = '\0';
    machine->lock = NULL;
    struct sl_sim_faults all = *faults;
    all.no_sync_of = sim->mutants.no_sync_of;
    all.no_dir_sync_of = sim->mutants.no_dir_sync_of;
    sl_err err = sl_os_sim_new(seed, disk, &all, &machine->os);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_loop_new(machine->os, "sim", -1, &machine->loop);
    SL_ASSERT(err == SLUICE_OK);
    chunk_cache_init(&machine->cache, machine->loop, 64u << 20);
}

/* Recovery of all shards; they do not work yet. */
sl_err sim_machine_open(struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                        uint64_t seed, const struct sl_sim_faults *faults)
{
    machine_begin(sim, machine, disk, seed, faults);
    if (sim->fails_after != NULL) {
        *sim->fails_after = sim->fails_at;
        sim->fails_after = NULL;
    }
    sl_err err = superblock_open(machine->os, "d", sim->model.shard_count, &machine->superblock,
                                 &machine->lock, machine->problem);
    for (uint32_t i = 0; i < sim->model.shard_count && err == SLUICE_OK; i++) {
        uint32_t open = machine->set.count;
        err = machine_open_shard(sim, machine, i);
        if (sim->model.is_damaged && machine->set.count > open) {
            err = SLUICE_OK; /* that one refuses; the others serve */
        }
    }
    return err;
}

sl_err sim_machine_open_one(struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                            uint64_t seed, const struct machine *beside, uint32_t index)
{
    const struct sl_sim_faults none = {0};
    machine_begin(sim, machine, disk, seed, &none);
    machine->superblock = beside->superblock;
    machine->set = beside->set;
    machine->borrowed = (1u << beside->set.count) - 1;
    sl_err err = machine_open_shard(sim, machine, index);
    return (machine->borrowed & 1u << index) == 0 ? SLUICE_OK : err; /* that one refuses */
}

sl_err sim_machine_start(struct machine *machine)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < machine->set.count && err == SLUICE_OK; i++) {
        err = shard_start(machine->set.shards[i]);
    }
    return err;
}

/* As when the process is killed; sim_acts_abandon comes before. */
void sim_machine_kill(struct machine *machine)
{
    sl_os_sim_abandon(machine->os);
    for (uint32_t i = 0; i < machine->set.count; i++) {
        struct shard *shard = machine->set.shards[i];
        if ((machine->borrowed & 1u << i) == 0) {
            shard->timer = sl_timer_free(shard->timer);
            shard_free(shard);
        }
    }
    sl_file_close(machine->lock);
    machine->cache.used_bytes = 0;
    chunk_cache_fini(&machine->cache);
    sl_loop_free(machine->loop);
    sl_os_free(machine->os);
}

static void on_closed(void *arg)
{
    ((struct machine *)arg)->closed_count++;
}

static bool machine_is_closed(const struct machine *machine)
{
    return machine->closed_count == machine->set.count;
}

void sim_machine_close(struct sim *sim, struct machine *machine)
{
    for (uint32_t i = 0; i < machine->set.count; i++) {
        shard_stop(machine->set.shards[i], on_closed, machine);
    }
    for (uint32_t i = 0; i < CLOSE_STEPS_MAX && !machine_is_closed(machine); i++) {
        if (!sl_os_sim_step(machine->os)) {
            break;
        }
    }
    if (!machine_is_closed(machine) && !sl_os_sim_power_is_off(machine->os)) {
        model_fault(&sim->model, "the shards never stopped");
    }
}

static bool machine_serves(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->set.count; i++) {
        if (machine->set.shards[i]->status != SLUICE_OK) {
            return false;
        }
    }
    return true;
}

static void machine_count(struct sim *sim, const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->set.count; i++) {
        const struct shard *shard = machine->set.shards[i];
        struct seal_status seal;
        struct compact_status compact;
        struct rewrite_status rewrite;
        seal_status_get(shard, &seal);
        compact_status_get(shard, &compact);
        sim->counts.seal_jobs += seal.jobs;
        sim->counts.extents += seal.extents;
        sim->counts.promoted += seal.promoted;
        rewrite_status_get(shard, &rewrite);
        sim->counts.rewritten += rewrite.extents;
        sim->counts.compactions += compact.jobs;
        sim->counts.records_compacted += compact.records_removed;
        sim->counts.bytes_retained += shard->bytes_removed;
    }
}

/* ---- recovery ---- */

static bool is_excused(const struct sim *sim, const struct machine *machine,
                       const struct sl_sim_faults *faults)
{
    return sl_os_sim_power_is_off(machine->os) || faults->sync_fails_after > 0 ||
           faults->write_fails_after > 0 || sim->disk_is_full;
}

/* Returns whether the shards serve; what they have is in sim->found. The machine is open in any
 * case. */
static bool recover(struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                    uint64_t seed, const struct sl_sim_faults *faults)
{
    sl_err err = sim_machine_open(sim, machine, disk, seed, faults);
    if (err != SLUICE_OK && is_excused(sim, machine, faults)) {
        sim->counts.cut_recoveries++;
        return false;
    }
    if (err != SLUICE_OK) {
        model_fault(&sim->model, "refused with %d: %.180s", err, machine->problem);
        return false;
    }
    model_judge(&sim->model, &machine->set, &sim->found);
    sim->counts.recoveries++;
    if (sl_os_sim_power_is_off(machine->os)) { /* reads fail then, which is no fault */
        sim->model.fault[0] = '\0';
        return false;
    }
    return model_is_well(&sim->model);
}

/* What if the power went now? The copy is recovered, cut off in its recovery more than once, maybe;
 * the run goes on as if nothing had happened. */
static void branch(struct sim *sim)
{
    bool was_full = sim->disk_is_full;
    sl_sim_disk_copy(sim->copy, sim->machine.disk, sim_draw64(sim));
    if (was_full) {
        sl_sim_disk_set_capacity(sim->copy, UINT64_MAX);
        sim->disk_is_full = false;
    }
    bool cut = true;
    for (uint32_t i = 0; i < RECOVERIES_MAX && cut && model_is_well(&sim->model); i++) {
        struct machine machine;
        struct sl_sim_faults faults = {0};
        sl_sim_disk_power_cut(sim->copy);
        sim->counts.cuts++;
        cut = i + 1 < RECOVERIES_MAX && sim_draw(sim, 3) == 0;
        faults.power_cut_after = cut ? 1 + sim_draw(sim, 24) : 0;
        recover(sim, &machine, sim->copy, sim_draw64(sim), &faults);
        sim_machine_kill(&machine);
    }
    sim->disk_is_full = was_full;
}

/* ---- one run ---- */

static void fill_disk(struct sim *sim)
{
    struct sl_sim_disk *disk = sim->machine.disk;
    sim->disk_is_full = !sim->disk_is_full;
    uint64_t room = (uint64_t)sim_draw(sim, 8) * 8192;
    sl_sim_disk_set_capacity(disk, sim->disk_is_full ? disk->used_bytes + room : UINT64_MAX);
    sim->counts.full_disks += sim->disk_is_full;
}

void sim_run_work(struct sim *sim, uint32_t steps, bool close)
{
    struct machine *machine = &sim->machine;
    sim->is_narrow = sim_draw(sim, 2) == 0;
    uint32_t rate = 1 + sim_draw(sim, 5);
    uint32_t cut_rate = 32u << sim_draw(sim, 3);
    uint32_t full_rate = sim_draw(sim, 8) == 0 && !sim->no_branches ? 200 : UINT32_MAX;
    for (uint32_t i = 0; i < steps; i++) {
        if (sl_os_sim_power_is_off(machine->os) || !model_is_well(&sim->model)) {
            return;
        }
        if (machine_serves(machine) && sim_draw(sim, rate) == 0) {
            sim_act(sim);
        }
        if (sim_draw(sim, full_rate) == 0) {
            fill_disk(sim);
        }
        sl_os_sim_step(machine->os);
        if (sim_draw(sim, cut_rate) == 0 && !sim->no_branches) {
            branch(sim);
        }
    }
    if (close && model_is_well(&sim->model) && !sl_os_sim_power_is_off(machine->os)) {
        sim_machine_close(sim, machine);
    }
}

static struct sl_sim_faults faults_draw(struct sim *sim)
{
    struct sl_sim_faults faults = {.reads_are_cold = sim_draw(sim, 3) == 0};
    static const uint32_t mosts[] = {60, 300, 600, 2000};
    uint32_t most = mosts[sim_draw(sim, 4)];
    uint32_t kind = sim_draw(sim, 16);
    if (kind < 8) {
        faults.power_cut_after = 1 + sim_draw(sim, most);
    } else if (kind == 8) {
        faults.sync_fails_after = 1 + sim_draw(sim, 200);
    } else if (kind == 9) {
        faults.write_fails_after = 1 + sim_draw(sim, 200);
    }
    return faults;
}

static void run(struct sim *sim)
{
    struct machine *machine = &sim->machine;
    struct sl_sim_faults faults = faults_draw(sim);
    bool close = faults.power_cut_after == 0 && sim_draw(sim, 2) == 0;
    if (recover(sim, machine, sim->disk, sim_draw64(sim), &faults)) {
        model_adopt(&sim->model, &sim->found);
        if (sim_machine_start(machine) == SLUICE_OK) {
            sim_run_work(sim, 100 + sim_draw(sim, sim_draw(sim, 4) == 0 ? 3000 : 800), close);
        }
    }
    /* A kill leaves all that was written; amid any operation, when the power seemed to go. */
    bool closed = machine->set.count > 0 && machine_is_closed(machine);
    bool off = sl_os_sim_power_is_off(machine->os);
    bool cut = off ? sim_draw(sim, 4) > 0 : !closed && sim_draw(sim, 2) == 0;
    sim->counts.closes += closed;
    sim->counts.failures += faults.sync_fails_after > 0 || faults.write_fails_after > 0;
    sim->counts.kills += !cut && !closed;
    sim->counts.cuts += cut;
    machine_count(sim, machine);
    sl_os_sim_abandon(machine->os);
    sim_acts_abandon(sim);
    sim_machine_kill(machine);
    if (cut) {
        sl_sim_disk_power_cut(sim->disk);
    }
    sl_sim_disk_set_capacity(sim->disk, UINT64_MAX);
    sim->disk_is_full = false;
}

void sim_limits_draw(struct sim *sim)
{
    uint64_t segment = 4096u * (5 + sim_draw(sim, 6));
    sim->wal = (struct wal_limits){.segment_bytes = segment,
                                   .bytes_max = segment * (6 + sim_draw(sim, 4)),
                                   .group_bytes_max = 4096u << sim_draw(sim, 2),
                                   .frame_bytes_max = 12288,
                                   .spare_segments = sim_draw(sim, 3),
                                   .idle_mark_ms = sim_draw(sim, 2) * 50,
                                   .reach_bytes = sim_draw(sim, 3) * 4096u,
                                   .checkpoint_chunk_bytes =
                                       sim_draw(sim, 2)}; /* 1: after every slice time passes */
    sim->snapshot_slice = sim_draw(sim, 4);
    sim->seal = (struct seal_limits){.seal_bytes = segment * (1 + sim_draw(sim, 2)),
                                     .age_max_ms = 1 + sim_draw(sim, 1000),
                                     .job_bytes_max = segment * (1 + sim_draw(sim, 3)),
                                     .own_file_bytes = 2000u << sim_draw(sim, 5),
                                     .promote_percent = 40 + 20 * sim_draw(sim, 4),
                                     .promote_run_bytes = 1u << sim_draw(sim, 12)};
    static const int64_t erase_ms[] = {0, 1, 100, 10000};
    sim->rewrite = (struct rewrite_limits){.erase_max_ms = erase_ms[sim_draw(sim, 4)],
                                           .bytes_per_s = 1u << (16 + sim_draw(sim, 12)),
                                           .job_bytes = 4096u << sim_draw(sim, 6),
                                           .interval_ms = 1 + sim_draw(sim, 100)};
    sim->compact = (struct compact_limits){.round_bytes = 1000u << sim_draw(sim, 6),
                                           .round_runs = 1 + sim_draw(sim, 16)};
    broker_settings_init(&sim->settings);
    sim->settings.retention_ms = -1; /* the clock of a simulation jumps */
    sim->settings.retention_check_interval_ms = 1 + sim_draw(sim, 50);
    sim->settings.compaction_check_interval_ms = 1 + sim_draw(sim, 50);
    sim->settings.compaction_buffer_bytes = 4096;
    sim->settings.min_dirty_ratio = 0.01;
    sim->settings.group_initial_delay_ms = 0;
}

/* Everything is given back in the end. */
static void judge_rest(struct sim *sim)
{
    for (uint32_t i = 0; i < 300; i++) {
        sl_os_sim_step(sim->machine.os);
    }
    for (uint32_t i = 0; i < sim->machine.set.count; i++) {
        struct extent_set_status status;
        extent_set_status_get(sim->machine.set.shards[i]->extents, &status);
        if (status.live_bytes > status.file_bytes) {
            model_fault(&sim->model, "extents hold more than they have");
        }
    }
    sim_machine_close(sim, &sim->machine);
}

void sim_history(struct sim *sim, uint64_t seed)
{
    const struct sl_sim_faults none = {0};
    sim->seed = seed;
    sim->random = seed;
    sim->disk = sl_sim_disk_new(sim_draw64(sim));
    uint32_t kind = sim_draw(sim, 8);
    model_init(&sim->model, seed, kind < 4 ? 1 : kind < 7 ? 2 : 3);
    sim_limits_draw(sim);
    uint32_t runs = 1 + sim_draw(sim, RUNS_MAX);
    for (uint32_t i = 0; i < runs && model_is_well(&sim->model); i++) {
        run(sim);
    }
    if (model_is_well(&sim->model)) {
        bool serves = recover(sim, &sim->machine, sim->disk, sim_draw64(sim), &none);
        if (serves && sim_machine_start(&sim->machine) == SLUICE_OK) {
            judge_rest(sim);
        }
        sim_machine_kill(&sim->machine);
    }
    model_fini(&sim->model);
    sim->disk = sl_sim_disk_free(sim->disk);
    sim->counts.histories++;
}
