/* sim_storage.c: the storage of a whole broker under simulated power cuts: log, extents,
 * checkpoints, retention, compaction, deletion, producers, groups, stages, shards, full disks
 * (storage_sim.h). Options: sim_driver.h. */
#include "sim_driver.h"
#include "storage_sim.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- mutants ---- */

#define SWITCH(member)    0, offsetof(struct sim_mutants, member), NULL, NULL
#define UNSYNCED(path)    0, 0, path, NULL
#define UNSYNCED_DIR(end) 0, 0, NULL, end

/* Chain, incarnation and durable LSN are for what this disk does not do to a log of many segments:
 * sim_wal kills those. */
static const struct sim_mutant mutants[] = {
    {"no_sync", SWITCH(wal.no_sync), "the log is acknowledged before it is on the disk"},
    {"rename_first", SWITCH(wal.rename_first), "a segment has its name before its bytes"},
    {"no_segment_dir_sync", UNSYNCED_DIR("/wal"), "the name of a segment is not synced"},
    {"no_tail_sync", UNSYNCED(".seg"), "what a start finds is not synced before it is built on"},
    {"checkpoint_early", SWITCH(wal.checkpoint_early),
     "segments are recycled before the checkpoint is on the disk"},
    {"no_checkpoint_sync", UNSYNCED("checkpoint.tmp"), "a checkpoint is renamed before its sync"},
    {"no_extent_sync", UNSYNCED(".ext"), "a frame names an extent that is not on the disk"},
    {"no_extent_dir_sync", UNSYNCED_DIR("/ext"), "a frame names an extent whose name may be lost"},
    {"extent_no_sync", SWITCH(seal.no_sync), "both"},
    {"promote_no_sync", SWITCH(seal.promote_no_sync),
     "a segment becomes an extent without a sync of its footer"},
    {"promote_no_dir_sync", SWITCH(seal.promote_no_directory_sync),
     "a frame names a promoted segment whose name may be lost"},
    {"release_first", SWITCH(seal.release_first),
     "segments are given back before the frame that names the extent"},
    {"rewrite_drop_later", SWITCH(rewrite.drop_later),
     "what lives in a file is moved, and no frame says that the file goes"},
    {"no_margin", SWITCH(compact.no_margin), "a compacted extent does not cover what it replaces"},
    {"tombstone_early", SWITCH(compact.tombstone_early),
     "tombstones go in the round that meets them"},
    {"swap_first", SWITCH(compact.swap_first),
     "an index points at a compacted extent before its frame is on the disk"},
    {"drop_first", SWITCH(shard.drop_first),
     "an extent's file goes before the frame that drops it"},
    {"start_unlogged", SWITCH(shard.start_unlogged), "a log start rises without a frame"},
    {"no_bounds", SWITCH(shard.no_bounds), "checkpoints forget log starts"},
    {"no_producers", SWITCH(shard.no_producers), "checkpoints forget producers"},
    {"no_offsets", SWITCH(shard.no_offsets), "checkpoints forget offsets of groups"},
    {"no_messages", SWITCH(shard.no_messages), "checkpoints forget ids of messages"},
    {"no_positions", SWITCH(shard.no_positions), "checkpoints forget positions of stages"},
    {"no_superblock_sync", UNSYNCED("sluice.meta"), "the superblock is renamed before its sync"},
    {"no_folder_sync", UNSYNCED_DIR("d"), "names in the data folder are not synced"},
    {"no_shard_sync", UNSYNCED_DIR("/shard-0"), "names in a shard's folder are not synced"},
};

static void mutant_set(struct sim_mutants *switches, const struct sim_mutant *mutant)
{
    if (mutant == NULL) {
        return;
    }
    switches->no_sync_of = mutant->no_sync_of;
    switches->no_dir_sync_of = mutant->no_dir_sync_of;
    if (mutant->no_sync_of == NULL && mutant->no_dir_sync_of == NULL) {
        *(bool *)((uint8_t *)switches + mutant->at) = true;
    }
}

/* ---- what the driver asks for ---- */

static void *sim_open(const struct sim_mutant *mutant)
{
    static struct sim sim;
    memset(&sim, 0, sizeof(sim));
    sim_init(&sim);
    mutant_set(&sim.mutants, mutant);
    return &sim;
}

static void sim_close(void *arg)
{
    struct sim *sim = arg;
    sl_sim_disk_free(sim->copy);
}

static const char *history(void *arg, uint64_t seed)
{
    struct sim *sim = arg;
    sim_history(sim, seed);
    return model_is_well(&sim->model) ? NULL : sim->model.fault;
}

static const void *counts(const void *arg)
{
    return &((const struct sim *)arg)->counts;
}

static void held(const uint64_t *sums)
{
    (void)sums;
    printf("0 acknowledged lost, 0 ghosts, 0 false refusals\n");
}

#define COUNT(name, member)                       \
    {                                             \
        name, offsetof(struct sim_counts, member) \
    }

static const struct sim_count count_table[] = {
    COUNT("histories", histories),
    COUNT("power_cuts", cuts),
    COUNT("cuts_in_recovery", cut_recoveries),
    COUNT("recoveries", recoveries),
    COUNT("kills", kills),
    COUNT("closes", closes),
    COUNT("failures", failures),
    COUNT("full_disks", full_disks),
    COUNT("batches", batches),
    COUNT("acknowledged", acked),
    COUNT("stage_units", stage_units),
    COUNT("offsets", offsets),
    COUNT("reads", reads),
    COUNT("topics_deleted", topics_deleted),
    COUNT("starts_raised", starts_raised),
    COUNT("bytes_retained", bytes_retained),
    COUNT("seal_jobs", seal_jobs),
    COUNT("extents", extents),
    COUNT("promoted", promoted),
    COUNT("rewritten", rewritten),
    COUNT("compactions", compactions),
    COUNT("records_compacted", records_compacted),
};

int main(int count, char **words)
{
    static const struct sim_driver driver = {
        .name = "sim_storage",
        .cuts = 10000,
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
    _Static_assert(SL_COUNT_OF(count_table) <= SIM_COUNTS_MAX, "all are added up");
    return sim_driver_main(&driver, count, words);
}
