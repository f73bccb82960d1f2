/* shared_stream.h: the transport shm://: a Unix socket over which the server gives memory with two
 * rings (<sluice/shared_ring.h>). The socket says that the server is there, and wakes. */
#ifndef SLUICE_CLIENT_SHARED_STREAM_H
#define SLUICE_CLIENT_SHARED_STREAM_H

#include <sluice/client.h>

/* `look_us`: how long a wait looks before it sleeps, borrowed for the transport's life. Its start
 * waits for the server at most 5 s. SLUICE_E_LIMIT, SLUICE_E_BUSY, SLUICE_E_UNSUPPORTED: what the
 * server says. SLUICE_E_MALFORMED: its memory is not as it must be. */
struct sluice_transport shared_stream(const uint32_t *look_us);

#endif
