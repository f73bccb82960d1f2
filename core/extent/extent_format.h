/* extent_format.h: the bytes of an extent file (docs/formats/extent.md). Pure data.
 *
 *   header 4096 | batches of stream 0 | batches of stream 1 | … | footer | trailer 64
 *   footer: stream entry 72, for each stream; block entry 48, for each block
 *
 * A stream is one partition: its batches as they were acknowledged, byte for byte, in order of
 * offsets, without gaps between them in the file. They are cut into blocks of whole batches: a
 * block is what is read and checked at once, and the sparse index by offset and by time. Each block
 * has a CRC of its own, the footer another, and the frame item that made the extent live names that
 * one: no byte is believed that is not covered. Numbers are little-endian; positions are 64 bits
 * wide.
 *
 * A promoted extent was a segment of the log, of which one stream has nearly all: it begins with
 * that one's header and holds its frames; the blocks lie where the frames have them. [any] */
#ifndef SL_EXTENT_EXTENT_FORMAT_H
#define SL_EXTENT_EXTENT_FORMAT_H

#include "wal/item.h"

#define EXTENT_HEADER       4096u /* of which 128 are used */
#define EXTENT_HEADER_USED  128u
#define EXTENT_STREAM_ENTRY 72u
#define EXTENT_BLOCK_ENTRY  48u
#define EXTENT_TRAILER      64u
#define EXTENT_BLOCK_BYTES  (256u << 10) /* a block ends here; a larger batch is one of its own */
#define EXTENT_FOOTER_MAX   (256u << 20) /* bytes: more is refused by writer and reader */

#define EXTENT_PROBLEM_BYTES 256u /* of a sentence: which file, where, what to do */

#define EXTENT_FORMAT_MAJOR 1u
#define EXTENT_FORMAT_MINOR 0u

struct extent_header {
    uint64_t features_compatible;   /* bits that an older reader may ignore; none yet */
    uint64_t features_incompatible; /* bits that it must know; none yet */
    struct sl_uuid cluster;
    uint32_t shard;
    uint64_t id;        /* of the shard; never given twice */
    int64_t created_ms; /* wall time */
    uint64_t segment;   /* not 0: a promoted one, with the header of this segment of the log; the id
                           is the trailer's */
};

struct extent_stream {
    struct sl_uuid topic;
    uint32_t partition;
    uint32_t first_block; /* in the footer */
    uint32_t block_count; /* at least 1 */
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    uint64_t position; /* of its first batch */
    uint64_t bytes;
};

struct extent_block {
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    uint64_t position;
    uint32_t size;
    int32_t leader_epoch; /* the same in all its batches */
    uint32_t crc;         /* CRC-32C of its bytes */
    bool begins_range;    /* what lies between the block before it and this one is elsewhere */
};

struct extent_trailer {
    uint64_t id;
    uint64_t footer_position; /* = end of the batches */
    uint64_t footer_size;
    uint32_t stream_count;
    uint32_t block_count;
    uint32_t footer_crc;
    uint64_t segment; /* of the log, that it was; 0: it was written as an extent */
};

/* What a frame says of an extent: item EXTENT, version 1, 48 bytes: id u64, file size u64, bytes of
 * batches u64, created i64, footer CRC u32, stream count u32, block count u32, flags u32 (1:
 * promoted, 2: and pure).
 */
#define EXTENT_ITEM_VERSION 1u
#define EXTENT_ITEM_SIZE    48u
struct extent_item {
    uint64_t id; /* 1 … WAL_PLACE_EXTENT - 1 */
    uint64_t file_size;
    uint64_t bytes;
    int64_t created_ms;
    uint32_t footer_crc;
    uint32_t stream_count;
    uint32_t block_count;
    bool promoted;
    bool pure; /* promoted, and its frames hold no records but the stream's */
};
/* Item EXTENT_DROP, version 1, 8 bytes: id u64. */
#define EXTENT_DROP_ITEM_VERSION 1u
#define EXTENT_DROP_ITEM_SIZE    8u

/* Of one that is written as an extent. */
void extent_header_encode(const struct extent_header *header,
                          uint8_t ret_bytes[EXTENT_HEADER_USED]);
/* E_NEWER_FORMAT: its major is higher or it has an unknown incompatible feature; E_CORRUPT: magic
 * or CRC. */
sl_err extent_header_decode(const uint8_t bytes[EXTENT_HEADER_USED],
                            struct extent_header *ret_header) SL_MUST_CHECK;
void extent_trailer_encode(const struct extent_trailer *trailer, uint8_t ret_bytes[EXTENT_TRAILER]);
/* E_CORRUPT: magic, CRC, or sizes that contradict each other or the file's size. */
sl_err extent_trailer_decode(const uint8_t bytes[EXTENT_TRAILER], uint64_t file_size,
                             struct extent_trailer *ret_trailer) SL_MUST_CHECK;
uint64_t extent_footer_size(uint32_t stream_count, uint32_t block_count); /* bytes */
void extent_stream_encode(const struct extent_stream *stream,
                          uint8_t ret_bytes[EXTENT_STREAM_ENTRY]);
void extent_block_encode(const struct extent_block *block, uint8_t ret_bytes[EXTENT_BLOCK_ENTRY]);

/* A footer that was checked: its CRC, and that streams and blocks follow each other without gap or
 * overlap from EXTENT_HEADER to the footer (of a promoted one: gaps may be, but there is one
 * stream), that offsets rise within a stream, that no (topic, partition) comes twice, and that sums
 * agree. */
struct extent_footer {
    struct sl_bytes bytes; /* borrowed */
    struct extent_trailer trailer;
};
/* bytes: the whole footer, without the trailer. E_CORRUPT, E_NO_MEMORY. */
sl_err extent_footer_check(const struct extent_trailer *trailer, struct sl_bytes bytes,
                           struct extent_footer *ret_footer) SL_MUST_CHECK;
/* Blocks [first, returned) are one range of the stream, whose last block is before `end`. */
uint32_t extent_footer_range(const struct extent_footer *footer, uint32_t first, uint32_t end);
struct extent_stream extent_footer_stream(const struct extent_footer *footer, uint32_t index);
struct extent_block extent_footer_block(const struct extent_footer *footer, uint32_t index);

void extent_item_encode(const struct extent_item *item, uint8_t ret_payload[EXTENT_ITEM_SIZE]);
/* E_NEWER_FORMAT, E_CORRUPT. */
sl_err extent_item_decode(uint8_t version, struct sl_bytes payload,
                          struct extent_item *ret_item) SL_MUST_CHECK;
void extent_drop_item_encode(uint64_t id, uint8_t ret_payload[EXTENT_DROP_ITEM_SIZE]);
sl_err extent_drop_item_decode(uint8_t version, struct sl_bytes payload,
                               uint64_t *ret_id) SL_MUST_CHECK;

#endif
