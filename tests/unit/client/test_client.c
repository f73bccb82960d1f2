/* test_client.c: the state machine, with the test as its server and its clock. */
#include "client_fixture.h"

#include <stdio.h>
#include <string.h>

static struct sluice_subscribe subscribe_with(struct seen *seen, uint64_t records)
{
    struct sluice_subscribe options = sluice_subscribe_to("orders");
    options.credit_records = records;
    options.on_message = on_message;
    options.on_event = on_event;
    options.arg = seen;
    return options;
}

static struct sluice_subscription *subscribed(const struct sluice_subscribe *options,
                                              uint32_t *ret_id)
{
    struct sluice_subscription *subscription;
    cr_assert_eq(sluice_client_subscribe(client, options, &subscription), SLUICE_OK);
    cr_assert_str_eq(fixture_kinds(ret_id), "18");
    accept_subscription(*ret_id, 0);
    return subscription;
}

static void send_one(struct seen *seen, const char *id)
{
    struct sluice_publish publish = sluice_publish_to("orders");
    struct sluice_message message = sluice_message_of("orders", "value", 5);
    struct sluice_message_batch *batch;
    publish.id = sluice_text_of(id);
    cr_assert_eq(sluice_message_batch_new(&batch), SLUICE_OK);
    cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_OK);
    cr_assert_eq(sluice_client_publish(client, &publish, batch, on_done, seen), SLUICE_OK);
    sluice_message_batch_free(batch);
}

static void feed_published(uint32_t id, uint16_t flags, int64_t offset)
{
    from_server(FRAME_PUBLISHED, flags, id);
    frame_put_i32(&server, 0);
    frame_put_i64(&server, offset);
    frame_put_i64(&server, -1);
    cr_assert_eq(feed_server(), SLUICE_OK);
}

static sluice_status feed_error(uint32_t id, uint32_t code, const char *text)
{
    from_server(FRAME_ERROR, 0, id);
    frame_put_u32(&server, code);
    frame_put_zeros(&server, 4);
    put_text(text);
    return feed_server();
}

/* -- requests -- */

Test(client, tells_each_publish_what_came_of_it_in_any_order, .fini = fixture_close)
{
    struct seen first = {0};
    struct seen second = {0};
    uint32_t first_id;
    uint32_t second_id;
    fixture_ready(NULL);
    send_one(&first, NULL);
    (void)fixture_kinds(&first_id);
    send_one(&second, "id");
    (void)fixture_kinds(&second_id);
    feed_published(second_id, 1, 9);
    cr_assert_eq(first.count, 0);
    feed_published(first_id, 2, -1);
    cr_assert_eq(first.offset, -1);
    cr_assert(!first.duplicate && first.delayed && !second.delayed);
    cr_assert_eq(second.offset, 9);
    cr_assert(second.duplicate);
    cr_assert_eq(first.count + second.count, 2);
}

Test(client, waits_with_requests_until_there_is_a_connection, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_open(NULL);
    send_one(&seen, NULL);
    cr_assert_eq(sluice_client_topic_delete(client, "t", on_done, &seen), SLUICE_OK);
    cr_assert_eq(sluice_client_pending(client).size, 0);
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
    cr_assert_eq(seen.count, 0, "an attempt that failed loses nothing");
    fixture_reconnect();
    cr_assert_str_eq(fixture_kinds(&id), "16 35");
    from_server(FRAME_DONE, 0, id);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(seen.status, SLUICE_OK);
    cr_assert_eq(seen.count, 1);
}

Test(client, repeats_over_the_next_connection_only_what_may_be_repeated, .fini = fixture_close)
{
    struct seen named = {0};
    struct seen bare = {0};
    uint32_t id;
    fixture_ready(NULL);
    send_one(&named, "id");
    send_one(&bare, NULL);
    cr_assert_str_eq(fixture_kinds(&id), "16 16");
    fixture_reconnect();
    cr_assert_str_eq(fixture_kinds(&id), "16");
    cr_assert_eq(bare.status, SLUICE_E_NETWORK);
    cr_assert_eq(named.count, 0);
    feed_published(id, 1, 3);
    cr_assert(named.duplicate);
}

Test(client, gives_up_on_a_request_after_its_time_and_passes_over_the_late_answer,
     .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    struct sluice_client_options options = sluice_client_defaults();
    options.request_ms = 500;
    fixture_ready(&options);
    send_one(&seen, NULL);
    (void)fixture_kinds(&id);
    cr_assert_eq(sluice_client_deadline(client), now_ms + 500);
    now_ms += 500;
    sluice_client_tick(client, now_ms);
    cr_assert_eq(seen.status, SLUICE_E_TIMEOUT);
    feed_published(id, 0, 3);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_READY);
}

Test(client, gives_a_request_its_whole_time_although_it_came_before_the_clock,
     .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    fixture_open(NULL);
    send_one(&seen, NULL);
    now_ms = 5000000000; /* of a machine that has been up for long */
    sluice_client_tick(client, now_ms);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(sluice_client_deadline(client), now_ms + 30000);
}

Test(client, refuses_what_goes_beyond_its_bounds, .fini = fixture_close)
{
    struct sluice_client_options options = sluice_client_defaults();
    static struct seen seen; /* is told of the end, after the test */
    static const char big[3000];
    options.requests_max = 2;
    options.pending_bytes_max = 2048;
    fixture_ready(&options);
    struct sluice_message message = sluice_message_of("orders", big, sizeof(big));
    cr_assert_eq(sluice_client_send(client, &message, on_done, &seen), SLUICE_E_LIMIT);
    message.value.size = 1500;
    cr_assert_eq(sluice_client_send(client, &message, on_done, &seen), SLUICE_OK);
    cr_assert_eq(sluice_client_send(client, &message, on_done, &seen), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(sluice_client_ping(client, on_done, &seen), SLUICE_OK);
    cr_assert_eq(sluice_client_ping(client, on_done, &seen), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(seen.count, 0);
}

Test(client, tells_everybody_when_it_ends, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    struct sluice_subscription *subscription;
    struct sluice_subscribe options = subscribe_with(&seen, 10);
    fixture_ready(NULL);
    send_one(&seen, "id");
    cr_assert_eq(sluice_client_subscribe(client, &options, &subscription), SLUICE_OK);
    sluice_client_stop(client);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
    cr_assert_str_eq(seen.log, "1008 e4");
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_IDLE);
    cr_assert_eq(sluice_client_deadline(client), INT64_MAX);
    cr_assert_eq(sluice_client_ping(client, on_done, &seen), SLUICE_E_CANCELLED);
}

/* -- subscriptions -- */

Test(client, gives_credit_again_at_half, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 4);
    (void)subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){0, -1}), SLUICE_OK);
    cr_assert_str_eq(fixture_kinds(NULL), "");
    cr_assert_eq(feed_messages(id, 1, (const int64_t[]){3, -1}), SLUICE_OK);
    cr_assert_str_eq(seen.log, "e0 0 3 e1");
    cr_assert_str_eq(fixture_sent(), "18000000140000000200000002000000000000004200000000000000");
}

Test(client, ends_a_connection_whose_server_sends_beyond_the_credit, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 2);
    (void)subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){0, 1, 2, -1}), SLUICE_E_MALFORMED);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
}

Test(client, goes_on_where_an_ephemeral_subscription_stood, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 100);
    (void)subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){4, 5, -1}), SLUICE_OK);
    fixture_reconnect();
    /* …its places: one, the topic's id, partition 2, offset 6. */
    const char *sent = fixture_sent();
    const char *places = "01000000"
                         "00000000000000000000000000000000"
                         "02000000"
                         "0600000000000000";
    cr_assert_gt(strlen(sent), strlen(places));
    cr_assert_str_eq(sent + strlen(sent) - strlen(places), places);
    accept_subscription(id, 6);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){5, 6, -1}), SLUICE_OK);
    cr_assert_str_eq(seen.log, "e0 4 5 e3 e0 6", "what comes twice is passed over");
}

Test(client, tells_of_records_that_were_gone_when_it_went_on, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 100);
    (void)subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){4, -1}), SLUICE_OK);
    fixture_reconnect();
    (void)fixture_sent();
    accept_subscription(id, 9);
    cr_assert_eq(seen.event, SLUICE_SUBSCRIPTION_GAP);
    cr_assert_eq(seen.value, 4);
}

Test(client, drops_what_a_durable_subscription_held_when_the_connection_ended,
     .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    struct sluice_message message;
    uint32_t id;
    fixture_ready(NULL);
    struct sluice_subscribe options = subscribe_with(&seen, 4);
    options.group = sluice_text_of("workers");
    options.on_message = NULL;
    struct sluice_subscription *subscription = subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){1, 2, -1}), SLUICE_OK);
    cr_assert_eq(sluice_subscription_next(subscription, &message), SLUICE_OK);
    fixture_reconnect();
    (void)fixture_sent();
    cr_assert_eq(message.offset, 1, "what was taken stays readable");
    cr_assert_arr_eq(message.topic.data, "orders", 6);
    cr_assert_eq(sluice_subscription_ack(subscription, &message, SLUICE_ACK_DONE, 0, NULL, NULL),
                 SLUICE_E_INVALID_RECORD_STATE);
    cr_assert_eq(sluice_subscription_next(subscription, &message), SLUICE_E_WOULD_BLOCK);
    accept_subscription(id, -1);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){1, -1}), SLUICE_OK,
                 "its credit is whole again");
    cr_assert_eq(sluice_subscription_next(subscription, &message), SLUICE_OK);
    cr_assert_eq(sluice_subscription_ack(subscription, &message, SLUICE_ACK_DONE, 0, NULL, NULL),
                 SLUICE_OK);
    cr_assert_str_eq(fixture_kinds(NULL), "23");
}

Test(client, gives_credit_for_what_is_taken_not_for_what_is_queued, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    struct sluice_message message;
    uint32_t id;
    fixture_ready(NULL);
    struct sluice_subscribe options = subscribe_with(&seen, 2);
    options.on_message = NULL;
    struct sluice_subscription *subscription = subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){1, 2, -1}), SLUICE_OK);
    cr_assert_str_eq(fixture_kinds(NULL), "");
    cr_assert_eq(sluice_subscription_next(subscription, &message), SLUICE_OK);
    cr_assert_str_eq(fixture_kinds(NULL), "20");
}

Test(client, answers_acknowledgements_in_their_order, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    struct seen acks = {0};
    uint32_t id;
    fixture_ready(NULL);
    struct sluice_subscribe options = subscribe_with(&seen, 10);
    options.group = sluice_text_of("workers");
    struct sluice_subscription *subscription = subscribed(&options, &id);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){1, 2, -1}), SLUICE_OK);
    const struct sluice_offset_range range = {1, 2};
    cr_assert_eq(sluice_subscription_ack_ranges(subscription, seen.source, &range, 1,
                                                SLUICE_ACK_DONE, 0, on_done, &acks),
                 SLUICE_OK);
    cr_assert_eq(sluice_subscription_ack_ranges(subscription, seen.source, &range, 1,
                                                SLUICE_ACK_AGAIN, 5, on_done, &acks),
                 SLUICE_OK);
    for (uint32_t code = 0; code <= 1525; code += 1525) {
        from_server(FRAME_ACKED, 0, id);
        frame_put_u32(&server, 7);
        frame_put_u32(&server, code);
        cr_assert_eq(feed_server(), SLUICE_OK);
    }
    cr_assert_str_eq(acks.log, "0 1525");
    cr_assert_eq(feed_error(id, 1525, "not yours"), SLUICE_OK);
    cr_assert_eq(seen.event, SLUICE_SUBSCRIPTION_ACK_FAILED);
}

Test(client, a_refused_subscription_ends_and_waits_to_be_closed, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    struct sluice_subscription *subscription;
    struct sluice_message message;
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 10);
    cr_assert_eq(sluice_client_subscribe(client, &options, &subscription), SLUICE_OK);
    (void)fixture_kinds(&id);
    cr_assert_eq(feed_error(id, 1313, "not authorized"), SLUICE_OK);
    cr_assert_str_eq(seen.log, "e4");
    cr_assert_eq(sluice_subscription_next(subscription, &message), SLUICE_E_TOPIC_AUTHORIZATION);
    sluice_subscription_close(subscription);
    cr_assert_str_eq(fixture_kinds(NULL), "");
}

Test(client, hears_nothing_of_a_subscription_after_closing_it, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_subscribe options = subscribe_with(&seen, 10);
    struct sluice_subscription *subscription = subscribed(&options, &id);
    sluice_subscription_close(subscription);
    cr_assert_str_eq(fixture_kinds(NULL), "25");
    cr_assert_eq(feed_messages(id, 1, (const int64_t[]){1, -1}), SLUICE_OK, "it was on its way");
    cr_assert_str_eq(seen.log, "e0");
    from_server(FRAME_UNSUBSCRIBED, 0, id);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(feed_messages(id, 0, (const int64_t[]){2, -1}), SLUICE_E_MALFORMED);
}

Test(client, makes_room_for_a_record_that_is_larger_than_its_credit, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    struct sluice_subscribe options = subscribe_with(&seen, 10);
    options.credit_bytes = 1000;
    (void)subscribed(&options, &id);
    from_server(FRAME_STALLED, 0, id);
    frame_put_u32(&server, 7);
    frame_put_i64(&server, 4);
    frame_put_u64(&server, 5000);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(seen.value, 5000);
    cr_assert_str_eq(fixture_sent(), "1800000014000000"
                                     "02000000"
                                     "0000000000000000"
                                     "a00f000000000000");
}

/* -- request and reply -- */

static struct seen *answered_by; /* a responder inside this test */

static void respond(void *arg, struct sluice_subscription *subscription,
                    const struct sluice_message *message)
{
    const struct sluice_message answer = sluice_message_of(NULL, "pong", 4);
    (void)subscription;
    cr_assert_eq(sluice_client_reply(arg, message, &answer, on_done, answered_by), SLUICE_OK);
}

Test(client, a_reply_finds_its_request, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    const struct sluice_message question = sluice_message_of("rpc", "ping", 4);
    cr_assert_eq(sluice_client_request(client, &question, 1000, on_done, &seen), SLUICE_OK);
    const char *sent = fixture_sent();
    cr_assert_not_null(strstr(sent, "5f696e626f78"), "_inbox");
    id = 2; /* HELLO had 1 */
    feed_published(id, 0, 0);
    cr_assert_eq(seen.count, 0);
    from_server(FRAME_MESSAGES, 0, 0);
    frame_put_u32(&server, 0);
    frame_put_u32(&server, 1);
    const char *correlation = "0000000200000000";
    frame_put_u32(&server, 28 + 2 + 18 + 4 + 16 + 4);
    frame_put_zeros(&server, 18);
    frame_put_u16(&server, 1);
    frame_put_u32(&server, FRAME_NULL_BLOB);
    put_text("sluice-correlation");
    frame_put_blob(&server, (struct sluice_bytes){(const uint8_t *)correlation, 16});
    frame_put_blob(&server, (struct sluice_bytes){(const uint8_t *)"pong", 4});
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(seen.count, 1);
    cr_assert_str_eq(seen.text, "pong");
}

Test(client, a_request_without_an_answer_times_out, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    fixture_ready(NULL);
    const struct sluice_message question = sluice_message_of("rpc", "ping", 4);
    cr_assert_eq(sluice_client_request(client, &question, 200, on_done, &seen), SLUICE_OK);
    feed_published(2, 0, 0);
    now_ms += 200;
    sluice_client_tick(client, now_ms);
    cr_assert_eq(seen.status, SLUICE_E_TIMEOUT);
}

Test(client, a_responder_answers_with_what_it_was_given, .fini = fixture_close)
{
    static struct seen seen; /* is told of the end, after the test */
    uint32_t id;
    fixture_ready(NULL);
    answered_by = &seen;
    struct sluice_subscribe options = sluice_subscribe_to("rpc");
    options.on_message = respond;
    options.arg = client;
    (void)subscribed(&options, &id);
    from_server(FRAME_MESSAGES, 0, id);
    frame_put_u32(&server, 7);
    frame_put_u32(&server, 1);
    frame_put_u32(&server, 28 + 2 + 15 + 4 + 9 + 2 + 18 + 4 + 2);
    frame_put_zeros(&server, 18);
    frame_put_u16(&server, 2);
    frame_put_u32(&server, FRAME_NULL_BLOB);
    put_text("sluice-reply-to");
    frame_put_blob(&server, (struct sluice_bytes){(const uint8_t *)"_inbox.3f", 9});
    put_text("sluice-correlation");
    frame_put_blob(&server, (struct sluice_bytes){(const uint8_t *)"c1", 2});
    frame_put_u32(&server, FRAME_NULL_BLOB);
    cr_assert_eq(feed_server(), SLUICE_OK);
    const char *sent = fixture_sent();
    cr_assert_not_null(strstr(sent, "09005f696e626f782e3366"), "the address");
    cr_assert_not_null(strstr(sent, "020000006331"), "the correlation");
    cr_assert_not_null(strstr(sent, "04000000706f6e67"), "the answer");
}

/* -- connections -- */

Test(client, answers_pings_and_asks_a_silent_server_for_a_sign_of_life, .fini = fixture_close)
{
    fixture_ready(NULL);
    from_server(FRAME_PING, 0, 77);
    frame_put_bytes(&server, "abc", 3);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_str_eq(fixture_sent(), "0b00000006000000"
                                     "4d000000"
                                     "616263");
    now_ms = sluice_client_deadline(client);
    sluice_client_tick(client, now_ms);
    cr_assert_str_eq(fixture_kinds(NULL), "5");
    now_ms = sluice_client_deadline(client);
    sluice_client_tick(client, now_ms);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
}

Test(client, does_not_take_a_server_for_gone_whose_quota_lets_it_not_read, .fini = fixture_close)
{
    fixture_ready(NULL);
    const int64_t asks_ms = sluice_client_deadline(client) - now_ms;
    from_server(FRAME_THROTTLED, 0, 0);
    frame_put_u32(&server, SLUICE_THROTTLED_INPUT);
    frame_put_u32(&server, 3600000);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(sluice_client_throttled_ms(client, SLUICE_THROTTLED_INPUT), 3600000);
    cr_assert_eq(sluice_client_throttled_ms(client, SLUICE_THROTTLED_PUSHES), 0);
    for (int64_t until_ms = now_ms + 3600000; now_ms < until_ms;) {
        now_ms = sluice_client_deadline(client); /* it says something, as the server told it to */
        sluice_client_tick(client, now_ms);
        cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_NOTHING);
        (void)fixture_sent();
    }
    cr_assert_eq(sluice_client_throttled_ms(client, SLUICE_THROTTLED_INPUT), 0);
    now_ms += 2 * asks_ms;
    sluice_client_tick(client, now_ms);
    now_ms += 2 * asks_ms;
    sluice_client_tick(client, now_ms);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
}

Test(client, waits_as_long_as_goaway_says, .fini = fixture_close)
{
    fixture_ready(NULL);
    from_server(FRAME_GOAWAY, 0, 0);
    frame_put_u32(&server, 1012);
    frame_put_u32(&server, 7000);
    put_text("stopping");
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_LEAVING);
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
    cr_assert_eq(sluice_client_deadline(client), now_ms + 7000);
}

Test(client, does_not_come_again_when_goaway_says_so, .fini = fixture_close)
{
    fixture_ready(NULL);
    from_server(FRAME_GOAWAY, 0, 0);
    frame_put_u32(&server, 1903);
    frame_put_u32(&server, UINT32_MAX);
    put_text("authentication failed");
    cr_assert_eq(feed_server(), SLUICE_E_AUTHENTICATION);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_IDLE);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_NOTHING);
}

Test(client, waits_longer_after_each_attempt_that_failed_up_to_a_bound, .fini = fixture_close)
{
    struct sluice_client_options options = sluice_client_defaults();
    int64_t last = 0;
    options.backoff_min_ms = 100;
    options.backoff_max_ms = 400;
    fixture_open(&options);
    for (int i = 0; i < 6; i++) {
        sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
        const int64_t pause = sluice_client_deadline(client) - now_ms;
        cr_assert_geq(pause, i < 2 ? 75 << i : 300);
        cr_assert_leq(pause, i < 2 ? 100 << i : 400);
        last = pause;
        now_ms = sluice_client_deadline(client);
        sluice_client_tick(client, now_ms);
        cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CONNECT);
    }
    cr_assert_gt(last, 0);
}

Test(client, a_server_that_does_not_greet_is_left, .fini = fixture_close)
{
    fixture_open(NULL);
    sluice_client_connected(client, now_ms);
    now_ms += 10000;
    sluice_client_tick(client, now_ms);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CLOSE);
}

Test(client, refuses_options_that_cannot_be, .init = NULL)
{
    struct sluice_client_options options = sluice_client_defaults();
    struct sluice_client *none = NULL;
    options.requests_max = 0;
    cr_assert_eq(sluice_client_new(&options, &none), SLUICE_E_INVALID);
    options = sluice_client_defaults();
    options.user = "alice";
    cr_assert_eq(sluice_client_new(&options, &none), SLUICE_E_INVALID, "a password is missing");
    cr_assert_null(none);
}

static sluice_status try_to_open(const char *address, const struct sluice_transport *transport)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_connection *none = NULL;
    sluice_status status = sluice_connection_open(address, &options, transport, 100, &none);
    cr_assert_null(none);
    return status;
}

Test(connection, says_which_address_it_does_not_take_and_which_it_would)
{
    static const char *const wrong[] = {
        "localhost:9192",          "",       "http://localhost:9192",
        "tcp://localhost",         "unix:",  "tcp://localhost:http",
        "tcp://[::1:9192",         "tcp://", "tcp://localhost:9192/path",
        "tcp://localhost:99999999"};
    static const struct sluice_transport transport = {.size = sizeof(transport)};
    char quoted[64];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(quoted, sizeof(quoted), "\"%s\"", wrong[i]);
        cr_assert_eq(try_to_open(wrong[i], NULL), SLUICE_E_INVALID, "%s", wrong[i]);
        cr_assert_not_null(strstr(sluice_connection_why(), quoted), "%s", sluice_connection_why());
        cr_assert_not_null(strstr(sluice_connection_why(), "tcp://HOST:PORT"));
    }
    cr_assert_eq(try_to_open("tls://localhost:1", NULL), SLUICE_E_INVALID);
    cr_assert_str_eq(sluice_connection_why(),
                     "\"tls://localhost:1\" is opened without a transport, "
                     "which TLS needs (sluice_tls_new)");
    cr_assert_eq(try_to_open("tcp://localhost:1", &transport), SLUICE_E_INVALID);
    cr_assert_not_null(strstr(sluice_connection_why(), "only tls://HOST:PORT takes"));
}

Test(connection, cuts_an_address_that_is_as_long_as_none)
{
    char address[4096];
    memset(address, 'x', sizeof(address));
    address[sizeof(address) - 1] = '\0';
    cr_assert_eq(try_to_open(address, NULL), SLUICE_E_INVALID);
    cr_assert_not_null(strstr(sluice_connection_why(), "tcp://127.0.0.1:9192"));
}

Test(connection, names_the_address_that_it_did_not_reach)
{
    cr_assert_eq(try_to_open("unix:/nowhere/at/all", NULL), SLUICE_E_NETWORK);
    cr_assert_str_eq(sluice_connection_why(), "unix:/nowhere/at/all: network error");
}
