/* test_tls_session.c: a session against OpenSSL's client over a wire of any width: every byte may
 * have to wait, in both directions. */
#include "base/bytes.h"
#include "tls/tls_session.h"

#include <criterion/criterion.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#define DATA_BYTES 50000u

/* The client's two buffers, and how much the wire takes at once. */
struct peer {
    BIO *to_listener, *from_listener;
    SSL *ssl;
    SSL_CTX *context;
    size_t width;  /* of a read and of a write */
    uint32_t turn; /* every other call would block */
    bool ended;
    bool steady; /* no call blocks where there is something, and room */
    bool full;   /* nothing more is taken from the listener */
};

static sl_err wire_read(void *arg, void *buffer, size_t size, size_t *ret_size)
{
    struct peer *peer = arg;
    int got = peer->turn++ % 2 == 0 || peer->steady
                  ? BIO_read(peer->to_listener, buffer, (int)SL_MIN(size, peer->width))
                  : 0;
    if (got <= 0) {
        *ret_size = 0;
        return peer->ended && BIO_ctrl_pending(peer->to_listener) == 0 ? SLUICE_OK
                                                                       : SLUICE_E_WOULD_BLOCK;
    }
    *ret_size = (size_t)got;
    return SLUICE_OK;
}

static sl_err wire_write(void *arg, const void *data, size_t size, size_t *ret_size)
{
    struct peer *peer = arg;
    bool takes = (peer->turn++ % 2 == 0 || peer->steady) && !peer->full;
    size_t room = takes ? SL_MIN(size, peer->width) : 0;
    *ret_size = room == 0 ? 0 : (size_t)BIO_write(peer->from_listener, data, (int)room);
    return SLUICE_OK;
}

static struct sl_bytes pem_of(X509 *certificate, EVP_PKEY *key)
{
    uint8_t *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    cr_assert_eq(certificate != NULL
                     ? PEM_write_bio_X509(bio, certificate)
                     : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
                 1);
    long size = BIO_get_mem_data(bio, &text);
    uint8_t *copy = sl_alloc((size_t)size);
    memcpy(copy, text, (size_t)size);
    BIO_free(bio);
    return (struct sl_bytes){copy, (size_t)size};
}

static void make_files(struct tls_files *files)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"here", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    *files = (struct tls_files){.certificate = pem_of(certificate, NULL), .key = pem_of(NULL, key)};
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static struct tls_context *make_context(int64_t skew_ms, sl_err expected)
{
    const struct tls_settings settings = {.certificate = "c",
                                          .key = "",
                                          .key_password = "",
                                          .key_password_file = "",
                                          .ca = "",
                                          .crl = "",
                                          .ciphers = "",
                                          .cipher_suites = "",
                                          .tls_1_2 = true,
                                          .tls_1_3 = true};
    struct tls_files files;
    struct tls_context *context = NULL;
    char why[TLS_WHY_BYTES] = "";
    make_files(&files);
    int64_t wall_ms = (int64_t)time(NULL) * 1000 + skew_ms;
    cr_assert_eq(tls_context_new(&settings, &files, wall_ms, &context, why), expected, "%s", why);
    tls_files_drop(&files);
    return context;
}

static void peer_open(struct peer *peer, size_t width, int version)
{
    *peer = (struct peer){.width = width};
    peer->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(peer->context, version);
    SSL_CTX_set_max_proto_version(peer->context, version);
    peer->ssl = SSL_new(peer->context);
    peer->to_listener = BIO_new(BIO_s_mem());
    peer->from_listener = BIO_new(BIO_s_mem());
    SSL_set_bio(peer->ssl, peer->from_listener, peer->to_listener);
    SSL_set_connect_state(peer->ssl);
}

static void peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
}

static void shake_hands(struct peer *peer, struct tls_session *session)
{
    sl_err err = SLUICE_E_WOULD_BLOCK;
    for (uint32_t i = 0;
         i < 1000000 && (err == SLUICE_E_WOULD_BLOCK || !SSL_is_init_finished(peer->ssl)); i++) {
        SSL_do_handshake(peer->ssl);
        err = err == SLUICE_OK ? err : tls_session_handshake(session);
    }
    cr_assert_eq(err, SLUICE_OK, "%s", tls_session_why(session));
}

static uint8_t byte_at(size_t index)
{
    return (uint8_t)(index * 7 + index / 251);
}

/* In pieces of many sizes, as a connection sends what is queued. */
static void send_all(struct peer *peer, struct tls_session *session)
{
    static uint8_t data[DATA_BYTES], got[DATA_BYTES], scratch[TLS_RECORD_BYTES];
    size_t sent = 0;
    size_t received = 0;
    for (size_t i = 0; i < DATA_BYTES; i++) {
        data[i] = byte_at(i);
    }
    while (received < DATA_BYTES) {
        struct sl_iovec pieces[6];
        size_t at = sent;
        size_t count = 0;
        for (; count < SL_COUNT_OF(pieces) && at < DATA_BYTES; count++) {
            size_t size = SL_MIN((size_t)(count == 3 ? 20000 : 10 + count * 300), DATA_BYTES - at);
            pieces[count] = (struct sl_iovec){data + at, size};
            at += size;
        }
        size_t put = 0;
        cr_assert_eq(tls_session_writev(session, pieces, count, scratch, &put), SLUICE_OK);
        sent += put;
        int part = SSL_read(peer->ssl, got + received, (int)(DATA_BYTES - received));
        received += part > 0 ? (size_t)part : 0;
    }
    cr_assert_eq(sent, DATA_BYTES);
    cr_assert_eq(memcmp(data, got, DATA_BYTES), 0);
}

static void receive_all(struct peer *peer, struct tls_session *session)
{
    static uint8_t data[DATA_BYTES], got[DATA_BYTES];
    size_t received = 0;
    for (size_t i = 0; i < DATA_BYTES; i++) {
        data[i] = byte_at(i);
    }
    cr_assert_eq(SSL_write(peer->ssl, data, DATA_BYTES), (int)DATA_BYTES);
    while (received < DATA_BYTES) {
        size_t size = 0;
        sl_err err = tls_session_read(session, got + received, DATA_BYTES - received, &size);
        cr_assert(err == SLUICE_OK || err == SLUICE_E_WOULD_BLOCK, "%s", tls_session_why(session));
        received += err == SLUICE_OK ? size : 0;
    }
    cr_assert_eq(memcmp(data, got, DATA_BYTES), 0);
}

static struct tls_session *open_session(struct peer *peer, size_t width, int version)
{
    struct tls_session *session = NULL;
    struct tls_context *context = make_context(0, SLUICE_OK);
    peer_open(peer, width, version);
    const struct tls_wire wire = {.arg = peer, .read = wire_read, .write = wire_write};
    cr_assert_eq(tls_session_new(context, &wire, &session), SLUICE_OK);
    tls_context_unref(context); /* the session keeps it */
    return session;
}

static void try_width(size_t width, int version)
{
    struct peer peer;
    struct tls_session *session = open_session(&peer, width, version);
    shake_hands(&peer, session);
    cr_assert_str_eq(tls_session_version(session), SSL_get_version(peer.ssl));
    send_all(&peer, session);
    receive_all(&peer, session);
    SSL_shutdown(peer.ssl);
    size_t size = 1;
    sl_err err = SLUICE_E_WOULD_BLOCK;
    while (err == SLUICE_E_WOULD_BLOCK) {
        err = tls_session_read(session, &(uint8_t){0}, 1, &size);
    }
    cr_assert_eq(err, SLUICE_OK);
    cr_assert_eq(size, 0, "the peer said that it ends");
    tls_session_free(session);
    peer_close(&peer);
}

Test(tls_session, passes_bytes_over_a_wire_of_any_width, .timeout = 120)
{
    static const size_t widths[] = {1, 3, 97, 5000, 100000};
    for (size_t i = 0; i < SL_COUNT_OF(widths); i++) {
        try_width(widths[i], TLS1_2_VERSION);
        try_width(widths[i], TLS1_3_VERSION);
    }
}

/* What the client writes next, as it is on the wire. */
static size_t make_record(struct peer *peer, const char *text, uint8_t *ret_record, size_t size)
{
    cr_assert_eq(SSL_write(peer->ssl, text, (int)strlen(text)), (int)strlen(text));
    int made = BIO_read(peer->to_listener, ret_record, (int)size);
    cr_assert_gt(made, 0);
    return (size_t)made;
}

static sl_err read_text(struct tls_session *session, char ret_text[16])
{
    size_t size = 0;
    sl_err err = tls_session_read(session, ret_text, 15, &size);
    ret_text[size] = '\0';
    return err;
}

/* Who reads on while there is input would else read for ever. */
Test(tls_session, has_no_input_in_a_part_of_a_record_once_it_was_read)
{
    struct peer peer;
    struct tls_session *session = open_session(&peer, 100000, TLS1_3_VERSION);
    uint8_t records[3][256];
    size_t sizes[3];
    char text[16];
    shake_hands(&peer, session);
    for (size_t i = 0; i < 3; i++) {
        sizes[i] = make_record(&peer, (const char *[]){"one", "two", "three"}[i], records[i],
                               sizeof(records[i]));
    }
    peer.turn = 0;
    BIO_write(peer.to_listener, records[0], (int)sizes[0]);
    BIO_write(peer.to_listener, records[1], (int)sizes[1]);
    BIO_write(peer.to_listener, records[2], 7);
    cr_assert_eq(read_text(session, text), SLUICE_OK);
    cr_assert_str_eq(text, "one");
    cr_assert(tls_session_has_input(session), "a whole record, which the wire tells nothing of");
    cr_assert_eq(read_text(session, text), SLUICE_OK);
    cr_assert_str_eq(text, "two");
    cr_assert_eq(read_text(session, text), SLUICE_E_WOULD_BLOCK);
    cr_assert_not(tls_session_has_input(session));
    BIO_write(peer.to_listener, records[2] + 7, (int)sizes[2] - 7);
    peer.turn = 0;
    cr_assert_eq(read_text(session, text), SLUICE_OK);
    cr_assert_str_eq(text, "three");
    cr_assert_not(tls_session_has_input(session));
    tls_session_free(session);
    peer_close(&peer);
}

/* Of either kind: SSL_KEY_UPDATE_*. */
static void update_keys(struct peer *peer, int kind, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(SSL_key_update(peer->ssl, kind), 1);
        cr_assert_eq(SSL_do_handshake(peer->ssl), 1);
    }
}

/* The answer to a peer that takes nothing: who reads on meanwhile would read for ever. */
Test(tls_session, has_no_input_until_there_is_room_for_what_it_has_to_say_first)
{
    struct peer peer;
    struct tls_session *session = open_session(&peer, 100000, TLS1_3_VERSION);
    char text[16];
    shake_hands(&peer, session);
    peer.steady = peer.full = true;
    update_keys(&peer, SSL_KEY_UPDATE_REQUESTED, 3);
    cr_assert_eq(SSL_write(peer.ssl, "one", 3), 3);
    cr_assert_eq(read_text(session, text), SLUICE_E_WOULD_BLOCK);
    cr_assert(tls_session_waits_for_room(session));
    cr_assert_not(tls_session_has_input(session));
    peer.full = false;
    tls_session_has_room(session);
    cr_assert_not(tls_session_waits_for_room(session));
    cr_assert(tls_session_has_input(session), "no event tells of it");
    cr_assert_eq(read_text(session, text), SLUICE_OK);
    cr_assert_str_eq(text, "one");
    cr_assert_gt(BIO_ctrl_pending(peer.from_listener), 0, "the keys that were asked for");
    tls_session_free(session);
    peer_close(&peer);
}

/* A peer that says more than is read meanwhile would else keep one read going for ever. */
Test(tls_session, one_read_of_what_is_no_data_takes_no_more_than_some_buffers)
{
    struct peer peer;
    struct tls_session *session = open_session(&peer, 100000, TLS1_3_VERSION);
    char text[16];
    uint32_t reads = 0;
    shake_hands(&peer, session);
    peer.steady = true;
    update_keys(&peer, SSL_KEY_UPDATE_NOT_REQUESTED, 4000);
    cr_assert_eq(SSL_write(peer.ssl, "one", 3), 3);
    size_t before = BIO_ctrl_pending(peer.to_listener);
    while (read_text(session, text) == SLUICE_E_WOULD_BLOCK) {
        size_t left = BIO_ctrl_pending(peer.to_listener);
        cr_assert_leq(before - left, 4 * TLS_RECORD_BYTES);
        before = left;
        reads++;
    }
    cr_assert_str_eq(text, "one");
    cr_assert_geq(reads, 1);
    tls_session_free(session);
    peer_close(&peer);
}

Test(tls_session, ends_where_its_peer_is_cut_off)
{
    struct peer peer;
    struct tls_session *session = open_session(&peer, 1000, TLS1_3_VERSION);
    peer.ended = true;
    sl_err err = SLUICE_E_WOULD_BLOCK;
    while (err == SLUICE_E_WOULD_BLOCK) {
        err = tls_session_handshake(session);
    }
    cr_assert_eq(err, SLUICE_E_NETWORK);
    cr_assert_str_eq(tls_session_why(session), "the peer closed the connection");
    cr_assert_eq(tls_session_handshake(session), SLUICE_E_NETWORK, "and stays so");
    tls_session_free(session);
    peer_close(&peer);
}

Test(tls_context, refuses_a_certificate_outside_of_its_time)
{
    make_context(7200 * 1000, SLUICE_E_CONFIG_VALUE);
    make_context(-7200 * 1000, SLUICE_E_CONFIG_VALUE);
    tls_context_unref(make_context(0, SLUICE_OK));
}
