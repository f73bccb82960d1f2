/* state_delta.c: see state_delta.h. */
#include <sandbox/state_delta.h>
#include <string.h>

#define REMOVED 0xffffffffu

static uint8_t *put(uint8_t *at, const void *data, uint64_t size)
{
    if (size > 0) {
        memcpy(at, data, size);
    }
    return at + size;
}

uint8_t *state_delta_put(uint8_t *at, struct sluice_bytes key, struct sluice_bytes value)
{
    const bool removed = value.data == NULL;
    const uint32_t sizes[2] = {(uint32_t)key.size, removed ? REMOVED : (uint32_t)value.size};

    at = put(at, sizes, sizeof(sizes));
    at = put(at, key.data, key.size);
    return put(at, value.data, removed ? 0 : value.size);
}

bool state_delta_next(const uint8_t **cursor, const uint8_t *end, struct state_delta *ret_delta)
{
    const uint8_t *at = *cursor;
    uint64_t left = (uint64_t)(end - at);
    uint32_t sizes[2];
    uint32_t value_size;

    if (left < sizeof(sizes)) {
        return false;
    }
    memcpy(sizes, at, sizeof(sizes));
    at += sizeof(sizes);
    left -= sizeof(sizes);
    value_size = sizes[1] == REMOVED ? 0 : sizes[1];
    if (sizes[0] == 0 || sizes[0] > SLUICE_STATE_KEY_BYTES_MAX ||
        value_size > SLUICE_STATE_VALUE_BYTES_MAX || (uint64_t)sizes[0] + value_size > left) {
        return false;
    }
    ret_delta->key = (struct sluice_bytes){at, sizes[0]};
    at += sizes[0];
    ret_delta->value = (struct sluice_bytes){sizes[1] == REMOVED ? NULL : at, value_size};
    *cursor = at + value_size;
    return true;
}

bool state_deltas_check(const uint8_t *bytes, uint32_t size, uint32_t count)
{
    const uint8_t *cursor = bytes;
    const uint8_t *end = bytes + size;
    struct state_delta delta;
    uint32_t seen = 0;

    while (cursor < end && state_delta_next(&cursor, end, &delta)) {
        seen++;
    }
    return cursor == end && seen == count;
}
