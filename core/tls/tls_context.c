/* tls_context.c: see tls_context.h. */
#include "tls/tls_context.h"

#include "base/bytes.h"
#include "tls/tls_name.h"
#include "tls/tls_wire.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define PEER_CHAIN_BYTES_MAX (64 << 10) /* of certificates that a peer sends */
#define CHAIN_MAX            16u
#define AUTHORITIES_MAX      1024u
#define LISTS_MAX            1024u
#define READ_BUFFER_BYTES    (20u << 10) /* of a session, while it has input: a whole record */

struct tls_context {
    uint32_t refs;
    SSL_CTX *ssl;
    BIO_METHOD *wire;
    struct tls_about about;
};

struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context)
{
    return context->ssl;
}

struct bio_method_st *tls_context_wire(const struct tls_context *context)
{
    return context->wire;
}

const struct tls_about *tls_context_about(const struct tls_context *context)
{
    return &context->about;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    __atomic_add_fetch(&context->refs, 1, __ATOMIC_RELAXED);
    return context;
}

struct tls_context *tls_context_unref(struct tls_context *context)
{
    if (context != NULL && __atomic_sub_fetch(&context->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        SSL_CTX_free(context->ssl);
        BIO_meth_free(context->wire);
        sl_free(context);
    }
    return NULL;
}

/* ---- files ---- */

#define WRONG(why, ...) (snprintf((why), TLS_WHY_BYTES, __VA_ARGS__), SLUICE_E_CONFIG_VALUE)

/* Why OpenSSL refused; its queue is empty afterwards. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text != NULL ? text : "unknown reason";
}

/* The next certificate of the text; NULL: none is left, or (*ret_bad) it is broken. */
static X509 *next_certificate(BIO *text, bool *ret_bad)
{
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
    unsigned long error = certificate == NULL ? ERR_peek_last_error() : 0;
    *ret_bad = error != 0 && ERR_GET_REASON(error) != PEM_R_NO_START_LINE;
    if (!*ret_bad) {
        ERR_clear_error();
    }
    return certificate;
}

static sl_err check_time(const char *path, const X509 *certificate, int64_t wall_ms, char *ret_why)
{
    time_t now = (time_t)(wall_ms / 1000);
    if (X509_cmp_time(X509_get0_notAfter(certificate), &now) < 0) {
        return WRONG(ret_why, "certificate %.200s has expired", path);
    }
    if (X509_cmp_time(X509_get0_notBefore(certificate), &now) > 0) {
        return WRONG(ret_why, "certificate %.200s is not valid yet", path);
    }
    return SLUICE_OK;
}

static int64_t not_after_ms(const X509 *certificate)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    bool ok = epoch != NULL &&
              ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate)) == 1;
    ASN1_TIME_free(epoch);
    return ok ? ((int64_t)days * 86400 + seconds) * 1000 : 0;
}

static sl_err take_first(struct tls_context *context, const char *path, X509 *certificate,
                         int64_t wall_ms, char *ret_why)
{
    sl_err err = check_time(path, certificate, wall_ms, ret_why);
    if (err == SLUICE_OK && SSL_CTX_use_certificate(context->ssl, certificate) != 1) {
        err = WRONG(ret_why, "certificate %.200s is not usable: %s", path, reason());
    }
    if (tls_name_text(X509_get_subject_name(certificate), context->about.subject,
                      sizeof(context->about.subject)) != SLUICE_OK) {
        snprintf(context->about.subject, sizeof(context->about.subject), "(long)");
    }
    context->about.not_after_ms = not_after_ms(certificate);
    return err;
}

static sl_err take_chain(struct tls_context *context, const char *path, BIO *text, int64_t wall_ms,
                         char *ret_why)
{
    bool bad = false;
    X509 *certificate = next_certificate(text, &bad);
    if (certificate == NULL) {
        return WRONG(ret_why, "certificate %.200s is not one in PEM form%s%s", path,
                     bad ? ": " : "", bad ? reason() : "");
    }
    sl_err err = take_first(context, path, certificate, wall_ms, ret_why);
    X509_free(certificate);
    for (uint32_t i = 0; err == SLUICE_OK; i++) {
        certificate = next_certificate(text, &bad);
        if (certificate == NULL && !bad) {
            return SLUICE_OK;
        }
        if (certificate == NULL || i == CHAIN_MAX ||
            SSL_CTX_add0_chain_cert(context->ssl, certificate) != 1) {
            err = WRONG(ret_why, "certificate %.200s has a chain that is broken or too long", path);
            X509_free(certificate);
        }
    }
    return err;
}

struct key_password {
    struct sl_bytes text; /* size 0: none is configured */
    bool asked;           /* the key is encrypted */
};

static int give_password(char *buffer, int size, int writing, void *arg)
{
    struct key_password *password = arg;
    (void)writing;
    password->asked = true;
    if (password->text.size == 0 || password->text.size > (size_t)size) {
        return -1;
    }
    memcpy(buffer, password->text.data, password->text.size);
    return (int)password->text.size;
}

static sl_err key_problem(const char *path, const struct key_password *password, char *ret_why)
{
    const char *why = reason();
    if (password->asked && password->text.size == 0) {
        return WRONG(
            ret_why,
            "key %.160s is encrypted; give its password: key_password_file or key_password", path);
    }
    return password->asked
               ? WRONG(ret_why, "key %.160s cannot be decrypted: its password is another one", path)
               : WRONG(ret_why, "key %.200s is not one in PEM form: %s", path, why);
}

static sl_err take_key(struct tls_context *context, const struct tls_settings *settings, BIO *text,
                       struct sl_bytes from_file, char *ret_why)
{
    const char *path = settings->key[0] != '\0' ? settings->key : settings->certificate;
    struct key_password password = {.text = from_file};
    if (settings->key_password[0] != '\0') {
        password.text = sl_bytes_of_text(settings->key_password);
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, give_password, &password);
    if (key == NULL) {
        return key_problem(path, &password, ret_why);
    }
    sl_err err = SLUICE_OK;
    X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
    if (X509_check_private_key(certificate, key) != 1) {
        ERR_clear_error();
        err = WRONG(ret_why, "key %.120s is not that of the certificate %.120s", path,
                    settings->certificate);
    } else if (SSL_CTX_use_PrivateKey(context->ssl, key) != 1) {
        err = WRONG(ret_why, "key %.200s is not usable: %s", path, reason());
    }
    EVP_PKEY_free(key);
    return err;
}

static sl_err take_authorities(struct tls_context *context, const char *path, BIO *text,
                               char *ret_why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    bool bad = false;
    uint32_t count = 0;
    X509 *certificate;
    while ((certificate = next_certificate(text, &bad)) != NULL) {
        bad = count++ == AUTHORITIES_MAX || X509_STORE_add_cert(store, certificate) != 1 ||
              SSL_CTX_add_client_CA(context->ssl, certificate) != 1;
        X509_free(certificate);
        if (bad) {
            break;
        }
    }
    if (bad || count == 0) {
        return WRONG(ret_why, "ca %.200s is not a list of certificates in PEM form%s%s", path,
                     bad ? ": " : "", bad ? reason() : "");
    }
    return SLUICE_OK;
}

/* Whose list it is, for a sentence. */
static sl_err check_list(const X509_CRL *list, const char *path, int64_t wall_ms, char *ret_why)
{
    char issuer[128];
    time_t now = (time_t)(wall_ms / 1000);
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    if (tls_name_text(X509_CRL_get_issuer(list), issuer, sizeof(issuer)) != SLUICE_OK) {
        snprintf(issuer, sizeof(issuer), "(long)");
    }
    if (X509_cmp_time(X509_CRL_get0_lastUpdate(list), &now) > 0) {
        return WRONG(ret_why, "crl %.100s: the list of %s is not valid yet", path, issuer);
    }
    if (next != NULL && X509_cmp_time(next, &now) < 0) {
        return WRONG(ret_why, "crl %.100s: the list of %s has expired: get a new one from there",
                     path, issuer);
    }
    return SLUICE_OK;
}

static sl_err take_lists(struct tls_context *context, const char *path, BIO *text, int64_t wall_ms,
                         char *ret_why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    sl_err err = SLUICE_OK;
    uint32_t count = 0;
    X509_CRL *list;
    while (err == SLUICE_OK && (list = PEM_read_bio_X509_CRL(text, NULL, NULL, NULL)) != NULL) {
        err = check_list(list, path, wall_ms, ret_why);
        if (err == SLUICE_OK && (count++ == LISTS_MAX || X509_STORE_add_crl(store, list) != 1)) {
            err = WRONG(ret_why, "crl %.200s has too many lists, or one that is not usable: %s",
                        path, reason());
        }
        X509_CRL_free(list);
    }
    unsigned long error = ERR_peek_last_error();
    if (err == SLUICE_OK && (count == 0 || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)) {
        err = WRONG(ret_why, "crl %.200s is not a revocation list in PEM form: %s", path, reason());
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return err;
}

static sl_err with_text(struct sl_bytes bytes, BIO **ret_text)
{
    *ret_text = BIO_new_mem_buf(bytes.data, (int)bytes.size);
    return *ret_text == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sl_err take_files(struct tls_context *context, const struct tls_settings *settings,
                         const struct tls_files *files, int64_t wall_ms, char *ret_why)
{
    BIO *text = NULL;
    sl_err err = with_text(files->certificate, &text);
    if (err == SLUICE_OK) {
        err = take_chain(context, settings->certificate, text, wall_ms, ret_why);
        BIO_free(text);
    }
    if (err == SLUICE_OK && (err = with_text(files->key, &text)) == SLUICE_OK) {
        err = take_key(context, settings, text, files->key_password, ret_why);
        BIO_free(text);
    }
    if (err == SLUICE_OK && files->ca.data != NULL &&
        (err = with_text(files->ca, &text)) == SLUICE_OK) {
        err = take_authorities(context, settings->ca, text, ret_why);
        BIO_free(text);
    }
    if (err == SLUICE_OK && files->crl.data != NULL &&
        (err = with_text(files->crl, &text)) == SLUICE_OK) {
        err = take_lists(context, settings->crl, text, wall_ms, ret_why);
        BIO_free(text);
    }
    return err;
}

/* ---- the context ---- */

static sl_err take_ciphers(SSL_CTX *ssl, const struct tls_settings *settings, char *ret_why)
{
    if (settings->ciphers[0] != '\0' && SSL_CTX_set_cipher_list(ssl, settings->ciphers) != 1) {
        ERR_clear_error();
        return WRONG(ret_why, "ciphers \"%.160s\" name none that there is", settings->ciphers);
    }
    if (settings->cipher_suites[0] != '\0' &&
        SSL_CTX_set_ciphersuites(ssl, settings->cipher_suites) != 1) {
        ERR_clear_error();
        return WRONG(ret_why, "cipher_suites \"%.160s\" has one that there is not",
                     settings->cipher_suites);
    }
    return SLUICE_OK;
}

static void set_options(SSL_CTX *ssl, const struct tls_settings *settings)
{
    static const int verify[] = {
        [TLS_CLIENT_NONE] = SSL_VERIFY_NONE,
        [TLS_CLIENT_REQUESTED] = SSL_VERIFY_PEER,
        [TLS_CLIENT_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    SSL_CTX_set_min_proto_version(ssl, settings->tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ssl, settings->tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER_BYTES);
    SSL_CTX_set_max_cert_list(ssl, PEER_CHAIN_BYTES_MAX);
    SSL_CTX_set_dh_auto(ssl, 1);
    SSL_CTX_set_verify(ssl, verify[settings->client_auth], NULL);
}

sl_err tls_context_new(const struct tls_settings *settings, const struct tls_files *files,
                       int64_t wall_ms, struct tls_context **ret_context,
                       char ret_why[TLS_WHY_BYTES])
{
    SL_ASSERT(settings->tls_1_2 || settings->tls_1_3);
    if (settings->client_auth != TLS_CLIENT_NONE && files->ca.data == NULL) {
        return WRONG(ret_why, "client_auth needs a ca: whom clients' certificates come from");
    }
    struct tls_context *context = sl_alloc_zero(1, sizeof(*context));
    if (context == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    context->refs = 1;
    context->wire = tls_wire_method();
    context->ssl = SSL_CTX_new(TLS_server_method());
    sl_err err = context->wire == NULL || context->ssl == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        set_options(context->ssl, settings);
        err = take_ciphers(context->ssl, settings, ret_why);
    }
    err = err != SLUICE_OK ? err : take_files(context, settings, files, wall_ms, ret_why);
    if (err != SLUICE_OK) {
        tls_context_unref(context);
        return err;
    }
    *ret_context = context;
    return SLUICE_OK;
}
