/* seal_promote.c: a segment of the log becomes the extent of the stream that nearly all of it
 * belongs to (seal_job.h, extent/extent_promote.h). [helper] */
#include "extent/extent_promote.h"
#include "shard/seal_job.h"

static struct seal_stream *stream_of(struct seal_job *job, const struct seal_promotion *promotion)
{
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct seal_stream *stream = &job->streams[i];
        if (promotion->first_run - stream->first_run < stream->run_count) {
            return stream;
        }
    }
    SL_ASSERT(false); /* each run is of a stream */
    return NULL;
}

static struct extent_piece *pieces_of(const struct seal_job *job,
                                      const struct seal_promotion *promotion)
{
    struct extent_piece *pieces = sl_alloc(promotion->run_count * sizeof(*pieces));
    for (uint32_t i = 0; i < promotion->run_count && pieces != NULL; i++) {
        const struct seal_run *run = &job->runs[promotion->first_run + i];
        pieces[i] = (struct extent_piece){.base_offset = run->base_offset,
                                          .last_offset = run->last_offset,
                                          .max_timestamp = run->max_timestamp,
                                          .position = run->position,
                                          .size = run->size,
                                          .leader_epoch = run->leader_epoch};
    }
    return pieces;
}

/* Whatever went wrong with the file itself is not tried a second time on it: the next job copies.
 */
static void judge(struct seal_job *job, const struct seal_promotion *promotion, sl_err err)
{
    if (err == SLUICE_E_CORRUPT) {
        stream_of(job, promotion)->damaged = true;
    }
    job->promotion_failed = err != SLUICE_OK && err != SLUICE_E_CORRUPT;
}

sl_err seal_job_promote(struct seal_job *job, struct seal_promotion *promotion)
{
    struct shard *shard = job->shard;
    struct seal_file *file = &job->files[promotion->file];
    char path[WAL_PATH_BYTES];
    struct extent_piece *pieces = pieces_of(job, promotion);
    if (pieces == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    commit_log_segment_path(shard->log, promotion->segment, path);
    const struct extent_promotion about = {.os = shard->config.os,
                                           .segment_path = path,
                                           .directory = extent_set_directory(shard->extents),
                                           .segment = promotion->segment,
                                           .end = promotion->end,
                                           .id = file->id,
                                           .topic = promotion->topic,
                                           .partition = promotion->number,
                                           .no_sync = job->mutants.promote_no_sync,
                                           .no_directory_sync =
                                               job->mutants.promote_no_directory_sync};
    sl_buffer_init(&file->footer_bytes, EXTENT_FOOTER_MAX + EXTENT_TRAILER);
    sl_err err = extent_promote(&about, pieces, promotion->run_count, &file->footer_bytes,
                                &file->item, &file->file, &file->footer);
    sl_free(pieces);
    judge(job, promotion, err);
    return err == SLUICE_E_CORRUPT ? SLUICE_OK : err;
}
