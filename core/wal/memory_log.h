/* memory_log.h: a log of commit units in memory: nothing of it is ever on a disk.
 *
 * Bodies are copied into segments, one after the other, at submit; callbacks run in a task of the
 * loop, in order. What an item says beside its body is not kept: there is no replay. Segments are
 * numbered with WAL_PLACE_MEMORY, so that a place says which log it is of, and are given back in
 * order, from the oldest. The bound counts whole segments, as they are allocated: one for what is
 * larger than that.
 *
 * Known by its table (commit_log.h), but for what only memory can do: moving what is live out of
 * a segment. */
#ifndef SL_WAL_MEMORY_LOG_H
#define SL_WAL_MEMORY_LOG_H

#include "wal/commit_log.h"

#define MEMORY_LOG_SEGMENT_MIN 4096u
#define MEMORY_LOG_BYTES_MIN   65536u

struct memory_log_config {
    struct sl_os *os;
    struct sl_loop *loop;
    uint64_t bytes_max;     /* at least MEMORY_LOG_BYTES_MIN; submit is E_LOG_FULL beyond it */
    uint64_t segment_bytes; /* 0: a 32nd of bytes_max, 64 KiB to 4 MiB */
};

/* Nothing is allocated before the first body. E_INVALID: limits that contradict each other.
 * E_NO_MEMORY. [before the loop runs, or loop] */
sl_err memory_log_open(const struct memory_log_config *config,
                       struct commit_log **ret_log) SL_MUST_CHECK;
/* Copies a body to the end of the log, so that its segment can be released; *ret_place is where it
 * lies now. `log` is one in memory. May go beyond the bound, by one segment: the caller frees one.
 * E_NOT_FOUND: it is gone. E_NO_MEMORY. [loop] */
sl_err memory_log_move(struct commit_log *log, const struct wal_place *place,
                       struct wal_place *ret_place) SL_MUST_CHECK;

#endif
