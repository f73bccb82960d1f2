/* stage_state.h: what a stage remembers of one partition of its input (sluice.state/1).
 *
 *   worker ── deltas with the result ──► state records ─► one commit unit with outputs, position
 *     ▲                                       │
 *     └── the state, in chunks of deltas ◄── __sluice_state.<instance>, an internal compacted topic
 *
 * A state record's key is the id of the input topic (16 bytes), the number of the partition
 * (4, big-endian) and the plugin's key; its value the plugin's value, null: removed. With an empty
 * plugin's key it holds the state_version of the plugin that wrote (8, big-endian). The partition
 * is one on the input's shard, chosen as that of a dead letter.
 *
 * Each call names the committed state by a token and the one after it by another, and the worker's
 * copy is in force only while both agree: whatever failed, was not committed or runs in another
 * process shows as another token, and the state is handed down again from the topic.
 *
 * A task that hands dead letters of the partition back shares it with the partition's own task:
 * from its call to the end of its commit one of them has it, the other waits.
 *
 * On the task's loop. */
#ifndef SL_STAGE_STAGE_STATE_H
#define SL_STAGE_STAGE_STATE_H

#include "stage/stage_output.h"
#include "stage/worker_port.h"

#define STAGE_STATE_KEY_HEAD 20u

struct stage_task;

/* Of one partition and instance; shared by the tasks that process its records. */
struct stage_state {
    struct sl_link link; /* in config->stores */
    uint32_t refs;       /* tasks that have it open */
    char *instance;      /* owned */
    uint32_t partition;
    struct stage_task *user;        /* a call, a commit or a hand-over of it is under way with it */
    struct sl_list waiting;         /* tasks that want to be the next user */
    const struct worker_port *port; /* which the token is of */
    uint64_t token;                 /* of what is committed */
    uint64_t next;                  /* of the call */
    uint64_t after;                 /* in force when the commit is durable; 0: token stays */
    uint32_t epoch;                 /* of the port, when it was last looked at */
    struct output_state output;
    bool has_version;    /* the topic names the state_version */
    bool writes_version; /* the commit under way does */
    uint32_t attempts;   /* that it was handed down, without a result since */

    /* While it is handed down. */
    struct partition *from; /* referenced; NULL: it is not */
    int64_t at, end;
    int64_t version;        /* found on the way; -1: none */
    struct sl_buffer chunk; /* deltas that are not sent */
    uint32_t chunk_count;
    uint32_t sent;     /* deltas that the worker has */
    int64_t stale_end; /* of mutants.state_stale */
};

/* task->store becomes that of the partition; what it was is closed. E_NO_MEMORY. */
sl_err stage_state_open(struct stage_task *task, const struct sl_uuid *topic_id,
                        uint32_t partition) SL_MUST_CHECK;
void stage_state_close(struct stage_task *task); /* also when there is none */
/* Before a call. False: another task has it, a step follows when that is done. */
bool stage_state_acquire(struct stage_task *task);
/* What the task did with it has ended. Of one that does not have it: nothing. */
void stage_state_release(struct stage_task *task);
/* The tokens of a call. */
void stage_state_submit(struct stage_task *task, struct sandbox_task *ret_task);
/* The worker says that it does not have it: a step follows. */
void stage_state_load(struct stage_task *task);
/* A step, while it is handed down. */
bool stage_state_is_loading(const struct stage_task *task);
void stage_state_step(struct stage_task *task);
/* The outputs of a result are built, its deltas among them or left out. */
void stage_state_take(struct stage_task *task, const struct sandbox_result *result);
void stage_state_committed(struct stage_task *task, bool durable);

#endif
