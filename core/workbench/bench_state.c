/* bench_state.c: see bench_state.h. */
#include "workbench/bench_state.h"

#include "base/bytes.h"

#include <string.h>

static struct sluice_bytes value_of(const struct bench_entry *entry)
{
    static const uint8_t empty[1] = {0};
    return (struct sluice_bytes){entry->value.size > 0 ? entry->value.data : empty,
                                 entry->value.size};
}

sl_err bench_state_write(const struct bench_input *input, struct sl_buffer *out)
{
    for (uint32_t i = 0; i < input->state_count; i++) {
        const struct bench_entry *entry = &input->state[i];
        struct sluice_bytes key = {entry->key.data, entry->key.size};
        struct sluice_bytes value = value_of(entry);
        size_t size = (size_t)state_delta_bytes(key, value);
        sl_err err = sl_buffer_reserve(out, size);
        if (err != SLUICE_OK) {
            return err;
        }
        (void)state_delta_put(out->data + out->size, key, value);
        out->size += size;
    }
    return SLUICE_OK;
}

static bool have_room(struct bench_outcome *outcome, struct config_arena *arena, uint32_t count)
{
    if (outcome->state_capacity >= count) {
        return true;
    }
    uint32_t capacity = SL_MAX(count, outcome->state_capacity * 2);
    struct bench_entry *grown = config_arena_get(arena, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    if (outcome->state_count > 0) {
        memcpy(grown, outcome->state, outcome->state_count * sizeof(*grown));
    }
    outcome->state = grown;
    outcome->state_capacity = capacity;
    return true;
}

bool bench_state_begin(struct bench_outcome *outcome, struct config_arena *arena,
                       const struct bench_input *input)
{
    if (!have_room(outcome, arena, SL_MAX(input->state_count, 16u))) {
        return false;
    }
    if (input->state_count > 0) {
        memcpy(outcome->state, input->state, input->state_count * sizeof(*outcome->state));
    }
    outcome->state_count = input->state_count;
    return true;
}

static struct bench_entry *find(const struct bench_outcome *outcome, struct sl_bytes key)
{
    for (uint32_t i = 0; i < outcome->state_count; i++) {
        if (sl_bytes_equal(outcome->state[i].key, key)) {
            return &outcome->state[i];
        }
    }
    return NULL;
}

static bool keep(struct config_arena *arena, struct sluice_bytes bytes, struct sl_bytes *ret_bytes)
{
    char *copy = config_arena_text(arena, bytes.data, (size_t)bytes.size);
    *ret_bytes = sl_bytes_of(copy, (size_t)bytes.size);
    return copy != NULL;
}

static bool put(struct bench_outcome *outcome, struct config_arena *arena,
                const struct state_delta *delta)
{
    struct bench_entry *entry =
        find(outcome, sl_bytes_of(delta->key.data, (size_t)delta->key.size));
    if (delta->value.data == NULL) {
        if (entry != NULL) {
            *entry = outcome->state[--outcome->state_count];
        }
        return true;
    }
    if (entry == NULL) {
        if (!have_room(outcome, arena, outcome->state_count + 1)) {
            return false;
        }
        entry = &outcome->state[outcome->state_count];
        if (!keep(arena, delta->key, &entry->key)) {
            return false;
        }
        outcome->state_count++;
    }
    return keep(arena, delta->value, &entry->value);
}

sl_err bench_state_take(struct bench_outcome *outcome, struct config_arena *arena,
                        const struct sandbox_result *result)
{
    struct state_delta delta;
    const uint8_t *cursor = result->deltas;
    const uint8_t *end = cursor + result->deltas_size;
    while (state_delta_next(&cursor, end, &delta)) {
        if (!put(outcome, arena, &delta)) {
            return SLUICE_E_NO_MEMORY;
        }
    }
    return SLUICE_OK;
}
