/* sasl_config.h: how Kafka's listener has its clients log in, out of the configuration. */
#ifndef SL_BROKER_SASL_CONFIG_H
#define SL_BROKER_SASL_CONFIG_H

#include "base/base.h"

struct sluice;

/* Fills sluice->sasl; reads the keys for tokens. A mechanism that does not exist, or tokens without
 * a key, are told in one sentence: the broker does not start. [blocks] */
sl_err sasl_config_init(struct sluice *sluice, char *ret_problem,
                        size_t problem_size) SL_MUST_CHECK;
void sasl_config_fini(struct sluice *sluice);

#endif
