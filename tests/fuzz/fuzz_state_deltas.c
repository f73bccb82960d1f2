/* fuzz_state_deltas.c: changes of state from a hostile worker. What the check accepts is read to
 * its end, within its bounds, and written again it is the same bytes. */
#include <sandbox/state_delta.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cursor = data + 1;
    struct state_delta delta;
    uint32_t count = 0;

    if (size == 0 || !state_deltas_check(data + 1, (uint32_t)size - 1, data[0])) {
        return 0;
    }
    uint8_t *again = malloc(size);
    uint8_t *at = again;
    demand(again != NULL);
    while (state_delta_next(&cursor, data + size, &delta)) {
        demand(delta.key.size > 0 && delta.key.size <= SLUICE_STATE_KEY_BYTES_MAX);
        demand(delta.value.size <= SLUICE_STATE_VALUE_BYTES_MAX);
        at = state_delta_put(at, delta.key, delta.value);
        count++;
    }
    demand(count == data[0] && cursor == data + size);
    demand((size_t)(at - again) == size - 1 && memcmp(again, data + 1, size - 1) == 0);
    free(again);
    return 0;
}
