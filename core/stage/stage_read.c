/* stage_read.c: a stage's input: whole batches are read from the log's cache, or by a helper from
 * the disk; compressed ones are opened, by a helper when they are large; their records are gathered
 * into the input batch of one call. On the task's loop, but for what is marked [helper]. */
#include "stage/stage_task_state.h"

#include "base/status.h"
#include "shard/store.h"

#include <stdio.h>

#define READ_BYTES         (512u << 10)
#define BUFFER_KEEP_BYTES  (1u << 20)  /* of a task that is at work */
#define OPEN_ON_LOOP_BYTES (64u << 10) /* larger compressed batches are opened by a helper */

void stage_read_forget(struct stage_task *task)
{
    task->cut = (struct sl_bytes){0};
    task->cursor = 0;
    task->is_opened = false;
}

/* ---- from the store ---- */

/* Its input, or its state. */
static int64_t read_from(const struct stage_task *task)
{
    return stage_state_is_loading(task) ? task->store->at : task->position;
}

/* A stage's input ends where transactions are not settled yet. Its own topics have none. */
static int64_t read_end(const struct stage_task *task)
{
    return stage_state_is_loading(task) ? INT64_MAX : partition_stable_end(task->partition);
}

static sl_err read_cached(struct stage_task *task, const struct read_plan *plan)
{
    sl_err err = store_read_places(stage_task_shard(task), plan->places, plan->place_count,
                                   task->read.data, store_read_cached);
    return err != SLUICE_OK ? err : partition_check(plan, task->read.data);
}

/* [helper] */
static void read_work(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    const struct read_plan *plan = task->plan;
    task->job_err = store_read_places(stage_task_shard(task), plan->places, plan->place_count,
                                      task->read.data, store_read);
    if (task->job_err == SLUICE_OK) {
        task->job_err = partition_check(task->plan, task->read.data);
    }
}

static void take_read(struct stage_task *task, uint32_t size, sl_err err)
{
    if (err == SLUICE_OK) {
        task->read.size = size;
        err = partition_cut(sl_buffer_bytes(&task->read), read_from(task), read_end(task),
                            UINT32_MAX, &task->cut);
    }
    task->cursor = 0;
    task->is_opened = false;
    if (err != SLUICE_OK) {
        stage_read_forget(task);
        stage_task_log(task, SL_LOG_ERROR, "cannot read its input", sl_status_text(err));
        stage_task_back_off(task, "the input cannot be read");
        return;
    }
    stage_task_step_later(task);
}

static void read_done(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    uint32_t size = task->plan->bytes;
    read_plan_unpin(stage_task_shard(task), task->plan);
    sl_free(task->plan);
    task->plan = NULL;
    task->state = TASK_IDLE;
    if (!stage_task_ended(task)) {
        take_read(task, size, task->job_err);
    }
}

static void run_job(struct stage_task *task, void (*work)(struct sl_job *job),
                    void (*done)(struct sl_job *job))
{
    struct shard *shard = stage_task_shard(task);
    task->state = TASK_READING;
    task->job = (struct sl_job){.work = work, .done = done};
    task->job.task.priority = SL_PRIORITY_PROCESSING;
    sl_helpers_submit(shard->config.os, shard->loop, &task->job);
}

void stage_read_start(struct stage_task *task)
{
    struct read_plan plan;
    struct stage_state *store = task->store;
    bool loading = stage_state_is_loading(task);
    task->forgotten = txn_log_forgotten(producers_txns(&task->partition->producers));
    if (!partition_plan(loading ? store->from : task->partition, read_from(task), READ_BYTES,
                        &plan) ||
        !read_plan_end(&plan, read_end(task))) {
        /* The log ends in a hole: nothing is left before its end. */
        task->state = TASK_IDLE;
        if (loading) {
            store->at = store->end;
            stage_task_step_later(task);
        } else if (task->redrive != NULL) {
            stage_redrive_finish(task, SLUICE_OK, "");
        }
        return;
    }
    sl_buffer_reset_above(&task->read, BUFFER_KEEP_BYTES);
    sl_err err = sl_buffer_reserve(&task->read, plan.bytes);
    err = err != SLUICE_OK ? err : read_cached(task, &plan);
    if (err == SLUICE_E_WOULD_BLOCK) {
        task->plan = sl_alloc(sizeof(plan));
        if (task->plan != NULL && read_plan_pin(stage_task_shard(task), &plan)) {
            *task->plan = plan;
            run_job(task, read_work, read_done);
            return;
        }
        sl_free(task->plan);
        task->plan = NULL;
        err = SLUICE_E_NO_MEMORY;
    }
    take_read(task, plan.bytes, err);
}

/* ---- opening: the records of the batch at the cursor ---- */

/* [helper] */
static void open_work(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    struct codec_context *context = codec_context_new();
    struct sl_bytes records;
    task->job_err = SLUICE_E_NO_MEMORY;
    if (context != NULL) {
        task->job_err = batch_decompress(&task->job_view, context, task->expanded_bytes_max,
                                         &task->opened, &records);
    }
    codec_context_free(context);
}

static void open_done(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    task->state = TASK_IDLE;
    if (!stage_task_ended(task)) {
        task->is_opened = true;
        task->open_err = task->job_err;
        stage_task_step_later(task);
    }
}

/* False: a helper opens it. */
bool stage_read_open(struct stage_task *task, const struct batch_view *view,
                     struct sl_bytes *ret_records, sl_err *ret_err)
{
    *ret_err = SLUICE_OK;
    *ret_records = batch_view_records(view);
    if (batch_view_codec(view) == BATCH_CODEC_NONE) {
        return true;
    }
    task->expanded_bytes_max = stage_task_shard(task)->config.expanded_bytes_max;
    if (!task->is_opened && view->size <= OPEN_ON_LOOP_BYTES) {
        task->open_err = batch_decompress(view, stage_task_shard(task)->codecs,
                                          task->expanded_bytes_max, &task->opened, ret_records);
        task->is_opened = true;
    }
    if (!task->is_opened) {
        task->job_view = *view;
        run_job(task, open_work, open_done);
        return false;
    }
    *ret_err = task->open_err;
    *ret_records = sl_buffer_bytes(&task->opened);
    return true;
}

/* ---- gathering: records into the input of one call ---- */

/* A stored batch that cannot be opened is one poison batch: its bytes become one dead letter. */
static void condemn_batch(struct stage_task *task, const struct batch_view *view, sl_err err)
{
    struct batch_header header;
    struct record_fields fields = {.key_is_null = true,
                                   .value = {view->data, view->size},
                                   .timestamp_ms = batch_view_max_timestamp(view)};
    batch_header_init(&header);
    header.base_offset = batch_view_base_offset(view);
    snprintf(task->failure_text, sizeof(task->failure_text),
             "the stored batch cannot be opened: %s", sl_status_text(err));
    stage_input_begin(&task->input, task->position, 1);
    struct batch_builder *builder = &task->input.builder;
    sl_err made = batch_builder_start(builder, &task->input.bytes, &header);
    made = made != SLUICE_OK ? made : batch_builder_append(builder, &fields);
    made = made != SLUICE_OK
               ? made
               : batch_builder_finish(builder, BATCH_CODEC_NONE, NULL, NULL, &task->input.view);
    if (made != SLUICE_OK) {
        stage_task_back_off(task, "out of memory");
        return;
    }
    task->input.record_count = 1;
    task->input.next_offset = batch_view_next_offset(view);
    task->cursor += view->size;
    task->is_opened = false;
    stage_call_condemn(task);
}

/* Markers, and what was aborted. */
static bool is_skipped(const struct stage_task *task, const struct batch_view *view)
{
    const struct txn_log *txns = producers_txns(&task->partition->producers);
    return batch_view_has(view, BATCH_CONTROL) ||
           (txns != NULL && batch_view_has(view, BATCH_TRANSACTIONAL) &&
            txn_log_is_aborted(txns, batch_view_producer_id(view), batch_view_base_offset(view)));
}

/* Fills the input from the cursor on. GATHER_LATER: something else goes on. */
enum gathered stage_read_gather(struct stage_task *task)
{
    if (task->forgotten != txn_log_forgotten(producers_txns(&task->partition->producers))) {
        stage_read_forget(task); /* of what is in it, some could not be known as aborted */
        stage_task_step_later(task);
        return GATHER_LATER;
    }
    uint32_t records_max =
        task->limit != 0 ? SL_MIN(task->limit, task->records_max) : task->records_max;
    stage_input_begin(&task->input, task->position, records_max);
    while (task->cursor < task->cut.size && !stage_input_is_full(&task->input)) {
        struct batch_view view;
        struct sl_bytes rest = {task->cut.data + task->cursor, task->cut.size - task->cursor};
        struct sl_bytes records;
        bool whole = true;
        SL_ASSERT(batch_view_init(&view, rest) == SLUICE_OK); /* partition_cut walked it */
        if (is_skipped(task, &view) || batch_view_next_offset(&view) <= task->input.next_offset) {
            stage_input_skip(&task->input, &view);
        } else {
            sl_err err = SLUICE_OK;
            if (task->input.record_count > 0 && !task->is_opened &&
                batch_view_codec(&view) != BATCH_CODEC_NONE && view.size > OPEN_ON_LOOP_BYTES) {
                return GATHERED; /* what is there goes first */
            }
            if (!stage_read_open(task, &view, &records, &err)) {
                return GATHER_LATER;
            }
            err = err != SLUICE_OK ? err
                                   : stage_input_add(&task->input, &view, records,
                                                     task->config->headers, &whole);
            if (err == SLUICE_E_NO_MEMORY || err == SLUICE_E_LIMIT) {
                stage_task_back_off(task, "out of memory");
                return GATHER_LATER;
            }
            if (err != SLUICE_OK && task->input.record_count > 0) {
                return GATHERED; /* the good ones before it first */
            }
            if (err != SLUICE_OK) {
                condemn_batch(task, &view, err);
                return GATHER_LATER;
            }
        }
        if (!whole) {
            break;
        }
        task->cursor += view.size;
        task->is_opened = false;
    }
    return task->input.record_count > 0 ? GATHERED : GATHER_NOTHING;
}
