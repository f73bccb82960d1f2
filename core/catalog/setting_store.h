/* setting_store.h: what is set by name and key beside topics: levels of features, configurations of
 * groups and of client metrics. Shard 0's log holds the items.
 *
 * Payload of SETTING (little-endian, version 1): kind u8 (SETTING_*), flags u8 (bit 0: it is gone),
 * sizes of name u16 (1 to 1023) and key u16 (1 to 255), size of the value u32 (at most 65535),
 * revision i64, name, key, value. The revision rises with each change of any setting. Applied when
 * durable or recovered. One thread. */
#ifndef SL_CATALOG_SETTING_STORE_H
#define SL_CATALOG_SETTING_STORE_H

#include "base/base.h"
#include "base/bytes.h"
#include "wal/item.h"

#define SETTING_ITEM_VERSION    1u
#define SETTING_NAME_BYTES_MAX  1023u
#define SETTING_KEY_BYTES_MAX   255u
#define SETTING_VALUE_BYTES_MAX 65535u
#define SETTING_COUNT_MAX       4096u

/* Kinds; those of configurations are Kafka's types of resources. */
#define SETTING_FEATURE        1u
#define SETTING_CLIENT_METRICS 16u
#define SETTING_GROUP          32u

/* Views are of the store, or of whoever made it. */
struct setting {
    uint8_t kind;
    int64_t revision;
    struct sl_bytes name;
    struct sl_bytes key;
    struct sl_bytes value; /* data NULL: it is gone */
};

struct setting_store {
    struct setting **entries; /* by kind, name and key; each with its texts behind it */
    uint32_t count, capacity;
    int64_t revision; /* of the last change */
};

void setting_store_fini(struct setting_store *store); /* a zeroed one is ready for use */
/* E_NO_MEMORY. [caller frees ret_payload->data] */
sl_err setting_item_encode(const struct setting *setting,
                           struct sl_bytes *ret_payload) SL_MUST_CHECK;
/* Views into the payload. E_CORRUPT, E_NEWER_FORMAT. */
sl_err setting_item_decode(uint8_t version, struct sl_bytes payload,
                           struct setting *ret_setting) SL_MUST_CHECK;
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY, E_LIMIT. */
sl_err setting_store_apply(struct setting_store *store, uint8_t version,
                           struct sl_bytes payload) SL_MUST_CHECK;
/* NULL: not set. Valid until the next apply. */
const struct setting *setting_store_find(const struct setting_store *store, uint8_t kind,
                                         struct sl_bytes name, struct sl_bytes key);
/* The settings of a name stand together: the first of them, or where it would be. */
uint32_t setting_store_first(const struct setting_store *store, uint8_t kind, struct sl_bytes name);

#endif
