/* codec_zstd.c: zstd frames (RFC 8878).
 *
 * Decompression is one-shot into the output, which then serves as the window: the streaming
 * interface would allocate the window that a frame asks for, up to 128 MiB, on a client's word.
 * Frames of Kafka's clients often do not say their content's size; then the room is doubled until
 * it is enough, at most twice the work in all. Compression: level 3, Kafka's default. */
#include "record/codec_impl.h"

#include <zstd.h>
#include <zstd_errors.h>

enum { ROOM_MIN = 64 * 1024, RATIO_GUESSED = 8, LEVEL = 3 };

void codec_zstd_fini(struct codec_context *context)
{
    ZSTD_freeDCtx(context->zstd_reader);
    ZSTD_freeCCtx(context->zstd_writer);
}

/* Room to try first: what the first frame declares, or a guess. */
static sl_err first_room(struct sl_bytes input, size_t left, size_t *ret_wanted)
{
    unsigned long long declared = ZSTD_getFrameContentSize(input.data, input.size);
    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return SLUICE_E_INVALID_RECORD;
    if (declared == ZSTD_CONTENTSIZE_UNKNOWN) {
        *ret_wanted = SL_MAX(input.size * RATIO_GUESSED, (size_t)ROOM_MIN);
        return SLUICE_OK;
    }
    if (declared > left)
        return SLUICE_E_EXPANDS_TOO_FAR;
    *ret_wanted = (size_t)declared;
    return SLUICE_OK;
}

static sl_err map_error(size_t code)
{
    return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? SLUICE_E_NO_MEMORY
                                                                   : SLUICE_E_INVALID_RECORD;
}

static sl_err decompress_growing(ZSTD_DCtx *reader, struct sl_bytes input, size_t wanted,
                                 struct codec_out *out)
{
    for (;;) {
        struct codec_room room;
        sl_err err = codec_out_room(out, wanted, &room);
        if (err != SLUICE_OK)
            return err;
        size_t size = ZSTD_decompressDCtx(reader, room.at, room.size, input.data, input.size);
        if (!ZSTD_isError(size))
            return codec_out_wrote(out, &room, size);
        if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall)
            return map_error(size);
        if (room.size >= codec_out_left(out))
            return SLUICE_E_EXPANDS_TOO_FAR;
        wanted = SL_MAX(room.size * 2, (size_t)ROOM_MIN);
    }
}

sl_err codec_zstd_decompress(struct codec_context *context, struct sl_bytes input,
                             struct codec_out *out)
{
    if (context->zstd_reader == NULL)
        context->zstd_reader = ZSTD_createDCtx();
    if (context->zstd_reader == NULL)
        return SLUICE_E_NO_MEMORY;
    size_t wanted;
    sl_err err = first_room(input, codec_out_left(out), &wanted);
    if (err != SLUICE_OK)
        return err;
    return decompress_growing(context->zstd_reader, input, wanted, out);
}

sl_err codec_zstd_compress(struct codec_context *context, int32_t level, struct sl_bytes input,
                           struct sl_buffer *out)
{
    if (context->zstd_writer == NULL)
        context->zstd_writer = ZSTD_createCCtx();
    if (context->zstd_writer == NULL)
        return SLUICE_E_NO_MEMORY;
    size_t bound = ZSTD_compressBound(input.size);
    sl_err err = sl_buffer_reserve(out, bound);
    if (err != SLUICE_OK)
        return err;
    size_t size = ZSTD_compressCCtx(context->zstd_writer, out->data + out->size, bound, input.data,
                                    input.size, level == CODEC_LEVEL_DEFAULT ? LEVEL : level);
    if (ZSTD_isError(size))
        return map_error(size) == SLUICE_E_NO_MEMORY ? SLUICE_E_NO_MEMORY : SLUICE_E_INTERNAL;
    out->size += size;
    return SLUICE_OK;
}
