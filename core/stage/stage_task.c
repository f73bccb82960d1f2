/* stage_task.c: see stage_task.h. The steps in the order of the picture there. */
#include "stage/stage_task.h"

#include "base/status.h"
#include "shard/store.h"
#include "shard/topics.h"

#include <stdio.h>
#include <string.h>

#define READ_BYTES          (512u << 10)
#define READ_BYTES_MAX      (64u << 20)
#define BUFFER_KEEP_BYTES   (1u << 20)  /* of a task that is at work */
#define OPEN_ON_LOOP_BYTES  (64u << 10) /* larger compressed batches are opened by a helper */
#define RECORDS_FIRST       64u
#define FAST_MS             50
#define SLOW_MS             200
#define BACKOFF_MIN_MS      100u
#define BACKOFF_MAX_MS      10000u
#define SINGLE_FAILURES_MAX 2u

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
    uint32_t failures; /* of the record at the position, alone */
    uint32_t limit;    /* records of a suspect batch; 0: no suspicion */
    int64_t suspect_end;
    uint32_t convictions; /* in a row */

    /* A result that waits for a topic. */
    struct sandbox_result saved;
    uint8_t *saved_items; /* owned */
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

    /* Published. */
    _Atomic int64_t seen_position;
    _Atomic int64_t seen_end;
    const char *_Atomic stall;
};

static void step_later(struct stage_task *task);
static void submit_commit(struct stage_task *task);
static void build_outputs(struct stage_task *task, const struct sandbox_result *result);
static void condemn(struct stage_task *task);

/* ---- small things ---- */

static struct shard *shard_of(const struct stage_task *task)
{
    return task->config->shard;
}

static void set_stall(struct stage_task *task, const char *text)
{
    atomic_store_explicit(&task->stall, text, memory_order_relaxed);
}

static void publish(struct stage_task *task)
{
    atomic_store_explicit(&task->seen_position, task->position, memory_order_relaxed);
    atomic_store_explicit(&task->seen_end, partition_end(task->partition), memory_order_relaxed);
}

static void log_task(const struct stage_task *task, enum sl_log_level level, const char *message,
                     const char *reason)
{
    sl_log(shard_of(task)->logger, level, task->config->rules.instance, message,
           sl_log_bytes("topic", task->partition->topic != NULL ? task->partition->topic->name
                                                                : sl_bytes_of_text("")),
           sl_log_u64("partition", task->partition->number), sl_log_i64("offset", task->position),
           sl_log_text("reason", reason));
}

static void free_task(struct stage_task *task)
{
    void (*closed)(void *arg) = task->config->closed;
    void *arg = task->config->closed_arg;
    sl_timer_free(task->timer);
    stage_input_fini(&task->input);
    stage_output_fini(&task->output);
    sl_buffer_fini(&task->read);
    sl_buffer_fini(&task->opened);
    sl_free(task->plan);
    sl_free(task->saved_items);
    sl_free(task->commit_batches);
    sl_free(task->commit_items);
    partition_unref(task->partition);
    sl_free(task);
    if (closed != NULL) {
        closed(arg);
    }
}

/* Whether something still points at the task: it ends by itself then. */
static bool is_held(const struct stage_task *task)
{
    return task->step.queued != 0 || task->state == TASK_READING || task->state == TASK_TOPIC ||
           task->state == TASK_COMMITTING;
}

/* True: the task is gone. */
static bool ended(struct stage_task *task)
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
    task->state = TASK_WAITING;
    set_stall(task, stall);
    sl_timer_start(task->timer, (int64_t)delay_ms * 1000000);
}

static void back_off(struct stage_task *task, const char *stall)
{
    task->backoff_ms = SL_MIN(SL_MAX(task->backoff_ms * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
    wait_ms(task, task->backoff_ms, stall);
}

static void forget_read(struct stage_task *task)
{
    task->cut = (struct sl_bytes){0};
    task->cursor = 0;
    task->is_opened = false;
}

static void release_memory(struct stage_task *task)
{
    forget_read(task);
    sl_buffer_fini(&task->read);
    sl_buffer_fini(&task->opened);
    sl_buffer_fini(&task->input.bytes);
    stage_output_fini(&task->output);
}

/* ---- topics that must be there first ---- */

static void topic_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct stage_task *task = arg;
    sl_err err = count == 1 ? results[0].status : SLUICE_E_NO_MEMORY;
    task->state = TASK_IDLE;
    if (ended(task)) {
        return;
    }
    if (err != SLUICE_OK && err != SLUICE_E_TOPIC_EXISTS) {
        char reason[TOPIC_NAME_BYTES_MAX + STAGE_REASON_BYTES];
        snprintf(reason, sizeof(reason), "topic %s cannot be made: %s", task->topic_name,
                 sl_status_text(err));
        log_task(task, SL_LOG_WARN, "waits for a topic", reason);
        sl_free(task->saved_items);
        task->saved_items = NULL;
        task->condemned = false;
        forget_read(task);
        back_off(task, "an output topic cannot be made");
        return;
    }
    if (task->condemned) {
        condemn(task);
    } else if (task->saved_items != NULL) {
        build_outputs(task, &task->saved);
    } else {
        step_later(task);
    }
}

static void make_topic(struct stage_task *task, const char *name)
{
    struct shard *shard = shard_of(task);
    const struct topic *near = task->partition->topic;
    bool internal = topic_name_is_reserved(sl_bytes_of_text(name));
    snprintf(task->topic_name, sizeof(task->topic_name), "%s", name);
    uint32_t count = near->partition_count;
    if (internal) { /* a partition on every shard */
        count = SL_MAX(count, shard->set->count);
    }
    task->topic_spec = (struct sluice_topic_spec){.size = sizeof(task->topic_spec),
                                                  .partition_count = (int32_t)count,
                                                  .name = sluice_text_of(task->topic_name),
                                                  .replication_factor = 1};
    task->state = TASK_TOPIC;
    set_stall(task, "makes a topic");
    topics_create_start(shard, &task->topic_spec, 1, false, internal, near, topic_made, task);
}

/* The default output exists. False: it is being made. */
static bool have_output(struct stage_task *task)
{
    if (task->output_name[0] == '\0' ||
        catalog_by_name(shard_of(task)->catalog, sl_bytes_of_text(task->output_name)) != NULL) {
        return true;
    }
    make_topic(task, task->output_name);
    return false;
}

/* ---- reading ---- */

static sl_err read_cached(struct stage_task *task, const struct read_plan *plan)
{
    sl_err err = store_read_places(shard_of(task), plan->places, plan->place_count, task->read.data,
                                   store_read_cached);
    return err != SLUICE_OK ? err : partition_check(plan, task->read.data);
}

/* [helper] */
static void read_work(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    const struct read_plan *plan = task->plan;
    task->job_err = store_read_places(shard_of(task), plan->places, plan->place_count,
                                      task->read.data, store_read);
    if (task->job_err == SLUICE_OK) {
        task->job_err = partition_check(task->plan, task->read.data);
    }
}

static void take_read(struct stage_task *task, uint32_t size, sl_err err)
{
    if (err == SLUICE_OK) {
        task->read.size = size;
        err = partition_cut(sl_buffer_bytes(&task->read), task->position, UINT32_MAX, &task->cut);
    }
    task->cursor = 0;
    task->is_opened = false;
    if (err != SLUICE_OK) {
        forget_read(task);
        log_task(task, SL_LOG_ERROR, "cannot read its input", sl_status_text(err));
        back_off(task, "the input cannot be read");
        return;
    }
    step_later(task);
}

static void read_done(struct sl_job *job)
{
    struct stage_task *task = SL_CONTAINER_OF(job, struct stage_task, job);
    uint32_t size = task->plan->bytes;
    read_plan_unpin(shard_of(task), task->plan);
    sl_free(task->plan);
    task->plan = NULL;
    task->state = TASK_IDLE;
    if (!ended(task)) {
        take_read(task, size, task->job_err);
    }
}

static void run_job(struct stage_task *task, void (*work)(struct sl_job *job),
                    void (*done)(struct sl_job *job))
{
    struct shard *shard = shard_of(task);
    task->state = TASK_READING;
    task->job = (struct sl_job){.work = work, .done = done};
    task->job.task.priority = SL_PRIORITY_PROCESSING;
    sl_helpers_submit(shard->config.os, shard->loop, &task->job);
}

static void start_read(struct stage_task *task)
{
    struct read_plan plan;
    if (!partition_plan(task->partition, task->position, READ_BYTES, &plan)) {
        /* The log ends in a hole: nothing is left before its end. */
        task->state = TASK_IDLE;
        return;
    }
    sl_buffer_reset_above(&task->read, BUFFER_KEEP_BYTES);
    sl_err err = sl_buffer_reserve(&task->read, plan.bytes);
    err = err != SLUICE_OK ? err : read_cached(task, &plan);
    if (err == SLUICE_E_WOULD_BLOCK) {
        task->plan = sl_alloc(sizeof(plan));
        if (task->plan != NULL && read_plan_pin(shard_of(task), &plan)) {
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
    if (!ended(task)) {
        task->is_opened = true;
        task->open_err = task->job_err;
        step_later(task);
    }
}

/* False: a helper opens it. */
static bool open_batch(struct stage_task *task, const struct batch_view *view,
                       struct sl_bytes *ret_records, sl_err *ret_err)
{
    *ret_err = SLUICE_OK;
    *ret_records = batch_view_records(view);
    if (batch_view_codec(view) == BATCH_CODEC_NONE) {
        return true;
    }
    task->expanded_bytes_max = shard_of(task)->config.expanded_bytes_max;
    if (!task->is_opened && view->size <= OPEN_ON_LOOP_BYTES) {
        task->open_err = batch_decompress(view, shard_of(task)->codecs, task->expanded_bytes_max,
                                          &task->opened, ret_records);
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

/* ---- commit: outputs and position, together ---- */

static void committed(struct commit *commit, sl_err err)
{
    struct stage_task *task = SL_CONTAINER_OF(commit, struct stage_task, commit);
    struct shard *shard = shard_of(task);
    task->state = TASK_IDLE;
    if (err == SLUICE_OK) {
        struct sl_bytes payload = {task->payload, task->payload_size};
        sl_err applied = position_store_apply(shard->positions, POSITION_ITEM_VERSION, payload);
        /* Durable: a store that does not know it would process records again. */
        SL_ASSERT(applied == SLUICE_OK);
        task->position = task->next_position;
        struct stage_counts *counts = task->config->counts;
        stage_count_add(counts, STAGE_COUNT_RECORDS_IN, task->commit_records);
        stage_count_add(counts, STAGE_COUNT_RECORDS_OUT, task->output.written);
        stage_count_add(counts, STAGE_COUNT_DROPPED, task->output.dropped);
        stage_count_add(counts, STAGE_COUNT_REJECTED, task->output.rejected);
    }
    bool retry = task->output.retry;
    bool progressed = task->commit_records > 0;
    stage_output_reset(&task->output);
    publish(task);
    if (ended(task)) {
        return;
    }
    if (err != SLUICE_OK) {
        log_task(task, SL_LOG_ERROR, "cannot commit", sl_status_text(err));
        forget_read(task);
        back_off(task, "the log does not take commits");
        return;
    }
    if (retry && !progressed) {
        back_off(task, "the plugin asks for a retry");
        return;
    }
    task->backoff_ms = 0;
    set_stall(task, "");
    step_later(task);
}

static sl_err commit_room(struct stage_task *task, uint32_t count)
{
    if (task->commit_capacity > count) {
        return SLUICE_OK;
    }
    uint32_t capacity = SL_MAX(count + 1, 4u);
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
                                .topic = task->partition->id,
                                .partition = task->partition->number,
                                .next_offset = next};
    task->payload_size = position_item_encode(&position, task->payload);
    task->next_position = next;
}

/* The outputs are built (none is fine); everything up to `next` is done with them. */
static void start_commit(struct stage_task *task, int64_t next, uint64_t records)
{
    uint32_t count = task->output.batch_count;
    prepare_position(task, next);
    task->commit_records = records;
    if (commit_room(task, count) != SLUICE_OK) {
        stage_output_reset(&task->output);
        forget_read(task);
        back_off(task, "out of memory");
        return;
    }
    submit_commit(task);
}

static void submit_commit(struct stage_task *task)
{
    uint32_t count = task->output.batch_count;
    stage_output_batches(&task->output, task->commit_batches);
    task->commit_items[count] = (struct wal_item){.kind = WAL_ITEM_STAGE_POSITION,
                                                  .version = POSITION_ITEM_VERSION,
                                                  .payload = {task->payload, task->payload_size}};
    task->commit = (struct commit){.shard = shard_of(task),
                                   .batches = task->commit_batches,
                                   .batch_count = count,
                                   .items = task->commit_items,
                                   .extra_count = 1,
                                   .reserve = true,
                                   .done = committed};
    task->state = TASK_COMMITTING;
    sl_err err = commit_submit(&task->commit);
    if (err == SLUICE_OK) {
        return;
    }
    stage_output_reset(&task->output);
    forget_read(task);
    if (err == SLUICE_E_BATCH_TOO_LARGE && task->input.record_count > 1) {
        task->records_max = SL_MAX(task->input.record_count / 2, 1u);
        task->state = TASK_IDLE;
        step_later(task);
        return;
    }
    back_off(task, err == SLUICE_E_LOG_FULL    ? "the log is full"
                   : err == SLUICE_E_DISK_FULL ? "the disk is full"
                                               : "the log does not take commits");
}

/* ---- results ---- */

static struct output_source source_of(const struct stage_task *task)
{
    return (struct output_source){.view = &task->input.view,
                                  .topic = task->partition->topic,
                                  .partition = task->partition->number,
                                  .default_topic = sl_bytes_of_text(task->output_name)};
}

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

static void build_outputs(struct stage_task *task, const struct sandbox_result *result)
{
    struct output_source source = source_of(task);
    sl_err err = stage_output_take(&task->output, &task->config->rules, &source, result);
    if (err == SLUICE_E_NOT_FOUND && save_result(task, result) == SLUICE_OK) {
        make_topic(task, task->output.missing);
        return;
    }
    drop_saved(task);
    if (err != SLUICE_OK) {
        log_task(task, SL_LOG_WARN, "cannot build its outputs", sl_status_text(err));
        task->records_max = SL_MAX(task->input.record_count / 2, 1u);
        forget_read(task);
        back_off(task, "outputs cannot be built");
        return;
    }
    int64_t next = task->output.retry ? task->output.retry_offset : task->input.next_offset;
    uint64_t records = task->output.retry ? task->output.retry_index : task->input.record_count;
    if (task->output.retry) {
        stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
        forget_read(task);
    }
    suspicion_ends(task, next);
    if (task->output.retry && next == task->position) {
        log_task(task, SL_LOG_DEBUG, "asks for a retry", task->output.reason);
        stage_output_reset(&task->output);
        back_off(task, "the plugin asks for a retry");
        return;
    }
    start_commit(task, next, records);
}

/* The one record of the input goes to the dead letters. */
static void condemn(struct stage_task *task)
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
        make_topic(task, task->output.missing);
        return;
    }
    err = err != SLUICE_OK ? err : stage_output_finish(&task->output);
    task->condemned = false;
    if (err != SLUICE_OK) {
        stage_output_reset(&task->output);
        forget_read(task);
        back_off(task, "a dead letter cannot be written");
        return;
    }
    stage_count_add(task->config->counts, STAGE_COUNT_POISONED, 1);
    log_task(task, SL_LOG_WARN, "record goes to the dead letters", task->failure_text);
    uint32_t convictions = task->convictions + 1;
    task->limit = 0; /* one is found; if there is another, it shows */
    suspicion_ends(task, task->input.next_offset);
    task->convictions = convictions;
    start_commit(task, task->input.next_offset, 1);
}

/* The worker died of the input, or refused it as a whole. */
static void batch_failed(struct stage_task *task, const char *text)
{
    uint32_t count = task->input.record_count;
    snprintf(task->failure_text, sizeof(task->failure_text), "%s", text);
    stage_count_add(task->config->counts, STAGE_COUNT_RETRIES, 1);
    forget_read(task);
    if (task->convictions >= STAGE_CONVICTIONS_MAX) {
        log_task(task, SL_LOG_ERROR, "pauses: every record fails; change the plugin", text);
        task->convictions = 0;
        task->failures = 0;
        task->limit = 0;
        task->state = TASK_PAUSED;
        set_stall(task, "paused: every record fails");
        return;
    }
    if (count == 1 && ++task->failures >= SINGLE_FAILURES_MAX) {
        condemn(task);
        return;
    }
    task->suspect_end = SL_MAX(task->limit != 0 ? task->suspect_end : 0, task->input.next_offset);
    task->limit = task->limit == 0 ? count : SL_MAX(count / 2, 1u);
    task->state = TASK_IDLE;
    step_later(task);
}

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
    if (ended(task)) {
        return;
    }
    if (outcome->err == SLUICE_E_STOPPING || outcome->err == SLUICE_E_CANCELLED) {
        forget_read(task);
        task->state = TASK_PAUSED;
        set_stall(task, "no worker");
        return;
    }
    if (outcome->err == SLUICE_E_LIMIT && task->input.record_count == 1) {
        snprintf(task->failure_text, sizeof(task->failure_text),
                 "the record is larger than a worker takes");
        forget_read(task);
        condemn(task);
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
    build_outputs(task, outcome->result);
}

static void submit_call(struct stage_task *task)
{
    struct sl_bytes records = batch_view_records(&task->input.view);
    task->call = (struct worker_call){.done = call_done, .bisecting = task->limit != 0};
    worker_call_init(&task->call);
    task->call.task = (struct sandbox_task){
        .partition = (int32_t)task->partition->number,
        .timeout_ms = task->config->timeout_ms,
        .topic = text_of_sl(task->partition->topic->name),
        .records = {records.data, records.size},
        .record_count = task->input.record_count,
        .limit = task->input.record_count,
        .base_offset = batch_view_base_offset(&task->input.view),
        .base_timestamp = batch_view_base_timestamp(&task->input.view),
    };
    task->state = TASK_WORKING;
    set_stall(task, "waits for the worker");
    task->config->port->submit(task->config->port, &task->call);
}

/* ---- one step: from what is there to the worker, or to waiting ---- */

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
        back_off(task, "out of memory");
        return;
    }
    task->input.record_count = 1;
    task->input.next_offset = batch_view_next_offset(view);
    task->cursor += view->size;
    task->is_opened = false;
    condemn(task);
}

enum gathered { GATHERED, GATHER_LATER, GATHER_NOTHING };

/* Fills the input from the cursor on. GATHER_LATER: something else goes on. */
static enum gathered gather(struct stage_task *task)
{
    uint32_t records_max =
        task->limit != 0 ? SL_MIN(task->limit, task->records_max) : task->records_max;
    stage_input_begin(&task->input, task->position, records_max);
    while (task->cursor < task->cut.size && !stage_input_is_full(&task->input)) {
        struct batch_view view;
        struct sl_bytes rest = {task->cut.data + task->cursor, task->cut.size - task->cursor};
        struct sl_bytes records;
        bool whole = true;
        SL_ASSERT(batch_view_init(&view, rest) == SLUICE_OK); /* partition_cut walked it */
        if (batch_view_has(&view, BATCH_CONTROL) ||
            batch_view_next_offset(&view) <= task->input.next_offset) {
            stage_input_skip(&task->input, &view);
        } else {
            sl_err err = SLUICE_OK;
            if (task->input.record_count > 0 && !task->is_opened &&
                batch_view_codec(&view) != BATCH_CODEC_NONE && view.size > OPEN_ON_LOOP_BYTES) {
                return GATHERED; /* what is there goes first */
            }
            if (!open_batch(task, &view, &records, &err)) {
                return GATHER_LATER;
            }
            err = err != SLUICE_OK ? err
                                   : stage_input_add(&task->input, &view, records,
                                                     task->config->headers, &whole);
            if (err == SLUICE_E_NO_MEMORY || err == SLUICE_E_LIMIT) {
                back_off(task, "out of memory");
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

/* Position below the log's start: retention was faster. */
static void note_gap(struct stage_task *task)
{
    int64_t start = partition_start(task->partition);
    if (task->position < start) {
        log_task(task, SL_LOG_WARN, "records were removed before they were processed",
                 "retention was faster than the stage");
        task->position = start;
        forget_read(task);
    }
}

static void go_idle(struct stage_task *task)
{
    task->state = TASK_IDLE;
    release_memory(task);
    set_stall(task, "");
}

static void step(struct stage_task *task)
{
    publish(task);
    if (task->partition->topic == NULL || shard_of(task)->wal == NULL) {
        go_idle(task);
        return;
    }
    note_gap(task);
    if (!have_output(task)) {
        return;
    }
    if (task->cursor >= task->cut.size) {
        if (task->position >= partition_end(task->partition)) {
            go_idle(task);
        } else {
            start_read(task);
        }
        return;
    }
    enum gathered gathered = gather(task);
    if (gathered == GATHER_LATER) {
        return;
    }
    if (gathered == GATHER_NOTHING) { /* control records only: the position moves alone */
        stage_output_reset(&task->output);
        start_commit(task, task->input.next_offset, 0);
        return;
    }
    sl_err err = stage_input_finish(&task->input);
    SL_ASSERT(err == SLUICE_OK);
    submit_call(task);
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

static void step_later(struct stage_task *task)
{
    task->state = TASK_IDLE;
    if (task->step.queued == 0) {
        task->step.run = run_step;
        task->step.priority = SL_PRIORITY_PROCESSING;
        sl_loop_post(shard_of(task)->loop, &task->step);
    }
}

static void timer_fired(void *arg)
{
    struct stage_task *task = arg;
    if (task->state == TASK_WAITING) {
        step_later(task);
    }
}

static void notified(struct partition_observer *observer)
{
    struct stage_task *task = SL_CONTAINER_OF(observer, struct stage_task, observer);
    if (task->state == TASK_IDLE && task->step.queued == 0 && !task->closing) {
        step_later(task);
    }
}

/* ---- life ---- */

static int64_t first_position(const struct partition *partition, int64_t from)
{
    return from == STAGE_FROM_START ? partition_start(partition) : partition->next_offset;
}

static void name_output(struct stage_task *task)
{
    const char *pattern = task->config->output != NULL ? task->config->output : "";
    const char *mark = strstr(pattern, "%s");
    const struct sl_bytes topic = task->partition->topic->name;
    if (mark == NULL) {
        snprintf(task->output_name, sizeof(task->output_name), "%s", pattern);
    } else {
        snprintf(task->output_name, sizeof(task->output_name), "%.*s%.*s%s", (int)(mark - pattern),
                 pattern, (int)topic.size, (const char *)topic.data, mark + 2);
    }
}

sl_err stage_task_open(const struct stage_config *config, struct partition *partition, int64_t from,
                       struct stage_task **ret_task)
{
    struct stage_task *task = sl_alloc_zero(1, sizeof(*task));
    if (task == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    task->config = config;
    task->partition = partition;
    sl_link_init(&task->link);
    worker_call_init(&task->call);
    sl_buffer_init(&task->read, READ_BYTES_MAX);
    sl_buffer_init(&task->opened, READ_BYTES_MAX);
    stage_input_init(&task->input);
    stage_output_init(&task->output);
    task->records_max = RECORDS_FIRST;
    set_stall(task, "");
    sl_err err = sl_timer_new(config->shard->loop, timer_fired, task, &task->timer);
    if (err != SLUICE_OK) {
        sl_free(task);
        return err;
    }
    partition_ref(partition);
    name_output(task);
    task->observer.notify = notified;
    partition_observe(partition, &task->observer);
    *ret_task = task;
    int64_t stored =
        position_store_get(config->shard->positions, sl_bytes_of_text(config->rules.instance),
                           &partition->id, partition->number);
    task->position = stored >= 0 ? stored : first_position(partition, from);
    publish(task);
    if (stored < 0) {
        start_commit(task, task->position, 0);
    } else {
        step_later(task);
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
    task->config->port->cancel(task->config->port, &task->call);
    if (!is_held(task)) {
        free_task(task);
    }
}

void stage_task_wake(struct stage_task *task)
{
    if (task->state == TASK_PAUSED || task->state == TASK_WAITING) {
        sl_timer_stop(task->timer);
        forget_read(task);
        task->backoff_ms = 0;
        task->failures = 0;
        task->limit = 0;
        step_later(task);
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

int64_t stage_task_end(const struct stage_task *task)
{
    return atomic_load_explicit(&task->seen_end, memory_order_relaxed);
}

const char *stage_task_stall(const struct stage_task *task)
{
    return atomic_load_explicit(&task->stall, memory_order_relaxed);
}
