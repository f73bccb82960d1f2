/* recovery.h: a shard's state out of its log; for shard.c (wal.h says when).
 *
 * Items build the catalog, indexes of what lies in the log, producers, offsets, positions and the
 * set of extents. When all are applied the footers of extents are read: their blocks take the place
 * of what the log may still hold of the same records. [blocks, before the loop runs] */
#ifndef SL_SHARD_RECOVERY_H
#define SL_SHARD_RECOVERY_H

#include "shard/shard.h"

/* arg: the shard. Each as the member of struct wal_events. */
sl_err recovery_apply(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                      struct sl_bytes payload, const struct wal_place *place) SL_MUST_CHECK;
sl_err recovery_end(void *arg, char ret_problem[WAL_PROBLEM_BYTES]) SL_MUST_CHECK;
/* What the start mended: a torn tail cut, damaged checkpoints passed over, left-over files removed.
 */
uint64_t recovery_repairs(const struct shard *shard);

#endif
