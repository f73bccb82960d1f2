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

/* Runs [from, returned) lie in one segment. */
static uint32_t end_of_segment(const struct stream_run *runs, uint32_t from, uint32_t count)
{
    uint32_t end = from + 1;
    while (end < count && runs[end].place.segment == runs[from].place.segment) {
        end++;
    }
    return end;
}

/* A small file would not be worth its inode, small runs not their entries in the index. */
static bool is_promotable(const struct seal_job *job, uint64_t segment, uint64_t bytes,
                          uint32_t run_count, uint64_t *ret_end)
{
    struct wal_segment_status status;
    if (!job->promotes || !commit_log_segment_status(job->shard->log, segment, &status)) {
        return false;
    }
    *ret_end = status.end;
    uint64_t least = SL_MIN(job->limits.own_file_bytes, job->shard->config.wal.segment_bytes / 2);
    return bytes >= least && bytes / job->limits.promote_run_bytes >= run_count &&
           bytes * 100 >= status.end * job->limits.promote_percent;
}

/* Of one segment. */
static sl_err add_runs(struct seal_job *job, struct seal_stream *stream,
                       const struct stream_run *runs, uint32_t count)
{
    uint64_t bytes = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += runs[i].place.size;
    }
    bool promoted = is_promotable(job, runs->place.segment, bytes, count, &end);
    if (promoted) {
        void *promotions = grown(job->promotions, &job->promotion_capacity,
                                 job->promotion_count + 1, sizeof(*job->promotions));
        if (promotions == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        job->promotions = promotions;
        job->promotions[job->promotion_count++] =
            (struct seal_promotion){.topic = stream->topic,
                                    .number = stream->number,
                                    .segment = runs->place.segment,
                                    .end = end,
                                    .first_run = job->run_count,
                                    .run_count = count};
    }
    stream->bytes += promoted ? 0 : bytes;
    for (uint32_t i = 0; i < count; i++) {
        job->runs[job->run_count++] =
            (struct seal_run){.base_offset = runs[i].base_offset,
                              .last_offset = runs[i].last_offset,
                              .segment = runs[i].place.segment,
                              .max_timestamp = SL_MAX(runs[i].max_timestamp, (int64_t)-1),
                              .position = runs[i].place.position,
                              .size = runs[i].place.size,
                              .leader_epoch = runs[i].leader_epoch,
                              .promoted = promoted};
    }
    return SLUICE_OK;
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
    for (uint32_t i = 0; i < count && job->err == SLUICE_OK;) {
        uint32_t end = end_of_segment(runs, i, count);
        job->err = add_runs(job, stream, runs + i, end - i);
        i = end;
    }
    return job->err == SLUICE_OK;
}

sl_err seal_job_plan(struct seal_job *job)
{
    uint32_t own = 0;
    uint32_t shared = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        own += job->streams[i].bytes >= job->limits.own_file_bytes;
        shared += job->streams[i].bytes > 0 && job->streams[i].bytes < job->limits.own_file_bytes;
    }
    job->file_count = job->promotion_count + own + (shared > 0);
    job->files = sl_alloc_zero(SL_MAX(job->file_count, 1u), sizeof(*job->files));
    job->items = sl_alloc_zero(SL_MAX(job->file_count, 1u), sizeof(*job->items));
    if (job->files == NULL || job->items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < job->file_count; i++) {
        job->files[i].id = extent_set_next_id(job->shard->extents);
    }
    for (uint32_t i = 0; i < job->promotion_count; i++) {
        job->promotions[i].file = i;
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
        sl_buffer_fini(&job->files[i].footer_bytes);
    }
    sl_free(job->promotions);
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
    return !stream->damaged && stream->partition->topic != NULL;
}

/* The first promotion at or behind a run; they are in the order of their runs. */
static uint32_t promotion_from(const struct seal_job *job, uint32_t run)
{
    uint32_t low = 0;
    uint32_t high = job->promotion_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (job->promotions[middle].first_run < run) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t seal_stream_promotions(const struct seal_job *job, const struct seal_stream *stream,
                                uint32_t *ret_first)
{
    *ret_first = promotion_from(job, stream->first_run);
    return promotion_from(job, stream->first_run + stream->run_count) - *ret_first;
}

static uint32_t count_blocks(const struct seal_job *job, const struct seal_stream *stream)
{
    uint32_t first = 0;
    uint32_t count = stream->block_count;
    uint32_t promotions = seal_stream_promotions(job, stream, &first);
    for (uint32_t i = first; i < first + promotions; i++) {
        count += job->files[job->promotions[i].file].item.block_count;
    }
    return count;
}

sl_err seal_job_reserve(struct seal_job *job, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct seal_stream *stream = &job->streams[i];
        struct partition *partition = stream->partition;
        if (!is_wanted(stream) || stream->block_count == 1) {
            continue; /* one block takes the slot of one of its runs, or goes with the last */
        }
        sl_err err = stream_index_keep(&partition->index, count_blocks(job, stream),
                                       partition->pending_batches);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* Blocks [first, end) of a file in the place of what is in the log. */
static void apply_blocks(struct seal_job *job, struct stream_index *index,
                         const struct seal_file *file, uint32_t first, uint32_t end)
{
    uint32_t count = end - first;
    SL_ASSERT(count > 0 && count <= job->block_count_max);
    for (uint32_t i = 0; i < count; i++) {
        struct extent_block block = extent_footer_block(&file->footer, first + i);
        /* In a promoted one nothing was read, so the first who reads it looks. */
        job->blocks[i] = store_run_of_block(&file->item, &block, !file->item.promoted);
    }
    sl_err err = stream_index_replace(index, job->blocks, count);
    SL_ASSERT(err == SLUICE_OK); /* memory was kept, and runs lie on one side of the border */
    for (uint32_t i = 0; i < count; i++) {
        if (job->blocks[i].last_offset >= stream_index_start(index)) {
            extent_set_hold(job->shard->extents, &job->blocks[i].place);
        }
    }
}

/* In the order of offsets: copied ranges of one file, and promoted segments between them. */
static void apply(struct seal_job *job, const struct seal_stream *stream)
{
    struct stream_index *index = &stream->partition->index;
    const struct seal_file *copy = &job->files[stream->file];
    uint32_t block = stream->first_block;
    uint32_t promotion = promotion_from(job, stream->first_run);
    for (uint32_t i = 0; i < stream->run_count;) {
        if (job->runs[stream->first_run + i].promoted) {
            const struct seal_file *file = &job->files[job->promotions[promotion].file];
            apply_blocks(job, index, file, 0, file->item.block_count);
            i += job->promotions[promotion++].run_count;
            continue;
        }
        uint32_t end =
            extent_footer_range(&copy->footer, block, stream->first_block + stream->block_count);
        apply_blocks(job, index, copy, block, end);
        block = end;
        while (i < stream->run_count && !job->runs[stream->first_run + i].promoted) {
            i++;
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
