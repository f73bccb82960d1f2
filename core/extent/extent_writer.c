/* extent_writer.c: see extent_writer.h.
 *
 * Batches are copied into one buffer that goes to the file when it is full, so that the file is
 * written in whole MiB at multiples of a MiB. A block closes where a batch of another leader epoch
 * comes, or one that would make it too large; its entry is kept, encoded, until finish. The footer
 * is at last checked as a reader would. */
#include "extent/extent_writer.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "extent/extent_block.h"
#include "extent/extent_file.h"

#include <string.h>

#define WRITE_BYTES (1u << 20)
#define SYNC_BYTES \
    (2u << 20) /* what one sync has to carry at most: the log's syncs wait behind it */

struct extent_writer {
    struct sl_os *os;
    struct sl_file *file; /* NULL: never opened, or given away by finish */
    char directory[EXTENT_PATH_MAX];
    struct extent_header header;
    bool finished;
    bool skips_sync;             /* mutant */
    uint8_t *buffer;             /* owned, of WRITE_BYTES */
    size_t buffered;             /* bytes in it */
    uint64_t position;           /* in the file, of the buffer */
    uint64_t unsynced;           /* bytes written since the last sync */
    struct sl_buffer streams;    /* entries; after finish the whole footer */
    struct sl_buffer blocks;     /* entries */
    struct extent_stream stream; /* under way; block_count counts its closed blocks */
    struct extent_block block;   /* under way; size 0: none */
    int64_t last_offset;         /* of the stream's batches so far; -1 before the first */
    uint32_t stream_count;       /* closed */
    uint32_t block_count;        /* closed, of all streams */
    bool has_stream;
    bool begins_range;           /* the next block */
    struct extent_footer footer; /* after finish; borrows streams */
};

/* ---- bytes ---- */

static sl_err buffer_write(struct extent_writer *writer)
{
    const struct sl_iovec piece = {writer->buffer, writer->buffered};
    sl_err err = sl_file_pwritev(writer->file, &piece, 1, writer->position);
    writer->position += writer->buffered;
    writer->unsynced += writer->buffered;
    writer->buffered = 0;
    if (err == SLUICE_OK && writer->unsynced >= SYNC_BYTES && !writer->skips_sync) {
        writer->unsynced = 0;
        err = sl_file_sync(writer->file);
    }
    return err;
}

static sl_err bytes_put(struct extent_writer *writer, struct sl_bytes bytes)
{
    while (bytes.size > 0) {
        size_t part = SL_MIN(bytes.size, (size_t)WRITE_BYTES - writer->buffered);
        memcpy(writer->buffer + writer->buffered, bytes.data, part);
        writer->buffered += part;
        bytes = sl_bytes_of(bytes.data + part, bytes.size - part);
        if (writer->buffered == WRITE_BYTES) {
            sl_err err = buffer_write(writer);
            if (err != SLUICE_OK)
                return err;
        }
    }
    return SLUICE_OK;
}

static uint64_t position_now(const struct extent_writer *writer)
{
    return writer->position + writer->buffered;
}

/* ---- life ---- */

static sl_err file_make(struct extent_writer *writer)
{
    char path[EXTENT_PATH_MAX];
    uint8_t block[EXTENT_HEADER] = {0};
    extent_path(path, writer->directory, writer->header.id);
    sl_err err = sl_file_open(writer->os, path,
                              SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE,
                              &writer->file);
    if (err != SLUICE_OK)
        return err;
    extent_header_encode(&writer->header, block);
    return bytes_put(writer, sl_bytes_of(block, sizeof block));
}

sl_err extent_writer_new(struct sl_os *os, const char *directory,
                         const struct extent_header *header, struct extent_writer **ret_writer)
{
    if (strlen(directory) + 32 > EXTENT_PATH_MAX || header->id == 0 ||
        header->id >= WAL_PLACE_EXTENT)
        return SLUICE_E_INVALID;
    struct extent_writer *writer = sl_alloc_zero(1, sizeof *writer);
    if (writer == NULL)
        return SLUICE_E_NO_MEMORY;
    writer->os = os;
    writer->header = *header;
    memcpy(writer->directory, directory, strlen(directory) + 1);
    sl_buffer_init(&writer->streams, EXTENT_FOOTER_MAX);
    sl_buffer_init(&writer->blocks, EXTENT_FOOTER_MAX);
    writer->buffer = sl_alloc(WRITE_BYTES);
    sl_err err = writer->buffer == NULL ? SLUICE_E_NO_MEMORY : file_make(writer);
    if (err != SLUICE_OK) {
        extent_writer_free(writer);
        return err;
    }
    *ret_writer = writer;
    return SLUICE_OK;
}

struct sl_file *extent_file_discard(struct sl_os *os, const char *directory, uint64_t id,
                                    struct sl_file *file)
{
    char path[EXTENT_PATH_MAX];
    if (file == NULL)
        return NULL;
    sl_file_close(file);
    extent_path(path, directory, id);
    sl_err err = sl_path_remove(os, path);
    (void)err; /* no frame names it: the next start removes it */
    return NULL;
}

static void file_forget(struct extent_writer *writer)
{
    writer->file =
        extent_file_discard(writer->os, writer->directory, writer->header.id, writer->file);
}

struct extent_writer *extent_writer_free(struct extent_writer *writer)
{
    if (writer == NULL)
        return NULL;
    if (writer->file != NULL)
        file_forget(writer);
    sl_buffer_fini(&writer->streams);
    sl_buffer_fini(&writer->blocks);
    sl_free(writer->buffer);
    sl_free(writer);
    return NULL;
}

/* ---- blocks and streams ---- */

/* Room for the entries of what is under way, so that closing cannot fail. */
static sl_err entries_reserve(struct extent_writer *writer)
{
    uint64_t size = extent_footer_size(writer->stream_count + 1, writer->block_count + 1);
    if (size > EXTENT_FOOTER_MAX)
        return SLUICE_E_LIMIT;
    sl_err err = sl_buffer_reserve(&writer->blocks, EXTENT_BLOCK_ENTRY);
    return err != SLUICE_OK ? err : sl_buffer_reserve(&writer->streams, EXTENT_STREAM_ENTRY);
}

static void block_close(struct extent_writer *writer)
{
    const struct extent_block *block = &writer->block;
    struct extent_stream *stream = &writer->stream;
    if (stream->block_count == 0)
        stream->max_timestamp = block->max_timestamp;
    stream->max_timestamp = SL_MAX(stream->max_timestamp, block->max_timestamp);
    stream->last_offset = block->last_offset;
    stream->bytes += block->size;
    stream->block_count++;
    writer->block_count++;
    extent_block_encode(block, writer->blocks.data + writer->blocks.size);
    writer->blocks.size += EXTENT_BLOCK_ENTRY;
    writer->block.size = 0;
}

static void stream_close(struct extent_writer *writer)
{
    if (writer->block.size > 0)
        block_close(writer);
    if (!writer->has_stream || writer->stream.block_count == 0)
        return;
    extent_stream_encode(&writer->stream, writer->streams.data + writer->streams.size);
    writer->streams.size += EXTENT_STREAM_ENTRY;
    writer->stream_count++;
    writer->has_stream = false;
}

sl_err extent_writer_stream(struct extent_writer *writer, const struct sl_uuid *topic,
                            uint32_t partition)
{
    SL_ASSERT(!writer->finished);
    if (sl_uuid_is_zero(topic) || partition > INT32_MAX)
        return SLUICE_E_INVALID;
    stream_close(writer);
    writer->stream = (struct extent_stream){
        .topic = *topic,
        .partition = partition,
        .first_block = writer->block_count,
        .position = position_now(writer),
    };
    writer->last_offset = -1;
    writer->has_stream = true;
    writer->begins_range = false;
    return SLUICE_OK;
}

void extent_writer_range(struct extent_writer *writer)
{
    SL_ASSERT(writer->has_stream);
    if (writer->block.size > 0)
        block_close(writer);
    writer->begins_range = writer->stream.block_count > 0;
}

/* Closes the block under way where the batch does not belong to it; begins one where none is. */
static sl_err block_for(struct extent_writer *writer, const struct batch_view *batch)
{
    struct extent_block *block = &writer->block;
    int32_t epoch = batch_view_leader_epoch(batch);
    bool fits =
        batch->size <= EXTENT_BLOCK_BYTES && block->size <= EXTENT_BLOCK_BYTES - batch->size;
    if (block->size > 0 && fits && block->leader_epoch == epoch)
        return SLUICE_OK;
    if (block->size > 0)
        block_close(writer);
    sl_err err = entries_reserve(writer);
    if (err != SLUICE_OK)
        return err;
    *block = (struct extent_block){
        .base_offset = batch_view_base_offset(batch),
        .max_timestamp = batch_view_max_timestamp(batch),
        .position = position_now(writer),
        .leader_epoch = epoch,
        .begins_range = writer->begins_range,
    };
    writer->begins_range = false;
    return SLUICE_OK;
}

static sl_err batch_put(struct extent_writer *writer, const struct batch_view *batch)
{
    struct extent_block *block = &writer->block;
    sl_err err = block_for(writer, batch);
    if (err != SLUICE_OK)
        return err;
    if (writer->stream.block_count == 0 && block->size == 0)
        writer->stream.base_offset = block->base_offset;
    block->last_offset = batch_view_last_offset(batch);
    block->max_timestamp = SL_MAX(block->max_timestamp, batch_view_max_timestamp(batch));
    block->crc = sl_crc32c_extend(block->crc, batch->data, batch->size);
    block->size += (uint32_t)batch->size;
    writer->last_offset = block->last_offset;
    return bytes_put(writer, sl_bytes_of(batch->data, batch->size));
}

sl_err extent_writer_add(struct extent_writer *writer, struct sl_bytes batches)
{
    SL_ASSERT(!writer->finished && writer->has_stream);
    while (batches.size > 0) {
        struct batch_view batch;
        sl_err err = extent_batch_check(batches, writer->last_offset, &batch);
        if (err == SLUICE_OK)
            err = batch_put(writer, &batch);
        if (err != SLUICE_OK)
            return err;
        batches = sl_bytes_of(batches.data + batch.size, batches.size - batch.size);
    }
    return SLUICE_OK;
}

/* ---- finish ---- */

/* Streams and blocks become one footer, behind what its trailer says of it. */
static sl_err footer_make(struct extent_writer *writer)
{
    struct sl_buffer *footer = &writer->streams;
    sl_err err = sl_buffer_append(footer, writer->blocks.data, writer->blocks.size);
    if (err != SLUICE_OK)
        return err;
    const struct extent_trailer trailer = {
        .id = writer->header.id,
        .footer_position = position_now(writer),
        .footer_size = footer->size,
        .stream_count = writer->stream_count,
        .block_count = writer->block_count,
        .footer_crc = sl_crc32c(footer->data, footer->size),
    };
    err = extent_footer_check(&trailer, sl_buffer_bytes(footer), &writer->footer);
    return err == SLUICE_E_CORRUPT ? SLUICE_E_INVALID : err; /* a stream came twice */
}

static sl_err end_write(struct extent_writer *writer)
{
    uint8_t trailer[EXTENT_TRAILER];
    extent_trailer_encode(&writer->footer.trailer, trailer);
    sl_err err = bytes_put(writer, writer->footer.bytes);
    if (err == SLUICE_OK)
        err = bytes_put(writer, sl_bytes_of(trailer, sizeof trailer));
    if (err == SLUICE_OK && writer->buffered > 0)
        err = buffer_write(writer);
    if (err == SLUICE_OK && !writer->skips_sync)
        err = sl_file_sync(writer->file);
    if (err == SLUICE_OK && !writer->skips_sync)
        err = sl_dir_sync(writer->os, writer->directory);
    return err;
}

sl_err extent_writer_finish(struct extent_writer *writer, struct extent_item *ret_item,
                            struct sl_file **ret_file)
{
    SL_ASSERT(!writer->finished);
    stream_close(writer);
    if (writer->stream_count == 0)
        return SLUICE_E_INVALID;
    sl_err err = footer_make(writer);
    if (err == SLUICE_OK)
        err = end_write(writer);
    if (err != SLUICE_OK)
        return err;
    const struct extent_trailer *trailer = &writer->footer.trailer;
    *ret_item = (struct extent_item){
        .id = writer->header.id,
        .file_size = position_now(writer),
        .bytes = trailer->footer_position - EXTENT_HEADER,
        .created_ms = writer->header.created_ms,
        .footer_crc = trailer->footer_crc,
        .stream_count = trailer->stream_count,
        .block_count = trailer->block_count,
    };
    *ret_file = writer->file;
    writer->file = NULL;
    writer->finished = true;
    return SLUICE_OK;
}

void extent_writer_skip_sync(struct extent_writer *writer)
{
    writer->skips_sync = true;
}

struct extent_footer extent_writer_footer(const struct extent_writer *writer)
{
    SL_ASSERT(writer->finished);
    return writer->footer;
}
