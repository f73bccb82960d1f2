/* test_client_login.c: SCRAM against the example of RFC 7677, and against servers that lie; tokens;
 * which mechanism is chosen. */
#include "client_login.h"

#include <sluice/client_tls.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7677, section 3. Its nonce is no base64 of 24 bytes, so it is put into the login by hand. */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define PROOF                                                                        \
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+" \
    "Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SHOWN "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct client_login login;
static char message[LOGIN_MESSAGE_MAX];
static size_t size;

static struct sluice_bytes bytes_of(const char *text)
{
    return (struct sluice_bytes){(const uint8_t *)text, strlen(text)};
}

static struct sluice_client_options options(void)
{
    struct sluice_client_options made = sluice_client_defaults();
    made.user = "user";
    made.password = "pencil";
    made.hash = sluice_client_openssl();
    return made;
}

static void begin(void)
{
    const struct sluice_client_options made = options();
    memset(&login, 0, sizeof(login));
    login.mechanism = login_mechanism(sluice_text_of("SCRAM-SHA-256"), &made);
    cr_assert_eq(login_step(&login, &made, bytes_of(""), message, &size), SLUICE_OK);
    cr_assert_eq(memcmp(message, "n,,n=user,r=", 12), 0);
    memcpy(login.nonce, NONCE, sizeof(NONCE));
    memcpy(login.first, "n=user,r=" NONCE, sizeof("n=user,r=" NONCE));
}

static sluice_status step(const char *challenge)
{
    const struct sluice_client_options made = options();
    return login_step(&login, &made, bytes_of(challenge), message, &size);
}

Test(client_login, speaks_scram_as_its_rfc_does)
{
    begin();
    cr_assert_eq(step(SERVER), SLUICE_OK);
    cr_assert_eq(size, strlen(PROOF));
    cr_assert_arr_eq(message, PROOF, size);
    cr_assert_not(login.is_complete);
    cr_assert_eq(step(SHOWN), SLUICE_OK);
    cr_assert(login.is_complete);
}

Test(client_login, finds_out_a_server_that_does_not_know_the_password)
{
    begin();
    cr_assert_eq(step(SERVER), SLUICE_OK);
    cr_assert_eq(step("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), SLUICE_E_AUTHENTICATION);
    cr_assert_not(login.is_complete);
}

Test(client_login, refuses_challenges_that_are_none)
{
    const char *bad[] = {
        "",
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* the server adds nothing */
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
        "r=" NONCE "x,s=!!!,i=4096",
        "r=" NONCE "x,i=4096",
        "e=unknown-user",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin();
        cr_assert_eq(step(bad[i]), SLUICE_E_AUTHENTICATION, "%s", bad[i]);
    }
}

static const char *may(const char *offered, struct sluice_client_options made)
{
    return login_mechanism(sluice_text_of(offered), &made);
}

Test(client_login, takes_the_strongest_and_plain_only_by_name)
{
    struct sluice_client_options made = options();
    cr_assert_null(may("PLAIN", made));
    cr_assert_not_null(may("SCRAM-SHA-256", made));
    cr_assert_null(may("OAUTHBEARER", made), "without a token");
    made.hash = NULL;
    cr_assert_null(may("SCRAM-SHA-256", made), "without hashes");
    made.mechanism = "PLAIN";
    cr_assert_not_null(may("PLAIN", made));
    made.mechanism = "GSSAPI";
    cr_assert_null(may("GSSAPI", made));
    made = sluice_client_defaults();
    made.token = "a.b.c";
    cr_assert_not_null(may("OAUTHBEARER", made));
    cr_assert_null(may("SCRAM-SHA-512", made), "without a user");
    made.mechanism = "PLAIN";
    cr_assert_null(may("OAUTHBEARER", made), "another one is named");
    cr_assert_gt(login_rank("SCRAM-SHA-512"), login_rank("SCRAM-SHA-256"));
}

Test(client_login, shows_a_token_as_its_rfc_does_and_gives_in_when_it_is_refused)
{
    static const char shown[] =
        "n,,\001auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001";
    struct sluice_client_options made = sluice_client_defaults();
    made.token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    memset(&login, 0, sizeof(login));
    login.mechanism = "OAUTHBEARER";
    cr_assert_eq(login_step(&login, &made, bytes_of(""), message, &size), SLUICE_OK);
    cr_assert_eq(size, sizeof(shown) - 1);
    cr_assert_arr_eq(message, shown, size);
    cr_assert(login.is_complete);
    cr_assert_eq(
        login_step(&login, &made, bytes_of("{\"status\":\"invalid_token\"}"), message, &size),
        SLUICE_OK);
    cr_assert_eq(size, 1);
    cr_assert_eq(message[0], '\001');
}

Test(client_login, refuses_what_could_be_written_in_two_ways_and_tokens_that_are_none)
{
    static const struct {
        const char *mechanism, *user, *password, *token;
    } bad[] = {
        {"SCRAM-SHA-256", "us\xc3\xa9r", "pencil", NULL},
        {"SCRAM-SHA-256", "user", "p\xc3\xa9ncil", NULL},
        {"SCRAM-SHA-512", "user", "pen\tcil", NULL},
        {"OAUTHBEARER", NULL, NULL, ""},
        {"OAUTHBEARER", NULL, NULL, "a b"},
        {"OAUTHBEARER", NULL, NULL, "a\001host=x"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sluice_client_options made = options();
        made.user = bad[i].user;
        made.password = bad[i].password;
        made.token = bad[i].token;
        memset(&login, 0, sizeof(login));
        login.mechanism = bad[i].mechanism;
        cr_assert_eq(login_step(&login, &made, bytes_of(""), message, &size),
                     SLUICE_E_UNACCEPTABLE_CREDENTIAL, "%zu", i);
        cr_assert_not_null(login.problem);
    }
}

Test(client_login, takes_the_longest_token)
{
    static char token[LOGIN_TOKEN_MAX + 1];
    struct sluice_client_options made = sluice_client_defaults();
    memset(token, 'x', LOGIN_TOKEN_MAX);
    made.token = token;
    memset(&login, 0, sizeof(login));
    login.mechanism = "OAUTHBEARER";
    cr_assert_eq(login_step(&login, &made, bytes_of(""), message, &size), SLUICE_OK);
    cr_assert_eq(size, LOGIN_TOKEN_MAX + 18);
}
