/* fuzz_load_kafka.c: the client of sluice bench before a broker that answers anything.
 *
 * Input: a byte, how many requests to produce wait for an answer (0 to 3) before the fetch; then
 * what the broker sends. Checked: no answer is told that was not asked for, and what comes is
 * readable. */
#include "load/load_kafka.h"
#include "os/os_uv.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct load_target target = {"t", "fuzz", -1};
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
    for (uint32_t i = 0; i < data[0] % REQUESTS_MAX; i++) {
        struct load_request request = {.maker = &maker, .count = 1, .token = i};
        if (load_kafka_peer.publish(peer, &request) != SLUICE_OK) {
            abort();
        }
    }
    if (load_kafka_peer.subscribe(peer, 0, 0) == SLUICE_OK) {
        (void)load_kafka_peer.pending(peer);
    }
    sl_err err = load_kafka_peer.feed(peer, (struct sl_bytes){data + 1, size - 1});
    if (err != SLUICE_OK && peer->text[0] == '\0') {
        abort();
    }
    load_kafka_peer.free(peer);
    return 0;
}
