/* batch_builder.h: writes a record batch into a buffer of the caller.
 *
 * start → append… → finish. Or start_rewrite → keep / replace (what is left out is dropped) →
 * finish: the new batch has the offsets, sequences, producer fields and attribute bits of the
 * original, so drops leave holes as compaction does, and a batch without records left keeps its
 * header. The batch stands at the end of the buffer; what was there before stays. One allocation at
 * most per doubling, none per record. Not shared between threads. [any] */
#ifndef SL_RECORD_BATCH_BUILDER_H
#define SL_RECORD_BATCH_BUILDER_H

#include "record/codec.h"
#include "record/record_iterator.h"

/* A record to write. Null and empty differ, as in struct record_view. [borrows] all of it per call.
 */
struct record_fields {
    struct sl_bytes key;
    struct sl_bytes value;
    const struct header_view *headers;
    size_t header_count;
    int64_t timestamp_ms;
    bool key_is_null;
    bool value_is_null;
};

struct batch_builder {
    struct sl_buffer *out;      /* borrowed until finish */
    size_t start;               /* where in out the batch begins */
    struct batch_header header; /* last_offset_delta: of the last record, or the original's */
    int64_t timestamp_max;      /* among the records written */
    int32_t record_count;
    int32_t next_offset_delta; /* the least that the next record may have */
    bool rewrites;             /* header fields come from an original */
};

/* Begins a batch at the end of out. header: base offset, leader epoch, attributes (codec bits are
 * ignored: finish sets them) and producer fields are taken; timestamps and the last offset delta
 * come from the records. NULL: as batch_header_init() gives it. Errors as sl_buffer_reserve. */
sl_err batch_builder_start(struct batch_builder *builder, struct sl_buffer *out,
                           const struct batch_header *header) SL_MUST_CHECK;

/* Begins a batch that replaces `original`: everything in its header is kept but codec, sizes, CRC,
 * record count and (CreateTime, records left) the max timestamp. */
sl_err batch_builder_start_rewrite(struct batch_builder *builder, struct sl_buffer *out,
                                   const struct batch_view *original) SL_MUST_CHECK;

/* Appends with the next offset delta. SLUICE_E_LIMIT: out is full, or offsets are; the batch stands
 * as before and may be finished. SLUICE_E_NO_MEMORY. */
sl_err batch_builder_append(struct batch_builder *builder,
                            const struct record_fields *record) SL_MUST_CHECK;

/* The same at a given offset delta, which must rise (holes are fine) and, in a rewrite, not exceed
 * the original's last: else SLUICE_E_INVALID. */
sl_err batch_builder_append_at(struct batch_builder *builder, const struct record_fields *record,
                               int32_t offset_delta) SL_MUST_CHECK;

/* In a rewrite: keeps a record of the original as it is (one copy). Errors as append_at. */
sl_err batch_builder_keep(struct batch_builder *builder,
                          const struct record_view *record) SL_MUST_CHECK;

/* Bytes of the batch so far, header included, not compressed. */
static inline size_t batch_builder_size(const struct batch_builder *builder)
{
    return builder->out->size - builder->start;
}

/* Compresses (codec other than none: context and scratch are used, scratch is reset), writes header
 * and CRC. *ret_view borrows from out. A batch without records is written uncompressed, whatever
 * the codec. SLUICE_E_INVALID: no records, and not a rewrite. Errors of codec_compress: the records
 * stay as they were, so finish may be called again with another codec. */
sl_err batch_builder_finish(struct batch_builder *builder, int codec, struct codec_context *context,
                            struct sl_buffer *scratch, struct batch_view *ret_view) SL_MUST_CHECK;

/* Gives up: out has the size that it had at start. */
void batch_builder_abandon(struct batch_builder *builder);

/* A record_fields that says what `record` of `batch` says. Its headers are written to headers (room
 * for header_count_max); SLUICE_E_LIMIT when there are more. */
sl_err record_fields_from_view(struct record_fields *fields, const struct batch_view *batch,
                               const struct record_view *record, struct header_view *headers,
                               size_t header_count_max) SL_MUST_CHECK;

#endif
