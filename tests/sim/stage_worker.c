/* stage_worker.c: a worker whose plugin counts (stage_sim.h): each record raises the count of its
 * key and a total, both in its state, and comes out with them. At STAGE_CYCLE a key is forgotten.
 * Tokens as in sandbox/worker/state_table.c. */
#include "stage_sim.h"

#include "record/record_iterator.h"

#include <inttypes.h>
#include <sandbox/state_delta.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON "not by this version"

enum fate { FATE_COUNT, FATE_REJECT, FATE_FAIL, FATE_POISON, FATE_FORBIDDEN, FATE_RETRY };

/* By record and version of the plugin: what one fails on, the next may take. */
static enum fate fate_of(const struct stage_sim *sim, uint32_t id)
{
    static const enum fate fates[] = {FATE_REJECT, FATE_FAIL, FATE_FORBIDDEN, FATE_POISON,
                                      FATE_RETRY};
    uint32_t drawn = (id * 2654435761u + sim->version * 40503u) >> 8;
    return drawn % 48 < SL_COUNT_OF(fates) ? fates[drawn % 48] : FATE_COUNT;
}

/* ---- state ---- */

static void hold(struct stage_scope *scope, uint64_t token)
{
    scope->is_there = true;
    scope->token = token;
    scope->token_before = 0;
}

/* What is here is what the host names. */
static bool agree(struct stage_scope *scope, uint64_t token)
{
    if (scope->is_there && scope->token != 0 && scope->token == token) {
        hold(scope, token);
        return true;
    }
    if (scope->is_there && scope->token_before != 0 && scope->token_before == token) {
        scope->memory = scope->before;
        hold(scope, token);
        return true;
    }
    memset(scope, 0, sizeof(*scope));
    hold(scope, token == STATE_TOKEN_EMPTY ? token : 0);
    return token == STATE_TOKEN_EMPTY;
}

static uint32_t number_of(struct sluice_bytes text)
{
    char digits[16] = "";
    memcpy(digits, text.data, SL_MIN((size_t)text.size, sizeof(digits) - 1));
    return (uint32_t)atoi(digits);
}

/* A chunk. */
static void load(struct stage_worker *worker, const struct sandbox_task *task,
                 struct sandbox_result *result)
{
    struct stage_scope *scope = &worker->scopes[task->partition];
    const uint8_t *cursor = task->records.data;
    const uint8_t *end = cursor + task->records.size;
    struct state_delta delta;
    worker->is_used = true;
    if (task->record_count == 0) {
        memset(scope, 0, sizeof(*scope));
        scope->is_there = true;
    } else if (!scope->is_there || scope->token != 0 || scope->loaded != task->record_count) {
        result->state_missing = true;
        return;
    }
    while (state_delta_next(&cursor, end, &delta)) {
        uint32_t number = delta.value.data == NULL ? 0 : number_of(delta.value);
        if (delta.key.data[0] == 'k') {
            scope->memory.counts[delta.key.data[1] - '0'] = number;
        } else {
            scope->memory.total = number;
        }
        scope->loaded++;
    }
    if (task->state_next != 0) {
        hold(scope, task->state_next);
        worker->owner->counts.state_loads++;
    }
}

static uint8_t *put_delta(uint8_t *at, const char *key, uint32_t number)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "%u", number);
    struct sluice_bytes value = {(const uint8_t *)text, (uint64_t)size};
    value.data = number == 0 ? NULL : value.data;
    return state_delta_put(at, (struct sluice_bytes){(const uint8_t *)key, strlen(key)}, value);
}

/* The difference to before the batch. */
static void put_deltas(struct stage_worker *worker, const struct stage_scope *scope,
                       struct sandbox_result *result)
{
    uint8_t *at = worker->deltas;
    for (uint32_t i = 0; i < STAGE_KEYS; i++) {
        char key[3] = {'k', (char)('0' + i), '\0'};
        if (scope->memory.counts[i] != scope->before.counts[i]) {
            at = put_delta(at, key, scope->memory.counts[i]);
            result->delta_count++;
        }
    }
    if (scope->memory.total != scope->before.total) {
        at = put_delta(at, STAGE_TOTAL_KEY, scope->memory.total);
        result->delta_count++;
    }
    result->deltas = worker->deltas;
    result->deltas_size = (uint32_t)(at - worker->deltas);
}

/* ---- a batch ---- */

enum went { WENT_ON, WENT_NO_FURTHER, DIED };

static void count(struct stage_worker *worker, struct stage_memory *memory, uint32_t index,
                  int32_t partition, uint32_t id, const char *topic)
{
    char value[64];
    uint32_t key = id % STAGE_KEYS;
    uint32_t now = memory->counts[key] + 1;
    memory->counts[key] = now == STAGE_CYCLE ? 0 : now;
    memory->total++;
    snprintf(value, sizeof(value), "%u %u %u", id, now, memory->total);
    verdict_items_emit(&worker->verdicts, index, partition, topic, value);
}

static enum went process(struct stage_worker *worker, struct stage_memory *memory, uint32_t index,
                         int32_t partition, uint32_t id)
{
    switch (fate_of(worker->owner, id)) {
    case FATE_REJECT:
        verdict_items_reason(&worker->verdicts, SANDBOX_VERDICT_REJECT, index, REASON);
        return WENT_ON;
    case FATE_FAIL:
        verdict_items_reason(&worker->verdicts, SANDBOX_VERDICT_FAIL, index, REASON);
        return WENT_ON;
    case FATE_FORBIDDEN: /* the plugin counts it; the broker knows better */
        count(worker, memory, index, partition, id, "not-granted");
        return WENT_ON;
    case FATE_POISON:
        return DIED;
    case FATE_RETRY:
        if (sim_draw(&worker->owner->base, 2) == 0) {
            verdict_items_reason(&worker->verdicts, SANDBOX_VERDICT_RETRY, index, REASON);
            return WENT_NO_FURTHER;
        }
        break;
    default:
        break;
    }
    count(worker, memory, index, partition, id, "");
    return WENT_ON;
}

static bool run_batch(struct stage_worker *worker, const struct sandbox_task *task,
                      struct sandbox_result *result)
{
    struct stage_scope *scope = &worker->scopes[task->partition];
    struct record_iterator iterator;
    struct record_view record;
    struct sl_bytes records = {task->records.data, (size_t)task->records.size};
    enum went went = WENT_ON;
    uint32_t index = 0;
    if (task->state_next == 0) {
        model_fault(&worker->owner->base.model, "records without a state");
    }
    if (!agree(scope, task->state_token)) {
        result->state_missing = true;
        return true;
    }
    worker->is_used = true;
    scope->before = scope->memory;
    record_iterator_init(&iterator, records, (int32_t)task->record_count);
    while (went == WENT_ON && record_iterator_next(&iterator, &record)) {
        uint32_t id = number_of((struct sluice_bytes){record.value.data, record.value.size});
        went = process(worker, &scope->memory, index++, task->partition, id);
    }
    if (went == DIED) {
        return false;
    }
    put_deltas(worker, scope, result);
    if (result->delta_count > 0) {
        scope->token_before = scope->token;
        scope->token = task->state_next;
    }
    return true;
}

void stage_worker_kill(struct stage_worker *worker)
{
    memset(worker->scopes, 0, sizeof(worker->scopes));
    worker->aged = false;
    worker->owner->counts.worker_deaths++;
}

static void run_call(struct stage_worker *worker, struct worker_call *call)
{
    struct stage_sim *sim = worker->owner;
    struct sandbox_result result = {.limit = call->task.record_count};
    bool fresh = call->fresh || !worker->aged;
    bool alive = sim_draw(&sim->base, 60) > 0;
    worker->verdicts =
        (struct verdict_items){.bytes = worker->items, .room = sizeof(worker->items)};
    if (call->fresh && worker->aged) { /* another process */
        stage_worker_kill(worker);
    }
    if (alive && call->task.is_state) {
        load(worker, &call->task, &result);
    } else if (alive) {
        alive = run_batch(worker, &call->task, &result) && sim_draw(&sim->base, 60) > 0;
    }
    result.items = worker->items;
    result.items_size = worker->verdicts.size;
    result.emit_count = worker->verdicts.emit_count;
    worker->aged = true;
    if (!alive) {
        stage_worker_kill(worker);
    }
    struct worker_outcome outcome = {.err = alive ? SLUICE_OK : SLUICE_E_PLUGIN_CRASHED,
                                     .result = alive ? &result : NULL,
                                     .fresh = fresh,
                                     .text = alive ? "" : "it died"};
    call->pending = call->running = false;
    call->done(call, &outcome);
}

static void wake(struct stage_worker *worker)
{
    if (worker->task.queued == 0) {
        sl_loop_post(worker->loop, &worker->task);
    }
}

static void work(struct sl_task *task)
{
    struct stage_worker *worker = SL_CONTAINER_OF(task, struct stage_worker, task);
    struct sl_link *link = sl_list_first(&worker->queue);
    if (link == NULL) {
        return;
    }
    if (sim_draw(&worker->owner->base, 3) > 0) { /* else it takes its time */
        sl_list_remove(link);
        run_call(worker, SL_CONTAINER_OF(link, struct worker_call, link));
    }
    wake(worker);
}

static void submit(struct worker_port *port, struct worker_call *call)
{
    struct stage_worker *worker = SL_CONTAINER_OF(port, struct stage_worker, port);
    SL_ASSERT(!call->pending);
    call->pending = true;
    sl_list_push_back(&worker->queue, &call->link);
    wake(worker);
}

static void cancel(struct worker_port *port, struct worker_call *call)
{
    (void)port;
    sl_list_remove(&call->link);
    call->pending = false;
}

void stage_worker_init(struct stage_worker *worker, struct stage_sim *owner, struct sl_loop *loop)
{
    memset(worker, 0, sizeof(*worker));
    worker->port.submit = submit;
    worker->port.cancel = cancel;
    worker->owner = owner;
    worker->loop = loop;
    worker->task.run = work;
    worker->task.priority = SL_PRIORITY_PROCESSING;
    sl_list_init(&worker->queue);
}
