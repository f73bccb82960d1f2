/* scram.c: see scram.h. */
#include "auth/scram.h"

#include "base/bytes.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

const char *scram_digest(int32_t mechanism)
{
    return mechanism == SLUICE_SCRAM_SHA_256   ? "SHA256"
           : mechanism == SLUICE_SCRAM_SHA_512 ? "SHA512"
                                               : NULL;
}

/* ---- arithmetic ---- */

static bool hmac(const char *digest, const uint8_t *key, size_t key_size, const void *data,
                 size_t size, uint8_t *ret_mac)
{
    size_t made = 0;
    return EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key, key_size, data, size, ret_mac,
                     EVP_MAX_MD_SIZE, &made) != NULL;
}

static bool hash(const char *digest, const uint8_t *data, size_t size, uint8_t *ret_hash)
{
    size_t made = 0;
    return EVP_Q_digest(NULL, digest, NULL, data, size, ret_hash, &made) == 1;
}

static size_t size_of(const char *digest)
{
    return strcmp(digest, "SHA512") == 0 ? 64 : strcmp(digest, "SHA1") == 0 ? 20 : 32;
}

sl_err scram_salted_password(const char *digest, struct sl_bytes password, struct sl_bytes salt,
                             int32_t iterations, uint8_t *ret_salted)
{
    EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
    int ok = md != NULL && PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size,
                                             salt.data, (int)salt.size, iterations, md,
                                             (int)size_of(digest), ret_salted) == 1;
    EVP_MD_free(md);
    return ok ? SLUICE_OK : SLUICE_E_INTERNAL;
}

sl_err scram_keys(const char *digest, const uint8_t *salted, uint8_t *ret_stored_key,
                  uint8_t *ret_server_key)
{
    uint8_t client_key[EVP_MAX_MD_SIZE];
    uint8_t stored[EVP_MAX_MD_SIZE];
    uint8_t server[EVP_MAX_MD_SIZE];
    size_t size = size_of(digest);
    bool ok = hmac(digest, salted, size, "Client Key", 10, client_key) &&
              hash(digest, client_key, size, stored) &&
              hmac(digest, salted, size, "Server Key", 10, server);
    if (ok) {
        memcpy(ret_stored_key, stored, size);
        memcpy(ret_server_key, server, size);
    }
    OPENSSL_cleanse(client_key, sizeof(client_key));
    OPENSSL_cleanse(server, sizeof(server));
    return ok ? SLUICE_OK : SLUICE_E_INTERNAL;
}

bool scram_password_fits(const struct credential *credential, struct sl_bytes password)
{
    uint8_t salted[EVP_MAX_MD_SIZE] = {0};
    uint8_t stored[EVP_MAX_MD_SIZE] = {0};
    uint8_t server[EVP_MAX_MD_SIZE] = {0};
    const char *digest = scram_digest(credential->mechanism);
    struct sl_bytes salt = {credential->salt, credential->salt_size};
    bool fits = digest != NULL &&
                scram_salted_password(digest, password, salt, credential->iterations, salted) ==
                    SLUICE_OK &&
                scram_keys(digest, salted, stored, server) == SLUICE_OK &&
                CRYPTO_memcmp(stored, credential->stored_key, credential->key_size) == 0;
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(server, sizeof(server));
    return fits;
}

/* ---- messages ---- */

/* What a scan looks at: the rest of a message. */
struct scan {
    const char *at, *end;
};

/* "x=value" up to a comma or the end. False: it is not that. */
static bool attribute(struct scan *scan, char name, struct sl_bytes *ret_value)
{
    if (scan->end - scan->at < 2 || scan->at[0] != name || scan->at[1] != '=') {
        return false;
    }
    const char *from = scan->at + 2;
    const char *comma = memchr(from, ',', (size_t)(scan->end - from));
    const char *to = comma != NULL ? comma : scan->end;
    *ret_value = sl_bytes_of(from, (size_t)(to - from));
    scan->at = comma != NULL ? comma + 1 : scan->end;
    return true;
}

/* "=2C" is a comma, "=3D" an equals sign, any other '=' an error. */
static bool take_name(struct sl_bytes text, char *ret_name, size_t room)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = (char)text.data[i];
        if (c == '=') {
            bool comma = i + 2 < text.size && memcmp(text.data + i, "=2C", 3) == 0;
            bool equals = i + 2 < text.size && memcmp(text.data + i, "=3D", 3) == 0;
            if (!comma && !equals) {
                return false;
            }
            c = comma ? ',' : '=';
            i += 2;
        }
        if (c == '\0' || size + 1 >= room) {
            return false;
        }
        ret_name[size++] = c;
    }
    ret_name[size] = '\0';
    return size > 0;
}

static bool keep(char *room, size_t capacity, const void *data, size_t size)
{
    if (size >= capacity) {
        return false;
    }
    memcpy(room, data, size);
    room[size] = '\0';
    return true;
}

static bool is_printable(struct sl_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return text.size > 0;
}

static bool take_header(struct scram *scram, struct scan *scan, char *authzid, size_t room)
{
    const char *start = scan->at;
    struct sl_bytes value = {0};
    uint8_t encoded[512];
    authzid[0] = '\0';
    if (scan->end - scan->at < 3 || (scan->at[0] != 'n' && scan->at[0] != 'y') ||
        scan->at[1] != ',') {
        return false;
    }
    scan->at += 2;
    if (scan->at[0] == ',') {
        scan->at++;
    } else if (!attribute(scan, 'a', &value) || !take_name(value, authzid, room)) {
        return false;
    }
    size_t size = (size_t)(scan->at - start);
    if (size > 300) {
        return false;
    }
    int made = EVP_EncodeBlock(encoded, (const uint8_t *)start, (int)size);
    return made > 0 && keep(scram->header, sizeof(scram->header), encoded, (size_t)made);
}

sl_err scram_begin(struct scram *scram, const char *digest, uint32_t key_bytes,
                   struct sl_bytes message)
{
    char authzid[CREDENTIAL_NAME_BYTES_MAX + 1u];
    struct scan scan = {(const char *)message.data, (const char *)message.data + message.size};
    struct sl_bytes user = {0};
    struct sl_bytes nonce = {0};
    *scram = (struct scram){.digest = digest, .key_bytes = key_bytes};
    if (message.size > SCRAM_MESSAGE_BYTES_MAX ||
        !take_header(scram, &scan, authzid, sizeof(authzid)) ||
        !keep(scram->first_bare, sizeof(scram->first_bare), scan.at,
              (size_t)(scan.end - scan.at)) ||
        !attribute(&scan, 'n', &user) || !attribute(&scan, 'r', &nonce) ||
        !take_name(user, scram->user, sizeof(scram->user)) || !is_printable(nonce) ||
        nonce.size > sizeof(scram->nonce) - SCRAM_NONCE_BYTES * 2 ||
        !keep(scram->nonce, sizeof(scram->nonce), nonce.data, nonce.size)) {
        return SLUICE_E_AUTHENTICATION;
    }
    scram->client_nonce_size = nonce.size;
    bool same = authzid[0] == '\0' || strcmp(authzid, scram->user) == 0;
    return same ? SLUICE_OK : SLUICE_E_AUTHENTICATION;
}

sl_err scram_challenge(struct scram *scram, const struct credential *credential, const char *nonce,
                       struct sl_bytes *ret_message)
{
    uint8_t salt[4 * CREDENTIAL_SALT_BYTES_MAX];
    size_t have = strlen(scram->nonce);
    memcpy(scram->stored_key, credential->stored_key, sizeof(scram->stored_key));
    memcpy(scram->server_key, credential->server_key, sizeof(scram->server_key));
    EVP_EncodeBlock(salt, credential->salt, credential->salt_size);
    snprintf(scram->nonce + have, sizeof(scram->nonce) - have, "%s", nonce);
    int size = snprintf(scram->server_first, sizeof(scram->server_first), "r=%s,s=%s,i=%d",
                        scram->nonce, (const char *)salt, credential->iterations);
    if (size < 0 || (size_t)size >= sizeof(scram->server_first)) {
        return SLUICE_E_AUTHENTICATION;
    }
    *ret_message = sl_bytes_of(scram->server_first, (size_t)size);
    return SLUICE_OK;
}

/* Standard base64 of exactly `wanted` bytes: the padding that this takes, and no stray bits. */
static bool decode_exactly(struct sl_bytes text, uint8_t *ret_bytes, size_t wanted)
{
    uint8_t room[EVP_MAX_MD_SIZE + 8];
    size_t padding = (3 - wanted % 3) % 3;
    if (text.size != (wanted + 2) / 3 * 4 || text.size / 4 * 3 > sizeof(room)) {
        return false;
    }
    const uint8_t *first = memchr(text.data, '=', text.size);
    size_t found = first != NULL ? (size_t)(text.data + text.size - first) : 0;
    int made = EVP_DecodeBlock(room, text.data, (int)text.size);
    if (found != padding || made < (int)wanted) {
        return false;
    }
    for (size_t i = wanted; i < (size_t)made; i++) {
        if (room[i] != 0) {
            return false;
        }
    }
    memcpy(ret_bytes, room, wanted);
    return true;
}

/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its hash is StoredKey. */
static bool proof_fits(const struct scram *scram, const char *auth, size_t auth_size,
                       const uint8_t *proof)
{
    uint8_t key[EVP_MAX_MD_SIZE];
    uint8_t stored[EVP_MAX_MD_SIZE];
    if (!hmac(scram->digest, scram->stored_key, scram->key_bytes, auth, auth_size, key)) {
        return false;
    }
    for (size_t i = 0; i < scram->key_bytes; i++) {
        key[i] ^= proof[i];
    }
    bool fits = hash(scram->digest, key, scram->key_bytes, stored) &&
                CRYPTO_memcmp(stored, scram->stored_key, scram->key_bytes) == 0;
    OPENSSL_cleanse(key, sizeof(key));
    return fits;
}

/* The nonce of server-first, whole (CVE-2024-56128). librdkafka before 2.6.1 puts its own before it
 * once more, which is as fresh and as much of this exchange. */
static bool nonce_fits(const struct scram *scram, struct sl_bytes nonce)
{
    size_t own = scram->client_nonce_size;
    struct sl_bytes wanted = sl_bytes_of_text(scram->nonce);
    if (nonce.size == own + wanted.size && memcmp(nonce.data, scram->nonce, own) == 0) {
        nonce = (struct sl_bytes){nonce.data + own, wanted.size};
    }
    return sl_bytes_equal(nonce, wanted);
}

sl_err scram_finish(struct scram *scram, struct sl_bytes message, char *ret_message,
                    size_t *ret_size)
{
    struct scan scan = {(const char *)message.data, (const char *)message.data + message.size};
    struct sl_bytes binding = {0};
    struct sl_bytes nonce = {0};
    struct sl_bytes proof_text = {0};
    uint8_t proof[EVP_MAX_MD_SIZE];
    uint8_t signature[EVP_MAX_MD_SIZE];
    uint8_t encoded[2 * EVP_MAX_MD_SIZE];
    char auth[3 * SCRAM_MESSAGE_BYTES_MAX];
    bool ok = message.size <= SCRAM_MESSAGE_BYTES_MAX && attribute(&scan, 'c', &binding) &&
              attribute(&scan, 'r', &nonce);
    while (ok && scan.end - scan.at > 2 && scan.at[0] != 'p' && scan.at[0] != 'm') {
        struct sl_bytes ignored;
        ok = attribute(&scan, scan.at[0], &ignored); /* extensions */
    }
    size_t bare = ok && scan.at > (const char *)message.data
                      ? (size_t)(scan.at - (const char *)message.data) - 1
                      : 0;
    ok = ok && attribute(&scan, 'p', &proof_text) && scan.at == scan.end &&
         sl_bytes_equal(binding, sl_bytes_of_text(scram->header)) && nonce_fits(scram, nonce) &&
         decode_exactly(proof_text, proof, scram->key_bytes);
    if (!ok) {
        return SLUICE_E_AUTHENTICATION;
    }
    int size = snprintf(auth, sizeof(auth), "%s,%s,%.*s", scram->first_bare, scram->server_first,
                        (int)bare, (const char *)message.data);
    if (size < 0 || (size_t)size >= sizeof(auth) || !proof_fits(scram, auth, (size_t)size, proof) ||
        !hmac(scram->digest, scram->server_key, scram->key_bytes, auth, (size_t)size, signature)) {
        return SLUICE_E_AUTHENTICATION;
    }
    EVP_EncodeBlock(encoded, signature, (int)scram->key_bytes);
    *ret_size = (size_t)snprintf(ret_message, SCRAM_MESSAGE_BYTES_MAX, "v=%s", (char *)encoded);
    return SLUICE_OK;
}

void scram_fini(struct scram *scram)
{
    OPENSSL_cleanse(scram, sizeof(*scram));
}
