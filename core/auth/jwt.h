/* jwt.h: signed JSON web tokens (RFC 7515, 7519), and the keys that they are checked with.
 *
 * Keys come from a PEM file (one public key) or a JWKS file (RFC 7517: RSA, EC, oct). Algorithms:
 * RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, HS256, HS384, HS512; "none" is
 * refused, and a key is used for the algorithms of its kind only. A token has an "exp"; issuer and
 * audience are compared where they are configured. A set is immutable and shared by counting
 * references. [any] */
#ifndef SL_AUTH_JWT_H
#define SL_AUTH_JWT_H

#include "base/base.h"

#define JWT_BYTES_MAX      (16u << 10)
#define JWT_KEYS_MAX       64u
#define JWT_KEY_FILE_BYTES (1u << 20)
#define JWT_WHY_BYTES      160u
#define JWT_NAME_BYTES     256u

struct jwt_keys;

struct jwt_rules {
    const char *issuer;          /* empty: any */
    const char *audience;        /* empty: any */
    const char *principal_claim; /* "sub" */
    int64_t skew_ms;
};

/* E_CONFIG_SYNTAX, E_CONFIG_VALUE with a sentence; E_NO_MEMORY. */
sl_err jwt_keys_of_jwks(struct sl_bytes text, struct jwt_keys **ret_keys,
                        char ret_why[JWT_WHY_BYTES]) SL_MUST_CHECK;
sl_err jwt_keys_of_pem(struct sl_bytes text, struct jwt_keys **ret_keys,
                       char ret_why[JWT_WHY_BYTES]) SL_MUST_CHECK;
struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys);
struct jwt_keys *jwt_keys_unref(struct jwt_keys *keys); /* NULL is fine; returns NULL */
uint32_t jwt_keys_count(const struct jwt_keys *keys);

/* Whom the token is for, and until when (wall clock). E_AUTHENTICATION with a sentence that tells
 * nothing of the token. */
sl_err jwt_check(const struct jwt_keys *keys, const struct jwt_rules *rules, struct sl_bytes token,
                 int64_t wall_ms, char ret_name[JWT_NAME_BYTES], int64_t *ret_expires_ms,
                 char ret_why[JWT_WHY_BYTES]) SL_MUST_CHECK;

#endif
