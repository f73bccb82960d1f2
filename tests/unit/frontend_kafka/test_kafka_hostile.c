/* test_kafka_hostile.c: lengths and counts that lie, tagged fields that do not fit, arenas that are
 * full. */
#include "kafka_frame.h"
#include "kafka_messages.h"
#include <criterion/criterion.h>

static _Alignas(max_align_t) uint8_t arena_memory[4096];

static sluice_status heartbeat(const char *bytes, size_t size, int16_t version)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    struct kafka_heartbeat_request request;
    size_t consumed;

    return kafka_heartbeat_request_decode(bytes, size, version, &arena, &request, &consumed);
}

static sluice_status metadata(const char *bytes, size_t size, int16_t version)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    struct kafka_metadata_request request;
    size_t consumed;

    return kafka_metadata_request_decode(bytes, size, version, &arena, &request, &consumed);
}

static sluice_status versions(const char *bytes, size_t size,
                              struct kafka_api_versions_response *ret_response)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    size_t consumed;

    return kafka_api_versions_response_decode(bytes, size, 3, &arena, ret_response, &consumed);
}

#define HEARTBEAT(literal, version) heartbeat(literal, sizeof(literal) - 1, version)
#define METADATA(literal, version)  metadata(literal, sizeof(literal) - 1, version)
#define VERSIONS(literal, response) versions(literal, sizeof(literal) - 1, response)

Test(kafka_hostile, string_sizes_that_lie_are_refused)
{
    cr_assert_eq(HEARTBEAT("\xff\xff\x00\x00\x00\x00\x00\x00", 0), SLUICE_E_MALFORMED, "null");
    cr_assert_eq(HEARTBEAT("\xff\xfe\x00\x00\x00\x00\x00\x00", 0), SLUICE_E_MALFORMED, "-2");
    cr_assert_eq(HEARTBEAT("\x00\x09"
                           "abc",
                           0),
                 SLUICE_E_TRUNCATED);
    cr_assert_eq(HEARTBEAT("\x00\x00\x00\x00\x00\x00\x00\x00", 4), SLUICE_E_MALFORMED, "null");
    cr_assert_eq(HEARTBEAT("\xff\xff\xff\xff\x0f\x00", 4), SLUICE_E_MALFORMED, "over 32767");
}

Test(kafka_hostile, varints_beyond_32_bits_are_refused)
{
    cr_assert_eq(HEARTBEAT("\xff\xff\xff\xff\x1f\x00\x00", 4), SLUICE_E_MALFORMED);
    cr_assert_eq(HEARTBEAT("\x80\x80\x80\x80\x80\x01\x00", 4), SLUICE_E_MALFORMED);
    cr_assert_eq(METADATA("\xff\xff\xff\xff\x8f\x00\x00\x00", 12), SLUICE_E_MALFORMED);
}

Test(kafka_hostile, counts_beyond_the_bytes_that_follow_are_refused_before_anything_is_reserved)
{
    cr_assert_eq(METADATA("\x7f\xff\xff\xff\x00\x01"
                          "a",
                          1),
                 SLUICE_E_TRUNCATED);
    cr_assert_eq(METADATA("\xff\xff\xff\xfe", 1), SLUICE_E_MALFORMED, "-2");
    cr_assert_eq(METADATA("\xff\xff\xff\xff", 0), SLUICE_E_MALFORMED, "null before v1");
    cr_assert_eq(METADATA("\xff\xff\xff\xff\x0f\x01\x01\x01", 12), SLUICE_E_TRUNCATED);
}

Test(kafka_hostile, an_array_beyond_the_arena_is_a_limit_and_the_result_is_left_alone)
{
    static char bytes[4 + 2 * 1000 + 16];
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    struct kafka_metadata_request request = {.topics_count = 77};
    size_t consumed = 5;

    memcpy(bytes, "\x00\x00\x03\xe8", 4); /* 1000 topics with empty names */
    cr_assert_eq(kafka_metadata_request_decode(bytes, sizeof bytes, 1, &arena, &request, &consumed),
                 SLUICE_E_LIMIT);
    cr_assert_eq(request.topics_count, 77);
    cr_assert_eq(consumed, (size_t)5);
}

Test(kafka_hostile, unknown_tagged_fields_are_skipped)
{
    /* group "g", generation 1, member "m", instance null; tags 5 (3 bytes) and 1000 (none) */
    cr_assert_eq(HEARTBEAT("\x02g\x00\x00\x00\x01\x02m\x00"
                           "\x02\x05\x03xyz\xe8\x07\x00",
                           4),
                 SLUICE_OK);
    cr_assert_eq(HEARTBEAT("\x02g\x00\x00\x00\x01\x02m\x00"
                           "\x02\x05\x03xyz",
                           4),
                 SLUICE_E_TRUNCATED);
    cr_assert_eq(HEARTBEAT("\x02g\x00\x00\x00\x01\x02m\x00"
                           "\x01\x05\x04xyz",
                           4),
                 SLUICE_E_TRUNCATED);
    cr_assert_eq(HEARTBEAT("\x02g\x00\x00\x00\x01\x02m\x00"
                           "\xff\xff\xff\xff\x0f",
                           4),
                 SLUICE_E_TRUNCATED);
}

Test(kafka_hostile, a_known_tagged_field_stays_within_its_size)
{
    struct kafka_api_versions_response response;

    /* no error, no keys, no throttle; tag 1: finalized_features_epoch, an int64 */
    cr_assert_eq(
        VERSIONS("\x00\x00\x01\x00\x00\x00\x00\x01\x01\x08\x00\x00\x00\x00\x00\x00\x00\x07",
                 &response),
        SLUICE_OK);
    cr_assert_eq(response.finalized_features_epoch, 7);
    cr_assert_eq(
        VERSIONS("\x00\x00\x01\x00\x00\x00\x00\x01\x01\x07\x00\x00\x00\x00\x00\x00\x00\x07",
                 &response),
        SLUICE_E_TRUNCATED, "a size below the field's");
    cr_assert_eq(
        VERSIONS("\x00\x00\x01\x00\x00\x00\x00\x01\x01\x09\x00\x00\x00\x00\x00\x00\x00\x08!",
                 &response),
        SLUICE_OK, "what a later version may have added is skipped");
    cr_assert_eq(response.finalized_features_epoch, 8);
}

Test(kafka_hostile, an_empty_message_needs_no_bytes)
{
    struct kafka_api_versions_request request;
    size_t consumed = 1;

    cr_assert_eq(kafka_api_versions_request_decode(NULL, 0, 0, NULL, &request, &consumed),
                 SLUICE_OK);
    cr_assert_eq(consumed, (size_t)0);
    cr_assert_eq(request.client_software_name.size, 0);
}

Test(kafka_hostile, a_head_of_an_unknown_api_or_version_still_names_its_correlation_id)
{
    struct kafka_request_head head;

    cr_assert_eq(kafka_request_head_decode("\x00\x12\x00\x63\x00\x00\x00\x05\xff", 9, &head),
                 SLUICE_OK);
    cr_assert(head.api && !head.supported && head.version == 99 && head.correlation_id == 5);
    cr_assert_eq(kafka_request_head_decode("\x70\x00\x00\x00\x00\x00\x00\x06", 8, &head),
                 SLUICE_OK);
    cr_assert(!head.api && !head.supported && head.correlation_id == 6);
    cr_assert_eq(kafka_request_head_decode("\x00\x00\x00\x02\x00\x00\x00\x06\xff\xff", 10, &head),
                 SLUICE_OK);
    cr_assert(head.api && !head.supported && head.legacy,
              "Produce below 3 is advertised, accepted with the legacy tier alone");
    cr_assert_eq(kafka_request_head_decode("\x00\x12\x00\x00\x00\x00\x00", 7, &head),
                 SLUICE_E_TRUNCATED);
    cr_assert_eq(kafka_request_head_decode("\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05x", 11, &head),
                 SLUICE_E_TRUNCATED);
}
