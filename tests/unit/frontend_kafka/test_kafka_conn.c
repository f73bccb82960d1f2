/* test_kafka_conn.c: frames, order and pipelining, closing, throttling; requests of real clients.
 */
#include "fake_broker.h"
#include "frame_file.h"
#include "kafka_api.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define PRODUCE      0
#define METADATA     3
#define API_VERSIONS 18

static struct fake fake;

static void set_up(void)
{
    fake_init(&fake);
}

static void tear_down(void)
{
    fake_fini(&fake);
}

TestSuite(kafka_conn, .init = set_up, .fini = tear_down);

static struct kafka_produce_request_partition partition;
static struct kafka_produce_request_topic topic;

static struct kafka_produce_request produce_of(int16_t acks)
{
    struct kafka_produce_request request;
    kafka_produce_request_init(&request);
    partition = (struct kafka_produce_request_partition){
        .index = 1, .records = {.data = (const uint8_t *)"batch", .size = 5}};
    kafka_produce_request_topic_init(&topic);
    topic.name = kafka_string(FAKE_TOPIC);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.acks = acks;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    return request;
}

static void send_produce(int32_t correlation_id)
{
    struct kafka_produce_request request = produce_of(-1);
    fake_request(&fake, PRODUCE, 9, correlation_id, &request);
}

static void send_metadata(int32_t correlation_id)
{
    struct kafka_metadata_request request;
    kafka_metadata_request_init(&request);
    request.topics_count = -1;
    fake_request(&fake, METADATA, 9, correlation_id, &request);
}

static int64_t produced_offset(int32_t correlation_id)
{
    const struct kafka_produce_response *response =
        fake_response(&fake, PRODUCE, 9, correlation_id);
    cr_assert_eq(response->responses[0].partition_responses[0].error_code, 0);
    cr_assert_eq(response->responses[0].partition_responses[0].index, 1);
    cr_assert(kafka_bytes_equal(response->responses[0].name, kafka_string(FAKE_TOPIC)));
    return response->responses[0].partition_responses[0].base_offset;
}

/* ---- order and pipelining ---- */

Test(kafka_conn, produce_requests_overlap_and_are_answered_in_request_order) /* trap 9 */
{
    fake.hold[FAKE_PRODUCE] = true;
    send_produce(1);
    send_produce(2);
    send_produce(3);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 3);
    fake_release(&fake, 1); /* the second */
    fake_release(&fake, 1); /* the third */
    cr_assert(fake_is_quiet(&fake));
    fake_release(&fake, 0);
    cr_assert_eq(produced_offset(1), 2);
    cr_assert_eq(produced_offset(2), 0);
    cr_assert_eq(produced_offset(3), 1);
    cr_assert(fake_is_quiet(&fake));
}

Test(kafka_conn, another_request_waits_for_those_before_and_holds_those_behind) /* trap 9 */
{
    fake.hold[FAKE_PRODUCE] = true;
    fake.hold[FAKE_TOPICS] = true;
    send_produce(1);
    send_metadata(2);
    send_produce(3);
    cr_assert_eq(fake.calls[FAKE_TOPICS], 0);
    uint32_t input_calls = fake.input_calls;
    fake_release(&fake, 0);
    cr_assert_eq(fake.calls[FAKE_TOPICS], 1);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 1);
    cr_assert_eq(fake.input_calls, input_calls + 1, "input is not offered in vain");
    fake_release(&fake, 0);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 2);
    fake_release(&fake, 0);
    produced_offset(1);
    fake_response(&fake, METADATA, 9, 2);
    produced_offset(3);
    cr_assert_eq(fake.pauses, 0);
}

Test(kafka_conn, at_most_32_produce_requests_are_under_way)
{
    fake.hold[FAKE_PRODUCE] = true;
    for (int32_t i = 0; i < 40; i++) {
        send_produce(i);
    }
    cr_assert_eq(fake.calls[FAKE_PRODUCE], KAFKA_PIPELINE_MAX);
    while (fake.held_count > 0) {
        fake_release(&fake, 0);
    }
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 40);
    for (int32_t i = 0; i < 40; i++) {
        cr_assert_eq(produced_offset(i), i);
    }
    cr_assert_eq(fake.pauses, 0);
}

Test(kafka_conn, acks_0_is_answered_with_nothing_and_keeps_its_place) /* trap 10 */
{
    struct kafka_produce_request request = produce_of(0);
    fake.hold[FAKE_PRODUCE] = true;
    fake_request(&fake, PRODUCE, 9, 1, &request);
    send_produce(2);
    fake_release(&fake, 1);
    cr_assert(fake_is_quiet(&fake));
    fake_release(&fake, 0);
    produced_offset(2);
    cr_assert(fake_is_quiet(&fake));
    cr_assert_eq(fake.closes, 0);
}

Test(kafka_conn, a_failed_produce_with_acks_0_closes_the_connection) /* trap 10 */
{
    struct kafka_produce_request request = produce_of(0);
    fake.status = SLUICE_E_BATCH_TOO_LARGE;
    fake_request(&fake, PRODUCE, 9, 1, &request);
    cr_assert(fake_is_quiet(&fake));
    cr_assert_eq(fake.closes, 1);
    cr_assert_eq(fake.line_count, 1);
}

Test(kafka_conn, a_produce_with_acks_0_that_the_broker_had_no_memory_for_closes_the_connection)
{
    struct kafka_produce_request request = produce_of(0);
    fake.answers_nothing = true;
    fake_request(&fake, PRODUCE, 9, 1, &request);
    cr_assert_eq(fake.closes, 1);
}

Test(kafka_conn, what_the_broker_had_no_memory_to_answer_is_an_error_of_each_partition)
{
    fake.answers_nothing = true;
    send_produce(1);
    const struct kafka_produce_response *response = fake_response(&fake, PRODUCE, 9, 1);
    cr_assert_neq(response->responses[0].partition_responses[0].error_code, 0);
    cr_assert_eq(fake.closes, 0);
}

Test(kafka_conn, an_answer_after_the_peer_has_gone_harms_nothing)
{
    fake.hold[FAKE_PRODUCE] = true;
    send_produce(1);
    send_produce(2);
    send_produce(3);
    fake_release(&fake, 1);
    fake_hang_up(&fake);
    fake_release(&fake, 1);
    fake_release(&fake, 0);
    cr_assert(fake_is_quiet(&fake));
}

Test(kafka_conn, calls_that_end_after_the_instance_was_destroyed_harm_nothing)
{
    fake.hold[FAKE_PRODUCE] = true;
    fake.hold[FAKE_TOPICS] = true;
    send_produce(1);
    fake_release(&fake, 0);
    send_metadata(2);
    cr_assert_eq(fake.held_count, 1); /* the rest is the end of each test here */
}

Test(kafka_conn, a_throttled_peer_is_answered_at_once_and_then_not_read) /* trap 35 */
{
    fake.throttle_ms = 250;
    send_produce(1);
    const struct kafka_produce_response *response = fake_response(&fake, PRODUCE, 9, 1);
    cr_assert_eq(response->throttle_time_ms, 250);
    cr_assert_eq(fake.tick_ms, 250);
    fake.throttle_ms = 0;
    send_produce(2);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 1);
    fake.now_ms += 249;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 1);
    cr_assert_eq(fake.tick_ms, 1);
    fake.now_ms += 1;
    fake.ops->tick(fake.self);
    produced_offset(2);
}

/* ---- silence ---- */

#define IDLE_SLACK_MS (600000 / 64)

Test(kafka_conn, one_that_is_silent_for_too_long_is_closed)
{
    cr_assert_eq(fake.tick_ms, 600000 + IDLE_SLACK_MS);
    fake.now_ms += 600000 + IDLE_SLACK_MS - 1;
    send_produce(1);
    produced_offset(1);
    fake.now_ms += 1;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.closes, 0);
    cr_assert_eq(fake.tick_ms, 600000 + IDLE_SLACK_MS - 1);
    fake.now_ms += fake.tick_ms;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.closes, 1);
}

Test(kafka_conn, one_whose_place_in_the_order_is_a_little_old_is_not_closed_early)
{
    fake.now_ms += IDLE_SLACK_MS - 1;
    send_produce(1);
    produced_offset(1);
    fake.now_ms += 599999;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.closes, 0);
    cr_assert_eq(fake.tick_ms, 2);
    fake.now_ms += fake.tick_ms;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.closes, 1);
}

Test(kafka_conn, one_that_waits_for_an_answer_is_not_silent)
{
    fake.hold[FAKE_PRODUCE] = true;
    send_produce(1);
    fake.now_ms += 600000;
    fake.ops->tick(fake.self);
    cr_assert_eq(fake.closes, 0);
    fake_release(&fake, 0);
    produced_offset(1);
}

Test(kafka_conn, silence_is_fine_when_the_configuration_says_so)
{
    struct fake quiet;
    fake_init_config(&quiet, "connections_idle_ms", "0");
    cr_assert_eq(quiet.tick_ms, 0);
    quiet.now_ms += INT32_MAX;
    quiet.ops->tick(quiet.self);
    cr_assert_eq(quiet.closes, 0);
    fake_fini(&quiet);
}

/* ---- frames ---- */

/* Some requests of different kinds in a row; to be freed. */
static uint8_t *stream_of_requests(size_t *ret_size)
{
    struct kafka_produce_request produce = produce_of(-1);
    struct kafka_metadata_request metadata;
    struct kafka_api_versions_request versions;
    uint8_t *stream = NULL;
    size_t total = 0;

    kafka_metadata_request_init(&metadata);
    metadata.topics_count = -1;
    kafka_api_versions_request_init(&versions);
    for (int32_t i = 0; i < 6; i++) {
        size_t size;
        uint8_t *one = i % 3 == 0   ? fake_encode(API_VERSIONS, 2, i, &versions, &size)
                       : i % 3 == 1 ? fake_encode(PRODUCE, 9, i, &produce, &size)
                                    : fake_encode(METADATA, 12, i, &metadata, &size);
        stream = realloc(stream, total + size);
        memcpy(stream + total, one, size);
        total += size;
        free(one);
    }
    *ret_size = total;
    return stream;
}

Test(kafka_conn, requests_split_at_any_byte_have_the_same_answers)
{
    size_t size;
    uint8_t *stream = stream_of_requests(&size);

    fake_send(&fake, stream, size);
    cr_assert_gt(fake.output_size, 0);
    for (size_t at = 1; at < size; at++) {
        struct fake split;
        fake_init(&split);
        fake_send(&split, stream, at);
        fake_send(&split, stream + at, size - at);
        cr_assert_eq(split.output_size, fake.output_size, "split at %zu", at);
        cr_assert_arr_eq(split.output, fake.output, fake.output_size, "split at %zu", at);
        fake_fini(&split);
    }
    free(stream);
}

Test(kafka_conn, input_byte_by_byte_is_asked_for_in_whole_frames)
{
    size_t size;
    uint8_t *stream = stream_of_requests(&size);

    for (size_t i = 0; i < size; i++) {
        fake_send(&fake, stream + i, 1);
    }
    for (int32_t i = 0; i < 6; i++) {
        int16_t keys[] = {API_VERSIONS, PRODUCE, METADATA};
        int16_t versions[] = {2, 9, 12};
        fake_response(&fake, keys[i % 3], versions[i % 3], i);
    }
    cr_assert_leq(fake.input_calls, 6 * 3, "%u calls", fake.input_calls);
    free(stream);
}

static void expect_closed(const char *words)
{
    cr_assert_eq(fake.closes, 1);
    cr_assert_eq(fake.line_count, 1);
    cr_assert(fake_is_quiet(&fake));
    cr_assert_not_null(strstr(fake.line, words), "%s", fake.line);
    cr_assert_not_null(strstr(fake.line, "10.0.0.1"), "%s", fake.line);
}

Test(kafka_conn, a_frame_beyond_the_limit_closes_before_it_is_read)
{
    fake_send(&fake, "\x06\x40\x00\x01", 4); /* 104857601 */
    expect_closed("104857601");
}

Test(kafka_conn, a_frame_of_negative_size_closes)
{
    fake_send(&fake, "\xff\xff\xff\xff", 4);
    expect_closed("-1");
}

Test(kafka_conn, an_api_that_is_not_served_closes) /* trap 7 */
{
    fake_send(&fake, "\0\0\0\x0a\0\x04\0\0\0\0\0\x01\0\0", 14);
    expect_closed("API key 4");
}

Test(kafka_conn, an_api_that_only_the_codec_knows_closes) /* trap 37 */
{
    struct kafka_get_telemetry_subscriptions_request request;
    kafka_get_telemetry_subscriptions_request_init(&request);
    fake_request(&fake, 71, 0, 1, &request);
    expect_closed("API key 71");
}

Test(kafka_conn, a_version_that_is_not_served_closes) /* trap 7 */
{
    fake_send(&fake, "\0\0\0\x0a\0\x03\0\x63\0\0\0\x01\0\0", 14);
    expect_closed("version 99");
}

Test(kafka_conn, produce_below_version_3_closes_although_it_is_advertised) /* trap 2 */
{
    fake_send(&fake, "\0\0\0\x0a\0\0\0\x02\0\0\0\x01\0\0", 14);
    expect_closed("version 2 of API key 0");
}

Test(kafka_conn, a_header_that_ends_too_early_closes)
{
    fake_send(&fake, "\0\0\0\x05\0\x12\0\0\0", 9);
    expect_closed("header");
}

Test(kafka_conn, a_body_with_a_lying_count_closes)
{
    fake_send(&fake, "\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\0\0\x7f\xff\xff\xff", 18);
    expect_closed("cannot be read");
}

Test(kafka_conn, bytes_after_the_request_are_tolerated) /* trap 3 */
{
    /* Metadata 9 of librdkafka 2.15.1: null topics, the flags, no tags, then three bytes. */
    fake_send(&fake,
              "\0\0\0\x13\0\x03\0\x09\0\0\0\x01\0\x01"
              "a\0\0\x01\0\0\0\0\0",
              23);
    const struct kafka_metadata_response *response = fake_response(&fake, METADATA, 9, 1);
    cr_assert_eq(response->topics_count, 1);
    cr_assert_eq(fake.closes, 0);
}

Test(kafka_conn, the_limit_comes_from_the_configuration)
{
    struct fake small;
    fake_init_config(&small, "request_bytes_max", "1024");
    fake_send(&small, "\0\0\x04\x01", 4);
    cr_assert_eq(small.closes, 1);
    fake_fini(&small);
}

Test(kafka_conn, a_configuration_that_is_no_number_is_refused_with_the_key)
{
    void *self = NULL;
    fake.config_key = "request_bytes_max";
    fake.config_value = "much";
    cr_assert_eq(fake.ops->create(&fake.host, &self), SLUICE_E_PLUGIN_CONFIG);
    cr_assert_not_null(strstr(fake.line, "request_bytes_max"));
    cr_assert_eq(fake.ops->reconfigure(fake.self), SLUICE_E_PLUGIN_CONFIG);
}

Test(kafka_conn, the_client_id_reaches_the_broker)
{
    send_metadata(1);
    cr_assert_str_eq(fake.client_id, "tester");
}

/* ---- requests of real clients ---- */

Test(kafka_conn, captured_requests_of_real_clients_are_answered)
{
    static struct frame_file file;
    static struct frame frame;
    uint32_t count = 0;

    frame_file_open(&file, SLUICE_SOURCE_DIR "/tests/data/kafka/frames.jsonl");
    while (frame_file_next(&file, &frame)) {
        uint32_t raw = __builtin_bswap32((uint32_t)frame.size);
        uint32_t id;
        struct fake peer;
        if (frame.response ||
            kafka_api_handler(&(struct kafka_frontend){.groups = true}, frame.api_key) == NULL) {
            continue;
        }
        memcpy(&id, frame.data + 4, sizeof(id));
        fake_init(&peer);
        peer.any_topic = true;
        fake_send(&peer, &raw, sizeof(raw));
        fake_send(&peer, frame.data, frame.size);
        cr_assert_eq(peer.closes, 0, "line %u: %s", file.line, peer.line);
        if (peer.calls[FAKE_PRODUCE] == 0 || peer.produce.acks != 0) {
            fake_response(&peer, frame.api_key, frame.version, (int32_t)__builtin_bswap32(id));
        }
        cr_assert(fake_is_quiet(&peer));
        fake_fini(&peer);
        count++;
    }
    frame_file_close(&file);
    cr_assert_gt(count, 100, "%u requests", count);
}
