/* listener.h: one address that a frontend listens on, and what is asked of who connects to it.
 *
 * Made from the configuration, shared by the loops by counting references (a connection holds one),
 * and immutable but for what is told to clients, which is set once, before the first connection. */
#ifndef SL_INTAKE_LISTENER_H
#define SL_INTAKE_LISTENER_H

#include "intake/listener_gate.h"
#include "intake/listener_tls.h"
#include "intake/sasl_session.h"

#define LISTENER_NAME_BYTES    64u
#define LISTENER_ADDRESS_BYTES 300u
#define LISTENER_HOST_BYTES    256u

/* Shared memory for peers on a local socket (conn_shared.h). */
struct listener_shared {
    uint32_t ring_bytes;      /* of each of two */
    uint32_t connections_max; /* 0: none may have it */
    int64_t look_ns;          /* as sl_share.look_ns */
    _Atomic uint32_t count;
    _Atomic uint64_t refused;
};

struct listener {
    uint32_t refs;
    char name[LISTENER_NAME_BYTES];          /* "kafka", "outside"; unique among all */
    char frontend[LISTENER_NAME_BYTES];      /* "kafka" */
    char address[LISTENER_ADDRESS_BYTES];    /* to listen on */
    char advertised[LISTENER_ADDRESS_BYTES]; /* "host:port"; "auto"; empty: as address */
    /* What clients are told to connect to, from listener_bound on. A host that is empty: the
     * address that the client itself reached. */
    char host[LISTENER_HOST_BYTES];
    uint16_t port;
    struct sasl_settings sasl;
    struct listener_tls *tls;      /* owned; NULL: plaintext */
    uint32_t mode;                 /* of the file of a local socket; 0: its owner's alone */
    bool is_local;                 /* its address is "unix:/path" */
    struct listener_shared shared; /* of is_local */
    bool names_user;               /* the principal is "User:uid=N", by who connected (is_local) */
    struct listener_gate gate;
};

#define LISTENER_AUTO "auto" /* of advertised */

struct listener *listener_new(const char *name, const char *frontend); /* NULL: no memory */
struct listener *listener_ref(struct listener *listener);
struct listener *listener_unref(struct listener *listener); /* NULL is fine; returns NULL [any] */
/* It listens on `port`: from now on is known what clients are told. An address that stands for all
 * of a machine (0.0.0.0, [::]) is told to nobody: then as with "auto". [loop 0] */
void listener_bound(struct listener *listener, uint16_t port);
/* Parts "host:port" and "[v6]:port"; brackets go. False: it is neither. [any] */
bool listener_address_split(const char *address, char ret_host[LISTENER_HOST_BYTES],
                            uint16_t *ret_port);

#endif
