/* fuzz_native_client.c: a client of the native protocol before a server that says anything.
 *
 * Input: a byte, how the rest is fed (0: at once; else in pieces of that size); a byte, what the
 * client has asked for before; then what the server sends. Checked: whatever comes, each request is
 * told exactly once, messages are readable to their last byte and never more than the credit, and
 * the client goes on after a lost connection or wants nothing. */
#include "frame_io.h"

#include <sluice/client.h>

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

#define REQUESTS 5u
#define CREDIT   8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t told[REQUESTS];
static uint64_t came;
static volatile uint8_t sink;

static void touch(struct sluice_bytes bytes)
{
    for (uint64_t i = 0; i < bytes.size; i++) {
        sink ^= bytes.data[i];
    }
}

static void read_all(const struct sluice_message *message)
{
    struct sluice_header header;
    touch(message->key);
    touch(message->value);
    touch((struct sluice_bytes){(const uint8_t *)message->topic.data, message->topic.size});
    touch((struct sluice_bytes){(const uint8_t *)message->id.data, message->id.size});
    for (uint32_t i = 0; i < message->header_count; i++) {
        CHECK(sluice_message_header(message, i, &header) == SLUICE_OK);
        touch((struct sluice_bytes){(const uint8_t *)header.key.data, header.key.size});
        touch(header.value);
    }
}

static void on_done(void *arg, const struct sluice_result *result)
{
    ++*(uint32_t *)arg;
    for (uint32_t i = 0; i < result->count && result->topics != NULL; i++) {
        touch((struct sluice_bytes){(const uint8_t *)result->topics[i].name.data,
                                    result->topics[i].name.size});
    }
    if (result->message != NULL) {
        read_all(result->message);
    }
}

static void on_message(void *arg, struct sluice_subscription *subscription,
                       const struct sluice_message *message)
{
    const bool acknowledges = arg != NULL;
    came++;
    read_all(message);
    if (acknowledges) {
        (void)sluice_subscription_ack(subscription, message, SLUICE_ACK_DONE, 0, NULL, NULL);
    }
}

/* HELLO had id 1: these have 2 and up. */
static void ask(struct sluice_client *client, uint8_t what, struct sluice_subscription **kept)
{
    struct sluice_subscription *pushed;
    const struct sluice_message message = sluice_message_of("t", "v", 1);
    struct sluice_subscribe subscribe = sluice_subscribe_to("t");
    CHECK(sluice_client_send(client, &message, on_done, &told[0]) == SLUICE_OK);
    CHECK(sluice_client_topics(client, "", on_done, &told[1]) == SLUICE_OK);
    CHECK(sluice_client_offsets(client, "t", 0, 0, on_done, &told[2]) == SLUICE_OK);
    CHECK(sluice_client_request(client, &message, 100, on_done, &told[3]) == SLUICE_OK);
    CHECK(sluice_client_topic_delete(client, "t", on_done, &told[4]) == SLUICE_OK);
    subscribe.credit_records = CREDIT;
    subscribe.manual_credit = true;
    subscribe.on_message = on_message;
    subscribe.group = sluice_text_of((what & 1) != 0 ? "g" : "");
    subscribe.arg = (what & 1) != 0 ? client : NULL;
    CHECK(sluice_client_subscribe(client, &subscribe, &pushed) == SLUICE_OK); /* 7 */
    subscribe.on_message = NULL;
    CHECK(sluice_client_subscribe(client, &subscribe, kept) == SLUICE_OK); /* 8 */
    if ((what & 2) != 0) {
        sluice_subscription_close(pushed);
    }
}

static void greet(struct sluice_client *client)
{
    struct frame_out out = {0};
    frame_begin(&out, FRAME_WELCOME, 0, 1, 1024);
    frame_put_u16(&out, 1);
    frame_put_zeros(&out, 2 + 16);
    frame_put_u32(&out, 1u << 20);
    frame_put_zeros(&out, 8 + 2 + 2);
    CHECK(frame_end(&out, 1024) == SLUICE_OK);
    CHECK(sluice_client_feed(client, out.data, frame_out_size(&out), 1) == SLUICE_OK);
    CHECK(sluice_client_state(client) == SLUICE_CLIENT_READY);
    frame_out_fini(&out);
}

static void feed(struct sluice_client *client, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        const size_t part = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(part);
        CHECK(copy != NULL);
        memcpy(copy, data + at, part);
        sluice_status status = sluice_client_feed(client, copy, part, 2);
        free(copy);
        sluice_client_sent(client, sluice_client_pending(client).size);
        if (status != SLUICE_OK) {
            CHECK(sluice_client_wants(client) == SLUICE_WANT_CLOSE);
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_client *client;
    struct sluice_subscription *kept;
    struct sluice_message message;
    if (size < 2) {
        return 0;
    }
    memset(told, 0, sizeof(told));
    came = 0;
    CHECK(sluice_client_new(&options, &client) == SLUICE_OK);
    sluice_client_connected(client, 0);
    if ((data[1] & 4) == 0) {
        greet(client);
    }
    ask(client, data[1], &kept);
    feed(client, data + 2, size - 2, data[0] > 0 ? data[0] : size);
    CHECK(came <= CREDIT);
    while (sluice_subscription_next(kept, &message) == SLUICE_OK) {
        came++;
        read_all(&message);
    }
    CHECK(came <= 2 * CREDIT);
    sluice_client_disconnected(client, SLUICE_E_NETWORK, 3);
    const int64_t deadline = sluice_client_deadline(client);
    sluice_client_tick(client, deadline);
    CHECK(sluice_client_wants(client) ==
              (deadline == INT64_MAX ? SLUICE_WANT_NOTHING : SLUICE_WANT_CONNECT) ||
          sluice_client_state(client) == SLUICE_CLIENT_WAITING);
    sluice_client_free(client);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        CHECK(told[i] == 1);
    }
    return 0;
}
