/* test_login_desk.c: costly steps of logins: off the loop, so many at once, so many waiting; and
 * handshakes whose connection, listener or certificate goes while a step is away. */
#include "intake_fixture.h"

#include "intake/listener_tls.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture f;

/* ---- steps of its own ---- */

static sem_t gate;
static struct login_step steps[4];
static char order[8];
static uint32_t ordered;
static sl_err said[4];

static void wait_for_gate(struct login_step *step)
{
    (void)step;
    while (sem_wait(&gate) != 0) {
    }
}

static void note(struct login_step *step)
{
    order[ordered++] = (char)('0' + (step - steps));
}

static void submit(struct fixture *fixture, uint32_t index, bool urgent)
{
    steps[index] = (struct login_step){.work = wait_for_gate, .done = note};
    said[index] = login_desk_submit(&fixture->intake.logins, &steps[index], urgent);
}

static void submit_four(struct fixture *fixture)
{
    login_desk_limit(&fixture->intake.logins, 1, 1);
    submit(fixture, 0, false);
    submit(fixture, 1, false);
    submit(fixture, 2, false);
    submit(fixture, 3, true);
}

static bool is_idle(struct fixture *fixture)
{
    return login_desk_is_idle(&fixture->intake.logins);
}

Test(login_desk, so_many_run_and_wait_and_the_urgent_first, .timeout = 60)
{
    sem_init(&gate, 0, 0);
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, submit_four);
    cr_assert(said[0] == SLUICE_OK && said[1] == SLUICE_OK && said[3] == SLUICE_OK);
    cr_assert_eq(said[2], SLUICE_E_BUSY);
    cr_assert_eq(f.intake.logins.refused_total, 1);
    for (int i = 0; i < 3; i++) {
        sem_post(&gate);
    }
    cr_assert(fixture_wait(&f, is_idle));
    cr_assert_str_eq(order, "031");
    fixture_close(&f);
}

/* ---- a listener with TLS ---- */

static struct listener *listener;
static _Atomic uint32_t on_loop, off_loop;

static void note_thread(const SSL *ssl, int where, int value)
{
    (void)ssl;
    (void)value;
    if ((where & SSL_CB_LOOP) != 0) {
        (*(sl_loop_is_current(f.loop) ? &on_loop : &off_loop))++;
    }
}

static struct sl_bytes take_text(BIO *bio)
{
    uint8_t *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    uint8_t *copy = sl_alloc((size_t)size);
    memcpy(copy, text, (size_t)size);
    BIO_free(bio);
    return (struct sl_bytes){copy, (size_t)size};
}

static struct tls_context *make_context(void)
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
    struct tls_context *context = NULL;
    struct tls_files files = {0};
    char why[TLS_WHY_BYTES] = "";
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    BIO *texts[] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    PEM_write_bio_X509(texts[0], certificate);
    PEM_write_bio_PrivateKey(texts[1], key, NULL, NULL, 0, NULL, NULL);
    files.certificate = take_text(texts[0]);
    files.key = take_text(texts[1]);
    cr_assert_eq(tls_context_new(&settings, &files, (int64_t)time(NULL) * 1000, &context, why),
                 SLUICE_OK, "%s", why);
    SSL_CTX_set_info_callback(tls_context_ssl(context), note_thread);
    tls_files_drop(&files);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void open_listener(void)
{
    fixture_open(&f, 1u << 20, 4);
    f.fake.is_secure = true;
    listener = listener_new("outside", "fake");
    listener->tls = listener_tls_new();
    listener->tls->context = make_context();
}

static void close_all(void)
{
    listener_unref(listener);
    fixture_close(&f);
}

static int given;

static void start_on_loop(struct fixture *fixture)
{
    conn_start(&fixture->intake, fixture->frontend, listener, given, "peer:1");
}

static int connect_peer(void)
{
    int pair[2];
    struct timeval patience = {.tv_sec = 20};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    given = pair[0];
    fixture_on_loop(&f, start_on_loop);
    return pair[1];
}

/* ---- the peer ---- */

struct peer {
    int socket;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
};

static void peer_open(struct peer *peer, int version)
{
    peer->socket = connect_peer();
    peer->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(peer->context, version);
    SSL_CTX_set_max_proto_version(peer->context, version);
    peer->ssl = SSL_new(peer->context);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_connect_state(peer->ssl);
}

static void peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
    close(peer->socket);
}

/* What there is to send, in pieces of so many bytes. */
static void peer_send(struct peer *peer, int width)
{
    char bytes[65536];
    int got;
    while ((got = BIO_read(peer->out, bytes, width)) > 0) {
        fixture_send(peer->socket, bytes, (size_t)got);
    }
}

static bool peer_receive(struct peer *peer)
{
    char bytes[65536];
    ssize_t got = recv(peer->socket, bytes, sizeof(bytes), 0);
    return got > 0 && BIO_write(peer->in, bytes, (int)got) == (int)got;
}

/* A handshake with a frame right behind it, in the same bytes where that can be, and its echo. */
static void try_echo(int version, int width)
{
    struct peer peer;
    uint8_t frame[16], back[16];
    int size = (int)fixture_frame(frame, 'e', "hello", 5);
    peer_open(&peer, version);
    while (SSL_do_handshake(peer.ssl) != 1) {
        peer_send(&peer, width);
        cr_assert(peer_receive(&peer));
    }
    cr_assert_eq(SSL_write(peer.ssl, frame, size), size);
    peer_send(&peer, width);
    while (SSL_read(peer.ssl, back, size) != size) {
        cr_assert(peer_receive(&peer));
    }
    cr_assert_arr_eq(frame, back, (size_t)size);
    peer_close(&peer);
}

static bool none_is_there(struct fixture *fixture)
{
    return fixture->intake.connection_count == 0;
}

Test(login_desk, no_step_of_a_handshake_runs_on_a_loop, .timeout = 120)
{
    static const int widths[] = {1, 7, 65536};
    open_listener();
    for (size_t i = 0; i < SL_COUNT_OF(widths); i++) {
        try_echo(TLS1_2_VERSION, widths[i]);
        try_echo(TLS1_3_VERSION, widths[i]);
    }
    cr_assert(fixture_wait(&f, none_is_there));
    cr_assert_eq(on_loop, 0);
    cr_assert_gt(off_loop, 6);
    cr_assert_eq(f.intake.handshakes_total, 6);
    cr_assert_leq(f.intake.logins.steps_total, 6 * 4, "a step has a whole record to work on");
    close_all();
}

/* ---- what goes while a step is away ---- */

static void occupy(struct fixture *fixture)
{
    submit(fixture, 0, false); /* the fixture has one helper */
}

static void occupy_all(struct fixture *fixture)
{
    login_desk_limit(&fixture->intake.logins, 1, 1);
    submit(fixture, 0, false);
}

static bool two_run(struct fixture *fixture)
{
    return fixture->intake.logins.running_count == 2;
}

static bool one_waits(struct fixture *fixture)
{
    return fixture->intake.logins.waiting_count == 1;
}

static void say_hello(struct peer *peer)
{
    peer_open(peer, TLS1_3_VERSION);
    SSL_do_handshake(peer->ssl);
    peer_send(peer, 65536);
}

static void take_all_away(struct fixture *fixture)
{
    struct tls_context *before = listener->tls->context;
    listener->tls->context = make_context();
    tls_context_unref(before);
    intake_abort(&fixture->intake);
    cr_assert_eq(fixture->intake.connection_count, 0);
    cr_assert_not(login_desk_is_idle(&fixture->intake.logins));
}

static bool all_is_gone(struct fixture *fixture)
{
    return login_desk_is_idle(&fixture->intake.logins) && fixture->intake.connection_count == 0;
}

Test(login_desk, a_connection_and_its_certificate_may_go_while_a_helper_signs, .timeout = 60)
{
    struct peer peer;
    sem_init(&gate, 0, 0);
    open_listener();
    fixture_on_loop(&f, occupy);
    say_hello(&peer);
    cr_assert(fixture_wait(&f, two_run));
    fixture_on_loop(&f, take_all_away);
    listener = listener_unref(listener);
    sem_post(&gate);
    cr_assert(fixture_wait(&f, all_is_gone));
    cr_assert(fixture_is_closed(peer.socket));
    peer_close(&peer);
    close_all();
}

Test(login_desk, a_step_that_waits_goes_with_its_connection, .timeout = 60)
{
    struct peer peer;
    sem_init(&gate, 0, 0);
    open_listener();
    fixture_on_loop(&f, occupy_all);
    say_hello(&peer);
    cr_assert(fixture_wait(&f, one_waits));
    fixture_on_loop(&f, take_all_away);
    cr_assert_eq(f.intake.logins.waiting_count, 0);
    sem_post(&gate);
    cr_assert(fixture_wait(&f, all_is_gone));
    cr_assert_eq(f.intake.logins.steps_total, 1);
    peer_close(&peer);
    close_all();
}

static bool one_was_refused(struct fixture *fixture)
{
    return fixture->intake.logins.refused_total == 1 &&
           listener->gate.refused[LISTENER_LOGINS_FULL] == 1;
}

Test(login_desk, who_comes_when_too_many_wait_is_closed_and_counted, .timeout = 60)
{
    struct peer first, second;
    sem_init(&gate, 0, 0);
    open_listener();
    fixture_on_loop(&f, occupy_all);
    say_hello(&first);
    cr_assert(fixture_wait(&f, one_waits));
    say_hello(&second);
    cr_assert(fixture_is_closed(second.socket));
    cr_assert(fixture_wait(&f, one_was_refused));
    sem_post(&gate);
    cr_assert(peer_receive(&first), "the other one goes on");
    peer_close(&first);
    peer_close(&second);
    cr_assert(fixture_wait(&f, none_is_there));
    close_all();
}

/* A peer that leaves while its step is away is seen when the step is back. */
Test(login_desk, a_peer_may_leave_while_a_helper_signs, .timeout = 60)
{
    struct peer peer;
    sem_init(&gate, 0, 0);
    open_listener();
    fixture_on_loop(&f, occupy);
    say_hello(&peer);
    cr_assert(fixture_wait(&f, two_run));
    peer_close(&peer);
    sem_post(&gate);
    cr_assert(fixture_wait(&f, all_is_gone));
    cr_assert_eq(f.intake.handshakes_failed_total, 1);
    close_all();
}
