/* fuzz_http_request.c: any bytes as HTTP requests.
 *
 * Input: a seed of where the bytes are split, then the bytes. However they are split, the same
 * requests come out, and what is taken stays within its bounds. */
#include "http_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a connection made of the bytes, in a few numbers. */
struct digest {
    uint64_t hash;
    uint32_t requests;
    int32_t refused;
};

static void mix(struct digest *digest, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        digest->hash = (digest->hash ^ bytes[i]) * 0x100000001b3u;
    }
}

static void note(struct digest *digest, const struct http_request *request)
{
    char path[HTTP_TARGET_BYTES_MAX + 1];
    if (request->target_size > HTTP_TARGET_BYTES_MAX || request->head_size > HTTP_HEAD_BYTES_MAX) {
        abort();
    }
    http_request_path(request, path);
    mix(digest, path, strlen(path));
    mix(digest, &request->method, sizeof(request->method));
    mix(digest, &request->keep_alive, sizeof(request->keep_alive));
    for (size_t i = 0; i < HTTP_HEADERS; i++) {
        const struct http_header_value *value = &request->headers[i];
        if (strlen(value->text) > HTTP_HEADER_BYTES_MAX) {
            abort();
        }
        mix(digest, value->text, strlen(value->text));
        mix(digest, &value->count, sizeof(value->count));
    }
    digest->requests++;
}

/* A piece of its own, so that a step too far is seen. */
static size_t feed(struct http_request *request, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size);
    memcpy(exact, data, size);
    size_t taken = http_request_feed(request, (struct sluice_bytes){exact, size});
    free(exact);
    if (taken > size || (taken < size && !request->complete && request->refused == 0)) {
        abort();
    }
    return taken;
}

/* seed 0: in one piece. */
static struct digest run(const uint8_t *data, size_t size, uint32_t seed)
{
    struct digest digest = {0};
    struct http_request request;
    http_request_init(&request);
    while (size > 0 && request.refused == 0) {
        seed = seed * 1103515245u;
        size_t piece = seed == 0 ? size : 1 + (seed >> 16) % 40;
        size_t taken = feed(&request, data, piece < size ? piece : size);
        data += taken;
        size -= taken;
        if (request.complete) {
            note(&digest, &request);
            http_request_next(&request);
        }
    }
    digest.refused = request.refused;
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct digest whole = run(data + 1, size - 1, 0);
    struct digest split = run(data + 1, size - 1, data[0] * 2u + 1u);
    /* Of two faults in one target, too long and a byte that may not be there, a piece shows the
     * first that ends in it: why it is refused may differ, whether it is may not. */
    if (whole.requests != split.requests || whole.hash != split.hash ||
        (whole.refused != 0) != (split.refused != 0)) {
        abort();
    }
    return 0;
}
