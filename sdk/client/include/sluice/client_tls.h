/* <sluice/client_tls.h>: TLS and the hashes of SCRAM for libsluice, by OpenSSL.
 *
 * A library of its own (sluice-client-tls), so that the client needs nothing but libc where neither
 * is wanted. Threads: as <sluice/client.h>. */
#ifndef SLUICE_CLIENT_TLS_H
#define SLUICE_CLIENT_TLS_H

#include <sluice/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a server is verified and the client shows who it is. Files are PEM. */
struct sluice_tls_options {
    uint32_t size; /* bytes of this struct */
    bool
        is_unverified; /* true: takes any certificate. For tests: whoever is between can read all */
    uint8_t reserved[3];   /* 0 */
    const char *ca_file;   /* authorities that are trusted; NULL: those of the system */
    const char *cert_file; /* the client's chain, or NULL */
    const char *key_file;  /* its key, or NULL */
    const char *name; /* that the server's certificate must have; NULL: the host of the address */
};

/* A transport for sluice_connection_open with tls:// addresses: TLS 1.2 or later; certificates and
 * names are verified. [borrows options] SLUICE_E_INVALID: a file cannot be read or key and
 * certificate do not fit. SLUICE_E_NO_MEMORY. [blocks] */
SLUICE_CLIENT_API sluice_status sluice_tls_new(const struct sluice_tls_options *options,
                                               struct sluice_transport **ret_transport);

/* Frees it, after the connections that use it; NULL is nothing. */
SLUICE_CLIENT_API void sluice_tls_free(struct sluice_transport *transport);

/* The hashes, for sluice_client_options.hash. Static. [any] */
SLUICE_CLIENT_API const struct sluice_client_hash *sluice_client_openssl(void);

#ifdef __cplusplus
}
#endif

#endif
