/* extent_block.c: see extent_block.h. */
#include "extent/extent_block.h"

#include "base/crc32c.h"

sl_err extent_batch_check(struct sl_bytes bytes, int64_t previous_last,
                          struct batch_view *ret_batch)
{
    struct batch_view batch;
    if (batch_view_init(&batch, bytes) != SLUICE_OK || batch_view_check_crc(&batch) != SLUICE_OK)
        return SLUICE_E_CORRUPT;
    int64_t base = batch_view_base_offset(&batch);
    int64_t last = batch_view_last_offset(&batch);
    if (base < 0 || base <= previous_last || last < base || last == INT64_MAX)
        return SLUICE_E_CORRUPT;
    *ret_batch = batch;
    return SLUICE_OK;
}

sl_err extent_block_check(const struct extent_block *block, struct sl_bytes bytes)
{
    if (bytes.size != block->size || sl_crc32c(bytes.data, bytes.size) != block->crc)
        return SLUICE_E_CORRUPT;
    int64_t last = block->base_offset - 1;
    int64_t max_timestamp = INT64_MIN;
    for (size_t at = 0; at < bytes.size;) {
        struct batch_view batch;
        sl_err err =
            extent_batch_check(sl_bytes_of(bytes.data + at, bytes.size - at), last, &batch);
        if (err != SLUICE_OK)
            return err;
        if (batch_view_leader_epoch(&batch) != block->leader_epoch ||
            (at == 0 && batch_view_base_offset(&batch) != block->base_offset))
            return SLUICE_E_CORRUPT;
        last = batch_view_last_offset(&batch);
        max_timestamp = SL_MAX(max_timestamp, batch_view_max_timestamp(&batch));
        at += batch.size;
    }
    return last == block->last_offset && max_timestamp == block->max_timestamp ? SLUICE_OK
                                                                               : SLUICE_E_CORRUPT;
}
