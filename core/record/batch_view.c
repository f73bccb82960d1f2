/* batch_view.c: see batch_view.h. */
#include "record/batch_view.h"
#include "base/crc32c.h"

enum { BATCH_LENGTH_MIN = BATCH_HEADER_SIZE - BATCH_OVERHEAD_SIZE };

sl_err batch_peek_size(struct sl_bytes bytes, size_t *ret_size)
{
    if (bytes.size < BATCH_OVERHEAD_SIZE)
        return SLUICE_E_TRUNCATED;
    int32_t length = (int32_t)sl_be32_load(bytes.data + BATCH_LENGTH_AT);
    if (length < BATCH_LENGTH_MIN)
        return SLUICE_E_CORRUPT_BATCH;
    *ret_size = (size_t)length + BATCH_OVERHEAD_SIZE;
    return SLUICE_OK;
}

sl_err batch_view_init(struct batch_view *view, struct sl_bytes bytes)
{
    /* Magic stands at the same place in every format, and formats 0 and 1 may be shorter. */
    if (bytes.size > BATCH_MAGIC_AT && bytes.data[BATCH_MAGIC_AT] != BATCH_MAGIC)
        return bytes.data[BATCH_MAGIC_AT] < BATCH_MAGIC ? SLUICE_E_UNSUPPORTED_MAGIC
                                                        : SLUICE_E_CORRUPT_BATCH;
    size_t size;
    sl_err err = batch_peek_size(bytes, &size);
    if (err != SLUICE_OK)
        return err;
    if (size > bytes.size)
        return SLUICE_E_TRUNCATED;
    struct batch_view found = {.data = bytes.data, .size = size};
    if (batch_view_record_count(&found) < 0 || batch_view_last_offset_delta(&found) < 0)
        return SLUICE_E_CORRUPT_BATCH;
    *view = found;
    return SLUICE_OK;
}

uint32_t batch_view_computed_crc(const struct batch_view *view)
{
    return sl_crc32c(view->data + BATCH_ATTRIBUTES_AT, view->size - BATCH_ATTRIBUTES_AT);
}

sl_err batch_view_check_crc(const struct batch_view *view)
{
    return batch_view_computed_crc(view) == batch_view_crc(view) ? SLUICE_OK
                                                                 : SLUICE_E_CORRUPT_BATCH;
}

int32_t batch_sequence_add(int32_t sequence, int32_t delta)
{
    SL_ASSERT(sequence >= 0 && delta >= 0);
    return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

int32_t batch_view_last_sequence(const struct batch_view *view)
{
    int32_t base = batch_view_base_sequence(view);
    if (base < 0)
        return BATCH_NO_SEQUENCE;
    return batch_sequence_add(base, batch_view_last_offset_delta(view));
}

static void patch_timestamp(uint8_t *batch, size_t size, uint16_t type, int64_t timestamp_ms)
{
    SL_ASSERT(size >= BATCH_HEADER_SIZE);
    uint16_t attributes = sl_be16_load(batch + BATCH_ATTRIBUTES_AT);
    attributes = (uint16_t)((attributes & ~BATCH_LOG_APPEND_TIME) | type);
    sl_be16_store(batch + BATCH_ATTRIBUTES_AT, attributes);
    sl_be64_store(batch + BATCH_MAX_TIMESTAMP_AT, (uint64_t)timestamp_ms);
    struct batch_view view = {.data = batch, .size = size};
    sl_be32_store(batch + BATCH_CRC_AT, batch_view_computed_crc(&view));
}

void batch_patch_append_time(uint8_t *batch, size_t size, int64_t now_ms)
{
    patch_timestamp(batch, size, BATCH_LOG_APPEND_TIME, now_ms);
}

void batch_patch_max_timestamp(uint8_t *batch, size_t size, int64_t timestamp_ms)
{
    patch_timestamp(batch, size, 0, timestamp_ms);
}

void batch_header_init(struct batch_header *header)
{
    *header = (struct batch_header){
        .base_timestamp = BATCH_NO_TIMESTAMP,
        .max_timestamp = BATCH_NO_TIMESTAMP,
        .producer_id = BATCH_NO_PRODUCER_ID,
        .leader_epoch = BATCH_NO_LEADER_EPOCH,
        .base_sequence = BATCH_NO_SEQUENCE,
        .producer_epoch = BATCH_NO_PRODUCER_EPOCH,
    };
}

void batch_view_header(const struct batch_view *view, struct batch_header *ret_header)
{
    *ret_header = (struct batch_header){
        .base_offset = batch_view_base_offset(view),
        .base_timestamp = batch_view_base_timestamp(view),
        .max_timestamp = batch_view_max_timestamp(view),
        .producer_id = batch_view_producer_id(view),
        .leader_epoch = batch_view_leader_epoch(view),
        .last_offset_delta = batch_view_last_offset_delta(view),
        .base_sequence = batch_view_base_sequence(view),
        .producer_epoch = batch_view_producer_epoch(view),
        .attributes = batch_view_attributes(view),
    };
}
