/* codec_snappy.c: snappy, raw and in the framing of xerial's snappy-java.
 *
 * xerial: magic 82 53 4e 41 50 50 59 00, version i32, compatible version i32, then blocks of a size
 * (i32, big-endian) and a raw snappy block. A header again in place of a size begins a stream
 * appended to the first. Java's clients write it, librdkafka sends one raw block; both are read,
 * framed is written. The C interface of snappy allocates its hash table per call; only rewriting
 * compresses. */
#include "record/codec_impl.h"

#include <snappy-c.h>

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

enum {
    XERIAL_HEADER_SIZE = 16,
    XERIAL_VERSION = 1,
    XERIAL_BLOCK_SIZE = 32 * 1024, /* as snappy-java's writer cuts */
    SIZE_FIELD = 4,
};

static bool is_xerial_header(struct sl_bytes input)
{
    return input.size >= XERIAL_HEADER_SIZE &&
           memcmp(input.data, xerial_magic, sizeof xerial_magic) == 0;
}

/* Three bytes of a block make at most 64; what a block claims beyond that is a lie, and not worth
 * memory. */
static bool is_plausible(size_t expanded, size_t compressed)
{
    return expanded <= compressed * 22;
}

static sl_err decompress_block(struct sl_bytes block, struct codec_out *out)
{
    size_t size;
    const char *data = (const char *)block.data;
    if (snappy_uncompressed_length(data, block.size, &size) != SNAPPY_OK ||
        !is_plausible(size, block.size))
        return SLUICE_E_INVALID_RECORD;
    if (size > codec_out_left(out))
        return SLUICE_E_EXPANDS_TOO_FAR;
    if (size == 0)
        return snappy_validate_compressed_buffer(data, block.size) == SNAPPY_OK
                   ? SLUICE_OK
                   : SLUICE_E_INVALID_RECORD;
    sl_err err = sl_buffer_reserve_within(out->buffer, size, out->size_end);
    if (err != SLUICE_OK)
        return err;
    char *to = (char *)out->buffer->data + out->buffer->size;
    if (snappy_uncompress(data, block.size, to, &size) != SNAPPY_OK)
        return SLUICE_E_INVALID_RECORD;
    out->buffer->size += size;
    return SLUICE_OK;
}

static sl_err decompress_xerial(struct sl_bytes input, struct codec_out *out)
{
    while (input.size > 0) {
        if (is_xerial_header(input)) {
            input = sl_bytes_of(input.data + XERIAL_HEADER_SIZE, input.size - XERIAL_HEADER_SIZE);
            continue;
        }
        if (input.size < SIZE_FIELD)
            return SLUICE_E_INVALID_RECORD;
        uint32_t size = sl_be32_load(input.data);
        if (size > input.size - SIZE_FIELD)
            return SLUICE_E_INVALID_RECORD;
        sl_err err = decompress_block(sl_bytes_of(input.data + SIZE_FIELD, size), out);
        if (err != SLUICE_OK)
            return err;
        input = sl_bytes_of(input.data + SIZE_FIELD + size, input.size - SIZE_FIELD - size);
    }
    return SLUICE_OK;
}

sl_err codec_snappy_decompress(struct codec_context *context SL_UNUSED, struct sl_bytes input,
                               struct codec_out *out)
{
    return is_xerial_header(input) ? decompress_xerial(input, out) : decompress_block(input, out);
}

static sl_err compress_block(struct sl_bytes block, struct sl_buffer *out)
{
    size_t size = snappy_max_compressed_length(block.size);
    sl_err err = sl_buffer_reserve(out, SIZE_FIELD + size);
    if (err != SLUICE_OK)
        return err;
    uint8_t *to = out->data + out->size;
    if (snappy_compress((const char *)block.data, block.size, (char *)to + SIZE_FIELD, &size) !=
        SNAPPY_OK)
        return SLUICE_E_INTERNAL;
    sl_be32_store(to, (uint32_t)size);
    out->size += SIZE_FIELD + size;
    return SLUICE_OK;
}

sl_err codec_snappy_compress(struct codec_context *context SL_UNUSED, int32_t level SL_UNUSED,
                             struct sl_bytes input, struct sl_buffer *out)
{
    uint8_t header[XERIAL_HEADER_SIZE];
    memcpy(header, xerial_magic, sizeof xerial_magic);
    sl_be32_store(header + 8, XERIAL_VERSION);
    sl_be32_store(header + 12, XERIAL_VERSION);
    sl_err err = sl_buffer_append(out, header, sizeof header);
    for (size_t at = 0; at < input.size && err == SLUICE_OK; at += XERIAL_BLOCK_SIZE) {
        size_t size = SL_MIN(input.size - at, (size_t)XERIAL_BLOCK_SIZE);
        err = compress_block(sl_bytes_of(input.data + at, size), out);
    }
    return err;
}
