/* load_greeting.h: what a client of Kafka's protocol says before anything else: which calls are
 * there, and who it is (KIP-43, KIP-152). Without a socket; the exchanges of the mechanisms are
 * libsluice's. */
#ifndef SL_LOAD_LOAD_GREETING_H
#define SL_LOAD_LOAD_GREETING_H

#include "load/load_kafka_wire.h"

#include <client_login.h>

enum load_greeting_step {
    LOAD_GREETING_VERSIONS,
    LOAD_GREETING_MECHANISM,
    LOAD_GREETING_LOGIN,
    LOAD_GREETING_OVER,
};

struct load_greeting {
    struct sluice_client_options options; /* its texts are borrowed */
    enum load_greeting_step step;
    struct client_login login;
    const char *mechanism; /* that is tried; static or of the options */
    const char *offered;   /* the broker has refused it, and has this one; static; NULL: none */
    size_t size;
    char message[LOGIN_MESSAGE_MAX]; /* the next one of the mechanism */
};

/* NULL, or neither a user nor a token: no login. Without a mechanism the strongest that fits is
 * tried. [borrows security's texts] */
void load_greeting_init(struct load_greeting *greeting, const struct load_security *security);
/* Overwrites what it sent. */
void load_greeting_fini(struct load_greeting *greeting);
static inline bool load_greeting_is_over(const struct load_greeting *greeting)
{
    return greeting->step == LOAD_GREETING_OVER;
}
/* Writes the next request. */
sl_err load_greeting_write(struct load_greeting *greeting, struct load_kafka_wire *wire,
                           int32_t correlation) SL_MUST_CHECK;
/* Takes the answer to it; the next request follows unless it is over. An error: ret_text says why;
 * SLUICE_E_UNSUPPORTED_MECHANISM with greeting->offered: over a new connection that one may do. */
sl_err load_greeting_read(struct load_greeting *greeting, struct load_kafka_wire *wire,
                          struct sl_bytes frame, char ret_text[LOAD_TEXT_BYTES]) SL_MUST_CHECK;

#endif
