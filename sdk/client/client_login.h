/* client_login.h: SASL on the client's side: PLAIN (RFC 4616), SCRAM (RFC 5802, 7677) and
 * OAUTHBEARER (RFC 7628). */
#ifndef SLUICE_CLIENT_LOGIN_H
#define SLUICE_CLIENT_LOGIN_H

#include <sluice/client.h>

#define LOGIN_TEXT_MAX    1024u /* of a message of an exchange, and of what is signed in it */
#define LOGIN_MAC_BYTES   64u
#define LOGIN_TOKEN_MAX   (16u << 10)
#define LOGIN_MESSAGE_MAX (LOGIN_TOKEN_MAX + 64u) /* of what is sent */

struct client_login {
    const char *mechanism; /* static; NULL: none is under way */
    const char *problem;   /* why login_step failed; static; NULL: what came is wrong */
    uint32_t bits;         /* of SCRAM's hash; 0: another mechanism */
    uint32_t step;
    bool is_complete; /* nothing more is to be sent, and the server has shown what it must */
    char first[LOGIN_TEXT_MAX]; /* the client's first message, bare */
    char nonce[48];
    uint8_t server_mac[LOGIN_MAC_BYTES];
};

/* The static name of a mechanism that is known here and may be used, NULL for others. Where none
 * is named: OAUTHBEARER with a token, SCRAM with a user and a hash. */
const char *login_mechanism(struct sluice_text offered,
                            const struct sluice_client_options *options);

/* Better is higher. */
uint32_t login_rank(const char *mechanism);

/* Takes the server's challenge (empty at first) and writes the client's message, with its size.
 * SLUICE_E_AUTHENTICATION: the server does not prove that it knows the password, or what it says is
 * no message. SLUICE_E_LIMIT: a name, or a count of iterations, is out of range.
 * SLUICE_E_UNACCEPTABLE_CREDENTIAL: a name, a password or a token has characters that it must not
 * have. */
sluice_status login_step(struct client_login *login, const struct sluice_client_options *options,
                         struct sluice_bytes challenge, char ret_message[LOGIN_MESSAGE_MAX],
                         size_t *ret_size);

#endif
