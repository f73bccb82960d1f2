/* conn_tls.h: what a connection reads from and writes to: its socket, or a TLS session over it.
 *
 *   socket ─► handshake ─► the frontend hears of the connection, with the name of its peer ─► bytes
 *
 * The steps of a handshake run on helpers (login_desk.h), over buffers of its own (tls_flight.h);
 * while one is away the socket is not read. A connection may end meanwhile: what the step touches
 * lives on until its end. A handshake that is not done in time ends, and one that fails is told
 * once, with its cause. On the connection's loop. */
#ifndef SL_INTAKE_CONN_TLS_H
#define SL_INTAKE_CONN_TLS_H

#include "base/base.h"

struct conn;
struct conn_tls;
struct sl_iovec;

/* A session if the connection's listener wants one; its stream is there. E_NO_MEMORY. */
sl_err conn_tls_open(struct conn *conn) SL_MUST_CHECK;
/* Before the stream is freed. A step that runs goes on, and is waited for by intake_is_empty. */
void conn_tls_close(struct conn *conn);
/* Bytes of the frontend may pass; else the handshake goes on. E_WOULD_BLOCK: not yet, conn_go_on
 * comes or an event of the socket; OK with *ret_now: as of now; another error: it failed, and that
 * is told. */
sl_err conn_tls_ready(struct conn *conn, bool *ret_now) SL_MUST_CHECK;
/* A connection ends that has these bytes left: if they are a handshake, its peer took the listener
 * for another, and that is told. */
void conn_tls_look(const struct conn *conn, const uint8_t *data, size_t size);
/* Its socket broke: a handshake that was under way failed. */
void conn_tls_failed(struct conn *conn);
/* It has not said who it is for too long. */
bool conn_tls_is_late(struct conn *conn, int64_t at_ms);
/* "User:CN=…"; NULL: nobody said who it is. */
const char *conn_tls_principal(const struct conn *conn);
const char *conn_tls_version(const struct conn *conn); /* "TLSv1.3"; "": none */
const char *conn_tls_cipher(const struct conn *conn);
bool conn_tls_has_input(const struct conn *conn); /* that no event tells of */
/* Its session cannot go on before its peer takes what it has to say. */
bool conn_tls_waits_for_room(const struct conn *conn);
/* There is room again. True: it waited for that, and no event tells that it can be read on. */
bool conn_tls_has_room(struct conn *conn);

/* As sl_stream_read and sl_stream_writev. */
sl_err conn_wire_read(struct conn *conn, void *buffer, size_t size, size_t *ret_size) SL_MUST_CHECK;
sl_err conn_wire_writev(struct conn *conn, const struct sl_iovec *pieces, size_t count,
                        size_t *ret_size) SL_MUST_CHECK;

#endif
