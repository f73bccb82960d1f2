/* <sluice/frontend.h>: a plugin that speaks a protocol on listeners which the host opens.
 *
 * The host does sockets, limits and backpressure; the frontend sees bytes and tokens. One
 * instance is created per loop thread and listener set; all calls of an instance come on that one
 * thread. A frontend keeps no pointer that it was given beyond the time its comment grants, so
 * that it can move into a worker process. Its listen addresses come from its configuration
 * ("listen"), its limits too. */
#ifndef SLUICE_FRONTEND_H
#define SLUICE_FRONTEND_H

#include <sluice/broker.h>
#include <sluice/plugin.h>

/* Id of struct sluice_frontend_host, for sluice_host.get_extension. */
#define SLUICE_EXT_FRONTEND "sluice.frontend/1"

/* A piece of output. With token 0 the host copies the bytes before conn_write returns; with the
 * records_token of a fetch result it sends the bytes from where they are (valid only inside
 * fetch's done). */
struct sluice_piece {
    struct sluice_bytes bytes;
    uint64_t token;
};

/* Host side of a connection, extension "sluice.frontend/1". [loop] */
struct sluice_frontend_host {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* Queues output in order; pieces are borrowed for the call. SLUICE_E_CANCELLED: the connection
     * is gone. SLUICE_E_NO_MEMORY, and other failures: the connection was closed at once. When much
     * is queued the host stops reading from the connection by itself until the peer has taken it.
     */
    sluice_status (*conn_write)(const struct sluice_frontend_host *host, uint64_t connection,
                                const struct sluice_piece *pieces, uint32_t count);
    /* Closes after what is queued has been sent; no conn_input comes any more. conn_closed
     * follows, perhaps inside. */
    void (*conn_close)(const struct sluice_frontend_host *host, uint64_t connection);
    /* Stops and resumes conn_input calls for the connection (protocol order, bounded pipelining).
     * Counted: each pause wants its resume; resume re-delivers input that is there. */
    void (*conn_pause)(const struct sluice_frontend_host *host, uint64_t connection);
    void (*conn_resume)(const struct sluice_frontend_host *host, uint64_t connection);
    /* Calls tick(self) once after delay_ms on the loop; replaces an earlier request. */
    void (*set_tick)(const struct sluice_frontend_host *host, uint32_t delay_ms);
    /* Monotonic and wall clock (since 1970) in milliseconds, as of this turn of the loop. */
    int64_t (*now_ms)(const struct sluice_frontend_host *host);
    int64_t (*wall_ms)(const struct sluice_frontend_host *host);
    /* Members from here on are there when `size` reaches beyond them. */
    /* Bytes of output that the peer has not taken yet; 0 too when the connection is gone. Whoever
     * sends without being asked stops above a bound of its own, and goes on at conn_drained. */
    uint64_t (*conn_queued)(const struct sluice_frontend_host *host, uint64_t connection);
    /* The number of the loop that the instance runs on: with a connection's token it names a
     * connection of the broker, for sluice_broker.conn_tell. */
    uint32_t (*loop)(const struct sluice_frontend_host *host);
};

/* Who connected; valid during conn_open. TLS is the host's: a frontend sees plaintext, and hears of
 * a connection when its handshake is done. */
struct sluice_connection {
    uint32_t size;
    uint32_t reserved;
    uint64_t token;
    /* to be copied and completed (client_id) for calls to the broker; its principal is that of the
     * peer's certificate, "User:CN=alice", or of the process at the other end of a local socket,
     * "User:uid=1000", where a listener takes them */
    struct sluice_context context;
    /* "TLSv1.3" and a cipher by OpenSSL's name; both empty: plaintext */
    struct sluice_text tls_version, tls_cipher;
    /* the address that the peer reached, "127.0.0.1:9092" or "[::1]:9092"; "unix": it has none */
    struct sluice_text local_address;
};

/* The entry of a module of SLUICE_KIND_FRONTEND; constant, shared by all its instances. */
struct sluice_frontend {
    uint32_t size;
    uint32_t reserved;
    /* Allocates the instance and reads its configuration; on failure *ret_self is not looked at,
     * set_error says why. [loop] */
    sluice_status (*create)(const struct sluice_host *host, void **ret_self);
    /* All connections were closed before. Calls to the broker that are under way still end with
     * their done afterwards: what `arg` points at must live until then, and host, broker and
     * connections must not be touched in it. The module's code stays loaded. [loop] */
    void (*destroy)(void *self);
    /* A peer connected. *ret_conn is the frontend's own state, given back in the calls below.
     * Another status than SLUICE_OK closes the connection. */
    sluice_status (*conn_open)(void *self, const struct sluice_connection *connection,
                               void **ret_conn);
    /* All input that is there and not yet consumed. Sets *ret_consumed to the bytes done with,
     * and *ret_wanted to the total bytes (from the first unconsumed one) without which it need
     * not be called again (0: any). The host calls again while something is consumed and there is
     * room for answers, after some calls when others had their turn: return after a request that
     * was answered at once, or a few, so that a peer that does not read is not served without end
     * and nobody waits for one that sends many. `input` is valid during the call, but see
     * sluice_produce_entry.batch. A wanted size above the listener's request_bytes_max, or
     * another status than SLUICE_OK, closes the connection. */
    sluice_status (*conn_input)(void *self, void *conn, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted);
    /* The connection is gone, whoever closed it; called once for each conn_open that succeeded.
     * Calls to the broker that are under way still end with their done, most with
     * SLUICE_E_CANCELLED. */
    void (*conn_closed)(void *self, void *conn);
    void (*tick)(void *self); /* what set_tick asked for; may be NULL */
    /* The configuration changed: take it, or refuse it with set_error (then the old one stays in
     * force). May be NULL: a change needs a new instance. */
    sluice_status (*reconfigure)(void *self);
    /* Members from here on are called when `size` reaches beyond them; each may be NULL. */
    /* Output was queued, and the peer has taken all of it. */
    void (*conn_drained)(void *self, void *conn);
    /* Somebody sent a note to the connection with sluice_broker.conn_tell, and hears the status.
     * Any frontend can: what is in the note proves that it is meant. It is borrowed. */
    sluice_status (*conn_told)(void *self, void *conn, struct sluice_bytes note);
    /* The host closes the connection when this returns, as the frontend or the broker goes: the
     * last that is written here is still sent. */
    void (*conn_leaving)(void *self, void *conn);
    /* Names of protocols for which other frontends may hand over connections (upgrade.h), ended by
     * NULL; constant. "sluice.native.1" */
    const char *const *protocols;
};

#endif
