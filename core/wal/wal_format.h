/* wal_format.h: the bytes of segments, frames, items and checkpoints (docs/formats/wal.md). Pure
 * data.
 *
 * Segment file:  header 4096 | frame | frame | … | zeros or older bytes | mark 4096
 * Frame:         envelope 64 | entry header 64 | directory | body | zeros, to a multiple of 4096
 * Directory:     item header 16, payload, zeros to a multiple of 8; again and again
 * Checkpoint:    header 128 | items as in a directory
 * All numbers little-endian. Encoders write headers whose CRCs cover what the structs say; decoders
 * never read outside the bytes given and take nothing on trust before its CRC holds. [any] */
#ifndef SL_WAL_WAL_FORMAT_H
#define SL_WAL_WAL_FORMAT_H

#include "wal/item.h"
#include "wal/wal.h"

#define WAL_BLOCK             4096u /* frames begin and end at multiples of it */
#define WAL_SEGMENT_HEADER    4096u /* of which 128 are used */
#define WAL_HEADER_USED       128u
#define WAL_ENVELOPE_SIZE     64u
#define WAL_ENTRY_HEADER_SIZE 64u
#define WAL_FRAME_HEADER      (WAL_ENVELOPE_SIZE + WAL_ENTRY_HEADER_SIZE)
#define WAL_ITEM_HEADER       16u
#define WAL_CHECKPOINT_HEADER 128u
#define WAL_REACH_USED        64u /* of the mark's block */

/* Compatible feature of segments: their last block holds a mark, struct wal_reach. */
#define WAL_SEGMENT_REACH 1u

/* Incompatible feature of checkpoints: items may already hold what frames up to end_lsn say. */
#define WAL_CHECKPOINT_SPREAD 1u

#define WAL_FORMAT_MAJOR 1u
#define WAL_FORMAT_MINOR 0u

/* What every file says of itself. */
struct wal_file_identity {
    uint64_t features_compatible;   /* bits that an older reader may ignore */
    uint64_t features_incompatible; /* bits that it must know */
    struct sl_uuid cluster;
    uint32_t shard;
};

struct wal_segment_header {
    struct wal_file_identity identity;
    uint64_t seq;          /* number and incarnation */
    uint64_t first_lsn;    /* of its first frame */
    uint64_t previous_lsn; /* last of the segment before; it ends there whatever follows in it */
    uint32_t chain;        /* envelope CRC of frame previous_lsn; 0 before the first frame */
    uint32_t epoch;        /* of the run that made it */
    int64_t created_ms;
};

/* The mark of a segment: no frame that is durable ends beyond `reach`, and so none of the next sync
 * begins there. */
struct wal_reach {
    struct sl_uuid cluster;
    uint32_t shard;
    uint64_t seq;       /* of the segment: of another one in a file that was recycled */
    uint64_t file_size; /* the mark is at its end */
    uint64_t reach;
};

/* Envelope and entry header. */
struct wal_frame_header {
    /* envelope: local to the node */
    uint64_t frame_size; /* all of it, padding too */
    uint64_t incarnation;
    uint64_t durable_lsn; /* highest known durable when this was written */
    uint32_t chain;       /* envelope CRC of the frame before */
    uint32_t crc;         /* envelope CRC: of the envelope and the entry header */
    /* entry: the same on every replica */
    uint64_t lsn;
    uint64_t body_size;
    int64_t time_ms;
    uint32_t epoch;
    uint32_t item_count;
    uint32_t directory_size;
    uint32_t directory_crc;
    uint32_t body_crc;
    uint32_t flags; /* 0 */
};

struct wal_checkpoint_header {
    struct wal_file_identity identity;
    uint64_t generation;    /* rises with every checkpoint; even: checkpoint-0, odd: checkpoint-1 */
    uint64_t lsn;           /* every frame up to it is contained */
    uint64_t end_lsn;       /* >= lsn: items may hold what frames up to it say; all were durable */
    uint64_t first_segment; /* reading goes on with these: first to last, none missing */
    uint64_t last_segment;
    uint64_t item_count;
    uint64_t items_size;
    int64_t time_ms;
    uint32_t epoch;
    uint32_t items_crc;
};

/* E_NEWER_FORMAT: its major is higher or it has an unknown incompatible feature; E_CORRUPT: magic
 * or CRC. */
void wal_segment_header_encode(const struct wal_segment_header *header,
                               uint8_t ret_bytes[WAL_HEADER_USED]);
sl_err wal_segment_header_decode(const uint8_t bytes[WAL_HEADER_USED],
                                 struct wal_segment_header *ret_header) SL_MUST_CHECK;
void wal_checkpoint_header_encode(const struct wal_checkpoint_header *header,
                                  uint8_t ret_bytes[WAL_CHECKPOINT_HEADER]);
sl_err wal_checkpoint_header_decode(const uint8_t bytes[WAL_CHECKPOINT_HEADER],
                                    struct wal_checkpoint_header *ret_header) SL_MUST_CHECK;

void wal_reach_encode(const struct wal_reach *mark, uint8_t ret_bytes[WAL_REACH_USED]);
/* E_CORRUPT: magic or CRC, or a reach beyond the file. */
sl_err wal_reach_decode(const uint8_t bytes[WAL_REACH_USED],
                        struct wal_reach *ret_mark) SL_MUST_CHECK;

/* Computes the entry header CRC and the envelope CRC, which it also puts into header->crc. */
void wal_frame_header_encode(struct wal_frame_header *header, uint8_t ret_bytes[WAL_FRAME_HEADER]);
/* E_CORRUPT: not a frame header, a CRC does not hold, or sizes that contradict each other. */
sl_err wal_frame_header_decode(const uint8_t bytes[WAL_FRAME_HEADER],
                               struct wal_frame_header *ret_header) SL_MUST_CHECK;
/* Size of a frame with such a directory and body, padded. */
uint64_t wal_frame_size(uint64_t directory_size, uint64_t body_size);

/* ---- items ---- */

struct wal_item_view {
    uint16_t kind;
    uint8_t version;
    uint8_t flags;
    struct sl_bytes payload; /* borrowed from the directory */
    uint32_t body_size;
};

uint64_t wal_item_size(uint64_t payload_size); /* in a directory */
/* Writes wal_item_size(payload.size) bytes and returns the end. */
uint8_t *wal_item_encode(uint8_t *to, uint16_t kind, uint8_t version, uint8_t flags,
                         struct sl_bytes payload, uint32_t body_size);

/* Walks a directory: true and the next item; false at the end or at damage (walk->err). */
struct wal_item_walk {
    struct sl_bytes rest;
    sl_err err; /* E_CORRUPT: an item reaches beyond the directory or its padding is not zero */
};
void wal_item_walk_init(struct wal_item_walk *walk, struct sl_bytes directory);
bool wal_item_walk_next(struct wal_item_walk *walk, struct wal_item_view *ret_item);
/* Whether the directory is as the header says. Asked before anything is applied: a frame is taken
 * whole or not at all. */
bool wal_frame_items_agree(const struct wal_frame_header *frame, struct sl_bytes directory);
/* Whether this version can apply the kind. */
bool wal_item_kind_known(uint16_t kind);
const char *wal_item_kind_name(uint16_t kind); /* "BATCH"; "?" when unknown */

#endif
