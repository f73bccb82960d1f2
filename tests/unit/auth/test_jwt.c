/* Tokens: the signed example of RFC 7515 A.1 (HS256), and what is refused. */
#include "auth/jwt.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

/* RFC 7515, appendix A.1: {"iss":"joe","exp":1300819380,…} */
#define TOKEN_HEAD "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
#define TOKEN_BODY                                                          \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL" \
    "mNvbS9pc19yb290Ijp0cnVlfQ"
#define TOKEN TOKEN_HEAD "." TOKEN_BODY ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}";
#define BEFORE_MS 1300819379000

static struct jwt_keys *keys_of(const char *text)
{
    struct jwt_keys *keys = NULL;
    char why[JWT_WHY_BYTES] = "";
    cr_assert_eq(jwt_keys_of_jwks(sl_bytes_of_text(text), &keys, why), SLUICE_OK, "%s", why);
    return keys;
}

static sl_err check(const char *token, const char *issuer, int64_t wall_ms, char *ret_name)
{
    struct jwt_keys *keys = keys_of(jwks);
    struct jwt_rules rules = {.issuer = issuer, .audience = "", .principal_claim = "iss"};
    char why[JWT_WHY_BYTES] = "";
    int64_t expires_ms = 0;
    sl_err err =
        jwt_check(keys, &rules, sl_bytes_of_text(token), wall_ms, ret_name, &expires_ms, why);
    cr_assert((err == SLUICE_OK) == (why[0] == '\0'));
    cr_assert(err != SLUICE_OK || expires_ms == 1300819380000);
    jwt_keys_unref(keys);
    return err;
}

Test(jwt, the_token_of_rfc_7515_is_joes)
{
    char name[JWT_NAME_BYTES];
    cr_assert_eq(check(TOKEN, "joe", BEFORE_MS, name), SLUICE_OK);
    cr_assert_str_eq(name, "joe");
}

Test(jwt, refuses_what_is_expired_of_another_issuer_changed_or_unsigned)
{
    char name[JWT_NAME_BYTES];
    char token[sizeof(TOKEN)];
    cr_assert_eq(check(TOKEN, "joe", BEFORE_MS + 1000, name), SLUICE_E_AUTHENTICATION);
    cr_assert_eq(check(TOKEN, "ann", BEFORE_MS, name), SLUICE_E_AUTHENTICATION);
    for (size_t i = 0; i < sizeof(TOKEN) - 1; i++) {
        memcpy(token, TOKEN, sizeof(TOKEN));
        token[i] = token[i] == 'A' ? 'B' : 'A';
        cr_assert_eq(check(token, "joe", BEFORE_MS, name), SLUICE_E_AUTHENTICATION, "%zu", i);
    }
    /* {"alg":"none"} */
    cr_assert_eq(check("eyJhbGciOiJub25lIn0." TOKEN_BODY ".", "joe", BEFORE_MS, name),
                 SLUICE_E_AUTHENTICATION);
    cr_assert_eq(check("", "joe", BEFORE_MS, name), SLUICE_E_AUTHENTICATION);
    cr_assert_eq(check("..", "joe", BEFORE_MS, name), SLUICE_E_AUTHENTICATION);
}

Test(jwt, key_sets_that_are_none)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}",
        "{\"keys\":[7]}",
    };
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        struct jwt_keys *keys = NULL;
        char why[JWT_WHY_BYTES] = "";
        cr_assert_neq(jwt_keys_of_jwks(sl_bytes_of_text(wrong[i]), &keys, why), SLUICE_OK, "%s",
                      wrong[i]);
        cr_assert_neq(why[0], '\0');
    }
}
