/* test_kafka_golden.c: bytes written out by hand from the protocol's description, so that encoder
 * and decoder are not merely consistent with each other. */
#include "kafka_frame.h"
#include "kafka_messages.h"
#include "kafka_random.h"
#include <criterion/criterion.h>

static _Alignas(max_align_t) uint8_t arena_memory[65536];
static _Alignas(max_align_t) uint8_t decoded[4096];

#define TEXT(s) ((struct kafka_bytes){(const uint8_t *)(s), sizeof(s) - 1})

static const struct kafka_schema *schema_of(const char *name)
{
    for (uint32_t i = 0; i < kafka_schemas_count; i++) {
        if (strcmp(kafka_schemas[i].name, name) == 0) {
            return &kafka_schemas[i];
        }
    }
    cr_assert_fail("no message %s", name);
    return NULL;
}

/* message <-> bytes, both ways. */
static void check(const char *name, int16_t version, const void *message, const void *bytes,
                  size_t size)
{
    const struct kafka_schema *schema = schema_of(name);
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);
    struct kafka_writer writer;
    size_t consumed = 0;

    kafka_writer_init(&writer, 65536);
    cr_assert_eq(schema->ops->encode(message, version, &writer), SLUICE_OK, "%s", name);
    cr_assert_eq(writer.size, size, "%s: %zu bytes, not %zu", name, writer.size, size);
    cr_assert_arr_eq(writer.data, bytes, size, "%s", name);
    cr_assert_eq(schema->ops->decode(bytes, size, version, &arena, decoded, &consumed), SLUICE_OK,
                 "%s", name);
    cr_assert_eq(consumed, size, "%s", name);
    cr_assert_null(kafka_difference(schema->root, message, decoded), "%s", name);
    kafka_writer_fini(&writer);
}

/* The bytes of a string literal, less its NUL. */
#define CHECK(name, version, message, literal) \
    check(name, version, message, literal, sizeof(literal) - 1)

static struct kafka_produce_request
produce_request(struct kafka_produce_request_topic *topic,
                struct kafka_produce_request_partition *partition)
{
    struct kafka_produce_request request;

    kafka_produce_request_init(&request);
    kafka_produce_request_topic_init(topic);
    kafka_produce_request_partition_init(partition);
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = topic;
    request.topic_data_count = 1;
    topic->partition_data = partition;
    topic->partition_data_count = 1;
    partition->index = 2;
    partition->records = (struct kafka_records){.data = (const uint8_t *)"\xaa\xbb\xcc", .size = 3};
    return request;
}

Test(kafka_golden, produce_request_before_and_after_the_compact_encoding_and_with_topic_ids)
{
    struct kafka_produce_request_topic topic;
    struct kafka_produce_request_partition partition;
    struct kafka_produce_request request = produce_request(&topic, &partition);

    topic.name = TEXT("t");
    CHECK("produce_request", 3, &request,
          "\xff\xff"         /* transactional_id: null */
          "\xff\xff"         /* acks: -1 */
          "\x00\x00\x03\xe8" /* timeout_ms */
          "\x00\x00\x00\x01" /* one topic */
          "\x00\x01t"        /* its name */
          "\x00\x00\x00\x01" /* one partition */
          "\x00\x00\x00\x02" /* its index */
          "\x00\x00\x00\x03" /* size of records */
          "\xaa\xbb\xcc");
    CHECK("produce_request", 9, &request,
          "\x00" /* transactional_id: null */
          "\xff\xff"
          "\x00\x00\x03\xe8"
          "\x02"  /* one topic: count + 1 */
          "\x02t" /* size + 1 */
          "\x02"
          "\x00\x00\x00\x02"
          "\x04\xaa\xbb\xcc"
          "\x00"   /* no tagged fields: partition, */
          "\x00"   /* topic, */
          "\x00"); /* request */
    topic.name = TEXT("");
    memcpy(topic.topic_id.b, "0123456789abcdef", 16);
    CHECK("produce_request", 13, &request,
          "\x00\xff\xff\x00\x00\x03\xe8\x02"
          "0123456789abcdef"
          "\x02\x00\x00\x00\x02\x04\xaa\xbb\xcc\x00\x00\x00");
}

Test(kafka_golden, metadata_request_tells_all_topics_from_none)
{
    struct kafka_metadata_request request;

    kafka_metadata_request_init(&request);
    cr_assert(request.allow_auto_topic_creation);
    request.topics_count = -1;
    CHECK("metadata_request", 1, &request, "\xff\xff\xff\xff");
    CHECK("metadata_request", 4, &request, "\xff\xff\xff\xff\x01");
    CHECK("metadata_request", 9, &request, "\x00\x01\x00\x00\x00");
    CHECK("metadata_request", 12, &request, "\x00\x01\x00\x00");
    request.topics_count = 0;
    CHECK("metadata_request", 0, &request, "\x00\x00\x00\x00");
    CHECK("metadata_request", 12, &request, "\x01\x01\x00\x00");
}

Test(kafka_golden, fetch_response_with_a_tagged_struct_a_null_array_and_records)
{
    struct kafka_fetch_response response;
    struct kafka_fetch_response_topic topic;
    struct kafka_fetch_response_partition partition;

    kafka_fetch_response_init(&response);
    kafka_fetch_response_topic_init(&topic);
    kafka_fetch_response_partition_init(&partition);
    response.session_id = 5;
    response.responses = &topic;
    response.responses_count = 1;
    topic.topic = TEXT("ab");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.partition_index = 1;
    partition.error_code = 6;
    partition.high_watermark = 9;
    partition.log_start_offset = 0;
    partition.aborted_transactions_count = -1;
    partition.current_leader.leader_id = 3;
    partition.current_leader.leader_epoch = 7;
    partition.records = (struct kafka_records){.data = (const uint8_t *)"R", .size = 1};
    CHECK("fetch_response", 12, &response,
          "\x00\x00\x00\x00" /* throttle_time_ms */
          "\x00\x00"         /* error_code */
          "\x00\x00\x00\x05" /* session_id */
          "\x02"             /* one topic */
          "\x03"
          "ab"
          "\x02"                             /* one partition */
          "\x00\x00\x00\x01"                 /* index */
          "\x00\x06"                         /* error_code */
          "\x00\x00\x00\x00\x00\x00\x00\x09" /* high_watermark */
          "\xff\xff\xff\xff\xff\xff\xff\xff" /* last_stable_offset: default */
          "\x00\x00\x00\x00\x00\x00\x00\x00" /* log_start_offset */
          "\x00"                             /* aborted_transactions: null */
          "\xff\xff\xff\xff"                 /* preferred_read_replica: default */
          "\x02R"                            /* records */
          "\x01"                             /* one tagged field of the partition: */
          "\x01\x09"                         /* tag 1 (current_leader), 9 bytes */
          "\x00\x00\x00\x03\x00\x00\x00\x07"
          "\x00"   /* the struct's own tagged fields */
          "\x00"   /* of the topic */
          "\x00"); /* of the response */
}

Test(kafka_golden, api_versions_response_old_and_with_features)
{
    struct kafka_api_versions_response_api_key key = {18, 0, 4};
    struct kafka_api_versions_response_supported_feature feature = {TEXT("group.version"), 0, 1};
    struct kafka_api_versions_response response;

    kafka_api_versions_response_init(&response);
    response.api_keys = &key;
    response.api_keys_count = 1;
    response.error_code = 35;
    CHECK("api_versions_response", 0, &response,
          "\x00\x23\x00\x00\x00\x01\x00\x12\x00\x00\x00\x04");
    response.error_code = 0;
    response.supported_features = &feature;
    response.supported_features_count = 1;
    CHECK("api_versions_response", 3, &response,
          "\x00\x00"
          "\x02\x00\x12\x00\x00\x00\x04\x00"
          "\x00\x00\x00\x00"
          "\x01"     /* one tagged field, */
          "\x00\x14" /* tag 0, 20 bytes */
          "\x02\x0egroup.version\x00\x00\x00\x01\x00");
}

Test(kafka_golden, a_struct_that_may_be_null_has_a_byte_of_its_own)
{
    struct kafka_share_group_heartbeat_response response;
    struct kafka_share_group_heartbeat_response_assignment assignment;

    kafka_share_group_heartbeat_response_init(&response);
    kafka_share_group_heartbeat_response_assignment_init(&assignment);
    response.member_id = TEXT("m");
    CHECK("share_group_heartbeat_response", 1, &response,
          "\x00\x00\x00\x00\x00\x00\x00\x02m\x00\x00\x00\x00\x00\x00\x00\x00\xff\x00");
    response.assignment = &assignment;
    CHECK("share_group_heartbeat_response", 1, &response,
          "\x00\x00\x00\x00\x00\x00\x00\x02m\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00");
}

Test(kafka_golden, consumer_protocol_subscription)
{
    struct kafka_bytes topics[] = {TEXT("a"), TEXT("bc")};
    struct kafka_consumer_protocol_subscription subscription;

    kafka_consumer_protocol_subscription_init(&subscription);
    subscription.topics = topics;
    subscription.topics_count = 2;
    CHECK("consumer_protocol_subscription", 0, &subscription,
          "\x00\x00\x00\x02\x00\x01"
          "a\x00\x02"
          "bc\xff\xff\xff\xff");
    CHECK("consumer_protocol_subscription", 1, &subscription,
          "\x00\x00\x00\x02\x00\x01"
          "a\x00\x02"
          "bc\xff\xff\xff\xff\x00\x00\x00\x00");
}

Test(kafka_golden, a_request_frame_keeps_the_client_id_in_the_old_form)
{
    struct kafka_api_versions_request request = {TEXT("kcat"), TEXT("1.7")};
    static const char frame[] = "\x00\x00\x00\x17" /* size: 23 */
                                "\x00\x12\x00\x03" /* ApiVersions v3 */
                                "\x00\x00\x00\x09" /* correlation id */
                                "\x00\x02me\x00"   /* client id: int16 size; no tagged fields */
                                "\x05kcat\x04"
                                "1.7\x00"; /* body */
    struct kafka_request_head head;
    struct kafka_writer writer;

    kafka_writer_init(&writer, 4096);
    cr_assert_eq(kafka_request_encode(&writer, kafka_api_get(18), 3, 9, TEXT("me"), &request),
                 SLUICE_OK);
    cr_assert_eq(writer.size, sizeof frame - 1, "%zu", writer.size);
    cr_assert_arr_eq(writer.data, frame, sizeof frame - 1);
    cr_assert_eq(kafka_request_head_decode(frame + 4, sizeof frame - 5, &head), SLUICE_OK);
    cr_assert(head.supported && head.version == 3 && head.correlation_id == 9);
    cr_assert(kafka_bytes_equal(head.client_id, TEXT("me")));
    cr_assert_eq(head.body_at, (size_t)13);
    kafka_writer_fini(&writer);
}

/* Header 1 (with tagged fields) for a flexible response, but 0 for ApiVersions whatever its
 * version. */
Test(kafka_golden, response_frames_and_the_exception_of_api_versions)
{
    struct kafka_heartbeat_response heartbeat;
    struct kafka_api_versions_response versions;
    struct kafka_writer writer;

    kafka_heartbeat_response_init(&heartbeat);
    kafka_api_versions_response_init(&versions);
    kafka_writer_init(&writer, 4096);
    cr_assert_eq(kafka_response_encode(&writer, kafka_api_get(12), 3, 1, &heartbeat), SLUICE_OK);
    cr_assert_eq(kafka_response_encode(&writer, kafka_api_get(12), 4, 2, &heartbeat), SLUICE_OK);
    cr_assert_eq(kafka_response_encode(&writer, kafka_api_get(18), 3, 3, &versions), SLUICE_OK);
    static const char frames[] = "\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                                 "\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"
                                 "\x00\x00\x00\x0c\x00\x00\x00\x03\x00\x00\x01\x00\x00\x00\x00\x00";
    cr_assert_eq(writer.size, sizeof frames - 1, "%zu", writer.size);
    cr_assert_arr_eq(writer.data, frames, sizeof frames - 1);
    kafka_writer_fini(&writer);
}
