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

static void look(struct shard *shard, struct readahead_reader *reader);

static void job_done(struct sl_job *base)
{
    struct readahead_job *job = SL_CONTAINER_OF(base, struct readahead_job, job);
    struct shard *shard = job->shard;
    struct readahead_reader *reader = &shard->readahead.readers[job->reader];
    read_plan_unpin(shard, &job->plan);
    sl_free(job);
    reader->busy = false;
    shard->readahead.job_count--;
    look(shard, reader);
    shard_job_end(shard);
}

/* Asks for what follows reader->until. Without memory, or at the end, nothing happens. */
static void advance(struct shard *shard, struct partition *partition,
                    struct readahead_reader *reader)
{
    struct readahead *all = &shard->readahead;
    struct readahead_job *job = sl_alloc(sizeof(*job));
    if (job == NULL) {
        return;
    }
    if (!partition_plan(partition, reader->until, READAHEAD_STEP_BYTES, &job->plan) ||
        !read_plan_pin(shard, &job->plan)) {
        sl_free(job);
        return;
    }
    job->job = (struct sl_job){.work = job_work, .done = job_done};
    job->job.task.priority = SL_PRIORITY_PROCESSING;
    job->shard = shard;
    job->reader = (uint32_t)(reader - all->readers);
    reader->until = job->plan.claims[job->plan.place_count - 1].last_offset + 1;
    reader->bytes_ahead += job->plan.bytes;
    reader->busy = true;
    all->bytes += job->plan.bytes;
    all->job_count++;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &job->job);
}

/* The partition, where it is still the one that was read. */
static struct partition *partition_of(struct shard *shard, const struct readahead_reader *reader)
{
    struct topic *topic = catalog_by_id(shard->catalog, &reader->topic);
    struct partition *partition = topic == NULL ? NULL : partition_find(topic, reader->number);
    return partition == reader->partition ? partition : NULL;
}

static bool wants_more(const struct readahead_reader *reader)
{
    return !reader->busy && reader->bytes_ahead + READAHEAD_STEP_BYTES <= reader->window_bytes;
}

static void look_run(struct sl_task *task)
{
    struct shard *shard = SL_CONTAINER_OF(task, struct shard, readahead.task);
    struct readahead *all = &shard->readahead;
    uint32_t first = all->next;
    for (uint32_t i = 0; i < all->reader_count && all->job_count < READAHEAD_JOBS_MAX; i++) {
        uint32_t index = (first + i) % all->reader_count;
        struct readahead_reader *reader = &all->readers[index];
        bool due = reader->due && !shard->stopping && wants_more(reader);
        struct partition *partition = due ? partition_of(shard, reader) : NULL;
        reader->due = false;
        if (partition != NULL) {
            advance(shard, partition, reader);
            all->next = index + 1;
        }
    }
    shard_job_end(shard);
}

/* By a task, behind the answer that is being given: a helper that wakes takes the processor. Who is
 * due and finds all jobs under way is looked at when one ends. */
static void look(struct shard *shard, struct readahead_reader *reader)
{
    struct sl_task *task = &shard->readahead.task;
    reader->due = reader->due || wants_more(reader);
    if (shard->stopping || task->queued) {
        return;
    }
    task->run = look_run;
    task->priority = SL_PRIORITY_PROCESSING;
    shard_job_begin(shard);
    sl_loop_post(shard->loop, task);
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
    if (reader == NULL && cold && partition->topic != NULL) {
        reader = reader_take(all);
        if (reader != NULL) {
            *reader = (struct readahead_reader){.partition = partition,
                                                .until = next_offset,
                                                .window_bytes = READAHEAD_START_BYTES,
                                                .topic = *partition_topic_id(partition),
                                                .number = partition->number};
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
    reader->window_bytes = SL_MIN(reader->window_bytes + bytes, (uint64_t)READAHEAD_BYTES);
    if (wants_more(reader)) {
        look(shard, reader);
    }
}
