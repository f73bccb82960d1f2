/* sasl_message.h: the one message of PLAIN (RFC 4616) and of OAUTHBEARER (RFC 7628), taken apart.
 * Views into the message; nothing is copied. [any] */
#ifndef SL_AUTH_SASL_MESSAGE_H
#define SL_AUTH_SASL_MESSAGE_H

#include "base/base.h"

struct sasl_plain {
    struct sl_bytes authzid; /* may be empty */
    struct sl_bytes name, password;
};
/* authzid NUL name NUL password, no further NUL; neither name nor password is empty. E_INVALID. */
sl_err sasl_plain_parse(struct sl_bytes message, struct sasl_plain *ret_plain) SL_MUST_CHECK;

struct sasl_bearer {
    struct sl_bytes authzid; /* may be empty */
    struct sl_bytes token;
};
/* "n,[a=authzid],^A key=value^A … ^A", of which one is auth=Bearer TOKEN. E_INVALID. */
sl_err sasl_bearer_parse(struct sl_bytes message, struct sasl_bearer *ret_bearer) SL_MUST_CHECK;

#endif
