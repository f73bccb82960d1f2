/* stage_task_state.h: struct stage_task and what its files ask of each other. For the stage_*.c of
 * this room alone; on the loop of the partition's shard. */
#ifndef SL_STAGE_STAGE_TASK_STATE_H
#define SL_STAGE_STAGE_TASK_STATE_H

#include "stage/stage_redrive.h"
#include "stage/stage_state.h"
#include "stage/stage_task.h"

enum task_state {
    TASK_IDLE,       /* at the end of the log */
    TASK_READING,    /* a helper reads or opens */
    TASK_WORKING,    /* the worker has the input */
    TASK_TOPIC,      /* a topic is being made */
    TASK_COMMITTING, /* outputs and position on their way to the disk */
    TASK_WAITING,    /* for a timer */
    TASK_PAUSED,     /* until it is woken by its owner */
};

struct stage_task {
    struct sl_link link;
    const struct stage_config *config;
    struct partition *partition; /* referenced */
    struct sl_uuid input_id;     /* of its topic, which may be gone */
    struct partition_observer observer;
    enum task_state state;
    bool closing;
    int64_t position; /* committed: everything before it is done */
    struct sl_task step;
    struct sl_timer *timer;
    uint32_t backoff_ms;

    /* What was read: whole batches from `cut.data + cursor` on. */
    struct sl_buffer read;
    struct sl_bytes cut;
    size_t cursor;
    uint32_t forgotten;      /* txn_log_forgotten when it was read */
    struct sl_buffer opened; /* records of the batch at the cursor */
    bool is_opened;
    sl_err open_err;
    struct sl_job job;
    struct read_plan *plan; /* of a job */
    struct batch_view job_view;
    size_t expanded_bytes_max;
    sl_err job_err;

    struct stage_input input;
    struct worker_call call;
    uint32_t records_max; /* adapts to how long the worker takes */

    /* Poison: the suspect range ends before suspect_end; limit halves with each failure. */
    uint32_t failures; /* of the record at the position, alone in a fresh worker */
    uint32_t limit;    /* records of a suspect batch; 0: no suspicion */
    int64_t suspect_end;
    bool fresh; /* the next call needs a worker that has done nothing yet */
    /* By a worker's word `lead` records go before the one that it died of, which is alone then. */
    bool aimed;
    uint32_t lead;
    int64_t doubt_end; /* such a word was wrong: none is taken for records before this offset */
    /* on_error: retry. */
    int64_t tries_offset; /* the record that failed `tries` times */
    uint32_t tries;

    /* A result that waits for a topic. */
    struct sandbox_result saved;
    uint8_t *saved_items; /* owned; the deltas behind */
    bool condemned; /* the saved input's first record goes to the dead letters, with failure_text */
    char failure_text[STAGE_REASON_BYTES];
    char topic_name[TOPIC_NAME_BYTES_MAX + 1u];
    struct sluice_topic_spec topic_spec;

    struct stage_output output;
    char output_name[TOPIC_NAME_BYTES_MAX + 1u];
    struct commit commit;
    struct commit_batch *commit_batches; /* owned */
    struct wal_item *commit_items;       /* owned */
    uint32_t commit_capacity;
    uint8_t payload[POSITION_ITEM_BYTES_MAX];
    size_t payload_size;
    int64_t next_position; /* in force when the commit is durable */
    uint64_t commit_records;
    struct stage_redrive *redrive; /* owned; NULL: it reads its input, not dead letters */

    struct stage_state *store; /* sluice.state/1; referenced; NULL: its records have none */
    struct sl_link store_wait; /* in store->waiting */

    /* Published. */
    _Atomic int64_t seen_position;
    int64_t input_time_ms; /* of the first record that the worker got last */
    int64_t input_end;     /* where that input ends */
    const char *_Atomic stall;
};

/* stage_task.c */
static inline struct shard *stage_task_shard(const struct stage_task *task)
{
    return task->config->shard;
}
/* The next step comes in a turn of the loop. */
void stage_task_step_later(struct stage_task *task);
/* The next step comes after a wait that doubles; stall: static text for the metrics. */
void stage_task_back_off(struct stage_task *task, const char *stall);
void stage_task_set_stall(struct stage_task *task, const char *text); /* static text */
/* The position, for other threads. */
void stage_task_publish(struct stage_task *task);
void stage_task_log(const struct stage_task *task, enum sl_log_level level, const char *message,
                    const char *reason);
/* The stage as a whole pauses; what is built is committed or forgotten before. */
void stage_task_pause(struct stage_task *task, enum stage_pause cause);
/* It stops until it is woken; a redrive ends with err and why. stall: static text. */
void stage_task_stand(struct stage_task *task, sl_err err, const char *why, const char *stall);
/* The default output of records of the topic. */
void stage_task_name_output(struct stage_task *task, struct sl_bytes topic);
/* Without a first step; from: where it goes on. E_NO_MEMORY. */
sl_err stage_task_new(const struct stage_config *config, struct partition *partition,
                      struct stage_task **ret_task) SL_MUST_CHECK;
/* For callbacks, first: true: the task was closed meanwhile and must not be touched again. */
bool stage_task_ended(struct stage_task *task);

/* stage_read.c */
void stage_read_start(struct stage_task *task); /* from the position on; a step follows */
void stage_read_forget(struct stage_task *task);
enum gathered {
    GATHERED,
    GATHER_LATER,   /* something else goes on, a step follows */
    GATHER_NOTHING, /* no records up to the end of what was read */
};
enum gathered stage_read_gather(struct stage_task *task); /* fills the input from the cursor on */
/* The records of a batch. False: a helper opens it, a step follows. */
bool stage_read_open(struct stage_task *task, const struct batch_view *view,
                     struct sl_bytes *ret_records, sl_err *ret_err);

/* stage_topic.c */
/* Makes it; the step, the saved result or the conviction that waited for it goes on after that. */
void stage_topic_make(struct stage_task *task, const char *name);
/* The default output exists. False: it is being made. */
bool stage_topic_have_output(struct stage_task *task);

/* stage_commit.c: the outputs are built (none is fine); everything up to `next` is done with them,
 * `records` of the input are counted. */
void stage_commit_start(struct stage_task *task, int64_t next, uint64_t records);

/* stage_call.c */
void stage_call_submit(struct stage_task *task); /* the input to the worker */
/* Builds the outputs and commits. [borrows result] for the call */
void stage_call_take_result(struct stage_task *task, const struct sandbox_result *result);
/* What follows when a result was not taken to its end and the part before is committed. */
void stage_call_halt(struct stage_task *task, enum output_halt halt);
/* `records` of the input are done with, durably. */
void stage_call_advance(struct stage_task *task, uint64_t records);
/* No record is under suspicion any more. */
void stage_call_acquit(struct stage_task *task);
/* on_error for the one record of the input, with failure_text. */
void stage_call_condemn(struct stage_task *task);

/* stage_redrive.c: a task of dead letters; see stage_redrive.h. */
enum gathered stage_redrive_gather(struct stage_task *task);
/* The end, one way or the other: the owner is told in a turn of the loop. text: "" or why. */
void stage_redrive_finish(struct stage_task *task, sl_err err, const char *text);
void stage_redrive_free(struct stage_redrive *redrive);     /* NULL is fine */
bool stage_redrive_forwards(const struct stage_task *task); /* to another topic, no worker */
void stage_redrive_forward(struct stage_task *task);        /* outputs and commit */
int64_t stage_redrive_end(const struct stage_task *task);   /* of what it reads */
struct topic *stage_redrive_topic(const struct stage_task *task, uint32_t *ret_partition);
const uint32_t *stage_redrive_counts(const struct stage_task *task);
/* The state of the partition that the letters of the input are from. E_NO_MEMORY. */
sl_err stage_redrive_open_state(struct stage_task *task) SL_MUST_CHECK;
int64_t stage_redrive_offset(const struct stage_task *task, uint32_t index); /* of a letter */
/* The first `records` of the input are dealt with. E_NO_MEMORY, E_LIMIT. */
sl_err stage_redrive_prepare(struct stage_task *task, uint64_t records);
uint32_t stage_redrive_item_count(const struct stage_task *task);
void stage_redrive_items(const struct stage_task *task, struct wal_item *ret_items);
bool stage_redrive_is_stopped(const struct stage_task *task); /* the owner wants its end */
bool stage_redrive_is_told(const struct stage_task *task);    /* `finished` is on its way */
sl_err stage_redrive_committed(struct stage_task *task);      /* durable: the marks are in force */

/* Where the records of the input came from. NULL: the topic is gone. */
static inline struct topic *stage_task_origin(const struct stage_task *task,
                                              uint32_t *ret_partition)
{
    if (task->redrive != NULL) {
        return stage_redrive_topic(task, ret_partition);
    }
    *ret_partition = task->partition->number;
    return task->partition->topic;
}

#endif
