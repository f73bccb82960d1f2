/* SCRAM against the published exchanges: RFC 5802 section 5 (SHA-1, which no listener offers), RFC
 * 7677 section 3 (SHA-256); and what an exchange refuses. */
#include "auth/scram.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <string.h>

struct vector {
    const char *digest;
    uint32_t key_bytes;
    const char *salt; /* base64 */
    const char *client_first, *server_nonce, *server_first, *client_final, *server_final;
};
static const struct vector rfc5802 = {
    "SHA1",
    20,
    "QSXCR+Q6sek8bf92",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "3rfcNHYJY1ZVvWVs7j",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="};
static const struct vector rfc7677 = {
    "SHA256",
    32,
    "W22ZaJ0SNY7soEsUEjb6gQ==",
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};

static struct credential credential_of(const struct vector *vector, const char *password)
{
    struct credential credential = {.iterations = 4096, .key_size = (uint8_t)vector->key_bytes};
    uint8_t room[64];
    uint8_t salted[SCRAM_KEY_BYTES_MAX];
    size_t padding = strchr(vector->salt, '=') != NULL ? 2 : 0;
    int size = EVP_DecodeBlock(room, (const uint8_t *)vector->salt, (int)strlen(vector->salt));
    cr_assert_gt(size, 0);
    credential.salt_size = (uint8_t)((size_t)size - padding);
    memcpy(credential.salt, room, credential.salt_size);
    cr_assert_eq(scram_salted_password(vector->digest, sl_bytes_of_text(password),
                                       sl_bytes_of(credential.salt, credential.salt_size), 4096,
                                       salted),
                 SLUICE_OK);
    cr_assert_eq(scram_keys(vector->digest, salted, credential.stored_key, credential.server_key),
                 SLUICE_OK);
    return credential;
}

/* Up to the last message; its outcome. */
static sl_err exchange(const struct vector *vector, const char *password, const char *final)
{
    struct credential credential = credential_of(vector, password);
    struct scram scram;
    struct sl_bytes challenge;
    char answer[SCRAM_MESSAGE_BYTES_MAX] = "";
    size_t size = 0;
    cr_assert_eq(scram_begin(&scram, vector->digest, vector->key_bytes,
                             sl_bytes_of_text(vector->client_first)),
                 SLUICE_OK);
    cr_assert_str_eq(scram.user, "user");
    cr_assert_eq(scram_challenge(&scram, &credential, vector->server_nonce, &challenge), SLUICE_OK);
    cr_assert(sl_bytes_equal(challenge, sl_bytes_of_text(vector->server_first)), "%.*s",
              (int)challenge.size, challenge.data);
    sl_err err = scram_finish(&scram, sl_bytes_of_text(final), answer, &size);
    cr_assert(err != SLUICE_OK || strcmp(answer, vector->server_final) == 0, "%s", answer);
    scram_fini(&scram);
    return err;
}

Test(scram, the_exchange_of_rfc_5802)
{
    cr_assert_eq(exchange(&rfc5802, "pencil", rfc5802.client_final), SLUICE_OK);
}

Test(scram, the_exchange_of_rfc_7677)
{
    cr_assert_eq(exchange(&rfc7677, "pencil", rfc7677.client_final), SLUICE_OK);
}

Test(scram, another_password_nonce_binding_or_proof_is_refused)
{
    char final[512];
    cr_assert_eq(exchange(&rfc7677, "pencils", rfc7677.client_final), SLUICE_E_AUTHENTICATION);
    for (size_t i = 0; i < strlen(rfc7677.client_final); i++) {
        snprintf(final, sizeof(final), "%s", rfc7677.client_final);
        final[i] = final[i] == 'A' ? 'B' : 'A';
        cr_assert_eq(exchange(&rfc7677, "pencil", final), SLUICE_E_AUTHENTICATION, "%zu", i);
    }
}

Test(scram, first_messages_that_are_none)
{
    static const char *const wrong[] = {"",
                                        "n",
                                        "n,,",
                                        "n,,n=,r=x",
                                        "n,,r=x,n=user",
                                        "n,,m=1,n=user,r=x",
                                        "p=tls-unique,,n=user,r=x",
                                        "n,a=other,n=user,r=x",
                                        "n,,n=us=er,r=x",
                                        "n,,n=user,r=",
                                        "n,,n=user,r=a b"};
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        struct scram scram;
        cr_assert_eq(scram_begin(&scram, "SHA256", 32, sl_bytes_of_text(wrong[i])),
                     SLUICE_E_AUTHENTICATION, "%s", wrong[i]);
    }
}

Test(scram, a_password_is_checked_against_a_credential)
{
    struct credential credential = credential_of(&rfc7677, "pencil");
    credential.mechanism = SLUICE_SCRAM_SHA_256;
    cr_assert(scram_password_fits(&credential, sl_bytes_of_text("pencil")));
    cr_assert(!scram_password_fits(&credential, sl_bytes_of_text("Pencil")));
}
