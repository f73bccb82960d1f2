/* test_kafka_captures.c: frames of real clients decode to the last byte and re-encode to the same
 * bytes. */
#include "frame_file.h"
#include "kafka_frame.h"
#include "kafka_messages.h"
#include <criterion/criterion.h>

#define CAPTURES SLUICE_SOURCE_DIR "/tests/data/kafka/frames.jsonl"

static struct frame_file file;
static struct frame frame;
static _Alignas(max_align_t) uint8_t arena_memory[1 << 20];
static _Alignas(max_align_t) uint8_t message[4096];
static uint8_t encoded[FRAME_SIZE_MAX + KAFKA_FRAME_PREFIX_SIZE];

/* The body of the frame, decoded into `message`. */
static sluice_status decode_body(const struct kafka_message_ops *ops, size_t body_at,
                                 size_t *ret_consumed)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);

    cr_assert_leq(ops->size, sizeof message);
    return ops->decode(frame.data + body_at, frame.size - body_at, frame.version, &arena, message,
                       ret_consumed);
}

static void check_bytes(const struct kafka_writer *writer)
{
    size_t size = frame.size - frame.trailing_size;

    cr_assert_eq(writer->size, size + KAFKA_FRAME_PREFIX_SIZE, "line %u: %zu bytes, not %zu",
                 file.line, writer->size - KAFKA_FRAME_PREFIX_SIZE, size);
    cr_assert_arr_eq(writer->data + KAFKA_FRAME_PREFIX_SIZE, frame.data, size, "line %u",
                     file.line);
}

static void check_request(struct kafka_writer *writer)
{
    struct kafka_request_head head;
    size_t consumed = 0;

    cr_assert_eq(kafka_request_head_decode(frame.data, frame.size, &head), SLUICE_OK);
    cr_assert(head.supported && head.api_key == frame.api_key && head.version == frame.version,
              "line %u", file.line);
    cr_assert_eq(decode_body(head.api->request, head.body_at, &consumed), SLUICE_OK, "line %u",
                 file.line);
    cr_assert_eq(head.body_at + consumed + frame.trailing_size, frame.size, "line %u", file.line);
    cr_assert_eq(kafka_request_encode(writer, head.api, frame.version, head.correlation_id,
                                      head.client_id, message),
                 SLUICE_OK, "line %u", file.line);
    check_bytes(writer);
}

static void check_response(struct kafka_writer *writer)
{
    const struct kafka_api *api = kafka_api_get(frame.api_key);
    int32_t correlation_id = 0;
    size_t body_at = 0;
    size_t consumed = 0;

    cr_assert_not_null(api, "line %u", file.line);
    cr_assert_eq(kafka_response_head_decode(frame.data, frame.size, api, frame.version,
                                            &correlation_id, &body_at),
                 SLUICE_OK);
    cr_assert_eq(decode_body(api->response, body_at, &consumed), SLUICE_OK, "line %u", file.line);
    cr_assert_eq(body_at + consumed + frame.trailing_size, frame.size, "line %u: %zu of %zu",
                 file.line, body_at + consumed, frame.size);
    cr_assert_eq(kafka_response_encode(writer, api, frame.version, correlation_id, message),
                 SLUICE_OK, "line %u", file.line);
    check_bytes(writer);
}

Test(kafka_captures, decode_to_the_last_byte_and_encode_to_the_same_bytes)
{
    unsigned trailing_count = 0;

    frame_file_open(&file, CAPTURES);
    while (frame_file_next(&file, &frame)) {
        struct kafka_writer writer;
        kafka_writer_init_fixed(&writer, encoded, sizeof encoded);
        if (frame.response) {
            check_response(&writer);
        } else {
            check_request(&writer);
        }
        trailing_count += frame.trailing_size > 0;
    }
    frame_file_close(&file);
    cr_assert_eq(file.line, 250u);
    cr_assert_eq(trailing_count, 1u);
}

/* librdkafka's "all topics" Metadata request leaves three bytes (trap 3): they are reported, not
 * refused. */
Test(kafka_captures, trailing_bytes_are_tolerated_and_reported)
{
    static const uint8_t body[] = {0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00};
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    struct kafka_metadata_request request;
    size_t consumed = 0;

    cr_assert_eq(kafka_metadata_request_decode(body, sizeof body, 12, &arena, &request, &consumed),
                 SLUICE_OK);
    cr_assert_eq(consumed, (size_t)4);
    cr_assert_eq(request.topics_count, -1);
    cr_assert_not(request.allow_auto_topic_creation);
}
