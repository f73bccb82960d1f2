/* plugin_position.c: seek and forget: the positions of a name on all shards, whatever of it is
 * loaded.
 *
 *   gather (all shards) ─► offsets asked (seek) ─► parts held ─► commit (each shard) ─► parts let
 * go
 *
 * The tasks are closed meanwhile: what they had under way is not committed, or was before. A
 * position is in force when it is durable; the answer says what each was and is. On shard 0's loop,
 * but what is marked [shard]. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"
#include "shard/offsets.h"
#include "shard/topics.h"

#include <stdio.h>
#include <string.h>

#define MOVES_PER_COMMIT 512u
#define MOVES_MAX        100000u /* of a shard and a command */

/* Those of one shard. */
struct shard_moves {
    struct shard_call call;
    struct plugin_order *order;
    uint32_t shard;
    struct plugin_move *moves; /* owned */
    struct sl_uuid *topics;    /* owned; beside the moves */
    uint32_t count, capacity;
    sl_err err;
    bool only_look; /* else what `after` says is written */
    uint32_t done_count;
    struct commit commit;
    struct wal_item items[MOVES_PER_COMMIT];
    uint8_t payloads[MOVES_PER_COMMIT][POSITION_ITEM_BYTES_MAX];
    size_t sizes[MOVES_PER_COMMIT];
};

struct plugin_positions {
    uint32_t shard_count;
    uint32_t pending; /* shards, or questions, that are not answered */
    struct plugin_move *all;
    uint32_t count;
    bool held; /* by this command */
    struct sluice_offset_query *queries;
    char state_name[TOPIC_NAME_BYTES_MAX + 1u]; /* of the topic that is deleted */
    struct sluice_topic_ref state;
    struct shard_moves shards[];
};

void plugin_positions_free(struct plugin_positions *positions)
{
    for (uint32_t i = 0; positions != NULL && i < positions->shard_count; i++) {
        sl_free(positions->shards[i].moves);
        sl_free(positions->shards[i].topics);
    }
    if (positions != NULL) {
        sl_free(positions->all);
        sl_free(positions->queries);
    }
    sl_free(positions);
}

void plugin_positions_outcome(const struct plugin_positions *positions,
                              struct plugin_outcome *ret_outcome)
{
    if (positions != NULL && ret_outcome->err == SLUICE_OK) {
        ret_outcome->moves = positions->all;
        ret_outcome->move_count = positions->count;
    }
}

/* ---- holding ---- */

struct hold_call {
    struct shard_call call;
    struct plugin_order *order;
    struct plugin_instance *instance;
    bool held;
};

static void hold_told(void *arg)
{
    struct hold_call *self = arg;
    shard_call_reply(&self->call);
}

/* [shard] */
static void hold_run(struct shard_call *call)
{
    struct hold_call *self = SL_CONTAINER_OF(call, struct hold_call, call);
    instance_part_hold(&self->instance->parts[call->target->index], self->held, hold_told, self);
}

static void hold_replied(struct shard_call *call)
{
    struct hold_call *self = SL_CONTAINER_OF(call, struct hold_call, call);
    struct plugin_order *order = self->order;
    struct plugin_instance *instance = self->instance;
    sl_free(self);
    bool last = --order->awaited_count == 0;
    if (last) {
        order->instance = NULL;
    }
    instance_part_answered(instance);
    if (last) {
        order->next(order);
    }
}

void order_hold(struct plugin_order *order, bool held, order_fn *next)
{
    struct plugin_instance *instance = order->instance;
    uint32_t count = order->manager->config.set->count;
    bool is_there =
        instance != NULL && instance->attachment != NULL && instance->state != INSTANCE_DRAINING;
    order->next = next;
    if (!is_there) {
        order->instance = NULL;
        next(order);
        return;
    }
    order->awaited_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct hold_call *self = sl_alloc_zero(1, sizeof(*self));
        SL_ASSERT(self != NULL);
        *self = (struct hold_call){.call = {.run = hold_run, .reply = hold_replied},
                                   .order = order,
                                   .instance = instance,
                                   .held = held};
        instance_part_call(instance, &self->call, i);
    }
}

/* ---- what there is ---- */

static bool room_for_one(struct shard_moves *self)
{
    if (self->count < self->capacity) {
        return true;
    }
    uint32_t capacity = self->capacity == 0 ? 16 : 2 * self->capacity;
    struct plugin_move *moves = sl_realloc(self->moves, capacity * sizeof(*moves));
    self->moves = moves != NULL ? moves : self->moves;
    struct sl_uuid *topics = sl_realloc(self->topics, capacity * sizeof(*topics));
    self->topics = topics != NULL ? topics : self->topics;
    if (moves == NULL || topics == NULL || self->count == MOVES_MAX) {
        self->err = moves == NULL || topics == NULL ? SLUICE_E_NO_MEMORY : SLUICE_E_LIMIT;
        return false;
    }
    self->capacity = capacity;
    return true;
}

/* [shard] */
static void take_position(void *arg, const struct position *position)
{
    struct shard_moves *self = arg;
    const struct plugin_command *command = &self->order->command;
    const struct catalog *catalog = self->order->manager->config.set->shards[self->shard]->catalog;
    const struct topic *topic = catalog_by_id(catalog, &position->topic);
    bool is_seek = command->kind == PLUGIN_COMMAND_SEEK;
    if ((is_seek && topic == NULL) ||
        (is_seek && command->topic != NULL &&
         !sl_bytes_equal(topic->name, sl_bytes_of_text(command->topic))) ||
        (is_seek && command->partition >= 0 && position->partition != command->partition) ||
        self->err != SLUICE_OK || !room_for_one(self)) {
        return;
    }
    struct plugin_move *move = &self->moves[self->count];
    *move = (struct plugin_move){.partition = position->partition,
                                 .before = position->next_offset,
                                 .after = is_seek ? position->next_offset : -1};
    if (topic != NULL) {
        snprintf(move->topic, sizeof(move->topic), "%.*s", (int)topic->name.size,
                 (const char *)topic->name.data);
    }
    self->topics[self->count++] = position->topic;
}

/* ---- writing it down ---- */

static void write_next(struct shard_moves *self);

/* [shard] */
static void written(struct commit *commit, sl_err err)
{
    struct shard_moves *self = SL_CONTAINER_OF(commit, struct shard_moves, commit);
    struct shard *shard = commit->shard;
    for (uint32_t i = 0; i < commit->extra_count && err == SLUICE_OK; i++) {
        struct sl_bytes payload = {self->payloads[i], self->sizes[i]};
        err = position_store_apply(shard->positions, POSITION_ITEM_VERSION, payload);
        if (err != SLUICE_OK) { /* it is durable: this store would process records again */
            shard_refuse(shard, err);
        }
    }
    self->err = err;
    self->done_count += commit->extra_count;
    write_next(self);
}

/* [shard] */
static void write_next(struct shard_moves *self)
{
    struct shard *shard = self->order->manager->config.set->shards[self->shard];
    uint32_t count = SL_MIN(self->count - self->done_count, MOVES_PER_COMMIT);
    if (self->err != SLUICE_OK || count == 0) {
        shard_call_reply(&self->call);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct plugin_move *move = &self->moves[self->done_count + i];
        struct position position = {.name = sl_bytes_of_text(self->order->command.name),
                                    .topic = self->topics[self->done_count + i],
                                    .partition = move->partition,
                                    .next_offset = move->after};
        self->sizes[i] = position_item_encode(&position, self->payloads[i]);
        self->items[i] = (struct wal_item){.kind = WAL_ITEM_STAGE_POSITION,
                                           .version = POSITION_ITEM_VERSION,
                                           .payload = {self->payloads[i], self->sizes[i]}};
    }
    self->commit = (struct commit){.shard = shard,
                                   .items = self->items,
                                   .extra_count = count,
                                   .reserve = true,
                                   .done = written};
    self->err = commit_submit(&self->commit);
    if (self->err != SLUICE_OK) {
        shard_call_reply(&self->call);
    }
}

/* [shard] */
static void shard_run(struct shard_call *call)
{
    struct shard_moves *self = SL_CONTAINER_OF(call, struct shard_moves, call);
    self->err = call->target->status;
    if (self->only_look && self->err == SLUICE_OK) {
        position_store_each(call->target->positions, sl_bytes_of_text(self->order->command.name),
                            take_position, self);
    }
    if (self->only_look || self->err != SLUICE_OK) {
        shard_call_reply(call);
    } else {
        write_next(self);
    }
}

static void shard_replied(struct shard_call *call)
{
    struct shard_moves *self = SL_CONTAINER_OF(call, struct shard_moves, call);
    struct plugin_order *order = self->order;
    if (self->err != SLUICE_OK && order->err == SLUICE_OK) {
        order->err = self->err;
    }
    if (--order->positions->pending == 0) {
        order->next(order);
    }
}

static void ask_shards(struct plugin_order *order, bool only_look, order_fn *next)
{
    struct plugin_positions *positions = order->positions;
    order->next = next;
    uint32_t count = positions->shard_count;
    positions->pending = count;
    for (uint32_t i = 0; i < count; i++) {
        struct shard_moves *self = &positions->shards[i];
        self->call = (struct shard_call){.run = shard_run, .reply = shard_replied};
        self->order = order;
        self->shard = i;
        self->only_look = only_look;
        self->done_count = 0;
        /* The last reply may free the order: nothing of it is touched after the last start. */
        shard_call_start(&self->call, order->manager->config.set->shards[i], order->manager->loop,
                         SL_PRIORITY_CONTROL);
    }
}

/* All in one list, for the answer. */
static bool list_all(struct plugin_positions *positions)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < positions->shard_count; i++) {
        count += positions->shards[i].count;
    }
    sl_free(positions->all);
    positions->all = sl_alloc_zero(count + 1u, sizeof(*positions->all));
    positions->count = 0;
    for (uint32_t i = 0; positions->all != NULL && i < positions->shard_count; i++) {
        const struct shard_moves *self = &positions->shards[i];
        if (self->count > 0) {
            memcpy(positions->all + positions->count, self->moves,
                   self->count * sizeof(*self->moves));
        }
        positions->count += self->count;
    }
    return positions->all != NULL;
}

static bool positions_new(struct plugin_order *order)
{
    uint32_t count = order->manager->config.set->count;
    struct plugin_positions *positions =
        sl_alloc_zero(1, sizeof(*positions) + count * sizeof(positions->shards[0]));
    order->positions = positions;
    if (positions == NULL) {
        order_end(order, SLUICE_E_NO_MEMORY, "out of memory");
        return false;
    }
    positions->shard_count = count;
    return true;
}

/* ---- forget ---- */

static void forgotten(struct plugin_order *order);

static void state_forgotten(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct plugin_order *order = arg;
    sl_err err = count == 1 ? results[0].status : SLUICE_E_NO_MEMORY;
    order->err = err == SLUICE_E_UNKNOWN_TOPIC ? SLUICE_OK : err;
    forgotten(order);
}

/* What it remembered (stage_state.h). False: nothing. */
static bool forget_state(struct plugin_order *order)
{
    struct plugin_positions *positions = order->positions;
    struct shard *home = order->manager->config.set->shards[0];
    if (positions->state_name[0] != '\0') {
        return false; /* gone by now */
    }
    stage_state_name(order->command.name, positions->state_name);
    if (catalog_by_name(home->catalog, sl_bytes_of_text(positions->state_name)) == NULL) {
        return false;
    }
    positions->state = (struct sluice_topic_ref){.name = sluice_text_of(positions->state_name)};
    topics_delete_start(home, &positions->state, 1, false, state_forgotten, order);
    return true;
}

static void forgotten(struct plugin_order *order)
{
    struct plugin_positions *positions = order->positions;
    if (order->err != SLUICE_OK) {
        order_end(order, order->err, "not all is forgotten: %s", sl_status_text(order->err));
        return;
    }
    if (forget_state(order)) {
        return;
    }
    manager_forget_kept(order->manager, order->command.name);
    order_end(order, SLUICE_OK, "%s: %u positions are forgotten; a new one starts as a new plugin",
              order->command.name, positions->count);
}

static void forget_positions(struct plugin_order *order)
{
    ask_shards(order, false, forgotten);
}

static bool has_state(const struct plugin_order *order)
{
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    stage_state_name(order->command.name, name);
    return catalog_by_name(order->manager->config.set->shards[0]->catalog,
                           sl_bytes_of_text(name)) != NULL;
}

static void forget_looked(struct plugin_order *order)
{
    const struct plugin_switch *is = manager_switch(order->manager, order->command.name);
    bool known = instance_find(order->manager, order->command.name) != NULL || is != NULL ||
                 has_state(order) || manager_kept_count(order->manager, order->command.name) > 0;
    if (order->err != SLUICE_OK || !list_all(order->positions)) {
        order_end(order, order->err != SLUICE_OK ? order->err : SLUICE_E_NO_MEMORY,
                  "nothing was forgotten");
    } else if (!known && order->positions->count == 0) {
        order_end(order, SLUICE_E_NOT_FOUND, "nothing is kept of \"%.64s\"", order->command.name);
    } else if (!order->command.confirmed) {
        order_end(order, SLUICE_E_UNCONFIRMED,
                  "%u positions of %s%s are forgotten for good: loaded again, it begins as a new "
                  "plugin does",
                  order->positions->count, order->command.name,
                  has_state(order) ? " and its state" : "");
    } else if (order_tried(order, "%s: %u positions%s would be forgotten", order->command.name,
                           order->positions->count, has_state(order) ? " and its state" : "")) {
        return;
    } else if (is != NULL) {
        order_switch(order, 0, forget_positions);
    } else {
        forget_positions(order);
    }
}

void order_forget(struct plugin_order *order)
{
    const struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    bool ended = instance == NULL || instance->state == INSTANCE_UNLOADED ||
                 instance->state == INSTANCE_DISABLED || instance->state == INSTANCE_REFUSED;
    if (!ended || (instance != NULL && instance->active != NULL)) {
        order_end(order, SLUICE_E_BUSY, "%s is loaded; sluice plugin unload %s ends it first",
                  instance->name, instance->name);
    } else if (positions_new(order)) {
        ask_shards(order, true, forget_looked);
    }
}

/* ---- seek ---- */

static void seek_let_go(struct plugin_order *order)
{
    struct plugin_positions *positions = order->positions;
    if (order->err != SLUICE_OK) {
        order_end(order, order->err, "not all positions were moved: %s",
                  sl_status_text(order->err));
    } else {
        order_end(order, SLUICE_OK, "%s: %u positions are moved", order->command.name,
                  positions->count);
    }
}

static void seek_written(struct plugin_order *order)
{
    if (order->err != SLUICE_OK) {
        order->positions->count = 0;
    }
    if (order->positions->held) {
        order->instance = instance_find(order->manager, order->command.name);
        order_hold(order, false, seek_let_go);
    } else {
        seek_let_go(order);
    }
}

/* What the tasks committed since the first look is where they are now. */
static void seek_held(struct plugin_order *order)
{
    ask_shards(order, false, seek_written);
}

static void seek_take_answers(struct plugin_order *order,
                              const struct sluice_offset_answer *answers)
{
    struct plugin_positions *positions = order->positions;
    int64_t value = order->command.seek_value;
    uint32_t at = 0;
    for (uint32_t i = 0; i < positions->shard_count && order->err == SLUICE_OK; i++) {
        for (uint32_t j = 0; j < positions->shards[i].count; j++, at++) {
            struct plugin_move *move = &positions->shards[i].moves[j];
            const struct sluice_offset_answer *start = &answers[3 * at];
            const struct sluice_offset_answer *end = &answers[3 * at + 1];
            const struct sluice_offset_answer *time = &answers[3 * at + 2];
            sl_err err = start->status != SLUICE_OK ? start->status
                         : end->status != SLUICE_OK ? end->status
                                                    : time->status;
            int64_t within = SL_MIN(value, end->offset - start->offset);
            int64_t wanted[] = {start->offset + within, end->offset - within, value,
                                time->offset >= 0 ? time->offset : end->offset};
            move->after = wanted[order->command.seek_to];
            if (err == SLUICE_OK && (move->after < start->offset || move->after > end->offset)) {
                err = SLUICE_E_OFFSET_OUT_OF_RANGE;
                snprintf(order->text, sizeof(order->text), "%s %u holds %lld to %lld", move->topic,
                         move->partition, (long long)start->offset, (long long)end->offset);
            }
            order->err = order->err != SLUICE_OK ? order->err : err;
        }
    }
}

static void seek_answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct plugin_order *order = arg;
    if (count == 0) {
        order->err = SLUICE_E_NO_MEMORY;
    } else {
        seek_take_answers(order, answers);
    }
    if (order->err != SLUICE_OK || !list_all(order->positions)) {
        char why[PLUGIN_REASON_BYTES];
        snprintf(why, sizeof(why), "%s",
                 order->text[0] != '\0' ? order->text : sl_status_text(order->err));
        order_end(order, order->err != SLUICE_OK ? order->err : SLUICE_E_NO_MEMORY,
                  "nothing was moved: %s", why);
        return;
    }
    if (!order->command.confirmed) {
        order_end(order, SLUICE_E_UNCONFIRMED,
                  "%u positions of %s move: records are processed again, or never",
                  order->positions->count, order->command.name);
        return;
    }
    if (order_tried(order, "%s: %u positions would move", order->command.name,
                    order->positions->count)) {
        return;
    }
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    order->instance = instance;
    order->positions->held = instance != NULL && !instance->paused && instance->active != NULL;
    order_hold(order, true, seek_held);
}

static void fill_queries(struct plugin_order *order, struct sluice_offset_query *queries)
{
    struct plugin_positions *positions = order->positions;
    bool by_time = order->command.seek_to == PLUGIN_SEEK_TIME;
    const int64_t times[] = {SLUICE_TIME_EARLIEST, SLUICE_TIME_LATEST,
                             by_time ? order->command.seek_value : SLUICE_TIME_EARLIEST};
    uint32_t at = 0;
    for (uint32_t i = 0; i < positions->shard_count; i++) {
        for (uint32_t j = 0; j < positions->shards[i].count; j++) {
            const struct plugin_move *move = &positions->shards[i].moves[j];
            for (uint32_t k = 0; k < SL_COUNT_OF(times); k++) {
                queries[at++] =
                    (struct sluice_offset_query){.topic = {.name = sluice_text_of(move->topic)},
                                                 .partition = (int32_t)move->partition,
                                                 .leader_epoch = -1,
                                                 .timestamp = times[k]};
            }
        }
    }
}

static void seek_looked(struct plugin_order *order)
{
    struct plugin_positions *positions = order->positions;
    if (order->err != SLUICE_OK || !list_all(positions)) {
        order_end(order, order->err != SLUICE_OK ? order->err : SLUICE_E_NO_MEMORY,
                  "nothing was moved");
        return;
    }
    if (positions->count == 0) {
        order_end(order, SLUICE_E_NOT_FOUND, "\"%.64s\" has no position%s%s", order->command.name,
                  order->command.topic != NULL ? " in " : "",
                  order->command.topic != NULL ? order->command.topic : " that could be moved");
        return;
    }
    positions->queries = sl_alloc_zero(3 * positions->count, sizeof(*positions->queries));
    if (positions->queries == NULL) {
        order_end(order, SLUICE_E_NO_MEMORY, "nothing was moved");
        return;
    }
    fill_queries(order, positions->queries);
    offsets_start(order->manager->config.set->shards[0], SLUICE_ISOLATION_UNCOMMITTED,
                  positions->queries, 3 * positions->count, seek_answered, order);
}

void order_seek(struct plugin_order *order)
{
    const struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    if (instance != NULL && instance->attachment != NULL &&
        instance->attachment->is.on == SLUICE_ON_PRODUCE) {
        order_end(order, SLUICE_E_UNSUPPORTED, "%s is a gate: it has no positions", instance->name);
    } else if (positions_new(order)) {
        ask_shards(order, true, seek_looked);
    }
}
