/* client_fixture.c: see client_fixture.h. */
#include "client_fixture.h"

#include <stdio.h>
#include <string.h>

struct sluice_client *client;
int64_t now_ms;
struct frame_out server;
bool feeds_bytes;

void fixture_open(const struct sluice_client_options *options)
{
    const struct sluice_client_options defaults = sluice_client_defaults();
    now_ms = 1000;
    feeds_bytes = false;
    cr_assert_eq(sluice_client_new(options != NULL ? options : &defaults, &client), SLUICE_OK);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CONNECT);
}

static void greet(void)
{
    uint32_t id;
    sluice_client_connected(client, now_ms);
    cr_assert_str_eq(fixture_kinds(&id), "1");
    from_server(FRAME_WELCOME, 0, id);
    frame_put_u16(&server, 1);
    frame_put_zeros(&server, 2 + 16);
    frame_put_u32(&server, 1u << 20);
    frame_put_u32(&server, 100);
    frame_put_u32(&server, 0);
    put_text("test");
    frame_put_u16(&server, 0);
    cr_assert_eq(feed_server(), SLUICE_OK);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_READY);
}

void fixture_ready(const struct sluice_client_options *options)
{
    fixture_open(options);
    greet();
}

void fixture_reconnect(void)
{
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms);
    cr_assert_eq(sluice_client_state(client), SLUICE_CLIENT_WAITING);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_NOTHING);
    now_ms = sluice_client_deadline(client);
    sluice_client_tick(client, now_ms);
    cr_assert_eq(sluice_client_wants(client), SLUICE_WANT_CONNECT);
    greet();
}

void fixture_close(void)
{
    sluice_client_free(client);
    frame_out_fini(&server);
}

const char *fixture_sent(void)
{
    static char text[65536];
    const struct sluice_bytes pending = sluice_client_pending(client);
    cr_assert_lt(pending.size, sizeof(text) / 2);
    for (size_t i = 0; i < pending.size; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", pending.data[i]);
    }
    text[2 * pending.size] = '\0';
    sluice_client_sent(client, pending.size);
    return text;
}

const char *fixture_kinds(uint32_t *ret_id)
{
    static char text[256];
    const struct sluice_bytes pending = sluice_client_pending(client);
    struct frame_in in = frame_in_of(pending.data, (size_t)pending.size);
    size_t at = 0;
    text[0] = '\0';
    while (frame_left(&in) > 0) {
        const uint32_t size = frame_get_u32(&in);
        at += (size_t)snprintf(text + at, sizeof(text) - at, at > 0 ? " %u" : "%u",
                               frame_get_u16(&in));
        (void)frame_get_u16(&in);
        uint32_t id = frame_get_u32(&in);
        if (ret_id != NULL) {
            *ret_id = id;
        }
        frame_skip(&in, size - 8);
        cr_assert(!in.failed);
    }
    sluice_client_sent(client, pending.size);
    return text;
}

struct frame_out *from_server(uint16_t kind, uint16_t flags, uint32_t id)
{
    frame_out_drop(&server, frame_out_size(&server));
    frame_begin(&server, kind, flags, id, UINT32_MAX);
    return &server;
}

sluice_status feed_server(void)
{
    cr_assert_eq(frame_end(&server, UINT32_MAX), SLUICE_OK);
    sluice_status status = SLUICE_OK;
    if (!feeds_bytes) {
        return sluice_client_feed(client, server.data, frame_out_size(&server), now_ms);
    }
    for (size_t i = 0; i < frame_out_size(&server) && status == SLUICE_OK; i++) {
        uint8_t one = server.data[i]; /* alone, so that a sanitizer sees who reads beyond */
        status = sluice_client_feed(client, &one, 1, now_ms);
    }
    return status;
}

void put_text(const char *text)
{
    frame_put_text(&server, sluice_text_of(text));
}

void put_record(int64_t offset, const char *value)
{
    const size_t size = strlen(value);
    frame_put_u32(&server, (uint32_t)(28 + size));
    frame_put_i64(&server, offset);
    frame_put_i64(&server, 5);
    frame_put_u16(&server, 1);
    frame_put_u16(&server, 0);
    frame_put_u32(&server, FRAME_NULL_BLOB);
    frame_put_blob(&server, (struct sluice_bytes){(const uint8_t *)value, size});
}

void accept_subscription(uint32_t id, int64_t offset)
{
    from_server(FRAME_SUBSCRIBED, 0, id);
    cr_assert_eq(feed_server(), SLUICE_OK);
    from_server(FRAME_SOURCE, 0, id);
    frame_put_u32(&server, 7);
    frame_put_i32(&server, 2);
    frame_put_zeros(&server, 16);
    put_text("orders");
    frame_put_i64(&server, offset);
    cr_assert_eq(feed_server(), SLUICE_OK);
}

sluice_status feed_messages(uint32_t id, uint16_t flags, const int64_t *offsets)
{
    uint32_t count = 0;
    while (offsets[count] >= 0) {
        count++;
    }
    from_server(FRAME_MESSAGES, flags, id);
    frame_put_u32(&server, 7);
    frame_put_u32(&server, count);
    for (uint32_t i = 0; i < count; i++) {
        put_record(offsets[i], "v");
    }
    return feed_server();
}

static void note(struct seen *seen, const char *word, long long number)
{
    const size_t at = strlen(seen->log);
    (void)snprintf(seen->log + at, sizeof(seen->log) - at, "%s%s%lld", at > 0 ? " " : "", word,
                   number);
}

void on_done(void *arg, const struct sluice_result *result)
{
    struct seen *seen = arg;
    seen->count++;
    seen->status = result->status;
    seen->offset = result->offset;
    seen->duplicate = result->duplicate;
    seen->delayed = result->delayed;
    (void)snprintf(seen->text, sizeof(seen->text), "%.*s",
                   (int)(result->message != NULL ? result->message->value.size : result->text.size),
                   result->message != NULL ? (const char *)result->message->value.data
                                           : result->text.data);
    note(seen, "", result->status);
}

void on_message(void *arg, struct sluice_subscription *subscription,
                const struct sluice_message *message)
{
    struct seen *seen = arg;
    (void)subscription;
    seen->count++;
    seen->offset = message->offset;
    seen->source = message->source;
    note(seen, "", message->offset);
}

void on_event(void *arg, struct sluice_subscription *subscription, uint32_t event,
              sluice_status status, struct sluice_text text, uint64_t value)
{
    struct seen *seen = arg;
    (void)subscription;
    (void)text;
    seen->event = event;
    seen->status = status;
    seen->value = value;
    note(seen, "e", event);
}
