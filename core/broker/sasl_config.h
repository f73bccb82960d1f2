/* sasl_config.h: how Kafka's listener has its clients log in, out of the configuration. */
#ifndef SL_BROKER_SASL_CONFIG_H
#define SL_BROKER_SASL_CONFIG_H

#include "base/base.h"

struct jwt_keys;
struct sl_os;
struct sluice;

/* Fills sluice->sasl. A mechanism that does not exist is told in one sentence: the broker does not
 * start. */
sl_err sasl_config_init(struct sluice *sluice, char *ret_problem,
                        size_t problem_size) SL_MUST_CHECK;
/* The keys of tokens, if a listener takes these: the listeners are known. What is wrong is told so
 * too. [blocks] */
sl_err sasl_config_take_keys(struct sluice *sluice, char *ret_problem,
                             size_t problem_size) SL_MUST_CHECK;
/* is_set: a JWKS file, else PEM. *ret_hash: of its text; 0: it cannot be read. ret_why has
 * JWT_WHY_BYTES. [blocks] */
sl_err sasl_config_read_keys(struct sl_os *os, const char *path, bool is_set,
                             struct jwt_keys **ret_keys, uint64_t *ret_hash,
                             char *ret_why) SL_MUST_CHECK;
void sasl_config_fini(struct sluice *sluice);

#endif
