/* tls_config.h: TLS of a listener out of the configuration: the keys kafka.tls.* and http.tls.*, or
 * an object with the same words. */
#ifndef SL_BROKER_TLS_CONFIG_H
#define SL_BROKER_TLS_CONFIG_H

#include "control/config.h"
#include "intake/listener.h"

struct cJSON;

/* [place]: "kafka" for kafka.tls, for the sentence that says what is wrong. No certificate: the
 * listener has no TLS. E_CONFIG_VALUE, E_NO_MEMORY. */
sl_err tls_config_take(struct listener *listener, const struct config_tls *config,
                       const char *place, char *ret_problem, size_t problem_size) SL_MUST_CHECK;
/* Of the member "tls" of a listener's object: false: plaintext; true: as base, whose TLS may be
 * NULL; an object: likewise, but for what it says. */
sl_err tls_config_take_object(struct listener *listener, const struct cJSON *value,
                              const struct listener_tls *base, const char *place, char *ret_problem,
                              size_t problem_size) SL_MUST_CHECK;
/* As that of another listener. E_NO_MEMORY. */
sl_err tls_config_copy(struct listener *listener, const struct listener_tls *base) SL_MUST_CHECK;
/* The sentence is complete once the files are read and the rules parsed: a listener with TLS has a
 * context afterwards. [blocks] */
sl_err tls_config_load(struct sl_os *os, struct listener *listener, char *ret_problem,
                       size_t problem_size) SL_MUST_CHECK;

#endif
