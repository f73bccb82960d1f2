/* log_start.h: the log start of partitions moves up, durably.
 *
 *   moves ─► one unit of LOG_BOUNDS items ─► durable ─► runs are dropped, readers woken ─► done
 *
 * A record that was seen to be gone is never seen again: the index follows the log, not the other
 * way. The unit may draw on the log's reserve, since it makes room. Partitions are named by topic
 * id, so that one may be deleted meanwhile. [loop] */
#ifndef SL_SHARD_LOG_START_H
#define SL_SHARD_LOG_START_H

#include "shard/partition.h"

struct log_start_move {
    struct bounds_item bounds;
    uint8_t payload[BOUNDS_ITEM_SIZE_MAX];
};

struct log_start {
    struct wal_unit unit;
    struct shard *shard;
    struct log_start_move *moves; /* of the caller, like items, which has as much room */
    struct wal_item *items;
    uint32_t count;
    void (*done)(struct log_start *self, sl_err err);
};

/* Adds a move. start_offset is of what is durable: at most the partition's end. */
void log_start_add(struct log_start *self, const struct partition *partition, int64_t start_offset);
/* The same at once, for a partition that is in memory: nothing of it is logged. */
void log_start_move_now(struct partition *partition, int64_t start_offset);
/* shard, done and at least one move are set; all memory is the caller's and stays until done.
 * Errors as commit_log_submit, and the shard's status: then done does not run. */
sl_err log_start_submit(struct log_start *self) SL_MUST_CHECK;

#endif
