/* error_rule.h: on_error of a plugin instance: what becomes of a record that it cannot process. In
 * a manifest and in the configuration. Pure data. [any] */
#ifndef SL_CATALOG_ERROR_RULE_H
#define SL_CATALOG_ERROR_RULE_H

#include "base/base.h"

enum on_error {
    ON_ERROR_UNSET,
    ON_ERROR_DEAD_LETTER, /* to __sluice_dlq.<stage>; a gate refuses it to the producer */
    ON_ERROR_DROP,        /* left out and counted */
    ON_ERROR_RETRY,       /* comes again, with backoff; after retries_max times a dead letter */
    ON_ERROR_STOP,        /* the stage pauses before it */
};
#define ERROR_RULE_RETRIES_MAX     1000000u
#define ERROR_RULE_RETRIES_FOREVER UINT32_MAX

struct error_rule {
    enum on_error on;
    uint32_t retries_max; /* of ON_ERROR_RETRY */
};
#define ERROR_RULE_WORDS "dead-letter, drop, retry, retry N (1 to 1000000) or stop"
#define ERROR_RULE_BYTES 24u
/* "dead-letter", "drop", "retry", "retry 5", "stop"; empty: unset. E_INVALID. [any] */
sl_err error_rule_parse(struct sl_bytes text, struct error_rule *ret_rule) SL_MUST_CHECK;
/* As it is written; returns ret_text. */
const char *error_rule_text(const struct error_rule *rule, char ret_text[ERROR_RULE_BYTES]);
static inline bool error_rule_equal(const struct error_rule *a, const struct error_rule *b)
{
    return a->on == b->on && a->retries_max == b->retries_max;
}

#endif
