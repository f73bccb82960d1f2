/* readahead.c: see readahead.h. */
#include "shard/readahead.h"

#include "shard/partition.h"
#include "shard/store.h"

struct readahead_job {
    struct sl_job job;
    struct shard *shard;
    uint32_t reader; /* index; a busy slot stays its reader's */
    struct read_plan plan;
};

static void job_work(struct sl_job *base)
{
    struct readahead_job *job = SL_CONTAINER_OF(base, struct readahead_job, job);
    store_prefetch(job->shard, job->plan.places, job->plan.place_count);
}

static void job_done(struct sl_job *base)
{
    struct readahead_job *job = SL_CONTAINER_OF(base, struct readahead_job, job);
    struct shard *shard = job->shard;
    read_plan_unpin(shard, &job->plan);
    shard->readahead.readers[job->reader].busy = false;
    sl_free(job);
    shard_job_end(shard);
}

/* Asks for what follows reader->until. Without memory, or at the end, nothing happens. */
static void advance(struct shard *shard, struct partition *partition,
                    struct readahead_reader *reader)
{
    struct readahead_job *job = sl_alloc(sizeof(*job));
    if (job == NULL) {
        return;
    }
    uint32_t wanted = (uint32_t)(READAHEAD_BYTES - reader->bytes_ahead);
    if (!partition_plan(partition, reader->until, wanted, &job->plan) ||
        !read_plan_pin(shard, &job->plan)) {
        sl_free(job);
        return;
    }
    job->job = (struct sl_job){.work = job_work, .done = job_done};
    job->job.task.priority = SL_PRIORITY_PROCESSING;
    job->shard = shard;
    job->reader = (uint32_t)(reader - shard->readahead.readers);
    reader->until = job->plan.claims[job->plan.place_count - 1].last_offset + 1;
    reader->bytes_ahead += job->plan.bytes;
    reader->busy = true;
    shard->readahead.bytes += job->plan.bytes;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &job->job);
}

static struct readahead_reader *reader_find(struct readahead *all,
                                            const struct partition *partition, int64_t offset)
{
    for (uint32_t i = 0; i < all->reader_count; i++) {
        struct readahead_reader *reader = &all->readers[i];
        if (reader->partition == partition && reader->offset <= offset && offset <= reader->until) {
            return reader;
        }
    }
    return NULL;
}

/* A free slot, or the one that was idle longest; NULL: all have jobs under way. */
static struct readahead_reader *reader_take(struct readahead *all)
{
    struct readahead_reader *oldest = NULL;
    if (all->reader_count < READAHEAD_READERS_MAX) {
        return &all->readers[all->reader_count++];
    }
    for (uint32_t i = 0; i < all->reader_count; i++) {
        struct readahead_reader *reader = &all->readers[i];
        if (!reader->busy && (oldest == NULL || reader->used_at < oldest->used_at)) {
            oldest = reader;
        }
    }
    return oldest;
}

void readahead_note(struct shard *shard, struct partition *partition, int64_t offset,
                    int64_t next_offset, uint64_t bytes, bool cold)
{
    struct readahead *all = &shard->readahead;
    if (all->reader_count == 0 && !cold) {
        return;
    }
    struct readahead_reader *reader = reader_find(all, partition, offset);
    if (reader == NULL && cold) {
        reader = reader_take(all);
        if (reader != NULL) {
            *reader = (struct readahead_reader){.partition = partition, .until = next_offset};
        }
    }
    if (reader == NULL || partition->topic == NULL || shard->stopping) {
        return;
    }
    reader->offset = offset;
    reader->used_at = ++all->turn;
    reader->bytes_ahead -= SL_MIN(reader->bytes_ahead, bytes);
    if (next_offset > reader->until) { /* it overtook what was asked for */
        reader->until = next_offset;
        reader->bytes_ahead = 0;
    }
    if (!reader->busy && reader->bytes_ahead <= READAHEAD_BYTES - READAHEAD_STEP_BYTES) {
        advance(shard, partition, reader);
    }
}
