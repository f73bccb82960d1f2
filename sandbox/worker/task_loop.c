/* task_loop.c: takes tasks in order, runs process_batch once for each, writes the result; between
 * tasks it takes control messages; with nothing to do it sleeps on the doorbell (futex in the input
 * region). */
#include "worker.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct channel_input_head *input_head(const struct worker *worker)
{
    return (const struct channel_input_head *)(const void *)worker->input;
}

static struct channel_output_head *output_head(const struct worker *worker)
{
    return (struct channel_output_head *)(void *)worker->output;
}

static struct channel_progress *progress_of(const struct worker *worker)
{
    return (struct channel_progress *)(void *)(worker->output + CHANNEL_PROGRESS_AT);
}

static int64_t monotonic_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static struct sluice_text take_text(const uint8_t **at, uint32_t size)
{
    const struct sluice_text text = {(const char *)*at, size};

    *at += size;
    return text;
}

static sluice_status run_plugin(struct worker *worker, const struct channel_task_wire *task,
                                const uint8_t *slot, const struct sluice_writer *writer)
{
    const uint8_t *texts = slot + CHANNEL_RECORDS_AT + task->records_size;
    struct sluice_context context = {.size = sizeof(context), .connection = task->connection};
    struct sluice_batch batch = {.size = sizeof(batch),
                                 .record_count = task->limit,
                                 .records = worker->records,
                                 .record_stride = sizeof(struct sluice_record),
                                 .partition = task->partition,
                                 .context = &context,
                                 .progress = &progress_of(worker)->plugin};

    batch.topic = take_text(&texts, task->topic_size);
    context.principal = take_text(&texts, task->principal_size);
    context.listener = take_text(&texts, task->listener_size);
    context.client_id = take_text(&texts, task->client_id_size);
    context.client_host = take_text(&texts, task->client_host_size);
    if (task->timeout_ms != 0) {
        context.deadline_ms = monotonic_ms() + task->timeout_ms;
    }
    if (task->has_trace_id != 0) {
        context.trace_id = (struct sluice_bytes){task->trace_id, sizeof(task->trace_id)};
    }
    return worker->processor->process_batch(worker->self, &batch, writer);
}

static void set_error(struct worker *worker, const char *text)
{
    if (worker->error_size == 0) {
        worker->host.set_error(&worker->host, sluice_text_of(text));
    }
}

static sluice_status run_task(struct worker *worker, const struct channel_task_wire *task,
                              const uint8_t *slot, struct verdict_writer *writer)
{
    const struct sluice_text topic = {
        (const char *)(slot + CHANNEL_RECORDS_AT + task->records_size), task->topic_size};
    sluice_status status;

    host_error_clear(worker);
    atomic_store_explicit(&output_head(worker)->alloc_failed, 0, memory_order_relaxed);
    if (task->is_state != 0) {
        return state_load(worker, task, topic, slot + CHANNEL_RECORDS_AT);
    }
    if (!state_begin(worker, task, topic, writer)) {
        return SLUICE_E_WOULD_BLOCK;
    }
    status = record_decode(worker, task, slot + CHANNEL_RECORDS_AT);
    if (status != SLUICE_OK) {
        set_error(worker, "the records of the batch cannot be decoded");
        return status;
    }
    status = run_plugin(worker, task, slot, &writer->writer);
    if (status == SLUICE_OK) {
        status = verdict_writer_end(writer);
        if (status != SLUICE_OK) {
            if (writer->pending != SLUICE_OK) {
                progress_of(worker)->plugin.index = writer->pending_index;
            }
            set_error(worker, "a verdict could not be written and the plugin gave no other");
        }
    }
    return status;
}

static void answer(struct worker *worker, uint64_t task_id, uint8_t *slot, sluice_status status,
                   const struct verdict_writer *writer)
{
    struct channel_result_wire wire = {
        .magic = CHANNEL_RESULT_MAGIC,
        .status = status,
        .items_size = status == SLUICE_OK ? writer->used : 0,
        .error_size = worker->error_size,
        .state_missing = worker->state.missing,
        .progress = channel_progress_index(progress_of(worker), worker->taken, CHANNEL_NULL)};
    struct channel_descriptor descriptor = {.task_id = task_id};
    const uint32_t index = worker->taken % worker->boot->geometry.depth;
    uint32_t parts;

    wire.delta_count = state_end(worker, status, &wire.deltas_size);
    parts = wire.items_size + wire.deltas_size;
    descriptor.bytes = (uint32_t)sizeof(wire) + parts + wire.error_size;
    memcpy(slot, &wire, sizeof(wire));
    memcpy(slot + sizeof(wire) + parts, worker->error, worker->error_size);
    memcpy(worker->output + CHANNEL_DESCRIPTORS_AT + index * sizeof(descriptor), &descriptor,
           sizeof(descriptor));
}

/* Publish, fence, look whether the host waits for a ring (once for each of its turns). */
static void publish(struct worker *worker)
{
    const uint64_t one = 1;
    uint32_t turn;

    worker->taken++;
    atomic_store(&output_head(worker)->answered, worker->taken);
    atomic_thread_fence(memory_order_seq_cst);
    turn = atomic_load_explicit(&input_head(worker)->wait_turn, memory_order_relaxed);
    if (turn != worker->rung_turn) {
        worker->rung_turn = turn;
        (void)!write(WORKER_FD_EVENT, &one, sizeof(one));
    }
}

/* Nothing is known of the task that comes now; its number last, so that it is never of another. */
static void progress_begin(const struct worker *worker)
{
    struct channel_progress *progress = progress_of(worker);

    progress->plugin.index = CHANNEL_NULL;
    atomic_store_explicit(&progress->done, CHANNEL_NULL, memory_order_relaxed);
    atomic_store_explicit(&progress->task, worker->taken, memory_order_release);
}

static void take_task(struct worker *worker)
{
    const struct channel_geometry *geometry = &worker->boot->geometry;
    const uint64_t index = worker->taken % geometry->depth;
    const uint8_t *in = worker->input + CHANNEL_HEAD_BYTES + index * geometry->input_slot_bytes;
    uint8_t *out = worker->output + CHANNEL_HEAD_BYTES + index * geometry->output_slot_bytes;
    const uint32_t room = geometry->output_slot_bytes -
                          (uint32_t)sizeof(struct channel_result_wire) - CHANNEL_REASON_SIZE_MAX;
    struct channel_task_wire task;
    struct verdict_writer writer;
    sluice_status status;

    memcpy(&task, in, sizeof(task));
    progress_begin(worker);
    verdict_writer_init(&writer, worker->boot, out + sizeof(struct channel_result_wire), room,
                        &task, progress_of(worker));
    status = run_task(worker, &task, in, &writer);
    if (worker->state.missing) { /* whatever the plugin made of it */
        status = SLUICE_E_WOULD_BLOCK;
        worker->error_size = 0;
    }
    answer(worker, task.task_id, out, status, &writer);
    publish(worker);
}

/* ---- control ---- */

static struct sluice_text error_text(const struct worker *worker)
{
    return (struct sluice_text){worker->error, worker->error_size};
}

static void reconfigure(struct worker *worker, const uint8_t *json, uint32_t size)
{
    const struct config before = worker->config;
    struct config fresh = {.owned = malloc(size + 1)};
    sluice_status status = SLUICE_E_NO_MEMORY;

    host_error_clear(worker);
    if (fresh.owned != NULL) {
        memcpy(fresh.owned, json, size);
        fresh.json = (struct sluice_text){fresh.owned, size};
        worker->config = fresh;
        host_tell_change(worker, before.json);
        status = worker->processor->reconfigure == NULL
                     ? SLUICE_E_UNSUPPORTED
                     : worker->processor->reconfigure(worker->self);
    }
    host_tell_change(worker, (struct sluice_text){NULL, 0});
    if (worker->processor->reconfigure == NULL) {
        set_error(worker, "the plugin takes no new configuration while it runs");
    }
    fresh = worker->config;
    if (status == SLUICE_OK) {
        fresh = before;
    } else {
        worker->config = before;
    }
    config_fini(&fresh);
    link_note(CONTROL_RECONFIGURED, status, 0, error_text(worker), true);
}

static _Noreturn void drain(struct worker *worker)
{
    const struct sluice_processor *processor = worker->processor;
    sluice_status status = SLUICE_OK;

    tasks_close(worker);
    host_error_clear(worker);
    if (processor->drain != NULL) {
        status = processor->drain(worker->self);
    }
    if (processor->deactivate != NULL) {
        processor->deactivate(worker->self);
    }
    processor->destroy(worker->self);
    link_note(CONTROL_DRAINED, status, 0, error_text(worker), true);
    _exit(0);
}

static void take_message(struct worker *worker)
{
    static uint8_t space[CONTROL_SIZE_MAX];
    const uint32_t size = link_receive(space, sizeof(space), NULL, false);
    struct control_head head;

    if (size == 0) {
        return;
    }
    memcpy(&head, space, sizeof(head));
    if (head.kind == CONTROL_RECONFIGURE) {
        reconfigure(worker, space + sizeof(head), size - (uint32_t)sizeof(head));
    } else if (head.kind == CONTROL_DRAIN) {
        drain(worker);
    }
}

/* At most so long; 0: until it rings. */
static void sleep_on(struct worker *worker, uint32_t doorbell, uint32_t rest_ms)
{
    const struct timespec rest = {rest_ms / 1000, (long)(rest_ms % 1000) * 1000000};

    atomic_store(&output_head(worker)->sleeping, 1u);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&input_head(worker)->doorbell, memory_order_relaxed) == doorbell) {
        syscall(SYS_futex, &input_head(worker)->doorbell, FUTEX_WAIT, doorbell,
                rest_ms != 0 ? &rest : NULL, NULL, 0);
    }
    atomic_store(&output_head(worker)->sleeping, 0u);
}

/* No batch and no message waits: a task of the plugin's, if one may begin. */
static void idle(struct worker *worker, uint32_t doorbell)
{
    const uint32_t rest_ms = tasks_wait(worker) ? tasks_rest_ms(worker) : 0;

    if (rest_ms == 0 && tasks_wait(worker)) {
        tasks_run_one(worker);
    } else {
        sleep_on(worker, doorbell, rest_ms);
    }
}

/* The host counts a message after it has sent it: the last one of the start may not be counted yet,
 * although it was taken (control_seen is ahead then). */
static bool message_waits(const struct worker *worker)
{
    return (int32_t)(atomic_load(&input_head(worker)->control) - worker->control_seen) > 0;
}

_Noreturn void task_loop_run(struct worker *worker)
{
    for (;;) {
        const uint32_t doorbell = atomic_load(&input_head(worker)->doorbell);

        if (atomic_load(&input_head(worker)->submitted) != worker->taken) {
            take_task(worker);
        } else if (message_waits(worker)) {
            worker->control_seen++;
            take_message(worker);
        } else {
            idle(worker, doorbell);
        }
    }
}
