/* fuzz_load_kafka.c: the client of sluice bench before a broker that answers anything.
 *
 * Input: a byte: its two low bits are how many requests to produce wait for an answer before the
 * fetch, the next two who logs in: 0 nobody, and the greeting is over; 1 a token, 2 and 3 a user by
 * SCRAM, and the rest answers the greeting, a frame for each step. Then what the broker sends.
 * Checked: no answer is told that was not asked for, what comes is readable, nobody is let in by a
 * server that cannot show that it knows the password. */
#include "base/bytes.h"
#include "load/load_peer.h"
#include "os/os_uv.h"

#include <sluice/client_tls.h>

#include <stdlib.h>

#define REQUESTS_MAX 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_os *os;
static struct load_maker maker;
static uint32_t told;
static volatile uint8_t sink;

static void answered(void *arg, uint32_t token, sl_err err, const char *text)
{
    (void)arg;
    (void)err;
    (void)text;
    if (token >= REQUESTS_MAX || (told & 1u << token) != 0) {
        abort();
    }
    told |= 1u << token;
}

static void record(void *arg, struct sl_bytes value)
{
    (void)arg;
    for (size_t i = 0; i < value.size; i++) {
        sink ^= value.data[i];
    }
}

static void send_all(struct load_peer *peer)
{
    struct sl_bytes pending = load_kafka_peer.pending(peer);
    load_kafka_peer.sent(peer, pending.size);
}

static void feed(struct load_peer *peer, struct sl_bytes bytes)
{
    sl_err err = load_kafka_peer.feed(peer, bytes);
    if (err != SLUICE_OK && peer->text[0] == '\0') {
        abort();
    }
}

/* ApiVersions 0: no error, no calls. */
static void greet(struct load_peer *peer)
{
    static const uint8_t versions[] = {0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    send_all(peer);
    feed(peer, sl_bytes_of(versions, sizeof(versions)));
    if (!load_kafka_peer.is_ready(peer)) {
        abort();
    }
}

/* Each frame of the input answers what was asked last. */
static void log_in(struct load_peer *peer, struct sl_bytes bytes, bool is_scram)
{
    while (bytes.size > 4 && peer->text[0] == '\0' && !load_kafka_peer.is_ready(peer)) {
        size_t size = SL_MIN((size_t)sl_be32_load(bytes.data) + 4, bytes.size);
        send_all(peer);
        feed(peer, sl_bytes_of(bytes.data, size));
        bytes = sl_bytes_of(bytes.data + size, bytes.size - size);
    }
    if (is_scram && load_kafka_peer.is_ready(peer)) {
        abort(); /* the nonce is new each time: no input knows the answer */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t who = size > 0 ? data[0] >> 2 & 3u : 0;
    const struct load_security security = {.hash = sluice_client_openssl(),
                                           .user = who > 1 ? "user" : NULL,
                                           .password = who > 1 ? "pencil" : NULL,
                                           .token = who == 1 ? "abc" : NULL};
    const struct load_target target = {"t", "fuzz", -1, &security};
    const struct load_events events = {answered, record, NULL};
    struct load_peer *peer;
    if (os == NULL && (sl_os_uv_new(1, &os) != SLUICE_OK ||
                       load_maker_init(&maker, LOAD_STAMP_BYTES, 1, 0) != SLUICE_OK)) {
        abort();
    }
    if (size == 0 || load_kafka_peer.make(os, &target, &events, &peer) != SLUICE_OK) {
        return 0;
    }
    told = 0;
    if (who != 0) {
        log_in(peer, sl_bytes_of(data + 1, size - 1), who > 1);
        load_kafka_peer.free(peer);
        return 0;
    }
    greet(peer);
    for (uint32_t i = 0; i < data[0] % REQUESTS_MAX; i++) {
        struct load_request request = {.maker = &maker, .count = 1, .token = i};
        if (load_kafka_peer.publish(peer, &request) != SLUICE_OK) {
            abort();
        }
    }
    if (load_kafka_peer.subscribe(peer, 0, 0) == SLUICE_OK) {
        (void)load_kafka_peer.pending(peer);
    }
    feed(peer, sl_bytes_of(data + 1, size - 1));
    load_kafka_peer.free(peer);
    return 0;
}
