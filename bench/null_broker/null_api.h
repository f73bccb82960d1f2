/* null_api.h: the requests of Kafka clients that the null broker answers, and nothing else:
 * Produce 3-7, Fetch 4-11, ListOffsets 1, Metadata 0-4, FindCoordinator 0, ApiVersions 0-3.
 * FindCoordinator is there because librdkafka drops lz4 without it. */
#ifndef BENCH_NULL_API_H
#define BENCH_NULL_API_H

#include "null_log.h"

/* What is to be sent: bytes of memory, then a range of a file. */
struct null_piece {
    size_t from, to; /* in the answer's bytes */
    const struct null_log *log;
    uint64_t position, size;
};

#define NULL_PIECES_MAX 256u

struct null_answer {
    uint8_t *bytes;
    size_t size, capacity;
    struct null_piece pieces[NULL_PIECES_MAX];
    uint32_t piece_count;
};

enum null_outcome {
    NULL_ANSWERED,
    NULL_SILENT, /* acks=0 */
    NULL_WAIT,   /* a fetch that found nothing; *ret_wait_ms is its patience */
    NULL_CLOSE,  /* not understood */
};

/* One request without its size. answer is appended to; must_answer: a fetch does not wait. */
enum null_outcome null_api_run(struct null_store *store, uint16_t port, uint8_t *request,
                               size_t size, bool must_answer, struct null_answer *answer,
                               int *ret_wait_ms);

#endif
