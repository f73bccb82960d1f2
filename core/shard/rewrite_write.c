/* rewrite_write.c: the helper's part of a job: footers are read, blocks are copied (rewrite_job.h).
 */
#include "base/crc32c.h"
#include "extent/extent_file.h"
#include "shard/filler.h"
#include "shard/rewrite_job.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MAX (1u << 30) /* a block */
#define FILL_BYTES_MAX   (1u << 20)

/* ---- outline ---- */

static sl_err stream_add(struct rewrite_job *job, const struct extent_stream *stream)
{
    if (job->stream_count == job->stream_capacity) {
        uint32_t capacity = SL_MAX(job->stream_capacity * 2, 64u);
        void *at = sl_realloc(job->streams, capacity * sizeof(*job->streams));
        if (at == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        job->streams = at;
        job->stream_capacity = capacity;
    }
    job->streams[job->stream_count++] = (struct rewrite_stream){.topic = stream->topic,
                                                                .number = stream->partition,
                                                                .base_offset = stream->base_offset,
                                                                .last_offset = stream->last_offset};
    return SLUICE_OK;
}

static sl_err source_outline(struct rewrite_job *job, const struct extent_item *item)
{
    char path[EXTENT_PATH_MAX];
    char problem[EXTENT_PROBLEM_BYTES];
    struct extent_outline outline;
    struct sl_file *file;
    extent_path(path, extent_set_directory(job->shard->extents), item->id);
    sl_err err = sl_file_open(job->shard->config.os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK) {
        return err;
    }
    err = extent_outline_read(file, path, item, &outline, problem);
    sl_file_close(file);
    for (uint32_t i = 0; err == SLUICE_OK && i < item->stream_count; i++) {
        struct extent_stream stream = extent_footer_stream(&outline.footer, i);
        sl_err added = stream_add(job, &stream);
        if (added != SLUICE_OK) {
            extent_outline_fini(&outline);
            return added;
        }
    }
    if (err == SLUICE_OK) {
        extent_outline_fini(&outline);
    }
    return err;
}

static int by_name(const void *left, const void *right)
{
    const struct rewrite_stream *a = left;
    const struct rewrite_stream *b = right;
    int order = memcmp(&a->topic, &b->topic, sizeof(a->topic));
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static void merge_same(struct rewrite_job *job)
{
    uint32_t count = 0;
    qsort(job->streams, job->stream_count, sizeof(*job->streams), by_name);
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct rewrite_stream *last = count > 0 ? &job->streams[count - 1] : NULL;
        const struct rewrite_stream *stream = &job->streams[i];
        if (last == NULL || by_name(last, stream) != 0) {
            job->streams[count++] = *stream;
            continue;
        }
        last->base_offset = SL_MIN(last->base_offset, stream->base_offset);
        last->last_offset = SL_MAX(last->last_offset, stream->last_offset);
    }
    job->stream_count = count;
}

void rewrite_job_outline(struct rewrite_job *job)
{
    sl_buffer_init(&job->bytes, BUFFER_BYTES_MAX);
    sl_buffer_init(&job->fill, FILL_BYTES_MAX);
    job->err = SLUICE_OK;
    for (uint32_t i = 0; i < job->source_count && job->err == SLUICE_OK; i++) {
        job->err = source_outline(job, &job->sources[i]);
    }
    if (job->err == SLUICE_OK && job->stream_count > 0) {
        merge_same(job);
    }
}

/* ---- writing ---- */

static sl_err read_run(struct rewrite_job *job, const struct rewrite_run *run)
{
    return read_claim_read(job->shard, &run->claim, &run->place, &job->bytes);
}

static sl_err fill_before(struct rewrite_job *job, const struct rewrite_run *run)
{
    struct batch_view like;
    if (run->fill_from < 0) {
        return SLUICE_OK;
    }
    sl_err err = batch_view_init(&like, sl_buffer_bytes(&job->bytes));
    return err != SLUICE_OK ? err
                            : filler_add(job->writer, &job->fill, &like, run->fill_epoch,
                                         run->fill_from, run->claim.base_offset);
}

static sl_err write_run(struct rewrite_job *job, const struct rewrite_stream *stream,
                        const struct rewrite_run *run)
{
    sl_err err = read_run(job, run);
    if (err == SLUICE_OK && job->run == 0) {
        err = extent_writer_stream(job->writer, &stream->topic, stream->number);
    } else if (err == SLUICE_OK && run->begins_range) {
        extent_writer_range(job->writer);
    }
    err = err != SLUICE_OK ? err : fill_before(job, run);
    return err != SLUICE_OK ? err : extent_writer_add(job->writer, sl_buffer_bytes(&job->bytes));
}

static sl_err begin_file(struct rewrite_job *job)
{
    const struct shard_config *config = &job->shard->config;
    const struct extent_header header = {.cluster = config->cluster,
                                         .shard = config->index,
                                         .id = job->id,
                                         .created_ms = job->created_ms};
    return extent_writer_new(config->os, extent_set_directory(job->shard->extents), &header,
                             &job->writer);
}

static sl_err end_file(struct rewrite_job *job)
{
    sl_err err = extent_writer_finish(job->writer, &job->item, &job->file);
    if (err != SLUICE_OK) {
        return err;
    }
    struct extent_footer footer = extent_writer_footer(job->writer);
    SL_ASSERT(footer.trailer.stream_count == job->stream_count);
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct extent_stream entry = extent_footer_stream(&footer, i);
        job->streams[i].first_block = entry.first_block;
        job->streams[i].block_count = entry.block_count;
        job->block_count_max = SL_MAX(job->block_count_max, entry.block_count);
    }
    job->written = true;
    return SLUICE_OK;
}

static sl_err write_slice(struct rewrite_job *job)
{
    sl_err err = job->writer == NULL ? begin_file(job) : SLUICE_OK;
    while (err == SLUICE_OK && job->stream < job->stream_count &&
           job->slice_bytes < REWRITE_SLICE_BYTES) {
        const struct rewrite_stream *stream = &job->streams[job->stream];
        err = write_run(job, stream, &job->runs[stream->first_run + job->run]);
        job->slice_bytes += job->bytes.size;
        if (++job->run == stream->run_count) {
            job->stream++;
            job->run = 0;
        }
    }
    bool is_end = job->stream == job->stream_count && job->slice_bytes == 0;
    return err == SLUICE_OK && is_end ? end_file(job) : err; /* a sync is enough for one turn */
}

void rewrite_job_write(struct rewrite_job *job)
{
    job->slice_bytes = 0;
    job->err = write_slice(job);
}

void rewrite_job_discard(struct rewrite_job *job)
{
    job->writer = extent_writer_free(job->writer);
    job->file = extent_file_discard(
        job->shard->config.os, extent_set_directory(job->shard->extents), job->item.id, job->file);
}
