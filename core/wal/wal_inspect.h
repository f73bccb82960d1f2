/* wal_inspect.h: reads a log without changing it, for `sluice wal dump` and `sluice wal verify`.
 *
 * The directory may belong to a broker that is stopped (the caller holds its lock) or be a copy.
 * Callbacks come in the order of the log: checkpoint, its items, then per frame the frame and its
 * items, and after its frames each segment. All is borrowed for the call. Everything here [blocks].
 */
#ifndef SL_WAL_WAL_INSPECT_H
#define SL_WAL_WAL_INSPECT_H

#include "wal/wal_format.h"

struct wal_inspect_segment {
    const struct wal_segment_header *header;
    uint64_t file_size;
    uint64_t end_position; /* behind its last intact frame */
    uint64_t last_lsn;
};

/* Each may be NULL; another result than SLUICE_OK ends the inspection with it. */
struct wal_inspect_events {
    sl_err (*checkpoint)(void *arg, const struct wal_checkpoint_header *checkpoint);
    sl_err (*frame)(void *arg, const struct wal_segment_header *segment, uint64_t position,
                    const struct wal_frame_header *frame);
    /* Also items of a kind that this version does not know, when they may be skipped. */
    sl_err (*item)(void *arg, uint64_t lsn, const struct wal_item_view *item,
                   const struct wal_place *place);
    sl_err (*segment)(void *arg, const struct wal_inspect_segment *segment);
};

/* directory: "…/shard-0". verify_bodies: reads and checks every body, as a scrub does; else only
 * what recovery would. The report is set in any case; SLUICE_OK: the log is sound
 * (report->bytes_cut > 0: with a torn tail, which the next start cuts). E_CORRUPT, E_NEWER_FORMAT,
 * E_NOT_FOUND, …: report->problem says what, where and what to do. */
sl_err wal_inspect(struct sl_os *os, const char *directory, bool verify_bodies,
                   const struct wal_inspect_events *events, void *arg,
                   struct wal_recovery *ret_report) SL_MUST_CHECK;

#endif
