/* readahead.h: readers that are behind find the next bytes in memory.
 *
 * A fetch that had to wait for the disk makes its partition a slot of the table; while fetches of
 * it go on where the last one ended, a helper asks the system for the records behind them, so that
 * the disk reads while the reader is busy with what it has. Memory is the page cache, of which at
 * most READAHEAD_READERS_MAX * READAHEAD_BYTES is asked for ahead; the system gives it back under
 * pressure. The reader that was idle longest gives its slot to a new one. [loop] */
#ifndef SL_SHARD_READAHEAD_H
#define SL_SHARD_READAHEAD_H

#include "base/base.h"

#define READAHEAD_READERS_MAX 32u
#define READAHEAD_BYTES       (32u << 20) /* ahead of one reader */
#define READAHEAD_STEP_BYTES  (4u << 20)  /* asked for at once, at least */

struct partition;
struct shard;
struct readahead_job;

struct readahead_reader {
    const struct partition *partition; /* NULL: free. Compared, never followed */
    int64_t offset;                    /* of the last fetch */
    int64_t until;                     /* bytes below it were asked for */
    uint64_t bytes_ahead;              /* of them, those behind the last fetch */
    uint64_t used_at;                  /* by readahead.turn */
    bool busy;                         /* a job of it is under way */
};

struct readahead {
    struct readahead_reader readers[READAHEAD_READERS_MAX];
    uint32_t reader_count;
    uint64_t turn;
    uint64_t bytes; /* asked for since the start */
};

/* A fetch of the partition read `bytes` from offset on, up to next_offset; cold: it waited for the
 * disk. */
void readahead_note(struct shard *shard, struct partition *partition, int64_t offset,
                    int64_t next_offset, uint64_t bytes, bool cold);

#endif
