/* test_kafka_handlers.c: what each API answers beside Fetch. */
#include "fake_broker.h"
#include "kafka_api.h"

#include <criterion/criterion.h>
#include <limits.h>

static struct fake fake;

static void set_up(void)
{
    fake_init(&fake);
}

static void tear_down(void)
{
    fake_fini(&fake);
}

TestSuite(kafka_handlers, .init = set_up, .fini = tear_down);

static const void *exchange(int16_t key, int16_t version, const void *request)
{
    fake_request(&fake, key, version, 1, request);
    return fake_response(&fake, key, version, 1);
}

static bool is(struct kafka_bytes bytes, const char *text)
{
    return kafka_bytes_equal(bytes, kafka_string(text));
}

static struct kafka_uuid topic_uuid(void)
{
    struct sluice_uuid id = fake_topic_id();
    struct kafka_uuid uuid;
    memcpy(uuid.b, id.bytes, sizeof(uuid.b));
    return uuid;
}

/* ---- ApiVersions (18) ---- */

static const struct kafka_api_versions_response *versions(int16_t version, const char *name)
{
    struct kafka_api_versions_request request;
    kafka_api_versions_request_init(&request);
    if (version >= 3) {
        request.client_software_name = kafka_string(name);
        request.client_software_version = kafka_string("1.0");
    }
    return exchange(18, version, &request);
}

static int32_t handlers_count(void)
{
    int32_t count = 0;
    for (int32_t key = 0; key < KAFKA_API_KEYS; key++) {
        count += kafka_api_rows[key].handler != NULL;
    }
    return count;
}

Test(kafka_handlers, api_versions_lists_what_has_a_handler_and_produce_from_0) /* traps 1, 2, 37 */
{
    const struct kafka_api_versions_response *response = versions(3, "librdkafka");
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->api_keys_count, handlers_count() - 2);
    cr_assert_eq(response->api_keys[0].api_key, 0);
    cr_assert_eq(response->api_keys[0].min_version, 0);
    cr_assert_eq(response->api_keys[0].max_version, 13);
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        cr_assert_neq(response->api_keys[i].api_key, 71, "the host takes no telemetry");
        cr_assert(i == 0 || response->api_keys[i].api_key > response->api_keys[i - 1].api_key);
    }
}

Test(kafka_handlers, without_groups_their_calls_are_not_offered_and_a_join_is_refused)
{
    struct fake without;
    struct kafka_api_versions_request versions_request;
    struct kafka_join_group_request join;
    struct kafka_find_coordinator_request find;
    fake_init_config(&without, "groups", "false");
    kafka_api_versions_request_init(&versions_request);
    fake_request(&without, 18, 0, 1, &versions_request);
    const struct kafka_api_versions_response *response = fake_response(&without, 18, 0, 1);
    cr_assert_lt(response->api_keys_count, handlers_count());
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        int16_t key = response->api_keys[i].api_key;
        cr_assert(key != 8 && key != 9 && (key < 11 || key > 16) && key != 42 && key != 47);
    }
    kafka_join_group_request_init(&join);
    fake_request(&without, 11, 5, 2, &join);
    const struct kafka_join_group_response *joined = fake_response(&without, 11, 5, 2);
    cr_assert_eq(joined->error_code, 15, "COORDINATOR_NOT_AVAILABLE");
    kafka_find_coordinator_request_init(&find);
    find.key = kafka_string("g");
    fake_request(&without, 10, 1, 3, &find);
    const struct kafka_find_coordinator_response *found = fake_response(&without, 10, 1, 3);
    cr_assert_eq(found->error_code, 15);
    fake_fini(&without);
}

Test(kafka_handlers, api_versions_names_features_from_3_and_those_from_0_from_4) /* traps 5, 6 */
{
    const struct kafka_api_versions_response *response = versions(3, "x");
    cr_assert_eq(response->supported_features_count, 0);
    cr_assert_eq(response->finalized_features_count, 1);
    cr_assert_eq(response->finalized_features_epoch, 0);
    response = versions(4, "x");
    cr_assert_eq(response->supported_features_count, 1);
    cr_assert(is(response->supported_features[0].name, "transaction.version"));
    cr_assert_eq(response->supported_features[0].max_version, 2);
    cr_assert(is(response->finalized_features[0].name, "transaction.version"));
    cr_assert_eq(response->finalized_features[0].max_version_level, 2);
    response = versions(2, "x");
    cr_assert_eq(response->finalized_features_count, 0);
    cr_assert_eq(response->finalized_features_epoch, -1);
}

Test(kafka_handlers, api_versions_too_new_is_answered_in_version_0_with_error_35) /* trap 4 */
{
    fake_send(&fake, "\0\0\0\x0c\0\x12\0\x63\0\0\0\x01\xff\xff\xff\xff", 16);
    const struct kafka_api_versions_response *response = fake_response(&fake, 18, 0, 1);
    cr_assert_eq(response->error_code, 35);
    cr_assert_eq(response->api_keys_count, 1);
    cr_assert_eq(response->api_keys[0].api_key, 18);
    cr_assert_eq(response->api_keys[0].max_version, 4);
    cr_assert_eq(versions(3, "again")->error_code, 0, "the connection goes on");
}

Test(kafka_handlers, api_versions_refuses_a_client_name_of_other_characters) /* trap 4 */
{
    static const char *const bad[] = {"", "-a", "a.", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(versions(3, bad[i])->error_code, 42, "'%s'", bad[i]);
    }
    cr_assert_eq(versions(3, "a-b.c")->error_code, 0);
}

/* ---- Metadata (3): trap 22 ---- */

static struct kafka_metadata_request_topic asked[2];

static struct kafka_metadata_request metadata_of(const char *name)
{
    struct kafka_metadata_request request;
    kafka_metadata_request_init(&request);
    kafka_metadata_request_topic_init(&asked[0]);
    asked[0].name = kafka_string(name);
    request.topics = asked;
    request.topics_count = 1;
    return request;
}

Test(kafka_handlers, metadata_null_is_all_and_empty_is_none_but_all_in_version_0)
{
    struct kafka_metadata_request request = metadata_of(NULL);
    request.topics_count = -1;
    const struct kafka_metadata_response *response = exchange(3, 1, &request);
    cr_assert(fake.all_topics);
    cr_assert_eq(response->topics[0].partitions_count, FAKE_PARTITIONS);
    request.topics_count = 0;
    response = exchange(3, 1, &request);
    cr_assert_eq(response->topics_count, 0);
    cr_assert_eq(response->brokers_count, 1);
    cr_assert_eq(fake.calls[FAKE_TOPICS], 1);
    response = exchange(3, 0, &request);
    cr_assert_eq(response->topics_count, 1);
}

Test(kafka_handlers, metadata_creates_named_topics_only_when_the_request_allows_it)
{
    struct kafka_metadata_request request = metadata_of("missing");
    const struct kafka_metadata_response *response = exchange(3, 4, &request);
    cr_assert(fake.auto_create);
    cr_assert_eq(response->topics[0].error_code, 3);
    cr_assert(is(response->topics[0].name, "missing"));
    request.allow_auto_topic_creation = false;
    exchange(3, 4, &request);
    cr_assert_not(fake.auto_create);
    request.allow_auto_topic_creation = true;
    exchange(3, 3, &request);
    cr_assert(fake.auto_create, "before version 4 every request allows it");
    request.topics_count = -1;
    exchange(3, 4, &request);
    cr_assert_not(fake.auto_create, "not for all topics");
}

Test(kafka_handlers, metadata_by_id_is_for_version_12_and_later) /* trap 19 */
{
    struct kafka_metadata_request request = metadata_of(NULL);
    asked[0].topic_id = topic_uuid();
    const struct kafka_metadata_response *response = exchange(3, 12, &request);
    cr_assert(is(response->topics[0].name, FAKE_TOPIC));
    cr_assert_eq(response->topics[0].error_code, 0);
    asked[0].topic_id.b[0] = 99;
    response = exchange(3, 13, &request);
    cr_assert_eq(response->topics[0].error_code, 100);
    cr_assert(kafka_is_null(response->topics[0].name));
    cr_assert_eq(response->topics[0].topic_id.b[0], 99);
    response = exchange(3, 11, &request);
    cr_assert_eq(response->topics[0].error_code, 42);
}

Test(kafka_handlers, metadata_tells_node_epoch_and_operations_only_when_asked)
{
    struct kafka_metadata_request request = metadata_of(FAKE_TOPIC);
    const struct kafka_metadata_response *response = exchange(3, 8, &request);
    const struct kafka_metadata_response_partition *p = &response->topics[0].partitions[2];
    cr_assert_eq(response->brokers[0].node_id, FAKE_NODE);
    cr_assert(is(response->brokers[0].host, "localhost"));
    cr_assert_eq(response->controller_id, FAKE_NODE);
    cr_assert_eq(p->leader_id, FAKE_NODE);
    cr_assert_eq(p->leader_epoch, 5);
    cr_assert_eq(p->isr_nodes_count, 1);
    cr_assert_eq(p->isr_nodes[0], FAKE_NODE);
    cr_assert_eq(p->offline_replicas_count, 0);
    cr_assert_eq(response->cluster_authorized_operations, INT_MIN);
    cr_assert_eq(response->topics[0].topic_authorized_operations, INT_MIN);
    request.include_topic_authorized_operations = true;
    response = exchange(3, 8, &request);
    cr_assert_eq(response->topics[0].topic_authorized_operations, 3576);
}

/* ---- Produce (0) ---- */

static struct kafka_produce_request_partition produced_partitions[2];
static struct kafka_produce_request_topic produced_topic;

static struct kafka_produce_request produce_of(int16_t acks)
{
    struct kafka_produce_request request;
    kafka_produce_request_init(&request);
    for (int32_t i = 0; i < 2; i++) {
        produced_partitions[i] = (struct kafka_produce_request_partition){
            .index = i, .records = {.data = (const uint8_t *)"batch", .size = 5}};
    }
    kafka_produce_request_topic_init(&produced_topic);
    produced_topic.name = kafka_string(FAKE_TOPIC);
    produced_topic.partition_data = produced_partitions;
    produced_topic.partition_data_count = 2;
    request.acks = acks;
    request.timeout_ms = 30000;
    request.topic_data = &produced_topic;
    request.topic_data_count = 1;
    return request;
}

Test(kafka_handlers, produce_hands_on_the_batch_where_the_host_has_it)
{
    struct kafka_produce_request request = produce_of(-1);
    const struct kafka_produce_response *response = exchange(0, 9, &request);
    cr_assert(fake.in_input);
    cr_assert_eq(fake.produced.batch.size, 5);
    cr_assert_eq(fake.produce.acks, -1);
    cr_assert_eq(fake.produce.timeout_ms, 30000);
    cr_assert_str_eq(fake.produced_topic, FAKE_TOPIC);
    cr_assert_eq(response->responses[0].partition_responses[1].index, 1);
    cr_assert_eq(response->responses[0].partition_responses[1].base_offset, 1);
    cr_assert_eq(response->responses[0].partition_responses[1].log_append_time_ms, -1);
}

Test(kafka_handlers, produce_below_version_7_knows_no_zstd)
{
    struct kafka_produce_request request = produce_of(1);
    exchange(0, 6, &request);
    cr_assert_eq(fake.produce.flags, SLUICE_PRODUCE_NO_ZSTD);
    exchange(0, 7, &request);
    cr_assert_eq(fake.produce.flags, 0);
}

Test(kafka_handlers, produce_names_the_bad_records_from_version_8) /* trap 11 */
{
    struct kafka_produce_request request = produce_of(1);
    fake.status = SLUICE_E_INVALID_RECORD;
    fake.record_errors = 2;
    const struct kafka_produce_response *response = exchange(0, 8, &request);
    const struct kafka_produce_response_partition *p =
        &response->responses[0].partition_responses[0];
    cr_assert_eq(p->error_code, 87);
    cr_assert_eq(p->base_offset, -1);
    cr_assert_eq(p->record_errors_count, 2);
    cr_assert_eq(p->record_errors[1].batch_index, 4);
    cr_assert(is(p->record_errors[1].batch_index_error_message, "no key either"));
    cr_assert(is(p->error_message, "some records have no key"));
    response = exchange(0, 7, &request);
    cr_assert_eq(response->responses[0].partition_responses[0].error_code, 87);
}

Test(kafka_handlers, produce_by_id_answers_by_id) /* trap 19 */
{
    struct kafka_produce_request request = produce_of(1);
    produced_topic.topic_id = topic_uuid();
    const struct kafka_produce_response *response = exchange(0, 13, &request);
    cr_assert_eq(response->responses[0].partition_responses[0].error_code, 0);
    cr_assert_eq(response->responses[0].topic_id.b[1], 2);
    produced_topic.topic_id.b[0] = 99;
    response = exchange(0, 13, &request);
    cr_assert_eq(response->responses[0].partition_responses[0].error_code, 100);
}

Test(kafka_handlers, produce_with_other_acks_reaches_no_log)
{
    struct kafka_produce_request request = produce_of(2);
    const struct kafka_produce_response *response = exchange(0, 9, &request);
    cr_assert_eq(response->responses[0].partition_responses[1].error_code, 21);
    cr_assert_eq(fake.calls[FAKE_PRODUCE], 0);
}

/* ---- ListOffsets (2): trap 23 ---- */

Test(kafka_handlers, list_offsets_knows_each_question_from_its_version_on)
{
    static const int16_t since[] = {1, 1, 7, 8, 9, 11};
    struct kafka_list_offsets_request request;
    struct kafka_list_offsets_request_partition p[2];
    struct kafka_list_offsets_request_topic topic;
    kafka_list_offsets_request_init(&request);
    kafka_list_offsets_request_topic_init(&topic);
    topic.name = kafka_string(FAKE_TOPIC);
    topic.partitions = p;
    topic.partitions_count = 2;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    for (int64_t question = -1; question >= -7; question--) {
        for (int16_t version = 1; version <= 11; version++) {
            bool known = question >= -6 && version >= since[-question - 1];
            kafka_list_offsets_request_partition_init(&p[0]);
            kafka_list_offsets_request_partition_init(&p[1]);
            p[0].timestamp = question;
            p[1].timestamp = 77;
            p[1].partition_index = 1;
            const struct kafka_list_offsets_response *response = exchange(2, version, &request);
            const struct kafka_list_offsets_response_partition *got =
                response->topics[0].partitions;
            cr_assert_eq(got[0].error_code, known ? 0 : 35, "%d v%d", (int)question, version);
            cr_assert_eq(got[0].offset, known && question != -6 ? 42 : -1);
            cr_assert_eq(got[1].partition_index, 1);
            cr_assert_eq(got[1].offset, 42);
            cr_assert_eq(got[1].timestamp, 1234);
            cr_assert_eq(got[1].leader_epoch, version >= 4 ? 5 : -1);
            cr_assert_eq(fake.timestamps[fake.timestamps_count - 1], 77);
        }
    }
}

/* ---- DeleteRecords (21) ---- */

static const struct kafka_delete_records_response_partition *
delete_records(int16_t version, const char *name, int64_t offset)
{
    struct kafka_delete_records_request request;
    struct kafka_delete_records_request_partition p;
    struct kafka_delete_records_request_topic topic;
    kafka_delete_records_request_init(&request);
    kafka_delete_records_request_topic_init(&topic);
    kafka_delete_records_request_partition_init(&p);
    p.partition_index = 2;
    p.offset = offset;
    topic.name = kafka_string(name);
    topic.partitions = &p;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    const struct kafka_delete_records_response *response = exchange(21, version, &request);
    cr_assert_eq(response->topics_count, 1);
    cr_assert_eq(response->topics[0].partitions_count, 1);
    cr_assert_eq(response->topics[0].partitions[0].partition_index, 2);
    return &response->topics[0].partitions[0];
}

Test(kafka_handlers, delete_records_answers_the_low_watermark_or_the_error_of_each_partition)
{
    for (int16_t version = 0; version <= 2; version++) {
        const struct kafka_delete_records_response_partition *got =
            delete_records(version, FAKE_TOPIC, 7);
        cr_assert_eq(got->error_code, 0);
        cr_assert_eq(got->low_watermark, 42);
        cr_assert_eq(fake.deletion.partition, 2);
        cr_assert_eq(fake.deletion.before_offset, 7);
        got = delete_records(version, "missing", -1);
        cr_assert_eq(got->error_code, 3);
        cr_assert_eq(got->low_watermark, -1);
        cr_assert_eq(fake.deletion.before_offset, SLUICE_OFFSET_HIGH_WATERMARK);
    }
    static const struct {
        sluice_status status;
        int16_t code;
    } errors[] = {{SLUICE_E_OFFSET_OUT_OF_RANGE, 1},
                  {SLUICE_E_POLICY, 44},
                  {SLUICE_E_INVALID_TOPIC, 17},
                  {SLUICE_E_FENCED, 56}};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake.status = errors[i].status;
        cr_assert_eq(delete_records(2, FAKE_TOPIC, 7)->error_code, errors[i].code);
    }
}

/* ---- InitProducerId (22), FindCoordinator (10) ---- */

Test(kafka_handlers, an_idempotent_producer_gets_a_fresh_id_and_a_transactional_one_its_own)
{
    struct kafka_init_producer_id_request request;
    kafka_init_producer_id_request_init(&request);
    request.transactional_id = kafka_null();
    request.producer_id = 5;
    request.producer_epoch = 1;
    const struct kafka_init_producer_id_response *response = exchange(22, 5, &request);
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->producer_id, 1000);
    cr_assert_eq(response->producer_epoch, 0);
    cr_assert_eq(fake.calls[FAKE_TXN_PRODUCER], 0);
    request.transactional_id = kafka_string("tx");
    request.transaction_timeout_ms = 60000;
    response = exchange(22, 5, &request);
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->producer_id, 1000);
    cr_assert_eq(fake.calls[FAKE_TXN_PRODUCER], 1);
}

/* trap 25: 90 where the version knows it, 47 before. */
Test(kafka_handlers, a_fenced_producer_is_told_in_the_words_of_its_version)
{
    int32_t numbers[] = {1, 4};
    struct kafka_add_partitions_to_txn_request_topic topic = {
        .name = kafka_string(FAKE_TOPIC), .partitions = numbers, .partitions_count = 2};
    struct kafka_init_producer_id_request init;
    struct kafka_end_txn_request end;
    struct kafka_add_offsets_to_txn_request offsets;
    struct kafka_add_partitions_to_txn_request add;
    kafka_init_producer_id_request_init(&init);
    kafka_end_txn_request_init(&end);
    kafka_add_offsets_to_txn_request_init(&offsets);
    kafka_add_partitions_to_txn_request_init(&add);
    init.transactional_id = end.transactional_id = offsets.transactional_id =
        add.v3_and_below_transactional_id = kafka_string("tx");
    init.transaction_timeout_ms = 60000;
    end.producer_id = 1000;
    end.committed = true;
    offsets.producer_epoch = add.v3_and_below_producer_epoch = 3;
    offsets.group_id = kafka_string("g");
    add.v3_and_below_topics = &topic;
    add.v3_and_below_topics_count = 1;
    fake.status = SLUICE_E_PRODUCER_FENCED;
    for (int16_t version = 0; version <= 3; version++) {
        int16_t code = version >= 2 ? 90 : 47;
        const struct kafka_init_producer_id_response *i =
            exchange(22, (int16_t)(version + 2), &init);
        cr_assert_eq(i->error_code, code);
        cr_assert_eq(i->producer_id, -1);
        const struct kafka_end_txn_response *e = exchange(26, version, &end);
        cr_assert_eq(e->error_code, code);
        const struct kafka_add_offsets_to_txn_response *o = exchange(25, version, &offsets);
        cr_assert_eq(o->error_code, code);
        const struct kafka_add_partitions_to_txn_response *a = exchange(24, version, &add);
        cr_assert_eq(a->results_by_topic_v3_and_below[0].results_by_partition_count, 2);
        cr_assert_eq(
            a->results_by_topic_v3_and_below[0].results_by_partition[1].partition_error_code, code);
    }
}

Test(kafka_handlers, every_group_and_every_transaction_is_coordinated_here)
{
    struct kafka_bytes keys[] = {kafka_string("a"), kafka_string("b")};
    struct kafka_find_coordinator_request request;
    kafka_find_coordinator_request_init(&request);
    request.key = kafka_string("g");
    const struct kafka_find_coordinator_response *response = exchange(10, 0, &request);
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->node_id, FAKE_NODE);
    cr_assert_eq(response->port, 9092);
    request.key_type = 1;
    response = exchange(10, 2, &request);
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->node_id, FAKE_NODE);
    request = (struct kafka_find_coordinator_request){.coordinator_keys = keys,
                                                      .coordinator_keys_count = 2};
    response = exchange(10, 4, &request);
    cr_assert_eq(response->coordinators_count, 2);
    cr_assert(is(response->coordinators[1].key, "b"));
    cr_assert(is(response->coordinators[1].host, "localhost"));
    request.key_type = 2;
    response = exchange(10, 6, &request);
    cr_assert_eq(response->coordinators[0].error_code, 42);
}

/* ---- groups: trap 27 ---- */

static struct kafka_join_group_request join_of(void)
{
    static struct kafka_join_group_request_protocol protocol;
    struct kafka_join_group_request request;
    kafka_join_group_request_init(&request);
    protocol.name = kafka_string("range");
    protocol.metadata = kafka_bytes("m", 1);
    request.group_id = kafka_string("g");
    request.session_timeout_ms = 10000;
    request.protocol_type = kafka_string("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    return request;
}

Test(kafka_handlers, join_asks_for_the_member_id_first_from_version_4)
{
    struct kafka_join_group_request request = join_of();
    for (int16_t version = 0; version <= 9; version++) {
        const struct kafka_join_group_response *response = exchange(11, version, &request);
        cr_assert_eq(fake.join.require_member_id, version >= 4);
        cr_assert_eq(fake.join.supports_skip_assignment, version >= 9);
        cr_assert_eq(fake.join.rebalance_timeout_ms, -1);
        cr_assert_eq(response->generation_id, 3);
        cr_assert_eq(response->skip_assignment, version >= 9);
        cr_assert_eq(response->members_count, 2);
        cr_assert_eq(kafka_is_null(response->members[1].group_instance_id), version < 5);
        cr_assert(is(response->members[1].metadata, "data"));
        cr_assert(is(response->protocol_name, "range"));
    }
}

Test(kafka_handlers, a_refused_join_has_generation_minus_1_and_the_new_member_id)
{
    struct kafka_join_group_request request = join_of();
    fake.status = SLUICE_E_MEMBER_ID_REQUIRED;
    const struct kafka_join_group_response *response = exchange(11, 5, &request);
    cr_assert_eq(response->error_code, 79);
    cr_assert_eq(response->generation_id, -1);
    cr_assert(is(response->member_id, "m-1"));
    cr_assert(is(response->protocol_name, ""));
    response = exchange(11, 7, &request);
    cr_assert(kafka_is_null(response->protocol_name));
}

Test(kafka_handlers, sync_brings_the_assignment)
{
    struct kafka_sync_group_request request;
    kafka_sync_group_request_init(&request);
    request.group_id = kafka_string("g");
    request.protocol_type = kafka_string("consumer");
    request.protocol_name = kafka_string("range");
    for (int16_t version = 0; version <= 5; version++) {
        const struct kafka_sync_group_response *response = exchange(14, version, &request);
        cr_assert(is(response->assignment, "assigned"));
        cr_assert_eq(kafka_is_null(response->protocol_name), version < 5);
    }
}

Test(kafka_handlers, a_sync_from_version_5_names_its_protocol)
{
    struct kafka_sync_group_request request;
    kafka_sync_group_request_init(&request);
    request.group_id = kafka_string("g");
    const struct kafka_sync_group_response *response = exchange(14, 5, &request);
    cr_assert_eq(response->error_code, 23);
}

Test(kafka_handlers, a_heartbeat_tells_of_a_rebalance)
{
    struct kafka_heartbeat_request request;
    kafka_heartbeat_request_init(&request);
    fake.status = SLUICE_E_REBALANCE_IN_PROGRESS;
    const struct kafka_heartbeat_response *response = exchange(12, 4, &request);
    cr_assert_eq(response->error_code, 27);
}

Test(kafka_handlers, leave_is_for_one_member_and_from_version_3_for_several)
{
    struct kafka_leave_group_request_member members[2];
    struct kafka_leave_group_request request;
    kafka_leave_group_request_init(&request);
    request.member_id = kafka_string("m");
    const struct kafka_leave_group_response *response = exchange(13, 2, &request);
    cr_assert_eq(response->error_code, 25, "that of the member");
    kafka_leave_group_request_init(&request);
    kafka_leave_group_request_member_init(&members[0]);
    kafka_leave_group_request_member_init(&members[1]);
    members[1].member_id = kafka_string("other");
    request.members = members;
    request.members_count = 2;
    response = exchange(13, 5, &request);
    cr_assert_eq(fake.leavers, 2);
    cr_assert_eq(response->error_code, 0);
    cr_assert_eq(response->members[0].error_code, 25);
    cr_assert(is(response->members[1].member_id, "other"));
    cr_assert_eq(response->members[1].error_code, 0);
}

/* ---- offsets: trap 29 ---- */

Test(kafka_handlers, a_commit_is_answered_partition_by_partition)
{
    struct kafka_offset_commit_request_partition p[2];
    struct kafka_offset_commit_request_topic topic;
    struct kafka_offset_commit_request request;
    kafka_offset_commit_request_init(&request);
    kafka_offset_commit_request_topic_init(&topic);
    kafka_offset_commit_request_partition_init(&p[0]);
    kafka_offset_commit_request_partition_init(&p[1]);
    p[0].committed_metadata = kafka_null();
    p[1].partition_index = 1;
    topic.name = kafka_string(FAKE_TOPIC);
    topic.partitions = p;
    topic.partitions_count = 2;
    request.group_id = kafka_string("g");
    request.topics = &topic;
    request.topics_count = 1;
    const struct kafka_offset_commit_response *response = exchange(8, 8, &request);
    cr_assert_eq(response->topics[0].partitions_count, 2);
    cr_assert_eq(response->topics[0].partitions[1].partition_index, 1);
    fake.status = SLUICE_E_ILLEGAL_GENERATION;
    response = exchange(8, 2, &request);
    cr_assert_eq(response->topics[0].partitions[1].error_code, 22);
}

Test(kafka_handlers, offset_fetch_of_a_group_answers_minus_1_without_error_where_nothing_is)
{
    int32_t numbers[] = {0, 1};
    struct kafka_offset_fetch_request_topic topic;
    struct kafka_offset_fetch_request request;
    kafka_offset_fetch_request_init(&request);
    kafka_offset_fetch_request_topic_init(&topic);
    topic.name = kafka_string(FAKE_TOPIC);
    topic.partition_indexes = numbers;
    topic.partition_indexes_count = 2;
    request.group_id = kafka_string("g");
    request.topics = &topic;
    request.topics_count = 1;
    for (int16_t version = 1; version <= 7; version++) {
        const struct kafka_offset_fetch_response *response = exchange(9, version, &request);
        const struct kafka_offset_fetch_response_partition *p = response->topics[0].partitions;
        cr_assert_eq(response->topics[0].partitions_count, 2);
        cr_assert_eq(p[0].committed_offset, 42);
        cr_assert(is(p[0].metadata, "note"));
        cr_assert_eq(p[1].committed_offset, -1);
        cr_assert_eq(p[1].error_code, 0);
        cr_assert_not(fake.offsets_of_all);
    }
    request.topics_count = -1;
    exchange(9, 2, &request);
    cr_assert(fake.offsets_of_all);
    request.topics_count = 0;
    const struct kafka_offset_fetch_response *response = exchange(9, 2, &request);
    cr_assert_eq(response->topics_count, 0);
    request.topics_count = -1;
    fake.status = SLUICE_E_NOT_COORDINATOR;
    response = exchange(9, 2, &request);
    cr_assert_eq(response->error_code, 16);
}

Test(kafka_handlers, offset_fetch_of_several_groups_is_answered_together)
{
    int32_t number = 0;
    struct kafka_offset_fetch_request_group_topic topic;
    struct kafka_offset_fetch_request_group groups[2];
    struct kafka_offset_fetch_request request;
    kafka_offset_fetch_request_init(&request);
    kafka_offset_fetch_request_group_topic_init(&topic);
    topic.name = kafka_string(FAKE_TOPIC);
    topic.topic_id = topic_uuid();
    topic.partition_indexes = &number;
    topic.partition_indexes_count = 1;
    for (int i = 0; i < 2; i++) {
        kafka_offset_fetch_request_group_init(&groups[i]);
        groups[i].group_id = kafka_string(i == 0 ? "a" : "b");
        groups[i].topics = i == 0 ? &topic : NULL;
        groups[i].topics_count = i == 0 ? 1 : -1;
    }
    request.groups = groups;
    request.groups_count = 2;
    for (int16_t version = 8; version <= 10; version++) {
        const struct kafka_offset_fetch_response *response = exchange(9, version, &request);
        cr_assert_eq(response->groups_count, 2);
        cr_assert(is(response->groups[1].group_id, "b"));
        cr_assert_eq(response->groups[0].topics[0].partitions_count, 1);
        cr_assert_eq(response->groups[1].topics[0].partitions_count, 2);
        cr_assert_eq(response->groups[1].topics[0].partitions[0].committed_offset, 42);
    }
    fake.hold[FAKE_OFFSET_FETCH] = true;
    fake_request(&fake, 9, 8, 5, &request);
    fake_release(&fake, 1);
    cr_assert(fake_is_quiet(&fake));
    fake_release(&fake, 0);
    fake_response(&fake, 9, 8, 5);
}

/* ---- topics: trap 33 ---- */

static struct kafka_create_topics_request_topic specs[3];

static struct kafka_create_topics_request create_of(int32_t count)
{
    static const char *const names[] = {"new", FAKE_TOPIC, "newer"};
    struct kafka_create_topics_request request;
    kafka_create_topics_request_init(&request);
    for (int32_t i = 0; i < count; i++) {
        kafka_create_topics_request_topic_init(&specs[i]);
        specs[i].name = kafka_string(names[i]);
        specs[i].num_partitions = -1;
        specs[i].replication_factor = -1;
    }
    request.topics = specs;
    request.topics_count = count;
    return request;
}

Test(kafka_handlers, topics_are_created_one_by_one_and_told_with_their_configuration)
{
    struct kafka_create_topics_request request = create_of(3);
    const struct kafka_create_topics_response *response = exchange(19, 7, &request);
    cr_assert_eq(response->topics[0].error_code, 0);
    cr_assert_eq(response->topics[0].num_partitions, 4);
    cr_assert_eq(response->topics[0].topic_id.b[0], 1);
    cr_assert_eq(response->topics[0].configs_count, 3);
    cr_assert(is(response->topics[0].configs[1].value, "604800000"));
    cr_assert_eq(response->topics[0].configs[1].config_source, 1);
    cr_assert(kafka_is_null(response->topics[0].configs[2].value), "it is sensitive");
    cr_assert_eq(response->topics[1].error_code, 36);
    cr_assert_gt(response->topics[1].error_message.size, 0);
    cr_assert_eq(response->topics[2].configs_count, 3);
    cr_assert_eq(fake.calls[FAKE_CONFIGS], 2);
    exchange(19, 4, &request);
    cr_assert_eq(fake.calls[FAKE_CONFIGS], 2, "before version 5 nobody wants to know");
}

Test(kafka_handlers, a_creation_on_trial_reaches_the_broker_as_such)
{
    struct kafka_create_topics_request request = create_of(1);
    request.validate_only = true;
    const struct kafka_create_topics_response *response = exchange(19, 5, &request);
    cr_assert(fake.validate_only);
    cr_assert_eq(response->topics[0].error_code, 0);
    cr_assert_eq(response->topics[0].configs_count, 3, "what it would have");
    cr_assert(is(response->topics[0].configs[1].value, "604800000"));
}

Test(kafka_handlers, a_topic_named_twice_or_assigned_elsewhere_is_refused_alone)
{
    int32_t node = FAKE_NODE;
    int32_t other = FAKE_NODE + 1;
    struct kafka_create_topics_request_assignment here = {.broker_ids = &node,
                                                          .broker_ids_count = 1};
    struct kafka_create_topics_request_assignment there = {.broker_ids = &other,
                                                           .broker_ids_count = 1};
    struct kafka_create_topics_request request = create_of(3);
    specs[1].name = kafka_string("mine");
    specs[1].assignments = &here;
    specs[2].assignments = &there;
    specs[1].assignments_count = specs[2].assignments_count = 1;
    const struct kafka_create_topics_response *response = exchange(19, 5, &request);
    cr_assert_eq(response->topics[1].error_code, 0);
    cr_assert_eq(response->topics[2].error_code, 39);
    specs[1].num_partitions = 2;
    specs[2] = specs[0];
    response = exchange(19, 5, &request);
    cr_assert_eq(response->topics[0].error_code, 42);
    cr_assert_eq(response->topics[1].error_code, 42);
    cr_assert_eq(response->topics_count, 2, "it is refused once");
}

Test(kafka_handlers, topics_are_deleted_by_name_or_by_id)
{
    struct kafka_bytes names[] = {kafka_string(FAKE_TOPIC), kafka_string("missing")};
    struct kafka_delete_topics_request_topic topics[2];
    struct kafka_delete_topics_request request;
    kafka_delete_topics_request_init(&request);
    request.topic_names = names;
    request.topic_names_count = 2;
    const struct kafka_delete_topics_response *response = exchange(20, 4, &request);
    cr_assert_eq(response->responses[0].error_code, 0);
    cr_assert_eq(response->responses[1].error_code, 3);
    cr_assert(is(response->responses[1].name, "missing"));
    kafka_delete_topics_request_init(&request);
    kafka_delete_topics_request_topic_init(&topics[0]);
    kafka_delete_topics_request_topic_init(&topics[1]);
    topics[0].topic_id = topics[1].topic_id = topic_uuid();
    topics[1].name = kafka_string(FAKE_TOPIC);
    request.topics = topics;
    request.topics_count = 2;
    response = exchange(20, 6, &request);
    cr_assert_eq(response->responses[0].error_code, 0);
    cr_assert(is(response->responses[0].name, FAKE_TOPIC));
    cr_assert_eq(response->responses[1].error_code, 42, "both");
}

/* ---- DescribeConfigs (32): trap 32 ---- */

static struct kafka_describe_configs_request_resource resource;

static struct kafka_describe_configs_request describe_of(int8_t type, const char *name)
{
    struct kafka_describe_configs_request request;
    kafka_describe_configs_request_init(&request);
    kafka_describe_configs_request_resource_init(&resource);
    resource.resource_type = type;
    resource.resource_name = kafka_string(name);
    resource.configuration_keys_count = -1;
    request.resources = &resource;
    request.resources_count = 1;
    return request;
}

Test(kafka_handlers, all_keys_are_described_with_source_type_synonyms_and_documentation)
{
    struct kafka_describe_configs_request request = describe_of(2, FAKE_TOPIC);
    request.include_synonyms = true;
    request.include_documentation = true;
    const struct kafka_describe_configs_response *response = exchange(32, 4, &request);
    const struct kafka_describe_configs_response_config *c = response->results[0].configs;
    cr_assert_eq(response->results[0].configs_count, 3);
    cr_assert(is(c[0].documentation, "What to do."));
    cr_assert_eq(c[0].config_type, 7);
    cr_assert_eq(c[0].config_source, 5);
    cr_assert_eq(c[0].synonyms_count, 1);
    cr_assert(is(c[0].synonyms[0].name, "log.cleanup.policy"));
    cr_assert_eq(c[1].config_type, 5);
    cr_assert_eq(c[1].config_source, 1);
    cr_assert_eq(c[1].synonyms_count, 2);
    cr_assert(is(c[1].synonyms[0].value, "604800000"));
    cr_assert_eq(c[1].synonyms[1].source, 5);
    cr_assert(c[2].is_sensitive && c[2].read_only);
    cr_assert(kafka_is_null(c[2].value));
    cr_assert_eq(c[2].config_source, 4);
    request.include_synonyms = request.include_documentation = false;
    response = exchange(32, 3, &request);
    cr_assert_eq(response->results[0].configs[1].synonyms_count, 0);
    cr_assert(kafka_is_null(response->results[0].configs[0].documentation));
}

Test(kafka_handlers, named_keys_are_the_only_ones_described)
{
    struct kafka_bytes keys[] = {kafka_string("retention.ms"), kafka_string("nothing")};
    struct kafka_describe_configs_request request = describe_of(2, FAKE_TOPIC);
    resource.configuration_keys = keys;
    resource.configuration_keys_count = 2;
    const struct kafka_describe_configs_response *response = exchange(32, 1, &request);
    cr_assert_eq(response->results[0].configs_count, 1);
    cr_assert(is(response->results[0].configs[0].name, "retention.ms"));
}

Test(kafka_handlers, a_broker_is_described_by_its_node_id)
{
    struct kafka_describe_configs_request request = describe_of(4, "7");
    const struct kafka_describe_configs_response *response = exchange(32, 4, &request);
    cr_assert_eq(response->results[0].configs_count, 3);
    request = describe_of(4, "8");
    response = exchange(32, 4, &request);
    cr_assert_eq(response->results[0].error_code, 42);
    request = describe_of(4, "");
    response = exchange(32, 4, &request);
    cr_assert_eq(response->results[0].error_code, 0);
    cr_assert_eq(response->results[0].configs_count, 0);
    request = describe_of(3, "7");
    response = exchange(32, 4, &request);
    cr_assert_eq(response->results[0].error_code, 42);
    cr_assert_eq(fake.calls[FAKE_CONFIGS], 1);
}
