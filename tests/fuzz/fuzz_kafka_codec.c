/* fuzz_kafka_codec.c: any bytes as a frame. What decodes must encode, to bytes that decode to the
 * same again.
 *
 * Input: a request frame as on the wire, less its size prefix. With the highest bit of the API key
 * set: the key, a version (int16 each), and then a response frame to such a request. */
#include "kafka_frame.h"
#include "kafka_messages.h"
#include <stdlib.h>

#define ARENA_SIZE  (256 << 10)
#define OUTPUT_SIZE (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(max_align_t) uint8_t arena_memory[ARENA_SIZE];
static _Alignas(max_align_t) uint8_t message[4096];
static uint8_t output[2][OUTPUT_SIZE];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool decode(const struct kafka_message_ops *ops, const uint8_t *data, size_t size,
                   int16_t version, size_t *ret_consumed)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);

    require(ops->size <= sizeof message);
    return ops->decode(data, size, version, &arena, message, ret_consumed) == SLUICE_OK;
}

static void encode(const struct kafka_message_ops *ops, int16_t version, unsigned which,
                   struct kafka_writer *ret_writer)
{
    kafka_writer_init_fixed(ret_writer, output[which], OUTPUT_SIZE);
    require(ops->encode(message, version, ret_writer) == SLUICE_OK);
}

static void check_body(const struct kafka_message_ops *ops, const uint8_t *data, size_t size,
                       int16_t version)
{
    struct kafka_writer first;
    struct kafka_writer second;
    size_t consumed = 0;

    if (!decode(ops, data, size, version, &consumed)) {
        return;
    }
    require(consumed <= size);
    encode(ops, version, 0, &first);
    require(decode(ops, first.data, first.size, version, &consumed));
    require(consumed == first.size);
    encode(ops, version, 1, &second);
    require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
}

static void check_response(const uint8_t *data, size_t size)
{
    const struct kafka_api *api = kafka_api_get((int16_t)((data[0] & 0x7f) << 8 | data[1]));
    int16_t version = (int16_t)(data[2] << 8 | data[3]);
    int32_t correlation_id;
    size_t body_at;

    if (api && kafka_response_head_decode(data + 4, size - 4, api, version, &correlation_id,
                                          &body_at) == SLUICE_OK) {
        require(body_at <= size - 4);
        check_body(api->response, data + 4 + body_at, size - 4 - body_at, version);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kafka_request_head head;

    if (size >= 4 && (data[0] & 0x80) != 0) {
        check_response(data, size);
    } else if (kafka_request_head_decode(data, size, &head) == SLUICE_OK && head.supported) {
        require(head.body_at <= size);
        check_body(head.api->request, data + head.body_at, size - head.body_at, head.version);
    }
    return 0;
}
