/* batch_view.h: one record batch of Kafka's format 2, seen in the bytes that hold it.
 *
 * Header (big-endian), 61 bytes, then the records, which are one compressed stream when a codec is
 * set: 0 i64 base offset          21 i16 attributes          43 i64 producer id 8 i32 bytes after
 * here     23 i32 last offset delta   51 i16 producer epoch 12 i32 leader epoch         27 i64 base
 * timestamp      53 i32 base sequence 16 i8  magic = 2            35 i64 max timestamp       57 i32
 * record count 17 u32 CRC-32C over 21..end                            61 records Attributes: bits
 * 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon. Base offset and leader
 * epoch lie outside the CRC, so that a broker sets them in place. Source: Kafka's message-format
 * documentation, KIP-98, KIP-320.
 *
 * A view borrows; it costs two words and no parsing. All of this is [any] and never blocks. */
#ifndef SL_RECORD_BATCH_VIEW_H
#define SL_RECORD_BATCH_VIEW_H

#include "base/bytes.h"

enum {
    BATCH_BASE_OFFSET_AT = 0,
    BATCH_LENGTH_AT = 8,
    BATCH_LEADER_EPOCH_AT = 12,
    BATCH_MAGIC_AT = 16,
    BATCH_CRC_AT = 17,
    BATCH_ATTRIBUTES_AT = 21, /* the CRC covers from here to the end */
    BATCH_LAST_OFFSET_DELTA_AT = 23,
    BATCH_BASE_TIMESTAMP_AT = 27,
    BATCH_MAX_TIMESTAMP_AT = 35,
    BATCH_PRODUCER_ID_AT = 43,
    BATCH_PRODUCER_EPOCH_AT = 51,
    BATCH_BASE_SEQUENCE_AT = 53,
    BATCH_RECORD_COUNT_AT = 57,
    BATCH_HEADER_SIZE = 61,   /* the smallest batch: no records */
    BATCH_OVERHEAD_SIZE = 12, /* base offset and length: a batch is its length + this */
    BATCH_MAGIC = 2,
};

enum {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

/* "none" of the producer fields, of a timestamp, of a leader epoch */
#define BATCH_NO_PRODUCER_ID    ((int64_t)-1)
#define BATCH_NO_PRODUCER_EPOCH ((int16_t)-1)
#define BATCH_NO_SEQUENCE       ((int32_t)-1)
#define BATCH_NO_TIMESTAMP      ((int64_t)-1)
#define BATCH_NO_LEADER_EPOCH   ((int32_t)-1)

/* [borrows] the bytes of exactly one batch; data is never NULL and size >= BATCH_HEADER_SIZE. */
struct batch_view {
    const uint8_t *data;
    size_t size;
};

/* Size of the batch at the start of bytes, for walking several. Looks at the first 12 bytes only
 * and does not say that all of it is there: compare with bytes.size. SLUICE_E_TRUNCATED: fewer than
 * 12 bytes. SLUICE_E_CORRUPT_BATCH: the length is below 49. */
sl_err batch_peek_size(struct sl_bytes bytes, size_t *ret_size) SL_MUST_CHECK;

/* A view of the one batch at the start of bytes; what follows it is not looked at.
 * SLUICE_E_TRUNCATED: it ends beyond bytes. SLUICE_E_CORRUPT_BATCH: impossible length, or a record
 * count or last offset delta below zero. SLUICE_E_UNSUPPORTED_MAGIC. On failure *view is untouched.
 */
sl_err batch_view_init(struct batch_view *view, struct sl_bytes bytes) SL_MUST_CHECK;

/* SLUICE_E_CORRUPT_BATCH when the CRC stored is not that of the bytes. */
sl_err batch_view_check_crc(const struct batch_view *view) SL_MUST_CHECK;
uint32_t batch_view_computed_crc(const struct batch_view *view);

static inline int64_t batch_view_base_offset(const struct batch_view *view)
{
    return (int64_t)sl_be64_load(view->data + BATCH_BASE_OFFSET_AT);
}

static inline int32_t batch_view_leader_epoch(const struct batch_view *view)
{
    return (int32_t)sl_be32_load(view->data + BATCH_LEADER_EPOCH_AT);
}

static inline uint32_t batch_view_crc(const struct batch_view *view)
{
    return sl_be32_load(view->data + BATCH_CRC_AT);
}

static inline uint16_t batch_view_attributes(const struct batch_view *view)
{
    return sl_be16_load(view->data + BATCH_ATTRIBUTES_AT);
}

static inline int32_t batch_view_last_offset_delta(const struct batch_view *view)
{
    return (int32_t)sl_be32_load(view->data + BATCH_LAST_OFFSET_DELTA_AT);
}

/* The timestamp that the records' deltas count from; the delete horizon when that bit is set. */
static inline int64_t batch_view_base_timestamp(const struct batch_view *view)
{
    return (int64_t)sl_be64_load(view->data + BATCH_BASE_TIMESTAMP_AT);
}

static inline int64_t batch_view_max_timestamp(const struct batch_view *view)
{
    return (int64_t)sl_be64_load(view->data + BATCH_MAX_TIMESTAMP_AT);
}

static inline int64_t batch_view_producer_id(const struct batch_view *view)
{
    return (int64_t)sl_be64_load(view->data + BATCH_PRODUCER_ID_AT);
}

static inline int16_t batch_view_producer_epoch(const struct batch_view *view)
{
    return (int16_t)sl_be16_load(view->data + BATCH_PRODUCER_EPOCH_AT);
}

static inline int32_t batch_view_base_sequence(const struct batch_view *view)
{
    return (int32_t)sl_be32_load(view->data + BATCH_BASE_SEQUENCE_AT);
}

/* Records present; fewer than last offset delta + 1 where a gate or compaction left holes. */
static inline int32_t batch_view_record_count(const struct batch_view *view)
{
    return (int32_t)sl_be32_load(view->data + BATCH_RECORD_COUNT_AT);
}

/* enum batch_codec of codec.h, or 5 to 7, which mean nothing. */
static inline int batch_view_codec(const struct batch_view *view)
{
    return batch_view_attributes(view) & BATCH_CODEC_MASK;
}

static inline bool batch_view_has(const struct batch_view *view, uint16_t attribute)
{
    return (batch_view_attributes(view) & attribute) != 0;
}

static inline bool batch_view_has_producer_id(const struct batch_view *view)
{
    return batch_view_producer_id(view) != BATCH_NO_PRODUCER_ID;
}

static inline int64_t batch_view_last_offset(const struct batch_view *view)
{
    return sl_wrapping_add(batch_view_base_offset(view), batch_view_last_offset_delta(view));
}

/* Where the next batch begins: the position a consumer goes on from. */
static inline int64_t batch_view_next_offset(const struct batch_view *view)
{
    return sl_wrapping_add(batch_view_last_offset(view), 1);
}

/* A sequence `delta` records after `sequence`: 2^31 - 1 is followed by 0 (Kafka's
 * DefaultRecordBatch.incrementSequence). sequence and delta are not negative. */
int32_t batch_sequence_add(int32_t sequence, int32_t delta);

/* Sequence of the last record (holes count), or BATCH_NO_SEQUENCE. */
int32_t batch_view_last_sequence(const struct batch_view *view);

/* The bytes behind the header: records, or the compressed stream of them. */
static inline struct sl_bytes batch_view_records(const struct batch_view *view)
{
    return sl_bytes_of(view->data + BATCH_HEADER_SIZE, view->size - BATCH_HEADER_SIZE);
}

/* The patches write into the caller's own copy: `batch` is the batch's first byte, and a view of it
 * has been made. The first two leave the CRC valid as it is; the others compute it again. */
static inline void batch_patch_base_offset(uint8_t *batch, int64_t offset)
{
    sl_be64_store(batch + BATCH_BASE_OFFSET_AT, (uint64_t)offset);
}

static inline void batch_patch_leader_epoch(uint8_t *batch, int32_t epoch)
{
    sl_be32_store(batch + BATCH_LEADER_EPOCH_AT, (uint32_t)epoch);
}

/* LogAppendTime: sets the timestamp type and the max timestamp. size: of the whole batch. */
void batch_patch_append_time(uint8_t *batch, size_t size, int64_t now_ms);
/* CreateTime with a max timestamp that the walk found to differ from the header's. */
void batch_patch_max_timestamp(uint8_t *batch, size_t size, int64_t timestamp_ms);

/* The header's fields as a struct, for builders and for those who want all of them. Size, CRC and
 * the record count are not in it: they follow from the records. */
struct batch_header {
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int32_t leader_epoch;
    int32_t last_offset_delta;
    int32_t base_sequence;
    int16_t producer_epoch;
    uint16_t attributes;
};

/* A batch without producer, offset 0, CreateTime, epoch and timestamps "none". */
void batch_header_init(struct batch_header *header);
void batch_view_header(const struct batch_view *view, struct batch_header *ret_header);

#endif
