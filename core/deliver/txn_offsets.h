/* txn_offsets.h: offsets that open transactions will commit for consumer groups (KIP-98, KIP-447).
 *
 *   TXN_OFFSET (durable) ─► pending ─► OFFSET_COMMIT … TXN_OFFSET_END, in one unit: committed
 *                                  └─► TXN_OFFSET_END: given up
 *
 * Like committed offsets nothing changes but through apply, which is also what recovery calls.
 * Payloads (little-endian, version 1): TXN_OFFSET: producer id i64, then an OFFSET_COMMIT payload
 * (offset_store.h). TXN_OFFSET_END: producer id i64, then the group. One thread. */
#ifndef SL_DELIVER_TXN_OFFSETS_H
#define SL_DELIVER_TXN_OFFSETS_H

#include "catalog/chain_map.h"
#include "deliver/offset_store.h"

#define TXN_OFFSET_ITEM_VERSION 1u
#define TXN_OFFSETS_MAX         1000000u /* pending on a shard */
#define TXN_OFFSET_HEAD_SIZE    8u       /* of both payloads, before the rest */

struct txn_offsets {
    struct chain_map groups;
    uint32_t count;
};

sl_err txn_offsets_init(struct txn_offsets *offsets) SL_MUST_CHECK;
void txn_offsets_fini(struct txn_offsets *offsets);
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err txn_offsets_apply(struct txn_offsets *offsets, uint16_t kind, uint8_t version,
                         struct sl_bytes payload) SL_MUST_CHECK;
/* Whether a transaction will commit an offset of this partition. */
bool txn_offsets_has_group(const struct txn_offsets *offsets, struct sl_bytes group);
bool txn_offsets_is_pending(const struct txn_offsets *offsets, struct sl_bytes group,
                            const struct sl_uuid *topic, uint32_t partition);
/* The pending offsets of a producer in a group, as OFFSET_COMMIT payloads, in the order in which
 * their partitions were first named. Nothing may change meanwhile. */
void txn_offsets_each(const struct txn_offsets *offsets, struct sl_bytes group, int64_t producer_id,
                      void (*visit)(void *arg, struct sl_bytes payload), void *arg);
/* All as TXN_OFFSET items, about `count` groups from bucket *at on; UINT32_MAX: that was all. */
sl_err txn_offsets_snapshot(const struct txn_offsets *offsets, uint32_t *at, uint32_t count,
                            offset_store_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
