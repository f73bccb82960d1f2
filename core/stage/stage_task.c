/* stage_task.c: see stage_task.h: the task's life and its steps. What a step asks for is done by
 * stage_read.c (input), stage_call.c (worker and verdicts), stage_topic.c (topics that must be
 * there first) and stage_commit.c, in the order of the picture in the header; each ends in
 * stage_task_step_later or in a wait. */
#include "stage/stage_task_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "stage/stage_access.h"

#include <stdio.h>
#include <string.h>

#define READ_BYTES_MAX (64u << 20)
#define RECORDS_FIRST  64u
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 10000u
#define RIGHTS_LOOK_MS 500u /* until it looks again whether a rule still denies */

#define STALL_READ_DENIED  "an access rule denies it to read its input"
#define STALL_WRITE_DENIED "an access rule denies it to write its output"

void stage_task_set_stall(struct stage_task *task, const char *text)
{
    atomic_store_explicit(&task->stall, text, memory_order_relaxed);
}

void stage_task_publish(struct stage_task *task)
{
    atomic_store_explicit(&task->seen_position, task->position, memory_order_relaxed);
}

void stage_task_log(const struct stage_task *task, enum sl_log_level level, const char *message,
                    const char *reason)
{
    sl_log(stage_task_shard(task)->logger, level, task->config->rules.instance, message,
           sl_log_bytes("topic", task->partition->topic != NULL ? task->partition->topic->name
                                                                : sl_bytes_of_text("")),
           sl_log_u64("partition", task->partition->number), sl_log_i64("offset", task->position),
           sl_log_text("reason", reason));
}

static void dispose(struct stage_task *task)
{
    sl_timer_free(task->timer);
    stage_input_fini(&task->input);
    stage_output_fini(&task->output);
    sl_buffer_fini(&task->read);
    sl_buffer_fini(&task->opened);
    sl_free(task->plan);
    sl_free(task->saved_items);
    stage_state_close(task);
    sl_free(task->commit_batches);
    sl_free(task->commit_items);
    stage_redrive_free(task->redrive);
    partition_unref(task->partition);
    sl_free(task);
}

static void free_task(struct stage_task *task)
{
    void (*closed)(void *arg) = task->config->closed;
    void *arg = task->config->closed_arg;
    dispose(task);
    if (closed != NULL) {
        closed(arg);
    }
}

/* Whether something still points at the task: it ends by itself then. */
static bool is_held(const struct stage_task *task)
{
    return task->step.queued != 0 || stage_redrive_is_told(task) || task->state == TASK_READING ||
           task->state == TASK_TOPIC || task->state == TASK_COMMITTING;
}

/* True: the task is gone. */
bool stage_task_ended(struct stage_task *task)
{
    if (!task->closing) {
        return false;
    }
    if (task->step.queued == 0) {
        free_task(task);
    } else {
        task->state = TASK_IDLE; /* the queued step frees it */
    }
    return true;
}

static void wait_ms(struct stage_task *task, uint32_t delay_ms, const char *stall)
{
    stage_state_release(task);
    task->state = TASK_WAITING;
    stage_task_set_stall(task, stall);
    sl_timer_start(task->timer, (int64_t)delay_ms * 1000000);
}

void stage_task_back_off(struct stage_task *task, const char *stall)
{
    task->backoff_ms = SL_MIN(SL_MAX(task->backoff_ms * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
    wait_ms(task, task->backoff_ms, stall);
}

static void pause_with(struct stage_task *task, const char *text)
{
    stage_state_release(task);
    stage_read_forget(task);
    stage_call_acquit(task);
    task->output.row = 0;
    task->state = TASK_PAUSED;
    stage_task_set_stall(task, text);
}

void stage_task_stand(struct stage_task *task, sl_err err, const char *why, const char *stall)
{
    stage_read_forget(task);
    if (task->redrive != NULL) {
        stage_redrive_finish(task, err, why);
        return;
    }
    stage_state_release(task);
    task->state = TASK_PAUSED;
    stage_task_set_stall(task, stall);
}

void stage_task_pause(struct stage_task *task, enum stage_pause cause)
{
    if (task->redrive != NULL) {
        stage_redrive_finish(task, SLUICE_E_PLUGIN_ERROR, "too many records in a row failed again");
        return;
    }
    stage_task_log(task, SL_LOG_ERROR, "stage pauses; `sluice plugin resume` lets it go on",
                   stage_pause_text(cause));
    stage_watch_pull(task->config->watch, cause);
    pause_with(task, stage_pause_text(cause));
}

/* Another task of the stage, or the operator, paused it. */
static bool is_paused(struct stage_task *task)
{
    const struct stage_watch *watch = task->config->watch;
    enum stage_pause cause = watch != NULL ? stage_watch_paused(watch) : STAGE_PAUSE_NONE;
    if (cause == STAGE_PAUSE_NONE || (task->redrive != NULL && stage_redrive_forwards(task))) {
        return false;
    }
    if (task->redrive != NULL) {
        stage_redrive_finish(task, SLUICE_E_PLUGIN_ERROR, "the stage is paused");
    } else {
        pause_with(task, stage_pause_text(cause));
    }
    return true;
}

static void release_memory(struct stage_task *task)
{
    stage_read_forget(task);
    sl_buffer_fini(&task->read);
    sl_buffer_fini(&task->opened);
    sl_buffer_fini(&task->input.bytes);
    stage_output_fini(&task->output);
}

/* ---- one step: from what is there to the worker, or to waiting ---- */

/* Position below the log's start: retention was faster. */
static void note_gap(struct stage_task *task)
{
    int64_t start = partition_start(task->partition);
    if (task->position < start) {
        stage_task_log(task, SL_LOG_WARN, "records were removed before they were processed",
                       "retention was faster than the stage");
        task->position = start;
        stage_read_forget(task);
    }
}

static void go_idle(struct stage_task *task)
{
    stage_state_release(task);
    task->state = TASK_IDLE;
    release_memory(task);
    stage_task_set_stall(task, "");
}

/* Dead letters, which are of many topics: their output is looked for when they are read. */
static void redrive_step(struct stage_task *task)
{
    if (stage_redrive_is_stopped(task)) {
        stage_redrive_finish(task, SLUICE_E_STOPPING, "the broker stops");
        return;
    }
    if (task->position >= stage_redrive_end(task)) {
        stage_redrive_finish(task, SLUICE_OK, "");
        return;
    }
    if (stage_state_is_loading(task)) {
        stage_state_step(task);
        return;
    }
    if (task->cursor >= task->cut.size) {
        stage_read_start(task);
        return;
    }
    enum gathered gathered = stage_redrive_gather(task);
    if (gathered == GATHER_NOTHING) { /* none was chosen */
        task->position = task->input.next_offset;
        stage_task_step_later(task);
    }
    if (gathered != GATHERED) {
        return;
    }
    sl_err err = stage_input_finish(&task->input);
    SL_ASSERT(err == SLUICE_OK);
    if (stage_redrive_forwards(task)) {
        stage_redrive_forward(task);
        return;
    }
    if (!stage_topic_have_output(task)) {
        stage_read_forget(task); /* they are gathered again when the topic is there */
        return;
    }
    err = stage_redrive_open_state(task);
    if (err != SLUICE_OK) {
        stage_read_forget(task);
        stage_task_back_off(task, "out of memory");
        return;
    }
    if (stage_state_acquire(task)) {
        stage_call_submit(task);
    }
}

/* What the configuration gives and an access rule denies: it goes on when the rule is gone. */
static bool waits_for_rights(struct stage_task *task)
{
    const struct output_rules *rules = &task->config->rules;
    const char *output = task->output_name;
    if (stage_access_denies(rules, SLUICE_OP_READ, task->partition->topic->name)) {
        wait_ms(task, RIGHTS_LOOK_MS, STALL_READ_DENIED);
        return true;
    }
    if (output[0] != '\0' &&
        stage_access_denies(rules, SLUICE_OP_WRITE, sl_bytes_of_text(output))) {
        wait_ms(task, RIGHTS_LOOK_MS, STALL_WRITE_DENIED);
        return true;
    }
    return false;
}

static void step(struct stage_task *task)
{
    stage_task_publish(task);
    if (task->partition->topic == NULL || stage_task_shard(task)->log == NULL) {
        if (task->redrive != NULL) {
            stage_redrive_finish(task, SLUICE_E_UNKNOWN_TOPIC, "the dead letters are gone");
        } else {
            go_idle(task);
        }
        return;
    }
    if (is_paused(task)) {
        return;
    }
    note_gap(task);
    if (task->redrive != NULL) {
        redrive_step(task);
        return;
    }
    if (!stage_topic_have_output(task)) {
        return;
    }
    if (waits_for_rights(task)) {
        return;
    }
    if (stage_state_is_loading(task)) {
        stage_state_step(task);
        return;
    }
    if (task->cursor >= task->cut.size) {
        if (task->position >= partition_stable_end(task->partition)) {
            go_idle(task);
        } else {
            stage_read_start(task);
        }
        return;
    }
    enum gathered gathered = stage_read_gather(task);
    if (gathered == GATHER_LATER) {
        return;
    }
    if (gathered == GATHER_NOTHING) { /* control records only: the position moves alone */
        stage_output_reset(&task->output);
        stage_commit_start(task, task->input.next_offset, 0);
        return;
    }
    sl_err err = stage_input_finish(&task->input);
    SL_ASSERT(err == SLUICE_OK);
    if (stage_state_acquire(task)) {
        stage_call_submit(task);
    }
}

static void run_step(struct sl_task *queued)
{
    struct stage_task *task = SL_CONTAINER_OF(queued, struct stage_task, step);
    if (task->closing) {
        if (!is_held(task)) {
            free_task(task);
        }
        return;
    }
    if (task->state == TASK_IDLE) {
        step(task);
    }
}

void stage_task_step_later(struct stage_task *task)
{
    if (!stage_state_is_loading(task)) {
        stage_state_release(task);
    }
    task->state = TASK_IDLE;
    if (task->step.queued == 0) {
        task->step.run = run_step;
        task->step.priority = SL_PRIORITY_PROCESSING;
        sl_loop_post(stage_task_shard(task)->loop, &task->step);
    }
}

static void timer_fired(void *arg)
{
    struct stage_task *task = arg;
    if (task->state == TASK_WAITING) {
        stage_task_step_later(task);
    }
}

static void notified(struct partition_observer *observer)
{
    struct stage_task *task = SL_CONTAINER_OF(observer, struct stage_task, observer);
    if (task->state == TASK_IDLE && task->step.queued == 0 && !task->closing) {
        stage_task_step_later(task);
    }
}

/* ---- life ---- */

static int64_t first_position(const struct partition *partition, int64_t from)
{
    return from == STAGE_FROM_START ? partition_start(partition) : partition->next_offset;
}

void stage_task_name_output(struct stage_task *task, struct sl_bytes topic)
{
    const char *pattern = task->config->output != NULL ? task->config->output : "";
    const char *mark = strstr(pattern, "%s");
    if (mark == NULL) {
        snprintf(task->output_name, sizeof(task->output_name), "%s", pattern);
    } else {
        snprintf(task->output_name, sizeof(task->output_name), "%.*s%.*s%s", (int)(mark - pattern),
                 pattern, (int)topic.size, (const char *)topic.data, mark + 2);
    }
}

sl_err stage_task_new(const struct stage_config *config, struct partition *partition,
                      struct stage_task **ret_task)
{
    struct stage_task *task = sl_alloc_zero(1, sizeof(*task));
    if (task == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    task->config = config;
    task->partition = partition;
    task->input_id = *partition_topic_id(partition);
    sl_link_init(&task->link);
    worker_call_init(&task->call);
    sl_buffer_init(&task->read, READ_BYTES_MAX);
    sl_buffer_init(&task->opened, READ_BYTES_MAX);
    sl_link_init(&task->store_wait);
    stage_input_init(&task->input);
    stage_output_init(&task->output);
    task->records_max = RECORDS_FIRST;
    stage_task_set_stall(task, "");
    sl_err err = sl_timer_new(config->shard->loop, timer_fired, task, &task->timer);
    if (err != SLUICE_OK) {
        sl_free(task);
        return err;
    }
    partition_ref(partition);
    task->tries_offset = -1;
    task->observer.notify = notified;
    partition_observe(partition, &task->observer);
    *ret_task = task;
    return SLUICE_OK;
}

sl_err stage_task_open(const struct stage_config *config, struct partition *partition, int64_t from,
                       struct stage_task **ret_task)
{
    struct stage_task *task = NULL;
    sl_err err = stage_task_new(config, partition, &task);
    if (err != SLUICE_OK) {
        return err;
    }
    err = stage_state_open(task, &task->input_id, partition->number);
    if (err != SLUICE_OK) {
        partition_unobserve(partition, &task->observer);
        dispose(task);
        return err;
    }
    stage_task_name_output(task, partition->topic->name);
    *ret_task = task;
    int64_t stored =
        position_store_get(config->shard->positions, sl_bytes_of_text(config->rules.instance),
                           partition_topic_id(partition), partition->number);
    task->position = stored >= 0 ? stored : first_position(partition, from);
    stage_task_publish(task);
    if (stored < 0) {
        stage_commit_start(task, task->position, 0);
    } else {
        stage_task_step_later(task);
    }
    return SLUICE_OK;
}

void stage_task_close(struct stage_task *task)
{
    SL_ASSERT(!task->closing);
    task->closing = true;
    sl_list_remove(&task->link);
    if (task->partition->topic != NULL) {
        partition_unobserve(task->partition, &task->observer);
    }
    sl_timer_stop(task->timer);
    if (task->config->port != NULL) {
        task->config->port->cancel(task->config->port, &task->call);
    }
    if (!is_held(task)) {
        free_task(task);
    }
}

void stage_task_wake(struct stage_task *task)
{
    if (task->state == TASK_PAUSED || task->state == TASK_WAITING) {
        sl_timer_stop(task->timer);
        sl_list_remove(&task->store_wait);
        stage_read_forget(task);
        task->backoff_ms = 0;
        stage_call_acquit(task);
        task->output.row = 0;
        task->tries_offset = -1;
        stage_task_step_later(task);
    }
}

struct sl_link *stage_task_link(struct stage_task *task)
{
    return &task->link;
}

struct stage_task *stage_task_of_link(struct sl_link *link)
{
    return SL_CONTAINER_OF(link, struct stage_task, link);
}

const struct partition *stage_task_partition(const struct stage_task *task)
{
    return task->partition;
}

int64_t stage_task_position(const struct stage_task *task)
{
    return atomic_load_explicit(&task->seen_position, memory_order_relaxed);
}

int64_t stage_task_time_ms(const struct stage_task *task)
{
    struct stream_run run;
    if (task->position < task->input_end) {
        return task->input_time_ms;
    }
    return stream_index_find(&task->partition->index, task->position, &run) ? run.max_timestamp
                                                                            : -1;
}

const char *stage_task_stall(const struct stage_task *task)
{
    return atomic_load_explicit(&task->stall, memory_order_relaxed);
}
