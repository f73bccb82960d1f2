/* rewrite.c: see rewrite.h. When a job begins, and its way through the states; what it does in them
 * is in rewrite_collect.c and rewrite_write.c. */
#include "shard/rewrite.h"

#include "shard/rewrite_job.h"

#define BYTES_PER_S  (32u << 20)
#define JOB_BYTES    (64u << 20)
#define INTERVAL_MS  5000
#define PAUSE_MS_MIN 1 /* between two slices */
#define NEVER        INT64_MAX

enum rewrite_state {
    REWRITE_IDLE,
    REWRITE_CHOOSE,
    REWRITE_OUTLINE,
    REWRITE_COLLECT,
    REWRITE_WRITE,
    REWRITE_PAUSE, /* between two slices of writing */
    REWRITE_RESERVE,
    REWRITE_SUBMITTED,
    REWRITE_APPLY,
    REWRITE_DISCARD,
};

struct rewriter {
    struct shard *shard;
    struct rewrite_limits limits;
    enum rewrite_state state;
    struct sl_task step; /* loop's part of a state */
    struct sl_job helper;
    struct rewrite_job job;
    struct wal_unit unit;
    struct wal_item items[1 + REWRITE_SOURCES_MAX];
    uint8_t extent_payload[EXTENT_ITEM_SIZE];
    uint8_t drop_payloads[REWRITE_SOURCES_MAX][EXTENT_DROP_ITEM_SIZE];
    uint64_t next_id; /* to look at, when choosing */
    int64_t wall_ms;  /* when choosing began */
    int64_t due_ms;
    bool told; /* a failure was logged */
    struct rewrite_status status;
};

static void post(struct rewriter *rewriter, enum rewrite_state state)
{
    rewriter->state = state;
    sl_loop_post(rewriter->shard->loop, &rewriter->step);
}

static void on_helper(struct rewriter *rewriter, enum rewrite_state state,
                      void (*work)(struct sl_job *job), void (*done)(struct sl_job *job))
{
    struct shard *shard = rewriter->shard;
    rewriter->state = state;
    rewriter->helper = (struct sl_job){.work = work, .done = done};
    rewriter->helper.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(shard->config.os, shard->loop, &rewriter->helper);
}

/* ---- the end of a job ---- */

static void end(struct rewriter *rewriter, int64_t delay_ms)
{
    struct shard *shard = rewriter->shard;
    rewrite_job_fini(&rewriter->job);
    rewriter->state = REWRITE_IDLE;
    rewriter->due_ms = shard_now_ms(shard) + delay_ms;
    shard_schedule(shard);
    space_freed(shard); /* sources may have died meanwhile */
    shard_job_end(shard);
}

static void sources_leave(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    for (uint32_t i = 0; i < job->source_count; i++) {
        extent_set_unpin(job->shard->extents, job->sources[i].id);
        extent_set_move_end(job->shard->extents, job->sources[i].id, job->err == SLUICE_E_CORRUPT);
    }
    job->source_count = 0;
}

static void discard_work(struct sl_job *helper)
{
    rewrite_job_discard(&SL_CONTAINER_OF(helper, struct rewriter, helper)->job);
}

static void discard_done(struct sl_job *helper)
{
    struct rewriter *rewriter = SL_CONTAINER_OF(helper, struct rewriter, helper);
    end(rewriter, rewriter->limits.interval_ms);
}

/* Nothing was changed; the new file goes. */
static void fail(struct rewriter *rewriter, sl_err err)
{
    struct shard *shard = rewriter->shard;
    rewriter->job.err = err;
    if (shard->status == SLUICE_OK) {
        rewriter->status.failures++;
        if (!rewriter->told || err == SLUICE_E_CORRUPT) {
            sl_log(shard->logger, SL_LOG_ERROR, "rewrite",
                   err == SLUICE_E_CORRUPT
                       ? "stored records are damaged: the file keeps its dead bytes; run sluice "
                         "extent verify"
                       : "dead bytes cannot be given back now; trying again",
                   sl_log_u64("shard", shard->index), sl_log_err(err));
        }
        rewriter->told = true;
    }
    sources_leave(rewriter);
    on_helper(rewriter, REWRITE_DISCARD, discard_work, discard_done);
}

/* ---- apply ---- */

static void succeed(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    struct extent_set *extents = rewriter->shard->extents;
    uint64_t before = 0;
    for (uint32_t i = 0; i < job->source_count; i++) {
        before += job->sources[i].file_size;
        extent_set_unpin(extents, job->sources[i].id);
        extent_set_drop(extents, job->sources[i].id);
    }
    rewriter->told = false;
    rewriter->status.jobs++;
    rewriter->status.extents += job->source_count;
    rewriter->status.bytes += job->item.bytes;
    rewriter->status.bytes_freed += before - SL_MIN(before, job->item.file_size);
    job->source_count = 0;
    end(rewriter, 1);
}

static void apply_step(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    rewrite_job_apply(job);
    if (job->stream < job->stream_count) {
        sl_loop_post(rewriter->shard->loop, &rewriter->step);
    } else {
        succeed(rewriter);
    }
}

static void unit_durable(struct wal_unit *unit, sl_err err)
{
    struct rewriter *rewriter = SL_CONTAINER_OF(unit, struct rewriter, unit);
    struct rewrite_job *job = &rewriter->job;
    struct extent_set *extents = rewriter->shard->extents;
    if (err != SLUICE_OK) {
        sources_leave(rewriter);
        end(rewriter, rewriter->limits.interval_ms); /* fenced; the next start decides */
        return;
    }
    extent_set_add(extents, &job->item, job->file);
    job->file = NULL;
    for (uint32_t i = 0; i < job->source_count; i++) {
        extent_set_replace(extents, job->sources[i].id);
    }
    job->stream = 0;
    rewriter->state = REWRITE_APPLY;
    apply_step(rewriter);
}

/* ---- submit ---- */

static uint32_t make_items(struct rewriter *rewriter)
{
    const struct rewrite_job *job = &rewriter->job;
    uint32_t count = 0;
    extent_item_encode(&job->item, rewriter->extent_payload);
    rewriter->items[count++] =
        (struct wal_item){.kind = WAL_ITEM_EXTENT,
                          .version = EXTENT_ITEM_VERSION,
                          .payload = {rewriter->extent_payload, EXTENT_ITEM_SIZE}};
    for (uint32_t i = 0; i < job->source_count && !job->mutants.drop_later; i++) {
        extent_drop_item_encode(job->sources[i].id, rewriter->drop_payloads[i]);
        rewriter->items[count++] =
            (struct wal_item){.kind = WAL_ITEM_EXTENT_DROP,
                              .version = EXTENT_DROP_ITEM_VERSION,
                              .payload = {rewriter->drop_payloads[i], EXTENT_DROP_ITEM_SIZE}};
    }
    return count;
}

static sl_err submit(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    job->blocks = sl_alloc(job->block_count_max * sizeof(*job->blocks));
    sl_err err =
        job->blocks == NULL ? SLUICE_E_NO_MEMORY : extent_set_reserve(rewriter->shard->extents, 1);
    if (err != SLUICE_OK) {
        return err;
    }
    rewriter->unit = (struct wal_unit){.items = rewriter->items,
                                       .item_count = make_items(rewriter),
                                       .reserve = true,
                                       .frees_space = true,
                                       .durable = unit_durable};
    rewriter->state = REWRITE_SUBMITTED;
    return commit_log_submit(rewriter->shard->log, &rewriter->unit);
}

static void reserve_step(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    sl_err err = rewrite_job_reserve(job);
    if (err == SLUICE_OK && job->stream < job->stream_count) {
        sl_loop_post(rewriter->shard->loop, &rewriter->step);
        return;
    }
    err = err != SLUICE_OK ? err : submit(rewriter);
    if (err != SLUICE_OK) {
        fail(rewriter, err);
    }
}

/* ---- write ---- */

static void write_work(struct sl_job *helper)
{
    rewrite_job_write(&SL_CONTAINER_OF(helper, struct rewriter, helper)->job);
}

static void write_done(struct sl_job *helper)
{
    struct rewriter *rewriter = SL_CONTAINER_OF(helper, struct rewriter, helper);
    struct rewrite_job *job = &rewriter->job;
    struct shard *shard = rewriter->shard;
    if (shard->status != SLUICE_OK || job->err != SLUICE_OK) {
        fail(rewriter, job->err);
        return;
    }
    if (job->written) {
        job->stream = 0;
        post(rewriter, REWRITE_RESERVE);
        return;
    }
    if (shard->stopping) {
        fail(rewriter, SLUICE_OK);
        return;
    }
    int64_t pause_ms = (int64_t)(job->slice_bytes * 1000 / rewriter->limits.bytes_per_s);
    rewriter->state = REWRITE_PAUSE;
    rewriter->due_ms = shard_now_ms(shard) + SL_MAX(pause_ms, (int64_t)PAUSE_MS_MIN);
    shard_schedule(shard);
}

/* ---- collect ---- */

static void collect_step(struct rewriter *rewriter)
{
    struct rewrite_job *job = &rewriter->job;
    if (!rewrite_job_collect(job)) {
        sl_loop_post(rewriter->shard->loop, &rewriter->step);
    } else if (job->err != SLUICE_OK) {
        fail(rewriter, job->err);
    } else if (job->stream_count == 0) { /* all of it died meanwhile */
        sources_leave(rewriter);
        end(rewriter, 1);
    } else {
        job->id = extent_set_next_id(rewriter->shard->extents);
        job->created_ms = shard_wall_ms(rewriter->shard);
        on_helper(rewriter, REWRITE_WRITE, write_work, write_done);
    }
}

static void outline_work(struct sl_job *helper)
{
    rewrite_job_outline(&SL_CONTAINER_OF(helper, struct rewriter, helper)->job);
}

static void outline_done(struct sl_job *helper)
{
    struct rewriter *rewriter = SL_CONTAINER_OF(helper, struct rewriter, helper);
    if (rewriter->shard->status != SLUICE_OK || rewriter->job.err != SLUICE_OK) {
        fail(rewriter, rewriter->job.err);
        return;
    }
    rewriter->job.offset = -1;
    post(rewriter, REWRITE_COLLECT);
}

/* ---- choose ---- */

static bool is_worth_it(const struct rewriter *rewriter, const struct extent_view *extent)
{
    uint64_t size = extent->item.promoted ? extent->item.file_size : extent->item.bytes;
    if (!extent->movable || extent->held == 0) {
        return false;
    }
    if (extent->held <= size / 2) {
        return true;
    }
    return extent->dead_since_ms > 0 &&
           rewriter->wall_ms - extent->dead_since_ms >= rewriter->limits.erase_max_ms;
}

/* False: the job has enough. */
static bool take(struct rewriter *rewriter, const struct extent_view *extent)
{
    struct rewrite_job *job = &rewriter->job;
    uint64_t streams = extent->item.stream_count;
    for (uint32_t i = 0; i < job->source_count; i++) {
        streams += job->sources[i].stream_count;
    }
    bool fits = job->source_count < REWRITE_SOURCES_MAX && streams <= REWRITE_STREAMS_MAX &&
                job->live_bytes + extent->held <= rewriter->limits.job_bytes;
    if (job->source_count > 0 && !fits) {
        return false;
    }
    bool pinned = extent_set_pin(job->shard->extents, extent->item.id);
    SL_ASSERT(pinned);
    extent_set_move_begin(job->shard->extents, extent->item.id);
    job->sources[job->source_count++] = extent->item;
    job->live_bytes += extent->held;
    return true;
}

static void chosen(struct rewriter *rewriter)
{
    if (rewriter->job.source_count == 0) {
        end(rewriter, rewriter->limits.interval_ms);
    } else {
        on_helper(rewriter, REWRITE_OUTLINE, outline_work, outline_done);
    }
}

static void choose_step(struct rewriter *rewriter)
{
    struct extent_view extent;
    for (uint32_t i = 0; i < REWRITE_SLICE; i++) {
        if (!extent_set_next(rewriter->shard->extents, rewriter->next_id, &extent) ||
            (is_worth_it(rewriter, &extent) && !take(rewriter, &extent))) {
            chosen(rewriter);
            return;
        }
        rewriter->next_id = extent.item.id + 1;
    }
    sl_loop_post(rewriter->shard->loop, &rewriter->step);
}

static void step_run(struct sl_task *task)
{
    struct rewriter *rewriter = SL_CONTAINER_OF(task, struct rewriter, step);
    if (rewriter->shard->status != SLUICE_OK && rewriter->state != REWRITE_APPLY) {
        fail(rewriter, rewriter->shard->status);
    } else if (rewriter->state == REWRITE_CHOOSE) {
        choose_step(rewriter);
    } else if (rewriter->state == REWRITE_COLLECT) {
        collect_step(rewriter);
    } else if (rewriter->state == REWRITE_RESERVE) {
        reserve_step(rewriter);
    } else {
        apply_step(rewriter);
    }
}

/* ---- when ---- */

/* What it writes must not take the last of a full disk, which the log lives on. */
static bool disk_has_room(const struct rewriter *rewriter)
{
    struct wal_status log;
    commit_log_status(rewriter->shard->log, &log);
    return !log.disk_full || log.disk_available / 2 >= rewriter->limits.job_bytes;
}

static bool may_begin(const struct rewriter *rewriter)
{
    const struct shard *shard = rewriter->shard;
    struct compact_status compaction;
    compact_status_get(shard, &compaction);
    return shard->started && shard->status == SLUICE_OK && shard->extents != NULL &&
           !compaction.busy && disk_has_room(rewriter);
}

static void begin(struct rewriter *rewriter)
{
    struct shard *shard = rewriter->shard;
    rewriter->job = (struct rewrite_job){.shard = shard, .mutants = shard->config.rewrite_mutants};
    rewriter->next_id = 1;
    rewriter->wall_ms = shard_wall_ms(shard);
    shard_job_begin(shard);
    post(rewriter, REWRITE_CHOOSE);
}

int64_t rewrite_tick(struct shard *shard, int64_t now_ms)
{
    struct rewriter *rewriter = shard->rewriter;
    if (now_ms < rewriter->due_ms) {
        return rewriter->due_ms;
    }
    rewriter->due_ms = NEVER;
    if (rewriter->state == REWRITE_PAUSE) {
        on_helper(rewriter, REWRITE_WRITE, write_work, write_done);
    } else if (rewriter->state == REWRITE_IDLE && may_begin(rewriter)) {
        begin(rewriter);
    } else if (rewriter->state == REWRITE_IDLE && shard->started) {
        rewriter->due_ms = now_ms + rewriter->limits.interval_ms;
    }
    return rewriter->due_ms;
}

void rewrite_stop(struct shard *shard)
{
    if (shard->rewriter->state == REWRITE_PAUSE) {
        fail(shard->rewriter, SLUICE_OK);
    }
}

int64_t rewrite_due_ms(const struct shard *shard)
{
    return shard->rewriter->due_ms;
}

/* ---- life ---- */

struct rewriter *rewriter_new(struct shard *shard)
{
    struct rewriter *rewriter = sl_alloc_zero(1, sizeof(*rewriter));
    if (rewriter == NULL) {
        return NULL;
    }
    const struct rewrite_limits *limits = &shard->config.rewrite;
    rewriter->shard = shard;
    rewriter->limits = (struct rewrite_limits){
        .erase_max_ms = limits->erase_max_ms > 0 ? limits->erase_max_ms : NEVER,
        .bytes_per_s = limits->bytes_per_s > 0 ? limits->bytes_per_s : BYTES_PER_S,
        .job_bytes = limits->job_bytes > 0 ? limits->job_bytes : JOB_BYTES,
        .interval_ms = limits->interval_ms > 0 ? limits->interval_ms : INTERVAL_MS,
    };
    rewriter->job.shard = shard;
    rewriter->step.run = step_run;
    rewriter->step.priority = SL_PRIORITY_BACKGROUND;
    rewriter->due_ms = NEVER;
    return rewriter;
}

struct rewriter *rewriter_free(struct rewriter *rewriter)
{
    if (rewriter != NULL) {
        rewrite_job_fini(&rewriter->job);
        sl_free(rewriter);
    }
    return NULL;
}

void rewrite_start(struct shard *shard)
{
    if (shard->extents == NULL) {
        return; /* no disk */
    }
    shard->rewriter->due_ms = shard_now_ms(shard) + shard->rewriter->limits.interval_ms;
}

bool rewrite_is_busy(const struct shard *shard)
{
    return shard->rewriter->state != REWRITE_IDLE;
}

bool rewrite_is_applying(const struct shard *shard)
{
    return shard->rewriter->state == REWRITE_APPLY;
}

void rewrite_status_get(const struct shard *shard, struct rewrite_status *ret_status)
{
    *ret_status = shard->rewriter->status;
    ret_status->busy = rewrite_is_busy(shard);
}
