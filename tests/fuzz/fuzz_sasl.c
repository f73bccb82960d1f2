/* fuzz_sasl.c: messages of SCRAM, tokens and key sets: any bytes are refused or taken, and nothing
 * that was not signed is taken. The first byte chooses; of an exchange the two messages are parted
 * by a zero. */
#include "auth/jwt.h"
#include "auth/scram.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_scram(const uint8_t *data, size_t size)
{
    static const struct credential credential = {
        .mechanism = SLUICE_SCRAM_SHA_256, .iterations = 4096, .salt_size = 16, .key_size = 32};
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = zero != NULL ? (size_t)(zero - data) : size;
    char answer[SCRAM_MESSAGE_BYTES_MAX];
    struct sl_bytes challenge;
    struct scram scram;
    size_t answer_size = 0;
    if (scram_begin(&scram, "SHA256", 32, (struct sl_bytes){data, first}) != SLUICE_OK ||
        scram_challenge(&scram, &credential, "0123456789abcdef01234567", &challenge) != SLUICE_OK) {
        return;
    }
    size_t at = zero != NULL ? first + 1 : size;
    if (scram_finish(&scram, (struct sl_bytes){data + at, size - at}, answer, &answer_size) ==
            SLUICE_OK &&
        answer_size == 0) {
        abort();
    }
    scram_fini(&scram);
}

static void try_token(const uint8_t *data, size_t size)
{
    static const char set[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":"
                              "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";
    static const struct jwt_rules rules = {.issuer = "", .audience = "", .principal_claim = "sub"};
    struct jwt_keys *keys = NULL;
    char why[JWT_WHY_BYTES] = "";
    char name[JWT_NAME_BYTES];
    int64_t expires_ms = 0;
    struct sl_bytes text = {(const uint8_t *)set, sizeof(set) - 1};
    if (jwt_keys_of_jwks(text, &keys, why) != SLUICE_OK) {
        abort();
    }
    if (jwt_check(keys, &rules, (struct sl_bytes){data, size}, 1000, name, &expires_ms, why) ==
            SLUICE_OK &&
        name[0] == '\0') {
        abort();
    }
    jwt_keys_unref(keys);
}

static void try_keys(const uint8_t *data, size_t size)
{
    struct jwt_keys *keys = NULL;
    char why[JWT_WHY_BYTES] = "";
    if (jwt_keys_of_jwks((struct sl_bytes){data, size}, &keys, why) == SLUICE_OK) {
        if (jwt_keys_count(keys) == 0) {
            abort();
        }
        jwt_keys_unref(keys);
    } else if (why[0] == '\0') {
        abort(); /* a refusal says why */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint8_t *exact = malloc(size - (size > 1)); /* so that a step too far is seen */
    memcpy(exact, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        try_scram(exact, size - 1);
        break;
    case 1:
        try_token(exact, size - 1);
        break;
    default:
        try_keys(exact, size - 1);
        break;
    }
    free(exact);
    return 0;
}
