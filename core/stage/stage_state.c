/* stage_state.c: see stage_state.h. */
#include "stage/stage_task_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "shard/store.h"

#include <inttypes.h>
#include <sandbox/state_delta.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES     (512u << 10) /* a chunk is sent from here on */
#define CHUNK_BYTES_MAX (2u << 20)
#define ATTEMPTS_MAX    4u

/* ---- who has it ---- */

static struct stage_state *find(const struct stage_task *task, const struct sl_uuid *topic_id,
                                uint32_t partition)
{
    SL_LIST_EACH(task->config->stores, link)
    {
        struct stage_state *state = SL_CONTAINER_OF(link, struct stage_state, link);
        if (state->partition == partition && sl_uuid_equal(&state->output.topic_id, topic_id) &&
            strcmp(state->instance, task->config->rules.instance) == 0) {
            return state;
        }
    }
    return NULL;
}

static struct stage_state *make(const struct stage_task *task, const struct sl_uuid *topic_id,
                                uint32_t partition)
{
    struct stage_state *state = sl_alloc_zero(1, sizeof(*state));
    char *instance =
        sl_strdup_bytes(task->config->rules.instance, strlen(task->config->rules.instance));
    if (state == NULL || instance == NULL) {
        sl_free(state);
        sl_free(instance);
        return NULL;
    }
    state->instance = instance;
    state->partition = partition;
    state->output.topic_id = *topic_id;
    sl_link_init(&state->link);
    sl_list_init(&state->waiting);
    sl_buffer_init(&state->chunk, CHUNK_BYTES_MAX);
    sl_list_push_back(task->config->stores, &state->link);
    return state;
}

sl_err stage_state_open(struct stage_task *task, const struct sl_uuid *topic_id, uint32_t partition)
{
    struct stage_state *state = find(task, topic_id, partition);
    if (state != NULL && state == task->store) {
        return SLUICE_OK;
    }
    state = state != NULL ? state : make(task, topic_id, partition);
    if (state == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    state->refs++;
    stage_state_close(task);
    task->store = state;
    return SLUICE_OK;
}

void stage_state_close(struct stage_task *task)
{
    struct stage_state *state = task->store;
    if (state == NULL) {
        return;
    }
    stage_state_release(task);
    sl_list_remove(&task->store_wait);
    task->store = NULL;
    if (--state->refs == 0) {
        SL_ASSERT(state->user == NULL && state->from == NULL);
        sl_list_remove(&state->link);
        sl_free(state->instance);
        sl_free(state);
    }
}

bool stage_state_acquire(struct stage_task *task)
{
    struct stage_state *state = task->store;
    if (state == NULL || state->user == NULL || state->user == task ||
        task->config->mutants.no_turns) {
        if (state != NULL) {
            state->user = task;
        }
        return true;
    }
    stage_read_forget(task);
    sl_list_remove(&task->store_wait);
    sl_list_push_back(&state->waiting, &task->store_wait);
    task->state = TASK_WAITING;
    stage_task_set_stall(task, "waits for the state of its partition");
    return false;
}

/* It is handed down anew when it is needed. */
static void stop_loading(struct stage_task *task)
{
    struct stage_state *state = task->store;
    if (state->from != NULL) {
        partition_unref(state->from);
        state->from = NULL;
        stage_read_forget(task);
    }
    sl_buffer_fini(&state->chunk);
}

void stage_state_release(struct stage_task *task)
{
    struct stage_state *state = task->store;
    if (state == NULL || state->user != task) {
        return;
    }
    stop_loading(task);
    state->after = 0;
    state->writes_version = false;
    state->user = NULL;
    SL_LIST_EACH_SAFE(&state->waiting, link)
    {
        struct stage_task *other = SL_CONTAINER_OF(link, struct stage_task, store_wait);
        sl_list_remove(link);
        if (other->state == TASK_WAITING && !other->closing) {
            stage_task_step_later(other);
        }
    }
}

bool stage_state_is_loading(const struct stage_task *task)
{
    const struct stage_state *state = task->store;
    return state != NULL && state->user == task && state->from != NULL;
}

/* ---- a call ---- */

static uint64_t draw_token(struct worker_port *port)
{
    return STATE_TOKEN_FIRST + port->state_serial++;
}

static struct topic *find_topic(const struct stage_task *task)
{
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    stage_state_name(task->config->rules.instance, name);
    return catalog_by_name(stage_task_shard(task)->catalog, sl_bytes_of_text(name));
}

void stage_state_submit(struct stage_task *task, struct sandbox_task *ret_task)
{
    struct stage_state *state = task->store;
    struct worker_port *port = task->config->port;
    if (state->port != port) { /* its tokens mean nothing to this one */
        state->port = port;
        state->epoch = port->state_epoch;
        state->token = STATE_TOKEN_UNKNOWN;
        state->has_version = false;
    }
    if (state->epoch != port->state_epoch) { /* another worker needs it as well */
        state->epoch = port->state_epoch;
        state->token =
            state->token > STATE_TOKEN_EMPTY ? (uint64_t)STATE_TOKEN_UNKNOWN : state->token;
    }
    if (state->token == STATE_TOKEN_UNKNOWN && find_topic(task) == NULL) {
        state->token = STATE_TOKEN_EMPTY;
    }
    state->next = draw_token(port);
    ret_task->state_token = state->token;
    ret_task->state_next = state->next;
    state->output.version = task->config->state_version;
    state->output.with_version = !state->has_version;
}

/* ---- results ---- */

void stage_state_take(struct stage_task *task, const struct sandbox_result *result)
{
    struct stage_state *state = task->store;
    if (state == NULL) {
        return;
    }
    bool taken = result->delta_count > 0 && !task->output.is_cut;
    state->attempts = 0;
    state->after = taken ? state->next : 0;
    state->writes_version = taken && state->output.with_version;
}

void stage_state_committed(struct stage_task *task, bool durable)
{
    struct stage_state *state = task->store;
    if (state == NULL || state->user != task) {
        return;
    }
    if (durable && state->after != 0) {
        state->token = state->after;
        state->has_version |= state->writes_version;
    }
    state->after = 0;
    state->writes_version = false;
}

/* ---- handing it down ---- */

static void give_up(struct stage_task *task, const char *stall, const char *why)
{
    stage_task_log(task, SL_LOG_WARN, "its state cannot be handed to its worker", why);
    stage_task_back_off(task, stall);
}

void stage_state_load(struct stage_task *task)
{
    struct stage_state *state = task->store;
    struct topic *topic = find_topic(task);
    uint32_t number = 0;
    stage_read_forget(task);
    stop_loading(task);
    if (++state->attempts > ATTEMPTS_MAX) {
        state->attempts = 0;
        give_up(task, "its worker loses its state", "it asked for it again and again");
        return;
    }
    state->sent = state->chunk_count = 0;
    state->version = -1;
    if (topic == NULL) {
        state->token = STATE_TOKEN_EMPTY;
        stage_task_step_later(task);
        return;
    }
    struct partition *from = NULL;
    sl_err err = SLUICE_E_UNKNOWN_TOPIC;
    if (stage_output_near(stage_task_shard(task), topic, state->partition, &number)) {
        err = partition_open(stage_task_shard(task), topic, number, &from);
    }
    if (err != SLUICE_OK) {
        give_up(task, "its state cannot be read", sl_status_text(err));
        return;
    }
    partition_ref(from);
    state->from = from;
    state->at = partition_start(from);
    state->end = partition_end(from);
    if (task->config->mutants.state_stale) {
        state->end = state->stale_end > 0 ? state->stale_end : state->end;
        state->stale_end = state->end;
    }
    stage_task_step_later(task);
}

static void chunk_sent(struct worker_call *call, const struct worker_outcome *outcome);

static void send_chunk(struct stage_task *task, uint64_t token)
{
    struct stage_state *state = task->store;
    uint32_t partition = 0;
    const struct topic *topic = stage_task_origin(task, &partition);
    if (topic == NULL) {
        give_up(task, "the topic is gone", "the topic is gone");
        return;
    }
    task->call =
        (struct worker_call){.done = chunk_sent, .bisecting = task->limit != 0 || task->fresh};
    worker_call_init(&task->call);
    task->call.task = (struct sandbox_task){
        .partition = (int32_t)partition,
        .timeout_ms = task->config->timeout_ms,
        .topic = text_of_sl(topic->name),
        .principal = sluice_text_of(task->config->rules.principal),
        .records = {state->chunk.data, state->chunk.size},
        .record_count = state->sent,
        .base_offset = -1,
        .state_next = token,
        .is_state = true,
    };
    state->next = token;
    task->state = TASK_WORKING;
    stage_task_set_stall(task, "hands its state to its worker");
    task->config->port->submit(task->config->port, &task->call);
}

/* False: the plugin cannot go on with what is there. */
static bool check_version(struct stage_task *task)
{
    struct stage_state *state = task->store;
    char text[STAGE_REASON_BYTES];
    const struct stage_config *config = task->config;
    state->has_version = state->version == config->state_version;
    bool known = state->version < 0 || state->has_version;
    for (uint32_t i = 0; i < config->state_import_count; i++) {
        known = known || state->version == config->state_import[i];
    }
    if (known) {
        return true;
    }
    snprintf(text, sizeof(text),
             "its state was written with state_version %" PRId64 ", the plugin has %" PRId64
             ": load the version that wrote it, or `sluice plugin forget` it",
             state->version, task->config->state_version);
    stage_task_log(task, SL_LOG_ERROR, "stage stops", text);
    stage_task_stand(task, SLUICE_E_UNSUPPORTED, text, "its state has another state_version");
    return false;
}

static void chunk_sent(struct worker_call *call, const struct worker_outcome *outcome)
{
    struct stage_task *task = SL_CONTAINER_OF(call, struct stage_task, call);
    struct stage_state *state = task->store;
    task->state = TASK_IDLE;
    if (stage_task_ended(task)) {
        return;
    }
    if (outcome->err == SLUICE_E_STOPPING || outcome->err == SLUICE_E_CANCELLED) {
        stage_task_stand(task, outcome->err, "the stage ends", "no worker");
        return;
    }
    if (outcome->err != SLUICE_OK) {
        give_up(task, "its state cannot be handed to its worker", outcome->text);
        return;
    }
    if (outcome->result->state_missing) { /* another process, which has nothing of it */
        stage_state_load(task);
        return;
    }
    if (outcome->result->status != SLUICE_OK) {
        give_up(task, "its state does not fit into its worker",
                sl_status_text(outcome->result->status));
        return;
    }
    state->sent += state->chunk_count;
    state->chunk_count = 0;
    sl_buffer_reset(&state->chunk);
    if (state->next != 0) { /* that was the last one */
        state->token = state->next;
        stop_loading(task);
    }
    stage_task_step_later(task);
}

/* ---- from the topic ---- */

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static sl_err add_record(struct stage_task *task, const struct record_view *record)
{
    struct stage_state *state = task->store;
    uint8_t head[STAGE_STATE_KEY_HEAD];
    struct sl_bytes key = record->key;
    stage_output_state_key(&state->output, state->partition, head);
    if (record->key_is_null || key.size < sizeof(head) ||
        memcmp(key.data, head, sizeof(head)) != 0) {
        return SLUICE_OK; /* of another partition */
    }
    if (key.size == sizeof(head)) {
        state->version = record->value.size == 8 && !record->value_is_null
                             ? (int64_t)get_u64(record->value.data)
                             : state->version;
        return SLUICE_OK;
    }
    static const uint8_t empty[1] = {0};
    struct sluice_bytes name = {key.data + sizeof(head), key.size - sizeof(head)};
    struct sluice_bytes value = {record->value.size > 0 ? record->value.data : empty,
                                 record->value.size};
    value.data = record->value_is_null ? NULL : value.data;
    if (name.size > SLUICE_STATE_KEY_BYTES_MAX || value.size > SLUICE_STATE_VALUE_BYTES_MAX) {
        return SLUICE_E_CORRUPT;
    }
    size_t size = (size_t)state_delta_bytes(name, value);
    sl_err err = sl_buffer_reserve(&state->chunk, size);
    if (err == SLUICE_OK) {
        (void)state_delta_put(state->chunk.data + state->chunk.size, name, value);
        state->chunk.size += size;
        state->chunk_count++;
    }
    return err;
}

static sl_err add_batch(struct stage_task *task, const struct batch_view *view,
                        struct sl_bytes records)
{
    struct stage_state *state = task->store;
    struct record_iterator iterator;
    struct record_view record;
    sl_err err = SLUICE_OK;
    record_iterator_init(&iterator, records, batch_view_record_count(view));
    while (err == SLUICE_OK && state->chunk.size < CHUNK_BYTES &&
           record_iterator_next(&iterator, &record)) {
        int64_t offset = record_offset(view, &record);
        if (offset >= state->at) {
            err = add_record(task, &record);
            state->at = offset + 1;
        }
    }
    if (err == SLUICE_OK && state->chunk.size < CHUNK_BYTES) {
        err = record_iterator_finish(&iterator);
        state->at = SL_MAX(state->at, batch_view_next_offset(view));
    }
    return err;
}

/* The batch at the cursor. False: a helper opens it. */
static bool take_batch(struct stage_task *task, sl_err *ret_err)
{
    struct stage_state *state = task->store;
    struct batch_view view;
    struct sl_bytes records;
    struct sl_bytes rest = {task->cut.data + task->cursor, task->cut.size - task->cursor};
    SL_ASSERT(batch_view_init(&view, rest) == SLUICE_OK); /* partition_cut walked it */
    *ret_err = SLUICE_OK;
    if (!batch_view_has(&view, BATCH_CONTROL)) {
        if (!stage_read_open(task, &view, &records, ret_err)) {
            return false;
        }
        *ret_err = *ret_err != SLUICE_OK ? *ret_err : add_batch(task, &view, records);
    } else {
        state->at = SL_MAX(state->at, batch_view_next_offset(&view));
    }
    if (state->at >= batch_view_next_offset(&view)) {
        task->cursor += view.size;
        task->is_opened = false;
    }
    return true;
}

void stage_state_step(struct stage_task *task)
{
    struct stage_state *state = task->store;
    sl_err err = SLUICE_OK;
    while (task->cursor < task->cut.size && state->at < state->end &&
           state->chunk.size < CHUNK_BYTES && err == SLUICE_OK) {
        if (!take_batch(task, &err)) {
            return;
        }
    }
    if (err != SLUICE_OK) {
        give_up(task, "its state cannot be read", sl_status_text(err));
    } else if (state->chunk.size >= CHUNK_BYTES) {
        send_chunk(task, 0);
    } else if (state->at < state->end) {
        stage_read_start(task);
    } else if (check_version(task)) {
        send_chunk(task, draw_token(task->config->port));
    }
}
