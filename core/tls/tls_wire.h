/* tls_wire.h: the two directions of a connection as a session of OpenSSL sees them: a BIO whose
 * reads and writes are the owner's, which never wait. */
#ifndef SL_TLS_TLS_WIRE_H
#define SL_TLS_TLS_WIRE_H

#include "base/base.h"

struct tls_wire {
    void *arg;
    /* As sl_stream_read: E_WOULD_BLOCK; *ret_size 0 at the end. */
    sl_err (*read)(void *arg, void *buffer, size_t size, size_t *ret_size);
    /* As sl_stream_writev of one piece: *ret_size less than size: the rest when there is room. */
    sl_err (*write)(void *arg, const void *data, size_t size, size_t *ret_size);
    /* Reads until one would block though there may be more: set before each call of OpenSSL, which
     * else goes on for as long as a peer sends records that have no data (updates of keys). */
    uint32_t reads_left;
    bool ended;  /* read came to the end */
    bool broken; /* read or write failed */
};

/* For BIO_new; the BIO's data is the struct tls_wire. NULL: no memory. */
struct bio_method_st *tls_wire_method(void) SL_MUST_CHECK;

#endif
