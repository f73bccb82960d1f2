/* filler.c: see filler.h. */
#include "shard/filler.h"

#define FILL_MAX (1 << 30) /* offsets of a batch without records */

static sl_err fill_one(struct extent_writer *writer, struct sl_buffer *scratch,
                       const struct batch_view *next, int32_t epoch, int64_t base, int64_t last)
{
    struct batch_builder builder;
    struct batch_view made;
    sl_buffer_reset(scratch);
    sl_err err = batch_builder_start_rewrite(&builder, scratch, next);
    if (err != SLUICE_OK) {
        return err;
    }
    batch_header_init(&builder.header);
    builder.header.leader_epoch = epoch;
    builder.header.base_offset = base;
    builder.header.last_offset_delta = (int32_t)(last - base);
    err = batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &made);
    return err != SLUICE_OK ? err : extent_writer_add(writer, sl_buffer_bytes(scratch));
}

sl_err filler_add(struct extent_writer *writer, struct sl_buffer *scratch,
                  const struct batch_view *next, int32_t epoch_before, int64_t from, int64_t end)
{
    int32_t epoch = SL_MAX(epoch_before, 0); /* 0: of none that ever was */
    sl_err err = SLUICE_OK;
    for (int64_t at = from; err == SLUICE_OK && at < end;) {
        int64_t last = SL_MIN(end - 1, at + FILL_MAX);
        err = fill_one(writer, scratch, next, epoch, at, last);
        at = last + 1;
    }
    return err;
}
