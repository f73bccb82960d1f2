/* sasl_session.h: the SASL exchange of one connection (RFC 4422): PLAIN (4616), SCRAM (5802, 7677),
 * OAUTHBEARER (7628).
 *
 *   start(mechanism) ─► step(message) ─► the user's credential from shard 0 ─► (PLAIN, OAUTHBEARER:
 *   login_desk.h, as a password costs milliseconds and a token a signature) ─► answer; a failure
 *   comes after security.failed_login_delay
 *
 * PLAIN is checked against the SCRAM credential: no password is stored. All on the connection's
 * loop; one step at a time. */
#ifndef SL_INTAKE_SASL_SESSION_H
#define SL_INTAKE_SASL_SESSION_H

#include "auth/jwt.h"
#include "shard/shard.h"

#include <sluice/security.h>

#define SASL_MESSAGE_BYTES_MAX (32u << 10)

enum sasl_mechanism {
    SASL_NONE,
    SASL_PLAIN,
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_512,
    SASL_OAUTHBEARER,
    SASL_MECHANISM_COUNT
};
/* "PLAIN"; number SASL_NONE: no such mechanism. */
const char *sasl_mechanism_name(uint32_t mechanism);
uint32_t sasl_mechanism_number(struct sluice_text name);

/* What a listener asks of its peers; immutable while the broker runs. */
struct sasl_settings {
    uint32_t mechanisms;         /* a bit each: 1 << enum sasl_mechanism; 0: no login */
    int64_t session_lifetime_ms; /* 0: for ever */
    int64_t failure_delay_ms;
    struct jwt_rules jwt;
    /* The place of the keys of tokens; atomic: what is there may be used for this turn of the loop.
     */
    struct jwt_keys *const *keys;
};

struct login_desk;
struct sasl_session;

/* Where a session runs, and for whom. */
struct sasl_peer {
    struct shard *home;
    struct login_desk *desk;
    const struct sasl_settings *settings; /* the listener's: not for helpers, nor for orphans */
    void (*put_off)(void *arg);           /* a step found too many waiting; not for orphans */
    void *arg;                            /* of put_off; as long as the connection */
};

/* Begins anew; *session is made, or what it had is forgotten. E_UNSUPPORTED_MECHANISM, E_NO_MEMORY,
 * E_AUTHENTICATION_STATE: a step is under way. */
sl_err sasl_session_start(struct sasl_session **session, const struct sasl_peer *peer,
                          struct sluice_text mechanism) SL_MUST_CHECK;
/* Whether a login on the connection came to its end; also while another one is under way. NULL:
 * none began. */
bool sasl_session_succeeded(const struct sasl_session *session);
/* See sluice_security.auth_step. E_BUSY: too many logins wait already. */
void sasl_session_step(struct sasl_session *session, struct sluice_bytes message,
                       sluice_auth_done *done, void *arg);
/* The connection is gone: a step that is under way ends with E_CANCELLED. NULL is fine. */
void sasl_session_drop(struct sasl_session *session);

#endif
