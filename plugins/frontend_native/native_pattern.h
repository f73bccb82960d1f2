/* native_pattern.h: which topics a subscription means.
 *
 *   orders            that topic
 *   events.*.signup   `*` stands for one name between dots
 *   events.>          `>` at the end for one or more
 *
 * A pattern with a wildcard never means an internal topic ("__…"). Pure; [any] */
#ifndef FRONTEND_NATIVE_NATIVE_PATTERN_H
#define FRONTEND_NATIVE_NATIVE_PATTERN_H

#include <sluice/types.h>

#define NATIVE_PATTERN_BYTES_MAX 249u /* as a topic's name */

struct native_pattern {
    bool is_literal;
    uint16_t size;
    char *text; /* owned */
};

/* SLUICE_E_INVALID_TOPIC: empty, too long, an empty name, `>` elsewhere than at the end, or a
 * wildcard beside other characters; SLUICE_E_NO_MEMORY. */
sluice_status native_pattern_init(struct native_pattern *pattern, struct sluice_text text);
void native_pattern_fini(struct native_pattern *pattern);
bool native_pattern_matches(const struct native_pattern *pattern, struct sluice_text topic);

#endif
