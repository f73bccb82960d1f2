/* seal_collect.c: what a job takes from the indexes, and what it gives back to them (seal_job.h).
 *
 * A stream is taken up to a border between segments: runs never reach over one, neither now nor
 * when recovery builds them anew, so that no run is ever half in an extent. */
#include "shard/seal_job.h"
#include "shard/store.h"

/* ---- collecting ---- */

static void *grown(void *array, uint32_t *capacity, uint32_t wanted, size_t size)
{
    if (wanted <= *capacity) {
        return array;
    }
    uint32_t more = SL_MAX(SL_MAX(wanted, *capacity * 2), 64u);
    void *at = sl_realloc(array, more * size);
    *capacity = at != NULL ? more : *capacity;
    return at;
}

static bool make_room(struct seal_job *job, uint32_t run_count)
{
    void *runs =
        grown(job->runs, &job->run_capacity, job->run_count + run_count, sizeof(*job->runs));
    job->runs = runs != NULL ? runs : job->runs;
    void *streams =
        grown(job->streams, &job->stream_capacity, job->stream_count + 1, sizeof(*job->streams));
    job->streams = streams != NULL ? streams : job->streams;
    return runs != NULL && streams != NULL;
}

static uint32_t count_before(const struct stream_run *runs, uint32_t count, uint64_t border)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (runs[middle].place.segment < border) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

bool seal_job_add(struct seal_job *job, struct partition *partition)
{
    uint32_t count = 0;
    const struct stream_run *runs = stream_index_unsealed(&partition->index, &count);
    count = runs == NULL || partition->unsealable ? 0 : count_before(runs, count, job->border);
    if (count == 0) {
        return true;
    }
    if (job->stream_count == SEAL_STREAMS_MAX || job->run_count >= SEAL_RUNS_MAX) {
        job->partial = true;
        return false;
    }
    if (!make_room(job, count)) {
        job->err = SLUICE_E_NO_MEMORY;
        return false;
    }
    struct seal_stream *stream = &job->streams[job->stream_count++];
    *stream = (struct seal_stream){.partition = partition,
                                   .topic = *partition_topic_id(partition),
                                   .number = partition->number,
                                   .first_run = job->run_count,
                                   .run_count = count};
    partition_ref(partition);
    for (uint32_t i = 0; i < count; i++) {
        job->runs[job->run_count++] = (struct seal_run){.base_offset = runs[i].base_offset,
                                                        .last_offset = runs[i].last_offset,
                                                        .segment = runs[i].place.segment,
                                                        .position = runs[i].place.position,
                                                        .size = runs[i].place.size,
                                                        .leader_epoch = runs[i].leader_epoch};
        stream->bytes += runs[i].place.size;
    }
    return true;
}

sl_err seal_job_plan(struct seal_job *job)
{
    uint32_t own = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        own += job->streams[i].bytes >= job->own_file_bytes;
    }
    job->file_count = own + (own < job->stream_count);
    job->files = sl_alloc_zero(SL_MAX(job->file_count, 1u), sizeof(*job->files));
    job->items = sl_alloc_zero(SL_MAX(job->file_count, 1u), sizeof(*job->items));
    if (job->files == NULL || job->items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < job->file_count; i++) {
        job->files[i].id = extent_set_next_id(job->shard->extents);
    }
    job->created_ms = shard_wall_ms(job->shard);
    return SLUICE_OK;
}

void seal_job_fini(struct seal_job *job)
{
    for (uint32_t i = 0; i < job->stream_count; i++) {
        if (job->streams[i].partition != NULL) {
            partition_unref(job->streams[i].partition);
        }
    }
    for (uint32_t i = 0; job->files != NULL && i < job->file_count; i++) {
        extent_writer_free(job->files[i].writer);
        sl_file_close(job->files[i].file);
    }
    sl_free(job->streams);
    sl_free(job->runs);
    sl_free(job->files);
    sl_free(job->items);
    sl_free(job->blocks);
    sl_buffer_fini(&job->buffer);
    *job = (struct seal_job){.shard = job->shard};
}

/* ---- the indexes ---- */

static bool is_wanted(const struct seal_stream *stream)
{
    return stream->block_count > 0 && stream->partition->topic != NULL;
}

sl_err seal_job_reserve(struct seal_job *job, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct seal_stream *stream = &job->streams[i];
        struct partition *partition = stream->partition;
        if (!is_wanted(stream) || stream->block_count == 1) {
            continue; /* one block takes the slot of one of its runs, or goes with the last */
        }
        sl_err err =
            stream_index_keep(&partition->index, stream->block_count, partition->pending_batches);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static void apply(struct seal_job *job, const struct seal_stream *stream)
{
    struct stream_index *index = &stream->partition->index;
    const struct seal_file *file = &job->files[stream->file];
    struct extent_footer footer = extent_writer_footer(file->writer);
    for (uint32_t i = 0; i < stream->block_count; i++) {
        struct extent_block block = extent_footer_block(&footer, stream->first_block + i);
        job->blocks[i] = store_run_of_block(&file->item, &block, true);
    }
    sl_err err = stream_index_replace(index, job->blocks, stream->block_count);
    SL_ASSERT(err == SLUICE_OK); /* memory was kept, and runs lie on one side of the border */
    for (uint32_t i = 0; i < stream->block_count; i++) {
        if (job->blocks[i].last_offset >= stream_index_start(index)) {
            extent_set_hold(job->shard->extents, &job->blocks[i].place);
        }
    }
    stream_index_shrink(index, stream->partition->pending_batches);
}

void seal_job_apply(struct seal_job *job, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct seal_stream *stream = &job->streams[i];
        if (is_wanted(stream)) {
            apply(job, stream);
        }
        if (!stream->damaged) { /* of those more will be said */
            partition_unref(stream->partition);
            stream->partition = NULL;
        }
    }
}
