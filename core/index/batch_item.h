/* batch_item.h: payloads of the items that an index is rebuilt from (docs/formats/wal.md).
 *
 * BATCH, version 1, 72 bytes, little-endian: topic id 16, base offset i64, last offset i64, max
 * timestamp i64, producer id i64, partition u32, record count u32, base sequence i32, last sequence
 * i32, leader epoch i32, producer epoch i16, attributes u16 (of the batch; bit 8: it is a marker
 * that aborts a transaction). Recovery applies it without reading the body. LOG_BOUNDS, version 1,
 * 40 bytes: topic id 16, log start offset i64, log end offset i64, partition u32, zero u32: so that
 * offsets never go back when nothing of a partition is left. COMPACTION, version 1, 32 bytes: topic
 * id 16, clean offset i64, partition u32, zero u32: records below the clean offset were compacted
 * together; that there is such an item says that extents of the partition may replace parts of
 * older ones. */
#ifndef SL_INDEX_BATCH_ITEM_H
#define SL_INDEX_BATCH_ITEM_H

#include "wal/item.h"

#define BATCH_ITEM_VERSION   1u
#define BATCH_ITEM_ABORTS    0x0100u /* of attributes, not of the batch's own */
#define BATCH_ITEM_SIZE      72u
#define BOUNDS_ITEM_VERSION  1u
#define BOUNDS_ITEM_SIZE_MAX 40u

#define COMPACTION_ITEM_VERSION 1u
#define COMPACTION_ITEM_SIZE    32u

struct batch_item {
    struct sl_uuid topic;
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    uint32_t partition;
    uint32_t record_count;
    int32_t base_sequence;
    int32_t last_sequence;
    int32_t leader_epoch;
    int16_t producer_epoch;
    uint16_t attributes;
};

struct bounds_item {
    struct sl_uuid topic;
    int64_t start_offset;
    int64_t end_offset;
    uint32_t partition;
};

struct compaction_item {
    struct sl_uuid topic;
    int64_t clean_offset;
    uint32_t partition;
};

void batch_item_encode(const struct batch_item *item,
                       uint8_t ret_payload[BATCH_ITEM_SIZE]); /* [any] */
/* E_NEWER_FORMAT, E_CORRUPT (size, offsets that cannot be). [any] */
sl_err batch_item_decode(uint8_t version, struct sl_bytes payload,
                         struct batch_item *ret_item) SL_MUST_CHECK;
/* Returns the bytes written. [any] */
size_t bounds_item_encode(const struct bounds_item *item,
                          uint8_t ret_payload[BOUNDS_ITEM_SIZE_MAX]);
sl_err bounds_item_decode(uint8_t version, struct sl_bytes payload,
                          struct bounds_item *ret_item) SL_MUST_CHECK;
void compaction_item_encode(const struct compaction_item *item,
                            uint8_t ret_payload[COMPACTION_ITEM_SIZE]); /* [any] */
/* E_NEWER_FORMAT, E_CORRUPT. [any] */
sl_err compaction_item_decode(uint8_t version, struct sl_bytes payload,
                              struct compaction_item *ret_item) SL_MUST_CHECK;

#endif
