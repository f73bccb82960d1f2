/* tls_flight.h: the bytes of a handshake between a socket, which a loop serves, and a session,
 * whose steps run elsewhere.
 *
 *   socket ─► input: whole records (RFC 8446 5.1) ─► session ─► output ─► socket
 *
 * A session is given whole records only, so that a step has something to do, however a peer cuts
 * its bytes; what does not look like a record is given as it is, for the session to refuse. Both
 * buffers are fixed: input that has no room waits in the socket, and a session whose output has
 * none goes on when that is sent. One thread at a time. */
#ifndef SL_TLS_TLS_FLIGHT_H
#define SL_TLS_TLS_FLIGHT_H

#include "base/base.h"

#define TLS_FLIGHT_INPUT_BYTES  (20u << 10) /* a whole record: 5 + 16384 + 2048 at most */
#define TLS_FLIGHT_OUTPUT_BYTES (16u << 10)

struct tls_flight {
    uint8_t *bytes; /* owned: input, then output; NULL: nothing is held */
    size_t input_start, input_whole, input_end;
    size_t output_start, output_end;
    bool ended;   /* the peer sends nothing more */
    bool refused; /* output had no room */
};

void tls_flight_fini(struct tls_flight *flight); /* of one that is all zero, or in use */

/* ---- the socket's side ---- */

/* Room for input, at least a byte, unless it is due. E_NO_MEMORY. */
sl_err tls_flight_room(struct tls_flight *flight, uint8_t **ret_room,
                       size_t *ret_size) SL_MUST_CHECK;
/* So many bytes came; 0: the end. */
void tls_flight_took(struct tls_flight *flight, size_t size);
/* The session has something to do: a record is whole, or none comes any more. */
bool tls_flight_is_due(const struct tls_flight *flight);
/* What is to be sent; size 0: nothing. And so many bytes of it were. */
struct sl_bytes tls_flight_output(const struct tls_flight *flight);
void tls_flight_sent(struct tls_flight *flight, size_t size);
/* The handshake is over: the rest is input like any other, and memory goes with it. */
void tls_flight_land(struct tls_flight *flight);

/* ---- the session's side ---- */

/* As tls_wire.read and .write. */
sl_err tls_flight_read(struct tls_flight *flight, void *buffer, size_t size, size_t *ret_size);
void tls_flight_write(struct tls_flight *flight, const void *data, size_t size, size_t *ret_size);

#endif
