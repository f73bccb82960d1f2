/* scrub.h: reads what is stored from time to time and compares it with its CRCs, so that damage is
 * known while a good copy may still be somewhere.
 *
 *   due ─► list of extents ─► one file after the other: slice (helper) ─► findings (loop) ─► pause
 *          and sealed segments
 *
 * A pass reads every byte of the live extents (header, footer, every block) and the frames of the
 * sealed segments of the log; what is written after it began waits for the next one. Slices are
 * read on a helper, with pauses between them so that a shard's part of storage.scrub_bytes_per_s
 * holds. The page cache of a file is given up before and after, so that the bytes come from the
 * disk and other files' stay.
 *
 * What is found is told once in a pass: a line in the log, a finding in the status, a count that
 * makes the broker say that it is degraded. Damaged records are answered with E_CORRUPT, as every
 * read of an extent is checked, and those of the log are from then on; everything else is served.
 * Bytes that nothing refers to any more (records that were deleted, compacted or moved) are no
 * finding. [loop] */
#ifndef SL_SHARD_SCRUB_H
#define SL_SHARD_SCRUB_H

#include "base/base.h"

struct scrubber;
struct shard;

#define SCRUB_FINDINGS_MAX 64u /* kept of a pass; more are counted */
#define SCRUB_NAME_BYTES   256u
#define SCRUB_FILE_BYTES   64u

struct scrub_finding {
    char file[SCRUB_FILE_BYTES]; /* below the data folder */
    char
        topic[SCRUB_NAME_BYTES]; /* "": what the damage hides has no name, or the file as a whole */
    uint64_t position, bytes;
    int64_t first_offset, last_offset; /* with a topic */
    uint32_t partition;
};

struct scrub_status {
    bool busy;
    uint64_t bytes_total, bytes_done; /* of this pass */
    uint64_t bytes_per_s;             /* in force for this pass */
    uint64_t bytes, errors, passes;   /* since the start */
    int64_t begun_ms, ended_ms;       /* wall time of this or the last pass, and its end; 0: none */
    int64_t next_ms;                  /* wall time of the next one; 0: none is planned */
    uint64_t last_bytes, last_errors; /* of the last pass that ended */
    int64_t last_elapsed_ms;
    uint32_t finding_count;               /* of this pass, or of the last one while none runs */
    const struct scrub_finding *findings; /* borrowed until the next turn of the loop */
};

struct scrubber *scrubber_new(struct shard *shard);        /* NULL: no memory */
struct scrubber *scrubber_free(struct scrubber *scrubber); /* NULL is fine */
void scrub_start(struct shard *shard);                     /* once the loop runs */
/* No further slice: what is pinned is given back, at once or when the helper is done. */
void scrub_stop(struct shard *shard);
/* Begins a pass unless one runs; bytes_per_s: 0: the setting; it also changes the one that runs. */
void scrub_now(struct shard *shard, uint64_t bytes_per_s);
int64_t scrub_tick(struct shard *shard, int64_t now_ms);
int64_t scrub_due_ms(const struct shard *shard);
void scrub_status_get(const struct shard *shard, struct scrub_status *ret_status);
/* Damaged places that the last whole pass found, and this one so far. [any] */
uint32_t scrub_damaged(const struct shard *shard);

#endif
