/* readahead.h: readers that are behind find the next bytes in memory.
 *
 * A fetch that had to wait for the disk makes its partition a slot of the table; while fetches of
 * it go on where the last one ended, helpers bring in the records behind them, so that the disk
 * reads while the reader is busy with what it has. How far ahead begins small, for who only looks
 * once, and grows with what is fetched. A job is short, so that neither cold reads of others nor a
 * processor wait for it long, and begins when the answer is on its way. Memory is the page cache,
 * of which at most READAHEAD_READERS_MAX * READAHEAD_BYTES is asked for ahead; the system gives it
 * back under pressure. The reader that was idle longest gives its slot to a new one. [loop] */
#ifndef SL_SHARD_READAHEAD_H
#define SL_SHARD_READAHEAD_H

#include "base/base.h"
#include "os/os.h"

#define READAHEAD_READERS_MAX 32u
#define READAHEAD_JOBS_MAX    2u          /* at once; other helpers are for who waits */
#define READAHEAD_START_BYTES (4u << 20)  /* ahead of a new reader */
#define READAHEAD_BYTES       (32u << 20) /* ahead of one reader, at most */
#define READAHEAD_STEP_BYTES  (2u << 20)  /* by one job */

struct partition;
struct shard;

struct readahead_reader {
    const struct partition *partition; /* NULL: free. Compared, never followed */
    struct sl_uuid topic;              /* of the partition */
    uint32_t number;
    int64_t offset;        /* of the last fetch */
    int64_t until;         /* bytes below it were asked for */
    uint64_t bytes_ahead;  /* of them, those behind the last fetch */
    uint64_t window_bytes; /* how many these may be now */
    uint64_t used_at;      /* by readahead.turn */
    bool due;              /* the task looks whether it needs a job */
    bool busy;             /* a job of it is under way */
};

struct readahead {
    struct readahead_reader readers[READAHEAD_READERS_MAX];
    uint32_t reader_count;
    uint32_t job_count; /* under way */
    uint32_t next;      /* reader that the task begins with */
    uint64_t turn;
    uint64_t bytes; /* asked for since the start */
    struct sl_task task;
};

/* A fetch of the partition read `bytes` from offset on, up to next_offset; cold: it waited for the
 * disk. */
void readahead_note(struct shard *shard, struct partition *partition, int64_t offset,
                    int64_t next_offset, uint64_t bytes, bool cold);

#endif
