/* fuzz_message_set.c: a message set of magic 0 or 1 from a hostile client, to a batch and back.
 *
 * The first byte chooses; the CRCs of the outer messages are made to fit. What becomes a batch must
 * be one that is accepted, and must come down again in both magics. The bytes are also taken as
 * batches of a log, which are only ever damaged, not hostile. */
#include "record/batch_validate.h"
#include "record/message_set.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EXPANDED_MAX = 1 << 20 };

struct state {
    struct message_set_memory memory;
    struct sl_buffer batch, set, scratch;
};

static struct state *state_get(void)
{
    static struct state state;
    if (state.memory.codecs == NULL) {
        SL_ASSERT(message_set_memory_init(&state.memory, EXPANDED_MAX) == SLUICE_OK);
        sl_buffer_init(&state.batch, 8 * EXPANDED_MAX);
        sl_buffer_init(&state.set, 64 * EXPANDED_MAX);
        sl_buffer_init(&state.scratch, 8 * EXPANDED_MAX);
    }
    return &state;
}

static void seal(uint8_t *set, size_t size)
{
    size_t at = 0;
    while (size - at > MESSAGE_TIMESTAMP_AT) {
        size_t behind = sl_be32_load(set + at + MESSAGE_SIZE_AT);
        size_t whole = MESSAGE_OVERHEAD_SIZE + behind;
        if (whole > size - at || whole < MESSAGE_TIMESTAMP_AT)
            return;
        sl_be32_store(set + at + MESSAGE_CRC_AT, message_computed_crc(set + at, whole));
        at += whole;
    }
}

static void go_down(struct state *state, struct sl_bytes batches, bool must)
{
    for (int magic = 0; magic <= MESSAGE_MAGIC_MAX; magic++) {
        struct message_set_want want = {magic, 0, EXPANDED_MAX};
        int64_t next = -1;
        sl_buffer_reset(&state->set);
        sl_err err = message_set_from_batches(batches, &want, &state->memory, &state->set, &next);
        SL_ASSERT(!must || err == SLUICE_OK || err == SLUICE_E_EXPANDS_TOO_FAR ||
                  err == SLUICE_E_BATCH_TOO_LARGE);
        SL_ASSERT(err != SLUICE_OK || next >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state *state = state_get();
    if (size < 1)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    struct sl_bytes bytes = sl_bytes_of(copy, size - 1);
    if ((data[0] & 1) != 0) {
        go_down(state, bytes, false);
        free(copy);
        return 0;
    }
    seal(copy, size - 1);
    sl_buffer_reset(&state->batch);
    if (message_set_to_batch(bytes, &state->memory, &state->batch) == SLUICE_OK) {
        struct batch_limits limits;
        struct batch_verdict verdict;
        batch_limits_init(&limits);
        limits.batch_bytes_max = limits.expanded_bytes_max = 8 * EXPANDED_MAX;
        limits.append_time = limits.validate_records = true;
        sl_err err = batch_validate(sl_buffer_bytes(&state->batch), &limits, state->memory.codecs,
                                    &state->scratch, &verdict);
        SL_ASSERT(err == SLUICE_OK);
        go_down(state, sl_buffer_bytes(&state->batch), true);
    } else {
        SL_ASSERT(state->batch.size == 0);
    }
    free(copy);
    return 0;
}
