/* extent_inspect.c: see extent_inspect.h. */
#include "extent/extent_inspect.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "extent/extent_block.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct inspection {
    struct sl_file *file;
    const char *path;
    bool read_blocks;
    const struct extent_inspect_events *events;
    void *arg;
    struct extent_report *report;
    struct extent_outline outline;
    struct sl_buffer bytes; /* of a block */
};

static void problem_set(struct inspection *self, const char *what)
{
    if (self->report->problem[0] == '\0') /* the first one is told */
        snprintf(self->report->problem, sizeof self->report->problem, "%s %s",
                 extent_path_shown(self->path), what);
}

static sl_err batches_tell(struct inspection *self, const struct extent_stream *stream,
                           const struct extent_block *block)
{
    size_t size;
    for (size_t at = 0; at < block->size; at += size) {
        struct batch_view batch;
        sl_err err = batch_view_init(&batch, sl_bytes_of(self->bytes.data + at, block->size - at));
        SL_ASSERT(err == SLUICE_OK); /* the block was checked */
        size = batch.size;
        self->report->batch_count++;
        if (self->events->batch != NULL)
            err = self->events->batch(self->arg, stream, block->position + at, &batch);
        if (err != SLUICE_OK)
            return err;
    }
    return SLUICE_OK;
}

static sl_err damage_tell(struct inspection *self, const struct extent_stream *stream,
                          const struct extent_block *block)
{
    char what[128];
    snprintf(what, sizeof what,
             "is damaged: block of %" PRIu32 " bytes at %" PRIu64 ", offsets %" PRId64
             " to %" PRId64,
             block->size, block->position, block->base_offset, block->last_offset);
    if (self->report->damaged_blocks++ == 0)
        snprintf(self->report->problem, sizeof self->report->problem,
                 "%s %s; restore it from a backup", extent_path_shown(self->path), what);
    return self->events->damage == NULL ? SLUICE_OK
                                        : self->events->damage(self->arg, stream, block);
}

static sl_err block_read(struct inspection *self, const struct extent_stream *stream,
                         const struct extent_block *block)
{
    size_t got = 0;
    sl_buffer_reset(&self->bytes);
    sl_err err = sl_buffer_reserve(&self->bytes, block->size);
    if (err == SLUICE_OK)
        err = sl_file_pread(self->file, self->bytes.data, block->size, block->position, &got);
    self->report->bytes_read += got;
    if (err == SLUICE_OK)
        err = extent_block_check(block, sl_bytes_of(self->bytes.data, got));
    if (err == SLUICE_OK)
        return batches_tell(self, stream, block);
    if (err == SLUICE_E_CORRUPT)
        return damage_tell(self, stream, block);
    problem_set(self, "cannot be read");
    return err;
}

static sl_err block_inspect(struct inspection *self, const struct extent_stream *stream,
                            const struct extent_block *block)
{
    sl_err err = SLUICE_OK;
    if (self->events->block != NULL)
        err = self->events->block(self->arg, stream, block);
    if (err == SLUICE_OK && self->read_blocks)
        err = block_read(self, stream, block);
    return err;
}

static sl_err stream_inspect(struct inspection *self, uint32_t index)
{
    struct extent_stream stream = extent_footer_stream(&self->outline.footer, index);
    sl_err err = SLUICE_OK;
    if (self->events->stream != NULL)
        err = self->events->stream(self->arg, &stream);
    for (uint32_t i = 0; i < stream.block_count && err == SLUICE_OK; i++) {
        struct extent_block block =
            extent_footer_block(&self->outline.footer, stream.first_block + i);
        err = block_inspect(self, &stream, &block);
    }
    return err;
}

static sl_err file_inspect(struct inspection *self)
{
    struct extent_report *report = self->report;
    sl_err err = extent_outline_read(self->file, self->path, NULL, &self->outline, report->problem);
    if (err != SLUICE_OK)
        return err;
    report->file_size = self->outline.file_size;
    report->stream_count = self->outline.footer.trailer.stream_count;
    report->block_count = self->outline.footer.trailer.block_count;
    if (self->events->outline != NULL)
        err = self->events->outline(self->arg, &self->outline);
    for (uint32_t i = 0; i < report->stream_count && err == SLUICE_OK; i++)
        err = stream_inspect(self, i);
    extent_outline_fini(&self->outline);
    return err == SLUICE_OK && report->damaged_blocks > 0 ? SLUICE_E_CORRUPT : err;
}

sl_err extent_inspect(struct sl_os *os, const char *path, bool read_blocks,
                      const struct extent_inspect_events *events, void *arg,
                      struct extent_report *ret_report)
{
    static const struct extent_inspect_events no_events = {NULL, NULL, NULL, NULL, NULL};
    struct inspection self = {.path = path,
                              .read_blocks = read_blocks,
                              .events = events == NULL ? &no_events : events,
                              .arg = arg,
                              .report = ret_report};
    memset(ret_report, 0, sizeof *ret_report);
    sl_buffer_init(&self.bytes, UINT32_MAX);
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &self.file);
    if (err != SLUICE_OK) {
        problem_set(&self, err == SLUICE_E_NOT_FOUND ? "is not there" : "cannot be opened");
        return err;
    }
    err = file_inspect(&self);
    sl_file_close(self.file);
    sl_buffer_fini(&self.bytes);
    return err;
}
