/* tls_rules.h: from the name of a certificate to the name of a principal, by rules in the form of
 * Kafka's ssl.principal.mapping.rules (KIP-371).
 *
 *   RULE:pattern/replacement/[LU], …, DEFAULT
 *
 * The first rule whose pattern matches the whole name gives the principal: matches of the pattern
 * replaced by `replacement`, in which $1 is what the first group matched; then in lower (L) or
 * upper (U) case. DEFAULT takes the name as it is. A slash in pattern or replacement is \/.
 * Patterns: name_pattern.h. Differs from Kafka in refusing what its parser would skip. [any] */
#ifndef SL_TLS_TLS_RULES_H
#define SL_TLS_TLS_RULES_H

#include "base/base.h"

#define TLS_RULES_MAX           32u
#define TLS_RULES_WHY_BYTES     240u
#define TLS_PRINCIPAL_BYTES_MAX 1000u /* of a name, before and after */

struct tls_rules;

/* An empty text is DEFAULT. E_CONFIG_VALUE with the end of a sentence, E_NO_MEMORY. */
sl_err tls_rules_new(const char *text, struct tls_rules **ret_rules,
                     char ret_why[TLS_RULES_WHY_BYTES]) SL_MUST_CHECK;
struct tls_rules *tls_rules_free(struct tls_rules *rules); /* NULL is fine */
/* E_NOT_FOUND: no rule applies, or what it gives is empty or too long; E_NO_MEMORY. */
sl_err tls_rules_apply(const struct tls_rules *rules, const char *name,
                       char ret_name[TLS_PRINCIPAL_BYTES_MAX + 1u]) SL_MUST_CHECK;

#endif
