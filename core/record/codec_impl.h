/* codec_impl.h: what the codec sources of this room share. Private to codec*.c.
 *
 * A decompressor appends to out->buffer and asks codec_out_room() before each step; the step that
 * would exceed the cap writes into out->spill instead, which shows that more is coming without room
 * for it. */
#ifndef SL_RECORD_CODEC_IMPL_H
#define SL_RECORD_CODEC_IMPL_H

#include "record/codec.h"

struct codec_gzip_reader;
struct codec_gzip_writer;
struct LZ4F_dctx_s;
struct LZ4F_cctx_s;
struct ZSTD_DCtx_s;
struct ZSTD_CCtx_s;

struct codec_context {
    struct codec_gzip_reader *gzip_reader; /* each NULL until first used */
    struct codec_gzip_writer *gzip_writer;
    struct LZ4F_dctx_s *lz4_reader;
    struct LZ4F_cctx_s *lz4_writer;
    struct ZSTD_DCtx_s *zstd_reader;
    struct ZSTD_CCtx_s *zstd_writer;
};

struct codec_out {
    struct sl_buffer *buffer;
    size_t size_end; /* buffer->size may not pass this: the cap */
    uint8_t spill;   /* where the first byte beyond the cap goes */
};

/* Where the next bytes go. At least one byte of room: in the buffer, or the spill byte at the cap.
 */
struct codec_room {
    uint8_t *at;
    size_t size;
};

/* wanted: a good size for the step; less is given near the cap. SLUICE_E_NO_MEMORY. */
sl_err codec_out_room(struct codec_out *out, size_t wanted,
                      struct codec_room *ret_room) SL_MUST_CHECK;
/* The step wrote `size` bytes into room. SLUICE_E_EXPANDS_TOO_FAR: into the spill byte. */
sl_err codec_out_wrote(struct codec_out *out, const struct codec_room *room,
                       size_t size) SL_MUST_CHECK;
/* Bytes left before the cap. */
size_t codec_out_left(const struct codec_out *out);

/* Neither is called with empty input. */
typedef sl_err codec_decompress_fn(struct codec_context *context, struct sl_bytes input,
                                   struct codec_out *out);
typedef sl_err codec_compress_fn(struct codec_context *context, int32_t level,
                                 struct sl_bytes input, struct sl_buffer *out);

codec_decompress_fn codec_gzip_decompress, codec_snappy_decompress, codec_lz4_decompress,
    codec_zstd_decompress;
codec_compress_fn codec_gzip_compress, codec_snappy_compress, codec_lz4_compress,
    codec_zstd_compress;

/* gzip at levels that ISA-L does not have, through zlib. */
sl_err codec_gzip_compress_slow(int32_t level, struct sl_bytes input,
                                struct sl_buffer *out) SL_MUST_CHECK;

void codec_gzip_fini(struct codec_context *context);
void codec_lz4_fini(struct codec_context *context);
void codec_zstd_fini(struct codec_context *context);

#endif
