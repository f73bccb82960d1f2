/* wal_format.c: encoders and decoders of wal_format.h. */
#include "wal/wal_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

#define SEGMENT_MAGIC    0x4745535f4c57534cu /* "LSWL_SEG" */
#define CHECKPOINT_MAGIC 0x504b435f4c57534cu /* "LSWL_CKP" */
#define REACH_MAGIC      0x4843525f4c57534cu /* "LSWL_RCH" */
#define FRAME_MAGIC      0x4d52464cu         /* "LFRM" */

/* ---- what both file headers begin with: 56 bytes ---- */

#define AT_MAGIC        0  /* u64 */
#define AT_CRC          8  /* u32, of bytes 12 to the end of the used header */
#define AT_MAJOR        12 /* u16 */
#define AT_MINOR        14 /* u16 */
#define AT_COMPATIBLE   16 /* u64 */
#define AT_INCOMPATIBLE 24 /* u64 */
#define AT_CLUSTER      32 /* 16 bytes */
#define AT_SHARD        48 /* u32, then u32 zero */
#define AT_REST         56

static void identity_encode(uint64_t magic, const struct wal_file_identity *identity, uint8_t *to)
{
    memset(to, 0, WAL_HEADER_USED);
    sl_le64_store(to + AT_MAGIC, magic);
    sl_le16_store(to + AT_MAJOR, WAL_FORMAT_MAJOR);
    sl_le16_store(to + AT_MINOR, WAL_FORMAT_MINOR);
    sl_le64_store(to + AT_COMPATIBLE, identity->features_compatible);
    sl_le64_store(to + AT_INCOMPATIBLE, identity->features_incompatible);
    memcpy(to + AT_CLUSTER, identity->cluster.b, sizeof identity->cluster.b);
    sl_le32_store(to + AT_SHARD, identity->shard);
}

static void header_seal(uint8_t *header)
{
    sl_le32_store(header + AT_CRC, sl_crc32c(header + AT_MAJOR, WAL_HEADER_USED - AT_MAJOR));
}

/* Magic and CRC of a header are of all majors, so that "newer" is told from "damaged". */
static sl_err identity_decode(uint64_t magic, uint64_t known, const uint8_t *from,
                              struct wal_file_identity *ret_identity)
{
    if (sl_le64_load(from + AT_MAGIC) != magic)
        return SLUICE_E_CORRUPT;
    if (sl_le32_load(from + AT_CRC) != sl_crc32c(from + AT_MAJOR, WAL_HEADER_USED - AT_MAJOR))
        return SLUICE_E_CORRUPT;
    uint16_t major = sl_le16_load(from + AT_MAJOR);
    if (major > WAL_FORMAT_MAJOR || (sl_le64_load(from + AT_INCOMPATIBLE) & ~known) != 0)
        return SLUICE_E_NEWER_FORMAT;
    if (major != WAL_FORMAT_MAJOR)
        return SLUICE_E_CORRUPT;
    ret_identity->features_compatible = sl_le64_load(from + AT_COMPATIBLE);
    ret_identity->features_incompatible = sl_le64_load(from + AT_INCOMPATIBLE);
    memcpy(ret_identity->cluster.b, from + AT_CLUSTER, sizeof ret_identity->cluster.b);
    ret_identity->shard = sl_le32_load(from + AT_SHARD);
    return SLUICE_OK;
}

void wal_segment_header_encode(const struct wal_segment_header *header,
                               uint8_t ret_bytes[WAL_HEADER_USED])
{
    identity_encode(SEGMENT_MAGIC, &header->identity, ret_bytes);
    uint8_t *to = ret_bytes + AT_REST;
    sl_le64_store(to, header->seq);
    sl_le64_store(to + 8, header->first_lsn);
    sl_le64_store(to + 16, header->previous_lsn);
    sl_le32_store(to + 24, header->chain);
    sl_le32_store(to + 28, header->epoch);
    sl_le64_store(to + 32, (uint64_t)header->created_ms);
    header_seal(ret_bytes);
}

sl_err wal_segment_header_decode(const uint8_t bytes[WAL_HEADER_USED],
                                 struct wal_segment_header *ret_header)
{
    struct wal_segment_header header;
    sl_err err = identity_decode(SEGMENT_MAGIC, 0, bytes, &header.identity);
    if (err != SLUICE_OK)
        return err;
    const uint8_t *from = bytes + AT_REST;
    header.seq = sl_le64_load(from);
    header.first_lsn = sl_le64_load(from + 8);
    header.previous_lsn = sl_le64_load(from + 16);
    header.chain = sl_le32_load(from + 24);
    header.epoch = sl_le32_load(from + 28);
    header.created_ms = (int64_t)sl_le64_load(from + 32);
    if (header.first_lsn == 0 || header.first_lsn - 1 != header.previous_lsn || header.seq == 0)
        return SLUICE_E_CORRUPT;
    *ret_header = header;
    return SLUICE_OK;
}

/* ---- marks ---- */

#define REACH_CRC     8  /* u32, of bytes 12 to 63 */
#define REACH_SHARD   12 /* u32 */
#define REACH_CLUSTER 16 /* 16 bytes */
#define REACH_SEQ     32 /* u64 */
#define REACH_FILE    40 /* u64 */
#define REACH_REACH   48 /* u64, then u64 zero */

void wal_reach_encode(const struct wal_reach *mark, uint8_t ret_bytes[WAL_REACH_USED])
{
    memset(ret_bytes, 0, WAL_REACH_USED);
    sl_le64_store(ret_bytes, REACH_MAGIC);
    sl_le32_store(ret_bytes + REACH_SHARD, mark->shard);
    memcpy(ret_bytes + REACH_CLUSTER, mark->cluster.b, sizeof mark->cluster.b);
    sl_le64_store(ret_bytes + REACH_SEQ, mark->seq);
    sl_le64_store(ret_bytes + REACH_FILE, mark->file_size);
    sl_le64_store(ret_bytes + REACH_REACH, mark->reach);
    sl_le32_store(ret_bytes + REACH_CRC,
                  sl_crc32c(ret_bytes + REACH_SHARD, WAL_REACH_USED - REACH_SHARD));
}

sl_err wal_reach_decode(const uint8_t bytes[WAL_REACH_USED], struct wal_reach *ret_mark)
{
    uint32_t crc = sl_crc32c(bytes + REACH_SHARD, WAL_REACH_USED - REACH_SHARD);
    if (sl_le64_load(bytes) != REACH_MAGIC || sl_le32_load(bytes + REACH_CRC) != crc)
        return SLUICE_E_CORRUPT;
    struct wal_reach mark = {.shard = sl_le32_load(bytes + REACH_SHARD),
                             .seq = sl_le64_load(bytes + REACH_SEQ),
                             .file_size = sl_le64_load(bytes + REACH_FILE),
                             .reach = sl_le64_load(bytes + REACH_REACH)};
    memcpy(mark.cluster.b, bytes + REACH_CLUSTER, sizeof mark.cluster.b);
    if (mark.reach > mark.file_size)
        return SLUICE_E_CORRUPT;
    *ret_mark = mark;
    return SLUICE_OK;
}

void wal_checkpoint_header_encode(const struct wal_checkpoint_header *header,
                                  uint8_t ret_bytes[WAL_CHECKPOINT_HEADER])
{
    struct wal_file_identity identity = header->identity;
    bool is_spread = header->end_lsn > header->lsn;
    identity.features_incompatible = is_spread ? WAL_CHECKPOINT_SPREAD : 0;
    identity_encode(CHECKPOINT_MAGIC, &identity, ret_bytes);
    uint8_t *to = ret_bytes + AT_REST;
    sl_le64_store(to, header->generation);
    sl_le64_store(to + 8, header->lsn);
    sl_le64_store(to + 16, header->first_segment);
    sl_le64_store(to + 24, header->last_segment);
    sl_le64_store(to + 32, header->item_count);
    sl_le64_store(to + 40, header->items_size);
    sl_le64_store(to + 48, (uint64_t)header->time_ms);
    sl_le32_store(to + 56, header->epoch);
    sl_le32_store(to + 60, header->items_crc);
    sl_le64_store(to + 64, is_spread ? header->end_lsn : 0);
    header_seal(ret_bytes);
}

sl_err wal_checkpoint_header_decode(const uint8_t bytes[WAL_CHECKPOINT_HEADER],
                                    struct wal_checkpoint_header *ret_header)
{
    struct wal_checkpoint_header header;
    sl_err err = identity_decode(CHECKPOINT_MAGIC, WAL_CHECKPOINT_SPREAD, bytes, &header.identity);
    if (err != SLUICE_OK)
        return err;
    const uint8_t *from = bytes + AT_REST;
    header.generation = sl_le64_load(from);
    header.lsn = sl_le64_load(from + 8);
    header.first_segment = sl_le64_load(from + 16);
    header.last_segment = sl_le64_load(from + 24);
    header.item_count = sl_le64_load(from + 32);
    header.items_size = sl_le64_load(from + 40);
    header.time_ms = (int64_t)sl_le64_load(from + 48);
    header.epoch = sl_le32_load(from + 56);
    header.items_crc = sl_le32_load(from + 60);
    bool is_spread = (header.identity.features_incompatible & WAL_CHECKPOINT_SPREAD) != 0;
    header.end_lsn = is_spread ? sl_le64_load(from + 64) : header.lsn;
    if (is_spread && header.end_lsn <= header.lsn)
        return SLUICE_E_CORRUPT;
    if (header.first_segment == 0 || header.first_segment > header.last_segment)
        return SLUICE_E_CORRUPT;
    *ret_header = header;
    return SLUICE_OK;
}

/* ---- frames ---- */

/* Offsets in the envelope … */
#define FRAME_CRC         4 /* u32, of bytes 8 to 127 */
#define FRAME_SIZE        8
#define FRAME_INCARNATION 16
#define FRAME_DURABLE     24
#define FRAME_CHAIN       32
#define FRAME_VERSION     36 /* u32, 1; then zeros to 64 */
/* … and in the entry header that follows. */
#define ENTRY_CRC            64 /* u32, of bytes 68 to 127 */
#define ENTRY_EPOCH          68
#define ENTRY_LSN            72
#define ENTRY_TIME           80
#define ENTRY_ITEM_COUNT     88
#define ENTRY_DIRECTORY_SIZE 92
#define ENTRY_BODY_SIZE      96
#define ENTRY_DIRECTORY_CRC  104
#define ENTRY_BODY_CRC       108
#define ENTRY_FLAGS          112 /* u32, then zeros to 128 */

#define FRAME_FORMAT   1u
#define FRAME_SIZE_MAX (1ull << 33) /* so that sums of its parts cannot wrap */

void wal_frame_header_encode(struct wal_frame_header *header, uint8_t ret_bytes[WAL_FRAME_HEADER])
{
    uint8_t *to = ret_bytes;
    memset(to, 0, WAL_FRAME_HEADER);
    sl_le32_store(to, FRAME_MAGIC);
    sl_le64_store(to + FRAME_SIZE, header->frame_size);
    sl_le64_store(to + FRAME_INCARNATION, header->incarnation);
    sl_le64_store(to + FRAME_DURABLE, header->durable_lsn);
    sl_le32_store(to + FRAME_CHAIN, header->chain);
    sl_le32_store(to + FRAME_VERSION, FRAME_FORMAT);
    sl_le32_store(to + ENTRY_EPOCH, header->epoch);
    sl_le64_store(to + ENTRY_LSN, header->lsn);
    sl_le64_store(to + ENTRY_TIME, (uint64_t)header->time_ms);
    sl_le32_store(to + ENTRY_ITEM_COUNT, header->item_count);
    sl_le32_store(to + ENTRY_DIRECTORY_SIZE, header->directory_size);
    sl_le64_store(to + ENTRY_BODY_SIZE, header->body_size);
    sl_le32_store(to + ENTRY_DIRECTORY_CRC, header->directory_crc);
    sl_le32_store(to + ENTRY_BODY_CRC, header->body_crc);
    sl_le32_store(to + ENTRY_FLAGS, header->flags);
    sl_le32_store(to + ENTRY_CRC, sl_crc32c(to + ENTRY_EPOCH, WAL_FRAME_HEADER - ENTRY_EPOCH));
    header->crc = sl_crc32c(to + FRAME_SIZE, WAL_FRAME_HEADER - FRAME_SIZE);
    sl_le32_store(to + FRAME_CRC, header->crc);
}

static bool frame_sizes_fit(const struct wal_frame_header *header)
{
    if (header->frame_size > FRAME_SIZE_MAX || header->body_size > header->frame_size)
        return false;
    return wal_frame_size(header->directory_size, header->body_size) == header->frame_size;
}

sl_err wal_frame_header_decode(const uint8_t bytes[WAL_FRAME_HEADER],
                               struct wal_frame_header *ret_header)
{
    const uint8_t *from = bytes;
    if (sl_le32_load(from) != FRAME_MAGIC || sl_le32_load(from + FRAME_VERSION) != FRAME_FORMAT)
        return SLUICE_E_CORRUPT;
    struct wal_frame_header header = {
        .frame_size = sl_le64_load(from + FRAME_SIZE),
        .incarnation = sl_le64_load(from + FRAME_INCARNATION),
        .durable_lsn = sl_le64_load(from + FRAME_DURABLE),
        .chain = sl_le32_load(from + FRAME_CHAIN),
        .crc = sl_le32_load(from + FRAME_CRC),
        .lsn = sl_le64_load(from + ENTRY_LSN),
        .body_size = sl_le64_load(from + ENTRY_BODY_SIZE),
        .time_ms = (int64_t)sl_le64_load(from + ENTRY_TIME),
        .epoch = sl_le32_load(from + ENTRY_EPOCH),
        .item_count = sl_le32_load(from + ENTRY_ITEM_COUNT),
        .directory_size = sl_le32_load(from + ENTRY_DIRECTORY_SIZE),
        .directory_crc = sl_le32_load(from + ENTRY_DIRECTORY_CRC),
        .body_crc = sl_le32_load(from + ENTRY_BODY_CRC),
        .flags = sl_le32_load(from + ENTRY_FLAGS),
    };
    if (header.crc != sl_crc32c(from + FRAME_SIZE, WAL_FRAME_HEADER - FRAME_SIZE))
        return SLUICE_E_CORRUPT;
    if (sl_le32_load(from + ENTRY_CRC) !=
        sl_crc32c(from + ENTRY_EPOCH, WAL_FRAME_HEADER - ENTRY_EPOCH))
        return SLUICE_E_CORRUPT;
    if (!frame_sizes_fit(&header) || header.durable_lsn >= header.lsn)
        return SLUICE_E_CORRUPT;
    *ret_header = header;
    return SLUICE_OK;
}

uint64_t wal_frame_size(uint64_t directory_size, uint64_t body_size)
{
    uint64_t size = WAL_FRAME_HEADER + directory_size + body_size;
    return (size + WAL_BLOCK - 1) / WAL_BLOCK * WAL_BLOCK;
}

/* ---- items ---- */

uint64_t wal_item_size(uint64_t payload_size)
{
    return WAL_ITEM_HEADER + (payload_size + 7) / 8 * 8;
}

uint8_t *wal_item_encode(uint8_t *to, uint16_t kind, uint8_t version, uint8_t flags,
                         struct sl_bytes payload, uint32_t body_size)
{
    sl_le16_store(to, kind);
    to[2] = version;
    to[3] = flags;
    sl_le32_store(to + 4, (uint32_t)payload.size);
    sl_le32_store(to + 8, body_size);
    sl_le32_store(to + 12, 0);
    sl_bytes_copy(to + WAL_ITEM_HEADER, payload);
    size_t size = (size_t)wal_item_size(payload.size);
    memset(to + WAL_ITEM_HEADER + payload.size, 0, size - WAL_ITEM_HEADER - payload.size);
    return to + size;
}

void wal_item_walk_init(struct wal_item_walk *walk, struct sl_bytes directory)
{
    walk->rest = directory;
    walk->err = SLUICE_OK;
}

bool wal_item_walk_next(struct wal_item_walk *walk, struct wal_item_view *ret_item)
{
    const uint8_t *at = walk->rest.data;
    if (walk->rest.size == 0 || walk->err != SLUICE_OK)
        return false;
    uint64_t payload_size = walk->rest.size < WAL_ITEM_HEADER ? 0 : sl_le32_load(at + 4);
    if (walk->rest.size < WAL_ITEM_HEADER || wal_item_size(payload_size) > walk->rest.size) {
        walk->err = SLUICE_E_CORRUPT;
        return false;
    }
    ret_item->kind = sl_le16_load(at);
    ret_item->version = at[2];
    ret_item->flags = at[3];
    ret_item->payload = sl_bytes_of(at + WAL_ITEM_HEADER, (size_t)payload_size);
    ret_item->body_size = sl_le32_load(at + 8);
    size_t size = (size_t)wal_item_size(payload_size);
    walk->rest = sl_bytes_of(at + size, walk->rest.size - size);
    return true;
}

bool wal_frame_items_agree(const struct wal_frame_header *frame, struct sl_bytes directory)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    uint64_t body_size = 0;
    uint64_t count = 0;
    wal_item_walk_init(&walk, directory);
    while (wal_item_walk_next(&walk, &item)) {
        body_size += item.body_size;
        count++;
    }
    return walk.err == SLUICE_OK && body_size == frame->body_size && count == frame->item_count;
}

static const char *const kind_names[] = {
#define KIND_NAME(name, number, text) [number] = #name,
    WAL_ITEM_TABLE(KIND_NAME)
#undef KIND_NAME
};

bool wal_item_kind_known(uint16_t kind)
{
    return kind < SL_COUNT_OF(kind_names) && kind_names[kind] != NULL;
}

const char *wal_item_kind_name(uint16_t kind)
{
    return wal_item_kind_known(kind) ? kind_names[kind] : "?";
}
