/* client_tls.c: the transport over OpenSSL, and SCRAM's hashes. A session is one SSL over one
 * socket that does not block; the blocking is the connection's, in poll(). */
#include <sluice/client_tls.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IO_MAX (1 << 30)

struct tls {
    struct sluice_transport transport;
    SSL_CTX *context;
    BIO_METHOD *socket; /* OpenSSL's, but for its writes */
    char *name;         /* that is verified, NULL: the host's */
};

struct session {
    SSL *ssl;
    int fd;
    bool wants_write;
};

/* -- sockets -- */

/* As OpenSSL's own, which raises SIGPIPE where the peer is gone; a library must not. */
static int quiet_write(BIO *bio, const char *data, int size)
{
    const int fd = (int)BIO_get_fd(bio, NULL);
    const ssize_t sent = send(fd, data, (size_t)size, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (sent <= 0 && BIO_sock_should_retry((int)sent) != 0) {
        BIO_set_retry_write(bio);
    }
    return (int)sent;
}

static BIO_METHOD *quiet_socket(void)
{
    const BIO_METHOD *base = BIO_s_socket();
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOCKET, "socket without SIGPIPE");
    if (method != NULL && (BIO_meth_set_write(method, quiet_write) != 1 ||
                           BIO_meth_set_read(method, BIO_meth_get_read(base)) != 1 ||
                           BIO_meth_set_puts(method, BIO_meth_get_puts(base)) != 1 ||
                           BIO_meth_set_ctrl(method, BIO_meth_get_ctrl(base)) != 1 ||
                           BIO_meth_set_create(method, BIO_meth_get_create(base)) != 1 ||
                           BIO_meth_set_destroy(method, BIO_meth_get_destroy(base)) != 1)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* The socket stays the session's. */
static bool attach(SSL *ssl, const BIO_METHOD *method, int fd)
{
    BIO *bio = BIO_new(method);
    if (bio == NULL) {
        return false;
    }
    (void)BIO_set_fd(bio, fd, BIO_NOCLOSE);
    SSL_set_bio(ssl, bio, bio);
    return true;
}

/* -- sessions -- */

static void session_free(struct session *session)
{
    SSL_free(session->ssl);
    (void)close(session->fd);
    free(session);
}

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* An address is looked for among the certificate's addresses, a name among its names. */
static bool expect_name(SSL *ssl, const char *name)
{
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static sluice_status start(void *data, int fd, const char *host, void **ret_session)
{
    const struct tls *tls = data;
    struct session *session = calloc(1, sizeof(*session));
    SSL *ssl = session != NULL ? SSL_new(tls->context) : NULL;
    if (ssl == NULL || !expect_name(ssl, tls->name != NULL ? tls->name : host) ||
        !attach(ssl, tls->socket, fd)) {
        SSL_free(ssl);
        free(session);
        (void)close(fd);
        return SLUICE_E_NO_MEMORY;
    }
    SSL_set_connect_state(ssl);
    session->ssl = ssl;
    session->fd = fd;
    *ret_session = session;
    return SLUICE_OK;
}

/* What a call of OpenSSL means for the connection. */
static int64_t outcome(struct session *session, int result)
{
    if (result > 0) {
        session->wants_write = false;
        return result;
    }
    const int error = SSL_get_error(session->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        session->wants_write = error == SSL_ERROR_WANT_WRITE;
        return 0;
    }
    const bool is_refused = error == SSL_ERROR_SSL && !SSL_is_init_finished(session->ssl);
    return is_refused ? -(int64_t)SLUICE_E_AUTHENTICATION : -(int64_t)SLUICE_E_NETWORK;
}

static int64_t session_read(void *session_arg, void *ret_data, uint64_t size)
{
    struct session *session = session_arg;
    ERR_clear_error();
    return outcome(session, SSL_read(session->ssl, ret_data, size < IO_MAX ? (int)size : IO_MAX));
}

static int64_t session_write(void *session_arg, const void *data, uint64_t size)
{
    struct session *session = session_arg;
    ERR_clear_error();
    return outcome(session, SSL_write(session->ssl, data, size < IO_MAX ? (int)size : IO_MAX));
}

static bool session_wants_write(void *session)
{
    return ((const struct session *)session)->wants_write;
}

static void session_end(void *session_arg)
{
    struct session *session = session_arg;
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl);
    session_free(session);
}

/* -- the transport -- */

static bool load(SSL_CTX *context, const struct sluice_tls_options *options)
{
    bool done = options->ca_file != NULL ? SSL_CTX_load_verify_file(context, options->ca_file) == 1
                                         : SSL_CTX_set_default_verify_paths(context) == 1;
    if (done && options->cert_file != NULL) {
        done = SSL_CTX_use_certificate_chain_file(context, options->cert_file) == 1 &&
               options->key_file != NULL &&
               SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) == 1 &&
               SSL_CTX_check_private_key(context) == 1;
    }
    return done;
}

sluice_status sluice_tls_new(const struct sluice_tls_options *options,
                             struct sluice_transport **ret_transport)
{
    if (options->size < sizeof(*options)) {
        return SLUICE_E_INVALID;
    }
    struct tls *tls = calloc(1, sizeof(*tls));
    SSL_CTX *context = tls != NULL ? SSL_CTX_new(TLS_client_method()) : NULL;
    char *name = options->name != NULL ? strdup(options->name) : NULL;
    BIO_METHOD *method = context != NULL ? quiet_socket() : NULL;
    if (method == NULL || (options->name != NULL && name == NULL)) {
        BIO_meth_free(method);
        SSL_CTX_free(context);
        free(name);
        free(tls);
        return SLUICE_E_NO_MEMORY;
    }
    tls->context = context;
    tls->socket = method;
    tls->name = name;
    tls->transport = (struct sluice_transport){
        .size = sizeof(tls->transport),
        .data = tls,
        .start = start,
        .read = session_read,
        .write = session_write,
        .wants_write = session_wants_write,
        .end = session_end,
    };
    SSL_CTX_set_verify(context, options->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    /* A write may be repeated from another address: the queue of what is to be sent moves. */
    (void)SSL_CTX_set_mode(context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 || !load(context, options)) {
        sluice_tls_free(&tls->transport);
        return SLUICE_E_INVALID;
    }
    *ret_transport = &tls->transport;
    return SLUICE_OK;
}

void sluice_tls_free(struct sluice_transport *transport)
{
    if (transport != NULL) {
        struct tls *tls = transport->data;
        SSL_CTX_free(tls->context);
        BIO_meth_free(tls->socket);
        free(tls->name);
        free(tls);
    }
}

/* -- hashes -- */

static const EVP_MD *hash_of(uint32_t bits)
{
    return bits == 512 ? EVP_sha512() : EVP_sha256();
}

static bool digest(uint32_t bits, struct sluice_bytes data, uint8_t *ret_digest)
{
    return EVP_Digest(data.data, (size_t)data.size, ret_digest, NULL, hash_of(bits), NULL) == 1;
}

static bool hmac(uint32_t bits, struct sluice_bytes key, struct sluice_bytes data, uint8_t *ret_mac)
{
    return HMAC(hash_of(bits), key.data, (int)key.size, data.data, (size_t)data.size, ret_mac,
                NULL) != NULL;
}

static bool stretch(uint32_t bits, struct sluice_bytes password, struct sluice_bytes salt,
                    uint32_t iterations, uint8_t *ret_key)
{
    return PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                             (int)salt.size, (int)iterations, hash_of(bits), (int)(bits / 8),
                             ret_key) == 1;
}

static bool random_bytes(uint8_t *ret_bytes, uint64_t size)
{
    return RAND_bytes(ret_bytes, (int)size) == 1;
}

const struct sluice_client_hash *sluice_client_openssl(void)
{
    static const struct sluice_client_hash hash = {
        sizeof(hash), 0, digest, hmac, stretch, random_bytes,
    };
    return &hash;
}
