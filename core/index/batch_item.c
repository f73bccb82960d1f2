/* batch_item.c: see batch_item.h. */
#include "index/batch_item.h"

#include "base/bytes.h"

#include <string.h>

void batch_item_encode(const struct batch_item *item, uint8_t p[BATCH_ITEM_SIZE])
{
    memcpy(p, item->topic.b, 16);
    sl_le64_store(p + 16, (uint64_t)item->base_offset);
    sl_le64_store(p + 24, (uint64_t)item->last_offset);
    sl_le64_store(p + 32, (uint64_t)item->max_timestamp);
    sl_le64_store(p + 40, (uint64_t)item->producer_id);
    sl_le32_store(p + 48, item->partition);
    sl_le32_store(p + 52, item->record_count);
    sl_le32_store(p + 56, (uint32_t)item->base_sequence);
    sl_le32_store(p + 60, (uint32_t)item->last_sequence);
    sl_le32_store(p + 64, (uint32_t)item->leader_epoch);
    sl_le16_store(p + 68, (uint16_t)item->producer_epoch);
    sl_le16_store(p + 70, item->attributes);
}

sl_err batch_item_decode(uint8_t version, struct sl_bytes payload, struct batch_item *ret_item)
{
    if (version != BATCH_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size != BATCH_ITEM_SIZE) {
        return SLUICE_E_CORRUPT;
    }
    const uint8_t *p = payload.data;
    int64_t base_offset = (int64_t)sl_le64_load(p + 16);
    int64_t last_offset = (int64_t)sl_le64_load(p + 24);
    if (base_offset < 0 || last_offset < base_offset || last_offset - base_offset >= INT32_MAX ||
        last_offset == INT64_MAX) {
        return SLUICE_E_CORRUPT;
    }
    *ret_item = (struct batch_item){
        .base_offset = base_offset,
        .last_offset = last_offset,
        .max_timestamp = (int64_t)sl_le64_load(p + 32),
        .producer_id = (int64_t)sl_le64_load(p + 40),
        .partition = sl_le32_load(p + 48),
        .record_count = sl_le32_load(p + 52),
        .base_sequence = (int32_t)sl_le32_load(p + 56),
        .last_sequence = (int32_t)sl_le32_load(p + 60),
        .leader_epoch = (int32_t)sl_le32_load(p + 64),
        .producer_epoch = (int16_t)sl_le16_load(p + 68),
        .attributes = sl_le16_load(p + 70),
    };
    memcpy(ret_item->topic.b, p, 16);
    return SLUICE_OK;
}

size_t bounds_item_encode(const struct bounds_item *item, uint8_t p[BOUNDS_ITEM_SIZE_MAX])
{
    memcpy(p, item->topic.b, 16);
    sl_le64_store(p + 16, (uint64_t)item->start_offset);
    sl_le64_store(p + 24, (uint64_t)item->end_offset);
    sl_le32_store(p + 32, item->partition);
    sl_le32_store(p + 36, 0);
    return BOUNDS_ITEM_SIZE_MAX;
}

sl_err bounds_item_decode(uint8_t version, struct sl_bytes payload, struct bounds_item *ret_item)
{
    if (version != BOUNDS_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size != BOUNDS_ITEM_SIZE_MAX) {
        return SLUICE_E_CORRUPT;
    }
    struct bounds_item item = {.start_offset = (int64_t)sl_le64_load(payload.data + 16),
                               .end_offset = (int64_t)sl_le64_load(payload.data + 24),
                               .partition = sl_le32_load(payload.data + 32)};
    memcpy(item.topic.b, payload.data, 16);
    if (item.start_offset < 0 || item.end_offset < item.start_offset) {
        return SLUICE_E_CORRUPT;
    }
    *ret_item = item;
    return SLUICE_OK;
}

void compaction_item_encode(const struct compaction_item *item, uint8_t p[COMPACTION_ITEM_SIZE])
{
    memcpy(p, item->topic.b, 16);
    sl_le64_store(p + 16, (uint64_t)item->clean_offset);
    sl_le32_store(p + 24, item->partition);
    sl_le32_store(p + 28, 0);
}

sl_err compaction_item_decode(uint8_t version, struct sl_bytes payload,
                              struct compaction_item *ret_item)
{
    if (version != COMPACTION_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size != COMPACTION_ITEM_SIZE) {
        return SLUICE_E_CORRUPT;
    }
    struct compaction_item item = {.clean_offset = (int64_t)sl_le64_load(payload.data + 16),
                                   .partition = sl_le32_load(payload.data + 24)};
    memcpy(item.topic.b, payload.data, 16);
    if (item.clean_offset < 0) {
        return SLUICE_E_CORRUPT;
    }
    *ret_item = item;
    return SLUICE_OK;
}
