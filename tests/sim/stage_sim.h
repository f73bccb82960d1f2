/* stage_sim.h: histories of a stateful stage on a simulated disk (sim_stages.c).
 *
 * A history is a disk and up to 5 runs of one or two shards on it (the machines of storage_sim.h,
 * with logs so small that state goes through checkpoints, extents and compaction all the time). A
 * run produces numbered records, processes them by a stage whose worker counts them by key in its
 * state, kills that worker, opens the stage anew, hands dead letters back. It ends in a power cut,
 * a kill, a failed write or sync, or an orderly close; on the way the disk is copied, the copy
 * loses its power, and what recovery makes of it is judged.
 *
 * What is judged needs no memory of what was done, but for what was acknowledged: outputs carry the
 * counts as the plugin saw them, so that output, state, dead letters, their marks and the position
 * must tell one story. */
#ifndef STAGE_SIM_H
#define STAGE_SIM_H

#include "storage_sim.h"
#include "verdict_items.h"

#include "stage/stage_redrive.h"
#include "stage/stage_task.h"

#define STAGE_PARTITIONS_MAX 3u
#define STAGE_KEYS           5u
#define STAGE_CYCLE          4u    /* at a count of this the key is forgotten */
#define STAGE_RECORDS_MAX    2000u /* of a partition */
#define STAGE_BATCH_RECORDS  6u
#define STAGE_BATCH_BYTES    1024u
#define STAGE_FLIGHTS        4u
#define STAGE_NAME           "stage"
#define STAGE_STATE_VERSION  7
#define STAGE_TOTAL_KEY      "total"
#define STAGE_WORKER_BYTES   (64u << 10)

struct stage_sim;

/* What the plugin remembers of a partition. */
struct stage_memory {
    uint32_t counts[STAGE_KEYS]; /* 0: the key is not there */
    uint32_t total;
};

/* The worker's copy (sandbox/worker/state_table.c). */
struct stage_scope {
    bool is_there;
    uint64_t token, token_before;
    uint32_t loaded; /* deltas */
    struct stage_memory memory, before;
};

struct stage_worker {
    struct worker_port port;
    struct stage_sim *owner;
    struct sl_loop *loop;
    struct sl_task task;
    struct sl_list queue;
    struct stage_scope scopes[STAGE_PARTITIONS_MAX];
    bool aged;
    bool is_used; /* the plugin has asked for its state */
    uint8_t items[STAGE_WORKER_BYTES];
    uint8_t deltas[STAGE_WORKER_BYTES];
    struct verdict_items verdicts; /* into items */
};

/* A task of the stage, or a redrive of one partition of its dead letters. */
struct stage_slot {
    struct stage_sim *owner;
    struct stage_config config;
    struct stage_task *task; /* NULL: none */
    bool closing;
};

struct stage_shard {
    struct header_room headers;
    struct sl_list stores;
    struct stage_counts counts;
    struct stage_worker worker;
    struct stage_slot redrive;
    struct redrive_order order;
    struct redrive_counts redrive_counts;
};

struct stage_flight {
    struct stage_sim *owner;
    struct commit commit;
    struct commit_batch batch;
    struct wal_item item;
    uint8_t data[STAGE_BATCH_BYTES];
    uint32_t partition;
    bool busy;
};

struct stage_sim_counts {
    uint64_t histories, cuts, kills, closes, failures, recoveries, cut_recoveries;
    uint64_t records, processed, dead_letters, redriven, state_loads, worker_deaths;
    uint64_t state_records, extents, compactions, records_compacted;
};

struct stage_sim {
    struct sim base; /* disk, machine, limits, seed */
    struct stage_sim_counts counts;
    struct stage_mutants mutants;
    uint32_t partitions;
    uint32_t next_id;
    uint32_t version;                    /* of the plugin: what it fails on */
    bool has_retries;                    /* on_error: retry 1 */
    int64_t acked[STAGE_PARTITIONS_MAX]; /* ends of the input */
    struct stage_shard shards[MODEL_SHARDS_MAX];
    struct stage_slot slots[STAGE_PARTITIONS_MAX];
    struct stage_flight flights[STAGE_FLIGHTS];
    bool topic_busy;
    struct sluice_topic_spec topic_spec;
};

/* stage_worker.c */
void stage_worker_init(struct stage_worker *worker, struct stage_sim *owner, struct sl_loop *loop);
void stage_worker_kill(struct stage_worker *worker); /* its copies are gone */

/* stage_judge.c: what the shards have is one story; nothing changes but the fault. */
void stage_sim_judge(struct stage_sim *sim, const struct shard_set *set);
/* … and is the history from now on. */
void stage_sim_adopt(struct stage_sim *sim, const struct shard_set *set);

#endif
