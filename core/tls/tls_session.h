/* tls_session.h: one TLS session, the listener's side, over a wire that never waits.
 *
 *   handshake until OK ─► read and write, as of a stream ─► end
 *
 * What a session holds is bounded by OpenSSL: a record in each direction, 64 KiB of a peer's
 * certificates. The handshake costs a signature (tenths of a millisecond with ECDSA, half a one
 * with RSA-2048, four with RSA-4096) on the thread that calls it: not a loop. One thread at a
 * time. */
#ifndef SL_TLS_TLS_SESSION_H
#define SL_TLS_TLS_SESSION_H

#include "os/os.h"
#include "tls/tls_context.h"
#include "tls/tls_wire.h"

#define TLS_RECORD_BYTES 16384u

struct tls_session;

/* Keeps a reference of the context. [borrows the wire's arg] */
sl_err tls_session_new(struct tls_context *context, const struct tls_wire *wire,
                       struct tls_session **ret_session) SL_MUST_CHECK;
/* Tells the peer that nothing more comes, where that can be told now. NULL is fine; returns NULL */
struct tls_session *tls_session_free(struct tls_session *session);

/* OK: it is done; E_WOULD_BLOCK: when the wire has input, or room, again; E_NETWORK: it failed,
 * tls_session_why says why. */
sl_err tls_session_handshake(struct tls_session *session) SL_MUST_CHECK;
/* As sl_stream_read. What is no data is read too, up to some buffers: E_WOULD_BLOCK then, while the
 * wire may have more. */
sl_err tls_session_read(struct tls_session *session, void *buffer, size_t size,
                        size_t *ret_size) SL_MUST_CHECK;
/* As sl_stream_writev, but that the wire tells of room: after *ret_size less than all, the next
 * call must begin with the bytes that were left, at least as many. scratch: TLS_RECORD_BYTES that
 * nobody needs during the call; small pieces go into one record. */
sl_err tls_session_writev(struct tls_session *session, const struct sl_iovec *pieces, size_t count,
                          uint8_t *scratch, size_t *ret_size) SL_MUST_CHECK;
/* Input that the wire gave and read has not: no event of the wire tells of it. A part of a record
 * is none once a read found that it is one: the wire tells of the rest. */
bool tls_session_has_input(const struct tls_session *session);
/* The last read found no room for what the session itself has to say before it goes on (an update
 * of keys): nothing is read until tls_session_has_room says that there is some. */
bool tls_session_waits_for_room(const struct tls_session *session);
void tls_session_has_room(struct tls_session *session);

/* After a failure: one sentence, "the peer's certificate is not valid: certificate has expired". */
const char *tls_session_why(const struct tls_session *session);
/* After the handshake: */
const char *tls_session_version(const struct tls_session *session); /* "TLSv1.3" */
const char *tls_session_cipher(const struct tls_session *session);
/* The name of the peer's certificate (tls_name.h); false: it gave none. E_TRUNCATED, E_NO_MEMORY.
 */
sl_err tls_session_peer(const struct tls_session *session, char *ret_name, size_t size,
                        bool *ret_there) SL_MUST_CHECK;

#endif
