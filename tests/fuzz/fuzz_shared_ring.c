/* fuzz_shared_ring.c: a hostile peer in shared memory: between any two calls of the broker's side
 * it writes any number anywhere into the head, and any bytes into the rings.
 *
 * Nothing beyond the memory or the caller's buffer is read or written, what is taken or put is
 * never more than was asked for or than a ring has, and who says it goes to sleep is told truly
 * whether it may. */
#include <sluice/shared_ring.h>

#include <stdlib.h>

#define RING_BYTES SLUICE_SHARED_RING_BYTES_MIN
#define PIECE_MAX  (2 * RING_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, size_t size)
{
    uint64_t value = 0;
    size = size < input->size ? size : input->size;
    memcpy(&value, input->data, size);
    input->data += size;
    input->size -= size;
    return value;
}

/* The peer writes a number, near what stands there or any, into one of the words or somewhere else.
 */
static void lie(struct input *input, uint8_t *memory)
{
    const uint64_t where = take(input, 1);
    uint8_t *at = memory + (where < 8 ? where * SLUICE_SHARED_LINE_BYTES
                                      : take(input, 2) * 8 %
                                            (sluice_shared_bytes(RING_BYTES) - sizeof(uint64_t)));
    uint64_t value = 0;
    memcpy(&value, at, sizeof(value));
    value = take(input, 1) % 2 == 0 ? value + take(input, 2) : take(input, 8);
    memcpy(at, &value, sizeof(value));
}

static void step(struct input *input, struct sluice_shared_rings *rings, uint8_t *piece)
{
    const struct sluice_shared_rings before = *rings;
    const uint64_t size = take(input, 2) % (PIECE_MAX + 1);
    const uint32_t wants = (uint32_t)take(input, 1) % 4;
    int64_t done = 0;
    switch (take(input, 1) % 5) {
    case 0:
        done = sluice_shared_read(rings, piece, size);
        must(rings->taken - before.taken == (uint64_t)(done < 0 ? 0 : done));
        break;
    case 1:
        done = sluice_shared_write(rings, piece, size);
        must(rings->put - before.put == (uint64_t)(done < 0 ? 0 : done));
        break;
    case 2:
        must(sluice_shared_asleep(rings, wants) != sluice_shared_is_ready(rings, wants));
        break;
    case 3:
        (void)sluice_shared_must_wake(rings, wants);
        break;
    default:
        lie(input, rings->memory);
    }
    must(done == -(int64_t)SLUICE_E_MALFORMED ||
         (done >= 0 && done <= (int64_t)size && done <= (int64_t)RING_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t *memory = calloc(1, sluice_shared_bytes(RING_BYTES));
    uint8_t *piece = calloc(1, PIECE_MAX);
    must(memory != NULL && piece != NULL);
    struct sluice_shared_rings rings = sluice_shared_of(memory, SLUICE_SHARED_SERVER, RING_BYTES);
    while (input.size > 0) {
        step(&input, &rings, piece);
    }
    free(memory);
    free(piece);
    return 0;
}
