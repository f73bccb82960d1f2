/* conn_upgrade.h: a connection that goes from one frontend to another (<sluice/upgrade.h>), and the
 * codec that lies between its wire and its frontend from then on.
 *
 *   conn_wire_read ─► decode, in place ─► input of the frontend
 *   output of the frontend ─► head, then the bytes as they are ─► conn_wire_writev
 *
 * The hand-over is asked for while the one frontend's conn_input runs, and is done when that has
 * returned, as only then is known which bytes are the other's. On the connection's loop. */
#ifndef SL_INTAKE_CONN_UPGRADE_H
#define SL_INTAKE_CONN_UPGRADE_H

#include "intake/frontend.h"

/* Reads of the wire in a row that bring nothing for the frontend, before others have their turn. */
#define CODEC_READS_MAX 16u

/* See sluice_upgrade_host.hand_over. */
sluice_status conn_upgrade_begin(struct conn *conn, const char *protocol,
                                 const struct sluice_codec *codec, void *state,
                                 struct sluice_bytes answer);
/* A hand-over was asked for and is not done. */
bool conn_upgrade_is_due(const struct conn *conn);
/* Does it: frontend, listener and codec are the new ones, what is left of the input is decoded. The
 * old frontend knows that it is gone; the new one is to be told that it is there. */
void conn_upgrade_finish(struct conn *conn);
void conn_upgrade_drop(struct conn *conn); /* the connection dies, whatever its state */

/* As conn_wire_read, through the codec if there is one. Size 0 and conn_codec_is_over: nothing
 * came, and nothing will. The connection may die inside: an error. */
sl_err conn_codec_read(struct conn *conn, void *buffer, size_t size,
                       size_t *ret_size) SL_MUST_CHECK;
bool conn_has_codec(const struct conn *conn); /* that is in force */
bool conn_codec_is_over(const struct conn *conn);
/* What goes before `size` bytes of output; of a connection with a codec. */
size_t conn_codec_head(struct conn *conn, size_t size, uint8_t ret_head[SLUICE_CODEC_BYTES_MAX]);
/* What the codec says last, for a connection that is about to close; nothing without one. */
void conn_codec_end(struct conn *conn, int32_t why);

#endif
