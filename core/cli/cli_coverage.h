/* cli_coverage.h: which offsets of each partition were seen, and so which are not there. */
#ifndef SL_CLI_CLI_COVERAGE_H
#define SL_CLI_CLI_COVERAGE_H

#include "base/base.h"

struct coverage_range {
    int64_t first, last;
};

struct coverage_stream {
    struct sl_uuid topic;
    uint32_t partition;
    int64_t start;                 /* where it begins, as the log says */
    int64_t end;                   /* behind the highest offset that is known to have been given */
    int64_t extent_last;           /* highest offset that an extent has; -1: none */
    bool compacted;                /* offsets may be missing in what extents have */
    struct coverage_range *ranges; /* owned */
    uint32_t range_count, range_capacity;
    struct salvage_stream *txns; /* of cli_salvage_txns.h; NULL: none */
};

struct coverage {
    struct coverage_stream **streams; /* owned: a table by hash of topic and partition */
    uint32_t stream_count, capacity;
};

void coverage_init(struct coverage *coverage);
void coverage_fini(struct coverage *coverage);
/* Made when it is new; NULL: no memory. */
struct coverage_stream *coverage_stream(struct coverage *coverage, const struct sl_uuid *topic,
                                        uint32_t partition);
/* Offsets first to last are there. */
sl_err coverage_add(struct coverage_stream *stream, int64_t first, int64_t last) SL_MUST_CHECK;
/* Calls `gap` for each run of offsets from start to end that is not there, in order. Sorts the
 * ranges. */
void coverage_gaps(struct coverage_stream *stream,
                   void (*gap)(void *arg, const struct coverage_stream *stream, int64_t first,
                               int64_t last),
                   void *arg);

#endif
