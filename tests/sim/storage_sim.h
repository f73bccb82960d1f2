/* storage_sim.h: histories of a broker's shards on a simulated disk (sim_storage.c).
 *
 * A history is a disk and up to 5 runs of one to three shards on it, with logs so small that their
 * segments are sealed into extents and recycled all the time. A run appends (also as an idempotent
 * producer), commits offsets of groups and outputs of stages with their positions, reads, creates
 * and deletes topics, raises log starts, meets a full disk; retention and compaction go on beside.
 * At many moments of a run the disk is copied, the copy loses its power, and what recovery makes of
 * it is judged (a branch); recoveries of copies lose the power too. A run ends in a power cut, a
 * kill, a failed write or sync, or an orderly close; what is found then is the history from then
 * on. */
#ifndef STORAGE_SIM_H
#define STORAGE_SIM_H

#include "storage_model.h"

#include "broker/superblock.h"
#include "os/os_sim.h"
#include "shard/commit.h"
#include "shard/log_start.h"

#define SIM_FLIGHTS_MAX 6u

struct sim_counts {
    uint64_t histories, cuts, kills, closes, failures, full_disks, recoveries, cut_recoveries;
    uint64_t batches, acked, reads, topics_deleted, starts_raised, offsets, stage_units;
    uint64_t seal_jobs, extents, promoted, rewritten, compactions, records_compacted,
        bytes_retained;
};

/* What is broken on purpose. */
struct sim_mutants {
    struct wal_mutants wal;
    struct seal_mutants seal;
    struct compact_mutants compact;
    struct rewrite_mutants rewrite;
    struct shard_mutants shard;
    const char *no_sync_of; /* of os_sim.h */
    const char *no_dir_sync_of;
};

/* A broker's storage, as long as it has power. */
struct machine {
    struct sl_sim_disk *disk;
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_file *lock;
    struct superblock superblock;
    struct chunk_cache cache;
    struct shard_set set;
    uint32_t borrowed; /* bit n: shard n is another machine's */
    uint32_t closed_count;
    char problem[SUPERBLOCK_PROBLEM_BYTES];
};

/* A unit under way, with the memory that the log borrows. */
struct flight {
    struct sim *sim;
    struct commit commit;
    struct commit_batch batches[MODEL_OUTPUTS_MAX];
    struct wal_item items[MODEL_OUTPUTS_MAX + 1];
    struct producer_admission admission;
    struct message_entry *message; /* under way; NULL: none */
    int64_t message_expires_ms;
    uint8_t message_item[MESSAGE_ID_ITEM_SIZE];
    uint8_t data[MODEL_OUTPUTS_MAX][MODEL_BATCH_MAX];
    uint8_t position[POSITION_ITEM_BYTES_MAX];
    struct model_topic *topics[MODEL_OUTPUTS_MAX];
    struct model_partition *partitions[MODEL_OUTPUTS_MAX];
    uint32_t indices[MODEL_OUTPUTS_MAX]; /* in the partitions' lists */
    uint32_t batch_count;
    uint32_t shard; /* of a stage's unit */
    bool is_stage;
    bool busy;
};

struct reading {
    struct sim *sim;
    struct sl_job job;
    struct read_plan plan;
    uint32_t places_read; /* of the plan, from its front */
    struct partition *partition;
    struct model_partition *wanted;
    struct model_topic *topic;
    int64_t offset;
    uint8_t *bytes;
    sl_err err;
    bool busy;
};

struct raising {
    struct sim *sim;
    struct log_start start;
    struct log_start_move move;
    struct wal_item item;
    struct model_partition *partition;
    struct model_topic *topic;
    bool busy;
};

struct committing {
    struct sim *sim;
    struct sluice_offset_commit request;
    struct sluice_offset_commit_entry entry;
    struct model_topic *topic;
    struct model_offset *offset;
    bool busy;
};

struct sim {
    uint64_t seed;
    uint64_t random;
    struct sim_mutants mutants;
    struct wal_limits wal;
    uint32_t snapshot_slice;
    struct seal_limits seal;
    struct compact_limits compact;
    struct rewrite_limits rewrite;
    struct broker_settings settings;
    struct storage_model model;
    struct model_found found;
    struct sim_counts counts;
    struct sl_sim_disk *disk;
    struct sl_sim_disk *copy; /* of branches */
    struct machine machine;
    struct flight flights[SIM_FLIGHTS_MAX];
    struct reading reading;
    struct raising raising;
    struct committing committing;
    struct model_topic *topic_busy; /* created or deleted */
    bool disk_is_full;
    bool no_branches;
    bool may_fail;         /* a call of the system, or an allocation */
    uint64_t *fails_after; /* armed with fails_at when a machine is about to open; NULL: nothing */
    uint64_t fails_at;
    bool is_narrow; /* this run appends to one partition mostly: whole segments are its */
};

uint32_t sim_draw(struct sim *sim, uint32_t below);
uint64_t sim_draw64(struct sim *sim);

/* ---- storage_acts.c ---- */

void sim_act(struct sim *sim);          /* one thing that a client asks for */
void sim_acts_abandon(struct sim *sim); /* what was under way is given up */

/* ---- storage_sim.c ---- */

/* Recovery of all shards; they do not work yet. What it wants is freed by sim_machine_kill, also
 * after an error. */
sl_err sim_machine_open(struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                        uint64_t seed, const struct sl_sim_faults *faults);
/* Recovery of one shard, the others are those of `beside`, which has opened and outlives it. */
sl_err sim_machine_open_one(struct sim *sim, struct machine *machine, struct sl_sim_disk *disk,
                            uint64_t seed, const struct machine *beside, uint32_t index);
sl_err sim_machine_start(struct machine *machine);
void sim_machine_close(struct sim *sim, struct machine *machine); /* in order */
/* As when the process is killed; sim_acts_abandon comes before, for the machine that acts. */
void sim_machine_kill(struct machine *machine);
void sim_limits_draw(struct sim *sim);
void sim_run_work(struct sim *sim, uint32_t steps, bool close);
/* One history. model.fault says what was wrong. */
void sim_history(struct sim *sim, uint64_t seed);
void sim_init(struct sim *sim);

#endif
