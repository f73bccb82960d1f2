/* channel.c: the host's side of the rings: hand over tasks, take results.
 *
 * Wake-ups follow Dekker's pattern on both sides: publish, full fence, look whether the peer
 * sleeps. The output region is only ever read, each descriptor once. */
#include "channel_layout.h"

#include <sandbox/channel.h>
#include <stdlib.h>
#include <string.h>

#define COPY_KEEP_BYTES (256u << 10) /* a private copy larger than this shrinks again */

static struct channel_input_head *input_head(const struct channel *channel)
{
    return (struct channel_input_head *)(void *)channel->input;
}

static const struct channel_output_head *output_head(const struct channel *channel)
{
    return (const struct channel_output_head *)(const void *)channel->output;
}

bool channel_geometry_valid(const struct channel_geometry *geometry)
{
    const uint32_t in = geometry->input_slot_bytes;
    const uint32_t out = geometry->output_slot_bytes;

    return geometry->depth >= 1 && geometry->depth <= CHANNEL_DEPTH_MAX && in >= 4096 &&
           out >= 4096 && in <= CHANNEL_SLOT_BYTES_MAX && out <= CHANNEL_SLOT_BYTES_MAX &&
           in % 4096 == 0 && out % 4096 == 0;
}

uint64_t channel_input_bytes(const struct channel_geometry *geometry)
{
    return CHANNEL_HEAD_BYTES + (uint64_t)geometry->depth * geometry->input_slot_bytes;
}

uint64_t channel_output_bytes(const struct channel_geometry *geometry)
{
    return channel_metrics_at(geometry) + CHANNEL_METRICS_BYTES;
}

void channel_init(struct channel *channel, const struct channel_geometry *geometry, uint8_t *input,
                  const uint8_t *output)
{
    *channel = (struct channel){.geometry = *geometry, .input = input, .output = output};
}

void channel_fini(struct channel *channel)
{
    free(channel->copy);
    channel->copy = NULL;
    channel->copy_capacity = 0;
}

uint32_t channel_in_flight(const struct channel *channel)
{
    return channel->submitted - channel->taken;
}

static uint8_t *next_input_slot(const struct channel *channel)
{
    const uint64_t slot = channel->submitted % channel->geometry.depth;

    return channel->input + CHANNEL_HEAD_BYTES + slot * channel->geometry.input_slot_bytes;
}

sluice_status channel_reserve(struct channel *channel, uint64_t size, uint8_t **ret_memory)
{
    if (channel_in_flight(channel) == channel->geometry.depth) {
        return SLUICE_E_BUSY;
    }
    if (size > channel->geometry.input_slot_bytes - CHANNEL_RECORDS_AT) {
        return SLUICE_E_LIMIT;
    }
    *ret_memory = next_input_slot(channel) + CHANNEL_RECORDS_AT;
    return SLUICE_OK;
}

struct text_list {
    struct sluice_text texts[5];
    uint64_t size;
};

static bool task_texts(const struct sandbox_task *task, struct text_list *ret_list)
{
    struct text_list list = {
        {task->topic, task->principal, task->listener, task->client_id, task->client_host}, 0};

    for (size_t i = 0; i < 5; i++) {
        if (list.texts[i].size > CHANNEL_TASK_TEXT_SIZE_MAX) {
            return false;
        }
        list.size += list.texts[i].size;
    }
    *ret_list = list;
    return true;
}

static void write_task(uint8_t *slot, const struct sandbox_task *task, const struct text_list *list)
{
    struct channel_task_wire wire = {
        .task_id = task->id,
        .base_offset = task->base_offset,
        .base_timestamp = task->base_timestamp,
        .connection = task->connection,
        .partition = task->partition,
        .timeout_ms = task->timeout_ms,
        .record_count = task->record_count,
        .first = task->first,
        .limit = task->limit,
        .records_size = (uint32_t)task->records.size,
        .topic_size = (uint32_t)list->texts[0].size,
        .principal_size = (uint32_t)list->texts[1].size,
        .listener_size = (uint32_t)list->texts[2].size,
        .client_id_size = (uint32_t)list->texts[3].size,
        .client_host_size = (uint32_t)list->texts[4].size,
        .has_trace_id = task->trace_id.size == 16,
        .state_token = task->state_token,
        .state_next = task->state_next,
        .is_state = task->is_state,
    };
    uint8_t *at = slot + CHANNEL_RECORDS_AT;

    if (wire.has_trace_id != 0) {
        memcpy(wire.trace_id, task->trace_id.data, sizeof(wire.trace_id));
    }
    memcpy(slot, &wire, sizeof(wire));
    if (task->records.data != at && task->records.size > 0) {
        memcpy(at, task->records.data, task->records.size);
    }
    at += task->records.size;
    for (size_t i = 0; i < 5; i++) {
        if (list->texts[i].size > 0) {
            memcpy(at, list->texts[i].data, list->texts[i].size);
            at += list->texts[i].size;
        }
    }
}

static bool ring(struct channel *channel)
{
    atomic_fetch_add(&input_head(channel)->doorbell, 1u);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&output_head(channel)->sleeping, memory_order_relaxed) != 0;
}

bool channel_ring(struct channel *channel)
{
    atomic_fetch_add(&input_head(channel)->control, 1u);
    return ring(channel);
}

static void publish(struct channel *channel, const struct sandbox_task *task, uint32_t bytes)
{
    const uint32_t slot = channel->submitted % channel->geometry.depth;
    const struct channel_descriptor descriptor = {.task_id = task->id, .bytes = bytes};

    memcpy(channel->input + CHANNEL_DESCRIPTORS_AT + slot * sizeof(descriptor), &descriptor,
           sizeof(descriptor));
    channel->slots[slot] = (struct channel_slot){
        .task_id = task->id, .first = task->first, .limit = task->limit, .kill_ms = task->kill_ms};
    channel->submitted++;
    channel->wait_turn++;
    atomic_store(&input_head(channel)->wait_turn, channel->wait_turn);
    atomic_store(&input_head(channel)->submitted, channel->submitted);
}

sluice_status channel_submit(struct channel *channel, const struct sandbox_task *task,
                             bool *ret_wake)
{
    struct text_list list;

    if (channel_in_flight(channel) == channel->geometry.depth) {
        return SLUICE_E_BUSY;
    }
    if (!task_texts(task, &list) || task->first > task->record_count ||
        task->limit > task->record_count - task->first) {
        return SLUICE_E_INVALID;
    }
    if (task->records.size > channel->geometry.input_slot_bytes ||
        CHANNEL_RECORDS_AT + task->records.size + list.size > channel->geometry.input_slot_bytes) {
        return SLUICE_E_LIMIT;
    }
    write_task(next_input_slot(channel), task, &list);
    publish(channel, task, (uint32_t)(CHANNEL_RECORDS_AT + task->records.size + list.size));
    *ret_wake = ring(channel);
    return SLUICE_OK;
}

/* Reads a descriptor once; the compiler may not go back to the shared page for a second look. */
static struct channel_descriptor fetch_descriptor(const struct channel *channel, uint32_t slot)
{
    const uint8_t *at =
        channel->output + CHANNEL_DESCRIPTORS_AT + slot * sizeof(struct channel_descriptor);
    const volatile struct channel_descriptor *shared =
        (const volatile struct channel_descriptor *)(const void *)at;
    struct channel_descriptor copy;

    copy.task_id = shared->task_id;
    copy.bytes = shared->bytes;
    copy.reserved = shared->reserved;
    return copy;
}

static bool copy_room(struct channel *channel, uint32_t bytes)
{
    const bool shrink =
        channel->copy_capacity > COPY_KEEP_BYTES && bytes < channel->copy_capacity / 8;
    uint32_t capacity = 4096;
    uint8_t *memory;

    if (bytes <= channel->copy_capacity && !shrink) {
        return true;
    }
    while (capacity < bytes) {
        capacity *= 2;
    }
    memory = malloc(capacity);
    if (memory == NULL) {
        return bytes <= channel->copy_capacity;
    }
    free(channel->copy);
    channel->copy = memory;
    channel->copy_capacity = capacity;
    return true;
}

/* The three parts fill the bytes, and only a task that succeeded has the first two. */
static bool check_sizes(const struct channel_result_wire *wire, uint32_t bytes)
{
    const uint64_t sum = (uint64_t)wire->items_size + wire->deltas_size + wire->error_size;
    const bool is_empty = wire->items_size == 0 && wire->deltas_size == 0;

    return wire->magic == CHANNEL_RESULT_MAGIC && sum == bytes && wire->items_size % 8 == 0 &&
           wire->error_size <= CHANNEL_REASON_SIZE_MAX &&
           wire->deltas_size <= STATE_DELTAS_BYTES_MAX && (wire->status == SLUICE_OK || is_empty) &&
           wire->state_missing <= 1 && (wire->state_missing == 0 || wire->status != SLUICE_OK);
}

static bool check_result(const uint8_t *copy, uint32_t bytes, const struct channel_slot *slot,
                         struct sandbox_result *ret_result)
{
    struct channel_result_wire wire;
    struct sandbox_result result = {
        .task_id = slot->task_id, .first = slot->first, .limit = slot->limit};

    memcpy(&wire, copy, sizeof(wire));
    bytes -= (uint32_t)sizeof(wire);
    if (!check_sizes(&wire, bytes)) {
        return false;
    }
    result.status = wire.status;
    result.progress =
        wire.progress < slot->limit ? slot->first + wire.progress : SANDBOX_PROGRESS_NONE;
    result.items = copy + sizeof(wire);
    result.items_size = wire.items_size;
    result.deltas = result.items + wire.items_size;
    result.deltas_size = wire.deltas_size;
    result.delta_count = wire.delta_count;
    result.state_missing = wire.state_missing != 0;
    result.error.data = (const char *)(result.deltas + wire.deltas_size);
    result.error.size = wire.error_size;
    if (!channel_item_check_all(result.items, &result) ||
        !state_deltas_check(result.deltas, result.deltas_size, result.delta_count)) {
        return false;
    }
    *ret_result = result;
    return true;
}

sluice_status channel_take(struct channel *channel, struct sandbox_result *ret_result)
{
    const uint32_t answered =
        atomic_load_explicit(&output_head(channel)->answered, memory_order_acquire);
    const uint32_t slot = channel->taken % channel->geometry.depth;
    const uint32_t slot_bytes = channel->geometry.output_slot_bytes;
    struct channel_descriptor descriptor;

    if (answered == channel->taken) {
        return SLUICE_E_WOULD_BLOCK;
    }
    if (answered - channel->taken > channel_in_flight(channel)) {
        return SLUICE_E_PLUGIN_PROTOCOL;
    }
    descriptor = fetch_descriptor(channel, slot);
    if (descriptor.task_id != channel->slots[slot].task_id || descriptor.bytes > slot_bytes ||
        descriptor.bytes < sizeof(struct channel_result_wire)) {
        return SLUICE_E_PLUGIN_PROTOCOL;
    }
    if (!copy_room(channel, descriptor.bytes)) {
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(channel->copy, channel->output + CHANNEL_HEAD_BYTES + (uint64_t)slot * slot_bytes,
           descriptor.bytes);
    if (!check_result(channel->copy, descriptor.bytes, &channel->slots[slot], ret_result)) {
        return SLUICE_E_PLUGIN_PROTOCOL;
    }
    channel->taken++;
    return SLUICE_OK;
}

bool channel_sleep(struct channel *channel)
{
    channel->wait_turn++;
    atomic_store(&input_head(channel)->wait_turn, channel->wait_turn);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&output_head(channel)->answered, memory_order_relaxed) ==
           channel->taken;
}

uint32_t channel_progress_of_oldest(const struct channel *channel)
{
    const struct channel_slot *slot = &channel->slots[channel->taken % channel->geometry.depth];
    const uint32_t index = channel_progress_index(
        (const void *)(channel->output + CHANNEL_PROGRESS_AT), channel->taken, slot->limit);

    return channel_in_flight(channel) > 0 && index != CHANNEL_NULL ? slot->first + index
                                                                   : SANDBOX_PROGRESS_NONE;
}
