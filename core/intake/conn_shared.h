/* conn_shared.h: a connection over a local socket whose peer asks for shared memory (shm:// of
 * libsluice, docs/formats/native.md).
 *
 *   struct sluice_shared_request ─► answer with the memory's descriptor ─► rings
 *
 * It asks with its first bytes, which no frame can begin with; its frontend hears nothing of it.
 * What is refused is told with a code, and the connection ends. The memory counts in the loop's
 * budget. On the connection's loop. */
#ifndef SL_INTAKE_CONN_SHARED_H
#define SL_INTAKE_CONN_SHARED_H

#include "base/base.h"

struct conn;

/* The first bytes that came. OK: what is behind *ret_used is the frontend's. E_WOULD_BLOCK: more
 * must come first. Another error: the connection ends. */
sl_err conn_shared_look(struct conn *conn, const uint8_t *data, size_t size,
                        size_t *ret_used) SL_MUST_CHECK;
/* Its stream was freed. */
void conn_shared_close(struct conn *conn);

#endif
