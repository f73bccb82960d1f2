/* compact.c: see compact.h. When a job begins, and its way through passes and rounds; what it does
 * in them is in compact_choose.c and compact_clean.c. */
#include "shard/compact.h"

#include "shard/compact_job.h"
#include "shard/store.h"

#define ROUND_BYTES      (256u << 20)
#define ROUND_RUNS       8192u
#define BUFFER_BYTES_MAX (1u << 30) /* a run: one batch, or 1 MiB of them */
#define REWRITE_WAIT_MS  100
#define NEVER            INT64_MAX

enum compact_state {
    COMPACT_IDLE,
    COMPACT_CHOOSE,
    COMPACT_MAP,
    COMPACT_REWRITE,
    COMPACT_SUBMITTED,
    COMPACT_DISCARD, /* a helper frees memory, and removes the file of a round that failed */
};

struct compactor {
    struct shard *shard;
    struct compact_limits limits;
    enum compact_state state;
    struct sl_task step; /* loop's part of a state */
    struct sl_job helper;
    struct compact_choice choice;
    struct compact_job job;
    struct wal_unit unit;
    struct wal_item items[2];
    uint8_t extent_payload[EXTENT_ITEM_SIZE];
    uint8_t compaction_payload[COMPACTION_ITEM_SIZE];
    struct stream_run *blocks; /* of the round, for the index */
    uint32_t block_count;      /* as many slots are reserved there */
    int64_t clean_offset;      /* what the unit says */
    int64_t begin_ns;
    int64_t due_ms;   /* when to look for work */
    int64_t delay_ms; /* from the end of the job on */
    bool told;        /* a failure was logged */
    struct compact_status status;
};

static void collect_rewrite(struct compactor *compactor, int64_t from);

static int64_t interval_ms(const struct compactor *compactor)
{
    return compactor->shard->config.settings->compaction_check_interval_ms;
}

/* ---- the end of a job ---- */

static void unpin(struct compact_job *job)
{
    for (uint32_t i = 0; i < job->run_count; i++) {
        if (i == 0 || job->runs[i].place.segment != job->runs[i - 1].place.segment) {
            store_unpin(job->shard, &job->runs[i].place);
        }
    }
    job->run_count = job->run = 0;
}

static void job_fini(struct compact_job *job)
{
    if (job->partition != NULL) {
        partition_unref(job->partition);
    }
    extent_writer_free(job->writer);
    sl_file_close(job->file);
    compact_job_free(job);
    sl_free(job->producers);
    txn_log_fini(&job->aborted);
    compact_markers_fini(job);
    sl_free(job->runs);
    *job = (struct compact_job){.shard = job->shard};
}

static void blocks_free(struct compactor *compactor)
{
    sl_free(compactor->blocks);
    compactor->blocks = NULL;
    compactor->block_count = 0;
}

static void end(struct compactor *compactor, int64_t delay_ms)
{
    struct shard *shard = compactor->shard;
    unpin(&compactor->job);
    job_fini(&compactor->job);
    blocks_free(compactor);
    compactor->state = COMPACT_IDLE;
    compactor->due_ms = shard_now_ms(shard) + delay_ms;
    shard_schedule(shard);
    shard_job_end(shard);
}

static void on_helper(struct compactor *compactor, enum compact_state state,
                      void (*work)(struct sl_job *job), void (*done)(struct sl_job *job))
{
    struct shard *shard = compactor->shard;
    compactor->state = state;
    compactor->helper = (struct sl_job){.work = work, .done = done};
    compactor->helper.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(shard->config.os, shard->loop, &compactor->helper);
}

static void discard_work(struct sl_job *helper)
{
    compact_job_discard(&SL_CONTAINER_OF(helper, struct compactor, helper)->job);
}

static void discard_done(struct sl_job *helper)
{
    struct compactor *compactor = SL_CONTAINER_OF(helper, struct compactor, helper);
    end(compactor, compactor->delay_ms);
}

/* Gives memory back, which takes a while, and what was not made live. */
static void discard(struct compactor *compactor, int64_t delay_ms)
{
    compactor->delay_ms = delay_ms;
    on_helper(compactor, COMPACT_DISCARD, discard_work, discard_done);
}

static void succeed(struct compactor *compactor)
{
    compactor->told = false;
    compactor->status.jobs++;
    compactor->status.elapsed_ns += sl_loop_now_ns(compactor->shard->loop) - compactor->begin_ns;
    discard(compactor, 0); /* there may be more */
}

/* It is left alone until a restart, or until records of it are gone. */
static void give_up(struct compactor *compactor, const char *why)
{
    struct partition *partition = compactor->job.partition;
    partition->uncompactable = true;
    if (partition->topic != NULL) {
        sl_log(compactor->shard->logger, SL_LOG_ERROR, "compact", why,
               sl_log_bytes("topic", partition->topic->name),
               sl_log_u64("partition", partition->number));
    }
}

static void tell_failure(struct compactor *compactor, sl_err err)
{
    compactor->status.failures++;
    if (err == SLUICE_E_CORRUPT || err == SLUICE_E_IO) {
        give_up(compactor, "stored records are damaged: this partition is not compacted; run "
                           "sluice extent verify");
    } else if (!compactor->told) {
        compactor->told = true;
        sl_log(compactor->shard->logger, SL_LOG_ERROR, "compact",
               "a partition cannot be compacted now; trying again",
               sl_log_u64("shard", compactor->shard->index), sl_log_err(err));
    }
}

/* This round changed nothing; its file goes. */
static void fail(struct compactor *compactor, sl_err err)
{
    if (compactor->shard->status == SLUICE_OK && err != SLUICE_OK) {
        tell_failure(compactor, err);
    }
    unpin(&compactor->job);
    discard(compactor, interval_ms(compactor));
}

/* The shard serves, and the topic is there and still wants it. */
static bool is_wanted(const struct compactor *compactor)
{
    const struct partition *partition = compactor->job.partition;
    return compactor->shard->status == SLUICE_OK && partition->topic != NULL &&
           partition->topic->settings->compact;
}

/* ---- collect ---- */

/* Runs from `from` on, as many as fit a round, below the job's end. False: there is none. */
static bool collect(struct compactor *compactor, int64_t from)
{
    struct compact_job *job = &compactor->job;
    const struct stream_index *index = &job->partition->index;
    struct stream_run run;
    uint64_t bytes = 0;
    job->run = job->run_count = 0;
    job->first_offset = job->next_offset = from;
    bool follows = stream_index_find(index, from - 1, &run) && run.last_offset < from;
    job->epoch_before = follows ? run.leader_epoch : BATCH_NO_LEADER_EPOCH;
    while (job->run_count < compactor->limits.round_runs &&
           stream_index_find(index, job->next_offset, &run) && run.base_offset < job->end_offset &&
           (bytes == 0 || bytes + run.place.size <= compactor->limits.round_bytes)) {
        bool begins =
            job->run_count == 0 || job->runs[job->run_count - 1].place.segment != run.place.segment;
        bool pinned = !begins || store_pin(job->shard, &run.place);
        SL_ASSERT(pinned); /* what an index refers to is there */
        job->runs[job->run_count++] =
            (struct compact_run){.place = run.place, .claim = read_claim_of(&run)};
        job->next_offset = run.last_offset + 1;
        bytes += run.place.size;
    }
    return job->run_count > 0;
}

/* ---- durable ---- */

static void swap(struct compactor *compactor)
{
    struct compact_job *job = &compactor->job;
    extent_set_add(compactor->shard->extents, &job->item, job->file);
    job->file = NULL;
    if (job->partition->topic == NULL) {
        return; /* nothing of it is held: it dies */
    }
    struct extent_footer footer = extent_writer_footer(job->writer);
    for (uint32_t i = 0; i < compactor->block_count; i++) {
        struct extent_block block = extent_footer_block(&footer, i);
        compactor->blocks[i] = store_run_of_block(&job->item, &block, true);
    }
    store_swap(job->partition, compactor->blocks, compactor->block_count);
    stream_index_shrink(&job->partition->index, job->partition->pending_batches);
    compactor->status.bytes_in += job->bytes_in;
    compactor->status.bytes_out += job->bytes_out;
    compactor->status.records_removed += job->records_removed;
}

static void unit_durable(struct wal_unit *unit, sl_err err)
{
    struct compactor *compactor = SL_CONTAINER_OF(unit, struct compactor, unit);
    struct compact_job *job = &compactor->job;
    struct partition *partition = job->partition;
    partition->pending_batches -= compactor->block_count;
    if (err != SLUICE_OK) {
        end(compactor, interval_ms(compactor)); /* fenced; the next start decides */
        return;
    }
    partition->compacted = true;
    partition->clean_offset = compactor->clean_offset;
    if (job->file != NULL) {
        swap(compactor);
        space_freed(compactor->shard);
    }
    job->writer = extent_writer_free(job->writer);
    blocks_free(compactor);
    if (job->next_offset >= job->end_offset) {
        compact_markers_forget(job);
        succeed(compactor);
    } else if (!is_wanted(compactor)) {
        fail(compactor, SLUICE_OK);
    } else {
        collect_rewrite(compactor, job->next_offset);
    }
}

/* ---- submit ---- */

static sl_err reserve(struct compactor *compactor)
{
    struct compact_job *job = &compactor->job;
    struct partition *partition = job->partition;
    if (job->file == NULL) {
        return SLUICE_OK;
    }
    uint32_t count = job->item.block_count;
    compactor->blocks = sl_alloc(count * sizeof(*compactor->blocks));
    sl_err err = compactor->blocks == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    err = err != SLUICE_OK ? err : extent_set_reserve(compactor->shard->extents, 1);
    err = err != SLUICE_OK
              ? err
              : stream_index_reserve(&partition->index, partition->pending_batches + count);
    if (err == SLUICE_OK) {
        compactor->block_count = count;
        partition->pending_batches += count; /* others that reserve count them too */
    }
    return err;
}

static uint32_t make_items(struct compactor *compactor)
{
    struct compact_job *job = &compactor->job;
    const struct compaction_item item = {
        .topic = job->topic, .partition = job->number, .clean_offset = compactor->clean_offset};
    uint32_t count = 0;
    if (job->file != NULL) {
        extent_item_encode(&job->item, compactor->extent_payload);
        compactor->items[count++] =
            (struct wal_item){.kind = WAL_ITEM_EXTENT,
                              .version = EXTENT_ITEM_VERSION,
                              .payload = {compactor->extent_payload, EXTENT_ITEM_SIZE}};
    }
    compaction_item_encode(&item, compactor->compaction_payload);
    compactor->items[count++] =
        (struct wal_item){.kind = WAL_ITEM_COMPACTION,
                          .version = COMPACTION_ITEM_VERSION,
                          .payload = {compactor->compaction_payload, COMPACTION_ITEM_SIZE}};
    return count;
}

static void submit(struct compactor *compactor)
{
    struct compact_job *job = &compactor->job;
    bool is_last = job->next_offset >= job->end_offset || job->mutants.clean_first;
    compactor->clean_offset =
        SL_MAX(job->partition->clean_offset, is_last ? job->end_offset : (int64_t)0);
    sl_err err = reserve(compactor);
    if (err == SLUICE_OK) {
        compactor->unit = (struct wal_unit){.items = compactor->items,
                                            .item_count = make_items(compactor),
                                            .reserve = true,
                                            .frees_space = true,
                                            .durable = unit_durable};
        compactor->state = COMPACT_SUBMITTED;
        if (job->mutants.swap_first && job->file != NULL) {
            swap(compactor);
            space_freed(compactor->shard);
        }
        err = commit_log_submit(compactor->shard->log, &compactor->unit);
    }
    if (err != SLUICE_OK) {
        job->partition->pending_batches -= compactor->block_count;
        compactor->block_count = 0;
        fail(compactor, err);
    }
}

/* ---- rewrite ---- */

static void rewrite_work(struct sl_job *helper)
{
    compact_job_rewrite(&SL_CONTAINER_OF(helper, struct compactor, helper)->job);
}

static void rewrite_done(struct sl_job *helper)
{
    struct compactor *compactor = SL_CONTAINER_OF(helper, struct compactor, helper);
    struct compact_job *job = &compactor->job;
    if (!is_wanted(compactor) || job->err != SLUICE_OK) {
        fail(compactor, job->err);
        return;
    }
    if (!job->written) {
        on_helper(compactor, COMPACT_REWRITE, rewrite_work, rewrite_done);
        return;
    }
    unpin(job);
    if (job->file == NULL && job->next_offset < job->end_offset) {
        collect_rewrite(compactor, job->next_offset);
    } else {
        submit(compactor);
    }
}

static void collect_rewrite(struct compactor *compactor, int64_t from)
{
    struct compact_job *job = &compactor->job;
    job->written = false;
    job->leader_epoch = BATCH_NO_LEADER_EPOCH;
    job->bytes_in = job->bytes_out = job->records_removed = 0;
    if (!collect(compactor, from)) {
        job->next_offset = job->end_offset; /* retention took the rest */
        submit(compactor);
        return;
    }
    /* A hole may end what is compacted. */
    struct stream_run run;
    if (!stream_index_find(&job->partition->index, job->next_offset, &run) ||
        run.base_offset >= job->end_offset) {
        job->next_offset = SL_MAX(job->next_offset, job->end_offset);
    }
    job->extent_id = extent_set_next_id(compactor->shard->extents);
    on_helper(compactor, COMPACT_REWRITE, rewrite_work, rewrite_done);
}

/* ---- map ---- */

static void map_work(struct sl_job *helper)
{
    compact_job_map(&SL_CONTAINER_OF(helper, struct compactor, helper)->job);
}

static void map_done(struct sl_job *helper)
{
    struct compactor *compactor = SL_CONTAINER_OF(helper, struct compactor, helper);
    struct compact_job *job = &compactor->job;
    if (!is_wanted(compactor) || job->err != SLUICE_OK) {
        fail(compactor, job->err);
        return;
    }
    if (!job->written) {
        on_helper(compactor, COMPACT_MAP, map_work, map_done);
        return;
    }
    unpin(job);
    if (job->full && job->end_offset <= job->clean_offset) {
        give_up(compactor, "one block has more keys than compaction has memory for: this partition "
                           "is not compacted; raise compaction.buffer_bytes");
        fail(compactor, SLUICE_OK);
    } else if (!job->full && collect(compactor, job->next_offset)) {
        job->written = false;
        on_helper(compactor, COMPACT_MAP, map_work, map_done);
    } else {
        collect_rewrite(compactor, partition_start(job->partition));
    }
}

/* ---- begin ---- */

static sl_err job_allocate(struct compactor *compactor)
{
    struct compact_job *job = &compactor->job;
    const struct shard *shard = compactor->shard;
    uint64_t bytes_max = (uint64_t)shard->config.settings->compaction_buffer_bytes;
    uint8_t secret[16];
    sl_os_random(shard->config.os, secret, sizeof(secret));
    sl_buffer_init(&job->bytes, BUFFER_BYTES_MAX);
    sl_buffer_init(&job->records, SL_MAX(shard->config.expanded_bytes_max, (size_t)1));
    sl_buffer_init(&job->packed, BUFFER_BYTES_MAX);
    sl_buffer_init(&job->out, BUFFER_BYTES_MAX);
    uint32_t producers = SL_MIN(job->partition->producers.count, COMPACT_PRODUCERS_MAX);
    job->runs = sl_alloc(compactor->limits.round_runs * sizeof(*job->runs));
    job->producers = sl_alloc(SL_MAX(producers, 1u) * sizeof(*job->producers));
    if (job->runs == NULL || job->producers == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const struct txn_log *txns = producers_txns(&job->partition->producers);
    sl_err err = txns == NULL ? SLUICE_OK : txn_log_copy_aborted(&job->aborted, txns);
    err = err != SLUICE_OK ? err : compact_markers_init(job);
    if (err != SLUICE_OK) {
        return err;
    }
    job->producer_count = producers_ends(&job->partition->producers, job->producers, producers);
    uint64_t records = (uint64_t)(job->end_offset - job->clean_offset);
    return key_map_init(&job->map, records, bytes_max / SL_MAX(shard->set->count, 1u), secret);
}

static void begin(struct compactor *compactor)
{
    const struct compact_choice *choice = &compactor->choice;
    struct partition *partition = choice->best;
    struct compact_job *job = &compactor->job;
    partition_ref(partition);
    *job = (struct compact_job){
        .shard = compactor->shard,
        .partition = partition,
        .topic = *partition_topic_id(partition),
        .number = partition->number,
        .mutants = compactor->shard->config.compact_mutants,
        .delete_retention_ms = partition->topic->settings->delete_retention_ms,
        .now_ms = choice->wall_ms,
        .clean_offset = SL_MAX(choice->best_look.clean_offset, partition_start(partition)),
        .end_offset = choice->best_look.end_offset,
    };
    compactor->begin_ns = sl_loop_now_ns(compactor->shard->loop);
    sl_err err = job->clean_offset < job->end_offset ? job_allocate(compactor) : SLUICE_OK;
    if (err == SLUICE_OK && job->clean_offset < job->end_offset &&
        collect(compactor, job->clean_offset)) {
        on_helper(compactor, COMPACT_MAP, map_work, map_done);
    } else {
        fail(compactor, err);
    }
}

/* It needs room before it makes any: sealing and deletion go first. */
static bool disk_is_full(const struct shard *shard)
{
    struct wal_status log;
    commit_log_status(shard->log, &log);
    return log.disk_full;
}

static void step_run(struct sl_task *task)
{
    struct compactor *compactor = SL_CONTAINER_OF(task, struct compactor, step);
    if (compactor->shard->status != SLUICE_OK) {
        end(compactor, interval_ms(compactor));
    } else if (!compact_choice_step(&compactor->choice)) {
        sl_loop_post(compactor->shard->loop, &compactor->step);
    } else if (compactor->choice.best == NULL || disk_is_full(compactor->shard)) {
        end(compactor, interval_ms(compactor));
    } else {
        begin(compactor);
    }
}

int64_t compact_tick(struct shard *shard, int64_t now_ms)
{
    struct compactor *compactor = shard->compactor;
    if (now_ms >= compactor->due_ms) {
        compactor->due_ms = NEVER;
        if (rewrite_is_busy(shard)) { /* what it moves must not change meanwhile */
            compactor->due_ms = now_ms + SL_MIN(interval_ms(compactor), (int64_t)REWRITE_WAIT_MS);
        } else if (compactor->state == COMPACT_IDLE && shard->started &&
                   shard->status == SLUICE_OK) {
            compactor->state = COMPACT_CHOOSE;
            compact_choice_begin(&compactor->choice, shard);
            shard_job_begin(shard);
            sl_loop_post(shard->loop, &compactor->step);
        }
    }
    return compactor->due_ms;
}

int64_t compact_due_ms(const struct shard *shard)
{
    return shard->compactor->due_ms;
}

/* ---- life ---- */

struct compactor *compactor_new(struct shard *shard)
{
    struct compactor *compactor = sl_alloc_zero(1, sizeof(*compactor));
    if (compactor == NULL) {
        return NULL;
    }
    const struct compact_limits *limits = &shard->config.compact;
    compactor->shard = shard;
    compactor->limits = (struct compact_limits){
        .round_bytes = limits->round_bytes > 0 ? limits->round_bytes : ROUND_BYTES,
        .round_runs = limits->round_runs > 0 ? limits->round_runs : ROUND_RUNS,
    };
    compactor->step.run = step_run;
    compactor->step.priority = SL_PRIORITY_BACKGROUND;
    compactor->due_ms = NEVER;
    return compactor;
}

struct compactor *compactor_free(struct compactor *compactor)
{
    if (compactor != NULL) {
        job_fini(&compactor->job);
        blocks_free(compactor);
        sl_free(compactor);
    }
    return NULL;
}

void compact_start(struct shard *shard)
{
    shard->compactor->due_ms = shard_now_ms(shard) + interval_ms(shard->compactor);
}

void compact_skip(struct shard *shard, const struct partition *partition)
{
    if (shard->compactor != NULL) {
        compact_choice_skip(&shard->compactor->choice, partition);
    }
}

void compact_status_get(const struct shard *shard, struct compact_status *ret_status)
{
    *ret_status = shard->compactor->status;
    ret_status->busy = shard->compactor->state != COMPACT_IDLE;
}
