/* tls_context.h: what a listener needs to speak TLS 1.2 and 1.3: its certificate, its key, whom it
 * trusts, which ciphers it takes.
 *
 *   settings ─► files (certificate chain, key, authorities; PEM) ─► context ─► sessions
 *
 * A context is immutable and shared by counting references; new files make a new one. Sessions are
 * not resumed (no tickets, no cache), so that nobody outlives the authority that let him in, and
 * peers cannot renegotiate. [any] */
#ifndef SL_TLS_TLS_CONTEXT_H
#define SL_TLS_TLS_CONTEXT_H

#include "os/os.h"

#define TLS_WHY_BYTES      320u
#define TLS_FILE_BYTES_MAX (1u << 20)
#define TLS_CRL_BYTES_MAX  (16u << 20) /* of all lists of a listener */
#define TLS_CRL_FILES_MAX  256u        /* of a folder */

enum tls_client_auth {
    TLS_CLIENT_NONE,      /* peers are not asked for a certificate */
    TLS_CLIENT_REQUESTED, /* one that is given must be valid */
    TLS_CLIENT_REQUIRED,
};

/* Texts are the caller's, for the call. */
struct tls_settings {
    const char *certificate;       /* path: the chain, the listener's own first */
    const char *key;               /* path; empty: in the file of the certificate */
    const char *key_password;      /* empty: that of the file, or none */
    const char *key_password_file; /* path: its first line */
    const char *ca;                /* path: authorities that clients' certificates come from */
    const char *crl;           /* path: their revocation lists, a file or a folder; empty: none */
    const char *ciphers;       /* of TLS 1.2, as OpenSSL has them; empty: its defaults */
    const char *cipher_suites; /* of TLS 1.3, likewise */
    bool tls_1_2, tls_1_3;     /* at least one */
    enum tls_client_auth client_auth;
};

/* The files as they were read. */
struct tls_files {
    /* Owned; data NULL where there is none. */
    struct sl_bytes certificate, key, key_password, ca, crl;
    uint64_t hash; /* of all of them */
};
/* On failure ret_why is the end of a sentence that begins with the listener's name. [blocks] */
sl_err tls_files_read(struct sl_os *os, const struct tls_settings *settings,
                      struct tls_files *ret_files, char ret_why[TLS_WHY_BYTES]) SL_MUST_CHECK;
void tls_files_drop(struct tls_files *files); /* what is in them is overwritten */

struct tls_context;

/* wall_ms: a certificate or revocation list that is not valid then is refused. With lists, each
 * certificate of a client's chain must come from an authority that has one in force. E_CONFIG_VALUE
 * with a sentence as above; E_NO_MEMORY. */
sl_err tls_context_new(const struct tls_settings *settings, const struct tls_files *files,
                       int64_t wall_ms, struct tls_context **ret_context,
                       char ret_why[TLS_WHY_BYTES]) SL_MUST_CHECK;
struct tls_context *tls_context_ref(struct tls_context *context);
struct tls_context *tls_context_unref(struct tls_context *context); /* NULL is fine; returns NULL */

/* Of the listener's own certificate. */
struct tls_about {
    char subject[256];    /* RFC 2253; cut to fit */
    int64_t not_after_ms; /* wall clock */
};
const struct tls_about *tls_context_about(const struct tls_context *context);

/* For tls_session.c: SSL_CTX and BIO_METHOD. */
struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context);
struct bio_method_st *tls_context_wire(const struct tls_context *context);

#endif
