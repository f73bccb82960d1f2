/* scrub.c: see scrub.h. When a pass begins, its way through the files, and what becomes of what a
 * helper saw; the reading is in scrub_read.c. */
#include "shard/scrub.h"

#include "extent/extent_set.h"
#include "shard/scrub_job.h"

#include <stdio.h>
#include <string.h>

#define NEVER            INT64_MAX
#define FIRST_MS         600000 /* the first pass begins so long after a start, unless sooner */
#define BUFFER_BYTES_MAX (1u << 30)
#define PAUSE_MS_MAX     60000 /* after one slice, however low the rate is */

struct scrubber {
    struct shard *shard;
    struct scrub_job job;
    bool running; /* a pass */
    bool at_work; /* a helper has a slice */
    bool pinned;  /* the job's file */
    bool stopped;
    uint64_t extent_next; /* id to go on with */
    uint64_t extent_end;  /* ids from here on are younger than the pass */
    uint64_t segment_next, segment_end;
    int64_t due_ms;      /* next slice, or next pass */
    uint64_t rate_asked; /* bytes per second; 0: the setting */
    int64_t begun_mono_ms;
    uint64_t pass_errors;
    uint64_t damaged_before; /* found by the last whole pass */
    uint32_t damaged;        /* for other threads */
    struct scrub_status status;
    struct scrub_finding findings[SCRUB_FINDINGS_MAX];
};

/* ---- settings ---- */

static uint64_t setting(const int64_t *value)
{
    return (uint64_t)__atomic_load_n(value, __ATOMIC_RELAXED); /* a reload may change it */
}

/* This shard's part of what the broker may read. 0: scrubbing is switched off. */
static uint64_t rate_of(const struct scrubber *scrubber)
{
    const struct shard *shard = scrubber->shard;
    uint64_t rate = scrubber->rate_asked > 0 ? scrubber->rate_asked
                                             : setting(&shard->config.settings->scrub_bytes_per_s);
    return rate == 0 ? 0 : SL_MAX(rate / SL_MAX(shard->set->count, 1u), UINT64_C(1));
}

static int64_t interval_ms(const struct scrubber *scrubber)
{
    return (int64_t)setting(&scrubber->shard->config.settings->scrub_interval_ms);
}

/* When the next pass begins by itself; monotonic ms. */
static int64_t pass_due_ms(const struct scrubber *scrubber)
{
    int64_t interval = interval_ms(scrubber);
    if (interval == 0 || setting(&scrubber->shard->config.settings->scrub_bytes_per_s) == 0) {
        return NEVER;
    }
    int64_t delay_ms =
        scrubber->status.passes == 0 ? SL_MIN(interval, (int64_t)FIRST_MS) : interval;
    return scrubber->begun_mono_ms + delay_ms;
}

/* ---- findings ---- */

static void publish(struct scrubber *scrubber)
{
    uint64_t count = SL_MAX(scrubber->damaged_before, scrubber->pass_errors);
    __atomic_store_n(&scrubber->damaged, (uint32_t)SL_MIN(count, (uint64_t)UINT32_MAX),
                     __ATOMIC_RELAXED);
}

static void file_name(const struct scrubber *scrubber, char ret_name[SCRUB_FILE_BYTES])
{
    const struct scrub_job *job = &scrubber->job;
    snprintf(ret_name, SCRUB_FILE_BYTES, "shard-%u/%s/%020llu.%s", scrubber->shard->index,
             job->is_extent ? "ext" : "wal", (unsigned long long)job->number,
             job->is_extent ? "ext" : "seg");
}

/* The partition whose index still refers to the damaged bytes, or NULL: nobody will ask for them.
 */
static struct partition *referrer(const struct scrubber *scrubber,
                                  const struct scrub_damage *damage)
{
    const struct scrub_job *job = &scrubber->job;
    struct topic *topic = catalog_by_id(scrubber->shard->catalog, &damage->topic);
    if (topic == NULL || damage->partition >= topic->partition_count) {
        return NULL;
    }
    struct partition *partition = partition_find(topic, damage->partition);
    struct stream_run run;
    uint64_t segment = job->number | (job->is_extent ? WAL_PLACE_EXTENT : 0);
    bool refers = partition != NULL &&
                  stream_index_find(&partition->index, damage->first_offset, &run) &&
                  run.place.segment == segment && run.place.position <= damage->position &&
                  run.place.position + run.place.size > damage->position;
    return refers ? partition : NULL;
}

static void finding_log(const struct scrubber *scrubber, const struct scrub_finding *finding,
                        bool is_io)
{
    struct sl_logger *logger = scrubber->shard->logger;
    const char *why = is_io ? "the disk cannot read it" : "a checksum does not hold";
    if (finding->topic[0] == '\0') {
        sl_log(logger, SL_LOG_ERROR, "scrub",
               "a stored file is damaged and the next start will refuse it: put it back from a "
               "backup, or stop the broker and run sluice wal salvage",
               sl_log_text("file", finding->file), sl_log_u64("position", finding->position),
               sl_log_u64("bytes", finding->bytes), sl_log_text("why", why));
        return;
    }
    sl_log(logger, SL_LOG_ERROR, "scrub",
           "stored records are damaged and not served, all others are: put the file back from a "
           "backup, or stop the broker and run sluice wal salvage",
           sl_log_text("file", finding->file), sl_log_u64("position", finding->position),
           sl_log_u64("bytes", finding->bytes), sl_log_text("topic", finding->topic),
           sl_log_u64("partition", finding->partition),
           sl_log_i64("first_offset", finding->first_offset),
           sl_log_i64("last_offset", finding->last_offset), sl_log_text("why", why));
}

static void damage_take(struct scrubber *scrubber, const struct scrub_damage *damage)
{
    struct partition *partition = damage->is_file ? NULL : referrer(scrubber, damage);
    if (partition == NULL && !damage->is_file) {
        return;
    }
    scrubber->status.errors++;
    scrubber->pass_errors++;
    if (partition != NULL) {
        stream_index_mark_suspect(&partition->index, damage->first_offset, damage->last_offset);
    }
    if (scrubber->status.finding_count == SCRUB_FINDINGS_MAX) {
        return;
    }
    struct scrub_finding *finding = &scrubber->findings[scrubber->status.finding_count++];
    *finding = (struct scrub_finding){.position = damage->position,
                                      .bytes = damage->bytes,
                                      .first_offset = damage->first_offset,
                                      .last_offset = damage->last_offset,
                                      .partition = damage->partition};
    file_name(scrubber, finding->file);
    if (partition != NULL) {
        struct sl_bytes name = partition->topic->name;
        snprintf(finding->topic, sizeof(finding->topic), "%.*s", (int)name.size,
                 (const char *)name.data);
    }
    finding_log(scrubber, finding, damage->is_io);
}

/* ---- one file ---- */

static void file_end(struct scrubber *scrubber)
{
    struct shard *shard = scrubber->shard;
    struct scrub_job *job = &scrubber->job;
    if (!scrubber->pinned) {
        return;
    }
    scrubber->pinned = false;
    if (job->is_extent) {
        extent_set_unpin(shard->extents, job->number);
    } else {
        commit_log_unpin(shard->log, job->number);
    }
    scrub_job_close(job);
}

static bool extent_begin(struct scrubber *scrubber)
{
    struct scrub_job *job = &scrubber->job;
    const struct extent_item *item =
        extent_set_from(scrubber->shard->extents, scrubber->extent_next);
    if (item == NULL || item->id >= scrubber->extent_end) {
        scrubber->extent_next = scrubber->extent_end;
        return false;
    }
    job->is_extent = true;
    job->item = *item;
    job->number = item->id;
    scrubber->extent_next = job->number + 1;
    scrubber->pinned = extent_set_pin(scrubber->shard->extents, job->number);
    return scrubber->pinned;
}

/* The log is filling up: its segments are needed, and will be read as extents soon. */
static bool log_is_urgent(const struct shard *shard)
{
    struct wal_status log;
    commit_log_status(shard->log, &log);
    return log.bytes_used > log.bytes_max / 2;
}

static bool segment_begin(struct scrubber *scrubber)
{
    struct shard *shard = scrubber->shard;
    struct scrub_job *job = &scrubber->job;
    struct wal_segment_status segment;
    if (log_is_urgent(shard)) {
        scrubber->segment_next = scrubber->segment_end;
        return false;
    }
    while (scrubber->segment_next < scrubber->segment_end) {
        uint64_t number = scrubber->segment_next++;
        if (!commit_log_segment_status(shard->log, number, &segment) ||
            !commit_log_pin(shard->log, number)) {
            continue; /* recycled meanwhile */
        }
        job->is_extent = false;
        job->number = number;
        job->end = segment.end;
        job->segment = commit_log_file(shard->log, number);
        scrubber->pinned = true;
        if (job->segment == NULL) { /* in memory: nothing lies on a disk */
            file_end(scrubber);
            continue;
        }
        return true;
    }
    return false;
}

static bool file_begin(struct scrubber *scrubber)
{
    while (scrubber->extent_next < scrubber->extent_end) {
        if (extent_begin(scrubber)) {
            return true;
        }
    }
    return segment_begin(scrubber);
}

/* ---- a pass ---- */

static void pass_begin(struct scrubber *scrubber)
{
    struct shard *shard = scrubber->shard;
    struct extent_set_status extents;
    struct wal_status log;
    extent_set_status_get(shard->extents, &extents);
    commit_log_status(shard->log, &log);
    scrubber->running = true;
    scrubber->extent_next = 1;
    scrubber->extent_end = extent_set_id_max(shard->extents) + 1;
    scrubber->segment_next = log.first_segment;
    scrubber->segment_end = log.last_segment;
    scrubber->begun_mono_ms = shard_now_ms(shard);
    scrubber->due_ms = scrubber->begun_mono_ms;
    scrubber->pass_errors = 0;
    scrubber->status.busy = true;
    scrubber->status.begun_ms = shard_wall_ms(shard);
    scrubber->status.finding_count = 0;
    scrubber->status.bytes_done = 0;
    scrubber->status.bytes_total = extents.file_bytes;
    for (uint64_t at = log.first_segment; at < log.last_segment; at++) {
        struct wal_segment_status segment;
        if (commit_log_segment_status(shard->log, at, &segment)) {
            scrubber->status.bytes_total += segment.end;
        }
    }
}

static void pass_end(struct scrubber *scrubber)
{
    struct scrub_status *status = &scrubber->status;
    struct shard *shard = scrubber->shard;
    scrubber->running = false;
    scrubber->rate_asked = 0;
    scrubber->damaged_before = scrubber->pass_errors;
    publish(scrubber);
    status->busy = false;
    status->passes++;
    status->ended_ms = shard_wall_ms(shard);
    status->last_bytes = status->bytes_done;
    status->last_errors = scrubber->pass_errors;
    status->last_elapsed_ms = shard_now_ms(shard) - scrubber->begun_mono_ms;
    scrubber->due_ms = NEVER;
    sl_log(shard->logger, scrubber->pass_errors > 0 ? SL_LOG_ERROR : SL_LOG_INFO, "scrub",
           scrubber->pass_errors > 0 ? "read all that is stored: damage was found"
                                     : "read all that is stored: it is sound",
           sl_log_u64("shard", shard->index), sl_log_size("bytes", status->last_bytes),
           sl_log_u64("damaged", scrubber->pass_errors),
           sl_log_duration("took", status->last_elapsed_ms * 1000000));
}

/* ---- slices ---- */

static void slice_work(struct sl_job *helper)
{
    scrub_job_read(SL_CONTAINER_OF(helper, struct scrub_job, helper));
}

/* Its records were deleted or compacted meanwhile: its file waits for this pin only. */
static bool is_gone(const struct scrubber *scrubber)
{
    const struct scrub_job *job = &scrubber->job;
    const struct extent_item *item =
        job->is_extent ? extent_set_from(scrubber->shard->extents, job->number) : NULL;
    return job->is_extent && (item == NULL || item->id != job->number);
}

static void slice_done(struct sl_job *helper)
{
    struct scrubber *scrubber = SL_CONTAINER_OF(helper, struct scrubber, job.helper);
    struct scrub_job *job = &scrubber->job;
    struct shard *shard = scrubber->shard;
    scrubber->at_work = false;
    scrubber->status.bytes += job->bytes;
    scrubber->status.bytes_done += job->bytes;
    for (uint32_t i = 0; i < job->damage_count && !scrubber->stopped; i++) {
        damage_take(scrubber, &job->damages[i]);
    }
    publish(scrubber);
    bool gives_way = !job->is_extent && log_is_urgent(shard);
    if (job->ended || scrubber->stopped || gives_way || is_gone(scrubber)) {
        file_end(scrubber);
    }
    uint64_t pause_ms = job->bytes * 1000 / SL_MAX(rate_of(scrubber), UINT64_C(1));
    int64_t now_ms = shard_now_ms(shard);
    scrubber->due_ms = SL_MAX(now_ms, scrubber->due_ms + (int64_t)SL_MIN(pause_ms, PAUSE_MS_MAX));
    shard_schedule(shard);
    shard_job_end(shard);
}

static void slice_begin(struct scrubber *scrubber)
{
    struct shard *shard = scrubber->shard;
    if (!scrubber->pinned && !file_begin(scrubber)) {
        pass_end(scrubber);
        return;
    }
    scrubber->at_work = true;
    scrubber->job.helper = (struct sl_job){.work = slice_work, .done = slice_done};
    scrubber->job.helper.task.priority = SL_PRIORITY_BACKGROUND;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &scrubber->job.helper);
}

int64_t scrub_due_ms(const struct shard *shard)
{
    const struct scrubber *scrubber = shard->scrubber;
    if (scrubber->stopped || scrubber->at_work || shard->status != SLUICE_OK) {
        return NEVER; /* the end of a slice schedules the next */
    }
    return scrubber->running ? scrubber->due_ms : pass_due_ms(scrubber);
}

int64_t scrub_tick(struct shard *shard, int64_t now_ms)
{
    struct scrubber *scrubber = shard->scrubber;
    if (now_ms < scrub_due_ms(shard)) {
        return scrub_due_ms(shard);
    }
    if (!scrubber->running) {
        pass_begin(scrubber);
    }
    if (rate_of(scrubber) == 0) { /* switched off meanwhile: the pass goes on when it is on again */
        scrubber->due_ms = now_ms + PAUSE_MS_MAX;
    } else {
        slice_begin(scrubber);
    }
    return scrub_due_ms(shard);
}

void scrub_now(struct shard *shard, uint64_t bytes_per_s)
{
    struct scrubber *scrubber = shard->scrubber;
    if (scrubber->stopped || !shard->started || shard->status != SLUICE_OK) {
        return;
    }
    scrubber->rate_asked = bytes_per_s;
    if (!scrubber->running) {
        pass_begin(scrubber);
    }
    scrubber->due_ms = shard_now_ms(shard);
    shard_schedule(shard);
}

/* ---- life ---- */

struct scrubber *scrubber_new(struct shard *shard)
{
    struct scrubber *scrubber = sl_alloc_zero(1, sizeof(*scrubber));
    if (scrubber != NULL) {
        scrubber->shard = shard;
        scrubber->stopped = true; /* until the loop runs */
        scrubber->due_ms = NEVER;
        scrubber->job.shard = shard;
        sl_buffer_init(&scrubber->job.buffer, BUFFER_BYTES_MAX);
        wal_reader_init(&scrubber->job.reader);
    }
    return scrubber;
}

struct scrubber *scrubber_free(struct scrubber *scrubber)
{
    if (scrubber != NULL) {
        scrub_job_fini(&scrubber->job);
        sl_free(scrubber);
    }
    return NULL;
}

void scrub_start(struct shard *shard)
{
    shard->scrubber->stopped = !shard->started || shard->extents == NULL; /* no disk */
    shard->scrubber->begun_mono_ms = shard_now_ms(shard);
}

void scrub_stop(struct shard *shard)
{
    struct scrubber *scrubber = shard->scrubber;
    scrubber->stopped = true;
    if (!scrubber->at_work) {
        file_end(scrubber);
    }
}

static int64_t next_wall_ms(const struct shard *shard)
{
    int64_t due_ms = pass_due_ms(shard->scrubber);
    return due_ms == NEVER
               ? 0
               : shard_wall_ms(shard) + SL_MAX(due_ms - shard_now_ms(shard), INT64_C(0));
}

void scrub_status_get(const struct shard *shard, struct scrub_status *ret_status)
{
    const struct scrubber *scrubber = shard->scrubber;
    *ret_status = scrubber->status;
    ret_status->findings = scrubber->findings;
    ret_status->bytes_per_s = rate_of(scrubber);
    ret_status->next_ms = scrubber->running ? 0 : next_wall_ms(shard);
}

uint32_t scrub_damaged(const struct shard *shard)
{
    return __atomic_load_n(&shard->scrubber->damaged, __ATOMIC_RELAXED);
}
