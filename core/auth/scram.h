/* scram.h: the server's side of SCRAM (RFC 5802; SHA-256 of RFC 7677, SHA-512 as Kafka has it), and
 * what it keeps of a password.
 *
 *   client-first ─► (credential of the user) ─► server-first ─► client-final ─► server-final
 *
 * Channel binding is not offered; an authorization identity must be the user itself. No password
 * and no key is ever logged. [any] */
#ifndef SL_AUTH_SCRAM_H
#define SL_AUTH_SCRAM_H

#include "catalog/access_store.h"

#define SCRAM_NONCE_BYTES       24u /* of the server, in base64 */
#define SCRAM_MESSAGE_BYTES_MAX 4096u
#define SCRAM_KEY_BYTES_MAX     64u

struct scram {
    const char *digest; /* OpenSSL's name: "SHA256" */
    uint32_t key_bytes;
    char user[CREDENTIAL_NAME_BYTES_MAX + 1u];
    char nonce[512]; /* the client's, then the server's behind it */
    size_t client_nonce_size;
    char first_bare[1024]; /* client-first-message-bare */
    char server_first[1024];
    char header[512]; /* gs2 header, in base64 */
    uint8_t stored_key[SCRAM_KEY_BYTES_MAX];
    uint8_t server_key[SCRAM_KEY_BYTES_MAX];
};

/* "SHA256" … for a mechanism; NULL: none. */
const char *scram_digest(int32_t mechanism);
/* SaltedPassword of RFC 5802: PBKDF2. Takes milliseconds. [blocks] E_INTERNAL. */
sl_err scram_salted_password(const char *digest, struct sl_bytes password, struct sl_bytes salt,
                             int32_t iterations, uint8_t *ret_salted) SL_MUST_CHECK;
/* Both keys that are stored. */
sl_err scram_keys(const char *digest, const uint8_t *salted, uint8_t *ret_stored_key,
                  uint8_t *ret_server_key) SL_MUST_CHECK;
/* Whether the password is the credential's. Takes milliseconds. [blocks] */
bool scram_password_fits(const struct credential *credential, struct sl_bytes password);

/* Reads client-first; scram->user is set. E_AUTHENTICATION. */
sl_err scram_begin(struct scram *scram, const char *digest, uint32_t key_bytes,
                   struct sl_bytes message) SL_MUST_CHECK;
/* server-first for the user's credential; nonce: the server's, printable. */
sl_err scram_challenge(struct scram *scram, const struct credential *credential, const char *nonce,
                       struct sl_bytes *ret_message) SL_MUST_CHECK;
/* Checks client-final; the answer is server-final, in ret_message of SCRAM_MESSAGE_BYTES_MAX.
 * E_AUTHENTICATION: the password is another one, or the message is not one. */
sl_err scram_finish(struct scram *scram, struct sl_bytes message, char *ret_message,
                    size_t *ret_size) SL_MUST_CHECK;
void scram_fini(struct scram *scram); /* forgets keys */

#endif
