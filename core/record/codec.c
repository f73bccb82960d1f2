/* codec.c: the table of codecs, and the cap that all of them obey. See codec.h. */
#include "record/codec_impl.h"

struct codec {
    const char *name;
    codec_decompress_fn *decompress; /* NULL: bytes as they are */
    codec_compress_fn *compress;
};

static const struct codec codecs[BATCH_CODEC_COUNT] = {
    [BATCH_CODEC_NONE] = {"none", NULL, NULL},
    [BATCH_CODEC_GZIP] = {"gzip", codec_gzip_decompress, codec_gzip_compress},
    [BATCH_CODEC_SNAPPY] = {"snappy", codec_snappy_decompress, codec_snappy_compress},
    [BATCH_CODEC_LZ4] = {"lz4", codec_lz4_decompress, codec_lz4_compress},
    [BATCH_CODEC_ZSTD] = {"zstd", codec_zstd_decompress, codec_zstd_compress},
};

/* The libraries count in 32 bits; a batch is below 2 GiB anyway. */
enum { INPUT_SIZE_MAX = INT32_MAX };

struct codec_context *codec_context_new(void)
{
    return sl_alloc_zero(1, sizeof(struct codec_context));
}

void codec_context_free(struct codec_context *context)
{
    if (context == NULL)
        return;
    codec_gzip_fini(context);
    codec_lz4_fini(context);
    codec_zstd_fini(context);
    sl_free(context);
}

static bool is_known(int codec)
{
    return codec >= 0 && codec < BATCH_CODEC_COUNT;
}

const char *codec_name(int codec)
{
    return is_known(codec) ? codecs[codec].name : NULL;
}

sl_err codec_by_name(const char *name, int *ret_codec)
{
    for (int i = 0; i < BATCH_CODEC_COUNT; i++) {
        if (strcmp(codecs[i].name, name) == 0) {
            *ret_codec = i;
            return SLUICE_OK;
        }
    }
    return SLUICE_E_NOT_FOUND;
}

size_t codec_out_left(const struct codec_out *out)
{
    return out->size_end - out->buffer->size;
}

sl_err codec_out_room(struct codec_out *out, size_t wanted, struct codec_room *ret_room)
{
    size_t left = codec_out_left(out);
    if (left == 0) {
        *ret_room = (struct codec_room){.at = &out->spill, .size = 1};
        return SLUICE_OK;
    }
    size_t extra = SL_MIN(SL_MAX(wanted, (size_t)1), left);
    sl_err err = sl_buffer_reserve_within(out->buffer, extra, out->size_end);
    if (err != SLUICE_OK)
        return err;
    *ret_room = (struct codec_room){
        .at = out->buffer->data + out->buffer->size,
        .size = SL_MIN(left, out->buffer->capacity - out->buffer->size),
    };
    return SLUICE_OK;
}

sl_err codec_out_wrote(struct codec_out *out, const struct codec_room *room, size_t size)
{
    SL_ASSERT(size <= room->size);
    if (room->at == &out->spill)
        return size == 0 ? SLUICE_OK : SLUICE_E_EXPANDS_TOO_FAR;
    out->buffer->size += size;
    return SLUICE_OK;
}

sl_err codec_decompress(struct codec_context *context, int codec, struct sl_bytes input,
                        size_t cap_bytes, struct sl_buffer *out)
{
    if (!is_known(codec))
        return SLUICE_E_UNSUPPORTED_CODEC;
    size_t bound = SL_MIN(cap_bytes, out->size_max - out->size);
    if (codecs[codec].decompress == NULL)
        return input.size > bound ? SLUICE_E_EXPANDS_TOO_FAR
                                  : sl_buffer_append(out, input.data, input.size);
    if (input.size == 0 || input.size > INPUT_SIZE_MAX)
        return SLUICE_E_INVALID_RECORD;
    struct codec_out target = {.buffer = out, .size_end = out->size + bound};
    size_t size_before = out->size;
    sl_err err = codecs[codec].decompress(context, input, &target);
    if (err != SLUICE_OK)
        out->size = size_before;
    return err;
}

sl_err codec_compress(struct codec_context *context, int codec, struct sl_bytes input,
                      struct sl_buffer *out)
{
    return codec_compress_at(context, codec, CODEC_LEVEL_DEFAULT, input, out);
}

sl_err codec_compress_at(struct codec_context *context, int codec, int32_t level,
                         struct sl_bytes input, struct sl_buffer *out)
{
    if (!is_known(codec))
        return SLUICE_E_UNSUPPORTED_CODEC;
    if (codecs[codec].compress == NULL)
        return sl_buffer_append(out, input.data, input.size);
    if (input.size > INPUT_SIZE_MAX)
        return SLUICE_E_LIMIT;
    size_t size_before = out->size;
    sl_err err = codecs[codec].compress(context, level, input, out);
    if (err != SLUICE_OK)
        out->size = size_before;
    return err;
}

sl_err batch_decompress(const struct batch_view *view, struct codec_context *context,
                        size_t cap_bytes, struct sl_buffer *scratch, struct sl_bytes *ret_records)
{
    struct sl_bytes stored = batch_view_records(view);
    int codec = batch_view_codec(view);
    /* Kafka's cleaner leaves batches without records, and nothing to decompress, under any codec.
     */
    bool is_emptied = stored.size == 0 && batch_view_record_count(view) == 0;
    if (codec == BATCH_CODEC_NONE || is_emptied) {
        *ret_records = stored;
        return SLUICE_OK;
    }
    sl_buffer_reset(scratch);
    sl_err err = codec_decompress(context, codec, stored, cap_bytes, scratch);
    if (err == SLUICE_OK)
        *ret_records = sl_buffer_bytes(scratch);
    return err;
}
