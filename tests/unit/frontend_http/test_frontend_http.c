/* test_frontend_http.c: the frontend on a fake host and broker, its input in every split. */
#include <criterion/criterion.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct sluice_plugin_descriptor sluice_plugin;

static void *self, *conn;

/* The host's side: output gathered, answers of the broker at once or later. */
static struct {
    char output[65536];
    size_t size;
    int closed, pauses;
    bool later, healthy, close_at_once;
    sluice_status metrics_status;
    void *arg; /* of the metrics call that waits */
    sluice_text_done *done;
    const char *origins;  /* NULL: not configured */
    sluice_status handed; /* what the hand-over says */
    void *codec_state;    /* of the last that was taken */
    char error[512];
} fake;

static sluice_status fake_write(const struct sluice_frontend_host *host, uint64_t connection,
                                const struct sluice_piece *pieces, uint32_t count)
{
    (void)host;
    cr_assert_eq(connection, 7);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(fake.output + fake.size, pieces[i].bytes.data, pieces[i].bytes.size);
        fake.size += pieces[i].bytes.size;
    }
    fake.output[fake.size] = '\0';
    return SLUICE_OK;
}
static void fake_close(const struct sluice_frontend_host *host, uint64_t connection)
{
    (void)host;
    (void)connection;
    fake.closed++;
    if (fake.close_at_once) {
        ((const struct sluice_frontend *)sluice_plugin.entry)->conn_closed(self, conn);
    }
}
static void fake_pause(const struct sluice_frontend_host *host, uint64_t connection)
{
    (void)host;
    (void)connection;
    fake.pauses++;
}
static void fake_resume(const struct sluice_frontend_host *host, uint64_t connection)
{
    (void)host;
    (void)connection;
    fake.pauses--;
}
static int64_t fake_wall(const struct sluice_frontend_host *host)
{
    (void)host;
    return 784111777000;
}
static const struct sluice_frontend_host net = {.size = sizeof(net),
                                                .conn_write = fake_write,
                                                .conn_close = fake_close,
                                                .conn_pause = fake_pause,
                                                .conn_resume = fake_resume,
                                                .wall_ms = fake_wall};

static void fake_metrics(const struct sluice_broker *broker, const struct sluice_context *context,
                         sluice_text_done *done, void *arg)
{
    (void)broker;
    cr_assert_eq(context->client_host.size, 9);
    if (fake.later) {
        fake.done = done;
        fake.arg = arg;
    } else {
        done(arg, fake.metrics_status, sluice_text_of("sluice_up 1\n"));
    }
}
static void fake_health(const struct sluice_broker *broker, const struct sluice_context *context,
                        int32_t what, sluice_health_done *done, void *arg)
{
    (void)broker;
    (void)context;
    struct sluice_health health = {.size = sizeof(health), .ok = fake.healthy};
    health.text = sluice_text_of(what == SLUICE_HEALTH_READY && !fake.healthy ? "disk full" : "");
    done(arg, &health);
}
static const struct sluice_broker broker = {
    .size = sizeof(broker), .metrics = fake_metrics, .health = fake_health};

static sluice_status fake_hand_over(const struct sluice_upgrade_host *host, uint64_t connection,
                                    const char *protocol, const struct sluice_codec *codec,
                                    void *state, struct sluice_bytes answer)
{
    (void)host;
    cr_assert_eq(connection, 7);
    cr_assert_str_eq(protocol, "sluice.native.1");
    cr_assert_eq(codec->size, sizeof(*codec));
    if (fake.handed == SLUICE_OK) {
        memcpy(fake.output + fake.size, answer.data, answer.size);
        fake.size += answer.size;
        fake.output[fake.size] = '\0';
        fake.codec_state = state;
    }
    return fake.handed;
}
static const struct sluice_upgrade_host upgrade = {.size = sizeof(upgrade),
                                                   .hand_over = fake_hand_over};

static const void *fake_extension(const struct sluice_host *host, const char *id)
{
    (void)host;
    return strcmp(id, SLUICE_EXT_FRONTEND) == 0  ? (const void *)&net
           : strcmp(id, SLUICE_EXT_UPGRADE) == 0 ? (const void *)&upgrade
                                                 : (const void *)&broker;
}
static struct sluice_text fake_config(const struct sluice_host *host, const char *key,
                                      struct sluice_text fallback)
{
    (void)host;
    cr_assert_str_eq(key, "websocket.origins");
    return fake.origins == NULL ? fallback : sluice_text_of(fake.origins);
}
static void fake_error(const struct sluice_host *host, struct sluice_text reason)
{
    (void)host;
    snprintf(fake.error, sizeof(fake.error), "%.*s", (int)reason.size, reason.data);
}
static const struct sluice_host host = {.size = sizeof(host),
                                        .get_extension = fake_extension,
                                        .get_config = fake_config,
                                        .set_error = fake_error};

static const struct sluice_frontend *entry;

static void open_connection(void)
{
    struct sluice_connection connection = {.size = sizeof(connection), .token = 7};
    connection.context.client_host = sluice_text_of("127.0.0.1");
    fake.size = 0;
    fake.output[0] = '\0';
    fake.closed = 0;
    fake.healthy = true;
    entry = sluice_plugin.entry;
    cr_assert_eq(entry->create(&host, &self), SLUICE_OK);
    cr_assert_eq(entry->conn_open(self, &connection, &conn), SLUICE_OK);
}

static void close_connection(void)
{
    entry->conn_closed(self, conn);
    entry->destroy(self);
}

/* Input as the host gives it: what is not consumed comes again, in front of what follows. The bytes
 * are in a block of their own, so that a sanitizer sees any step beyond them. */
static size_t give(const char *bytes, size_t size)
{
    uint64_t consumed = 0, wanted = 0;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, bytes, size);
    cr_assert_eq(
        entry->conn_input(self, conn, (struct sluice_bytes){copy, size}, &consumed, &wanted),
        SLUICE_OK);
    free(copy);
    cr_assert_leq(consumed, size);
    return (size_t)consumed;
}

/* As long as something is taken, the host calls again. */
static size_t give_all(const char *bytes, size_t size)
{
    size_t at = 0, taken;
    do {
        taken = give(bytes + at, size - at);
        at += taken;
    } while (taken > 0 && at < size);
    return at;
}

static void exchange(const char *input, size_t split)
{
    size_t size = strlen(input), at = give_all(input, split);
    at += give_all(input + at, size - at);
    cr_assert_eq(at, size, "left over at split %zu", split);
}

/* Sends the input whole, then in two at every place: the output must be the same. */
static void expect_in_every_split(const char *input, const char *expected, int closed)
{
    static char first[65536];
    for (size_t split = strlen(input) + 1; split-- > 0;) {
        open_connection();
        exchange(input, split);
        if (split == strlen(input)) {
            memcpy(first, fake.output, fake.size + 1);
            cr_expect_not_null(strstr(first, expected), "got: %s", first);
        }
        cr_expect_str_eq(fake.output, first, "split at %zu", split);
        cr_expect_eq(fake.closed, closed, "split at %zu", split);
        close_connection();
    }
}

Test(frontend_http, answers_metrics_with_a_whole_head)
{
    open_connection();
    exchange("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", 3);
    cr_expect_str_eq(fake.output, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                                  "Content-Length: 12\r\nCache-Control: no-store\r\n"
                                  "Connection: keep-alive\r\n\r\nsluice_up 1\n");
    close_connection();
}

Test(frontend_http, answers_pipelined_requests_in_order_in_every_split)
{
    expect_in_every_split("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
                          "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
                          "GET http://a/readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                          "Connection: close\r\n\r\nok\n", 1);
}

Test(frontend_http, closes_after_http_1_0_unless_asked_to_keep)
{
    expect_in_every_split("GET /livez HTTP/1.0\r\n\r\n", "Connection: close", 1);
    expect_in_every_split("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                          "Connection: keep-alive", 0);
}

Test(frontend_http, refuses_what_it_does_not_take)
{
    expect_in_every_split("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", 0);
    expect_in_every_split("DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "Allow: GET, HEAD", 0);
    expect_in_every_split("GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", 1);
    expect_in_every_split("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 ", 1);
    expect_in_every_split("\x16\x03\x01 TLS", "HTTP/1.1 400 ", 1);
    expect_in_every_split("POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
                          "HTTP/1.1 413 ", 1);
    expect_in_every_split("POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                          "HTTP/1.1 413 ", 1);
}

Test(frontend_http, bounds_target_and_head)
{
    static char input[20000];
    int size = snprintf(input, sizeof(input), "GET /%01200d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    expect_in_every_split(input, "HTTP/1.1 414 ", 1);
    size = snprintf(input, sizeof(input), "GET / HTTP/1.1\r\nHost: a\r\nX: %09000d\r\n\r\n", 0);
    open_connection();
    for (int i = 0; i < size; i++) {
        give(input + i, 1);
    }
    cr_expect_not_null(strstr(fake.output, "HTTP/1.1 431 "));
    cr_expect_eq(fake.closed, 1);
    close_connection();
}

Test(frontend_http, waits_for_an_answer_before_it_reads_on)
{
    open_connection();
    fake.later = true;
    const char *input =
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t taken = give(input, strlen(input));
    cr_expect_eq(taken, 34);
    cr_expect_eq(fake.pauses, 1);
    cr_expect_eq(fake.size, 0);
    fake.done(fake.arg, SLUICE_OK, sluice_text_of("m\n"));
    cr_expect_eq(fake.pauses, 0);
    give(input + taken, strlen(input) - taken);
    cr_expect_not_null(strstr(fake.output, "m\nHTTP/1.1 200 OK"));
    close_connection();
}

Test(frontend_http, outlives_a_connection_that_closes_while_it_waits)
{
    open_connection();
    fake.later = true;
    give("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 34);
    entry->conn_closed(self, conn);
    fake.done(fake.arg, SLUICE_E_CANCELLED, sluice_text_of(""));
    cr_expect_eq(fake.size, 0);
    entry->destroy(self);
}

Test(frontend_http, bears_a_host_that_closes_inside_the_call)
{
    open_connection();
    fake.close_at_once = true;
    give("GET /livez HTTP/1.0\r\n\r\nmore", 27);
    cr_expect_eq(fake.closed, 1);
    entry->destroy(self);
    open_connection();
    fake.later = true;
    give("GET /metrics HTTP/1.0\r\n\r\n", 25);
    fake.done(fake.arg, SLUICE_OK, sluice_text_of("m\n"));
    cr_expect_eq(fake.closed, 1);
    entry->destroy(self);
}

Test(frontend_http, tells_why_it_is_not_ready)
{
    open_connection();
    fake.healthy = false;
    exchange("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    cr_expect_not_null(strstr(fake.output, "HTTP/1.1 503 "));
    cr_expect_not_null(strstr(fake.output, "not ready\ndisk full\n"));
    close_connection();
}

Test(frontend_http, turns_a_status_of_the_broker_into_http)
{
    open_connection();
    fake.metrics_status = SLUICE_E_STOPPING;
    exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    cr_expect_not_null(strstr(fake.output, "\"code\":\"SLU-1012\",\"status\":503"));
    close_connection();
}

/* ---- WebSocket ---- */

#define UPGRADE                                                                        \
    "GET /native HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, sluice.native.1\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

Test(frontend_http, hands_a_websocket_over_in_every_split_and_leaves_what_is_behind_the_request)
{
    static const char input[] = UPGRADE KEY "Origin: HTTP://page\r\n\r\n";
    fake.origins = "https://other http://page";
    for (size_t at = 0; at < sizeof(input) - 1; at++) {
        char rest[sizeof(input) + 4];
        open_connection();
        size_t taken = give_all(input, at);
        size_t size = (size_t)snprintf(rest, sizeof(rest), "%smore", input + taken);
        cr_expect_eq(give(rest, size), size - 4, "split at %zu", at);
        cr_expect_str_eq(fake.output, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                      "Connection: Upgrade\r\n"
                                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                      "Sec-WebSocket-Protocol: sluice.native.1\r\n\r\n");
        cr_expect_eq(fake.closed + fake.pauses, 0);
        free(fake.codec_state);
        close_connection();
    }
}

/* The answer to a request for a WebSocket. */
static void expect_answer(const char *input, const char *status, const char *text)
{
    open_connection();
    exchange(input, 0);
    cr_expect(strncmp(fake.output + 9, status, 3) == 0, "%s: got %s", input, fake.output);
    cr_expect_not_null(strstr(fake.output, text), "%s: got %s", input, fake.output);
    close_connection();
}

Test(frontend_http, says_what_a_websocket_lacks)
{
    fake.origins = "http://page";
    expect_answer("GET /native HTTP/1.1\r\nHost: a\r\n\r\n", "426",
                  "Sec-WebSocket-Version: 13\r\n");
    expect_answer("GET /native HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
                  "426", "Upgrade: websocket\r\n");
    expect_answer("GET /native HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" KEY "\r\n", "426",
                  "Connection: Upgrade, keep-alive");
    expect_answer("GET /native HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY
                  "\r\n",
                  "426", "HTTP/1.1");
    expect_answer("GET /native HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                  "Sec-WebSocket-Version: 8\r\n" KEY "\r\n",
                  "426", "must be 13");
    expect_answer(UPGRADE "\r\n", "400", "Sec-WebSocket-Key");
    expect_answer(UPGRADE KEY KEY "\r\n", "400", "Sec-WebSocket-Key");
    expect_answer("GET /native HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n" KEY "\r\n",
                  "400", "sluice.native.1");
    expect_answer(UPGRADE KEY "Origin: http://other\r\n\r\n", "403", "http.websocket.origins");
    expect_answer(UPGRADE KEY "Origin: http://pag\r\n\r\n", "403", "http.websocket.origins");
    expect_answer(UPGRADE KEY "Origin:\r\n\r\n", "403", "http.websocket.origins");
    expect_answer(UPGRADE KEY "Origin: http://page\r\nOrigin: http://page\r\n\r\n", "403",
                  "http.websocket.origins");
}

Test(frontend_http, a_websocket_is_off_until_an_origin_is_configured)
{
    expect_answer(UPGRADE KEY "\r\n", "403", "http.websocket.origins turns it on");
    fake.origins = "";
    expect_answer(UPGRADE KEY "Origin: http://a\r\n\r\n", "403", "turns it on");
    fake.origins = "*";
    fake.handed = SLUICE_E_NOT_FOUND;
    expect_answer(UPGRADE KEY "Origin: http://any\r\n\r\n", "503", "frontend_native");
    expect_answer(UPGRADE KEY "\r\n", "503", "frontend_native");
    fake.handed = SLUICE_E_TOO_MANY_CONNECTIONS;
    expect_answer(UPGRADE KEY "\r\n", "503", "native.connections_max");
    fake.handed = SLUICE_E_PERMISSION;
    expect_answer(UPGRADE KEY "\r\n", "403", "http.tls");
}

Test(frontend_http, refuses_origins_that_no_page_has)
{
    static const char *const bad[] = {"example.org", "https://", "http://a/",
                                      "http://a *,", "Null",     "://a"};
    entry = sluice_plugin.entry;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fake.origins = bad[i];
        cr_expect_eq(entry->create(&host, &self), SLUICE_E_PLUGIN_CONFIG, "%s", bad[i]);
        cr_expect_not_null(strstr(fake.error, "http.websocket.origins"), "%s", fake.error);
    }
    fake.origins = "* null https://a http://[::1]:8000 file://x";
    cr_expect_eq(entry->create(&host, &self), SLUICE_OK);
    entry->destroy(self);
}
