/* name_pattern.h: regular expressions over names, in the form of Java that Kafka's mapping rules
 * are written in, matched in bounded time.
 *
 * Has: literals, . [a-z] [^…] \d \w \s \D \W \S \t, \ before what is not a letter or digit, ( ) (?:
 * ) | ^ $, and * + ? {n} {n,} {n,m} with a further ? for as few as possible. Anything else is
 * refused. Bytes are compared, so that a character outside of ASCII is several.
 *
 * A program of NAME_PATTERN_STEPS_MAX steps at most runs as a backtracking machine that visits each
 * pair of step and position once: time and memory are program times text, whatever the pattern.
 * [any]
 */
#ifndef SL_TLS_NAME_PATTERN_H
#define SL_TLS_NAME_PATTERN_H

#include "base/base.h"

#define NAME_PATTERN_GROUPS_MAX 16u /* of ( ), the whole match counted */
#define NAME_PATTERN_STEPS_MAX  1024u
#define NAME_PATTERN_TEXT_MAX   1024u
#define NAME_PATTERN_WHY_BYTES  120u

struct name_pattern;

/* E_CONFIG_VALUE with the end of a sentence ("has …"), E_NO_MEMORY. */
sl_err name_pattern_new(struct sl_bytes text, struct name_pattern **ret_pattern,
                        char ret_why[NAME_PATTERN_WHY_BYTES]) SL_MUST_CHECK;
struct name_pattern *name_pattern_free(struct name_pattern *pattern); /* NULL is fine */
uint32_t name_pattern_groups(const struct name_pattern *pattern);     /* without the whole match */

/* Begin and end of each group; SIZE_MAX: it took no part. */
struct name_match {
    size_t at[NAME_PATTERN_GROUPS_MAX][2];
};
/* The first match from `from` on, or, with whole, one of all of the text. E_NOT_FOUND, E_NO_MEMORY;
 * E_INVALID: the text is longer than NAME_PATTERN_TEXT_MAX. */
sl_err name_pattern_find(const struct name_pattern *pattern, struct sl_bytes text, size_t from,
                         bool whole, struct name_match *ret_match) SL_MUST_CHECK;

#endif
