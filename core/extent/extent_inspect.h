/* extent_inspect.h: reads one extent file without a set and without changing it, for `sluice extent
 * ls|dump|verify` and for tests.
 *
 * Which files there are says extent_directory_ids (extent_file.h). A file may belong to a broker
 * that runs: extents never change once they are live; one that is being written or removed is told
 * by E_CORRUPT or E_NOT_FOUND. Everything here [blocks]. */
#ifndef SL_EXTENT_EXTENT_INSPECT_H
#define SL_EXTENT_EXTENT_INSPECT_H

#include "extent/extent_file.h"
#include "record/batch_view.h"

/* In the order of the file: outline, then each stream, its blocks, after each block its batches.
 * All is borrowed for the call. Each may be NULL; another result than SLUICE_OK ends the inspection
 * with it. */
struct extent_inspect_events {
    sl_err (*outline)(void *arg, const struct extent_outline *outline);
    sl_err (*stream)(void *arg, const struct extent_stream *stream);
    sl_err (*block)(void *arg, const struct extent_stream *stream,
                    const struct extent_block *block);
    sl_err (*batch)(void *arg, const struct extent_stream *stream, uint64_t position,
                    const struct batch_view *batch);
    /* Instead of the block's batches; the inspection goes on. */
    sl_err (*damage)(void *arg, const struct extent_stream *stream,
                     const struct extent_block *block);
};

struct extent_report {
    uint64_t file_size;
    uint32_t stream_count;
    uint32_t block_count;
    uint32_t damaged_blocks;
    uint64_t batch_count; /* of sound blocks that were read */
    uint64_t bytes_read;  /* of blocks */
    char problem[EXTENT_PROBLEM_BYTES];
};

/* read_blocks: reads and checks every block and batch, as a scrub does; else only what recovery
 * reads. The report is set in any case. SLUICE_OK: sound. E_NOT_FOUND, E_NEWER_FORMAT, E_NO_MEMORY,
 * E_IO, and E_CORRUPT, also when blocks are damaged: report->problem says what, where and what to
 * do. */
sl_err extent_inspect(struct sl_os *os, const char *path, bool read_blocks,
                      const struct extent_inspect_events *events, void *arg,
                      struct extent_report *ret_report) SL_MUST_CHECK;

#endif
