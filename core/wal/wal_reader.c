/* wal_reader.c: a window over one segment file, and frames in it. */
#include "wal/wal_scan.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

#define PREFETCH_BYTES (4u << 20)

void wal_reader_init(struct wal_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->step = WAL_READER_STEP;
    reader->asks_ahead = true;
}

void wal_reader_fini(struct wal_reader *reader)
{
    sl_free(reader->window);
    reader->window = NULL;
}

sl_err wal_reader_open(struct wal_reader *reader, struct sl_file *file)
{
    sl_err err = sl_file_size(file, &reader->file_size);
    if (err != SLUICE_OK)
        return err;
    reader->file = file;
    reader->window_position = 0;
    reader->window_size = 0;
    reader->prefetched = 0;
    uint64_t start = 0;
    err = sl_file_data_range(file, 0, &start, &reader->data_end);
    if (err == SLUICE_E_NOT_FOUND) {
        reader->data_end = 0;
        err = SLUICE_OK;
    }
    return err;
}

static sl_err window_grow(struct wal_reader *reader, size_t size)
{
    if (size <= reader->window_capacity)
        return SLUICE_OK;
    uint8_t *window = sl_realloc(reader->window, size);
    if (window == NULL)
        return SLUICE_E_NO_MEMORY;
    reader->window = window;
    reader->window_capacity = size;
    return SLUICE_OK;
}

/* What the window has from `position` on goes to its front. Returns how much that is. */
static size_t window_keep(struct wal_reader *reader, uint64_t position)
{
    uint64_t end = reader->window_position + reader->window_size;
    if (position < reader->window_position || position >= end)
        return 0;
    size_t kept = (size_t)(end - position);
    memmove(reader->window, reader->window + (reader->window_size - kept), kept);
    return kept;
}

/* The disk works while what came from it is looked at. */
static void prefetch(struct wal_reader *reader, uint64_t position)
{
    uint64_t from = SL_MAX(reader->prefetched, position);
    if (!reader->asks_ahead || position + PREFETCH_BYTES / 2 <= reader->prefetched ||
        from >= reader->data_end)
        return;
    uint64_t size = SL_MIN(reader->data_end - from, (uint64_t)PREFETCH_BYTES);
    sl_file_ask(reader->file, from, size);
    reader->prefetched = from + size;
}

/* Fills the window from `position`; at least size bytes, and what read-ahead is cheap. */
static sl_err window_fill(struct wal_reader *reader, uint64_t position, size_t size)
{
    uint64_t left = reader->file_size - position;
    uint64_t data = reader->data_end - SL_MIN(position, reader->data_end);
    uint64_t ahead = SL_MIN(data, (uint64_t)reader->step);
    size_t wanted = (size_t)SL_MIN(left, SL_MAX((uint64_t)size, ahead));
    sl_err err = window_grow(reader, wanted);
    if (err != SLUICE_OK)
        return err;
    size_t kept = window_keep(reader, position);
    size_t got = 0;
    reader->window_size = 0;
    prefetch(reader, position);
    err = sl_file_pread(reader->file, reader->window + kept, wanted - kept, position + kept, &got);
    if (err != SLUICE_OK)
        return err;
    reader->window_position = position;
    reader->window_size = kept + got;
    reader->bytes_read += got;
    return kept + got < size ? SLUICE_E_TRUNCATED : SLUICE_OK;
}

sl_err wal_reader_get(struct wal_reader *reader, uint64_t position, size_t size,
                      const uint8_t **ret_bytes)
{
    if (position > reader->file_size || size > reader->file_size - position)
        return SLUICE_E_TRUNCATED;
    bool inside = position >= reader->window_position &&
                  position + size <= reader->window_position + reader->window_size;
    if (!inside) {
        sl_err err = window_fill(reader, position, size);
        if (err != SLUICE_OK)
            return err;
    }
    *ret_bytes = reader->window + (position - reader->window_position);
    return SLUICE_OK;
}

sl_err wal_reader_peek(struct wal_reader *reader, uint64_t position,
                       struct wal_frame_header *ret_header)
{
    uint8_t bytes[WAL_FRAME_HEADER];
    size_t got = 0;
    prefetch(reader, position);
    sl_err err = sl_file_pread(reader->file, bytes, sizeof bytes, position, &got);
    reader->bytes_read += got;
    if (err == SLUICE_OK && got != sizeof bytes)
        err = SLUICE_E_TRUNCATED;
    return err != SLUICE_OK ? err : wal_frame_header_decode(bytes, ret_header);
}

sl_err wal_reader_header(struct wal_reader *reader, uint64_t position,
                         struct wal_frame_header *ret_header)
{
    const uint8_t *bytes;
    sl_err err = wal_reader_get(reader, position, WAL_FRAME_HEADER, &bytes);
    return err != SLUICE_OK ? err : wal_frame_header_decode(bytes, ret_header);
}

sl_err wal_reader_frame(struct wal_reader *reader, uint64_t position,
                        struct wal_frame_header *ret_header, struct sl_bytes *ret_directory)
{
    struct wal_frame_header header;
    sl_err err = wal_reader_header(reader, position, &header);
    if (err != SLUICE_OK)
        return err;
    if (header.frame_size > reader->file_size - position)
        return SLUICE_E_TRUNCATED;
    const uint8_t *bytes;
    err = wal_reader_get(reader, position + WAL_FRAME_HEADER, header.directory_size, &bytes);
    if (err != SLUICE_OK)
        return err;
    if (sl_crc32c(bytes, header.directory_size) != header.directory_crc)
        return SLUICE_E_CORRUPT;
    *ret_header = header;
    *ret_directory = sl_bytes_of(bytes, header.directory_size);
    return SLUICE_OK;
}

sl_err wal_reader_body(struct wal_reader *reader, uint64_t position,
                       const struct wal_frame_header *header)
{
    uint64_t at = position + WAL_FRAME_HEADER + header->directory_size;
    uint64_t left = header->body_size;
    uint32_t crc = 0;
    while (left > 0) {
        size_t part = (size_t)SL_MIN(left, (uint64_t)WAL_READER_STEP);
        const uint8_t *bytes;
        sl_err err = wal_reader_get(reader, at, part, &bytes);
        if (err != SLUICE_OK)
            return err;
        crc = sl_crc32c_extend(crc, bytes, part);
        at += part;
        left -= part;
    }
    return crc == header->body_crc ? SLUICE_OK : SLUICE_E_CORRUPT;
}
