/* listener_gate.c: see listener_gate.h. */
#include "intake/listener_gate.h"

#include "base/hash.h"
#include "base/log.h"

#include <string.h>

#define TOLD_EVERY_MS   1000
#define GATE_HOST_BYTES 64u

struct gate_address {
    struct chain_link link;
    uint32_t count;
    char host[GATE_HOST_BYTES];
};

static const char *const words[LISTENER_LIMITS] = {
#define LISTENER_LIMIT_WORD(name, word) [LISTENER_LIMIT_##name] = word,
    LISTENER_LIMIT_TABLE(LISTENER_LIMIT_WORD)
#undef LISTENER_LIMIT_WORD
};

static const char *const names[LISTENER_REFUSALS] = {"none",
                                                     "connections",
                                                     "connections_of_address",
                                                     "connection_rate",
                                                     "slow_request",
                                                     "slow_reader",
                                                     "slow_login",
                                                     "logins"};

const char *listener_limit_word(uint32_t limit)
{
    return words[limit];
}

const char *listener_refusal_name(enum listener_refusal refusal)
{
    return names[refusal];
}

static void lock(struct listener_gate *gate)
{
    while (atomic_flag_test_and_set_explicit(&gate->locked, memory_order_acquire)) {
    }
}

static void unlock(struct listener_gate *gate)
{
    atomic_flag_clear_explicit(&gate->locked, memory_order_release);
}

sl_err listener_gate_init(struct listener_gate *gate)
{
    atomic_flag_clear(&gate->locked);
    for (uint32_t i = 0; i < LISTENER_LIMITS; i++) {
        gate->own[i] = -1;
    }
    return chain_map_init(&gate->addresses);
}

static void free_address(void *arg, struct chain_link *link)
{
    (void)arg;
    sl_free(SL_CONTAINER_OF(link, struct gate_address, link));
}

void listener_gate_fini(struct listener_gate *gate)
{
    if (gate->addresses.buckets != NULL) {
        chain_map_each(&gate->addresses, free_address, NULL);
        chain_map_fini(&gate->addresses);
    }
}

void listener_gate_limit(struct listener_gate *gate, const int64_t limits[LISTENER_LIMITS])
{
    for (uint32_t i = 0; i < LISTENER_LIMITS; i++) {
        atomic_store_explicit(&gate->limits[i], gate->own[i] >= 0 ? gate->own[i] : limits[i],
                              memory_order_relaxed);
    }
}

/* ---- connections ---- */

static bool address_matches(const struct chain_link *link, const void *host)
{
    return strcmp(SL_CONTAINER_OF(link, struct gate_address, link)->host, host) == 0;
}

static void host_of(const char *peer, char ret_host[GATE_HOST_BYTES])
{
    const char *colon = strrchr(peer, ':');
    size_t size = colon != NULL ? (size_t)(colon - peer) : strlen(peer);
    size = SL_MIN(size, (size_t)GATE_HOST_BYTES - 1);
    memcpy(ret_host, peer, size);
    ret_host[size] = '\0';
}

static struct gate_address *find(struct listener_gate *gate, const char *host)
{
    struct chain_link *link =
        chain_map_get(&gate->addresses, sl_hash64(host, strlen(host)), address_matches, host);
    return link == NULL ? NULL : SL_CONTAINER_OF(link, struct gate_address, link);
}

static struct gate_address *find_or_make(struct listener_gate *gate, const char *host)
{
    struct gate_address *address = find(gate, host);
    if (address == NULL && (address = sl_alloc_zero(1, sizeof(*address))) != NULL) {
        memcpy(address->host, host, strlen(host) + 1);
        chain_map_put(&gate->addresses, &address->link, sl_hash64(host, strlen(host)));
    }
    return address;
}

static bool is_over(uint32_t count, int64_t limit)
{
    return limit > 0 && count >= limit;
}

enum listener_refusal listener_gate_enter(struct listener_gate *gate, const char *peer)
{
    enum listener_refusal refusal = LISTENER_TAKES;
    char host[GATE_HOST_BYTES];
    host_of(peer, host);
    lock(gate);
    struct gate_address *address = find(gate, host);
    if (is_over(gate->count, listener_limit(gate, LISTENER_LIMIT_CONNECTIONS))) {
        refusal = LISTENER_FULL;
    } else if (address != NULL &&
               is_over(address->count, listener_limit(gate, LISTENER_LIMIT_OF_ADDRESS))) {
        refusal = LISTENER_ADDRESS_FULL;
    } else if ((address = find_or_make(gate, host)) == NULL) {
        refusal = LISTENER_FULL; /* no memory for another one */
    } else {
        gate->count++;
        address->count++;
    }
    unlock(gate);
    return refusal;
}

void listener_gate_leave(struct listener_gate *gate, const char *peer)
{
    char host[GATE_HOST_BYTES];
    host_of(peer, host);
    lock(gate);
    struct gate_address *address = find(gate, host);
    SL_ASSERT(address != NULL && gate->count > 0);
    gate->count--;
    if (--address->count == 0) {
        chain_map_remove(&gate->addresses, &address->link);
        sl_free(address);
    }
    unlock(gate);
}

void listener_gate_refused(struct listener_gate *gate, enum listener_refusal refusal,
                           struct sl_logger *logger, const char *name, const char *peer,
                           int64_t now_ms)
{
    uint64_t total =
        atomic_fetch_add_explicit(&gate->refused[refusal], 1, memory_order_relaxed) + 1;
    int64_t told_ms = atomic_load_explicit(&gate->told_ms[refusal], memory_order_relaxed);
    if (told_ms == 0 || now_ms - told_ms >= TOLD_EVERY_MS) {
        atomic_store_explicit(&gate->told_ms[refusal], SL_MAX(now_ms, INT64_C(1)),
                              memory_order_relaxed);
        sl_log(logger, SL_LOG_WARN, name, "connection refused", sl_log_text("peer", peer),
               sl_log_text("cause", listener_refusal_name(refusal)), sl_log_u64("so_far", total));
    }
}
