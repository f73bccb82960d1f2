/* codec.h: the compression codecs of record batches, and what they need to run.
 *
 * none; gzip (RFC 1952, ISA-L); snappy (written in the xerial framing as Java's clients do; raw
 * blocks, as librdkafka sends, are read too); lz4 (frame format, independent 64 KiB blocks, as
 * Java's reader asks); zstd. Concatenated gzip members and lz4 or zstd frames are one stream.
 *
 * Decompression has a cap that no input exceeds, in memory either: a bomb costs at most the cap.
 * Everything here may take long (about 1 GB/s): large batches belong on a helper. */
#ifndef SL_RECORD_CODEC_H
#define SL_RECORD_CODEC_H

#include "base/buffer.h"
#include "record/batch_view.h"

enum batch_codec {
    BATCH_CODEC_NONE = 0,
    BATCH_CODEC_GZIP = 1,
    BATCH_CODEC_SNAPPY = 2,
    BATCH_CODEC_LZ4 = 3,
    BATCH_CODEC_ZSTD = 4,
    BATCH_CODEC_COUNT = 5,
};

/* The libraries' states, made at first use of each codec and kept: one per thread that opens
 * batches, never used by two at a time. Up to about 0.5 MiB, and lz4's reader as much as the
 * largest block seen (4 MiB). */
struct codec_context;

/* NULL when out of memory. */
struct codec_context *codec_context_new(void) SL_MUST_CHECK;
void codec_context_free(struct codec_context *context); /* NULL is fine */

/* Name as in Kafka's compression.type ("none", "gzip", …); NULL for 5 to 7. */
const char *codec_name(int codec);
/* SLUICE_E_NOT_FOUND: no such name. */
sl_err codec_by_name(const char *name, int *ret_codec) SL_MUST_CHECK;

/* Appends the decompressed bytes to out, at most cap_bytes of them. On failure out has the size
 * that it had. SLUICE_E_EXPANDS_TOO_FAR: beyond the cap or out's bound. SLUICE_E_INVALID_RECORD:
 * not a stream of that codec, damaged, or ending early. SLUICE_E_UNSUPPORTED_CODEC.
 * SLUICE_E_NO_MEMORY. */
sl_err codec_decompress(struct codec_context *context, int codec, struct sl_bytes input,
                        size_t cap_bytes, struct sl_buffer *out) SL_MUST_CHECK;

/* Room that is enough for every codec's worst case over input_size bytes. */
static inline size_t codec_compress_room(size_t input_size)
{
    return input_size + input_size / 4 + 4096;
}

/* Appends the compressed stream to out; on failure out has the size that it had.
 * SLUICE_E_LIMIT: beyond out's bound, which should leave codec_compress_room() bytes.
 * SLUICE_E_UNSUPPORTED_CODEC. SLUICE_E_NO_MEMORY. */
sl_err codec_compress(struct codec_context *context, int codec, struct sl_bytes input,
                      struct sl_buffer *out) SL_MUST_CHECK;

/* The same at a level, as Kafka numbers them: gzip 1 to 9 or -1, zstd -131072 to 22, lz4 1 to 17 (9
 * is the fast one, as there); what the codec has no levels for does not look at it. */
#define CODEC_LEVEL_DEFAULT INT32_MIN
sl_err codec_compress_at(struct codec_context *context, int codec, int32_t level,
                         struct sl_bytes input, struct sl_buffer *out) SL_MUST_CHECK;

/* The records of a batch, ready to walk: its own bytes when it is not compressed (context may then
 * be NULL), else decompressed into scratch, which is reset first. Errors as codec_decompress. */
sl_err batch_decompress(const struct batch_view *view, struct codec_context *context,
                        size_t cap_bytes, struct sl_buffer *scratch,
                        struct sl_bytes *ret_records) SL_MUST_CHECK;

#endif
