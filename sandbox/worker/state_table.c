/* state_table.c: the extension sluice.state/1 in a worker: which working copy a batch needs,
 * whether it is here and what the host thinks it is, and what became of its changes.
 *
 * The host names the state by a token and the state after the batch by another. If it names the
 * same one again, the batch was not committed: the logged changes are taken back. If it names
 * anything else, the copy is stale: the batch is not run, the host hands the state down first. A
 * plugin that never asked costs nothing: only its first call finds out that there is none here. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t empty_value[1] = {0};

/* ---- scopes ---- */

static struct state_scope *find(struct state *state, struct sluice_text topic, int32_t partition)
{
    struct state_scope **link = &state->scopes;
    struct state_scope *scope;

    while ((scope = *link) != NULL &&
           (scope->partition != partition || scope->topic_size != topic.size ||
            memcmp(scope->topic, topic.data, topic.size) != 0)) {
        link = &scope->next;
    }
    if (scope != NULL) {
        *link = scope->next;
        scope->next = state->scopes;
        state->scopes = scope;
    }
    return scope;
}

/* NULL: no memory. */
static struct state_scope *find_or_add(struct state *state, struct sluice_text topic,
                                       int32_t partition)
{
    struct state_scope *scope = find(state, topic, partition);

    if (scope != NULL) {
        return scope;
    }
    scope = calloc(1, sizeof(*scope) + topic.size);
    if (scope != NULL) {
        scope->partition = partition;
        scope->topic_size = (uint32_t)topic.size;
        if (topic.size > 0) {
            memcpy(scope->topic, topic.data, topic.size);
        }
        scope->next = state->scopes;
        state->scopes = scope;
    }
    return scope;
}

static void hold(struct state_scope *scope, uint64_t token)
{
    scope->token = token;
    scope->token_before = 0;
}

/* What is here is what the host names. */
static bool agree(struct state_scope *scope, uint64_t token)
{
    if (scope->token != 0 && scope->token == token) {
        state_map_keep(&scope->map);
        hold(scope, token);
        return true;
    }
    if (scope->token_before != 0 && scope->token_before == token) {
        state_map_undo_all(&scope->map);
        hold(scope, token);
        return true;
    }
    state_map_clear(&scope->map);
    hold(scope, token == STATE_TOKEN_EMPTY ? token : 0);
    return token == STATE_TOKEN_EMPTY;
}

/* ---- a batch ---- */

bool state_begin(struct worker *worker, const struct channel_task_wire *task,
                 struct sluice_text topic, struct verdict_writer *writer)
{
    struct state *state = &worker->state;
    struct state_scope *scope;

    state->task = task;
    state->topic = topic;
    state->writer = writer;
    if (task->state_next == 0) {
        return true;
    }
    scope = find(state, topic, task->partition);
    if (scope != NULL && agree(scope, task->state_token)) {
        state->scope = scope;
        writer->state = state;
        return true;
    }
    state->missing = state->is_used && task->state_token != STATE_TOKEN_EMPTY;
    return !state->missing;
}

uint32_t state_end(struct worker *worker, sluice_status status, uint32_t *ret_size)
{
    struct state *state = &worker->state;
    struct state_scope *scope = state->scope;
    struct verdict_writer *writer = state->writer;
    uint32_t count = 0;

    *ret_size = 0;
    if (scope != NULL && status != SLUICE_OK) {
        state_map_undo_all(&scope->map);
    } else if (scope != NULL && scope->map.change_count > 0) {
        *ret_size = (uint32_t)scope->map.delta_bytes;
        count = state_map_deltas(&scope->map, writer->items + writer->used);
        scope->token_before = scope->token;
        scope->token = state->task->state_next;
    }
    state->task = NULL;
    state->scope = NULL;
    state->writer = NULL;
    state->missing = false;
    return count;
}

sluice_status state_load(struct worker *worker, const struct channel_task_wire *task,
                         struct sluice_text topic, const uint8_t *deltas)
{
    struct state *state = &worker->state;
    struct state_scope *scope = find_or_add(state, topic, task->partition);
    const uint8_t *end = deltas + task->records_size;
    struct state_delta delta;

    if (scope == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    state->is_used = true;
    if (task->record_count == 0) {
        state_map_clear(&scope->map);
        scope->loaded = 0;
        hold(scope, 0);
    } else if (scope->token != 0 || scope->loaded != task->record_count) {
        state->missing = true;
        return SLUICE_E_WOULD_BLOCK;
    }
    while (state_delta_next(&deltas, end, &delta)) {
        if (state_map_load(&scope->map, &delta) != SLUICE_OK) {
            state_map_clear(&scope->map);
            scope->loaded = 0;
            worker->host.set_error(&worker->host,
                                   sluice_text_of("its state does not fit into its memory"));
            return SLUICE_E_NO_MEMORY;
        }
        scope->loaded++;
    }
    if (task->state_next != 0) {
        hold(scope, task->state_next);
    }
    return SLUICE_OK;
}

/* ---- the table ---- */

/* The copy of the running batch; made for a state that is empty. */
static sluice_status ready(struct state *state)
{
    if (state->task == NULL) {
        return SLUICE_E_INVALID;
    }
    if (state->task->state_next == 0) {
        return SLUICE_E_UNSUPPORTED;
    }
    state->is_used = true;
    if (state->scope != NULL) {
        return SLUICE_OK;
    }
    if (state->task->state_token != STATE_TOKEN_EMPTY) {
        state->missing = true;
        return SLUICE_E_WOULD_BLOCK;
    }
    state->scope = find_or_add(state, state->topic, state->task->partition);
    if (state->scope == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    hold(state->scope, STATE_TOKEN_EMPTY);
    state->writer->state = state;
    return SLUICE_OK;
}

static bool key_good(struct sluice_bytes key)
{
    return key.data != NULL && key.size > 0 && key.size <= SLUICE_STATE_KEY_BYTES_MAX;
}

static struct sluice_bytes value_of(const struct state_entry *entry)
{
    return (struct sluice_bytes){entry->value, entry->value_size};
}

static sluice_status get(const struct sluice_state *table, struct sluice_bytes key,
                         struct sluice_bytes *ret_value)
{
    struct worker *worker = table->data;
    const struct state_entry *entry;
    sluice_status status = ready(&worker->state);

    if (status != SLUICE_OK) {
        return status;
    }
    if (!key_good(key)) {
        return SLUICE_E_INVALID;
    }
    entry = state_map_get(&worker->state.scope->map, key);
    if (entry == NULL) {
        return SLUICE_E_NOT_FOUND;
    }
    *ret_value = value_of(entry);
    return SLUICE_OK;
}

/* SLUICE_OK and *ret_void: the record comes again anyway, its changes are void. */
static sluice_status check_index(const struct state *state, uint32_t index, bool *ret_void)
{
    const struct verdict_writer *writer = state->writer;
    const struct state_map *map = &state->scope->map;
    const bool retried = writer->any && writer->last_kind == SANDBOX_VERDICT_RETRY;
    const bool open = writer->last_kind == SANDBOX_VERDICT_EMIT ||
                      writer->last_kind == SANDBOX_VERDICT_PASS ||
                      writer->last_kind == SANDBOX_VERDICT_DROP;

    *ret_void = retried && index >= writer->last_index && index < writer->limit;
    if (*ret_void) {
        return SLUICE_OK;
    }
    if (index >= writer->limit || (writer->any && index < writer->last_index) ||
        (writer->any && index == writer->last_index && !open) ||
        (map->change_count > 0 && index < map->changes[map->change_count - 1].index)) {
        return SLUICE_E_INVALID;
    }
    return SLUICE_OK;
}

/* The deltas lie behind the verdicts: what one takes is not there for the other. */
static void share_room(struct state *state)
{
    struct verdict_writer *writer = state->writer;

    writer->capacity = (writer->room - (uint32_t)state->scope->map.delta_bytes) & ~7u;
}

static sluice_status change(const struct sluice_state *table, uint32_t index,
                            struct sluice_bytes key, struct sluice_bytes value)
{
    struct worker *worker = table->data;
    struct state *state = &worker->state;
    sluice_status status = ready(state);
    bool is_void = false;
    uint64_t room;

    status = status == SLUICE_OK ? check_index(state, index, &is_void) : status;
    if (status != SLUICE_OK || is_void) {
        return status;
    }
    if (!key_good(key) || value.size > SLUICE_STATE_VALUE_BYTES_MAX) {
        return SLUICE_E_INVALID;
    }
    room = state->writer->room - state->writer->used;
    room = room < STATE_DELTAS_BYTES_MAX ? room : STATE_DELTAS_BYTES_MAX;
    status = state_map_change(&state->scope->map, index, key, value,
                              worker->boot->limits.state_bytes_max, room);
    if (status == SLUICE_OK) {
        share_room(state);
    }
    return status;
}

static sluice_status put(const struct sluice_state *table, uint32_t index, struct sluice_bytes key,
                         struct sluice_bytes value)
{
    if (value.data == NULL || value.size == 0) {
        value = (struct sluice_bytes){empty_value, 0};
    }
    return change(table, index, key, value);
}

static sluice_status take_out(const struct sluice_state *table, uint32_t index,
                              struct sluice_bytes key)
{
    return change(table, index, key, (struct sluice_bytes){NULL, 0});
}

static sluice_status next(const struct sluice_state *table, uint64_t *cursor,
                          struct sluice_bytes *ret_key, struct sluice_bytes *ret_value)
{
    struct worker *worker = table->data;
    const struct state_entry *entry;
    sluice_status status = ready(&worker->state);

    if (status != SLUICE_OK) {
        return status;
    }
    entry = state_map_next(&worker->state.scope->map, cursor);
    if (entry == NULL) {
        return SLUICE_E_NOT_FOUND;
    }
    *ret_key = (struct sluice_bytes){entry->key, entry->key_size};
    *ret_value = value_of(entry);
    return SLUICE_OK;
}

bool state_undo(struct state *state, uint32_t index, bool and_after)
{
    const bool done = state_map_undo(&state->scope->map, index, and_after);

    share_room(state);
    return done;
}

void state_init(struct worker *worker)
{
    worker->state.table = (struct sluice_state){.size = sizeof(worker->state.table),
                                                .data = worker,
                                                .get = get,
                                                .put = put,
                                                .remove = take_out,
                                                .next = next};
}
