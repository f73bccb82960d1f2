/* load_link.h: the socket of a connection, bare or with TLS around it, that never makes its caller
 * wait but in load_link_wait_ns and load_link_open. One thread at a time. */
#ifndef SL_LOAD_LOAD_LINK_H
#define SL_LOAD_LOAD_LINK_H

#include "os/os.h"

struct sluice_transport; /* <sluice/client.h> */

struct load_link {
    int descriptor;
    const struct sluice_transport *transport; /* borrowed; NULL: bare */
    void *session;                            /* of the transport; it has the descriptor */
};

/* Connects to "host:port". *link may be closed in any case. SLUICE_E_NOT_FOUND: nobody knows the
 * name; SLUICE_E_NETWORK, SLUICE_E_TIMEOUT, SLUICE_E_NO_MEMORY. [borrows transport] [blocks] */
sl_err load_link_open(struct load_link *link, struct sl_os *os, const char *address,
                      const struct sluice_transport *transport) SL_MUST_CHECK;
void load_link_close(struct load_link *link);
/* What can be done at once. SLUICE_E_WOULD_BLOCK: nothing; SLUICE_E_NETWORK: it has ended;
 * SLUICE_E_AUTHENTICATION: the handshake of TLS failed. */
sl_err load_link_read(struct load_link *link, void *buffer, size_t size,
                      size_t *ret_size) SL_MUST_CHECK;
sl_err load_link_write(struct load_link *link, const void *buffer, size_t size,
                       size_t *ret_size) SL_MUST_CHECK;
/* Waits until something came or, with `writes`, may go, or the time is over. [blocks] */
void load_link_wait_ns(const struct load_link *link, bool writes, int64_t timeout_ns);
/* A sentence for an error of read and write. Static. */
const char *load_link_reason(const struct load_link *link, sl_err err);

#endif
