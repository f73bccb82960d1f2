/* tls_session.c: see tls_session.h. */
#include "tls/tls_session.h"

#include "tls/tls_name.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Of the wire, in one read: the rest of a record, and the next one. */
#define READS_PER_CALL 2u

struct tls_session {
    struct tls_context *context;
    SSL *ssl;
    struct tls_wire wire;
    bool done;   /* the handshake */
    bool failed; /* nothing more may be asked of ssl */
    bool hungry; /* what ssl has is a part of a record: the last read asked the wire for more */
    bool stuck;  /* the last read asked for room: ssl has something to say before it goes on */
    char why[TLS_WHY_BYTES];
};

sl_err tls_session_new(struct tls_context *context, const struct tls_wire *wire,
                       struct tls_session **ret_session)
{
    struct tls_session *session = sl_alloc_zero(1, sizeof(*session));
    BIO *bio = session == NULL ? NULL : BIO_new(tls_context_wire(context));
    SSL *ssl = bio == NULL ? NULL : SSL_new(tls_context_ssl(context));
    if (ssl == NULL) {
        BIO_free(bio);
        sl_free(session);
        ERR_clear_error();
        return SLUICE_E_NO_MEMORY;
    }
    session->context = tls_context_ref(context);
    session->ssl = ssl;
    session->wire = *wire;
    BIO_set_data(bio, &session->wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    *ret_session = session;
    return SLUICE_OK;
}

struct tls_session *tls_session_free(struct tls_session *session)
{
    if (session != NULL) {
        if (session->done && !session->failed && !session->wire.broken) {
            SSL_shutdown(session->ssl); /* told if there is room, and not waited for */
        }
        SSL_free(session->ssl);
        tls_context_unref(session->context);
        ERR_clear_error();
        sl_free(session);
    }
    return NULL;
}

/* ---- why ---- */

static const struct {
    int reason;
    const char *why;
} causes[] = {
    {SSL_R_HTTP_REQUEST, "the peer does not speak TLS"},
    {SSL_R_HTTPS_PROXY_REQUEST, "the peer does not speak TLS"},
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "the peer does not speak TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer has no version of TLS that is enabled"},
    {SSL_R_VERSION_TOO_LOW, "the peer has no version of TLS that is enabled"},
    {SSL_R_NO_SHARED_CIPHER, "the peer has no cipher that is enabled"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer gave no certificate"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not trust the listener's certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not trust the listener's certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer does not trust the listener's certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer finds the listener's certificate expired"},
};

static void explain(struct tls_session *session)
{
    unsigned long error = ERR_peek_error();
    long verdict = SSL_get_verify_result(session->ssl);
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    const char *text = ERR_reason_error_string(error);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(session->why, sizeof(session->why), "the peer's certificate is not valid: %s",
                 X509_verify_cert_error_string(verdict));
        return;
    }
    for (size_t i = 0; i < SL_COUNT_OF(causes); i++) {
        text = reason == causes[i].reason ? causes[i].why : text;
    }
    snprintf(session->why, sizeof(session->why), "%s",
             session->wire.ended || session->wire.broken ? "the peer closed the connection"
             : text != NULL                              ? text
                                                         : "unknown reason");
}

/* What a call of OpenSSL that did not succeed means. *ret_end: the peer sends nothing more. */
static sl_err judge(struct tls_session *session, int result, bool *ret_end)
{
    int error = SSL_get_error(session->ssl, result);
    *ret_end = error == SSL_ERROR_ZERO_RETURN;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return SLUICE_E_WOULD_BLOCK;
    }
    if (error != SSL_ERROR_ZERO_RETURN) {
        explain(session);
        session->failed = true;
        *ret_end = session->wire.ended && !session->wire.broken;
    }
    ERR_clear_error();
    return SLUICE_E_NETWORK;
}

/* ---- the session ---- */

sl_err tls_session_handshake(struct tls_session *session)
{
    bool end = false;
    if (session->failed) {
        return SLUICE_E_NETWORK;
    }
    ERR_clear_error();
    session->wire.reads_left = UINT32_MAX; /* a flight is bounded */
    int result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        session->done = true;
        return SLUICE_OK;
    }
    sl_err err = judge(session, result, &end);
    if (err != SLUICE_E_WOULD_BLOCK && session->why[0] == '\0') {
        snprintf(session->why, sizeof(session->why), "the peer closed the connection");
    }
    return err;
}

sl_err tls_session_read(struct tls_session *session, void *buffer, size_t size, size_t *ret_size)
{
    bool end = false;
    if (session->failed) {
        return SLUICE_E_NETWORK;
    }
    ERR_clear_error();
    session->wire.reads_left = READS_PER_CALL;
    int result = SSL_read_ex(session->ssl, buffer, size, ret_size);
    session->hungry = result != 1 && SSL_want_read(session->ssl);
    session->stuck = result != 1 && SSL_want_write(session->ssl);
    if (result == 1) {
        return SLUICE_OK;
    }
    sl_err err = judge(session, result, &end);
    if (end) {
        *ret_size = 0;
        return SLUICE_OK;
    }
    return err;
}

/* What goes into the next record: the first piece where that fills one, else as many as fit, put
 * together. `skip` bytes of the first are sent. */
static struct sl_bytes gather(const struct sl_iovec *pieces, size_t count, size_t skip,
                              uint8_t *scratch)
{
    size_t used = 0;
    if (count == 1 || pieces[0].size - skip >= TLS_RECORD_BYTES) {
        size_t size = SL_MIN(pieces[0].size - skip, (size_t)TLS_RECORD_BYTES);
        return (struct sl_bytes){(const uint8_t *)pieces[0].base + skip, size};
    }
    for (size_t i = 0; i < count && used < TLS_RECORD_BYTES; i++) {
        size_t size = SL_MIN(pieces[i].size - skip, TLS_RECORD_BYTES - used);
        memcpy(scratch + used, (const uint8_t *)pieces[i].base + skip, size);
        used += size;
        skip = 0;
    }
    return (struct sl_bytes){scratch, used};
}

sl_err tls_session_writev(struct tls_session *session, const struct sl_iovec *pieces, size_t count,
                          uint8_t *scratch, size_t *ret_size)
{
    size_t done = 0;
    size_t skip = 0;
    size_t at = 0;
    sl_err err = session->failed ? SLUICE_E_NETWORK : SLUICE_OK;
    while (err == SLUICE_OK) {
        while (at < count && skip >= pieces[at].size) {
            skip -= pieces[at++].size;
        }
        if (at == count) {
            break;
        }
        struct sl_bytes next = gather(pieces + at, count - at, skip, scratch);
        size_t put = 0;
        bool end = false;
        ERR_clear_error();
        int result = SSL_write_ex(session->ssl, next.data, next.size, &put);
        err = result == 1 ? SLUICE_OK : judge(session, result, &end);
        done += put;
        skip += put;
    }
    if (err == SLUICE_OK || err == SLUICE_E_WOULD_BLOCK) {
        *ret_size = done;
        return SLUICE_OK;
    }
    return err;
}

bool tls_session_has_input(const struct tls_session *session)
{
    return !session->failed && !session->hungry && !session->stuck &&
           SSL_has_pending(session->ssl) == 1;
}

bool tls_session_waits_for_room(const struct tls_session *session)
{
    return session->stuck;
}

void tls_session_has_room(struct tls_session *session)
{
    session->stuck = false;
}

const char *tls_session_why(const struct tls_session *session)
{
    return session->why;
}

const char *tls_session_version(const struct tls_session *session)
{
    return SSL_get_version(session->ssl);
}

const char *tls_session_cipher(const struct tls_session *session)
{
    return SSL_get_cipher_name(session->ssl);
}

sl_err tls_session_peer(const struct tls_session *session, char *ret_name, size_t size,
                        bool *ret_there)
{
    X509 *certificate = SSL_get0_peer_certificate(session->ssl);
    *ret_there = certificate != NULL;
    return certificate == NULL ? SLUICE_OK
                               : tls_name_text(X509_get_subject_name(certificate), ret_name, size);
}
