/* client_login.h: SASL on the client's side: PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677). */
#ifndef SLUICE_CLIENT_LOGIN_H
#define SLUICE_CLIENT_LOGIN_H

#include <sluice/client.h>

#define LOGIN_TEXT_MAX  1024u /* of a message of an exchange, and of what is signed in it */
#define LOGIN_MAC_BYTES 64u

struct client_login {
    const char *mechanism; /* static; NULL: none is under way */
    uint32_t bits;         /* of the hash; 0: PLAIN */
    uint32_t step;
    bool is_complete; /* nothing more is to be sent, and the server has shown what it must */
    char first[LOGIN_TEXT_MAX]; /* the client's first message, bare */
    char nonce[48];
    uint8_t server_mac[LOGIN_MAC_BYTES];
};

/* The static name of a mechanism that is known here and may be used, NULL for others.
 * `wanted` NULL: only SCRAM, and only with a hash. */
const char *login_mechanism(struct sluice_text offered, const char *wanted,
                            const struct sluice_client_hash *hash);

/* Better is higher. */
uint32_t login_rank(const char *mechanism);

/* Takes the server's challenge (empty at first) and writes the client's message, with its size.
 * SLUICE_E_AUTHENTICATION: the server does not prove that it knows the password, or what it says is
 * no message. SLUICE_E_LIMIT: a name, or a count of iterations, is out of range. */
sluice_status login_step(struct client_login *login, const struct sluice_client_options *options,
                         struct sluice_bytes challenge, char *ret_message, size_t *ret_size);

#endif
