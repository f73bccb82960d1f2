/* stage_commit.c: outputs, dead letters and the new position of a stage go to the log as one commit
 * unit; the position is in force when the unit is durable. */
#include "stage/stage_task_state.h"

#include "base/status.h"

/* True: too many of them failed within the last minute. */
static bool count(struct stage_task *task)
{
    struct stage_counts *counts = task->config->counts;
    const struct stage_output *output = &task->output;
    stage_count_add(counts, task->redrive != NULL ? STAGE_COUNT_REDRIVEN : STAGE_COUNT_RECORDS_IN,
                    task->commit_records);
    stage_count_add(counts, STAGE_COUNT_RECORDS_OUT, output->written);
    stage_count_add(counts, STAGE_COUNT_DROPPED, output->dropped);
    stage_count_add(counts, STAGE_COUNT_REJECTED, output->rejected);
    stage_count_add(counts, STAGE_COUNT_DEAD_LETTERED, output->rejected);
    stage_count_add(counts, STAGE_COUNT_DISCARDED, output->discarded);
    if (output->last_reason[0] != '\0') {
        stage_error_set(counts, shard_wall_ms(stage_task_shard(task)), output->last_reason);
    }
    return task->redrive == NULL && task->config->watch != NULL &&
           stage_watch_count(task->config->watch, shard_now_ms(stage_task_shard(task)),
                             task->commit_records, output->failed);
}

static void committed(struct commit *commit, sl_err err)
{
    struct stage_task *task = SL_CONTAINER_OF(commit, struct stage_task, commit);
    struct shard *shard = stage_task_shard(task);
    task->state = TASK_IDLE;
    bool too_many = false;
    if (err == SLUICE_OK) {
        sl_err applied =
            task->redrive != NULL
                ? stage_redrive_committed(task)
                : position_store_apply(shard->positions, POSITION_ITEM_VERSION,
                                       (struct sl_bytes){task->payload, task->payload_size});
        if (applied != SLUICE_OK) { /* it is durable: this store would process records again */
            shard_refuse(shard, applied);
        }
        task->position = task->next_position;
        too_many = count(task);
        stage_call_advance(task, task->commit_records);
    }
    stage_state_committed(task, err == SLUICE_OK);
    enum output_halt halt = task->output.halt;
    bool progressed = task->commit_records > 0;
    stage_output_reset(&task->output);
    stage_task_publish(task);
    if (stage_task_ended(task)) {
        return;
    }
    if (err != SLUICE_OK) {
        stage_task_log(task, SL_LOG_ERROR, "cannot commit", sl_status_text(err));
        stage_read_forget(task);
        stage_task_back_off(task, "the log does not take commits");
        return;
    }
    if (too_many) {
        bool row = task->output.row >= STAGE_FAILURES_ROW;
        stage_task_pause(task, row ? STAGE_PAUSE_ROW : STAGE_PAUSE_SHARE);
        return;
    }
    if (halt > OUTPUT_ASKED || (halt == OUTPUT_ASKED && !progressed)) {
        stage_call_halt(task, halt);
        return;
    }
    task->backoff_ms = 0;
    stage_task_set_stall(task, "");
    stage_task_step_later(task);
}

static sl_err commit_room(struct stage_task *task, uint32_t count)
{
    if (task->commit_capacity >= count) {
        return SLUICE_OK;
    }
    uint32_t capacity = SL_MAX(count, 4u);
    struct commit_batch *batches = sl_alloc_zero(capacity, sizeof(*batches));
    struct wal_item *items = sl_alloc_zero(capacity, sizeof(*items));
    if (batches == NULL || items == NULL) {
        sl_free(batches);
        sl_free(items);
        return SLUICE_E_NO_MEMORY;
    }
    sl_free(task->commit_batches);
    sl_free(task->commit_items);
    task->commit_batches = batches;
    task->commit_items = items;
    task->commit_capacity = capacity;
    return SLUICE_OK;
}

static void prepare_position(struct stage_task *task, int64_t next)
{
    struct position position = {.name = sl_bytes_of_text(task->config->rules.instance),
                                .topic = task->input_id,
                                .partition = task->partition->number,
                                .next_offset = next};
    task->payload_size = position_item_encode(&position, task->payload);
    task->next_position = next;
}

/* Behind the batches: the position, or what was redriven. */
static void fill_items(struct stage_task *task, struct wal_item *ret_items)
{
    if (task->redrive != NULL) {
        stage_redrive_items(task, ret_items);
        return;
    }
    *ret_items = (struct wal_item){.kind = WAL_ITEM_STAGE_POSITION,
                                   .version = POSITION_ITEM_VERSION,
                                   .payload = {task->payload, task->payload_size}};
}

/* Whether the items, or the batches, are left out on purpose. */
static bool leaves_out(const struct stage_task *task, bool items)
{
    const struct stage_mutants *mutants = &task->config->mutants;
    if (task->redrive != NULL) {
        return items ? mutants->marks_unlogged : mutants->marks_alone;
    }
    return items && mutants->position_unlogged && task->output.batch_count > 0;
}

static void submit_commit(struct stage_task *task, uint32_t item_count)
{
    uint32_t count = leaves_out(task, false) ? 0 : task->output.batch_count;
    stage_output_batches(&task->output, task->commit_batches);
    fill_items(task, task->commit_items + count);
    item_count = leaves_out(task, true) ? 0 : item_count;
    task->commit = (struct commit){.shard = stage_task_shard(task),
                                   .batches = task->commit_batches,
                                   .batch_count = count,
                                   .items = task->commit_items,
                                   .extra_count = item_count,
                                   .reserve = true,
                                   .is_exact = true,
                                   .done = committed};
    task->state = TASK_COMMITTING;
    sl_err err = commit_submit(&task->commit);
    if (err == SLUICE_OK) {
        return;
    }
    stage_output_reset(&task->output);
    stage_read_forget(task);
    if (err == SLUICE_E_BATCH_TOO_LARGE && task->input.record_count > 1) {
        task->records_max = SL_MAX(task->input.record_count / 2, 1u);
        task->state = TASK_IDLE;
        stage_task_step_later(task);
        return;
    }
    stage_task_back_off(task, err == SLUICE_E_LOG_FULL      ? "the log is full"
                              : err == SLUICE_E_MEMORY_FULL ? "the memory for topics is full"
                              : err == SLUICE_E_DISK_FULL   ? "the disk is full"
                              : err == SLUICE_E_INVALID_CONFIG
                                  ? "an output topic is not as durable "
                                    "as the input"
                                  : "the log does not take commits");
}

/* The outputs are built (none is fine); everything up to `next` is done with them. */
void stage_commit_start(struct stage_task *task, int64_t next, uint64_t records)
{
    uint32_t items = 1;
    sl_err err = SLUICE_OK;
    prepare_position(task, next);
    task->commit_records = records;
    if (task->redrive != NULL) {
        err = stage_redrive_prepare(task, records);
        items = stage_redrive_item_count(task);
    }
    err = err != SLUICE_OK ? err : commit_room(task, task->output.batch_count + items);
    if (err != SLUICE_OK) {
        stage_output_reset(&task->output);
        stage_read_forget(task);
        if (err == SLUICE_E_LIMIT) {
            stage_redrive_finish(task, err, REDRIVE_TOO_SCATTERED);
        } else {
            stage_task_back_off(task, "out of memory");
        }
        return;
    }
    submit_commit(task, items);
}
