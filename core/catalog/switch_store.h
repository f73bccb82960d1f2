/* switch_store.h: what was switched of plugin instances, by name: disabled or paused by an
 * operator, stopped by failures of its own; who, and when. Outlives the instance and the broker's
 * run; shard 0's log holds the items.
 *
 * Payload of PLUGIN_SWITCH (little-endian, version 1): time i64 (milliseconds since 1970), flags
 * u32 (bit 0: disabled, bit 1: paused, bits 2 to 4: it stopped by itself and why; 0: nothing is
 * switched, the entry goes), size of the name u16, size of who u16, name, who. Applied when durable
 * or recovered. One thread. */
#ifndef SL_CATALOG_SWITCH_STORE_H
#define SL_CATALOG_SWITCH_STORE_H

#include "base/base.h"
#include "wal/item.h"

#define SWITCH_ITEM_VERSION   1u
#define SWITCH_NAME_BYTES_MAX 64u
#define SWITCH_WHO_BYTES_MAX  64u
#define SWITCH_ITEM_BYTES_MAX (16u + SWITCH_NAME_BYTES_MAX + SWITCH_WHO_BYTES_MAX)
#define SWITCH_COUNT_MAX      1024u

#define SWITCH_DISABLED (1u << 0) /* it is not loaded */
#define SWITCH_PAUSED   (1u << 1) /* it is loaded, and its stages read nothing */

/* It stopped by itself: too many failures in a row, too large a share of them, on_error: stop. */
#define SWITCH_STOPPED_ROW    (1u << 2)
#define SWITCH_STOPPED_SHARE  (1u << 3)
#define SWITCH_STOPPED_RECORD (1u << 4)
#define SWITCH_STOPPED        (SWITCH_STOPPED_ROW | SWITCH_STOPPED_SHARE | SWITCH_STOPPED_RECORD)

struct plugin_switch {
    int64_t time_ms; /* of the last change */
    uint32_t flags;
    char name[SWITCH_NAME_BYTES_MAX + 1u];
    char who[SWITCH_WHO_BYTES_MAX + 1u]; /* "User:admin", "version 1a2b3c4d"; cut */
};

struct switch_store {
    struct plugin_switch *entries; /* owned; in the order of their first switching */
    uint32_t count, capacity;
};

void switch_store_fini(struct switch_store *store); /* a zeroed one is ready for use */
/* Bytes written to ret_payload. name is at most SWITCH_NAME_BYTES_MAX long. [any] */
size_t switch_item_encode(const struct plugin_switch *is,
                          uint8_t ret_payload[SWITCH_ITEM_BYTES_MAX]);
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY, E_LIMIT. */
sl_err switch_store_apply(struct switch_store *store, uint8_t version,
                          struct sl_bytes payload) SL_MUST_CHECK;
/* NULL: nothing of it is switched. Valid until the next apply. */
const struct plugin_switch *switch_store_find(const struct switch_store *store, const char *name);
/* Room for one name more, or it is there. */
bool switch_store_takes(const struct switch_store *store, const char *name);

#endif
