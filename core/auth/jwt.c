/* jwt.c: see jwt.h. */
#include "auth/jwt.h"

#include "base/bytes.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

enum key_kind { KEY_RSA, KEY_EC, KEY_SECRET };

struct jwt_key {
    enum key_kind kind;
    char id[128]; /* "kid"; empty: none */
    EVP_PKEY *key;
    uint8_t secret[256];
    size_t secret_size;
};

struct jwt_keys {
    uint32_t refs;
    uint32_t count;
    struct jwt_key keys[JWT_KEYS_MAX];
};

/* ---- base64url ---- */

static int digit(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

/* No padding, no other character, no stray bits. */
static bool decode(struct sl_bytes text, uint8_t *ret_bytes, size_t room, size_t *ret_size)
{
    uint32_t bits = 0;
    uint32_t have = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = digit(text.data[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (size == room) {
                return false;
            }
            ret_bytes[size++] = (uint8_t)(bits >> have);
        }
    }
    *ret_size = size;
    return text.size % 4 != 1 && (bits & ((1u << have) - 1)) == 0;
}

/* ---- keys ---- */

static sl_err refuse(char *ret_why, const char *why)
{
    snprintf(ret_why, JWT_WHY_BYTES, "%s", why);
    return SLUICE_E_CONFIG_VALUE;
}

static struct jwt_keys *keys_new(void)
{
    struct jwt_keys *keys = sl_alloc_zero(1, sizeof(*keys));
    if (keys != NULL) {
        keys->refs = 1;
    }
    return keys;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys)
{
    __atomic_add_fetch(&keys->refs, 1, __ATOMIC_RELAXED);
    return keys;
}

struct jwt_keys *jwt_keys_unref(struct jwt_keys *keys)
{
    if (keys == NULL || __atomic_sub_fetch(&keys->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        EVP_PKEY_free(keys->keys[i].key);
    }
    OPENSSL_cleanse(keys, sizeof(*keys));
    sl_free(keys);
    return NULL;
}

uint32_t jwt_keys_count(const struct jwt_keys *keys)
{
    return keys->count;
}

/* Which kind the key is, where it is one that may be used. */
static bool take_pkey(struct jwt_key *key, EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);
    key->key = pkey;
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        key->kind = KEY_RSA;
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    key->kind = KEY_EC;
    return EVP_PKEY_is_a(pkey, "EC");
}

sl_err jwt_keys_of_pem(struct sl_bytes text, struct jwt_keys **ret_keys,
                       char ret_why[JWT_WHY_BYTES])
{
    struct jwt_keys *keys = keys_new();
    BIO *bio = BIO_new_mem_buf(text.data, (int)SL_MIN(text.size, (size_t)JWT_KEY_FILE_BYTES));
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (keys == NULL) {
        EVP_PKEY_free(pkey);
        return SLUICE_E_NO_MEMORY;
    }
    keys->count = pkey != NULL;
    if (pkey == NULL || !take_pkey(&keys->keys[0], pkey)) {
        jwt_keys_unref(keys);
        return refuse(ret_why, "it must hold one public key in PEM form, RSA of 2048 to 8192 bits "
                               "or EC");
    }
    *ret_keys = keys;
    return SLUICE_OK;
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool decode_member(const cJSON *object, const char *name, uint8_t *ret_bytes, size_t room,
                          size_t *ret_size)
{
    const char *text = text_of(object, name);
    return text != NULL && decode(sl_bytes_of_text(text), ret_bytes, room, ret_size) &&
           *ret_size > 0;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_of(const cJSON *object)
{
    uint8_t modulus[RSA_BITS_MAX / 8 + 1];
    uint8_t exponent[8];
    size_t modulus_size = 0;
    size_t exponent_size = 0;
    EVP_PKEY *key = NULL;
    if (!decode_member(object, "n", modulus, sizeof(modulus), &modulus_size) ||
        !decode_member(object, "e", exponent, sizeof(exponent), &exponent_size)) {
        return NULL;
    }
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_size, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_size, NULL);
    if (builder != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        key = build("RSA", builder);
    }
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *ec_of(const cJSON *object)
{
    static const struct {
        const char *name, *group;
        size_t size;
    } curves[] = {{"P-256", "P-256", 32}, {"P-384", "P-384", 48}, {"P-521", "P-521", 66}};
    const char *name = text_of(object, "crv");
    uint8_t point[1 + 2 * 66];
    EVP_PKEY *key = NULL;
    for (size_t i = 0; name != NULL && i < SL_COUNT_OF(curves); i++) {
        size_t size = curves[i].size;
        size_t x = 0;
        size_t y = 0;
        if (strcmp(curves[i].name, name) != 0) {
            continue;
        }
        point[0] = 4; /* both coordinates follow */
        OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        if (builder != NULL && decode_member(object, "x", point + 1, size, &x) && x == size &&
            decode_member(object, "y", point + 1 + size, size, &y) && y == size &&
            OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                                            0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             1 + 2 * size) == 1) {
            key = build("EC", builder);
        }
        OSSL_PARAM_BLD_free(builder);
    }
    return key;
}

/* False: it cannot be used, which is an error; a key for encryption is left out. */
static bool take_jwk(struct jwt_keys *keys, const cJSON *object)
{
    const char *kind = text_of(object, "kty");
    const char *use = text_of(object, "use");
    const char *id = text_of(object, "kid");
    struct jwt_key *key = &keys->keys[keys->count];
    if (use != NULL && strcmp(use, "sig") != 0) {
        return true;
    }
    if (kind == NULL || (id != NULL && strlen(id) >= sizeof(key->id))) {
        return false;
    }
    snprintf(key->id, sizeof(key->id), "%s", id != NULL ? id : "");
    if (strcmp(kind, "oct") == 0) {
        key->kind = KEY_SECRET;
        bool ok = decode_member(object, "k", key->secret, sizeof(key->secret), &key->secret_size) &&
                  key->secret_size >= 32;
        keys->count += ok;
        return ok;
    }
    EVP_PKEY *pkey = strcmp(kind, "RSA") == 0  ? rsa_of(object)
                     : strcmp(kind, "EC") == 0 ? ec_of(object)
                                               : NULL;
    keys->count += pkey != NULL;
    return pkey != NULL && take_pkey(key, pkey);
}

sl_err jwt_keys_of_jwks(struct sl_bytes text, struct jwt_keys **ret_keys,
                        char ret_why[JWT_WHY_BYTES])
{
    cJSON *root = text.size == 0 || text.size > JWT_KEY_FILE_BYTES
                      ? NULL
                      : cJSON_ParseWithLength((const char *)text.data, text.size);
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "keys");
    struct jwt_keys *keys = cJSON_IsArray(array) ? keys_new() : NULL;
    sl_err err = keys != NULL ? SLUICE_OK
                 : cJSON_IsArray(array)
                     ? SLUICE_E_NO_MEMORY
                     : refuse(ret_why, "it must be a JSON object with an array \"keys\"");
    const cJSON *item;
    int number = 0;
    cJSON_ArrayForEach(item, array)
    {
        number++;
        if (err == SLUICE_OK && (keys->count == JWT_KEYS_MAX || !take_jwk(keys, item))) {
            snprintf(ret_why, JWT_WHY_BYTES,
                     "key %d cannot be used: RSA of 2048 bits or more, EC on P-256, P-384, P-521, "
                     "or oct of 32 bytes or more; at most %u",
                     number, JWT_KEYS_MAX);
            err = SLUICE_E_CONFIG_VALUE;
        }
    }
    if (err == SLUICE_OK && keys->count == 0) {
        err = refuse(ret_why, "it holds no key for signatures");
    }
    cJSON_Delete(root);
    ERR_clear_error();
    if (err != SLUICE_OK) {
        jwt_keys_unref(keys);
        return err;
    }
    *ret_keys = keys;
    return SLUICE_OK;
}

/* ---- signatures ---- */

struct algorithm {
    const char *name;
    enum key_kind kind;
    const char *digest;
    bool pss;
    size_t half; /* EC: bytes of r and of s */
};
static const struct algorithm algorithms[] = {
    {"RS256", KEY_RSA, "SHA256", false, 0},    {"RS384", KEY_RSA, "SHA384", false, 0},
    {"RS512", KEY_RSA, "SHA512", false, 0},    {"PS256", KEY_RSA, "SHA256", true, 0},
    {"PS384", KEY_RSA, "SHA384", true, 0},     {"PS512", KEY_RSA, "SHA512", true, 0},
    {"ES256", KEY_EC, "SHA256", false, 32},    {"ES384", KEY_EC, "SHA384", false, 48},
    {"ES512", KEY_EC, "SHA512", false, 66},    {"HS256", KEY_SECRET, "SHA256", false, 0},
    {"HS384", KEY_SECRET, "SHA384", false, 0}, {"HS512", KEY_SECRET, "SHA512", false, 0},
};

static bool secret_fits(const struct jwt_key *key, const struct algorithm *algorithm,
                        struct sl_bytes input, struct sl_bytes signature)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t size = 0;
    return EVP_Q_mac(NULL, "HMAC", NULL, algorithm->digest, NULL, key->secret, key->secret_size,
                     input.data, input.size, mac, sizeof(mac), &size) != NULL &&
           size == signature.size && CRYPTO_memcmp(mac, signature.data, size) == 0;
}

static bool verify(EVP_PKEY *key, const struct algorithm *algorithm, struct sl_bytes input,
                   const uint8_t *signature, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    bool ok = context != NULL && EVP_DigestVerifyInit_ex(context, &inner, algorithm->digest, NULL,
                                                         NULL, key, NULL) == 1;
    if (ok && algorithm->pss) {
        ok = EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    ok = ok && EVP_DigestVerify(context, signature, size, input.data, input.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return ok;
}

/* r and s of fixed size become the ASN.1 that OpenSSL wants. */
static bool ec_fits(const struct jwt_key *key, const struct algorithm *algorithm,
                    struct sl_bytes input, struct sl_bytes signature)
{
    if (signature.size != 2 * algorithm->half ||
        (size_t)(EVP_PKEY_get_bits(key->key) + 7) / 8 != algorithm->half) {
        return false;
    }
    uint8_t *der = NULL;
    ECDSA_SIG *both = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, (int)algorithm->half, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + algorithm->half, (int)algorithm->half, NULL);
    bool ok = false;
    if (both != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(both, r, s) == 1) {
        int size = i2d_ECDSA_SIG(both, &der);
        ok = size > 0 && verify(key->key, algorithm, input, der, (size_t)size);
    } else {
        BN_free(r);
        BN_free(s);
    }
    OPENSSL_free(der);
    ECDSA_SIG_free(both);
    return ok;
}

static bool signature_fits(const struct jwt_key *key, const struct algorithm *algorithm,
                           struct sl_bytes input, struct sl_bytes signature)
{
    if (key->kind != algorithm->kind) {
        return false;
    }
    return key->kind == KEY_SECRET ? secret_fits(key, algorithm, input, signature)
           : key->kind == KEY_EC
               ? ec_fits(key, algorithm, input, signature)
               : verify(key->key, algorithm, input, signature.data, signature.size);
}

/* ---- tokens ---- */

static sl_err fail(char *ret_why, const char *why)
{
    snprintf(ret_why, JWT_WHY_BYTES, "%s", why);
    return SLUICE_E_AUTHENTICATION;
}

struct parts {
    struct sl_bytes header, claims, signature, input; /* as sent */
};

static bool split(struct sl_bytes token, struct parts *parts)
{
    const uint8_t *end = token.data + token.size;
    const uint8_t *first = token.size > 0 ? memchr(token.data, '.', token.size) : NULL;
    const uint8_t *second =
        first != NULL ? memchr(first + 1, '.', (size_t)(end - first) - 1) : NULL;
    if (second == NULL) {
        return false;
    }
    *parts = (struct parts){{token.data, (size_t)(first - token.data)},
                            {first + 1, (size_t)(second - first) - 1},
                            {second + 1, (size_t)(end - second) - 1},
                            {token.data, (size_t)(second - token.data)}};
    return true;
}

static cJSON *json_of(struct sl_bytes encoded, uint8_t *scratch)
{
    size_t size = 0;
    if (!decode(encoded, scratch, JWT_BYTES_MAX, &size) || memchr(scratch, 0, size) != NULL) {
        return NULL;
    }
    cJSON *object = cJSON_ParseWithLength((const char *)scratch, size);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static bool is_signed(const struct jwt_keys *keys, const cJSON *header, const struct parts *parts)
{
    const char *name = text_of(header, "alg");
    const char *id = text_of(header, "kid");
    uint8_t signature[RSA_BITS_MAX / 8];
    size_t size = 0;
    const struct algorithm *algorithm = NULL;
    for (size_t i = 0; name != NULL && i < SL_COUNT_OF(algorithms); i++) {
        algorithm = strcmp(algorithms[i].name, name) == 0 ? &algorithms[i] : algorithm;
    }
    if (algorithm == NULL || cJSON_GetObjectItemCaseSensitive(header, "crit") != NULL ||
        !decode(parts->signature, signature, sizeof(signature), &size)) {
        return false;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct jwt_key *key = &keys->keys[i];
        bool meant = id == NULL || key->id[0] == '\0' || strcmp(id, key->id) == 0;
        if (meant &&
            signature_fits(key, algorithm, parts->input, (struct sl_bytes){signature, size})) {
            return true;
        }
    }
    return false;
}

/* Seconds since 1970 as milliseconds. False: not a number that can be one. */
static bool time_of(const cJSON *claims, const char *name, int64_t *ret_ms)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(claims, name);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble) || item->valuedouble < 0 ||
        item->valuedouble > 1e12) {
        return false;
    }
    *ret_ms = (int64_t)(item->valuedouble * 1000);
    return true;
}

static bool has_audience(const cJSON *claims, const char *wanted)
{
    const cJSON *audience = cJSON_GetObjectItemCaseSensitive(claims, "aud");
    const cJSON *item;
    if (cJSON_IsString(audience)) {
        return strcmp(audience->valuestring, wanted) == 0;
    }
    cJSON_ArrayForEach(item, audience)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, wanted) == 0) {
            return true;
        }
    }
    return false;
}

static sl_err check_claims(const struct jwt_rules *rules, const cJSON *claims, int64_t wall_ms,
                           char *ret_name, int64_t *ret_expires_ms, char *ret_why)
{
    const char *name = text_of(claims, rules->principal_claim);
    const char *issuer = text_of(claims, "iss");
    int64_t expires_ms = 0;
    int64_t from_ms = 0;
    if (!time_of(claims, "exp", &expires_ms)) {
        return fail(ret_why, "the token does not say when it expires");
    }
    if (wall_ms >= expires_ms + rules->skew_ms) {
        return fail(ret_why, "the token has expired");
    }
    if (cJSON_HasObjectItem(claims, "nbf") &&
        (!time_of(claims, "nbf", &from_ms) || wall_ms + rules->skew_ms < from_ms)) {
        return fail(ret_why, "the token is not valid yet");
    }
    if (rules->issuer[0] != '\0' && (issuer == NULL || strcmp(issuer, rules->issuer) != 0)) {
        return fail(ret_why, "the token is of another issuer");
    }
    if (rules->audience[0] != '\0' && !has_audience(claims, rules->audience)) {
        return fail(ret_why, "the token is for another audience");
    }
    if (name == NULL || name[0] == '\0' || strlen(name) >= JWT_NAME_BYTES) {
        return fail(ret_why, "the token does not say whom it is for");
    }
    snprintf(ret_name, JWT_NAME_BYTES, "%s", name);
    *ret_expires_ms = expires_ms;
    return SLUICE_OK;
}

sl_err jwt_check(const struct jwt_keys *keys, const struct jwt_rules *rules, struct sl_bytes token,
                 int64_t wall_ms, char ret_name[JWT_NAME_BYTES], int64_t *ret_expires_ms,
                 char ret_why[JWT_WHY_BYTES])
{
    struct parts parts;
    uint8_t *scratch = sl_alloc(JWT_BYTES_MAX + 1);
    if (scratch == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    bool whole = token.size <= JWT_BYTES_MAX && split(token, &parts);
    cJSON *header = whole ? json_of(parts.header, scratch) : NULL;
    cJSON *claims = header != NULL ? json_of(parts.claims, scratch) : NULL;
    sl_err err = SLUICE_E_AUTHENTICATION;
    if (claims == NULL) {
        err = fail(ret_why, "it is not a signed JSON web token");
    } else if (!is_signed(keys, header, &parts)) {
        err = fail(ret_why, "no configured key has signed the token");
    } else {
        err = check_claims(rules, claims, wall_ms, ret_name, ret_expires_ms, ret_why);
    }
    cJSON_Delete(header);
    cJSON_Delete(claims);
    sl_free(scratch);
    return err;
}
