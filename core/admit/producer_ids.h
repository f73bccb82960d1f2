/* producer_ids.h: producer ids, leased in blocks. Shard 0 only; one thread.
 *
 * The end of a block is durable (a PRODUCER_BLOCK item: end u64, little-endian) before an id below
 * it is given out; after a restart the next block begins at the last durable end. So no id is ever
 * given twice.
 *
 *   take ─► id | E_WOULD_BLOCK ─► lease_begin(payload) ─► caller commits ─► lease_end ─► take
 */
#ifndef SL_ADMIT_PRODUCER_IDS_H
#define SL_ADMIT_PRODUCER_IDS_H

#include "base/base.h"
#include "wal/item.h"

#define PRODUCER_BLOCK_IDS          1000
#define PRODUCER_BLOCK_ITEM_VERSION 1u
#define PRODUCER_BLOCK_ITEM_SIZE    8u

struct producer_ids {
    int64_t next;   /* to be given out */
    int64_t end;    /* durable end of the block */
    int64_t wanted; /* end of the lease under way; 0: none */
};

void producer_ids_init(struct producer_ids *ids);
/* E_WOULD_BLOCK: the block is used up; lease, then try again. */
sl_err producer_ids_take(struct producer_ids *ids, int64_t *ret_id) SL_MUST_CHECK;
/* True when the caller should commit a PRODUCER_BLOCK item with this payload now, and then call
 * producer_ids_lease_end; false while a lease is under way (its end serves this caller too). */
bool producer_ids_lease_begin(struct producer_ids *ids,
                              uint8_t ret_payload[PRODUCER_BLOCK_ITEM_SIZE]);
/* The commit of lease_begin's item ended with `err`. */
void producer_ids_lease_end(struct producer_ids *ids, sl_err err);
/* The next epoch of an id that was given out. E_UNKNOWN_PRODUCER_ID: never given out;
 * E_INVALID_PRODUCER_EPOCH: negative, or the last one is used up (the caller takes a new id). */
sl_err producer_ids_bump(const struct producer_ids *ids, int64_t id, int16_t epoch,
                         int16_t *ret_epoch) SL_MUST_CHECK;
/* A PRODUCER_BLOCK item at recovery. E_CORRUPT, E_NEWER_FORMAT. */
sl_err producer_ids_apply(struct producer_ids *ids, uint8_t version,
                          struct sl_bytes payload) SL_MUST_CHECK;
/* The durable end as payload, for a checkpoint. */
void producer_ids_snapshot(const struct producer_ids *ids,
                           uint8_t ret_payload[PRODUCER_BLOCK_ITEM_SIZE]);

#endif
