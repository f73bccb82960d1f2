/* rewrite_collect.c: what a job takes from the indexes, and what it gives back to them
 * (rewrite_job.h). */
#include "shard/rewrite_job.h"
#include "shard/store.h"

/* ---- collecting ---- */

static bool is_of_source(const struct rewrite_job *job, const struct stream_run *run)
{
    for (uint32_t i = 0; i < job->source_count; i++) {
        if (run->place.segment == (WAL_PLACE_EXTENT | job->sources[i].id)) {
            return true;
        }
    }
    return false;
}

static bool run_add(struct rewrite_job *job, const struct stream_run *run, int64_t fill_from)
{
    if (job->run_count == job->run_capacity) {
        uint32_t capacity = SL_MAX(job->run_capacity * 2, 256u);
        void *at = sl_realloc(job->runs, capacity * sizeof(*job->runs));
        if (at == NULL) {
            job->err = SLUICE_E_NO_MEMORY;
            return false;
        }
        job->runs = at;
        job->run_capacity = capacity;
    }
    job->runs[job->run_count] = (struct rewrite_run){.place = run->place,
                                                     .claim = read_claim_of(run),
                                                     .fill_from = fill_from,
                                                     .fill_epoch = job->previous_epoch,
                                                     .begins_range = !job->previous_kept};
    job->runs[job->run_count++].claim.verified = false;
    return true;
}

/* From job->offset on; returns how many runs were looked at. *ret_done: all of the stream. */
static uint32_t collect_some(struct rewrite_job *job, struct rewrite_stream *stream,
                             uint32_t runs_max, bool *ret_done)
{
    const struct partition *partition = stream->partition;
    struct stream_run run;
    uint32_t count = 0;
    for (; count < runs_max; count++) {
        if (!stream_index_find(&partition->index, job->offset, &run) ||
            run.base_offset > stream->last_offset) {
            *ret_done = true;
            return count;
        }
        bool kept = is_of_source(job, &run);
        bool fills = kept && partition->compacted && run.base_offset > job->fill_from;
        if (kept && !run_add(job, &run, fills ? job->fill_from : -1)) {
            *ret_done = true;
            return count;
        }
        stream->run_count += kept;
        job->previous_kept = kept;
        job->previous_epoch = run.leader_epoch;
        job->offset = job->fill_from = run.last_offset + 1;
    }
    return count;
}

static bool begin_stream(struct rewrite_job *job, struct rewrite_stream *stream)
{
    struct topic *topic = catalog_by_id(job->shard->catalog, &stream->topic);
    struct partition *partition = topic != NULL && stream->number < topic->partition_count
                                      ? partition_find(topic, stream->number)
                                      : NULL;
    if (partition == NULL) {
        return false;
    }
    int64_t start = partition_start(partition);
    partition_ref(partition);
    stream->partition = partition;
    stream->first_run = job->run_count;
    stream->run_count = 0;
    job->previous_kept = false;
    job->previous_epoch = -1;
    /* What a gap belongs to is known by the run before it. */
    job->offset = partition->compacted ? start : SL_MAX(start, stream->base_offset);
    job->fill_from = start;
    return true;
}

static void end_stream(struct rewrite_job *job, struct rewrite_stream *stream)
{
    if (stream->partition != NULL && stream->run_count == 0) {
        partition_unref(stream->partition);
        stream->partition = NULL;
    }
    if (stream->partition != NULL) {
        struct rewrite_stream kept = *stream;
        stream->partition = NULL;
        job->streams[job->kept++] = kept;
    }
    job->stream++;
    job->offset = -1;
}

bool rewrite_job_collect(struct rewrite_job *job)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < REWRITE_SLICE && runs < REWRITE_SLICE_RUNS; i++) {
        if (job->stream == job->stream_count || job->err != SLUICE_OK) {
            break;
        }
        struct rewrite_stream *stream = &job->streams[job->stream];
        bool done = job->offset < 0 && !begin_stream(job, stream);
        if (!done) {
            runs += collect_some(job, stream, REWRITE_SLICE_RUNS - runs, &done);
        }
        if (done) {
            end_stream(job, stream);
        }
    }
    if (job->stream < job->stream_count && job->err == SLUICE_OK) {
        return false;
    }
    job->stream_count = job->kept;
    job->stream = job->run = 0;
    return true;
}

/* ---- the indexes ---- */

sl_err rewrite_job_reserve(struct rewrite_job *job)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < REWRITE_SLICE && job->stream < job->stream_count; i++) {
        struct rewrite_stream *stream = &job->streams[job->stream];
        struct partition *partition = stream->partition;
        err = stream_index_reserve(&partition->index,
                                   partition->pending_batches + stream->block_count);
        if (err != SLUICE_OK) {
            return err;
        }
        partition->pending_batches += stream->block_count; /* others that reserve count them too */
        stream->reserved = true;
        job->stream++;
    }
    return SLUICE_OK;
}

static void unreserve(struct rewrite_stream *stream)
{
    if (stream->reserved) {
        stream->partition->pending_batches -= stream->block_count;
        stream->reserved = false;
    }
}

/* Range by range: what lies between two of them stays. */
static void apply(struct rewrite_job *job, const struct rewrite_stream *stream)
{
    struct partition *partition = stream->partition;
    struct extent_footer footer = extent_writer_footer(job->writer);
    uint32_t end = stream->first_block + stream->block_count;
    for (uint32_t at = stream->first_block; at < end;) {
        uint32_t next = extent_footer_range(&footer, at, end);
        for (uint32_t i = at; i < next; i++) {
            struct extent_block block = extent_footer_block(&footer, i);
            job->blocks[i - at] = store_run_of_block(&job->item, &block, true);
        }
        store_swap(partition, job->blocks, next - at);
        at = next;
    }
    stream_index_shrink(&partition->index, partition->pending_batches);
}

void rewrite_job_apply(struct rewrite_job *job)
{
    for (uint32_t i = 0; i < REWRITE_SLICE && job->stream < job->stream_count; i++) {
        struct rewrite_stream *stream = &job->streams[job->stream++];
        unreserve(stream);
        if (stream->partition->topic != NULL) {
            apply(job, stream);
        }
    }
}

void rewrite_job_fini(struct rewrite_job *job)
{
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct rewrite_stream *stream = &job->streams[i];
        if (stream->partition != NULL) {
            unreserve(stream);
            partition_unref(stream->partition);
        }
    }
    extent_writer_free(job->writer);
    sl_file_close(job->file);
    sl_free(job->streams);
    sl_free(job->runs);
    sl_free(job->blocks);
    sl_buffer_fini(&job->bytes);
    sl_buffer_fini(&job->fill);
    *job = (struct rewrite_job){.shard = job->shard};
}
