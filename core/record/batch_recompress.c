/* batch_recompress.c: see batch_recompress.h. */
#include "record/batch_recompress.h"

static void header_patch(uint8_t *batch, size_t size, int codec)
{
    uint16_t attributes = sl_be16_load(batch + BATCH_ATTRIBUTES_AT);
    attributes = (uint16_t)((attributes & ~BATCH_CODEC_MASK) | codec);
    sl_be16_store(batch + BATCH_ATTRIBUTES_AT, attributes);
    sl_be32_store(batch + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD_SIZE));
    struct batch_view view = {batch, size};
    sl_be32_store(batch + BATCH_CRC_AT, batch_view_computed_crc(&view));
}

sl_err batch_recompress(const struct batch_view *batch, struct sl_bytes records, int codec,
                        int32_t level, struct codec_context *context, struct sl_buffer *out)
{
    size_t start = out->size;
    int as = records.size == 0 ? BATCH_CODEC_NONE : codec;
    sl_err err = sl_buffer_append(out, batch->data, BATCH_HEADER_SIZE);
    if (err == SLUICE_OK)
        err = codec_compress_at(context, as, level, records, out);
    if (err == SLUICE_OK && out->size - start > (size_t)INT32_MAX)
        err = SLUICE_E_LIMIT;
    if (err != SLUICE_OK) {
        out->size = start;
        return err;
    }
    header_patch(out->data + start, out->size - start, as);
    return SLUICE_OK;
}
