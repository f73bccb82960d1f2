/* cut.c: see cut.h. */
#include "shard/cut.h"

#include "extent/extent_set.h"
#include "shard/shard.h"

#define LOST_PERCENT 75u /* of the log's bound */

void cut_init(struct cut *cut, struct shard *shard)
{
    *cut = (struct cut){.shard = shard};
    cut->waiting_end = &cut->waiting;
}

/* ---- commits that wait ---- */

void cut_hold(struct shard *shard)
{
    shard->cut.is_held = true;
}

bool cut_wait(struct shard *shard, struct cut_waiter *waiter)
{
    struct cut *cut = &shard->cut;
    if (!cut->is_held) {
        return false;
    }
    waiter->next = NULL;
    *cut->waiting_end = waiter;
    cut->waiting_end = &waiter->next;
    return true;
}

void cut_resume(struct shard *shard)
{
    struct cut *cut = &shard->cut;
    struct cut_waiter *waiter = cut->waiting;
    cut->is_held = false;
    cut->waiting = NULL;
    cut->waiting_end = &cut->waiting;
    while (waiter != NULL) {
        struct cut_waiter *next = waiter->next;
        waiter->go_on(waiter);
        waiter = next;
    }
}

/* ---- pins ---- */

static void log_unpin(struct cut *cut)
{
    while (cut->segment_end > cut->first_segment) {
        commit_log_unpin(cut->shard->log, --cut->segment_end);
    }
    cut->first_segment = cut->segment_end = 0;
}

static void extents_unpin(struct cut *cut)
{
    for (uint32_t i = 0; i < cut->extent_count; i++) {
        extent_set_unpin(cut->shard->extents, cut->extents[i]);
    }
    sl_free(cut->extents);
    cut->extents = NULL;
    cut->extent_count = 0;
}

bool cut_release(struct shard *shard, bool only_log)
{
    struct cut *cut = &shard->cut;
    bool kept = !cut->log_lost;
    log_unpin(cut);
    if (!only_log) {
        extents_unpin(cut);
        cut->log_lost = false;
    }
    return kept;
}

void cut_consider(struct shard *shard)
{
    struct cut *cut = &shard->cut;
    struct wal_status log;
    if (cut->segment_end == cut->first_segment) {
        return;
    }
    commit_log_status(shard->log, &log);
    if (log.bytes_used >= log.bytes_max / 100 * LOST_PERCENT) {
        cut->log_lost = true;
        log_unpin(cut);
    }
}

/* ---- the cut ---- */

static sl_err extents_pin(struct cut *cut, struct cut_result *result)
{
    struct extent_set *set = cut->shard->extents;
    struct extent_set_status status;
    extent_set_status_get(set, &status);
    size_t count = (size_t)status.extent_count;
    cut->extents = sl_alloc(SL_MAX(count, (size_t)1) * sizeof(*cut->extents));
    result->extents = sl_alloc(SL_MAX(count, (size_t)1) * sizeof(*result->extents));
    if (cut->extents == NULL || result->extents == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const struct extent_item *item = extent_set_from(set, 1);
    while (item != NULL) {
        SL_ASSERT(cut->extent_count < count);
        bool pinned = extent_set_pin(set, item->id);
        SL_ASSERT(pinned);
        result->extents[result->extent_count++] = *item;
        cut->extents[cut->extent_count++] = item->id;
        item = extent_set_from(set, item->id + 1);
    }
    return SLUICE_OK;
}

static sl_err log_pin(struct cut *cut, struct cut_result *result)
{
    struct shard *shard = cut->shard;
    struct wal_status log;
    commit_log_status(shard->log, &log);
    cut->first_segment = cut->segment_end = log.first_segment;
    /* The last one may not be there yet: nothing of it is durable then. */
    while (cut->segment_end <= log.last_segment && commit_log_pin(shard->log, cut->segment_end)) {
        cut->segment_end++;
    }
    result->lsn = log.durable_lsn;
    result->epoch = log.epoch;
    result->first_segment = cut->first_segment;
    result->last_segment = cut->segment_end - 1;
    bool has_files = cut->segment_end > cut->first_segment &&
                     commit_log_file(shard->log, cut->first_segment) != NULL;
    return has_files ? SLUICE_OK : SLUICE_E_UNSUPPORTED;
}

/* Not in the callback of the unit: others of its commit are told after it. Here all that is durable
 * was told, and so index, extents and log agree. */
static void take_run(struct sl_task *task)
{
    struct cut *cut = SL_CONTAINER_OF(task, struct cut, task);
    struct shard *shard = cut->shard;
    struct cut_result result = {.extents = NULL};
    sl_err err = cut->err;
    cut->is_taking = false;
    if (err == SLUICE_OK && shard->status != SLUICE_OK) {
        err = shard->status;
    }
    err = err != SLUICE_OK ? err : log_pin(cut, &result);
    err = err != SLUICE_OK ? err : extents_pin(cut, &result);
    if (err != SLUICE_OK) {
        (void)cut_release(shard, false);
        sl_free(result.extents);
        result.extents = NULL;
    }
    cut->taken(cut->taken_arg, err, &result);
    shard_job_end(shard);
}

static void take_later(struct cut *cut, sl_err err)
{
    cut->err = err;
    cut->task = (struct sl_task){.run = take_run, .priority = SL_PRIORITY_IO};
    sl_loop_post(cut->shard->loop, &cut->task);
}

static void unit_durable(struct wal_unit *unit, sl_err err)
{
    take_later(SL_CONTAINER_OF(unit, struct cut, unit), err);
}

void cut_take(struct shard *shard, cut_taken_fn *taken, void *arg)
{
    struct cut *cut = &shard->cut;
    SL_ASSERT(!cut->is_taking && cut->extents == NULL);
    if (shard->log == NULL || shard->status != SLUICE_OK) {
        taken(arg, shard->status, NULL);
        return;
    }
    shard_job_begin(shard);
    cut->is_taking = true;
    cut->log_lost = false;
    cut->taken = taken;
    cut->taken_arg = arg;
    cut->item = (struct wal_item){.kind = WAL_ITEM_IDLE, .version = 1};
    cut->unit = (struct wal_unit){.items = &cut->item,
                                  .item_count = 1,
                                  .reserve = true,
                                  .frees_space = true,
                                  .durable = unit_durable};
    sl_err err = commit_log_submit(shard->log, &cut->unit);
    if (err != SLUICE_OK) {
        take_later(cut, err);
    }
}

void cut_stop(struct shard *shard)
{
    cut_resume(shard);
    if (shard->log != NULL) {
        (void)cut_release(shard, false);
    }
}

void cut_fini(struct cut *cut)
{
    sl_free(cut->extents);
    cut->extents = NULL;
}
