/* extent_promote.h: a sealed segment of the log becomes an extent where it lies
 * (docs/formats/extent.md).
 *
 *   read its frames' headers ─► footer and trailer behind its last frame ─► sync
 *     ─► a second name, among the extents ─► sync that directory ─► the item for the frame
 *
 * For a segment that nearly all belongs to one stream: nothing of its records is written again. The
 * CRC of a block comes from the header of its frame where the frame holds nothing else, so that not
 * even its bytes are read; else they are read and checked. The log keeps its own name of the file
 * until it releases the segment, and recovery reads it under that name as before, whether the frame
 * that makes the extent live became durable or not; the other name alone means nothing (recovery
 * removes it). [helper, blocks] */
#ifndef SL_EXTENT_EXTENT_PROMOTE_H
#define SL_EXTENT_EXTENT_PROMOTE_H

#include "base/buffer.h"
#include "extent/extent_format.h"
#include "os/os.h"

struct extent_promotion {
    struct sl_os *os;
    const char *segment_path; /* of the file under the log's name */
    const char *directory;    /* of the extents */
    uint64_t segment;         /* its number */
    uint64_t end;             /* behind its last frame */
    uint64_t id;
    struct sl_uuid topic;
    uint32_t partition;
    bool no_sync;           /* mutant: what is behind the frames is not synced */
    bool no_directory_sync; /* mutant: nor is the name */
};

/* A run of the stream: bytes of one frame. */
struct extent_piece {
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp; /* -1: none */
    uint64_t position;
    uint32_t size;
    int32_t leader_epoch;
};

/* pieces: in the order of the file. *ret_footer borrows *footer_bytes [caller's, initialised].
 * The file is open for reading and writing. E_CORRUPT: frames or batches are damaged;
 * E_UNSUPPORTED: the file system has no links; E_DISK_FULL, E_IO, E_LIMIT, E_NO_MEMORY. Then there
 * is no second name. */
sl_err extent_promote(const struct extent_promotion *promotion, const struct extent_piece *pieces,
                      uint32_t piece_count, struct sl_buffer *footer_bytes,
                      struct extent_item *ret_item, struct sl_file **ret_file,
                      struct extent_footer *ret_footer) SL_MUST_CHECK;

#endif
