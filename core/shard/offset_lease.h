/* offset_lease.h: offsets of topics in memory never go back, though nothing else of their records
 * is on the disk.
 *
 * A partition may give out only offsets below the end of its lease. That is written, as a
 * LOG_BOUNDS item whose start and end are the lease's, to the shard's log before the first of a
 * block is given out, and again when half of the block is used. After a restart the partition is
 * empty, and begins and ends where its lease ended. A broker without a disk leases nothing. [loop]
 */
#ifndef SL_SHARD_OFFSET_LEASE_H
#define SL_SHARD_OFFSET_LEASE_H

#include "base/base.h"

#define OFFSET_LEASE_BLOCK (1 << 20) /* offsets */

struct partition;
struct shard;

/* Whether so many more offsets may be given out. E_WOULD_BLOCK: the lease is on its way to the
 * disk; produce_pump runs for the partition when it is there or failed. Others as
 * commit_log_submit. OK for every partition that needs none. */
sl_err offset_lease_take(struct partition *partition, int64_t count) SL_MUST_CHECK;
/* Forgets those under way; the log is gone: after a simulated power cut there may be some. */
void offset_lease_fini(struct shard *shard);

#endif
