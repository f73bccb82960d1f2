/* test_client_vectors.c: the frames of tests/data/native, which were put together by hand from the
 * page of the format: what the client writes, and what it makes of what a server sends. */
#include "client_fixture.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_TEXT_MAX 4096

static char *read_file(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/tests/data/native/%s", SLUICE_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *text = calloc(1, 65536);
    cr_assert_not_null(text);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    (void)fclose(file);
    return text;
}

/* The frame of a title as text of hex, with another id. */
static void frame_of(const char *title, uint32_t id, char *ret_hex)
{
    char *text = read_file("vectors.json");
    cJSON *list = cJSON_Parse(text);
    const cJSON *one;
    const char *hex = NULL;
    cJSON_ArrayForEach(one, list)
    {
        if (strcmp(cJSON_GetObjectItem(one, "title")->valuestring, title) == 0) {
            hex = cJSON_GetObjectItem(one, "hex")->valuestring;
        }
    }
    cr_assert_not_null(hex, "no vector has the title %s", title);
    cr_assert_lt(strlen(hex), FRAME_TEXT_MAX);
    memcpy(ret_hex, hex, strlen(hex) + 1);
    char id_text[9];
    (void)snprintf(id_text, sizeof(id_text), "%02x%02x%02x%02x", id & 255, id >> 8 & 255,
                   id >> 16 & 255, id >> 24);
    memcpy(ret_hex + 16, id_text, 8);
    cJSON_Delete(list);
    free(text);
}

static sluice_status feed_hex(const char *hex)
{
    sluice_status status = SLUICE_OK;
    const size_t size = strlen(hex) / 2;
    uint8_t *data = malloc(size);
    cr_assert_not_null(data);
    for (size_t i = 0; i < size; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        data[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    if (!feeds_bytes) {
        status = sluice_client_feed(client, data, size, now_ms);
    }
    for (size_t i = 0; i < size && feeds_bytes && status == SLUICE_OK; i++) {
        status = sluice_client_feed(client, data + i, 1, now_ms);
    }
    free(data);
    return status;
}

static sluice_status feed_vector(const char *title, uint32_t id)
{
    char hex[FRAME_TEXT_MAX];
    frame_of(title, id, hex);
    return feed_hex(hex);
}

static uint32_t last_id; /* of what was asked for last: ids are given one by one */

static void expect(const char *title)
{
    char hex[FRAME_TEXT_MAX];
    frame_of(title, ++last_id, hex);
    cr_assert_str_eq(fixture_sent(), hex, "%s", title);
}

/* Of what belongs to a subscription. */
static void expect_of(const char *title, uint32_t id)
{
    char hex[FRAME_TEXT_MAX];
    frame_of(title, id, hex);
    cr_assert_str_eq(fixture_sent(), hex, "%s", title);
}

static void open_as(const char *id)
{
    struct sluice_client_options options = sluice_client_defaults();
    options.client_id = id;
    fixture_open(&options);
    last_id = 0;
    sluice_client_connected(client, now_ms);
    expect("the first frame of a client");
    cr_assert_eq(feed_vector("no login is wanted", 1), SLUICE_OK);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_READY);
}

static struct sluice_message_batch *batch_of(uint32_t count)
{
    static const struct sluice_header headers[4] = {
        {{"h", 1}, {(const uint8_t *)"1", 1}},
        {{"empty", 5}, {(const uint8_t *)"", 0}},
        {{"null", 4}, {NULL, 0}},
        {{"h", 1}, {(const uint8_t *)"2", 1}},
    };
    struct sluice_message_batch *batch;
    struct sluice_message message = sluice_message_of("orders", "hello", 5);
    message.key = (struct sluice_bytes){(const uint8_t *)"k", 1};
    cr_assert_eq(sluice_message_batch_new(&batch), SLUICE_OK);
    cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_OK);
    message = sluice_message_of("orders", NULL, 0);
    message.timestamp_ms = 1700000000123;
    message.headers = headers;
    message.header_count = 4;
    if (count == 2) {
        cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_OK);
    }
    return batch;
}

Test(client_vectors, publishes_as_the_page_says, .fini = fixture_close)
{
    struct sluice_publish publish = sluice_publish_to("orders");
    open_as("vectors");
    struct sluice_message_batch *one = batch_of(1);
    struct sluice_message_batch *two = batch_of(2);
    cr_assert_eq(sluice_client_publish(client, &publish, one, NULL, NULL), SLUICE_OK);
    expect("one record");
    publish.partition = 2;
    publish.level = SLUICE_LEVEL_ACCEPTED;
    publish.expected_offset = 17;
    publish.id = sluice_text_of("id-9");
    cr_assert_eq(sluice_client_publish(client, &publish, two, NULL, NULL), SLUICE_OK);
    expect("two records with all there is");
    sluice_message_batch_free(one);
    sluice_message_batch_free(two);
}

Test(client_vectors, asks_as_the_page_says, .fini = fixture_close)
{
    const struct sluice_topic_setting made = {"retention.ms", "60000"};
    const struct sluice_topic_setting changed[2] = {{"retention.ms", "1"},
                                                    {"cleanup.policy", NULL}};
    open_as("vectors");
    cr_assert_eq(sluice_client_topics(client, NULL, NULL, NULL), SLUICE_OK);
    expect("all topics");
    cr_assert_eq(sluice_client_topic_create(client, "orders", -1, &made, 1, NULL, NULL), SLUICE_OK);
    expect("create");
    cr_assert_eq(sluice_client_topic_delete(client, "orders", NULL, NULL), SLUICE_OK);
    expect("delete");
    cr_assert_eq(sluice_client_topic_configure(client, "orders", changed, 2, NULL, NULL),
                 SLUICE_OK);
    expect("configure");
    cr_assert_eq(sluice_client_offsets(client, "orders", -1, SLUICE_TIME_END, NULL, NULL),
                 SLUICE_OK);
    expect("where the ends are");
    cr_assert_eq(sluice_client_group_delete(client, "workers", NULL, NULL), SLUICE_OK);
    expect("forget a group");
    cr_assert_eq(sluice_client_trim(client, "orders", 0, 10, NULL, NULL), SLUICE_OK);
    expect("trim");
}

static void subscribe_all(struct seen *seen)
{
    struct sluice_subscription *subscription;
    struct sluice_subscribe options = sluice_subscribe_to("events.>");
    options.start = SLUICE_START_BEGINNING;
    options.credit_records = 100;
    options.credit_bytes = 65536;
    options.on_message = on_message;
    options.on_event = on_event;
    options.arg = seen;
    cr_assert_eq(sluice_client_subscribe(client, &options, &subscription), SLUICE_OK);
    expect("ephemeral, from the beginning");
}

Test(client_vectors, subscribes_acknowledges_and_leaves_as_the_page_says, .fini = fixture_close)
{
    struct seen seen = {0};
    struct sluice_subscription *subscription;
    struct sluice_subscribe options = sluice_subscribe_to("orders");
    const struct sluice_offset_range ranges[2] = {{41, 41}, {77, 79}};
    const struct sluice_offset_range up_to = {0, 77};
    open_as("vectors");
    options.group = sluice_text_of("workers");
    options.filter = sluice_text_of("kind=a&!old");
    options.exclusive = options.committed = true;
    options.credit_records = 1;
    options.credit_bytes = 1u << 20;
    options.ack_ms = 30000;
    options.manual_credit = true;
    options.on_message = on_message;
    options.arg = &seen;
    cr_assert_eq(sluice_client_subscribe(client, &options, &subscription), SLUICE_OK);
    expect("durable, exclusive, committed, filtered");
    const uint32_t id = last_id;
    cr_assert_eq(feed_vector("subscribed", id), SLUICE_OK);
    cr_assert_eq(feed_vector("a source", id), SLUICE_OK);
    cr_assert_eq(sluice_subscription_credit(subscription, 50, 32768), SLUICE_OK);
    expect_of("more credit", id);
    cr_assert_eq(feed_vector("two records and no more", id), SLUICE_OK);
    cr_assert_eq(sluice_subscription_ack_ranges(subscription, seen.source, ranges, 2,
                                                SLUICE_ACK_DONE, 0, on_done, &seen),
                 SLUICE_OK);
    expect_of("done with two ranges", id);
    cr_assert_eq(sluice_subscription_ack_ranges(subscription, seen.source, ranges, 1,
                                                SLUICE_ACK_AGAIN, 2000, NULL, NULL),
                 SLUICE_OK);
    expect_of("give it again in two seconds", id);
    cr_assert_eq(sluice_subscription_ack_ranges(subscription, seen.source, &up_to, 1,
                                                SLUICE_ACK_UP_TO, 0, NULL, NULL),
                 SLUICE_OK);
    expect_of("cumulative", id);
    cr_assert_eq(feed_vector("none of it holds", id), SLUICE_OK);
    cr_assert_eq(seen.status, 1525);
    sluice_subscription_close(subscription);
    expect_of("unsubscribe", id);
    cr_assert_eq(feed_vector("unsubscribed", id), SLUICE_OK);
}

Test(client_vectors, answers_a_requester_as_the_page_says, .fini = fixture_close)
{
    const struct sluice_header address = {{"sluice-reply-to", 15},
                                          {(const uint8_t *)"_inbox.3f", 9}};
    struct sluice_message request = sluice_message_of("rpc", NULL, 0);
    struct sluice_message answer = sluice_message_of(NULL, "hello", 5);
    open_as("vectors");
    request.headers = &address;
    request.header_count = 1;
    answer.key = (struct sluice_bytes){(const uint8_t *)"k", 1};
    cr_assert_eq(sluice_client_reply(client, &request, &answer, NULL, NULL), SLUICE_OK);
    expect("an answer that wants to be confirmed");
}

static struct sluice_topic_info topics[2];
static char topic_names[2][16];
static struct sluice_offset_info offsets[2];

static void keep_lists(void *arg, const struct sluice_result *result)
{
    struct seen *seen = arg;
    seen->count = result->count;
    seen->status = result->status;
    for (uint32_t i = 0; i < result->count && i < 2; i++) {
        if (result->topics != NULL) {
            topics[i] = result->topics[i];
            memcpy(topic_names[i], topics[i].name.data, (size_t)topics[i].name.size);
        } else {
            offsets[i] = result->offsets[i];
        }
    }
}

/* The whole conversation, in one piece and byte by byte. */
static void check_reading(void)
{
    struct seen seen = {0};
    struct seen messages = {0};
    open_as("vectors");
    subscribe_all(&messages);
    const uint32_t id = last_id;
    cr_assert_eq(feed_vector("subscribed", id), SLUICE_OK);
    cr_assert_eq(feed_vector("a source", id), SLUICE_OK);
    cr_assert_eq(feed_vector("two records and no more", id), SLUICE_OK);
    cr_assert_eq(feed_vector("nothing, and that is all", id), SLUICE_OK);
    cr_assert_eq(feed_vector("stalled", id), SLUICE_OK);
    cr_assert_str_eq(messages.log, "e0 41 77 e1 e1 e2");
    cr_assert_eq(sluice_client_topics(client, "", keep_lists, &seen), SLUICE_OK);
    cr_assert_eq(feed_vector("two topics", ++last_id), SLUICE_OK);
    cr_assert_eq(seen.count, 2);
    cr_assert_str_eq(topic_names[1], "b.c");
    cr_assert_eq(topics[1].partitions, 12);
    cr_assert_eq(topics[0].id.bytes[15], 15);
    cr_assert_eq(sluice_client_offsets(client, "orders", -1, SLUICE_TIME_END, keep_lists, &seen),
                 SLUICE_OK);
    cr_assert_eq(feed_vector("offsets", ++last_id), SLUICE_OK);
    cr_assert_eq(offsets[0].offset, 17);
    cr_assert_eq(offsets[1].offset, -1);
    cr_assert_eq(sluice_client_trim(client, "orders", 0, 10, on_done, &seen), SLUICE_OK);
    cr_assert_eq(feed_vector("a refusal", ++last_id), SLUICE_OK);
    cr_assert_eq(seen.status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_str_eq(seen.text, "no such topic or partition");
    cr_assert_eq(feed_vector("ended", id), SLUICE_OK);
    cr_assert_eq(messages.status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_eq(feed_vector("the broker stops", 0), SLUICE_OK);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_LEAVING);
}

Test(client_vectors, reads_a_conversation_frame_by_frame, .fini = fixture_close)
{
    check_reading();
}

static void open_bytewise(void)
{
    feeds_bytes = true;
}

/* fixture_open sets it back, so that it is set by a callback of the first state. */
static void on_state(void *arg, struct sluice_client *of, uint32_t state, sluice_status why,
                     struct sluice_text text)
{
    (void)arg, (void)of, (void)state, (void)why, (void)text;
    open_bytewise();
}

Test(client_vectors, reads_a_conversation_byte_by_byte, .fini = fixture_close)
{
    struct seen messages = {0};
    struct sluice_client_options options = sluice_client_defaults();
    options.client_id = "vectors";
    options.on_state = on_state;
    fixture_open(&options);
    last_id = 0;
    sluice_client_connected(client, now_ms);
    cr_assert(feeds_bytes);
    expect("the first frame of a client");
    cr_assert_eq(feed_vector("what a later version adds is skipped", 1), SLUICE_OK);
    subscribe_all(&messages);
    const uint32_t id = last_id;
    cr_assert_eq(feed_vector("subscribed", id), SLUICE_OK);
    cr_assert_eq(feed_vector("a source", id), SLUICE_OK);
    cr_assert_eq(feed_vector("two records and no more", id), SLUICE_OK);
    cr_assert_eq(feed_vector("ended", id), SLUICE_OK);
    cr_assert_str_eq(messages.log, "e0 41 77 e1 e4");
}

Test(client_vectors, logs_in_with_plain_only_when_it_is_named, .fini = fixture_close)
{
    struct sluice_client_options options = sluice_client_defaults();
    options.client_id = "vectors";
    options.user = "alice";
    options.password = "secret";
    fixture_open(&options);
    sluice_client_connected(client, now_ms);
    cr_assert_eq(feed_vector("a login is wanted", 1), SLUICE_E_UNSUPPORTED_MECHANISM);
    sluice_client_free(client);
    options.mechanism = "PLAIN";
    fixture_open(&options);
    sluice_client_connected(client, now_ms);
    (void)fixture_sent();
    cr_assert_eq(feed_vector("a login is wanted", 1), SLUICE_OK);
    expect_of("the one step of PLAIN", 1);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_GREETING);
    cr_assert_eq(feed_vector("the login is complete", 1), SLUICE_OK);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_READY);
}

Test(client_vectors, ends_the_connection_on_what_is_malformed)
{
    char *text = read_file("rejected.json");
    cJSON *list = cJSON_Parse(text);
    const cJSON *one;
    uint32_t count = 0;
    cJSON_ArrayForEach(one, list)
    {
        struct seen seen = {0};
        char hex[FRAME_TEXT_MAX];
        open_as("vectors");
        subscribe_all(&seen);
        const uint32_t id = last_id;
        cr_assert_eq(feed_vector("subscribed", id), SLUICE_OK);
        cr_assert_eq(feed_vector("a source", id), SLUICE_OK);
        cr_assert_eq(sluice_client_ping(client, on_done, &seen), SLUICE_OK);
        const char *hex_of = cJSON_GetObjectItem(one, "hex")->valuestring;
        memcpy(hex, hex_of, strlen(hex_of) + 1);
        if (strlen(hex) > 24) { /* of the subscription: the only id that records may have */
            (void)snprintf(hex + 16, 9, "%02x000000", id);
            memcpy(hex + 24, hex_of + 24, strlen(hex_of + 24) + 1);
        }
        cr_assert_eq(feed_hex(hex), SLUICE_E_MALFORMED, "%s",
                     cJSON_GetObjectItem(one, "title")->valuestring);
        cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
        cr_assert_str_eq(seen.log, "e0", "nothing of it is delivered");
        sluice_client_free(client);
        count++;
    }
    cr_assert_gt(count, 5);
    cJSON_Delete(list);
    free(text);
}
