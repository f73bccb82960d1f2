/* position_store.h: where each stage task goes on: (instance, topic id, partition) → next offset.
 *
 * A position is committed with the outputs that it stands for, in one unit (DESIGN 5.2), and
 * applied when durable or recovered. Positions outlive their instance until they are forgotten.
 *
 * Payload of STAGE_POSITION (little-endian, version 1): topic 16, next offset i64 (-1: forgotten),
 * partition u32, name size u16, zero u16, name. One thread. */
#ifndef SL_DELIVER_POSITION_STORE_H
#define SL_DELIVER_POSITION_STORE_H

#include "base/base.h"
#include "wal/item.h"

#define POSITION_ITEM_VERSION   1u
#define POSITION_NAME_BYTES_MAX 64u
#define POSITION_ITEM_BYTES_MAX (32u + POSITION_NAME_BYTES_MAX)

struct position_store;

struct position {
    struct sl_bytes name; /* of the instance, at most POSITION_NAME_BYTES_MAX */
    struct sl_uuid topic;
    uint32_t partition;
    int64_t next_offset;
};

struct position_store *position_store_new(void) SL_MUST_CHECK;
struct position_store *position_store_free(struct position_store *store); /* NULL is fine */

/* Bytes written to ret_payload. [any] */
size_t position_item_encode(const struct position *position,
                            uint8_t ret_payload[POSITION_ITEM_BYTES_MAX]);
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err position_store_apply(struct position_store *store, uint8_t version,
                            struct sl_bytes payload) SL_MUST_CHECK;
/* -1: none. */
int64_t position_store_get(const struct position_store *store, struct sl_bytes name,
                           const struct sl_uuid *topic, uint32_t partition);
/* All of an instance; the store does not change meanwhile. Walks the whole store. */
typedef void position_visit_fn(void *arg, const struct position *position);
void position_store_each(const struct position_store *store, struct sl_bytes name,
                         position_visit_fn *visit, void *arg);
/* Those of one partition of a topic, in no order; views live for the call. */
void position_store_each_of(const struct position_store *store, const struct sl_uuid *topic,
                            uint32_t partition, position_visit_fn *each, void *arg);
typedef sl_err position_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
/* About `count` positions, as they are now, from *at on (begin with 0); SIZE_MAX: that was all. A
 * position that is there all the time is among them at least once, whatever changes between calls.
 */
sl_err position_store_snapshot(const struct position_store *store, size_t *at, size_t count,
                               position_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
