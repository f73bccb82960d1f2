/* commit_log.h: the table of what a log of commit units does, so that who writes to one does not
 * know where it lies: on the disk (wal.h) or in memory.
 *
 *   commit_log_submit ─► log ─► unit->durable(unit, err)    in the order of the log, on its loop
 *
 * Durable means as durable as this log makes anything. Each log is opened by a function of its own;
 * from then on it is known by this table alone. The unit, the item, the place and the segment are
 * the same for all and keep the prefix of the room. */
#ifndef SL_WAL_COMMIT_LOG_H
#define SL_WAL_COMMIT_LOG_H

#include "os/os.h"
#include "wal/item.h"

/* One statement inside a unit. The payload and the body are borrowed until the unit is durable or
 * failed. */
struct wal_item {
    uint16_t kind; /* WAL_ITEM_* */
    uint8_t version;
    uint8_t flags;
    struct sl_bytes payload;
    const struct sl_iovec *body; /* pieces that are concatenated; NULL: no body */
    uint32_t body_count;
    uint32_t body_size;     /* sum of the pieces */
    struct wal_place place; /* set before durable runs */
};

/* What becomes durable together. Owned by the caller, must stay until durable() was called, exactly
 * once. */
struct wal_unit {
    struct wal_unit *next; /* wal's */
    struct wal_item *items;
    uint32_t item_count;
    bool reserve; /* may use the reserve: offset commits, stage results, dead letters, deletes */
    bool frees_space;  /* may use its last half too: what makes segments or extents free */
    bool when_written; /* durable runs once it is written: a power cut may still take it back, with
                          all that came later; before units without it in the same frame */
    uint64_t lsn;      /* of its frame; set before durable runs */
    int64_t time_ms;   /* frame time, never goes back; set before durable runs */
    void (*durable)(struct wal_unit *unit, sl_err err); /* [loop] */
    /* It may be called some units before durable runs for this one (`is_next` false), and once more
     * right before, so that what durable will use is fetched into the cache meanwhile; where it has
     * to be found by one pointer after the other, in two steps. NULL: there is nothing. [loop] */
    void (*approach)(const struct wal_unit *unit, bool is_next);
    /* Sums over the items, that only the log on the disk uses: what it needs of them later. */
    uint64_t body_size;
    uint64_t directory_size;
    uint32_t piece_count;
};

/* A live segment. */
struct wal_segment_status {
    uint64_t end;       /* position behind the last frame given out */
    uint64_t bytes;     /* of its file */
    uint64_t frames;    /* 0 where they are not read at a start */
    int64_t created_ms; /* wall time of its first frame */
    bool cuts;          /* what lies behind its end is being cut: it gets no second name yet */
};
/* How full it is. */
struct wal_pressure {
    uint64_t bytes_used; /* as in wal_status */
    uint64_t pending_bytes;
    uint64_t bytes_max;
    uint64_t disk_total;
    uint64_t disk_available;
    bool disk_full;
};
struct wal_status {
    uint64_t last_lsn; /* given out */
    uint64_t durable_lsn;
    uint64_t bytes_used; /* of segments with data */
    uint64_t pending_bytes;
    uint32_t pending_units;
    uint32_t epoch;
    uint32_t segment_count;
    uint64_t first_segment; /* the oldest that is live */
    uint64_t last_segment;  /* the one that is written to; those before it are sealed */
    uint64_t bytes_max;
    bool disk_full;      /* above 95 %, until below 92 % */
    uint64_t disk_total; /* bytes of its file system; 0: there is none, or it is not known yet */
    uint64_t disk_available;
    bool fenced;
    uint64_t frames, syncs, sync_ns_total; /* since open; write and sync together */
    /* Written to files since open: bodies of items; headers and directories; what fills frames up
     * to 4 KiB; checkpoints; zeros of spares that were made ahead. */
    uint64_t bytes_bodies, bytes_heads, bytes_padding, bytes_checkpoints, bytes_zeros;
};

#define WAL_PATH_BYTES 1024u

struct commit_log;

/* Each slot may block only where it says so. [loop] unless it says otherwise. */
struct commit_log_ops {
    const char *name; /* for people: "disk", "memory" */
    /* E_LOG_FULL (bound reached), E_DISK_FULL (95 %), E_BATCH_TOO_LARGE, E_FENCED, E_STOPPING
     * (after close): then durable is not called and the caller keeps the unit. */
    sl_err (*submit)(struct commit_log *log, struct wal_unit *unit);
    /* Body bytes [place->position, + size). E_WOULD_BLOCK: not in memory; pin the segment and read
     * on a helper. E_NOT_FOUND: the segment is not live (any more). E_CORRUPT: its file is too
     * short. */
    sl_err (*read_cached)(struct commit_log *log, const struct wal_place *place, void *ret_bytes);
    /* The same, waiting for the disk; from a thread other than the loop's only while the caller
     * holds a pin. [blocks] */
    sl_err (*read)(struct commit_log *log, const struct wal_place *place, void *ret_bytes);
    /* The segment stays until as many unpin. False: it is not live. */
    bool (*pin)(struct commit_log *log, uint64_t segment);
    void (*unpin)(struct commit_log *log, uint64_t segment);
    /* The open file of a live segment, for sendfile; NULL: it has none. Borrowed while pinned. */
    struct sl_file *(*file)(struct commit_log *log, uint64_t segment);
    /* Segments below it hold nothing live any more, so that their space comes back; UINT64_MAX:
     * nothing is live at all now. The segment written to and those after it stay. */
    void (*release)(struct commit_log *log, uint64_t segment);
    bool (*segment_status)(const struct commit_log *log, uint64_t segment,
                           struct wal_segment_status *ret_status); /* false: not live */
    /* The path of a segment's file. A sealed segment that is pinned may get a second name, and what
     * lies behind its end may be overwritten and cut: nobody looks there, and a file with another
     * name is not recycled but only loses this one. NULL: segments have no files. [any] */
    void (*segment_path)(const struct commit_log *log, uint64_t segment,
                         char ret_path[WAL_PATH_BYTES]);
    /* Ends the segment that is written to, soon. False: not now, as segments take up too much of
     * bytes_max. NULL: never. */
    bool (*rotate)(struct commit_log *log);
    void (*status)(const struct commit_log *log, struct wal_status *ret_status);
    void (*pressure)(const struct commit_log *log, struct wal_pressure *ret_pressure);
    /* Somebody else looked at the disk; the log looks by itself only while it is written to. NULL:
     * it has none. */
    void (*disk_seen)(struct commit_log *log, uint64_t total_bytes, uint64_t available_bytes);
    /* What is pending ends, then `closed` runs in a task of the loop and may free the log. */
    void (*close)(struct commit_log *log, void (*closed)(void *arg), void *arg);
    void (*free)(struct commit_log *log); /* after closed, or after a simulated power cut */
};

/* First member of every log. */
struct commit_log {
    const struct commit_log_ops *ops;
};

static inline SL_MUST_CHECK sl_err commit_log_submit(struct commit_log *log, struct wal_unit *unit)
{
    return log->ops->submit(log, unit);
}
static inline SL_MUST_CHECK sl_err commit_log_read_cached(struct commit_log *log,
                                                          const struct wal_place *place,
                                                          void *ret_bytes)
{
    return log->ops->read_cached(log, place, ret_bytes);
}
static inline SL_MUST_CHECK sl_err commit_log_read(struct commit_log *log,
                                                   const struct wal_place *place, void *ret_bytes)
{
    return log->ops->read(log, place, ret_bytes);
}
static inline SL_MUST_CHECK bool commit_log_pin(struct commit_log *log, uint64_t segment)
{
    return log->ops->pin(log, segment);
}
static inline void commit_log_unpin(struct commit_log *log, uint64_t segment)
{
    log->ops->unpin(log, segment);
}
static inline struct sl_file *commit_log_file(struct commit_log *log, uint64_t segment)
{
    return log->ops->file(log, segment);
}
static inline void commit_log_release(struct commit_log *log, uint64_t segment)
{
    log->ops->release(log, segment);
}
static inline bool commit_log_segment_status(const struct commit_log *log, uint64_t segment,
                                             struct wal_segment_status *ret_status)
{
    return log->ops->segment_status(log, segment, ret_status);
}
static inline bool commit_log_has_files(const struct commit_log *log)
{
    return log->ops->segment_path != NULL;
}
static inline void commit_log_segment_path(const struct commit_log *log, uint64_t segment,
                                           char ret_path[WAL_PATH_BYTES])
{
    log->ops->segment_path(log, segment, ret_path);
}
static inline SL_MUST_CHECK bool commit_log_rotate(struct commit_log *log)
{
    return log->ops->rotate != NULL && log->ops->rotate(log);
}
static inline void commit_log_status(const struct commit_log *log, struct wal_status *ret_status)
{
    log->ops->status(log, ret_status);
}
/* What of the status each answer to a producer looks at. */
static inline void commit_log_pressure(const struct commit_log *log,
                                       struct wal_pressure *ret_pressure)
{
    log->ops->pressure(log, ret_pressure);
}
static inline void commit_log_disk_seen(struct commit_log *log, uint64_t total_bytes,
                                        uint64_t available_bytes)
{
    if (log->ops->disk_seen != NULL) {
        log->ops->disk_seen(log, total_bytes, available_bytes);
    }
}
static inline void commit_log_close(struct commit_log *log, void (*closed)(void *arg), void *arg)
{
    log->ops->close(log, closed, arg);
}
/* NULL is fine; returns NULL. */
static inline struct commit_log *commit_log_free(struct commit_log *log)
{
    if (log != NULL) {
        log->ops->free(log);
    }
    return NULL;
}

#endif
