/* sim_storage.c: the storage of a whole broker under simulated power cuts: log, extents,
 * checkpoints, retention, compaction, deletion, producers, groups, stages, shards, full disks
 * (storage_sim.h).
 *
 *   sim_storage [--cuts N] [--seed S] [--processes P] [--mutant NAME | --mutants] [--json]
 *
 * Histories are taken from seed S on until N power cuts were recovered from and judged; P processes
 * share them (0: this one does it, for debuggers). Exit status 0: all held; with --mutant: the
 * broken storage was caught; with
 * --mutants: each of the table was, within N cuts, and which seed caught it is printed. When
 * something is wrong the history's seed is printed; `--cuts 1 --seed THAT` replays it. */
#include "storage_sim.h"

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

#define PROCESSES_MAX 16u

/* ---- mutants ---- */

struct mutant {
    const char *name;
    size_t at;              /* of its switch in struct sim_mutants … */
    const char *no_sync_of; /* … or what the disk does not sync (os_sim.h) */
    const char *no_dir_sync_of;
    const char *what;
};
#define SWITCH(member)    offsetof(struct sim_mutants, member), NULL, NULL
#define UNSYNCED(path)    0, path, NULL
#define UNSYNCED_DIR(end) 0, NULL, end

/* Chain, incarnation and durable LSN are for what this disk does not do to a log of many segments:
 * sim_wal kills those. */
static const struct mutant mutants[] = {
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

static const struct mutant *mutant_find(const char *name)
{
    for (size_t i = 0; i < SL_COUNT_OF(mutants); i++) {
        if (strcmp(mutants[i].name, name) == 0) {
            return &mutants[i];
        }
    }
    return NULL;
}

static void mutant_set(struct sim_mutants *switches, const struct mutant *mutant)
{
    memset(switches, 0, sizeof(*switches));
    if (mutant == NULL) {
        return;
    }
    switches->no_sync_of = mutant->no_sync_of;
    switches->no_dir_sync_of = mutant->no_dir_sync_of;
    if (mutant->no_sync_of == NULL && mutant->no_dir_sync_of == NULL) {
        *(bool *)((uint8_t *)switches + mutant->at) = true;
    }
}

/* ---- processes ---- */

struct options {
    uint64_t cuts;
    uint64_t seed;
    uint64_t processes;
    const char *mutant;
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
    struct sim_counts counts[PROCESSES_MAX];
    uint64_t seeds[PROCESSES_MAX]; /* under way */
    double seconds[PROCESSES_MAX];
};

static void note_failure(struct shared *shared, const struct sim *sim)
{
    bool expected = false;
    if (__atomic_compare_exchange_n(&shared->failed, &expected, true, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        shared->failed_seed = sim->seed;
        shared->failed_cuts = shared->cuts;
        memcpy(shared->fault, sim->model.fault, sizeof(shared->fault));
    }
}

static void process_run(struct shared *shared, uint32_t index, const struct options *options,
                        const struct mutant *mutant)
{
    static struct sim sim;
    struct timespec end;
    struct timespec begin;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    memset(&sim, 0, sizeof(sim));
    sim_init(&sim);
    mutant_set(&sim.mutants, mutant);
    while (__atomic_load_n(&shared->cuts, __ATOMIC_RELAXED) < options->cuts &&
           !__atomic_load_n(&shared->failed, __ATOMIC_RELAXED)) {
        uint64_t cuts = sim.counts.cuts;
        shared->seeds[index] = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_RELAXED);
        sim_history(&sim, shared->seeds[index]);
        __atomic_fetch_add(&shared->cuts, sim.counts.cuts - cuts, __ATOMIC_RELAXED);
        if (!model_is_well(&sim.model)) {
            note_failure(shared, &sim);
        }
    }
    sl_sim_disk_free(sim.copy);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    shared->counts[index] = sim.counts;
    shared->seconds[index] =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

/* An assertion that failed is a failure of the history under way. */
static void process_wait(struct shared *shared, uint32_t index, pid_t child)
{
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0) {
        return;
    }
    if (!shared->failed) {
        shared->failed = true;
        shared->failed_seed = shared->seeds[index];
        shared->failed_cuts = shared->cuts;
        snprintf(shared->fault, sizeof(shared->fault), "a process crashed");
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
            options->mutant = value;
        } else {
            return false;
        }
        i++;
    }
    return options->processes <= PROCESSES_MAX &&
           (options->mutant == NULL || mutant_find(options->mutant) != NULL);
}

static struct sim_counts counts_sum(const struct shared *shared, double *ret_seconds)
{
    struct sim_counts sum = {0};
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
    struct sim_counts c = counts_sum(shared, &seconds);
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
                 {"full_disks", c.full_disks},
                 {"batches", c.batches},
                 {"acknowledged", c.acked},
                 {"stage_units", c.stage_units},
                 {"offsets", c.offsets},
                 {"reads", c.reads},
                 {"topics_deleted", c.topics_deleted},
                 {"starts_raised", c.starts_raised},
                 {"bytes_retained", c.bytes_retained},
                 {"seal_jobs", c.seal_jobs},
                 {"extents", c.extents},
                 {"promoted", c.promoted},
                 {"rewritten", c.rewritten},
                 {"compactions", c.compactions},
                 {"records_compacted", c.records_compacted},
                 {"cuts_per_cpu_second", seconds > 0 ? (uint64_t)((double)c.cuts / seconds) : 0}};
    const char *mutant = options->mutant != NULL ? options->mutant : "none";
    printf(options->json ? "{\"mutant\":\"%s\"" : "mutant %s", mutant);
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        printf(options->json ? ",\"%s\":%" PRIu64 : ", %s %" PRIu64, table[i].name, table[i].value);
    }
    if (!shared->failed) {
        printf(options->json ? ",\"failure\":null}\n"
                             : "\n0 acknowledged lost, 0 ghosts, 0 false refusals\n");
    } else {
        printf(options->json ? ",\"failure\":\"%s\",\"failure_seed\":%" PRIu64 "}\n"
                             : "\n%s; replay: --cuts 1 --seed %" PRIu64 "\n",
               shared->fault, shared->failed_seed);
    }
}

/* Each must be caught, be it by an assertion. */
static bool mutants_run(struct shared *shared, const struct options *options)
{
    uint32_t alive = 0;
    printf("%-22s %-10s %8s %8s  %s\n", "mutant", "", "seed", "cuts", "what it breaks; the fault");
    for (size_t i = 0; i < SL_COUNT_OF(mutants); i++) {
        processes_run(shared, options, &mutants[i]);
        alive += !shared->failed;
        printf("%-22s %-10s %8" PRIu64 " %8" PRIu64 "  %s; %s\n", mutants[i].name,
               shared->failed ? "killed" : "SURVIVED", shared->failed_seed,
               shared->failed ? shared->failed_cuts : shared->cuts, mutants[i].what,
               shared->failed ? shared->fault : "none");
        fflush(stdout);
    }
    printf("%zu mutants, %u survived\n", SL_COUNT_OF(mutants), alive);
    return alive == 0;
}

int main(int count, char **words)
{
    struct options options = {.cuts = 10000, .seed = 1, .processes = 1};
    if (!options_read(count, words, &options)) {
        fprintf(stderr, "sim_storage [--cuts N] [--seed S] [--processes P] [--json] "
                        "[--mutant NAME | --mutants]\nmutants:");
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
    mallopt(M_TRIM_THRESHOLD,
            256 << 20); /* each history would give memory back and take it again */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    if (options.mutants) {
        return mutants_run(shared, &options) ? 0 : 1;
    }
    const struct mutant *mutant = options.mutant != NULL ? mutant_find(options.mutant) : NULL;
    processes_run(shared, &options, mutant);
    report(shared, &options);
    return shared->failed == (options.mutant != NULL) ? 0 : 1;
}
