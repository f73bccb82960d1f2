/* broker_keys.h: the keys of Kafka's brokers that this one does not read: what tools ask for by
 * name is there, with Kafka's default, and says that it has no effect. Those with a meaning here
 * are in broker_config.c; a key that is in both shows as there. [any] */
#ifndef SL_CATALOG_BROKER_KEYS_H
#define SL_CATALOG_BROKER_KEYS_H

#include "base/base.h"

#include <sluice/broker.h>

struct broker_key {
    const char *name;
    int32_t type;              /* SLUICE_CONFIG_TYPE_* */
    const char *default_value; /* NULL: null */
};

#define BROKER_KEYS_MAX          320u
#define BROKER_KEY_DOCUMENTATION "Kafka's key; this broker does not read it."

extern const struct broker_key broker_keys[]; /* by rising name */
extern const uint32_t broker_key_count;

#endif
