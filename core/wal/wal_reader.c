/* wal_reader.c: a window over one segment file, and frames in it.
 *
 * Where all is read, the window goes from one buffer to the next, which a thread filled meanwhile:
 *
 *   ┌ room ─┬ looked at ─┐ ┌ room ─┬ under way ─┐ ┌ room ─┬ under way ─┐ …
 *
 * What a frame has at the end of one buffer is copied before its rest in the next one. All other
 * reads, and those where there is no thread, are done at once, into memory of the reader's own.
 *
 * What was read without need says nothing of what is needed: where such a read fails, what it was
 * to bring is read piece by piece, as it is asked for. */
#include "wal/wal_scan.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

#define BUFFER_BYTES    (2 * (size_t)WAL_READER_STEP)
#define BODY_PART_BYTES (64u << 10)

void wal_reader_init(struct wal_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->step = WAL_READER_STEP;
}

/* ---- reading ahead ---- */

/* False: it reads without. */
static bool ahead_ready(struct wal_reader *reader)
{
    struct wal_ahead *ahead = &reader->ahead;
    if (ahead->thread != NULL || reader->os == NULL)
        return ahead->thread != NULL;
    ahead->bytes = sl_alloc(WAL_AHEAD_BUFFERS * BUFFER_BYTES);
    if (ahead->bytes == NULL || sl_reader_new(reader->os, &ahead->thread) != SLUICE_OK)
        reader->os = NULL;
    return reader->os != NULL;
}

static uint64_t ahead_limit(const struct wal_reader *reader)
{
    return SL_MIN(reader->data_end, reader->limit);
}

static void ahead_submit(struct wal_reader *reader)
{
    struct wal_ahead *ahead = &reader->ahead;
    while (ahead->count < WAL_AHEAD_BUFFERS - 1 && ahead->end < ahead_limit(reader)) {
        uint32_t slot = (ahead->first + ahead->count) % WAL_AHEAD_BUFFERS;
        struct sl_read *read = &ahead->reads[slot];
        uint64_t left = ahead_limit(reader) - ahead->end;
        *read = (struct sl_read){.file = reader->file,
                                 .buffer = ahead->bytes + slot * BUFFER_BYTES + WAL_READER_STEP,
                                 .size = (size_t)SL_MIN(left, (uint64_t)WAL_READER_STEP),
                                 .position = ahead->end};
        sl_reader_submit(ahead->thread, read);
        ahead->end += read->size;
        ahead->count++;
    }
}

/* What is under way has the bytes from `position` on, or those that follow the window's. */
static bool ahead_has(const struct wal_reader *reader, uint64_t position)
{
    const struct wal_ahead *ahead = &reader->ahead;
    if (ahead->count == 0 || position >= ahead->end)
        return false;
    uint64_t next = ahead->reads[ahead->first].position;
    return position >= next || (position >= reader->window_position &&
                                next == reader->window_position + reader->window_size);
}

static struct sl_read *ahead_take(struct wal_reader *reader)
{
    struct wal_ahead *ahead = &reader->ahead;
    struct sl_read *read = &ahead->reads[ahead->first];
    sl_reader_wait(ahead->thread, read);
    ahead->first = (ahead->first + 1) % WAL_AHEAD_BUFFERS;
    ahead->count--;
    reader->bytes_read += read->err == SLUICE_OK ? read->got : 0;
    return read;
}

static void ahead_drain(struct wal_reader *reader)
{
    while (reader->ahead.count > 0)
        ahead_take(reader);
}

/* The window moves on to the next buffer that has bytes from `position` on; it is empty when they
 * cannot be read. */
static sl_err ahead_next(struct wal_reader *reader, uint64_t position)
{
    struct wal_ahead *ahead = &reader->ahead;
    if (!ahead_has(reader, position)) {
        ahead_drain(reader);
        ahead->end = position;
        ahead_submit(reader);
    }
    struct sl_read *read = ahead_take(reader);
    while (position >= read->position + read->size)
        read = ahead_take(reader);
    if (read->err != SLUICE_OK) {
        reader->window_size = 0;
        reader->alone_end = read->position + read->size;
        return read->err == SLUICE_E_IO ? SLUICE_OK : read->err;
    }
    size_t kept = (size_t)(read->position - SL_MIN(position, read->position));
    uint8_t *bytes = (uint8_t *)read->buffer - kept;
    if (kept > 0)
        memcpy(bytes, reader->window + (position - reader->window_position), kept);
    reader->window = bytes;
    reader->window_position = read->position - kept;
    reader->window_size = kept + read->got;
    ahead_submit(reader);
    return SLUICE_OK;
}

/* The bytes, when a buffer that is under way has them all; they stay there. */
static const uint8_t *ahead_peek(struct wal_reader *reader, uint64_t position, size_t size)
{
    struct wal_ahead *ahead = &reader->ahead;
    for (uint32_t i = 0; i < ahead->count; i++) {
        struct sl_read *read = &ahead->reads[(ahead->first + i) % WAL_AHEAD_BUFFERS];
        if (position < read->position || position + size > read->position + read->size)
            continue;
        sl_reader_wait(ahead->thread, read);
        bool has_it = read->err == SLUICE_OK && position + size <= read->position + read->got;
        return has_it ? (const uint8_t *)read->buffer + (position - read->position) : NULL;
    }
    return NULL;
}

/* Where the run of data that `position` lies in ends; where it lies in none, position. */
static void data_look(struct wal_reader *reader, uint64_t position)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if (position < reader->data_end || position >= reader->limit)
        return;
    sl_err err = sl_file_data_range(reader->file, position, &start, &end);
    reader->data_end = err == SLUICE_OK && start <= position ? end : position;
}

static bool is_ahead(struct wal_reader *reader, uint64_t position, size_t size)
{
    data_look(reader, position);
    return reader->step == WAL_READER_STEP && size <= WAL_READER_STEP &&
           position >= reader->alone_end && position + size <= ahead_limit(reader) &&
           ahead_ready(reader);
}

/* ---- the window ---- */

void wal_reader_fini(struct wal_reader *reader)
{
    ahead_drain(reader);
    reader->ahead.thread = sl_reader_free(reader->ahead.thread);
    sl_free(reader->ahead.bytes);
    sl_free(reader->own);
    reader->ahead.bytes = NULL;
    reader->own = NULL;
}

void wal_reader_forget(struct wal_reader *reader)
{
    ahead_drain(reader);
    reader->window_size = 0;
}

sl_err wal_reader_open(struct wal_reader *reader, struct sl_file *file)
{
    sl_err err = sl_file_size(file, &reader->file_size);
    if (err != SLUICE_OK)
        return err;
    wal_reader_forget(reader);
    reader->file = file;
    reader->window_position = 0;
    reader->data_end = 0;
    reader->alone_end = 0;
    reader->limit = reader->file_size;
    return SLUICE_OK;
}

static sl_err own_grow(struct wal_reader *reader, size_t size)
{
    if (size <= reader->own_capacity)
        return SLUICE_OK;
    bool is_window = reader->window == reader->own;
    uint8_t *own = sl_realloc(reader->own, size);
    if (own == NULL)
        return SLUICE_E_NO_MEMORY;
    reader->own = own;
    reader->own_capacity = size;
    reader->window = is_window ? own : reader->window;
    return SLUICE_OK;
}

/* What the window has from `position` on goes to the front of the reader's own memory, in which
 * there is room for `room` bytes. Returns how much that is. */
static size_t window_keep(struct wal_reader *reader, uint64_t position, size_t room)
{
    uint64_t end = reader->window_position + reader->window_size;
    if (position < reader->window_position || position >= end)
        return 0;
    size_t kept = (size_t)SL_MIN(end - position, (uint64_t)room);
    memmove(reader->own, reader->window + (position - reader->window_position), kept);
    return kept;
}

/* How much is read where `size` bytes are asked for: also what is cheap to read along. */
static size_t fill_size(const struct wal_reader *reader, uint64_t position, size_t size)
{
    uint64_t left = reader->file_size - position;
    uint64_t data = ahead_limit(reader) - SL_MIN(position, ahead_limit(reader));
    uint64_t step = SL_MIN(data, (uint64_t)reader->step);
    return position < reader->alone_end ? size : (size_t)SL_MIN(left, SL_MAX((uint64_t)size, step));
}

/* Fills the window with `wanted` bytes from `position` on, of which `size` there must be. */
static sl_err window_fill(struct wal_reader *reader, uint64_t position, size_t size, size_t wanted)
{
    sl_err err = own_grow(reader, wanted);
    if (err != SLUICE_OK)
        return err;
    size_t kept = window_keep(reader, position, wanted);
    size_t got = 0;
    reader->window_size = 0;
    err = sl_file_pread(reader->file, reader->own + kept, wanted - kept, position + kept, &got);
    if (err != SLUICE_OK)
        return err;
    reader->window = reader->own;
    reader->window_position = position;
    reader->window_size = kept + got;
    reader->bytes_read += got;
    return kept + got < size ? SLUICE_E_TRUNCATED : SLUICE_OK;
}

static bool is_inside(const struct wal_reader *reader, uint64_t position, size_t size)
{
    return position >= reader->window_position &&
           position + size <= reader->window_position + reader->window_size;
}

static sl_err needed_failed(struct wal_reader *reader, uint64_t position, size_t size, sl_err err)
{
    reader->failed_position = position;
    reader->failed_size = err == SLUICE_E_IO ? size : 0;
    return err;
}

sl_err wal_reader_get(struct wal_reader *reader, uint64_t position, size_t size,
                      const uint8_t **ret_bytes)
{
    if (position > reader->file_size || size > reader->file_size - position)
        return SLUICE_E_TRUNCATED;
    *ret_bytes = reader->window;
    reader->failed_size = 0;
    if (size == 0)
        return SLUICE_OK;
    sl_err err = SLUICE_OK;
    /* Twice, when it begins in the middle of a buffer and ends in the next one. */
    for (int i = 0; i < 2 && !is_inside(reader, position, size) && err == SLUICE_OK; i++)
        if (is_ahead(reader, position, size))
            err = ahead_next(reader, position);
    size_t wanted = fill_size(reader, position, size);
    if (err == SLUICE_OK && !is_inside(reader, position, size)) {
        err = window_fill(reader, position, size, wanted);
        if (err == SLUICE_E_IO && wanted > size) {
            reader->alone_end = position + wanted;
            err = window_fill(reader, position, size, size);
        }
    }
    if (err != SLUICE_OK)
        return needed_failed(reader, position, size, err);
    *ret_bytes = reader->window + (position - reader->window_position);
    return SLUICE_OK;
}

sl_err wal_reader_peek(struct wal_reader *reader, uint64_t position,
                       struct wal_frame_header *ret_header)
{
    uint8_t bytes[WAL_FRAME_HEADER];
    size_t got = 0;
    if (is_inside(reader, position, WAL_FRAME_HEADER))
        return wal_reader_header(reader, position, ret_header);
    const uint8_t *under_way = ahead_peek(reader, position, WAL_FRAME_HEADER);
    if (under_way != NULL)
        return wal_frame_header_decode(under_way, ret_header);
    sl_err err = sl_file_pread(reader->file, bytes, sizeof bytes, position, &got);
    reader->bytes_read += got;
    if (err == SLUICE_OK && got != sizeof bytes)
        err = SLUICE_E_TRUNCATED;
    return err != SLUICE_OK ? needed_failed(reader, position, sizeof bytes, err)
                            : wal_frame_header_decode(bytes, ret_header);
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
        size_t part = (size_t)SL_MIN(left, (uint64_t)BODY_PART_BYTES);
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
