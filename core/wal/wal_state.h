/* wal_state.h: the inside of struct wal, shared by wal*.c of this room only.
 *
 * Everything here belongs to the loop, except what a job holds while it runs: struct wal_commit on
 * the lane, struct wal_checkpoint, struct wal_upkeep and struct wal_pages on a helper. A job's
 * `busy` says whose turn it is. */
#ifndef SL_WAL_WAL_STATE_H
#define SL_WAL_WAL_STATE_H

#include "base/buffer.h"
#include "wal/wal_scan.h"

#define WAL_COMMIT_FRAMES 4u /* one sync covers at most so many frames */
#define WAL_SPARES_MAX    16u
#define WAL_SPARES_KEPT   8u     /* of recycled segments */
#define WAL_LARGE_SYNC    65536u /* bytes on average: such syncs gain nothing from zeros ahead */
/* A run begins without knowing which they are. So many tell, or so much of its first segment. */
#define WAL_TELLING_SYNCS   64u
#define WAL_TELLING_DIVISOR 4u
/* So much of bytes_max is kept for units with `frees_space`, as much again for those with
 * `reserve`. */
#define WAL_LAST_DIVISOR       32u
#define WAL_LAST_BYTES_MIN     (8u * WAL_BLOCK) /* at least, up to an eighth of bytes_max */
#define WAL_DISK_LOW_PERCENT   90u
#define WAL_DISK_FULL_PERCENT  95u
#define WAL_DISK_AGAIN_PERCENT 92u
#define WAL_MEMORY_RETRY_NS    10000000     /* when there was none for a frame */
#define WAL_DISK_CHECK_NS      1000000000   /* while there is traffic, or the disk is full */
#define WAL_UNSYNCED_MAX_NS    1000000000   /* what is only written is synced so soon … */
#define WAL_UNSYNCED_BYTES_MAX (8ull << 20) /* … or when it is so much */
#define WAL_TIDY_AFTER_NS      250000000    /* freeing blocks holds up the first syncs */
#define WAL_RETIRE_MAX         16u          /* segments recycled by one upkeep job */

struct wal_segment {
    uint64_t seq;
    struct sl_file *file; /* NULL until its first frame is durable */
    uint64_t size;        /* of the file */
    uint64_t end;         /* position behind the last frame given out */
    uint64_t first_lsn;   /* of its first frame */
    uint64_t opened_lsn;  /* before its first frame; 0: of an earlier run */
    uint64_t last_lsn;
    int64_t created_ms; /* of its first frame */
    uint32_t pins;
    bool cuts; /* the rest of its file is to be given back: an earlier run left it unused */
};

struct wal_frame {
    struct wal_unit *first; /* units of the frame, linked, count of them */
    uint32_t unit_count;
    uint32_t item_count;
    uint32_t written_count; /* of the units: those that want no more than to be written */
    size_t piece_count;     /* of all bodies */
    uint64_t position;
    uint64_t frame_size;
    uint64_t directory_size;
    uint64_t body_size;
    uint64_t lsn;
    int64_t time_ms;
};

/* Writes frames and makes them durable. One at a time. */
struct wal_commit {
    struct sl_job job;
    struct wal *wal;
    bool busy;
    struct wal_frame frames[WAL_COMMIT_FRAMES];
    uint32_t frame_count;
    uint64_t unit_bytes;  /* of all frames, counted in wal->pending_bytes */
    uint64_t durable_lsn; /* when the frames were formed */
    bool syncs;           /* else it only writes: all units are content with that */
    bool tells_early;     /* posts `written` between write and sync, for units that want no more */
    struct sl_task written;
    struct wal_segment *segment;
    /* Only where the frames open a segment: */
    bool opens;
    struct sl_file *previous_file; /* of the segment before, to be synced first; NULL: it is */
    uint64_t spare_number;
    uint64_t previous_lsn;
    uint64_t end; /* of the last frame in its segment */
    /* The lane's: */
    uint64_t reach;         /* of the mark in the segment that was written to last */
    uint32_t chain;         /* of the frame written last; kept from job to job */
    struct sl_buffer heads; /* segment header, frame headers and directories */
    struct sl_iovec *pieces;
    size_t piece_count;
    size_t piece_capacity;
    struct sl_file *file; /* out, where it opens a segment */
    int64_t sync_ns;      /* out */
    sl_err err;           /* out */
};

/* A commit that waits for more units; the loop's. */
struct wal_gather {
    struct sl_timer *timer; /* 0 from now: sockets are looked at before it fires */
    bool waits;
    bool looked;           /* it fired */
    uint32_t last_units;   /* of the last commit, that wanted its sync */
    uint32_t queued_units; /* between wal->pending_head and wal->pending_tail */
    uint32_t seen_units;   /* of them at the last look */
    uint32_t idle_looks;   /* in a row */
    int64_t begin_ns;      /* of the first look, monotonic; 0: none yet */
};

struct wal_checkpoint {
    struct sl_job job;
    struct sl_task step;
    struct wal *wal;
    bool busy;   /* step is posted, the job runs, or it is held */
    bool wanted; /* another one after it */
    bool begun;  /* the snapshot is on its way */
    bool last;   /* it is complete */
    bool held;   /* complete, and waits until all that was told is durable: the end of a sync */
    struct wal_checkpoint_header header; /* of this one, or of the last */
    uint64_t durable_first_segment;      /* of the last one on disk */
    uint64_t durable_last_segment;       /* likewise */
    uint64_t durable_lsn;                /* likewise */
    uint64_t durable_bytes;              /* likewise; items */
    uint64_t count;                      /* made since the open */
    struct sl_buffer bytes;              /* items that are not in the file yet */
    /* The helper's: */
    struct sl_file *file; /* NULL: none yet, or no more */
    uint64_t synced_size; /* of items */
    bool discards;
    sl_err err;
};

/* Recycles segments, prepares spares, removes what an earlier run left, looks at the disk. */
struct wal_upkeep {
    struct sl_job job;
    struct wal *wal;
    bool busy;
    bool wanted;
    struct wal_segment *retired[WAL_RETIRE_MAX]; /* their files are closed by the job */
    uint64_t retired_as[WAL_RETIRE_MAX];         /* spare number; 0: removed */
    uint32_t retired_count;
    struct wal_segment *cut; /* pinned by the job; NULL: none */
    uint64_t
        *stale_segments;    /* numbers of files that are left over; owned, of the job or the next */
    uint64_t *stale_spares; /* likewise */
    size_t stale_segment_count;
    size_t stale_spare_count;
    uint64_t made[WAL_SPARES_MAX]; /* numbers of spares to make */
    uint32_t made_count;
    uint32_t unwritten; /* of them, from the front, are not filled with zeros */
    int64_t tidy_ns;    /* not before: what an earlier run left is cut and removed */
    bool tidies;        /* the job does so */
    uint32_t kept;      /* out: segments that stay under another name */
    uint64_t bytes_zeros;
    uint64_t disk_total;
    uint64_t disk_available;
    sl_err err;
};

/* Pages of cache for the next frames. */
struct wal_pages {
    struct sl_job job;
    struct wal *wal;
    struct sl_file *file; /* of the segment, pinned by the job; NULL: none is under way */
    uint64_t segment;     /* number, that the rest is of */
    uint64_t begin, end;  /* of the stretch that was asked for last */
    uint64_t seen_end;    /* position, and frames of the log, at the last look */
    uint64_t seen_frames;
};

struct wal {
    struct commit_log log; /* what others hold */
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_lane *lane;
    struct wal_limits limits;
    uint64_t last_share; /* of bytes_max */
    struct wal_mutants mutants;
    struct wal_file_identity identity;
    const struct wal_events *events;
    void *events_arg;
    char directory[WAL_PATH_MAX];

    /* Live segments without a gap, the last is written to: number n is in segments[n &
     * segment_mask]. The table never moves, so that a helper finds a pinned one in it. */
    struct wal_segment **segments;
    uint64_t segment_mask;
    uint64_t first_segment;
    size_t segment_count;
    uint64_t sealed_bytes;   /* sizes of all but the last */
    uint64_t released_below; /* by wal_release */
    uint64_t spares[WAL_SPARES_MAX];
    uint32_t spare_count;
    uint64_t next_spare_number;
    uint32_t spares_unwritten; /* to make, for segments that stay under another name */
    uint64_t segment_syncs;    /* of the segment that is written to */
    bool has_large_syncs;      /* in the segment that was sealed last, or at first so far */
    bool knows_syncs;          /* that was told by what this run wrote: spares are made */
    bool rotates;              /* the next frame begins a segment */

    struct wal_unit *pending_head;
    struct wal_unit *pending_tail;
    uint32_t pending_units; /* including those under way */
    uint64_t pending_bytes;
    uint64_t last_lsn;
    uint64_t written_lsn; /* >= durable_lsn; what is above is not synced yet */
    bool told_early;      /* units of the commit under way */
    uint64_t unsynced_bytes;
    int64_t unsynced_ns; /* since when, monotonic */
    uint64_t durable_lsn;
    uint64_t marked_lsn; /* nothing but a mark came after it */
    int64_t time_ms;
    uint32_t epoch;
    bool fenced;
    bool fence_told;
    sl_err fence_cause;
    bool disk_full;
    uint64_t disk_total; /* bytes; 0: not known yet */
    uint64_t disk_available;
    bool disk_timer_runs;

    struct sl_task kick;     /* forms the next commit */
    uint64_t ending_segment; /* whose units' callbacks run, while the next commit may be under way
                                already; 0: none */
    struct sl_task closed_task;
    struct wal_commit commit;
    struct wal_gather gather;
    struct wal_checkpoint checkpoint;
    struct wal_upkeep upkeep;
    struct wal_pages pages;
    struct sl_timer *idle_timer;
    struct sl_timer *disk_timer;
    struct wal_unit mark; /* IDLE or CLEAN_SHUTDOWN */
    struct wal_item mark_item;
    bool mark_busy;

    bool closing;
    bool marked_clean;
    bool closed_checkpoint;
    bool is_closed;
    void (*closed)(void *arg);
    void *closed_arg;

    uint64_t frames;
    uint64_t syncs;
    uint64_t sync_ns_total;
    uint64_t bytes_bodies, bytes_heads, bytes_padding, bytes_checkpoints, bytes_zeros;
};

/* wal_commit.c */
void wal_commit_init(struct wal *wal);
void wal_commit_kick(struct wal *wal); /* forms and submits the next commit, if it may */
void wal_commit_rotate(
    struct wal *wal); /* begins what wal->rotates asks for, when nothing else does */
void wal_commit_measure(struct wal_unit *unit);                 /* sums up its items */
void wal_commit_append(struct wal *wal, struct wal_unit *unit); /* measured; no bounds checked */
void wal_commit_append_mark(struct wal *wal, uint16_t kind);    /* none is under way */
void wal_commit_fence(struct wal *wal, sl_err cause);
/* Something was told that is not durable yet. */
bool wal_commit_is_ahead(const struct wal *wal);
/* Submits a frame with nothing but the durable LSN, which syncs what was written before; nothing
 * when one is under way. */
void wal_commit_mark(struct wal *wal);
/* The first frame of the log of this run, at open. [blocks] */
sl_err wal_commit_first(struct wal *wal, uint64_t previous_lsn, uint32_t chain);
struct wal_segment *wal_segment_at(const struct wal *wal, size_t index); /* index 0: the oldest */
struct wal_segment *wal_segment_last(const struct wal *wal);             /* NULL: none */
/* The first that may have units whose callbacks have not run: what an index says of it and of later
 * ones is not complete. */
uint64_t wal_segment_unsettled(const struct wal *wal);
uint64_t wal_segment_room(const struct wal_limits *limits); /* position where frames must end */
sl_err wal_segment_add(struct wal *wal, uint64_t seq, struct wal_segment **ret_segment);
void wal_segment_forget(struct wal_segment *segment); /* closes and frees */

/* wal_gather.c */
sl_err wal_gather_init(struct wal *wal);
void wal_gather_fini(struct wal *wal);
/* The lane is free and units are pending: their commit does not begin now, but by a kick soon. */
bool wal_gather_waits(struct wal *wal);
void wal_gather_look(struct wal *wal);      /* before the kick that the timer posted */
void wal_gather_end(struct wal *wal);       /* no timer runs any more */
void wal_gather_committed(struct wal *wal); /* a commit was formed */

/* wal_checkpoint.c */
void wal_checkpoint_init(struct wal *wal);
void wal_checkpoint_request(struct wal *wal);
/* The same, unless so little was written since the last one that it would be most of the writing.
 */
void wal_checkpoint_consider(struct wal *wal);
void wal_checkpoint_resume(struct wal *wal); /* all that was told is durable now, or fenced */

/* wal_upkeep.c */
void wal_upkeep_init(struct wal *wal);
void wal_upkeep_request(struct wal *wal);
/* What the syncs of the segment that is written to carried, up to `end`, is what is expected of the
 * next ones: spares are made for that. */
void wal_spares_judge(struct wal *wal, uint64_t end);
/* As many spares as are kept when segments become free. */
uint32_t wal_spares_kept(const struct wal *wal);
void wal_disk_judge(struct wal *wal, uint64_t total_bytes, uint64_t available_bytes);
void wal_upkeep_fini(struct wal *wal);

/* wal_pages.c */
void wal_pages_init(struct wal *wal);
void wal_pages_consider(struct wal *wal); /* a commit was written and not synced */

/* wal.c */
void wal_close_step(struct wal *wal);

/* wal_ops.c */
void wal_ops_init(struct wal *wal);

#endif
