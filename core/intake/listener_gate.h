/* listener_gate.h: how much a listener takes from its peers, and what was refused.
 *
 * Beyond a bound of connections the newest is refused; a peer that is too slow is closed. Limits
 * may change at any time, counts are of all loops: a spin lock guards the counts of addresses,
 * which are as many as connections. [any] */
#ifndef SL_INTAKE_LISTENER_GATE_H
#define SL_INTAKE_LISTENER_GATE_H

#include "catalog/chain_map.h"

#include <stdatomic.h>

struct sl_logger;

/* 0: no limit. The words are members of kafka.listeners.NAME. */
#define LISTENER_LIMIT_TABLE(X)                                                   \
    X(CONNECTIONS, "max_connections")                                             \
    X(OF_ADDRESS, "max_connections_per_address")                                  \
    X(READ_BUFFER, "read_buffer_bytes") /* of a connection, for small requests */ \
    X(REQUEST_MS, "request_timeout_ms") /* a request that began has come */       \
    X(ANSWER_MS, "answer_timeout_ms")   /* something of the answers was taken */  \
    X(LOGIN_MS, "login_timeout_ms")     /* who must log in has */
enum {
#define LISTENER_LIMIT_ENUM(name, word) LISTENER_LIMIT_##name,
    LISTENER_LIMIT_TABLE(LISTENER_LIMIT_ENUM)
#undef LISTENER_LIMIT_ENUM
        LISTENER_LIMITS
};
const char *listener_limit_word(uint32_t limit);

/* Why a connection was refused or closed; the order is that of the metric's labels. */
enum listener_refusal {
    LISTENER_TAKES,
    LISTENER_FULL,
    LISTENER_ADDRESS_FULL,
    LISTENER_TOO_FAST, /* connection_creation_rate */
    LISTENER_SLOW_REQUEST,
    LISTENER_SLOW_READER,
    LISTENER_SLOW_LOGIN,
    LISTENER_LOGINS_FULL, /* security.logins_waiting_max */
    LISTENER_REFUSALS
};
const char *listener_refusal_name(enum listener_refusal refusal);

struct listener_gate {
    _Atomic int64_t limits[LISTENER_LIMITS];
    int64_t own[LISTENER_LIMITS]; /* of this listener; -1: as all */
    atomic_flag locked;
    uint32_t count;
    struct chain_map addresses;
    _Atomic uint64_t refused[LISTENER_REFUSALS];
    _Atomic int64_t told_ms[LISTENER_REFUSALS]; /* monotonic: of the last line in the log */
};

/* No limits. E_NO_MEMORY. */
sl_err listener_gate_init(struct listener_gate *gate) SL_MUST_CHECK;
void listener_gate_fini(struct listener_gate *gate);
/* From now on, but where the listener has its own. */
void listener_gate_limit(struct listener_gate *gate, const int64_t limits[LISTENER_LIMITS]);
static inline int64_t listener_limit(const struct listener_gate *gate, uint32_t limit)
{
    return atomic_load_explicit(&gate->limits[limit], memory_order_relaxed);
}
/* A connection from "address:port" comes, unless it is refused; one that came leaves. */
enum listener_refusal listener_gate_enter(struct listener_gate *gate, const char *peer);
void listener_gate_leave(struct listener_gate *gate, const char *peer);
/* Counts it, and tells it in the log, at most once a second for each cause. */
void listener_gate_refused(struct listener_gate *gate, enum listener_refusal refusal,
                           struct sl_logger *logger, const char *name, const char *peer,
                           int64_t now_ms);

#endif
