/* wal.h: the write-ahead log of one shard (DESIGN 4, docs/formats/wal.md).
 *
 * Commit units go in on the shard's loop, in order; those that arrive while the committer's last sync runs
 * travel together in the next frame (group commit); when the frame is durable their callbacks run on
 * the loop, in order. A unit is never split over frames. The log knows nothing of what an item means.
 *
 *   wal_submit ─► pending units ─► frame (envelope, entry: directory, bodies) ─► lane: pwritev, fdatasync
 *        ▲                                                                            │
 *   loop │◄──────────────── unit->durable(unit, err) in LSN order ◄───────────────────┘
 *
 * A write or sync error is never retried: everything pending fails with SLUICE_E_FENCED, and so does all
 * that comes later; `fenced` is called once. Recovery runs before the loop starts, reads headers and
 * directories, hands every item of every intact frame to `apply` in order, and never resumes a tail: new frames
 * go to a new segment. */
#ifndef SL_WAL_WAL_H
#define SL_WAL_WAL_H

#include "os/os.h"
#include "wal/item.h"

struct wal;

struct wal_limits {
    uint64_t segment_bytes;   /* size of a segment file, 1 MiB to 1 GiB; 64 MiB, 8 MiB in dev */
    uint64_t bytes_max;       /* of all segments; produce is refused beyond it */
    uint32_t group_bytes_max; /* a group stops growing here; 1 MiB */
    uint32_t frame_bytes_max; /* of one unit; 16 MiB; at most segment_bytes less its header */
    uint32_t spare_segments;  /* zero-filled ahead in the background; 2 */
    uint32_t idle_mark_ms;    /* an idle frame after this silence carries the durable LSN; 50; 0: never */
};

/* Mutants of the format, for the tests that show why each field is there. All false in a broker. */
struct wal_mutants {
    bool no_chain;
    bool no_incarnation;
    bool no_durable_lsn;
    bool no_sync;
};

struct wal_events {
    /* One item of an intact frame, in order, at recovery. payload is borrowed. place->size 0: no body.
     * Another result than SLUICE_OK ends recovery with it. [blocks] */
    sl_err (*apply)(void *arg, uint64_t lsn, uint16_t kind, uint8_t version, struct sl_bytes payload,
                    const struct wal_place *place);
    /* Storage failed: nothing is acknowledged any more. Once. [loop] */
    void (*fenced)(void *arg, sl_err cause);
    /* State items for a checkpoint at the current LSN: emit them in order through `add`. Called at each seal
     * [loop]; the result becomes the start of the next recovery. */
    sl_err (*snapshot)(void *arg, sl_err (*add)(void *add_arg, uint16_t kind, uint8_t version,
                                                struct sl_bytes payload), void *add_arg);
};

struct wal_config {
    struct sl_os *os;
    struct sl_loop *loop;
    const char *directory; /* "…/shard-0"; its wal/ is made when missing [borrowed for the call] */
    struct sl_uuid cluster;
    uint32_t shard;
    struct wal_limits limits;
    struct wal_mutants mutants;
    const struct wal_events *events; /* [borrows, must outlive the log] */
    void *events_arg;
};

/* What recovery found; for the log line, metrics, and `sluice wal verify`. */
struct wal_recovery {
    uint64_t checkpoint_lsn; /* 0: none */
    uint64_t last_lsn;
    uint64_t segment_count;
    uint64_t frame_count;
    uint64_t item_count;
    uint64_t bytes_scanned;
    uint64_t bytes_cut;   /* of a torn tail */
    uint64_t bodies_verified;
    int64_t elapsed_ns;
    uint32_t epoch;       /* of this run: rises at every unclean start */
    bool clean;           /* the last run ended in order */
    char problem[256];    /* with SLUICE_E_CORRUPT and the like: file, position, LSN, what to do */
};

/* Recovers and opens for writing. On E_CORRUPT, E_NEWER_FORMAT, E_FOREIGN nothing was changed on disk and
 * ret_recovery->problem says what, where and what to do. [blocks, before the loop runs] */
sl_err wal_open(const struct wal_config *config, struct wal_recovery *ret_recovery,
                struct wal **ret_wal) SL_MUST_CHECK;
/* Writes what is pending, marks a clean shutdown, takes a checkpoint; `closed` runs on the loop. */
void wal_close(struct wal *wal, void (*closed)(void *arg), void *arg); /* [loop] */
struct wal *wal_free(struct wal *wal); /* after closed, or after a simulated power cut */

/* One statement inside a unit. The payload and the body are borrowed until the unit is durable or failed. */
struct wal_item {
    uint16_t kind; /* WAL_ITEM_* */
    uint8_t version;
    uint8_t flags;
    struct sl_bytes payload;
    const struct sl_iovec *body; /* pieces that are concatenated; NULL: no body */
    uint32_t body_count;
    uint32_t body_size;          /* sum of the pieces */
    struct wal_place place;      /* set before durable runs */
};

/* What becomes durable together. Owned by the caller, must stay until durable() was called, exactly once. */
struct wal_unit {
    struct wal_unit *next; /* wal's */
    struct wal_item *items;
    uint32_t item_count;
    bool reserve;        /* may use the reserve: offset commits, stage results, dead letters, deletes */
    uint64_t lsn;        /* set before durable runs */
    int64_t time_ms;     /* frame time, never goes back; set before durable runs */
    void (*durable)(struct wal_unit *unit, sl_err err); /* [loop] */
};

/* Bytes that a unit will take in a frame (directory and bodies). */
uint64_t wal_unit_size(const struct wal_unit *unit);
/* E_LOG_FULL (bound reached), E_DISK_FULL (95 %), E_BATCH_TOO_LARGE (over frame_bytes_max), E_FENCED: then durable is not called
 * and the caller keeps the unit. [loop] */
sl_err wal_submit(struct wal *wal, struct wal_unit *unit) SL_MUST_CHECK;

/* Reads body bytes [place->position, + size). E_WOULD_BLOCK from _cached: use the other on a helper. The
 * segment must be live (not recycled): the index knows. */
sl_err wal_read_cached(struct wal *wal, const struct wal_place *place, void *ret_bytes) SL_MUST_CHECK; /* [loop] */
sl_err wal_read(struct wal *wal, const struct wal_place *place, void *ret_bytes) SL_MUST_CHECK; /* [blocks] */
/* The open file of a segment for sendfile, or NULL. Kept open until wal_unpin. [loop] */
struct sl_file *wal_pin(struct wal *wal, uint64_t segment);
void wal_unpin(struct wal *wal, uint64_t segment);

/* Segments wholly below `segment` hold nothing live any more (as the index says): once a checkpoint covers
 * them they are recycled. [loop] */
void wal_release(struct wal *wal, uint64_t segment);

struct wal_status {
    uint64_t last_lsn;    /* given out */
    uint64_t durable_lsn;
    uint64_t bytes_used;  /* of segments with data */
    uint64_t pending_bytes;
    uint32_t pending_units;
    uint32_t epoch;
    uint32_t segment_count;
    bool disk_full;       /* above 95 %, until below 92 % */
    bool fenced;
    uint64_t frames, syncs, sync_ns_total; /* since open */
};
void wal_status_get(const struct wal *wal, struct wal_status *ret_status); /* [loop] */

#endif
