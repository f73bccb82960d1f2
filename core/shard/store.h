/* store.h: bytes of a place, wherever they lie: in the log or in an extent. Nobody else asks which.
 *
 * A place is read on the loop when its bytes are in memory (store_read_cached), else on a helper
 * while it is pinned (store_read). */
#ifndef SL_SHARD_STORE_H
#define SL_SHARD_STORE_H

#include "extent/extent_format.h"
#include "index/stream_index.h"
#include "shard/shard.h"

typedef sl_err store_read_fn(struct shard *shard, const struct wal_place *place, void *ret_bytes);

/* E_WOULD_BLOCK: pin it and read on a helper. E_NOT_FOUND: it is gone. E_CORRUPT: its file is too
 * short. [loop] */
store_read_fn store_read_cached SL_MUST_CHECK;
/* While the caller holds a pin on it. [blocks] */
store_read_fn store_read SL_MUST_CHECK;
/* Several places one after the other into ret_bytes; those that lie together are read together. */
sl_err store_read_places(struct shard *shard, const struct wal_place *places, uint32_t count,
                         void *ret_bytes, store_read_fn *read) SL_MUST_CHECK;
/* The same from number *done on. *done: how many are there, also after an error, so that a helper
 * goes on where the memory ended. */
sl_err store_read_rest(struct shard *shard, const struct wal_place *places, uint32_t count,
                       void *ret_bytes, store_read_fn *read, uint32_t *done) SL_MUST_CHECK;
/* Asks for the bytes of several places, in extents: what is in the log was written a short while
 * ago. While the caller holds a pin on each. [blocks] */
void store_prefetch(struct shard *shard, const struct wal_place *places, uint32_t count);
/* Keeps the file of a place. False: it is gone. [loop] */
bool store_pin(struct shard *shard, const struct wal_place *place) SL_MUST_CHECK;
void store_unpin(struct shard *shard, const struct wal_place *place);
/* What an index says of a block of an extent; time_so_far is the index's own. [any] */
struct stream_run store_run_of_block(const struct extent_item *extent,
                                     const struct extent_block *block, bool verified);
/* What compaction made takes the place of the runs that hold the same offsets: those are given
 * back, the blocks are held. Memory as for stream_index_swap. [loop] */
void store_swap(struct partition *partition, const struct stream_run *blocks, uint32_t count);

#endif
