/* load_peer.h: one connection's worth of a client without its socket: what is to be sent, what has
 * come. One table of functions for each protocol. One thread at a time.
 *
 * Everything is bounded: LOAD_REQUESTS_MAX publishes without an answer, LOAD_PENDING_BYTES of them
 * not sent yet, LOAD_ANSWER_BYTES of an answer. */
#ifndef SL_LOAD_LOAD_PEER_H
#define SL_LOAD_LOAD_PEER_H

#include "load/load_record.h"
#include "os/os.h"

#define LOAD_REQUESTS_MAX  16384u
#define LOAD_PENDING_BYTES (1u << 20)
#define LOAD_ANSWER_BYTES  (64u << 20)
#define LOAD_TEXT_BYTES    512u

struct load_peer;

/* What comes; called inside feed. */
struct load_events {
    /* The answer to the publish with that token. `text`: of an error, with its reason. */
    void (*answered)(void *arg, uint32_t token, sl_err err, const char *text);
    /* One record of a partition that is read. */
    void (*record)(void *arg, struct sl_bytes value);
    void *arg;
};

/* How a connection is protected and who connects, in libsluice's words (<sluice/client.h>). */
struct load_security {
    const struct sluice_transport *transport; /* TLS; NULL: none */
    const struct sluice_client_hash *hash;    /* for SCRAM */
    const char *user, *password;              /* NULL: no login with a password */
    const char *token;                        /* NULL: no login with a token */
    const char *mechanism; /* NULL: the strongest that both have, but for PLAIN */
};

struct load_target {
    const char *topic; /* borrowed for the peer's life, as all here */
    const char *client_id;
    int16_t acks;                         /* of Kafka's protocol: 1 or -1 */
    const struct load_security *security; /* NULL: no TLS, no login */
};

/* Records of one request: `count` values of the maker, numbered from first_sequence. */
struct load_request {
    struct load_maker *maker;
    uint64_t first_sequence;
    int64_t due_ns;
    uint32_t count, token;
    int32_t partition;
};

struct load_peer_ops {
    const char *name; /* "kafka": also of the frontend that listens for it */
    /* [borrows events' arg] SLUICE_E_NO_MEMORY. */
    sl_err (*make)(struct sl_os *os, const struct load_target *target,
                   const struct load_events *events, struct load_peer **ret_peer);
    /* Whether the greeting is over. */
    bool (*is_ready)(struct load_peer *peer);
    /* Puts it among what is to be sent. SLUICE_E_WOULD_BLOCK: a bound is reached, nothing happened.
     */
    sl_err (*publish)(struct load_peer *peer, const struct load_request *request);
    /* Reads a partition from an offset on; before the first feed, once for each partition. */
    sl_err (*subscribe)(struct load_peer *peer, int32_t partition, int64_t offset);
    /* Borrowed until the next call. */
    struct sl_bytes (*pending)(struct load_peer *peer);
    void (*sent)(struct load_peer *peer, size_t size);
    /* Bytes that came. An error ends the peer; its reason is in load_peer_text. */
    sl_err (*feed)(struct load_peer *peer, struct sl_bytes bytes);
    void (*free)(struct load_peer *peer);
};

struct load_peer {
    const struct load_peer_ops *ops;
    struct sl_os *os;
    struct load_target target;
    struct load_events events;
    char text[LOAD_TEXT_BYTES]; /* why it ended; "" */
};

extern const struct load_peer_ops load_kafka_peer, load_native_peer;

#endif
