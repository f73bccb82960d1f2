/* snapshot.h: a shard's state as items, for a checkpoint, in slices that keep no loop waiting.
 *
 *   topics, producer ids (shard 0) ─► extents ─► partitions (bounds, compaction, producers,
 *   transactions) ─► offsets ─► positions ─► transactional ids ─► offsets of transactions
 *   ─► switches, rules, credentials, settings, quotas (shard 0) ─► groups and their members
 *   ─► groups that share streams ─► ids of messages ─► records that wait
 *
 * Between slices everything may change. Each item is as it is when it is its turn, so that some of
 * what changes meanwhile is in and some is not; recovery applies all frames since the begin on top
 * (wal.h). That this comes to the same is argued kind by kind in
 * docs/decisions/checkpoints-in-slices.md. A topic, extent or partition that came to be after the
 * begin is left out: its frames tell all of it. [loop] */
#ifndef SL_SHARD_SNAPSHOT_H
#define SL_SHARD_SNAPSHOT_H

#include "catalog/catalog.h"
#include "deliver/consumer_groups.h"
#include "extent/extent_set.h"
#include "wal/wal.h"

struct partition;
struct shard;

enum snapshot_stage {
    SNAPSHOT_TOPICS,
    SNAPSHOT_IDS,
    SNAPSHOT_EXTENTS,
    SNAPSHOT_PARTITIONS,
    SNAPSHOT_OFFSETS,
    SNAPSHOT_POSITIONS,
    SNAPSHOT_TXNS,
    SNAPSHOT_TXN_OFFSETS,
    SNAPSHOT_SHARES,
    SNAPSHOT_SWITCHES,
    SNAPSHOT_ACLS,
    SNAPSHOT_CREDENTIALS,
    SNAPSHOT_SETTINGS,
    SNAPSHOT_CONSUMERS,
    SNAPSHOT_QUOTAS,
    SNAPSHOT_MESSAGES,
    SNAPSHOT_DELAYS,
    SNAPSHOT_STAGE_COUNT
};

/* Where a walk is; of the shard. All zero: none is under way. */
struct snapshot {
    uint32_t slice_count; /* things that a slice looks at; 0: the default */
    enum snapshot_stage stage;
    struct catalog_walk topics;
    struct extent_walk extents;
    struct partition *partition; /* the next */
    uint32_t offset;
    size_t position;
    uint32_t acl, credential, quota;
    uint32_t txn;
    uint32_t txn_offset;
    struct consumer_groups_walk consumers;
    struct consumer_groups_walk streams;
    uint32_t share, share_group;
    uint32_t message, delay;
};

/* arg: the shard; as the member of struct wal_events. */
sl_err snapshot_slice(void *arg, bool begins, wal_add_fn *add, void *add_arg,
                      bool *ret_done) SL_MUST_CHECK;
/* The partition leaves the shard's list. */
void snapshot_skip(struct snapshot *snapshot, const struct partition *partition);

#endif
