/* conn_output.h: what a connection has yet to send: pieces of chunks, in the order in which they
 * were written, in a ring.
 *
 *   write ─► a piece of a chunk that somebody else has too ─► ring ─► socket
 *        └─► bytes ─► copied behind the last copy while its chunk has room
 *
 * On the connection's loop. */
#ifndef SL_INTAKE_CONN_OUTPUT_H
#define SL_INTAKE_CONN_OUTPUT_H

#include "intake/conn.h"

void conn_output_init(struct conn *conn);
void conn_output_free(struct conn *conn); /* the ring; it is empty or moved */

/* Of those that wait; 0 is sent next. */
static inline struct conn_piece *conn_output_piece(struct conn *conn, uint32_t index)
{
    return &conn->pieces[(conn->piece_head + index) & (conn->piece_capacity - 1)];
}

/* Queues the piece from its byte `skip` on. E_INVALID: its token stands for no chunk that it lies
 * in; E_NO_MEMORY. */
sl_err conn_output_push(struct conn *conn, const struct sluice_piece *piece,
                        size_t skip) SL_MUST_CHECK;
/* So many bytes were taken by the peer. */
void conn_output_advance(struct conn *conn, size_t size);
void conn_output_drop(struct conn *conn); /* all */
/* The chunk that the piece's token stands for; NULL: the piece does not lie in one. */
struct chunk *conn_output_chunk(const struct conn *conn, const struct sluice_piece *piece);

#endif
