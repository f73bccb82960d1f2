/* wal.h: the write-ahead log of one shard (DESIGN 4, docs/formats/wal.md).
 *
 * Commit units go in on the shard's loop, in order; those that arrive while the committer's last
 * sync runs travel together in the next frame (group commit); when the frame is durable their
 * callbacks run on the loop, in order. A unit is never split over frames. The log knows nothing of
 * what an item means.
 *
 *   wal_submit ─► pending units ─► frame ─► lane: pwritev, fdatasync
 *                                                    │
 *   loop: unit->durable(unit, err) in LSN order ◄────┘
 *
 * A write or sync error is never retried: everything pending fails with SLUICE_E_FENCED, and so
 * does all that comes later; `fenced` is called once. Recovery runs before the loop starts, reads
 * headers and directories, hands every item of every intact frame to `apply` in order, and never
 * resumes a tail: new frames go to a new segment. */
#ifndef SL_WAL_WAL_H
#define SL_WAL_WAL_H

#include "os/os.h"
#include "wal/commit_log.h"

#define WAL_PROBLEM_BYTES 256u

struct wal;

#define WAL_REACH_BYTES (256u << 10)

struct wal_limits {
    uint64_t
        segment_bytes;  /* size of a segment file, 12 KiB (tests) to 1 GiB; 64 MiB, 8 MiB in dev */
    uint64_t bytes_max; /* of all segments, at least 2 of them; produce is refused beyond it */
    uint32_t group_bytes_max; /* a group stops growing here; 1 MiB */
    uint32_t
        frame_bytes_max; /* of a frame with one unit; 16 MiB; at most segment_bytes less 4 KiB */
    uint32_t spare_segments; /* zero-filled ahead in the background; 2; at most 16 */
    uint32_t
        idle_mark_ms; /* an idle frame after this silence carries the durable LSN; 50; 0: never */
    uint32_t checkpoint_chunk_bytes; /* of items that a helper writes at once; 0: 512 KiB */
    /* The last block of a segment says up to where it was written: at least so much beyond what is
     * durable, or as much as one sync carried, and less than twice as much. Recovery searches no
     * further. WAL_REACH_BYTES, a multiple of WAL_BLOCK; 0: no mark. */
    uint32_t reach_bytes;
};

/* Mutants of the format, for the tests that show why each field is there. All false in a broker. */
struct wal_mutants {
    bool no_chain;
    bool no_incarnation; /* nor the chain, which would notice every stale frame as well */
    bool no_durable_lsn;
    bool no_sync;
    bool rename_first;     /* a segment gets its name before its bytes are on the disk */
    bool checkpoint_early; /* segments are recycled before the checkpoint is on the disk */
    bool reach_once;       /* a segment's mark stays as it was when the segment was opened */
};

typedef sl_err wal_add_fn(void *add_arg, uint16_t kind, uint8_t version, struct sl_bytes payload);

struct wal_events {
    /* One item, in order, at recovery: first those of the checkpoint (with its LSN), then those of
     * the frames. BATCH items come for every segment that is live, also with lsn <= the
     * checkpoint's (ret_recovery->checkpoint_lsn is set before the first call): they say where data
     * lies, and only the index may look at them. All other kinds come once: in the checkpoint or
     * after it. IDLE and CLEAN_SHUTDOWN are the log's own and do not come. payload is borrowed.
     * place->size 0: no body. Another result than SLUICE_OK ends recovery with it. [blocks] */
    sl_err (*apply)(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                    struct sl_bytes payload, const struct wal_place *place);
    /* All items were applied and what was found is on the disk; nothing was removed or written yet.
     * Another result than SLUICE_OK ends recovery with it, nothing changed; ret_problem may say
     * what, where and what to do. NULL: nothing to do. [blocks] */
    sl_err (*recovered)(void *arg, char ret_problem[WAL_PROBLEM_BYTES]);
    /* Storage failed: nothing is acknowledged any more. Once. [loop] */
    void (*fenced)(void *arg, sl_err cause);
    /* A segment was sealed: what comes now lies in the next one. NULL: nobody asks. [loop] */
    void (*sealed)(void *arg);
    /* State items for a checkpoint, in slices of less than a millisecond, each in a turn of its
     * own: emit through `add`, in the order of recovery, what holds now; *ret_done: that was all.
     * `begins`: from the start, whatever came before. What changes between slices may be emitted as
     * it was at any moment since the begin: at recovery all frames since then are applied on top,
     * in order, so that `apply` must bear an item whose effect, or a later one's, is there already.
     * What came to be after the begin may be left out. Called after a seal, at open and close, and
     * when released segments are needed [loop]. NULL: no checkpoints are made. */
    sl_err (*snapshot)(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done);
};

struct wal_config {
    struct sl_os *os;
    struct sl_loop *loop;
    const char *directory; /* "…/shard-0"; its wal/ is made when missing [borrowed for the call] */
    struct sl_uuid cluster;
    uint32_t shard;
    struct wal_limits limits;
    struct wal_mutants mutants;
    bool reread;                     /* wal_scan_run read all of it from the disk a moment ago */
    const struct wal_events *events; /* [borrows, must outlive the log]; NULL: none */
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
    uint64_t bytes_cut; /* of a torn tail */
    uint64_t bodies_verified;
    uint32_t checkpoints_damaged; /* passed over: the other one did */
    uint32_t files_removed;       /* left over: freed segments, half a checkpoint */
    int64_t elapsed_ns;
    uint32_t epoch;                  /* of this run: rises at every unclean start */
    bool clean;                      /* the last run ended in order */
    char problem[WAL_PROBLEM_BYTES]; /* with SLUICE_E_CORRUPT and the like: file, position, LSN,
                                        what to do */
};

/* Recovers and opens for writing; *ret_recovery is set in any case. On E_CORRUPT, E_NEWER_FORMAT,
 * E_FOREIGN nothing was changed on disk and ret_recovery->problem says what, where and what to do.
 * E_INVALID: limits that contradict each other. The caller holds the lock of the directory. Every
 * run begins a segment of its own with an IDLE frame. [blocks, before the loop runs] */
sl_err wal_open(const struct wal_config *config, struct wal_recovery *ret_recovery,
                struct wal **ret_wal) SL_MUST_CHECK;
/* Writes what is pending, marks a clean shutdown, takes a checkpoint; `closed` runs in
 * a task of the loop and may free the log. From now on wal_submit is E_STOPPING. */
void wal_close(struct wal *wal, void (*closed)(void *arg), void *arg); /* [loop] */
struct wal *wal_free(struct wal *wal); /* after closed, or after a simulated power cut */
/* The same log behind the table that its users know; lives as long as the log. */
struct commit_log *wal_commit_log(struct wal *wal);

/* E_LOG_FULL (bound reached), E_DISK_FULL (95 %), E_BATCH_TOO_LARGE (over frame_bytes_max),
 * E_FENCED: then durable is not called and the caller keeps the unit. E_STOPPING: after wal_close.
 * [loop] */
sl_err wal_submit(struct wal *wal, struct wal_unit *unit) SL_MUST_CHECK;

/* Reads body bytes [place->position, + size) on the loop. E_WOULD_BLOCK: not in memory; pin the
 * segment and use wal_read on a helper. E_NOT_FOUND: the segment is not live (any more). E_CORRUPT:
 * the file is too short. [loop] */
sl_err wal_read_cached(struct wal *wal, const struct wal_place *place,
                       void *ret_bytes) SL_MUST_CHECK;
/* The same, waiting for the disk; from a thread other than the loop's only while the caller holds a
 * pin. [blocks] */
sl_err wal_read(struct wal *wal, const struct wal_place *place, void *ret_bytes) SL_MUST_CHECK;
/* The open file of a segment, also for sendfile; NULL when it is not live. It stays open and is not
 * recycled until as many wal_unpin. [loop] */
struct sl_file *wal_pin(struct wal *wal, uint64_t segment);
void wal_unpin(struct wal *wal, uint64_t segment);
struct sl_file *wal_file(const struct wal *wal, uint64_t segment); /* likewise, without a pin */

/* Segments below `segment` hold nothing live any more (as the index says): once a checkpoint
 * contains them they are recycled. UINT64_MAX: nothing is live at all now. The segment written to
 * and those after it stay. [loop] */
void wal_release(struct wal *wal, uint64_t segment);

/* False: it is not live. [loop] */
bool wal_segment_status_get(const struct wal *wal, uint64_t segment,
                            struct wal_segment_status *ret_status);
/* The path of its file, of at most WAL_PATH_BYTES. A sealed segment that is pinned may get a second
 * name, and what lies behind its end may be overwritten and cut: recovery does not look there, and
 * a file with another name is not recycled but only loses this one. [any] */
void wal_segment_path(const struct wal *wal, uint64_t segment, char ret_path[WAL_PATH_BYTES]);
/* Ends the segment that is written to, soon; the next begins with an idle frame when nothing else
 * comes. False: not now, as segments take up too much of bytes_max. [loop] */
bool wal_rotate(struct wal *wal) SL_MUST_CHECK;

void wal_status_get(const struct wal *wal, struct wal_status *ret_status);       /* [loop] */
void wal_pressure_get(const struct wal *wal, struct wal_pressure *ret_pressure); /* [loop] */

#endif
