/* extent_format.c: header, trailer and frame items of extent_format.h; the footer is in
 * extent_footer.c. */
#include "extent/extent_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "wal/wal_format.h"

#define HEADER_MAGIC  0x5244485f5845534cu /* "LSEX_HDR" */
#define TRAILER_MAGIC 0x444e455f5845534cu /* "LSEX_END" */

/* ---- header ---- */

#define AT_MAGIC        0  /* u64 */
#define AT_CRC          8  /* u32, of bytes 12 to 127 */
#define AT_MAJOR        12 /* u16 */
#define AT_MINOR        14 /* u16 */
#define AT_COMPATIBLE   16 /* u64 */
#define AT_INCOMPATIBLE 24 /* u64 */
#define AT_CLUSTER      32 /* 16 bytes */
#define AT_SHARD        48 /* u32, then u32 zero */
#define AT_ID           56 /* u64 */
#define AT_CREATED      64 /* i64, then zeros to 128 */

void extent_header_encode(const struct extent_header *header, uint8_t ret_bytes[EXTENT_HEADER_USED])
{
    uint8_t *to = ret_bytes;
    memset(to, 0, EXTENT_HEADER_USED);
    sl_le64_store(to + AT_MAGIC, HEADER_MAGIC);
    sl_le16_store(to + AT_MAJOR, EXTENT_FORMAT_MAJOR);
    sl_le16_store(to + AT_MINOR, EXTENT_FORMAT_MINOR);
    sl_le64_store(to + AT_COMPATIBLE, header->features_compatible);
    sl_le64_store(to + AT_INCOMPATIBLE, header->features_incompatible);
    memcpy(to + AT_CLUSTER, header->cluster.b, sizeof header->cluster.b);
    sl_le32_store(to + AT_SHARD, header->shard);
    sl_le64_store(to + AT_ID, header->id);
    sl_le64_store(to + AT_CREATED, (uint64_t)header->created_ms);
    sl_le32_store(to + AT_CRC, sl_crc32c(to + AT_MAJOR, EXTENT_HEADER_USED - AT_MAJOR));
}

static bool id_is_possible(uint64_t id)
{
    return id > 0 && id < WAL_PLACE_EXTENT;
}

/* A promoted one keeps the header of the segment that it was: the log's recovery may still read it.
 */
static sl_err segment_header_decode(const uint8_t bytes[EXTENT_HEADER_USED],
                                    struct extent_header *ret_header)
{
    struct wal_segment_header segment;
    sl_err err = wal_segment_header_decode(bytes, &segment);
    if (err != SLUICE_OK)
        return err;
    *ret_header = (struct extent_header){.cluster = segment.identity.cluster,
                                         .shard = segment.identity.shard,
                                         .created_ms = segment.created_ms,
                                         .segment = segment.seq};
    return segment.seq > 0 ? SLUICE_OK : SLUICE_E_CORRUPT;
}

/* Magic and CRC are of all majors, so that "newer" is told from "damaged". */
sl_err extent_header_decode(const uint8_t bytes[EXTENT_HEADER_USED],
                            struct extent_header *ret_header)
{
    if (sl_le64_load(bytes + AT_MAGIC) != HEADER_MAGIC)
        return segment_header_decode(bytes, ret_header);
    if (sl_le32_load(bytes + AT_CRC) != sl_crc32c(bytes + AT_MAJOR, EXTENT_HEADER_USED - AT_MAJOR))
        return SLUICE_E_CORRUPT;
    uint16_t major = sl_le16_load(bytes + AT_MAJOR);
    if (major > EXTENT_FORMAT_MAJOR || sl_le64_load(bytes + AT_INCOMPATIBLE) != 0)
        return SLUICE_E_NEWER_FORMAT;
    if (major != EXTENT_FORMAT_MAJOR || !id_is_possible(sl_le64_load(bytes + AT_ID)))
        return SLUICE_E_CORRUPT;
    ret_header->features_compatible = sl_le64_load(bytes + AT_COMPATIBLE);
    ret_header->features_incompatible = 0;
    memcpy(ret_header->cluster.b, bytes + AT_CLUSTER, sizeof ret_header->cluster.b);
    ret_header->shard = sl_le32_load(bytes + AT_SHARD);
    ret_header->id = sl_le64_load(bytes + AT_ID);
    ret_header->created_ms = (int64_t)sl_le64_load(bytes + AT_CREATED);
    ret_header->segment = 0;
    return SLUICE_OK;
}

/* ---- trailer ---- */

#define END_CRC             8  /* u32, of bytes 12 to 63 */
#define END_ID              16 /* u64, after u32 zero */
#define END_FOOTER_POSITION 24 /* u64 */
#define END_FOOTER_SIZE     32 /* u64 */
#define END_STREAM_COUNT    40 /* u32 */
#define END_BLOCK_COUNT     44 /* u32 */
#define END_FOOTER_CRC      48 /* u32, then u32 zero */
#define END_SEGMENT         56 /* u64 */

void extent_trailer_encode(const struct extent_trailer *trailer, uint8_t ret_bytes[EXTENT_TRAILER])
{
    uint8_t *to = ret_bytes;
    memset(to, 0, EXTENT_TRAILER);
    sl_le64_store(to + AT_MAGIC, TRAILER_MAGIC);
    sl_le64_store(to + END_ID, trailer->id);
    sl_le64_store(to + END_FOOTER_POSITION, trailer->footer_position);
    sl_le64_store(to + END_FOOTER_SIZE, trailer->footer_size);
    sl_le32_store(to + END_STREAM_COUNT, trailer->stream_count);
    sl_le32_store(to + END_BLOCK_COUNT, trailer->block_count);
    sl_le32_store(to + END_FOOTER_CRC, trailer->footer_crc);
    sl_le64_store(to + END_SEGMENT, trailer->segment);
    sl_le32_store(to + END_CRC, sl_crc32c(to + END_CRC + 4, EXTENT_TRAILER - END_CRC - 4));
}

uint64_t extent_footer_size(uint32_t stream_count, uint32_t block_count)
{
    return (uint64_t)stream_count * EXTENT_STREAM_ENTRY +
           (uint64_t)block_count * EXTENT_BLOCK_ENTRY;
}

/* Counts and sizes that one file can have; no sum here can wrap. */
static bool counts_agree(uint32_t stream_count, uint32_t block_count, uint64_t footer_size)
{
    return stream_count > 0 && block_count >= stream_count && footer_size <= EXTENT_FOOTER_MAX &&
           footer_size == extent_footer_size(stream_count, block_count);
}

sl_err extent_trailer_decode(const uint8_t bytes[EXTENT_TRAILER], uint64_t file_size,
                             struct extent_trailer *ret_trailer)
{
    if (sl_le64_load(bytes + AT_MAGIC) != TRAILER_MAGIC ||
        sl_le32_load(bytes + END_CRC) !=
            sl_crc32c(bytes + END_CRC + 4, EXTENT_TRAILER - END_CRC - 4))
        return SLUICE_E_CORRUPT;
    struct extent_trailer trailer = {
        .id = sl_le64_load(bytes + END_ID),
        .footer_position = sl_le64_load(bytes + END_FOOTER_POSITION),
        .footer_size = sl_le64_load(bytes + END_FOOTER_SIZE),
        .stream_count = sl_le32_load(bytes + END_STREAM_COUNT),
        .block_count = sl_le32_load(bytes + END_BLOCK_COUNT),
        .footer_crc = sl_le32_load(bytes + END_FOOTER_CRC),
        .segment = sl_le64_load(bytes + END_SEGMENT),
    };
    if (!id_is_possible(trailer.id) ||
        !counts_agree(trailer.stream_count, trailer.block_count, trailer.footer_size))
        return SLUICE_E_CORRUPT;
    uint64_t behind = trailer.footer_size + EXTENT_TRAILER;
    if (file_size < behind || trailer.footer_position != file_size - behind ||
        trailer.footer_position <= EXTENT_HEADER)
        return SLUICE_E_CORRUPT;
    *ret_trailer = trailer;
    return SLUICE_OK;
}

/* ---- items of frames ---- */

#define ITEM_ID           0
#define ITEM_FILE_SIZE    8
#define ITEM_BYTES        16
#define ITEM_CREATED      24
#define ITEM_FOOTER_CRC   32
#define ITEM_STREAM_COUNT 36
#define ITEM_BLOCK_COUNT  40
#define ITEM_FLAGS        44 /* u32: ITEM_PROMOTED, ITEM_PURE */

#define ITEM_PROMOTED 1u
#define ITEM_PURE     2u

void extent_item_encode(const struct extent_item *item, uint8_t ret_payload[EXTENT_ITEM_SIZE])
{
    memset(ret_payload, 0, EXTENT_ITEM_SIZE);
    sl_le64_store(ret_payload + ITEM_ID, item->id);
    sl_le64_store(ret_payload + ITEM_FILE_SIZE, item->file_size);
    sl_le64_store(ret_payload + ITEM_BYTES, item->bytes);
    sl_le64_store(ret_payload + ITEM_CREATED, (uint64_t)item->created_ms);
    sl_le32_store(ret_payload + ITEM_FOOTER_CRC, item->footer_crc);
    sl_le32_store(ret_payload + ITEM_STREAM_COUNT, item->stream_count);
    sl_le32_store(ret_payload + ITEM_BLOCK_COUNT, item->block_count);
    uint32_t flags = item->promoted ? ITEM_PROMOTED : 0;
    flags |= item->pure ? ITEM_PURE : 0;
    sl_le32_store(ret_payload + ITEM_FLAGS, flags);
}

static bool item_agrees(const struct extent_item *item)
{
    uint64_t footer_size = extent_footer_size(item->stream_count, item->block_count);
    if (!id_is_possible(item->id) || item->bytes == 0 || item->bytes > item->file_size)
        return false;
    if (!counts_agree(item->stream_count, item->block_count, footer_size))
        return false;
    uint64_t others = item->file_size - item->bytes;
    uint64_t ends = EXTENT_HEADER + footer_size + EXTENT_TRAILER;
    /* A promoted one has what else the frames hold. */
    return item->promoted ? item->stream_count == 1 && others > ends : others == ends;
}

sl_err extent_item_decode(uint8_t version, struct sl_bytes payload, struct extent_item *ret_item)
{
    if (version > EXTENT_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version != EXTENT_ITEM_VERSION || payload.size != EXTENT_ITEM_SIZE)
        return SLUICE_E_CORRUPT;
    uint32_t flags = sl_le32_load(payload.data + ITEM_FLAGS);
    struct extent_item item = {
        .id = sl_le64_load(payload.data + ITEM_ID),
        .file_size = sl_le64_load(payload.data + ITEM_FILE_SIZE),
        .bytes = sl_le64_load(payload.data + ITEM_BYTES),
        .created_ms = (int64_t)sl_le64_load(payload.data + ITEM_CREATED),
        .footer_crc = sl_le32_load(payload.data + ITEM_FOOTER_CRC),
        .stream_count = sl_le32_load(payload.data + ITEM_STREAM_COUNT),
        .block_count = sl_le32_load(payload.data + ITEM_BLOCK_COUNT),
        .promoted = (flags & ITEM_PROMOTED) != 0,
        .pure = (flags & ITEM_PURE) != 0,
    };
    if ((flags & ~(ITEM_PROMOTED | ITEM_PURE)) != 0)
        return SLUICE_E_NEWER_FORMAT;
    if (item.pure && !item.promoted)
        return SLUICE_E_CORRUPT;
    if (!item_agrees(&item))
        return SLUICE_E_CORRUPT;
    *ret_item = item;
    return SLUICE_OK;
}

void extent_drop_item_encode(uint64_t id, uint8_t ret_payload[EXTENT_DROP_ITEM_SIZE])
{
    sl_le64_store(ret_payload, id);
}

sl_err extent_drop_item_decode(uint8_t version, struct sl_bytes payload, uint64_t *ret_id)
{
    if (version > EXTENT_DROP_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version != EXTENT_DROP_ITEM_VERSION || payload.size != EXTENT_DROP_ITEM_SIZE)
        return SLUICE_E_CORRUPT;
    uint64_t id = sl_le64_load(payload.data);
    if (!id_is_possible(id))
        return SLUICE_E_CORRUPT;
    *ret_id = id;
    return SLUICE_OK;
}
