/* batch_recompress.h: a batch with the same records under another codec (compression.type). */
#ifndef SL_RECORD_BATCH_RECOMPRESS_H
#define SL_RECORD_BATCH_RECOMPRESS_H

#include "record/codec.h"

/* Appends to `out` the batch with its records compressed as `codec` says; all else in its header
 * stays, the CRC is that of the new bytes. records: those of the batch, decompressed
 * (batch_decompress). level: as the codec numbers its levels, or CODEC_LEVEL_DEFAULT. Errors as
 * codec_compress; out then has the size that it had. May take long. [any] */
sl_err batch_recompress(const struct batch_view *batch, struct sl_bytes records, int codec,
                        int32_t level, struct codec_context *context,
                        struct sl_buffer *out) SL_MUST_CHECK;

#endif
