/* test_kafka_fetch.c: Fetch and its sessions. */
#include "fake_broker.h"
#include "fetch_session.h"

#include <criterion/criterion.h>

#define FETCH 1

static struct fake fake;

static void set_up(void)
{
    fake_init(&fake);
    fake.high_watermark = 10;
}

static void tear_down(void)
{
    fake_fini(&fake);
}

TestSuite(kafka_fetch, .init = set_up, .fini = tear_down);

static struct kafka_fetch_request_partition partitions[4];
static struct kafka_fetch_request_topic topic;

/* Asks for the first `count` partitions from offset 5. */
static struct kafka_fetch_request fetch_of(int32_t count)
{
    struct kafka_fetch_request request;
    kafka_fetch_request_init(&request);
    kafka_fetch_request_topic_init(&topic);
    for (int32_t i = 0; i < count; i++) {
        kafka_fetch_request_partition_init(&partitions[i]);
        partitions[i].partition = i;
        partitions[i].fetch_offset = 5;
        partitions[i].partition_max_bytes = 1000;
    }
    topic.topic = kafka_string(FAKE_TOPIC);
    topic.partitions = partitions;
    topic.partitions_count = count;
    request.topics = &topic;
    request.topics_count = count > 0 ? 1 : 0;
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    return request;
}

static const struct kafka_fetch_response *exchange(int16_t version,
                                                   const struct kafka_fetch_request *request)
{
    fake_request(&fake, FETCH, version, 1, request);
    return fake_response(&fake, FETCH, version, 1);
}

/* A session over two partitions that have been answered; expects epoch 1. */
static int32_t open_session(void)
{
    struct kafka_fetch_request request = fetch_of(2);
    request.session_epoch = 0;
    return exchange(11, &request)->session_id;
}

static const struct kafka_fetch_response *go_on(int32_t id, int32_t epoch, int32_t count)
{
    struct kafka_fetch_request request = fetch_of(count);
    request.session_id = id;
    request.session_epoch = epoch;
    return exchange(11, &request);
}

Test(kafka_fetch, limits_and_offsets_reach_the_broker_as_asked)
{
    struct kafka_fetch_request request = fetch_of(2);
    request.max_bytes = 4000;
    request.isolation_level = 1;
    partitions[1].current_leader_epoch = 6;
    exchange(11, &request);
    cr_assert_eq(fake.fetch.bytes_max, 4000);
    cr_assert_eq(fake.fetch.bytes_min, 1);
    cr_assert_eq(fake.fetch.wait_ms, 500);
    cr_assert_eq(fake.fetch.isolation, SLUICE_ISOLATION_COMMITTED);
    cr_assert_eq(fake.fetched[0].leader_epoch, -1);
    cr_assert_eq(fake.fetched[1].leader_epoch, 6);
    cr_assert_eq(fake.fetched[1].partition, 1);
    cr_assert_eq(fake.fetched[1].offset, 5);
    cr_assert_eq(fake.fetched[1].bytes_max, 1000);
    cr_assert_str_eq(fake.fetched_topics[1], FAKE_TOPIC);
}

Test(kafka_fetch, records_are_sent_by_reference_and_no_replica_is_preferred) /* trap 21 */
{
    static char records[5000];
    struct kafka_fetch_request request = fetch_of(3);
    memset(records, 'r', sizeof(records) - 1);
    fake.records = records;
    const struct kafka_fetch_response *response = exchange(11, &request);
    cr_assert_eq(fake.token_pieces, 3);
    cr_assert_eq(response->responses_count, 1);
    cr_assert_eq(response->responses[0].partitions_count, 3);
    for (int32_t i = 0; i < 3; i++) {
        const struct kafka_fetch_response_partition *p = &response->responses[0].partitions[i];
        cr_assert_eq(p->partition_index, i);
        cr_assert_eq(p->records.size, 4999);
        cr_assert_arr_eq(p->records.data, records, 4999);
        cr_assert_eq(p->preferred_read_replica, -1);
        cr_assert_eq(p->high_watermark, 10);
    }
}

Test(kafka_fetch,
     aborted_transactions_are_null_unless_committed_records_are_asked_for) /* trap 24 */
{
    struct kafka_fetch_request request = fetch_of(1);
    cr_assert_eq(exchange(11, &request)->responses[0].partitions[0].aborted_transactions_count, -1);
    request.isolation_level = 1;
    cr_assert_eq(exchange(11, &request)->responses[0].partitions[0].aborted_transactions_count, 0);
}

Test(kafka_fetch, an_error_has_no_offsets_and_empty_records)
{
    struct kafka_fetch_request request = fetch_of(1);
    fake.status = SLUICE_E_OFFSET_OUT_OF_RANGE;
    const struct kafka_fetch_response_partition *p =
        &exchange(11, &request)->responses[0].partitions[0];
    cr_assert_eq(p->error_code, 1);
    cr_assert_eq(p->high_watermark, -1);
    cr_assert_eq(p->records.size, 0);
}

Test(kafka_fetch, a_reader_of_what_a_power_cut_took_learns_where_its_epoch_ends)
{
    struct kafka_fetch_request request = fetch_of(1);
    partitions[0].last_fetched_epoch = 7;
    cr_assert_eq(exchange(12, &request)->responses[0].partitions[0].diverging_epoch.epoch, -1);
    cr_assert_eq(fake.fetched[0].last_epoch, 7);
    fake.diverging_epoch = 6;
    const struct kafka_fetch_response_partition *p =
        &exchange(12, &request)->responses[0].partitions[0];
    cr_assert_eq(p->error_code, 0);
    cr_assert_eq(p->diverging_epoch.epoch, 6);
    cr_assert_eq(p->diverging_epoch.end_offset, 3);
}

Test(kafka_fetch, a_request_without_partitions_is_answered_at_once) /* trap 17 */
{
    struct kafka_fetch_request request = fetch_of(0);
    cr_assert_eq(exchange(11, &request)->responses_count, 0);
    cr_assert_eq(fake.calls[FAKE_FETCH], 0);
}

Test(kafka_fetch, an_unknown_topic_id_is_error_100) /* trap 19 */
{
    struct kafka_fetch_request request = fetch_of(1);
    topic.topic_id = (struct kafka_uuid){{9}};
    const struct kafka_fetch_response *response = exchange(13, &request);
    cr_assert_eq(response->responses[0].partitions[0].error_code, 100);
    cr_assert_eq(response->responses[0].topic_id.b[0], 9);
    cr_assert_str_eq(fake.fetched_topics[0], "");
}

Test(kafka_fetch, every_version_is_answered)
{
    for (int16_t version = 4; version <= 18; version++) {
        struct kafka_fetch_request request = fetch_of(2);
        struct sluice_uuid id = fake_topic_id();
        memcpy(topic.topic_id.b, id.bytes, sizeof(id.bytes));
        fake.records = "records";
        const struct kafka_fetch_response *response = exchange(version, &request);
        cr_assert_eq(response->responses[0].partitions[1].records.size, 7, "version %d", version);
        cr_assert_eq(response->session_id, 0);
    }
}

/* ---- sessions: trap 18 ---- */

Test(kafka_fetch, a_session_answers_only_what_changed)
{
    int32_t id = open_session();
    cr_assert_neq(id, 0);
    cr_assert_eq(go_on(id, 1, 0)->responses_count, 0);
    cr_assert_eq(fake.fetch.entry_count, 2, "the session remembers its partitions");
    fake.high_watermark = 11;
    const struct kafka_fetch_response *response = go_on(id, 2, 0);
    cr_assert_eq(response->session_id, id);
    cr_assert_eq(response->responses[0].partitions_count, 2);
    cr_assert_eq(go_on(id, 3, 0)->responses_count, 0);
}

Test(kafka_fetch, a_partition_with_an_error_is_answered_until_it_is_well_again)
{
    int32_t id = open_session();
    fake.status = SLUICE_E_CORRUPT;
    cr_assert_eq(go_on(id, 1, 0)->responses[0].partitions[0].error_code, 56);
    cr_assert_eq(go_on(id, 2, 0)->responses_count, 1);
    fake.status = SLUICE_OK;
    cr_assert_eq(go_on(id, 3, 0)->responses[0].partitions[0].error_code, 0);
    cr_assert_eq(go_on(id, 4, 0)->responses_count, 0);
}

Test(kafka_fetch, a_named_partition_changes_what_the_session_asks_for)
{
    int32_t id = open_session();
    struct kafka_fetch_request request = fetch_of(1);
    partitions[0].fetch_offset = 9;
    request.session_id = id;
    request.session_epoch = 1;
    exchange(11, &request);
    cr_assert_eq(fake.fetch.entry_count, 2);
    cr_assert_eq(fake.fetched[0].offset, 9);
    cr_assert_eq(fake.fetched[1].offset, 5);
}

Test(kafka_fetch, partitions_with_records_go_to_the_end_of_the_session)
{
    int32_t id = open_session();
    fake.hold[FAKE_FETCH] = true;
    struct kafka_fetch_request request = fetch_of(0);
    request.session_id = id;
    request.session_epoch = 1;
    fake_request(&fake, FETCH, 11, 1, &request);
    fake.held[0].refs[1].name = sluice_text_of("missing"); /* only the first has records */
    fake.records = "records";
    fake_release(&fake, 0);
    fake_response(&fake, FETCH, 11, 1);
    fake.records = NULL;
    fake.hold[FAKE_FETCH] = false;
    go_on(id, 2, 0);
    cr_assert_eq(fake.fetched[0].partition, 1);
    cr_assert_eq(fake.fetched[1].partition, 0);
}

Test(kafka_fetch, forgotten_partitions_leave_the_session_and_the_last_ends_it)
{
    int32_t id = open_session();
    int32_t numbers[] = {0, 1};
    struct kafka_fetch_request_forgotten_topic gone;
    struct kafka_fetch_request request = fetch_of(0);
    kafka_fetch_request_forgotten_topic_init(&gone);
    gone.topic = kafka_string(FAKE_TOPIC);
    gone.partitions = numbers;
    gone.partitions_count = 1;
    request.forgotten_topics_data = &gone;
    request.forgotten_topics_data_count = 1;
    request.session_id = id;
    request.session_epoch = 1;
    exchange(11, &request);
    cr_assert_eq(fake.fetch.entry_count, 1);
    cr_assert_eq(fake.fetched[0].partition, 1);
    gone.partitions = numbers + 1;
    request.session_epoch = 2;
    cr_assert_eq(exchange(11, &request)->session_id, 0);
    cr_assert_eq(go_on(id, 3, 0)->error_code, 70);
}

Test(kafka_fetch, an_unknown_session_is_error_70_and_a_wrong_epoch_71)
{
    int32_t id = open_session();
    cr_assert_eq(go_on(id, 2, 0)->error_code, 71);
    cr_assert_eq(go_on(id + 1, 1, 0)->error_code, 70);
    cr_assert_eq(go_on(0, 1, 0)->error_code, 70);
    cr_assert_eq(go_on(id, 1, 0)->error_code, 0, "the session is as it was");
}

Test(kafka_fetch, the_final_epoch_ends_the_session_and_answers_in_full)
{
    int32_t id = open_session();
    const struct kafka_fetch_response *response = go_on(id, -1, 2);
    cr_assert_eq(response->session_id, 0);
    cr_assert_eq(response->responses[0].partitions_count, 2);
    cr_assert_eq(go_on(id, 1, 0)->error_code, 70);
}

Test(kafka_fetch, a_session_by_name_cannot_go_on_by_id) /* error 106 */
{
    int32_t id = open_session();
    struct kafka_fetch_request request = fetch_of(0);
    request.session_id = id;
    request.session_epoch = 1;
    cr_assert_eq(exchange(13, &request)->error_code, 106);
}

Test(kafka_fetch, without_a_free_slot_there_is_no_session_until_one_has_idled)
{
    struct fake narrow;
    struct kafka_fetch_request request = fetch_of(1);
    int32_t ids[3];

    fake_init_config(&narrow, "fetch_session_slots", "1");
    request.session_epoch = 0;
    for (int32_t i = 0; i < 3; i++) {
        fake_request(&narrow, FETCH, 11, i, &request);
        const struct kafka_fetch_response *response = fake_response(&narrow, FETCH, 11, i);
        cr_assert_eq(response->responses[0].partitions_count, 1);
        ids[i] = response->session_id;
        narrow.now_ms += i == 1 ? FETCH_SESSION_IDLE_MS : 0;
    }
    cr_assert_neq(ids[0], 0);
    cr_assert_eq(ids[1], 0);
    cr_assert_neq(ids[2], 0);
    fake_fini(&narrow);
}

Test(kafka_fetch, a_session_of_many_partitions_finds_each_of_them)
{
    static struct fetch_sessions sessions;
    struct sluice_fetch_entry entry = {.topic = {.name = {FAKE_TOPIC, 6}}};
    fetch_sessions_init(&sessions, 2, 1);
    struct fetch_session *session = fetch_session_new(&sessions, false, 0);
    for (entry.partition = 0; entry.partition < 1000; entry.partition++) {
        entry.offset = entry.partition;
        cr_assert(fetch_session_set(&sessions, session, &entry));
        cr_assert(fetch_session_set(&sessions, session, &entry));
    }
    cr_assert_eq(session->partition_count, 1000);
    for (int32_t i = 0; i < 1000; i += 2) {
        fetch_session_forget(&sessions, session, &entry.topic, i);
    }
    int32_t expected = 1;
    for (struct fetch_partition *p = session->first; p != NULL; p = p->next, expected += 2) {
        cr_assert_eq(p->partition, expected);
        cr_assert_eq(p->offset, expected);
    }
    cr_assert_eq(sessions.partition_count, 500);
    fetch_sessions_fini(&sessions);
    cr_assert_eq(sessions.partition_count, 0);
}
