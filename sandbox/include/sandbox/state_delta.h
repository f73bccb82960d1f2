/* state_delta.h: changes of a stage's state as bytes. A worker hands them up behind the verdicts of
 * a batch; the host hands the same down when a worker gets the state.
 *
 *   delta = u32 key size | u32 value size (~0: removed) | key | value      little-endian
 *
 * From a worker they are hostile: checked whole, in private memory, before the first is used. Pure;
 * any thread. */
#ifndef SANDBOX_STATE_DELTA_H
#define SANDBOX_STATE_DELTA_H

#include <sluice/state.h>

#define STATE_DELTAS_BYTES_MAX (1u << 20) /* of one batch */
#define STATE_DELTA_HEAD_BYTES 8u

/* Tokens name what a working copy holds (struct sandbox_task). */
#define STATE_TOKEN_UNKNOWN 0u
#define STATE_TOKEN_EMPTY   1u
#define STATE_TOKEN_FIRST   2u /* and all above, but for the highest bit, which is a shadow's */
#define STATE_TOKEN_SHADOW  (1ull << 63)

struct state_delta {
    struct sluice_bytes key;
    struct sluice_bytes value; /* data NULL: the key is removed */
};

/* Bytes of one delta. */
static inline uint64_t state_delta_bytes(struct sluice_bytes key, struct sluice_bytes value)
{
    return STATE_DELTA_HEAD_BYTES + key.size + (value.data == NULL ? 0 : value.size);
}
/* Writes one; returns the end. There is room for state_delta_bytes. */
uint8_t *state_delta_put(uint8_t *at, struct sluice_bytes key, struct sluice_bytes value);
/* Exactly `count` good deltas fill `size` bytes. */
bool state_deltas_check(const uint8_t *bytes, uint32_t size, uint32_t count);
/* The next one of checked bytes; false: the end (or bytes that were not checked). */
bool state_delta_next(const uint8_t **cursor, const uint8_t *end, struct state_delta *ret_delta);

#endif
