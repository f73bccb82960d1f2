/* listener_tls.h: TLS of a listener: its settings, which stay, and its certificate, which changes
 * while it listens. */
#ifndef SL_INTAKE_LISTENER_TLS_H
#define SL_INTAKE_LISTENER_TLS_H

#include "tls/tls_context.h"
#include "tls/tls_rules.h"

#define LISTENER_TEXT_BYTES  512u
#define LISTENER_RULES_BYTES 2048u

struct listener_tls {
    char certificate[LISTENER_TEXT_BYTES]; /* paths; see struct tls_settings */
    char key[LISTENER_TEXT_BYTES];
    char key_password[LISTENER_TEXT_BYTES];
    char key_password_file[LISTENER_TEXT_BYTES];
    char ca[LISTENER_TEXT_BYTES];
    char crl[LISTENER_TEXT_BYTES];
    char ciphers[LISTENER_TEXT_BYTES];
    char cipher_suites[LISTENER_TEXT_BYTES];
    char mapping[LISTENER_RULES_BYTES]; /* principal_mapping_rules */
    bool tls_1_2, tls_1_3;
    enum tls_client_auth client_auth;
    int64_t handshake_ms; /* it is done by then, or the connection is closed */
    struct tls_rules *rules;
    /* In force; atomic: written by loop 0, which frees what was before when every loop has turned.
     */
    struct tls_context *context;
    uint64_t files_hash; /* of what was read last, whether it was taken or not; loop 0's */
    bool files_failed;   /* it was not */
};

struct listener_tls *listener_tls_new(void); /* NULL: no memory. TLS 1.2 and 1.3 */
struct listener_tls *listener_tls_free(struct listener_tls *tls); /* NULL is fine; returns NULL */
struct tls_settings listener_tls_settings(const struct listener_tls *tls); /* borrows its texts */
/* For the length of this turn of the loop. [any loop] */
struct tls_context *listener_tls_context(const struct listener_tls *tls);

#endif
