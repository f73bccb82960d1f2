/* topic_name.h: the one validator of topic names, for every frontend, plugin and command.
 *
 * Kafka's rules: 1 to 249 characters of a-z A-Z 0-9 . _ -, neither "." nor ".."; names that differ
 * only by
 * '.' and '_' collide (their metrics would) and the second is refused. Ours: `__sluice_` is
 * reserved. */
#ifndef SL_CATALOG_TOPIC_NAME_H
#define SL_CATALOG_TOPIC_NAME_H

#include "base/base.h"

#define TOPIC_NAME_BYTES_MAX   249u
#define TOPIC_NAME_RESERVED    "__sluice_"
#define TOPIC_NAME_DEAD_LETTER "__sluice_dlq."
#define TOPIC_NAME_STATE       "__sluice_state."

/* SLUICE_OK, or SLUICE_E_INVALID_TOPIC with a static sentence. Reserved names pass only when
 * `allow_reserved`: for look-ups, and for what the broker itself creates. [any] */
sl_err topic_name_check(struct sl_bytes name, bool allow_reserved,
                        const char **ret_reason) SL_MUST_CHECK;
bool topic_name_is_reserved(struct sl_bytes name); /* [any] */
/* True for different names that become equal when '.' is read as '_'. [any] */
bool topic_name_collides(struct sl_bytes a, struct sl_bytes b);
/* Hash under which colliding names are equal. [any] */
uint64_t topic_name_hash(struct sl_bytes name);

#endif
