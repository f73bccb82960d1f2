/* storage_watch.c: see storage_watch.h. */
#include "broker/storage_watch.h"

#include "broker/sluice_state.h"

#include <stdio.h>

#define BEATS          2u /* a look each second */
#define LOW_PERMILLE   900u
#define FULL_PERMILLE  950u
#define AGAIN_PERMILLE 920u

static const char *const names[] = {"ok", "throttled", "read-only"};

const char *storage_state_name(enum storage_state state)
{
    return names[state];
}

enum storage_state storage_watch_state(const struct storage_watch *watch)
{
    return (enum storage_state)__atomic_load_n(&watch->state, __ATOMIC_RELAXED);
}

static uint32_t permille_of(const struct storage_watch *watch)
{
    return __atomic_load_n(&watch->permille, __ATOMIC_RELAXED);
}

void storage_watch_explain(const struct storage_watch *watch, char ret_text[160])
{
    uint32_t permille = permille_of(watch);
    enum storage_state state = storage_watch_state(watch);
    ret_text[0] = '\0';
    if (state == STORAGE_READ_ONLY) {
        snprintf(ret_text, 160,
                 "read-only: the disk of data.dir is %u.%u %% full; produce is refused until it is "
                 "below 92 %%",
                 permille / 10, permille % 10);
    } else if (state == STORAGE_THROTTLED) {
        snprintf(ret_text, 160,
                 "throttled: the disk of data.dir is %u.%u %% full; produce is refused from 95 %%",
                 permille / 10, permille % 10);
    }
}

/* ---- the change ---- */

static enum storage_state next_state(const struct storage_watch *watch, uint32_t permille)
{
    bool was_full = watch->state == STORAGE_READ_ONLY;
    if (permille >= (was_full ? AGAIN_PERMILLE : FULL_PERMILLE)) {
        return STORAGE_READ_ONLY;
    }
    return permille >= LOW_PERMILLE ? STORAGE_THROTTLED : STORAGE_OK;
}

static void change_log(const struct storage_watch *watch)
{
    static const struct {
        enum sl_log_level level;
        const char *text;
    } lines[] = {
        {SL_LOG_INFO, "the disk has room again: producers are not slowed"},
        {SL_LOG_WARN,
         "the disk is nearly full: producers are slowed; from 95 % on they are refused"},
        {SL_LOG_ERROR,
         "the disk is full: produce is refused, reads, deletion and offset commits go "
         "on; make room, it is taken again below 92 %"},
    };
    sl_log(watch->sluice->logger, lines[watch->state].level, "storage", lines[watch->state].text,
           sl_log_text("state", names[watch->state]),
           sl_log_u64("used_percent", permille_of(watch) / 10),
           sl_log_size("available", watch->available), sl_log_size("disk", watch->total),
           sl_log_text("data", watch->sluice->config->data.dir));
}

static void judge(struct storage_watch *watch)
{
    uint64_t used = watch->total - SL_MIN(watch->available, watch->total);
    uint32_t permille = (uint32_t)(used / (watch->total / 1000));
    enum storage_state state = next_state(watch, permille);
    __atomic_store_n(&watch->permille, permille, __ATOMIC_RELAXED);
    if (state != watch->state) {
        __atomic_store_n(&watch->state, (uint32_t)state, __ATOMIC_RELAXED);
        change_log(watch);
    }
}

/* ---- looking ---- */

static void look_ended(struct storage_watch *watch)
{
    watch->busy = false;
    shard_request_end(watch->sluice->shards.shards[0]);
}

static void told(struct shard_call *call)
{
    struct storage_watch *watch = SL_CONTAINER_OF(call, struct storage_call, call)->watch;
    if (--watch->pending == 0) {
        look_ended(watch);
    }
}

/* [the shard's loop] */
static void tell(struct shard_call *call)
{
    const struct storage_watch *watch = SL_CONTAINER_OF(call, struct storage_call, call)->watch;
    struct shard *shard = call->target;
    if (shard->log != NULL && !shard->stopping) {
        commit_log_disk_seen(shard->log, watch->total, watch->available);
    }
    shard_call_reply(call);
}

static void look_work(struct sl_job *job)
{
    struct storage_watch *watch = SL_CONTAINER_OF(job, struct storage_watch, job);
    /* A copy of the path: a reload replaces the configuration. */
    watch->err = sl_disk_space(watch->sluice->os, watch->directory, &watch->seen_total,
                               &watch->seen_available);
}

static void look_done(struct sl_job *job)
{
    struct storage_watch *watch = SL_CONTAINER_OF(job, struct storage_watch, job);
    struct sluice *sluice = watch->sluice;
    if (watch->err != SLUICE_OK || watch->seen_total < 1000 || sluice->stopping) {
        look_ended(watch);
        return;
    }
    watch->total = watch->seen_total;
    watch->available = watch->seen_available;
    judge(watch);
    uint32_t count = sluice->shards.count;
    watch->pending = count;
    for (uint32_t i = 0; i < count; i++) {
        struct storage_call *call = &watch->calls[i];
        call->watch = watch;
        call->call.run = tell;
        call->call.reply = told;
        shard_call_start(&call->call, sluice->shards.shards[i], sluice->rooms[0].loop,
                         SL_PRIORITY_CONTROL);
    }
}

void storage_watch_beat(struct storage_watch *watch)
{
    struct sluice *sluice = watch->sluice;
    if (watch->beats++ % BEATS != 0 || watch->busy || sluice->stopping ||
        !config_has_disk(sluice->config)) {
        return;
    }
    watch->busy = true;
    shard_request_begin(sluice->shards.shards[0]);
    watch->job = (struct sl_job){.work = look_work, .done = look_done};
    watch->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(sluice->os, sluice->rooms[0].loop, &watch->job);
}

void storage_watch_init(struct storage_watch *watch, struct sluice *sluice)
{
    watch->sluice = sluice;
    snprintf(watch->directory, sizeof(watch->directory), "%s", sluice->config->data.dir);
}
