/* fuzz_websocket.c: any bytes as frames of a WebSocket client.
 *
 * Input: a seed of where the bytes are split, then the bytes. However they are split, the same
 * bytes come out, and the codec says the same at the end, within its bounds. */
#include "websocket.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    uint64_t hash;
    uint64_t size;
    sluice_status status;
    uint8_t last[SLUICE_CODEC_BYTES_MAX];
    uint64_t last_size;
};

static void mix(struct digest *digest, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        digest->hash = (digest->hash ^ bytes[i]) * 0x100000001b3u;
    }
    digest->size += size;
}

/* A piece of its own, so that a step too far is seen. */
static void feed(struct digest *digest, struct websocket *socket, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size);
    uint64_t decoded = 0;
    memcpy(exact, data, size);
    digest->status = websocket_decode(socket, exact, size, &decoded);
    if (decoded > size) {
        abort();
    }
    mix(digest, exact, decoded);
    free(exact);
}

/* seed 0: in one piece. */
static struct digest run(const uint8_t *data, size_t size, uint32_t seed)
{
    struct digest digest = {0};
    struct websocket socket;
    websocket_init(&socket);
    while (size > 0 && digest.status == SLUICE_OK) {
        seed = seed * 1103515245u;
        size_t piece = seed == 0 ? size : 1 + (seed >> 16) % 40;
        piece = piece < size ? piece : size;
        feed(&digest, &socket, data, piece);
        data += piece;
        size -= piece;
    }
    digest.last_size = websocket_head(&socket, 1u << 20, digest.last);
    if (digest.last_size > SLUICE_CODEC_BYTES_MAX / 2) {
        abort();
    }
    digest.last_size += websocket_tail(&socket, SLUICE_CODEC_ENDS, digest.last + digest.last_size);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct digest whole = run(data + 1, size - 1, 0);
    struct digest split = run(data + 1, size - 1, data[0] * 2u + 1u);
    if (whole.hash != split.hash || whole.size != split.size || whole.status != split.status ||
        whole.last_size != split.last_size ||
        memcmp(whole.last, split.last, (size_t)whole.last_size) != 0) {
        abort();
    }
    return 0;
}
