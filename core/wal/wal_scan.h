/* wal_scan.h: reading segments, checkpoints and a whole log directory, changing nothing.
 *
 * Recovery (wal_open) and inspection (`sluice wal dump|verify`) read through the same code; it
 * decides what is intact, what is a torn tail and what is corruption (docs/formats/wal.md,
 * "Recovery"). Everything here [blocks]. */
#ifndef SL_WAL_WAL_SCAN_H
#define SL_WAL_WAL_SCAN_H

#include "wal/wal_format.h"

#define WAL_PATH_MAX WAL_PATH_BYTES

/* ---- one segment file ---- */

#define WAL_AHEAD_BUFFERS 4u /* one of them is looked at */

/* Reads in a row, up to WAL_AHEAD_BUFFERS - 1 of them under way. */
struct wal_ahead {
    struct sl_reader *thread; /* owned; NULL: not yet, or there is none to have */
    uint8_t *bytes; /* owned; of each buffer a step for what is kept, and one that is read */
    struct sl_read reads[WAL_AHEAD_BUFFERS];
    uint32_t first; /* the oldest under way; the buffer before it is looked at */
    uint32_t count;
    uint64_t end; /* of the last one under way */
};

struct wal_reader {
    struct sl_file *file; /* borrowed */
    uint64_t file_size;
    const uint8_t *window; /* in `own`, or in a buffer of what was read ahead */
    uint64_t window_position;
    size_t window_size;
    uint8_t *own; /* owned */
    size_t own_capacity;
    size_t step; /* what is read at once, at least: headers may lie far apart */
    uint64_t
        limit; /* nothing is read ahead from here on: of no interest; at first the file's end */
    uint64_t data_end; /* of the run of data that was read last; what was never written to is not
                          read ahead */
    uint64_t bytes_read;
    uint64_t alone_end; /* before it something cannot be read: only what is asked for is read */
    uint64_t failed_position; /* of the last get or peek … */
    size_t failed_size;       /* … whose bytes cannot be read, E_IO; 0: it was not that */
    struct sl_os *os; /* of start-up and command-line code: where all is read, a thread of it reads
                         ahead; NULL: none does */
    struct wal_ahead ahead;
};

#define WAL_READER_STEP        (256u * 1024) /* where all is read */
#define WAL_READER_STEP_SPARSE 8192u         /* where only headers and directories are, at first */

void wal_reader_init(struct wal_reader *reader);
void wal_reader_fini(struct wal_reader *reader);
/* Reads from `file` from now on; the window's memory is kept. */
sl_err wal_reader_open(struct wal_reader *reader, struct sl_file *file) SL_MUST_CHECK;
/* Bytes [position, + size), borrowed until the next call. E_TRUNCATED: the file ends before. E_IO:
 * these very bytes cannot be read, whatever is wrong with those around. */
sl_err wal_reader_get(struct wal_reader *reader, uint64_t position, size_t size,
                      const uint8_t **ret_bytes) SL_MUST_CHECK;
/* The frame at `position`: header and directory, whose CRCs hold. E_CORRUPT, E_TRUNCATED, or the
 * error of the read. The directory is borrowed until the next call. */
sl_err wal_reader_frame(struct wal_reader *reader, uint64_t position,
                        struct wal_frame_header *ret_header,
                        struct sl_bytes *ret_directory) SL_MUST_CHECK;
/* What was read is not believed any more: the file is asked anew. */
void wal_reader_forget(struct wal_reader *reader);
/* The header alone; the window stays where it is. */
sl_err wal_reader_peek(struct wal_reader *reader, uint64_t position,
                       struct wal_frame_header *ret_header) SL_MUST_CHECK;
sl_err wal_reader_header(struct wal_reader *reader, uint64_t position,
                         struct wal_frame_header *ret_header) SL_MUST_CHECK;
/* E_CORRUPT when the body of the frame at `position` fails its CRC. */
sl_err wal_reader_body(struct wal_reader *reader, uint64_t position,
                       const struct wal_frame_header *header) SL_MUST_CHECK;

/* ---- a log directory ---- */

/* A segment that was read; ended: where its intact frames end. */
struct wal_scan_segment {
    struct wal_segment_header header;
    struct sl_file *file; /* the caller closes it */
    uint64_t file_size;
    uint64_t end_position;
    uint64_t last_lsn;
    uint64_t reach; /* of the last segment: a frame that tells what is durable begins before it */
};

struct wal_scan_events {
    /* Each may be NULL. Another result than SLUICE_OK ends the scan with it. */
    sl_err (*checkpoint)(void *arg, const struct wal_checkpoint_header *checkpoint);
    sl_err (*segment)(void *arg, const struct wal_scan_segment *segment); /* after its frames */
    sl_err (*frame)(void *arg, const struct wal_segment_header *segment, uint64_t position,
                    const struct wal_frame_header *frame);
    /* lsn of checkpoint items: the checkpoint's; their place is all zero. */
    sl_err (*item)(void *arg, uint64_t lsn, const struct wal_item_view *item,
                   const struct wal_place *place);
};

struct wal_scan_config {
    struct sl_os *os;
    const char *directory;                    /* the one that holds the .seg files */
    const struct wal_file_identity *identity; /* NULL: whatever the first file says */
    struct wal_mutants mutants;
    bool writable;   /* opens segments for writing too */
    bool every_body; /* verifies all bodies, not only the unclaimed */
    bool all_items;  /* also those of frames that the checkpoint contains */
    bool reread;     /* all was read from the disk a moment ago: the page cache will do */
    const struct wal_scan_events *events;
    void *events_arg;
};

/* What the directory holds. */
struct wal_scan {
    bool has_checkpoint;
    struct wal_checkpoint_header checkpoint;
    struct wal_scan_segment *segments; /* in order; owned, and their files */
    size_t segment_count;
    uint64_t *stale; /* numbers of segments that the checkpoint made free; owned */
    size_t stale_count;
    uint64_t *spares; /* numbers of spare files; owned */
    size_t spare_count;
    bool leftovers; /* a checkpoint.tmp exists */
    uint64_t last_lsn;
    uint32_t chain; /* of frame last_lsn */
    uint32_t epoch; /* the highest seen */
    int64_t time_ms;
    bool clean; /* the last frame marks a clean shutdown */
};

/* Scans. On failure ret_recovery->problem has a sentence; nothing to free. */
sl_err wal_scan_run(const struct wal_scan_config *config, struct wal_recovery *ret_recovery,
                    struct wal_scan *ret_scan) SL_MUST_CHECK;
void wal_scan_fini(struct wal_scan *scan); /* closes the files that are still in it */

/* Paths inside the log's directory. */
void wal_path_segment(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t seq);
void wal_path_spare(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t number);
void wal_path_checkpoint(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t generation);
void wal_path_checkpoint_tmp(char ret_path[WAL_PATH_MAX], const char *directory);

/* ---- checkpoint files ---- */

/* The header of one, and whether the file is as long as it says. E_NOT_FOUND, E_CORRUPT,
 * E_NEWER_FORMAT, … `cached`: what the page cache holds will do. */
sl_err wal_checkpoint_peek(struct sl_os *os, const char *path, bool cached,
                           struct wal_checkpoint_header *ret_header) SL_MUST_CHECK;
/* Reads and verifies one; items are the caller's to free. The errors of wal_checkpoint_peek. */
sl_err wal_checkpoint_read(struct sl_os *os, const char *path, bool cached,
                           struct wal_checkpoint_header *ret_header,
                           struct sl_bytes *ret_items) SL_MUST_CHECK;
/* A checkpoint is written to a temporary file, items first, from WAL_CHECKPOINT_HEADER on. [blocks]
 */
sl_err wal_checkpoint_create(struct sl_os *os, const char *directory,
                             struct sl_file **ret_file) SL_MUST_CHECK;
sl_err wal_checkpoint_put(struct sl_file *file, uint64_t position,
                          struct sl_bytes bytes) SL_MUST_CHECK;
/* Header, sync, rename, sync. [takes file] */
sl_err wal_checkpoint_finish(struct sl_os *os, const char *directory, struct sl_file *file,
                             const struct wal_checkpoint_header *header) SL_MUST_CHECK;
/* All of it at once: `bytes` are header and items. */
sl_err wal_checkpoint_write(struct sl_os *os, const char *directory, uint64_t generation,
                            struct sl_bytes bytes) SL_MUST_CHECK;
/* Nothing will come of it. [takes file] */
void wal_checkpoint_discard(struct sl_os *os, const char *directory, struct sl_file *file);

#endif
