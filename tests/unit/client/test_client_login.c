/* test_client_login.c: SCRAM against the example of RFC 7677, and against servers that lie. */
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
static char message[LOGIN_TEXT_MAX];
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
    login.mechanism = login_mechanism(sluice_text_of("SCRAM-SHA-256"), NULL, made.hash);
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

Test(client_login, takes_the_strongest_and_plain_only_by_name)
{
    const struct sluice_client_hash *hash = sluice_client_openssl();
    cr_assert_null(login_mechanism(sluice_text_of("PLAIN"), NULL, hash));
    cr_assert_not_null(login_mechanism(sluice_text_of("PLAIN"), "PLAIN", NULL));
    cr_assert_null(login_mechanism(sluice_text_of("SCRAM-SHA-256"), NULL, NULL), "without hashes");
    cr_assert_null(login_mechanism(sluice_text_of("GSSAPI"), "GSSAPI", hash));
    cr_assert_gt(login_rank("SCRAM-SHA-512"), login_rank("SCRAM-SHA-256"));
}
