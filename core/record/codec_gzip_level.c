/* codec_gzip_level.c: gzip (RFC 1952) at levels 2 to 9, through zlib: where a topic asks for
 * smaller rather than soon (compression.gzip.level). */
#include "record/codec_impl.h"

#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, MEMORY_LEVEL = 8 };

sl_err codec_gzip_compress_slow(int32_t level, struct sl_bytes input, struct sl_buffer *out)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)input.data, .avail_in = (uInt)input.size};
    if (deflateInit2(&stream, level, Z_DEFLATED, WINDOW_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return SLUICE_E_NO_MEMORY;
    size_t bound = deflateBound(&stream, (uLong)input.size);
    sl_err err = sl_buffer_reserve(out, bound);
    if (err == SLUICE_OK) {
        stream.next_out = out->data + out->size;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
            out->size += bound - stream.avail_out;
        else
            err = SLUICE_E_INTERNAL;
    }
    deflateEnd(&stream);
    return err;
}
