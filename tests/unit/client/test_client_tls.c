/* test_client_tls.c: the transport with TLS, without a peer. */
#include <sluice/client_tls.h>

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

Test(client_tls, a_peer_that_is_gone_is_an_error_and_no_signal)
{
    int ends[2];
    void *session = NULL;
    struct sluice_transport *transport = NULL;
    struct sluice_tls_options options = {.size = sizeof(options), .is_unverified = true};
    signal(SIGPIPE, SIG_DFL);
    cr_assert_eq(sluice_tls_new(&options, &transport), SLUICE_OK);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    cr_assert_eq(transport->start(transport->data, ends[0], "localhost", &session), SLUICE_OK);
    close(ends[1]);
    cr_expect_lt(transport->write(session, "x", 1), 0);
    transport->end(session);
    sluice_tls_free(transport);
}
