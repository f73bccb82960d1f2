/* extent_promote.c: see extent_promote.h. */
#include "extent/extent_promote.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "extent/extent_block.h"
#include "extent/extent_file.h"
#include "wal/wal_format.h"

#define PIECE_BYTES_MAX (1u << 30) /* a run: one batch, or 1 MiB of them */

struct promoter {
    const struct extent_promotion *about;
    struct sl_file *file;
    struct extent_stream stream;
    struct sl_buffer *footer;
    struct sl_buffer bytes; /* of a piece that is read */
    struct wal_frame_header frame;
    uint64_t frame_position;
    uint64_t body_bytes; /* of the frames so far */
    int64_t created_ms;
};

static sl_err read_exactly(struct promoter *self, void *bytes, size_t size, uint64_t position)
{
    size_t got = 0;
    sl_err err = sl_file_pread(self->file, bytes, size, position, &got);
    return err == SLUICE_OK && got != size ? SLUICE_E_CORRUPT : err;
}

/* ---- frames ---- */

static sl_err header_read(struct promoter *self)
{
    uint8_t bytes[WAL_HEADER_USED];
    struct wal_segment_header header;
    sl_err err = read_exactly(self, bytes, sizeof bytes, 0);
    if (err == SLUICE_OK)
        err = wal_segment_header_decode(bytes, &header);
    if (err != SLUICE_OK)
        return err;
    self->created_ms = header.created_ms;
    return header.seq == self->about->segment ? SLUICE_OK : SLUICE_E_CORRUPT;
}

static sl_err frame_read(struct promoter *self, uint64_t position)
{
    uint8_t bytes[WAL_FRAME_HEADER];
    if (position >= self->about->end)
        return SLUICE_E_CORRUPT;
    sl_err err = read_exactly(self, bytes, sizeof bytes, position);
    if (err == SLUICE_OK)
        err = wal_frame_header_decode(bytes, &self->frame);
    self->frame_position = position;
    self->body_bytes += err == SLUICE_OK ? self->frame.body_size : 0;
    return err == SLUICE_OK && self->frame.incarnation != self->about->segment ? SLUICE_E_CORRUPT
                                                                               : err;
}

/* Makes the frame that holds the position the current one. */
static sl_err frame_find(struct promoter *self, uint64_t position)
{
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && self->frame_position + self->frame.frame_size <= position)
        err = frame_read(self, self->frame_position + self->frame.frame_size);
    return err;
}

/* ---- blocks ---- */

static sl_err block_read(struct promoter *self, struct extent_block *block)
{
    sl_buffer_reset(&self->bytes);
    sl_err err = sl_buffer_reserve(&self->bytes, block->size);
    if (err == SLUICE_OK)
        err = read_exactly(self, self->bytes.data, block->size, block->position);
    if (err != SLUICE_OK)
        return err == SLUICE_E_IO ? SLUICE_E_CORRUPT : err; /* a sector that cannot be read */
    block->crc = sl_crc32c(self->bytes.data, block->size);
    return extent_block_check(block, sl_bytes_of(self->bytes.data, block->size));
}

/* Where the piece is the whole body of its frame, that one's CRC is the block's. */
static sl_err block_make(struct promoter *self, const struct extent_piece *piece,
                         struct extent_block *ret_block)
{
    sl_err err = frame_find(self, piece->position);
    if (err != SLUICE_OK)
        return err;
    uint64_t body = self->frame_position + WAL_FRAME_HEADER + self->frame.directory_size;
    *ret_block = (struct extent_block){.base_offset = piece->base_offset,
                                       .last_offset = piece->last_offset,
                                       .max_timestamp = piece->max_timestamp,
                                       .position = piece->position,
                                       .size = piece->size,
                                       .leader_epoch = piece->leader_epoch,
                                       .crc = self->frame.body_crc};
    if (piece->position == body && piece->size == self->frame.body_size)
        return SLUICE_OK;
    bool is_inside =
        piece->position >= body && piece->size <= body + self->frame.body_size - piece->position;
    return is_inside ? block_read(self, ret_block) : SLUICE_E_CORRUPT;
}

static void stream_count(struct extent_stream *stream, const struct extent_block *block)
{
    if (stream->block_count++ == 0) {
        stream->base_offset = block->base_offset;
        stream->position = block->position;
        stream->max_timestamp = block->max_timestamp;
    }
    stream->last_offset = block->last_offset;
    stream->max_timestamp = SL_MAX(stream->max_timestamp, block->max_timestamp);
    stream->bytes += block->size;
}

static sl_err blocks_make(struct promoter *self, const struct extent_piece *pieces, uint32_t count)
{
    struct sl_buffer *footer = self->footer;
    uint64_t size = extent_footer_size(1, count);
    sl_err err = size > EXTENT_FOOTER_MAX ? SLUICE_E_LIMIT : SLUICE_OK;
    sl_buffer_reset(footer);
    if (err == SLUICE_OK)
        err = sl_buffer_reserve(footer, (size_t)size + EXTENT_TRAILER);
    if (err == SLUICE_OK)
        err = frame_read(self, WAL_SEGMENT_HEADER);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        struct extent_block block;
        err = block_make(self, &pieces[i], &block);
        if (err != SLUICE_OK)
            break;
        extent_block_encode(&block, footer->data + extent_footer_size(1, i));
        stream_count(&self->stream, &block);
    }
    /* To the end, so that all bodies are counted. */
    while (err == SLUICE_OK && self->frame_position + self->frame.frame_size < self->about->end)
        err = frame_read(self, self->frame_position + self->frame.frame_size);
    if (err == SLUICE_OK) {
        extent_stream_encode(&self->stream, footer->data);
        footer->size = (size_t)size;
    }
    return err;
}

/* ---- the file ---- */

static struct extent_trailer trailer_of(const struct promoter *self)
{
    return (struct extent_trailer){.id = self->about->id,
                                   .footer_position = self->about->end,
                                   .footer_size = self->footer->size,
                                   .stream_count = 1,
                                   .block_count = self->stream.block_count,
                                   .footer_crc = sl_crc32c(self->footer->data, self->footer->size),
                                   .segment = self->about->segment};
}

/* Behind the last frame, where recovery does not look: bytes of an earlier life may be there. */
static sl_err end_write(struct promoter *self, const struct extent_trailer *trailer)
{
    struct sl_buffer *footer = self->footer;
    const struct sl_iovec piece = {footer->data, footer->size + EXTENT_TRAILER};
    uint64_t position = self->about->end;
    extent_trailer_encode(trailer, footer->data + footer->size);
    sl_err err = sl_file_pwritev(self->file, &piece, 1, position);
    if (err == SLUICE_OK)
        err = sl_file_truncate(self->file, position + piece.size);
    if (err == SLUICE_OK && !self->about->no_sync)
        err = sl_file_sync(self->file);
    return err;
}

static sl_err name_give(const struct promoter *self)
{
    const struct extent_promotion *about = self->about;
    char path[EXTENT_PATH_MAX];
    extent_path(path, about->directory, about->id);
    sl_err err = sl_path_link(about->os, about->segment_path, path);
    if (err != SLUICE_OK || about->no_directory_sync)
        return err;
    err = sl_dir_sync(about->os, about->directory);
    if (err != SLUICE_OK) {
        sl_err removed = sl_path_remove(about->os, path);
        (void)removed; /* no frame names it: the next start removes it */
    }
    return err;
}

static sl_err promote(struct promoter *self, const struct extent_piece *pieces, uint32_t count,
                      struct extent_item *ret_item, struct extent_footer *ret_footer)
{
    sl_err err = header_read(self);
    if (err == SLUICE_OK)
        err = blocks_make(self, pieces, count);
    if (err != SLUICE_OK)
        return err;
    const struct extent_trailer trailer = trailer_of(self);
    err = extent_footer_check(&trailer, sl_buffer_bytes(self->footer), ret_footer);
    if (err == SLUICE_OK)
        err = end_write(self, &trailer);
    if (err == SLUICE_OK)
        err = name_give(self);
    *ret_item = (struct extent_item){
        .id = self->about->id,
        .file_size = trailer.footer_position + trailer.footer_size + EXTENT_TRAILER,
        .bytes = self->stream.bytes,
        .created_ms = self->created_ms,
        .footer_crc = trailer.footer_crc,
        .stream_count = 1,
        .block_count = trailer.block_count,
        .promoted = true,
        .pure = self->body_bytes == self->stream.bytes,
    };
    return err;
}

sl_err extent_promote(const struct extent_promotion *promotion, const struct extent_piece *pieces,
                      uint32_t piece_count, struct sl_buffer *footer_bytes,
                      struct extent_item *ret_item, struct sl_file **ret_file,
                      struct extent_footer *ret_footer)
{
    struct promoter self = {.about = promotion, .footer = footer_bytes};
    self.stream.topic = promotion->topic;
    self.stream.partition = promotion->partition;
    sl_err err = sl_file_open(promotion->os, promotion->segment_path, SL_FILE_READ | SL_FILE_WRITE,
                              &self.file);
    if (err != SLUICE_OK)
        return err;
    sl_buffer_init(&self.bytes, PIECE_BYTES_MAX);
    err = promote(&self, pieces, piece_count, ret_item, ret_footer);
    sl_buffer_fini(&self.bytes);
    if (err != SLUICE_OK)
        sl_file_close(self.file);
    else
        *ret_file = self.file;
    return err;
}
