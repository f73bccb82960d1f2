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
 * On the task's loop. */
#ifndef SL_STAGE_STAGE_STATE_H
#define SL_STAGE_STAGE_STATE_H

#include "stage/stage_output.h"
#include "stage/worker_port.h"

#define STAGE_STATE_KEY_HEAD 20u

struct stage_state {
    uint64_t token; /* of what is committed */
    uint64_t next;  /* of the call */
    uint64_t after; /* in force when the commit is durable; 0: token stays */
    uint32_t epoch; /* of the port, when it was last looked at */
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
    uint32_t sent; /* deltas that the worker has */
};

struct stage_task;

void stage_state_init(struct stage_task *task);
void stage_state_fini(struct stage_task *task);
/* The tokens of a call. */
void stage_state_submit(struct stage_task *task, struct sandbox_task *ret_task);
/* The worker says that it does not have it: a step follows. */
void stage_state_load(struct stage_task *task);
/* A step, while it is handed down. */
static inline bool stage_state_is_loading(const struct stage_state *state)
{
    return state->from != NULL;
}
void stage_state_step(struct stage_task *task);
void stage_state_stop(struct stage_task *task); /* it is handed down anew when it is needed */
/* The outputs of a result are built, its deltas among them or left out. */
void stage_state_take(struct stage_task *task, const struct sandbox_result *result);
void stage_state_committed(struct stage_task *task, bool durable);

#endif
