/* stage_call.c: the worker's call for one input batch, and what becomes of its result: outputs, a
 * retry, or the search for the record that makes the worker fail (halving, then dead letters). */
#include "stage/stage_task_state.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define FAST_MS             50
#define SLOW_MS             200
#define SINGLE_FAILURES_MAX 2u

static struct output_source source_of(const struct stage_task *task)
{
    return (struct output_source){.view = &task->input.view,
                                  .topic = task->partition->topic,
                                  .partition = task->partition->number,
                                  .default_topic = sl_bytes_of_text(task->output_name)};
}

/* ---- results ---- */

/* The result must outlive the worker's memory: a topic is made first. */
static sl_err save_result(struct stage_task *task, const struct sandbox_result *result)
{
    if (result == &task->saved) {
        return SLUICE_OK;
    }
    uint8_t *items = sl_alloc(SL_MAX(result->items_size, 1u));
    if (items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (result->items_size > 0) {
        memcpy(items, result->items, result->items_size);
    }
    task->saved = *result;
    task->saved.items = items;
    task->saved.error = (struct sluice_text){0};
    task->saved_items = items;
    return SLUICE_OK;
}

static void drop_saved(struct stage_task *task)
{
    sl_free(task->saved_items);
    task->saved_items = NULL;
}

static void suspicion_ends(struct stage_task *task, int64_t next)
{
    task->failures = 0;
    task->convictions = 0;
    if (task->limit != 0 && next >= task->suspect_end) {
        task->limit = 0;
    }
}

void stage_call_take_result(struct stage_task *task, const struct sandbox_result *result)
{
    struct output_source source = source_of(task);
    sl_err err = stage_output_take(&task->output, &task->config->rules, &source, result);
    if (err == SLUICE_E_NOT_FOUND && save_result(task, result) == SLUICE_OK) {
        stage_topic_make(task, task->output.missing);
        return;
    }
    drop_saved(task);
    if (err != SLUICE_OK) {
        stage_task_log(task, SL_LOG_WARN, "cannot build its outputs", sl_status_text(err));
        task->records_max = SL_MAX(task->input.record_count / 2, 1u);
        stage_read_forget(task);
        stage_task_back_off(task, "outputs cannot be built");
        return;
    }
    int64_t next = task->output.retry ? task->output.retry_offset : task->input.next_offset;
    uint64_t records = task->output.retry ? task->output.retry_index : task->input.record_count;
    if (task->output.retry) {
        stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
        stage_count_add(task->config->counts, STAGE_COUNT_RETRIED,
                        task->input.record_count - task->output.retry_index);
        stage_read_forget(task);
    }
    suspicion_ends(task, next);
    if (task->output.retry && next == task->position) {
        stage_task_log(task, SL_LOG_DEBUG, "asks for a retry", task->output.reason);
        stage_output_reset(&task->output);
        stage_task_back_off(task, "the plugin asks for a retry");
        return;
    }
    stage_commit_start(task, next, records);
}

/* ---- poison ---- */

/* The one record of the input goes to the dead letters. */
void stage_call_condemn(struct stage_task *task)
{
    struct output_source source = source_of(task);
    struct record_iterator records;
    struct record_view record;
    record_iterator_init(&records, batch_view_records(&task->input.view),
                         batch_view_record_count(&task->input.view));
    SL_ASSERT(record_iterator_next(&records, &record));
    task->condemned = true;
    sl_err err = stage_output_reject(&task->output, &task->config->rules, &source, &record,
                                     sl_bytes_of_text(task->failure_text));
    if (err == SLUICE_E_NOT_FOUND) {
        stage_topic_make(task, task->output.missing);
        return;
    }
    err = err != SLUICE_OK ? err : stage_output_finish(&task->output);
    task->condemned = false;
    if (err != SLUICE_OK) {
        stage_output_reset(&task->output);
        stage_read_forget(task);
        stage_task_back_off(task, "a dead letter cannot be written");
        return;
    }
    stage_count_add(task->config->counts, STAGE_COUNT_POISONED, 1);
    stage_task_log(task, SL_LOG_WARN, "record goes to the dead letters", task->failure_text);
    uint32_t convictions = task->convictions + 1;
    task->limit = 0; /* one is found; if there is another, it shows */
    suspicion_ends(task, task->input.next_offset);
    task->convictions = convictions;
    stage_commit_start(task, task->input.next_offset, 1);
}

/* The worker died of the input, or refused it as a whole. */
static void batch_failed(struct stage_task *task, const char *text)
{
    uint32_t count = task->input.record_count;
    snprintf(task->failure_text, sizeof(task->failure_text), "%s", text);
    stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
    stage_count_add(task->config->counts, STAGE_COUNT_RETRIED, count);
    stage_error_set(task->config->counts, shard_wall_ms(stage_task_shard(task)), text);
    stage_read_forget(task);
    if (task->convictions >= STAGE_CONVICTIONS_MAX) {
        stage_task_log(task, SL_LOG_ERROR, "pauses: every record fails; change the plugin", text);
        task->convictions = 0;
        task->failures = 0;
        task->limit = 0;
        task->state = TASK_PAUSED;
        stage_task_set_stall(task, "paused: every record fails");
        return;
    }
    if (count == 1 && ++task->failures >= SINGLE_FAILURES_MAX) {
        stage_call_condemn(task);
        return;
    }
    task->suspect_end = SL_MAX(task->limit != 0 ? task->suspect_end : 0, task->input.next_offset);
    task->limit = task->limit == 0 ? count : SL_MAX(count / 2, 1u);
    task->state = TASK_IDLE;
    stage_task_step_later(task);
}

/* ---- the call ---- */

static void adapt(struct stage_task *task, int64_t elapsed_ms)
{
    uint32_t count = task->input.record_count;
    if (elapsed_ms < FAST_MS && count >= task->records_max) {
        task->records_max = SL_MIN(task->records_max * 2, STAGE_INPUT_RECORDS_MAX);
    } else if (elapsed_ms > SLOW_MS) {
        task->records_max = SL_MAX(SL_MIN(count, task->records_max) / 2, 1u);
    }
}

static void call_done(struct worker_call *call, const struct worker_outcome *outcome)
{
    struct stage_task *task = SL_CONTAINER_OF(call, struct stage_task, call);
    task->state = TASK_IDLE;
    if (stage_task_ended(task)) {
        return;
    }
    if (outcome->err == SLUICE_E_STOPPING || outcome->err == SLUICE_E_CANCELLED) {
        stage_read_forget(task);
        task->state = TASK_PAUSED;
        stage_task_set_stall(task, "no worker");
        return;
    }
    if (outcome->err == SLUICE_E_LIMIT && task->input.record_count == 1) {
        snprintf(task->failure_text, sizeof(task->failure_text),
                 "the record is larger than a worker takes");
        stage_read_forget(task);
        stage_call_condemn(task);
        return;
    }
    if (outcome->err != SLUICE_OK) {
        batch_failed(task, outcome->text);
        return;
    }
    adapt(task, outcome->elapsed_ms);
    if (outcome->result->status != SLUICE_OK) {
        char text[STAGE_REASON_BYTES];
        snprintf(text, sizeof(text), "%s: %.*s", sl_status_text(outcome->result->status),
                 (int)SL_MIN(outcome->result->error.size, sizeof(text) / 2),
                 outcome->result->error.data != NULL ? outcome->result->error.data : "");
        batch_failed(task, text);
        return;
    }
    stage_call_take_result(task, outcome->result);
}

void stage_call_submit(struct stage_task *task)
{
    struct sl_bytes records = batch_view_records(&task->input.view);
    task->call = (struct worker_call){.done = call_done, .bisecting = task->limit != 0};
    worker_call_init(&task->call);
    task->call.task = (struct sandbox_task){
        .partition = (int32_t)task->partition->number,
        .timeout_ms = task->config->timeout_ms,
        .topic = text_of_sl(task->partition->topic->name),
        .principal = sluice_text_of(task->config->rules.principal),
        .records = {records.data, records.size},
        .record_count = task->input.record_count,
        .limit = task->input.record_count,
        .base_offset = batch_view_base_offset(&task->input.view),
        .base_timestamp = batch_view_base_timestamp(&task->input.view),
    };
    task->input_time_ms = task->call.task.base_timestamp;
    task->input_end = task->input.next_offset;
    task->state = TASK_WORKING;
    stage_task_set_stall(task, STAGE_STALL_WORKER);
    task->config->port->submit(task->config->port, &task->call);
}
