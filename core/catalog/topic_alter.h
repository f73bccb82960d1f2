/* topic_alter.h: changes of a topic's configuration, as a client asks for them (KIP-339): checked
 * against what is set and what the rules allow, and put into the payload of a TOPIC_CONFIG item. */
#ifndef SL_CATALOG_TOPIC_ALTER_H
#define SL_CATALOG_TOPIC_ALTER_H

#include "catalog/catalog.h"

/* The payload after all changes, on the heap: the caller frees ret_payload->data. Errors with a
 * sentence: E_INVALID_REQUEST (a key twice, no value, one that is fixed when the topic is created),
 * E_INVALID_CONFIG (unknown key, bad value, an operation for lists on something else, values that
 * do not go together); E_NO_MEMORY. [borrows alter] */
sl_err topic_alter_encode(const struct catalog *catalog, const struct topic *topic,
                          const struct sluice_config_alter *alter, struct sl_bytes *ret_payload,
                          char ret_reason[CATALOG_REASON_BYTES]) SL_MUST_CHECK;

#endif
