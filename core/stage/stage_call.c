/* stage_call.c: the worker's call for one input batch, and what becomes of its result: outputs, a
 * retry, or the search for the record that makes the worker fail: by the worker's own word of where
 * it was (those before it, then that one alone), else by halving; then dead letters. */
#include "stage/stage_task_state.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define FAST_MS             50
#define SLOW_MS             200
#define SINGLE_FAILURES_MAX 2u
/* Where one record was poison there may be more: a smaller batch is halved fewer times. */
#define AFTER_POISON_RECORDS 256u

/* False: the topic of the records is gone. */
static bool source_of(const struct stage_task *task, struct output_source *ret_source)
{
    const struct error_rule *rule = &task->config->rules.on_error;
    uint32_t partition = 0;
    const struct topic *topic = stage_task_origin(task, &partition);
    *ret_source = (struct output_source){
        .view = &task->input.view,
        .topic = topic,
        .partition = partition,
        .default_topic = sl_bytes_of_text(task->output_name),
        .state = task->store != NULL && !task->config->mutants.state_unlogged ? &task->store->output
                                                                              : NULL,
        .given_up = rule->on == ON_ERROR_RETRY && task->tries_offset == task->position &&
                    task->tries >= rule->retries_max,
        .redrives = stage_redrive_counts(task)};
    return topic != NULL;
}

static void source_is_gone(struct stage_task *task)
{
    stage_output_reset(&task->output);
    stage_read_forget(task);
    stage_task_back_off(task, "the topic is gone");
}

/* ---- results ---- */

/* The result must outlive the worker's memory: a topic is made first. */
static sl_err save_result(struct stage_task *task, const struct sandbox_result *result)
{
    if (result == &task->saved) {
        return SLUICE_OK;
    }
    uint8_t *items = sl_alloc(SL_MAX(result->items_size + result->deltas_size, 1u));
    if (items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (result->items_size > 0) {
        memcpy(items, result->items, result->items_size);
    }
    if (result->deltas_size > 0) {
        memcpy(items + result->items_size, result->deltas, result->deltas_size);
    }
    task->saved = *result;
    task->saved.items = items;
    task->saved.deltas = items + result->items_size;
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
    task->fresh = false;
    if (task->limit != 0 && next >= task->suspect_end) {
        task->limit = 0;
    }
}

/* A record failed, and on_error says that it comes again. */
static void count_try(struct stage_task *task, int64_t offset)
{
    bool again = task->tries_offset == offset;
    task->tries = again ? task->tries + 1 : 1;
    task->tries_offset = offset;
    task->backoff_ms = again ? task->backoff_ms : 0;
    stage_task_log(task, SL_LOG_WARN, "a record fails; it comes again", task->output.reason);
}

/* Not all was taken. True: there is nothing to commit before it. */
static bool halted(struct stage_task *task, int64_t next)
{
    enum output_halt halt = task->output.halt;
    stage_read_forget(task);
    if (halt == OUTPUT_ASKED || halt == OUTPUT_RETRIES) {
        stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
        stage_count_add(task->config->counts, STAGE_COUNT_RETRIED,
                        task->input.record_count - task->output.halt_index);
    }
    if (halt == OUTPUT_RETRIES) {
        count_try(task, next);
    }
    if (next != task->position) {
        return false;
    }
    stage_task_log(task, SL_LOG_DEBUG, "goes no further", task->output.reason);
    stage_output_reset(&task->output);
    stage_call_halt(task, halt);
    return true;
}

void stage_call_halt(struct stage_task *task, enum output_halt halt)
{
    switch (halt) {
    case OUTPUT_STOPPED:
        stage_task_pause(task, STAGE_PAUSE_STOP);
        return;
    case OUTPUT_TRIPPED:
        stage_task_pause(task, STAGE_PAUSE_ROW);
        return;
    case OUTPUT_RETRIES:
        stage_task_back_off(task, "a record fails (on_error: retry)");
        return;
    default:
        stage_task_back_off(task, "the plugin asks for a retry");
        return;
    }
}

/* Where the next input begins, of a result that was not taken to its end. */
static int64_t halt_position(const struct stage_task *task)
{
    uint32_t index = task->output.halt_index;
    if (task->redrive == NULL) {
        return task->output.halt_offset;
    }
    /* Letters before the first one were passed over: there is nothing to write about them. */
    return index == 0 ? task->position : stage_redrive_offset(task, index);
}

void stage_call_take_result(struct stage_task *task, const struct sandbox_result *result)
{
    struct output_source source;
    if (!source_of(task, &source)) {
        drop_saved(task);
        source_is_gone(task);
        return;
    }
    sl_err err = stage_output_take(&task->output, &task->config->rules, &source, result);
    if (err == SLUICE_E_NOT_FOUND && save_result(task, result) == SLUICE_OK) {
        stage_topic_make(task, task->output.missing);
        return;
    }
    drop_saved(task);
    if (err == SLUICE_E_BUSY) { /* its state must not count on a record that does not go out */
        task->records_max = SL_MAX(task->output.cut_index, 1u);
        stage_read_forget(task);
        stage_task_step_later(task);
        return;
    }
    if (err != SLUICE_OK) {
        stage_task_log(task, SL_LOG_WARN, "cannot build its outputs", sl_status_text(err));
        task->records_max = SL_MAX(task->input.record_count / 2, 1u);
        stage_read_forget(task);
        stage_task_back_off(task, "outputs cannot be built");
        return;
    }
    bool whole = task->output.halt == OUTPUT_WHOLE;
    int64_t next = whole ? task->input.next_offset : halt_position(task);
    uint64_t records = whole ? task->input.record_count : task->output.halt_index;
    suspicion_ends(task, next);
    stage_state_take(task, result);
    if (!whole && halted(task, next)) {
        return;
    }
    stage_commit_start(task, next, records);
}

/* ---- poison ---- */

/* Its dead letter is built, or nothing where on_error says so; the position follows. */
static void commit_condemned(struct stage_task *task, const char *message)
{
    stage_count_add(task->config->counts, STAGE_COUNT_POISONED, 1);
    stage_task_log(task, SL_LOG_WARN, message, task->failure_text);
    if (!task->aimed) {
        task->records_max = SL_MIN(task->records_max, AFTER_POISON_RECORDS);
    }
    stage_call_acquit(task); /* one is found; if there is another, it shows */
    task->output.row++;
    task->output.failed++;
    stage_commit_start(task, task->input.next_offset, 1);
}

static void write_dead_letter(struct stage_task *task)
{
    struct output_source source;
    struct record_iterator records;
    struct record_view record;
    if (!source_of(task, &source)) {
        task->condemned = false;
        source_is_gone(task);
        return;
    }
    record_iterator_init(&records, batch_view_records(&task->input.view),
                         batch_view_record_count(&task->input.view));
    SL_ASSERT(record_iterator_next(&records, &record));
    task->condemned = true;
    sl_err err = stage_output_reject(&task->output, &task->config->rules, &source, &record, 0,
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
    commit_condemned(task, "record goes to the dead letters");
}

/* on_error for the one record of the input. */
void stage_call_condemn(struct stage_task *task)
{
    const struct error_rule *rule = &task->config->rules.on_error;
    enum on_error on = task->redrive != NULL ? ON_ERROR_DEAD_LETTER : rule->on;
    bool given_up = task->tries_offset == task->position && task->tries >= rule->retries_max;
    stage_read_forget(task);
    if (on == ON_ERROR_STOP) {
        stage_task_log(task, SL_LOG_ERROR, "a record fails", task->failure_text);
        stage_call_halt(task, OUTPUT_STOPPED);
    } else if (on == ON_ERROR_RETRY && !given_up) {
        snprintf(task->output.reason, sizeof(task->output.reason), "%s", task->failure_text);
        count_try(task, task->position);
        task->failures = 0;
        stage_call_halt(task, OUTPUT_RETRIES);
    } else if (task->output.row >= STAGE_FAILURES_ROW) {
        stage_call_halt(task, OUTPUT_TRIPPED);
    } else if (on == ON_ERROR_DROP) {
        task->output.discarded++;
        commit_condemned(task, "record is dropped (on_error: drop)");
    } else {
        write_dead_letter(task);
    }
}

/* What comes next of a range that is looked at by the worker's word. */
static void aim(struct stage_task *task)
{
    task->limit = SL_MAX(task->lead, 1u);
    task->fresh = task->fresh || task->lead == 0;
}

/* The worker's word was wrong, or there is more than one cause: the rest is halved. */
static void doubt(struct stage_task *task)
{
    task->aimed = false;
    task->lead = 0;
    task->doubt_end = task->suspect_end;
}

void stage_call_acquit(struct stage_task *task)
{
    task->failures = 0;
    task->fresh = false;
    task->limit = 0;
    task->lead = 0;
    task->aimed = false;
}

void stage_call_advance(struct stage_task *task, uint64_t records)
{
    if (!task->aimed || records == 0) {
        return;
    }
    if (task->lead == 0) { /* alone it does no harm */
        doubt(task);
        task->limit = task->position < task->suspect_end ? STAGE_INPUT_RECORDS_MAX : 0;
        return;
    }
    task->lead -= (uint32_t)SL_MIN(records, (uint64_t)task->lead);
    aim(task);
}

/* The range that is looked at next, after `count` records failed together. */
static void narrow(struct stage_task *task, uint32_t count, uint32_t begun)
{
    bool again = task->limit != 0;
    task->suspect_end = SL_MAX(again ? task->suspect_end : 0, task->input.next_offset);
    if (task->aimed && count > 1) {
        doubt(task);
    } else if (!task->aimed && count > 1 && begun > 0 && task->position >= task->doubt_end) {
        task->aimed = true;
        task->lead = begun - 1;
    }
    if (task->aimed) {
        aim(task);
    } else {
        task->limit = again ? SL_MAX(count / 2, 1u) : count;
    }
}

/* The worker died of the input, or refused it as a whole: then it has a past that may be the cause,
 * and the next try is for one that has none. */
static void batch_failed(struct stage_task *task, const struct worker_outcome *outcome, bool died,
                         const char *text)
{
    uint32_t count = task->input.record_count;
    snprintf(task->failure_text, sizeof(task->failure_text), "%s", text);
    stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
    stage_count_add(task->config->counts, STAGE_COUNT_RETRIED, count);
    stage_error_set(task->config->counts, shard_wall_ms(stage_task_shard(task)), text);
    stage_read_forget(task);
    task->fresh = !died;
    if (count == 1 && outcome->fresh && ++task->failures >= SINGLE_FAILURES_MAX) {
        stage_call_condemn(task);
        return;
    }
    narrow(task, count, outcome->begun);
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
        stage_task_stand(task, outcome->err, "the stage ends", "no worker");
        return;
    }
    if (outcome->err == SLUICE_E_LIMIT && task->input.record_count == 1) {
        snprintf(task->failure_text, sizeof(task->failure_text),
                 "the record is larger than a worker takes");
        stage_call_condemn(task);
        return;
    }
    if (outcome->err != SLUICE_OK) {
        batch_failed(task, outcome, true, outcome->text);
        return;
    }
    if (outcome->result->state_missing) {
        stage_state_load(task);
        return;
    }
    adapt(task, outcome->elapsed_ms);
    if (outcome->result->status != SLUICE_OK) {
        char text[STAGE_REASON_BYTES];
        snprintf(text, sizeof(text), "%s: %.*s", sl_status_text(outcome->result->status),
                 (int)SL_MIN(outcome->result->error.size, sizeof(text) / 2),
                 outcome->result->error.data != NULL ? outcome->result->error.data : "");
        batch_failed(task, outcome, false, text);
        return;
    }
    stage_call_take_result(task, outcome->result);
}

void stage_call_submit(struct stage_task *task)
{
    struct sl_bytes records = batch_view_records(&task->input.view);
    uint32_t partition = 0;
    const struct topic *topic = stage_task_origin(task, &partition);
    if (topic == NULL) {
        source_is_gone(task);
        return;
    }
    task->call = (struct worker_call){
        .done = call_done, .bisecting = task->limit != 0, .fresh = task->fresh};
    worker_call_init(&task->call);
    task->call.task = (struct sandbox_task){
        .partition = (int32_t)partition,
        .timeout_ms = task->config->timeout_ms,
        .topic = text_of_sl(topic->name),
        .principal = sluice_text_of(task->config->rules.principal),
        .records = {records.data, records.size},
        .record_count = task->input.record_count,
        .limit = task->input.record_count,
        .base_offset = batch_view_base_offset(&task->input.view),
        .base_timestamp = batch_view_base_timestamp(&task->input.view),
    };
    task->input_time_ms = task->call.task.base_timestamp;
    task->input_end = task->input.next_offset;
    if (task->store != NULL) {
        stage_state_submit(task, &task->call.task);
    }
    task->state = TASK_WORKING;
    stage_task_set_stall(task, STAGE_STALL_WORKER);
    task->config->port->submit(task->config->port, &task->call);
}
