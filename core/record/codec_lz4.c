/* codec_lz4.c: the LZ4 frame format (magic 0x184d2204) through liblz4's frame interface.
 *
 * Written with independent blocks of 64 KiB and no checksums, which is what Kafka's Java client
 * writes and the only kind of block that its reader takes. Read: whatever the format allows. */
#include "record/codec_impl.h"

#include <lz4frame.h>

enum {
    ROOM_MIN =
        64 * 1024, /* a whole block: liblz4 then decompresses in place, without its own copy */
    RATIO_GUESSED = 4,
    LEVEL_FAST = 9, /* Kafka's default stands for the fast compressor, all others for the high */
    LEVEL_HIGH_MIN = 3, /* liblz4 takes less for the fast one */
};

void codec_lz4_fini(struct codec_context *context)
{
    LZ4F_freeDecompressionContext(context->lz4_reader);
    LZ4F_freeCompressionContext(context->lz4_writer);
}

static sl_err reader_prepare(struct codec_context *context)
{
    if (context->lz4_reader != NULL) {
        LZ4F_resetDecompressionContext(context->lz4_reader);
        return SLUICE_OK;
    }
    LZ4F_dctx *reader;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&reader, LZ4F_VERSION)))
        return SLUICE_E_NO_MEMORY;
    context->lz4_reader = reader;
    return SLUICE_OK;
}

/* Of a frame that was given up liblz4 1.9.4 remembers the size that it claimed, also after a reset,
 * and then refuses the next one. */
static void reader_drop(struct codec_context *context)
{
    LZ4F_freeDecompressionContext(context->lz4_reader);
    context->lz4_reader = NULL;
}

/* Moves *input on. *ret_hint: 0 at the end of a frame, else bytes that liblz4 would like next. */
static sl_err decompress_step(LZ4F_dctx *reader, struct sl_bytes *input, size_t wanted,
                              struct codec_out *out, size_t *ret_hint)
{
    struct codec_room room;
    sl_err err = codec_out_room(out, wanted, &room);
    if (err != SLUICE_OK)
        return err;
    size_t written = room.size, read = input->size;
    size_t hint = LZ4F_decompress(reader, room.at, &written, input->data, &read, NULL);
    if (LZ4F_isError(hint))
        return SLUICE_E_INVALID_RECORD;
    if (hint != 0 && read == 0 && written == 0) /* it wants input that is not there */
        return SLUICE_E_INVALID_RECORD;
    *input = sl_bytes_of(input->data + read, input->size - read);
    *ret_hint = hint;
    return codec_out_wrote(out, &room, written);
}

sl_err codec_lz4_decompress(struct codec_context *context, struct sl_bytes input,
                            struct codec_out *out)
{
    sl_err err = reader_prepare(context);
    size_t hint = 1, wanted = SL_MAX(input.size * RATIO_GUESSED, (size_t)ROOM_MIN);
    while (err == SLUICE_OK && (hint != 0 || input.size > 0)) {
        err = decompress_step(context->lz4_reader, &input, wanted, out, &hint);
        wanted = ROOM_MIN;
    }
    if (err != SLUICE_OK)
        reader_drop(context);
    return err;
}

static sl_err writer_prepare(struct codec_context *context)
{
    if (context->lz4_writer != NULL)
        return SLUICE_OK;
    LZ4F_cctx *writer;
    if (LZ4F_isError(LZ4F_createCompressionContext(&writer, LZ4F_VERSION)))
        return SLUICE_E_NO_MEMORY;
    context->lz4_writer = writer;
    return SLUICE_OK;
}

/* Header, blocks and end mark into to, which has room for the bound. *ret_size: of the frame. */
static sl_err compress_frame(LZ4F_cctx *writer, const LZ4F_preferences_t *preferences,
                             struct sl_bytes input, uint8_t *to, size_t room, size_t *ret_size)
{
    static const LZ4F_compressOptions_t options = {.stableSrc = 1};
    size_t at = LZ4F_compressBegin(writer, to, room, preferences);
    if (LZ4F_isError(at))
        return SLUICE_E_INTERNAL;
    size_t body = LZ4F_compressUpdate(writer, to + at, room - at, input.data, input.size, &options);
    if (LZ4F_isError(body))
        return SLUICE_E_INTERNAL;
    at += body;
    size_t end = LZ4F_compressEnd(writer, to + at, room - at, &options);
    if (LZ4F_isError(end))
        return SLUICE_E_INTERNAL;
    *ret_size = at + end;
    return SLUICE_OK;
}

sl_err codec_lz4_compress(struct codec_context *context, int32_t level, struct sl_bytes input,
                          struct sl_buffer *out)
{
    bool is_fast = level == CODEC_LEVEL_DEFAULT || level == LEVEL_FAST;
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .autoFlush = 1,
        .compressionLevel = is_fast ? 0 : SL_MAX(level, LEVEL_HIGH_MIN),
    };
    sl_err err = writer_prepare(context);
    if (err != SLUICE_OK)
        return err;
    size_t bound = LZ4F_compressBound(input.size, &preferences) + LZ4F_HEADER_SIZE_MAX;
    err = sl_buffer_reserve(out, bound);
    if (err != SLUICE_OK)
        return err;
    size_t size;
    err = compress_frame(context->lz4_writer, &preferences, input, out->data + out->size, bound,
                         &size);
    if (err == SLUICE_OK)
        out->size += size;
    return err;
}
