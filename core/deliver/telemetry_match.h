/* telemetry_match.h: which clients a subscription to their metrics is for (KIP-714, the
 * configuration `match` of client metrics).
 *
 *   match = element ("," element)*     element = selector "=" pattern
 *   selector = client_instance_id | client_id | client_software_name | client_software_version |
 *              client_source_address | client_source_port
 *
 * Each pattern is a regular expression over the whole of what the client is (topic_pattern.h: RE2's
 * syntax, linear time, where Kafka has Java's); all of them must match. A selector that is named
 * twice has the last pattern, as in Kafka. Nothing named: every client. [any] */
#ifndef SL_DELIVER_TELEMETRY_MATCH_H
#define SL_DELIVER_TELEMETRY_MATCH_H

#include "deliver/topic_pattern.h"

enum telemetry_selector {
    TELEMETRY_INSTANCE_ID,
    TELEMETRY_CLIENT_ID,
    TELEMETRY_SOFTWARE_NAME,
    TELEMETRY_SOFTWARE_VERSION,
    TELEMETRY_SOURCE_ADDRESS,
    TELEMETRY_SOURCE_PORT,
    TELEMETRY_SELECTOR_COUNT
};

struct telemetry_match {
    struct topic_pattern *patterns[TELEMETRY_SELECTOR_COUNT]; /* owned; NULL: anything */
};

/* E_INVALID_CONFIG with a static sentence; E_NO_MEMORY. */
sl_err telemetry_match_parse(struct sl_bytes text, struct telemetry_match *ret_match,
                             const char **ret_reason) SL_MUST_CHECK;
void telemetry_match_fini(struct telemetry_match *match);
bool telemetry_match_has(const struct telemetry_match *match,
                         const struct sl_bytes what[TELEMETRY_SELECTOR_COUNT]); /* one thread */

/* The next element of a list parted by commas, without blanks around it; empty ones are left out.
 * false: there is none. */
bool telemetry_list_next(struct sl_bytes *rest, struct sl_bytes *ret_element);

#endif
