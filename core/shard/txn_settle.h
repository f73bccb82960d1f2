/* txn_settle.h: the offsets that a transaction holds for a group become the group's, or are given
 * up: in one unit, so that it is all of them (deliver/txn_offsets.h). [loop] */
#ifndef SL_SHARD_TXN_SETTLE_H
#define SL_SHARD_TXN_SETTLE_H

#include "shard/shard.h"

struct txn_settle {
    struct shard *shard;
    struct sl_bytes group;
    int64_t producer_id;
    bool commits;
    struct cut_waiter waiter;
    struct wal_unit unit;
    struct wal_item *items; /* owned, with the bytes of the last */
    void (*done)(struct txn_settle *settle, sl_err err);
};

/* done is set, and runs once; without pending offsets at once. The group's name stays until then.
 * Memory of the caller. */
void txn_settle_start(struct shard *shard, struct txn_settle *settle, struct sl_bytes group,
                      int64_t producer_id, bool commits);

#endif
