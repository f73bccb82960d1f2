/* named_config.h: the keys of Kafka 4.3's configurations of groups and of client metrics, one
 * table. What is set is in the setting store; a value is checked here before. [any] */
#ifndef SL_CATALOG_NAMED_CONFIG_H
#define SL_CATALOG_NAMED_CONFIG_H

#include "catalog/broker_config.h"
#include "catalog/setting_store.h"

struct named_config_key {
    uint8_t kind; /* SETTING_GROUP or SETTING_CLIENT_METRICS */
    const char *name;
    struct config_rule rule;
    const char *default_value;
    const char *synonym; /* the broker's key for the default; NULL: none */
    const char *documentation;
};

/* NULL: there is no such key. */
const struct named_config_key *named_config_find(uint8_t kind, struct sl_bytes name);
/* Also against the broker's bounds of what groups configure. E_INVALID_CONFIG with a sentence. */
sl_err named_config_check(uint8_t kind, struct sl_bytes name, struct sl_bytes value,
                          const struct broker_settings *broker,
                          char ret_reason[CONFIG_REASON_BYTES]) SL_MUST_CHECK;

/* What a key of a name will be. value.data NULL: not set. */
struct named_config_value {
    struct sl_bytes value;
    bool is_new; /* the change at hand sets it, or takes it away */
};
typedef struct named_config_value named_config_value_fn(const void *arg, struct sl_bytes key);
/* Whether a group's session timeouts will exceed its heartbeat intervals, as far as the change is
 * of them; what is not set is the broker's. E_INVALID_CONFIG with Kafka's sentence. */
sl_err named_config_check_pairs(const struct broker_settings *broker,
                                named_config_value_fn *value_of, const void *arg,
                                char ret_reason[CONFIG_REASON_BYTES]) SL_MUST_CHECK;
/* All keys, for DescribeConfigs; settings: those of the name. The entries borrow their values. */
void named_config_describe(uint8_t kind, const struct setting *settings, uint32_t count,
                           const struct broker_settings *broker,
                           struct config_entries *ret_entries);

#endif
