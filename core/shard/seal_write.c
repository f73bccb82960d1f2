/* seal_write.c: the helper's part of a job: bytes from the log into extents (seal_job.h).
 *
 * Streams are put in order first: those that share a file by topic and partition, then those with
 * a file of their own. Every run is checked against what the index says of it, so that what is
 * damaged never becomes part of an extent: then the file is begun anew without that stream. */
#include "extent/extent_file.h"
#include "shard/seal_job.h"
#include "wal/wal.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MAX (1u << 30) /* a run: one batch, or 1 MiB of them */

/* ---- order ---- */

enum { SHARED, OWN, NOWHERE }; /* nothing of it is copied */

static int by_name(const void *left, const void *right)
{
    const struct seal_stream *a = left;
    const struct seal_stream *b = right;
    int order = (int)a->file - (int)b->file;
    order = order != 0 ? order : memcmp(&a->topic, &b->topic, sizeof(a->topic));
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static void plan(struct seal_job *job)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct seal_stream *stream = &job->streams[i];
        stream->file = stream->bytes >= job->limits.own_file_bytes ? OWN
                       : stream->bytes > 0                         ? SHARED
                                                                   : NOWHERE;
        shared += stream->file == SHARED;
    }
    qsort(job->streams, job->stream_count, sizeof(*job->streams), by_name);
    uint32_t file = job->promotion_count;
    for (uint32_t i = 0; i < shared; i++) {
        job->streams[i].file = file;
    }
    if (shared > 0) {
        job->files[file++].stream_count = shared;
    }
    for (uint32_t i = shared; i < job->stream_count && job->streams[i].file == OWN; i++, file++) {
        job->streams[i].file = file;
        job->files[file].first_stream = i;
        job->files[file].stream_count = 1;
    }
    SL_ASSERT(file == job->file_count);
    job->planned = true;
}

/* ---- one file ---- */

static sl_err begin_file(struct seal_job *job, struct seal_file *file)
{
    const struct shard_config *config = &job->shard->config;
    const struct extent_header header = {.cluster = config->cluster,
                                         .shard = config->index,
                                         .id = file->id,
                                         .created_ms = job->created_ms};
    job->stream = 0;
    job->run = job->copied = 0;
    return extent_writer_new(config->os, extent_set_directory(job->shard->extents), &header,
                             &file->writer);
}

static sl_err read_run(struct seal_job *job, const struct seal_run *run)
{
    const struct wal_place place = {
        .segment = run->segment, .position = run->position, .size = run->size};
    const struct read_claim claim = {.base_offset = run->base_offset,
                                     .last_offset = run->last_offset,
                                     .leader_epoch = run->leader_epoch};
    sl_err err = read_claim_read(job->shard, &claim, &place, &job->buffer);
    return err == SLUICE_E_IO ? SLUICE_E_CORRUPT : err; /* one sector cannot be read, others can */
}

static sl_err write_run(struct seal_job *job, struct seal_file *file,
                        const struct seal_stream *stream)
{
    const struct seal_run *run = &job->runs[stream->first_run + job->run];
    if (run->promoted) {
        job->run++;
        return SLUICE_OK;
    }
    sl_err err = read_run(job, run);
    if (err != SLUICE_OK) {
        return err;
    }
    if (job->copied++ == 0) {
        err = extent_writer_stream(file->writer, &stream->topic, stream->number);
    } else if (run[-1].promoted) {
        extent_writer_range(file->writer);
    }
    job->run++;
    return err != SLUICE_OK ? err : extent_writer_add(file->writer, sl_buffer_bytes(&job->buffer));
}

/* Which blocks each stream has; in the order in which they were written. */
static void note_blocks(struct seal_job *job, struct seal_file *file)
{
    struct extent_footer footer = extent_writer_footer(file->writer);
    file->footer = footer;
    uint32_t index = 0;
    for (uint32_t i = 0; i < file->stream_count; i++) {
        struct seal_stream *stream = &job->streams[file->first_stream + i];
        if (stream->damaged) {
            continue;
        }
        struct extent_stream entry = extent_footer_stream(&footer, index++);
        SL_ASSERT(entry.partition == stream->number);
        stream->first_block = entry.first_block;
        stream->block_count = entry.block_count;
        job->block_count_max = SL_MAX(job->block_count_max, entry.block_count);
    }
    SL_ASSERT(index == footer.trailer.stream_count);
}

static bool has_sound(const struct seal_job *job, const struct seal_file *file)
{
    for (uint32_t i = 0; i < file->stream_count; i++) {
        if (!job->streams[file->first_stream + i].damaged) {
            return true;
        }
    }
    return false;
}

static sl_err end_file(struct seal_job *job, struct seal_file *file)
{
    if (!has_sound(job, file)) {
        file->writer = extent_writer_free(file->writer);
        return SLUICE_OK;
    }
    if (job->mutants.no_sync) {
        extent_writer_skip_sync(file->writer);
    }
    sl_err err = extent_writer_finish(file->writer, &file->item, &file->file);
    if (err == SLUICE_OK) {
        note_blocks(job, file);
        job->bytes += file->item.bytes;
        job->bytes_written += file->item.file_size;
    }
    return err;
}

/* ---- slices ---- */

static void next_stream(struct seal_job *job)
{
    job->stream++;
    job->run = job->copied = 0;
}

/* The stream stays in the log. What was written of it cannot be taken back. */
static void leave_out(struct seal_job *job, struct seal_file *file, struct seal_stream *stream)
{
    stream->damaged = true;
    if (job->copied > 0) {
        file->writer = extent_writer_free(file->writer);
    } else {
        next_stream(job);
    }
}

static sl_err write_stream(struct seal_job *job, struct seal_file *file, uint64_t *left)
{
    struct seal_stream *stream = &job->streams[file->first_stream + job->stream];
    sl_err err = SLUICE_OK;
    while (!stream->damaged && job->run<stream->run_count && * left> 0 && err == SLUICE_OK) {
        err = write_run(job, file, stream);
        *left -= SL_MIN(*left, (uint64_t)job->buffer.size);
    }
    if (err == SLUICE_E_CORRUPT) {
        leave_out(job, file, stream);
        return SLUICE_OK;
    }
    if (err == SLUICE_OK && (stream->damaged || job->run == stream->run_count)) {
        next_stream(job);
    }
    return err;
}

static sl_err write_slice(struct seal_job *job)
{
    uint64_t left = SEAL_SLICE_BYTES;
    sl_err err = SLUICE_OK;
    while (job->file < job->file_count && left > 0 && err == SLUICE_OK) {
        struct seal_file *file = &job->files[job->file];
        if (job->file < job->promotion_count) {
            err = seal_job_promote(job, &job->promotions[job->file]);
            job->file++;
            left = 0; /* a sync is enough for one turn */
        } else if (file->writer == NULL) {
            err = begin_file(job, file);
        } else if (job->stream < file->stream_count) {
            err = write_stream(job, file, &left);
        } else {
            err = end_file(job, file);
            job->file++;
            left = 0; /* a sync is enough for one turn */
        }
    }
    return err;
}

static void forget_file(struct seal_job *job, struct seal_file *file)
{
    file->writer = extent_writer_free(file->writer);
    file->file = extent_file_discard(
        job->shard->config.os, extent_set_directory(job->shard->extents), file->id, file->file);
}

/* What was promoted of a stream that turned out to be damaged elsewhere stays in the log. */
static void promotions_judge(struct seal_job *job)
{
    for (uint32_t i = 0; i < job->stream_count && job->promotion_count > 0; i++) {
        uint32_t first = 0;
        uint32_t count = seal_stream_promotions(job, &job->streams[i], &first);
        for (uint32_t k = first; k < first + count; k++) {
            struct seal_file *file = &job->files[job->promotions[k].file];
            if (job->streams[i].damaged) {
                forget_file(job, file);
                continue;
            }
            job->bytes += file->item.bytes;
            job->bytes_promoted += file->item.bytes;
            job->bytes_written += file->footer.bytes.size + EXTENT_TRAILER;
            job->block_count_max = SL_MAX(job->block_count_max, file->item.block_count);
        }
    }
}

void seal_job_write(struct seal_job *job)
{
    if (!job->planned) {
        sl_buffer_init(&job->buffer, BUFFER_BYTES_MAX);
        plan(job);
    }
    job->err = write_slice(job);
    job->written = job->err == SLUICE_OK && job->file == job->file_count;
    if (job->written) {
        promotions_judge(job);
    }
}

void seal_job_discard(struct seal_job *job)
{
    for (uint32_t i = 0; job->files != NULL && i < job->file_count; i++) {
        forget_file(job, &job->files[i]);
    }
}
