/* seal.c: see seal.h. When a job begins, and its way through the states; what it does in them is in
 * seal_collect.c and seal_write.c. */
#include "shard/seal.h"

#include "shard/seal_job.h"

#define SEAL_BYTES          (256u << 20)
#define SEAL_FRAME_BYTES    (64u << 10) /* a start reads so much in the time of a small frame */
#define JOB_BYTES_MAX       (256u << 20)
#define OWN_FILE_BYTES      (16u << 20)
#define PROMOTE_PERCENT     90u
#define PROMOTE_PERCENT_MIN 51u /* so that a segment can be that of one stream only */
#define PROMOTE_RUN_BYTES   (16u << 10)
#define URGENT_PERCENT      75u
#define RETRY_MS_MIN        1000
#define RETRY_MS_MAX        60000
#define NEVER               INT64_MAX

#define THROTTLE_PERMILLE 850u
#define THROTTLE_SPAN     80u  /* then the reserve begins, and produce is refused */
#define THROTTLE_MS_MAX   100u /* a job empties more than that fills */

#define DISK_THROTTLE_PERMILLE 900u
#define DISK_SPAN              50u

#define DAMAGE_LINES_MAX 16u /* in the log, of one job */

enum seal_state {
    SEAL_IDLE,
    SEAL_COLLECT,
    SEAL_WRITE,
    SEAL_RESERVE,
    SEAL_SUBMITTED,
    SEAL_APPLY,
    SEAL_DISCARD, /* a helper removes the files of a job that failed */
};

struct sealer {
    struct shard *shard;
    struct seal_limits limits;
    struct seal_mutants mutants;
    enum seal_state state;
    struct sl_task step; /* loop's part of a state */
    struct sl_job helper;
    struct space_walk walk;
    struct seal_job job;
    struct wal_unit unit;
    uint32_t next_stream;  /* to reserve for, or to apply */
    uint64_t sealed_below; /* segments before it were emptied, but for damaged streams */
    int64_t begin_ns;
    int64_t retry_ms;    /* delay after the next failure */
    int64_t retry_at_ms; /* not before, after one */
    int64_t due_ms;      /* when to consider anew */
    bool told;           /* the failure was logged */
    bool promotes;       /* false: this file system has no links, or the last job failed at one */
    bool has_links;
    struct seal_status status;
};

/* ---- when ---- */

struct sealable {
    uint64_t bytes;
    uint64_t frames;
    int64_t created_ms; /* of the oldest */
    uint64_t border;    /* of one job */
    bool waits;         /* what comes next is not ready */
};

/* What is moved lies twice on the disk for a while: a job takes half of what is left at most. */
static uint64_t job_bytes_max(const struct sealer *sealer, const struct wal_status *log)
{
    uint64_t room = log->disk_total > 0 ? log->disk_available / 2 : UINT64_MAX;
    return SL_MIN(sealer->limits.job_bytes_max, room);
}

static struct sealable look(const struct sealer *sealer, const struct wal_status *log)
{
    struct sealable found = {.created_ms = NEVER};
    struct wal_segment_status segment;
    uint64_t bytes_max = job_bytes_max(sealer, log);
    uint64_t at = SL_MAX(log->first_segment, sealer->sealed_below);
    for (; at < log->last_segment; at++) {
        if (!commit_log_segment_status(sealer->shard->log, at, &segment)) {
            continue;
        }
        if (segment.cuts) {
            found.waits = true;
            break;
        }
        bool fits = found.bytes == 0 || found.bytes + segment.bytes <= bytes_max;
        found.border = fits ? at + 1 : found.border;
        found.bytes += segment.bytes;
        found.frames += segment.frames;
        found.created_ms = SL_MIN(found.created_ms, segment.created_ms);
    }
    return found;
}

/* What a start would have to go through, frame by frame. */
static bool is_slow_to_read(const struct sealer *sealer, const struct sealable *found)
{
    uint64_t enough = SL_MAX(sealer->limits.seal_bytes, (uint64_t)SEAL_BYTES);
    return found->frames * SEAL_FRAME_BYTES >= enough;
}

/* How long until a job is due for what was found: 0: now. */
static int64_t delay_of(const struct sealer *sealer, const struct wal_status *log,
                        const struct sealable *found)
{
    if (found->bytes == 0) {
        return NEVER;
    }
    uint64_t enough = SL_MIN(sealer->limits.seal_bytes, log->bytes_max / 2);
    bool is_urgent = log->bytes_used >= log->bytes_max / 100 * URGENT_PERCENT;
    uint64_t first = SL_MAX(log->first_segment, sealer->sealed_below);
    if (found->bytes >= enough || is_slow_to_read(sealer, found) || is_urgent ||
        first < roll_due_below(sealer->shard)) {
        return 0;
    }
    int64_t age_ms = SL_MAX(shard_wall_ms(sealer->shard) - found->created_ms, (int64_t)0);
    return SL_MAX(roll_age_ms(sealer->shard) - age_ms, (int64_t)0);
}

/* For one segment: the job is cut to what there is room for, but never below that. */
static bool disk_has_room(const struct wal_status *log, const struct sealable *found)
{
    uint64_t segments = SL_MAX(log->last_segment - log->first_segment, UINT64_C(1));
    return !log->disk_full || found->bytes / segments < log->disk_available;
}

static void wake_at(struct sealer *sealer, int64_t due_ms)
{
    sealer->due_ms = due_ms;
    shard_schedule(sealer->shard);
}

static void pins_drop(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    while (job->border > job->first_segment) {
        commit_log_unpin(sealer->shard->log, --job->border);
    }
}

static void begin(struct sealer *sealer, uint64_t first, uint64_t border)
{
    struct shard *shard = sealer->shard;
    struct seal_job *job = &sealer->job;
    *job = (struct seal_job){.shard = shard,
                             .first_segment = first,
                             .border = first,
                             .limits = sealer->limits,
                             .mutants = sealer->mutants,
                             .promotes = sealer->promotes && commit_log_has_files(shard->log)};
    for (; job->border < border; job->border++) {
        /* Live segments follow each other, and the last is not among them. */
        bool is_live = commit_log_pin(shard->log, job->border);
        SL_ASSERT(is_live);
    }
    sealer->begin_ns = sl_loop_now_ns(shard->loop);
    sealer->due_ms = NEVER;
    sealer->next_stream = 0;
    sealer->state = SEAL_COLLECT;
    space_walk_begin(&shard->space, &sealer->walk);
    shard_job_begin(shard);
    sl_loop_post(shard->loop, &sealer->step);
}

void seal_consider(struct shard *shard)
{
    struct sealer *sealer = shard->sealer;
    if (sealer->state != SEAL_IDLE || !shard->started || shard->extents == NULL ||
        shard->status != SLUICE_OK) {
        return;
    }
    int64_t now_ms = shard_now_ms(shard);
    if (now_ms < sealer->retry_at_ms) {
        wake_at(sealer, sealer->retry_at_ms); /* the last one failed */
        return;
    }
    struct wal_status log;
    commit_log_status(shard->log, &log);
    struct sealable found = look(sealer, &log);
    int64_t delay_ms = delay_of(sealer, &log, &found);
    if (delay_ms == 0 && !disk_has_room(&log, &found)) {
        wake_at(sealer, now_ms + RETRY_MS_MIN); /* deletion makes room */
    } else if (delay_ms == 0) {
        begin(sealer, log.first_segment, found.border);
    } else {
        delay_ms = found.waits ? SL_MIN(delay_ms, (int64_t)RETRY_MS_MIN) : delay_ms;
        wake_at(sealer, delay_ms == NEVER ? NEVER : now_ms + delay_ms);
    }
}

int64_t seal_tick(struct shard *shard, int64_t now_ms)
{
    if (now_ms >= shard->sealer->due_ms) {
        shard->sealer->due_ms = NEVER;
        space_retry(shard);
        seal_consider(shard);
    }
    return shard->sealer->due_ms;
}

uint64_t seal_bytes_enough(const struct shard *shard)
{
    return shard->sealer->limits.seal_bytes;
}

int64_t seal_due_ms(const struct shard *shard)
{
    return shard->sealer->due_ms;
}

/* ---- the end of a job ---- */

static void end(struct sealer *sealer)
{
    struct shard *shard = sealer->shard;
    space_walk_end(&shard->space, &sealer->walk);
    pins_drop(sealer);
    seal_job_fini(&sealer->job);
    sealer->state = SEAL_IDLE;
    seal_consider(shard);
    shard_job_end(shard);
}

static void tell_damage(const struct sealer *sealer)
{
    const struct seal_job *job = &sealer->job;
    uint32_t told = 0;
    for (uint32_t i = 0; i < job->stream_count; i++) {
        struct partition *partition = job->streams[i].partition;
        if (!job->streams[i].damaged || partition->topic == NULL) {
            continue;
        }
        partition->unsealable = true;
        if (++told > DAMAGE_LINES_MAX) {
            continue; /* a whole segment may be damaged */
        }
        sl_log(sealer->shard->logger, SL_LOG_ERROR, "seal",
               "stored records are damaged: this partition stays in the write-ahead log, which "
               "cannot be recycled behind it; run sluice wal verify",
               sl_log_bytes("topic", partition->topic->name),
               sl_log_u64("partition", partition->number));
    }
}

static void succeed(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    tell_damage(sealer);
    sealer->sealed_below = job->partial ? sealer->sealed_below : job->border;
    sealer->retry_ms = RETRY_MS_MIN;
    sealer->told = false;
    sealer->promotes = sealer->has_links;
    sealer->status.jobs += job->bytes > 0;
    sealer->status.bytes += job->bytes;
    sealer->status.bytes_promoted += job->bytes_promoted;
    sealer->status.bytes_written += job->bytes_written;
    sealer->status.elapsed_ns += sl_loop_now_ns(sealer->shard->loop) - sealer->begin_ns;
    space_freed(sealer->shard);
    end(sealer);
}

static void discard_work(struct sl_job *helper)
{
    seal_job_discard(&SL_CONTAINER_OF(helper, struct sealer, helper)->job);
}

static void discard_done(struct sl_job *helper)
{
    end(SL_CONTAINER_OF(helper, struct sealer, helper));
}

static void on_helper(struct sealer *sealer, enum seal_state state,
                      void (*work)(struct sl_job *job), void (*done)(struct sl_job *job))
{
    struct shard *shard = sealer->shard;
    sealer->state = state;
    sealer->helper = (struct sl_job){.work = work, .done = done};
    sealer->helper.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(shard->config.os, shard->loop, &sealer->helper);
}

/* Nothing was changed; the files go. */
static void fail(struct sealer *sealer, sl_err err)
{
    struct shard *shard = sealer->shard;
    if (sealer->job.promotion_failed) {
        sealer->promotes = false;
        sealer->has_links = sealer->has_links && err != SLUICE_E_UNSUPPORTED;
    }
    if (shard->status == SLUICE_OK) {
        sealer->status.failures++;
        sealer->retry_at_ms = shard_now_ms(shard) + sealer->retry_ms;
        if (!sealer->told) {
            sealer->told = true;
            sl_log(shard->logger, SL_LOG_ERROR, "seal",
                   "records cannot be moved from the write-ahead log into extents; trying again",
                   sl_log_u64("shard", shard->index), sl_log_err(err));
        }
        sealer->retry_ms = SL_MIN(sealer->retry_ms * 2, (int64_t)RETRY_MS_MAX);
    }
    on_helper(sealer, SEAL_DISCARD, discard_work, discard_done);
}

/* ---- apply ---- */

static void apply_step(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    uint32_t to = SL_MIN(job->stream_count, sealer->next_stream + SEAL_SLICE);
    seal_job_apply(job, sealer->next_stream, to);
    sealer->next_stream = to;
    if (to < job->stream_count) {
        sl_loop_post(sealer->shard->loop, &sealer->step);
    } else {
        succeed(sealer);
    }
}

/* ---- submit ---- */

/* The frame names them. */
static void files_add(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    for (uint32_t i = 0; i < job->file_count; i++) {
        struct seal_file *file = &job->files[i];
        if (file->file != NULL) {
            extent_set_add(sealer->shard->extents, &file->item, file->file);
            file->file = NULL;
            sealer->status.extents++;
            sealer->status.promoted += file->item.promoted;
        }
    }
}

static void unit_durable(struct wal_unit *unit, sl_err err)
{
    struct sealer *sealer = SL_CONTAINER_OF(unit, struct sealer, unit);
    if (err != SLUICE_OK) {
        end(sealer); /* fenced; the frame may be there, so the files stay: the next start decides */
        return;
    }
    files_add(sealer);
    sealer->state = SEAL_APPLY;
    sealer->next_stream = 0;
    apply_step(sealer);
}

static sl_err submit(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->file_count; i++) {
        struct seal_file *file = &job->files[i];
        if (file->file != NULL) {
            extent_item_encode(&file->item, file->payload);
            job->items[count++] = (struct wal_item){.kind = WAL_ITEM_EXTENT,
                                                    .version = EXTENT_ITEM_VERSION,
                                                    .payload = {file->payload, EXTENT_ITEM_SIZE}};
        }
    }
    sealer->unit = (struct wal_unit){.items = job->items,
                                     .item_count = count,
                                     .reserve = true,
                                     .frees_space = true,
                                     .durable = unit_durable};
    sl_err err = extent_set_reserve(sealer->shard->extents, count);
    return err != SLUICE_OK ? err : commit_log_submit(sealer->shard->log, &sealer->unit);
}

static void reserve_step(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    uint32_t to = SL_MIN(job->stream_count, sealer->next_stream + SEAL_SLICE);
    sl_err err = seal_job_reserve(job, sealer->next_stream, to);
    sealer->next_stream = to;
    if (err == SLUICE_OK && to < job->stream_count) {
        sl_loop_post(sealer->shard->loop, &sealer->step);
        return;
    }
    if (err == SLUICE_OK) {
        sealer->state = SEAL_SUBMITTED;
        err = submit(sealer);
    }
    if (err != SLUICE_OK) {
        fail(sealer, err);
    }
}

/* ---- write ---- */

static void write_work(struct sl_job *helper)
{
    seal_job_write(&SL_CONTAINER_OF(helper, struct sealer, helper)->job);
}

static void write_done(struct sl_job *helper);

static void write_slice(struct sealer *sealer)
{
    on_helper(sealer, SEAL_WRITE, write_work, write_done);
}

static void release_too_early(struct sealer *sealer)
{
    uint64_t border = sealer->job.border;
    pins_drop(sealer);
    commit_log_release(sealer->shard->log, border);
}

static void write_done(struct sl_job *helper)
{
    struct sealer *sealer = SL_CONTAINER_OF(helper, struct sealer, helper);
    struct seal_job *job = &sealer->job;
    struct shard *shard = sealer->shard;
    if (shard->status != SLUICE_OK || job->err != SLUICE_OK) {
        fail(sealer, job->err);
        return;
    }
    if (!job->written) {
        write_slice(sealer);
        return;
    }
    if (job->bytes == 0) { /* all of it is damaged */
        succeed(sealer);
        return;
    }
    job->blocks = sl_alloc(job->block_count_max * sizeof(*job->blocks));
    if (job->blocks == NULL) {
        fail(sealer, SLUICE_E_NO_MEMORY);
        return;
    }
    if (sealer->mutants.release_first) {
        release_too_early(sealer);
    }
    sealer->state = SEAL_RESERVE;
    sl_loop_post(shard->loop, &sealer->step);
}

/* ---- collect ---- */

static void collected(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    if (job->err == SLUICE_OK && job->stream_count == 0) {
        succeed(sealer);
        return;
    }
    sl_err err = job->err != SLUICE_OK ? job->err : seal_job_plan(job);
    if (err != SLUICE_OK) {
        fail(sealer, err);
    } else {
        write_slice(sealer);
    }
}

static void collect_step(struct sealer *sealer)
{
    struct seal_job *job = &sealer->job;
    uint32_t runs_before = job->run_count;
    bool more = true;
    for (uint32_t i = 0; more && i < SPACE_SLICE; i++) {
        struct partition *partition = space_walk_next(&sealer->walk);
        more = partition != NULL && seal_job_add(job, partition);
        if (more && job->run_count - runs_before >= SEAL_SLICE_RUNS) {
            break;
        }
    }
    if (more) {
        sl_loop_post(sealer->shard->loop, &sealer->step);
        return;
    }
    space_walk_end(&sealer->shard->space, &sealer->walk);
    collected(sealer);
}

static void step_run(struct sl_task *task)
{
    struct sealer *sealer = SL_CONTAINER_OF(task, struct sealer, step);
    if (sealer->shard->status != SLUICE_OK && sealer->state != SEAL_APPLY) {
        fail(sealer, sealer->shard->status);
    } else if (sealer->state == SEAL_COLLECT) {
        collect_step(sealer);
    } else if (sealer->state == SEAL_RESERVE) {
        reserve_step(sealer);
    } else {
        apply_step(sealer);
    }
}

/* ---- life ---- */

struct sealer *sealer_new(struct shard *shard)
{
    struct sealer *sealer = sl_alloc_zero(1, sizeof(*sealer));
    if (sealer == NULL) {
        return NULL;
    }
    const struct seal_limits *limits = &shard->config.seal;
    sealer->shard = shard;
    sealer->mutants = shard->config.seal_mutants;
    sealer->limits = (struct seal_limits){
        .seal_bytes = limits->seal_bytes > 0 ? limits->seal_bytes : SEAL_BYTES,
        .age_max_ms = limits->age_max_ms > 0 ? limits->age_max_ms : ROLL_AGE_MAX_MS,
        .job_bytes_max = limits->job_bytes_max > 0 ? limits->job_bytes_max : JOB_BYTES_MAX,
        .own_file_bytes = limits->own_file_bytes > 0 ? limits->own_file_bytes : OWN_FILE_BYTES,
        .promote_percent = limits->promote_percent > 0
                               ? SL_MAX(limits->promote_percent, PROMOTE_PERCENT_MIN)
                               : PROMOTE_PERCENT,
        .promote_run_bytes =
            limits->promote_run_bytes > 0 ? limits->promote_run_bytes : PROMOTE_RUN_BYTES,
    };
    sealer->promotes = sealer->has_links = true;
    sealer->step.run = step_run;
    sealer->step.priority = SL_PRIORITY_BACKGROUND;
    sealer->due_ms = NEVER;
    sealer->retry_ms = RETRY_MS_MIN;
    return sealer;
}

struct sealer *sealer_free(struct sealer *sealer)
{
    if (sealer != NULL) {
        space_walk_end(&sealer->shard->space, &sealer->walk); /* under way when the power went */
        seal_job_fini(&sealer->job);
        sl_free(sealer);
    }
    return NULL;
}

bool seal_is_applying(const struct shard *shard)
{
    return shard->sealer->state == SEAL_APPLY;
}

/* From 90 % of the disk on, up to where produce is refused. */
static int32_t disk_throttle_ms(const struct wal_pressure *log)
{
    if (log->disk_total < 1000 || log->disk_full) {
        return log->disk_full ? (int32_t)THROTTLE_MS_MAX : 0;
    }
    uint64_t used = log->disk_total - SL_MIN(log->disk_available, log->disk_total);
    uint64_t one_permille = log->disk_total / 1000;
    if (used < DISK_THROTTLE_PERMILLE * one_permille) {
        return 0;
    }
    uint64_t permille = used / one_permille;
    uint64_t delay_ms = (permille - DISK_THROTTLE_PERMILLE + 1) * THROTTLE_MS_MAX / DISK_SPAN;
    return (int32_t)SL_MIN(delay_ms, (uint64_t)THROTTLE_MS_MAX);
}

int32_t seal_throttle_ms(const struct shard *shard)
{
    struct wal_pressure log;
    if (shard->log == NULL || shard->extents == NULL) {
        return 0;
    }
    commit_log_pressure(shard->log, &log);
    int32_t disk_ms = disk_throttle_ms(&log);
    uint64_t one_permille = log.bytes_max / 1000;
    if (log.bytes_used + log.pending_bytes < (THROTTLE_PERMILLE + 1) * one_permille) {
        return disk_ms;
    }
    uint64_t permille = (log.bytes_used + log.pending_bytes) / one_permille;
    uint64_t delay_ms = (permille - THROTTLE_PERMILLE) * THROTTLE_MS_MAX / THROTTLE_SPAN;
    return SL_MAX(disk_ms, (int32_t)SL_MIN(delay_ms, (uint64_t)THROTTLE_MS_MAX));
}

void seal_status_get(const struct shard *shard, struct seal_status *ret_status)
{
    *ret_status = shard->sealer->status;
    ret_status->busy = shard->sealer->state != SEAL_IDLE;
}
