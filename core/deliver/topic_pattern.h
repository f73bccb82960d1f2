/* topic_pattern.h: regular expressions over topic names, in RE2's syntax, in linear time.
 *
 * A pattern matches a name as a whole, as Kafka's server-side subscriptions do (KIP-848). It
 * becomes a program of at most TOPIC_PATTERN_STEPS_MAX steps that is run over the name with all
 * states at once (Thompson, 1968; Pike): the time is the number of steps times the bytes of the
 * name, whatever the pattern. What is read: literals, . [classes] (also negated, with ranges,
 * [:posix:] and \d \w \s) \Q…\E, ^ $ \A \z \b \B, ( ) (?: ) (?i) (?s) (?P<name> ), alternatives, *
 * + ? {n,m} with or without ?. What RE2 refuses, or what is not here (backreferences, look-around,
 * \p classes), is refused. See docs/decisions/patterns-in-linear-time.md. [any] */
#ifndef SL_DELIVER_TOPIC_PATTERN_H
#define SL_DELIVER_TOPIC_PATTERN_H

#include "base/base.h"

#define TOPIC_PATTERN_BYTES_MAX  2048u
#define TOPIC_PATTERN_STEPS_MAX  4096u
#define TOPIC_PATTERN_REPEAT_MAX 1000u /* as RE2 bounds {n,m} */
#define TOPIC_PATTERN_DEPTH_MAX  100u  /* of brackets in brackets */

struct topic_pattern;

/* E_INVALID_REGEX, with *ret_reason a static sentence; E_NO_MEMORY. */
sl_err topic_pattern_new(struct sl_bytes text, struct topic_pattern **ret_pattern,
                         const char **ret_reason) SL_MUST_CHECK;
struct topic_pattern *topic_pattern_free(struct topic_pattern *pattern);
bool topic_pattern_matches(struct topic_pattern *pattern, struct sl_bytes name); /* one thread */

#endif
