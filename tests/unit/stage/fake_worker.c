/* fake_worker.c: see fake_worker.h. */
#include "fake_worker.h"

#include "record/record_iterator.h"
#include "verdict_items.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES (1u << 20)

/* False: the worker dies. */
static bool judge(struct fake_worker *worker, struct verdict_items *answer, uint32_t index, int id,
                  bool *stop)
{
    char text[32];
    switch (worker->fate(id)) {
    case FATE_PASS:
        return true;
    case FATE_DROP:
        verdict_items_reason(answer, SANDBOX_VERDICT_DROP, index, "");
        return true;
    case FATE_SPLIT:
        snprintf(text, sizeof(text), "%d", id);
        verdict_items_emit(answer, index, SLUICE_PARTITION_AUTO, "other", text);
        verdict_items_emit(answer, index, SLUICE_PARTITION_AUTO, "other", text);
        return true;
    case FATE_CHANGE:
        snprintf(text, sizeof(text), "%d!", id);
        verdict_items_emit(answer, index, SLUICE_PARTITION_AUTO, "", text);
        return true;
    case FATE_REJECT:
        verdict_items_reason(answer, SANDBOX_VERDICT_REJECT, index, "not wanted");
        return true;
    case FATE_RETRY:
        if (worker->retries++ % 2 == 0) {
            verdict_items_reason(answer, SANDBOX_VERDICT_RETRY, index, "later");
            *stop = true;
        }
        return true;
    default:
        return false;
    }
}

/* It died at the record before `index`. */
static uint32_t begun(struct fake_worker *worker, uint32_t index, uint32_t count)
{
    switch (worker->word) {
    case WORD_TRUE:
        return index;
    case WORD_FALSE:
        return 1 + (index + worker->lies++ * 7u) % count;
    default:
        return 0;
    }
}

static void run_call(struct fake_worker *worker, struct worker_call *call)
{
    struct verdict_items answer = {.bytes = malloc(ANSWER_BYTES), .room = ANSWER_BYTES};
    struct record_iterator iterator;
    struct record_view record;
    struct sl_bytes records = {call->task.records.data, call->task.records.size};
    bool alive = true;
    bool stop = false;
    uint32_t index = 0;
    record_iterator_init(&iterator, records, (int32_t)call->task.record_count);
    while (alive && !stop && record_iterator_next(&iterator, &record)) {
        char text[32] = "";
        memcpy(text, record.value.data, SL_MIN(record.value.size, sizeof(text) - 1));
        alive = judge(worker, &answer, index++, atoi(text), &stop);
    }
    bool fresh = call->fresh || !worker->aged;
    worker->aged = alive;
    worker->calls++;
    worker->deaths += !alive;
    worker->largest = SL_MAX(worker->largest, call->task.record_count);
    struct sandbox_result result = {.limit = call->task.record_count,
                                    .items = answer.bytes,
                                    .items_size = answer.size,
                                    .emit_count = answer.emit_count};
    struct worker_outcome outcome = {.err = alive ? SLUICE_OK : SLUICE_E_PLUGIN_CRASHED,
                                     .result = alive ? &result : NULL,
                                     .fresh = fresh,
                                     .begun =
                                         alive ? 0 : begun(worker, index, call->task.record_count),
                                     .text = alive ? "" : "it died"};
    call->pending = call->running = false;
    call->done(call, &outcome);
    free(answer.bytes);
}

static void refuse(struct worker_call *call)
{
    struct worker_outcome outcome = {.err = SLUICE_E_BUSY, .text = "no worker"};
    call->pending = false;
    call->done(call, &outcome);
}

static void work(struct sl_task *task)
{
    struct fake_worker *worker = SL_CONTAINER_OF(task, struct fake_worker, task);
    SL_LIST_EACH_SAFE(&worker->queue, link)
    {
        struct worker_call *call = SL_CONTAINER_OF(link, struct worker_call, link);
        if (worker->dead && !call->urgent) {
            continue;
        }
        sl_list_remove(link);
        if (worker->dead) {
            refuse(call);
        } else {
            run_call(worker, call);
        }
        fake_worker_revive(worker);
        return;
    }
}

static void submit(struct worker_port *port, struct worker_call *call)
{
    struct fake_worker *worker = SL_CONTAINER_OF(port, struct fake_worker, port);
    cr_assert(!call->pending);
    call->pending = true;
    sl_list_push_back(&worker->queue, &call->link);
    fake_worker_revive(worker);
}

static void cancel(struct worker_port *port, struct worker_call *call)
{
    (void)port;
    sl_list_remove(&call->link);
    call->pending = false;
}

void fake_worker_init(struct fake_worker *worker, struct sl_loop *loop, fate_fn *fate)
{
    *worker = (struct fake_worker){
        .port = {.submit = submit, .cancel = cancel}, .loop = loop, .fate = fate};
    worker->task.run = work;
    worker->task.priority = SL_PRIORITY_PROCESSING;
    sl_list_init(&worker->queue);
}

void fake_worker_revive(struct fake_worker *worker)
{
    if (worker->task.queued == 0) {
        sl_loop_post(worker->loop, &worker->task);
    }
}
