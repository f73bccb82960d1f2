/* stage_task.h: one partition of a stage's input, processed exactly once (DESIGN 5.2).
 *
 *   position ─► read ─► (open) ─► input batch ─► worker ─► verdicts ─► outputs ─┐
 *      ▲                                                                        ▼
 *      └────────────── durable ◄── one commit unit: outputs, dead letters, new position
 *
 * Everything happens from the committed position: whatever fails before the commit is done again
 * from there, whatever was committed is never done again. One batch is under way at a time. A slow
 * stage lags: the log is its buffer. When the worker dies of a batch or fails it as a whole, the
 * batch comes again in a fresh worker and is halved until one record is left; a record that fails
 * alone, as the first one of a worker, twice, is convicted: on_error says what becomes of it
 * (stage_errors.h).
 *
 * On the loop of the partition's shard. */
#ifndef SL_STAGE_STAGE_TASK_H
#define SL_STAGE_STAGE_TASK_H

#include "stage/stage_output.h"
#include "stage/worker_port.h"

/* Broken on purpose, for tests that must notice (tests/sim/sim_stages.c). */
struct stage_mutants {
    bool position_unlogged; /* state and outputs are committed without the position */
    bool state_unlogged;    /* position and outputs without the changes of the state */
    bool marks_unlogged;    /* outputs of a redrive without the marks of its letters */
    bool marks_alone;       /* marks without the outputs */
    bool state_stale;       /* the state is handed down as it was when it was handed down first */
    bool no_turns;          /* a redrive and the partition's task do not wait for each other */
};

/* What all tasks of an instance on one shard share; outlives them. */
struct stage_config {
    struct shard *shard;
    struct worker_port *port;
    struct output_rules rules;
    const char *output;  /* topic; "%s" stands for the input topic; "" or NULL: none */
    uint32_t timeout_ms; /* of one batch in the worker */
    /* Of the plugin; state of another one is not handed to it, but for those that it imports. */
    int64_t state_version;
    const int64_t *state_import;
    uint32_t state_import_count;
    struct stage_counts *counts;
    struct stage_watch *watch;
    struct header_room *headers; /* scratch of the loop */
    struct sl_list *stores;      /* states that tasks of this shard have open (stage_state.h) */
    void (*closed)(void *arg);   /* after each task's end */
    void *closed_arg;
    struct stage_mutants mutants;
};

struct stage_task;

/* Where a task without a stored position begins. */
#define STAGE_FROM_END   (-1)
#define STAGE_FROM_START (-2)

/* Begins work. from: STAGE_FROM_*; the position that it comes to is stored at once, so that what is
 * produced from now on is processed whatever happens. E_NO_MEMORY. */
sl_err stage_task_open(const struct stage_config *config, struct partition *partition, int64_t from,
                       struct stage_task **ret_task) SL_MUST_CHECK;
/* Ends it; what is under way is not committed, what is being committed will be. config->closed
 * follows, perhaps before the return; config is not used after it. */
void stage_task_close(struct stage_task *task);
/* The worker, the configuration or a topic changed: looks again now. */
void stage_task_wake(struct stage_task *task);

/* For the owner's list. */
struct sl_link *stage_task_link(struct stage_task *task);
struct stage_task *stage_task_of_link(struct sl_link *link);
const struct partition *stage_task_partition(const struct stage_task *task);
/* As last seen, readable from any thread. */
int64_t stage_task_position(const struct stage_task *task);
/* Timestamp of the record at the position; of a run of records that holds it, when the worker has
 * not got it yet; -1: there is none. [loop] */
int64_t stage_task_time_ms(const struct stage_task *task);
#define STAGE_STALL_WORKER "waits for the worker"
const char *stage_task_stall(const struct stage_task *task); /* static text; "" */

#endif
