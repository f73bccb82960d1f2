/* catalog_scan.h: the catalog out of shard 0's log, before that shard is opened, so that all shards
 * can recover at the same time.
 *
 * Reads the log as recovery does, without changing anything, and applies its TOPIC_* items alone.
 * What recovery reads after it comes from the page cache (wal_config.reread). */
#ifndef SL_SHARD_CATALOG_SCAN_H
#define SL_SHARD_CATALOG_SCAN_H

#include "shard/shard.h"

/* config: shard 0's. ret_last_lsn: where the log ended. Any error means that the shards are to be
 * opened one after the other, shard 0 first, which says what is wrong. [blocks] */
sl_err catalog_scan(const struct shard_config *config, struct catalog **ret_catalog,
                    uint64_t *ret_last_lsn) SL_MUST_CHECK;

#endif
