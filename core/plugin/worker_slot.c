/* worker_slot.c: one worker process, from the spawn by a helper to its end: what it tells, the
 * calls it has, and what becomes of them when it dies. On the host's loop, but for what is marked
 * [helper]. */
#include "plugin/worker_host_state.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define LINES_PER_SECOND 50u
#define EVENTS_PER_TURN  128u

/* ---- its end ---- */

static void slot_free(struct worker_slot *slot)
{
    struct worker_host *host = slot->host;
    sl_poll_free(slot->poll);
    if (slot->worker != NULL && (slot->metrics_count || slot->begun > 0)) {
        worker_metrics_take(&host->config.meter->own, &slot->metrics_seen, slot->worker, false);
    }
    sl_free(slot->metrics_seen);
    slot->metrics_seen = NULL;
    sandbox_worker_close(slot->worker);
    sl_list_remove(&slot->link);
    plugin_version_unref(slot->version);
    if (slot->again.queued == 0) {
        sl_free(slot);
    } else {
        slot->worker = NULL; /* the queued task frees it */
    }
    worker_host_maybe_gone(host);
}

/* Calls that it had go back to the front of the queue; the one it died of is returned. */
struct worker_call *worker_slot_take_back(struct worker_slot *slot,
                                          const struct sandbox_cause *cause)
{
    struct worker_host *host = slot->host;
    struct worker_call *suspect = NULL;
    while (slot->count > 0) {
        slot->count--;
        struct worker_call *call = slot->running[(slot->first + slot->count) % CHANNEL_DEPTH_MAX];
        if (call == NULL) {
            continue;
        }
        call->running = false;
        bool had = cause != NULL && cause->task_running && call->task.id == cause->task_id;
        if (had && (!cause->in_task || call->spared)) {
            suspect = call;
        } else {
            call->spared = call->spared || had;
            sl_list_push_front(&host->queue, &call->link);
        }
    }
    return suspect;
}

static void count_death(struct worker_host *host, uint32_t kind)
{
    stage_count_add(host->config.counts, STAGE_COUNT_DEATHS, 1);
    if (host->config.causes != NULL && kind < SANDBOX_CAUSE_COUNT) {
        uint64_t value = atomic_load_explicit(&host->config.causes[kind], memory_order_relaxed);
        atomic_store_explicit(&host->config.causes[kind], value + 1, memory_order_relaxed);
    }
}

/* Why it ended, for `plugin info`, and what it used. */
static void note_end(struct worker_slot *slot, const struct sandbox_cause *cause, const char *text)
{
    const struct worker_host_config *config = &slot->host->config;
    if (slot->worker != NULL && slot == slot->host->current) {
        worker_host_read_clock(slot->host, slot, false);
    }
    if (cause != NULL && cause->kind == SANDBOX_CAUSE_DENIED) {
        worker_meter_denied(config->meter, cause->syscall);
    }
    stage_error_set(config->counts, sl_os_wall_ms(config->os), text);
}

static void current_died(struct worker_host *host, bool bypass, const char *text)
{
    host->current = NULL;
    host->rest_until_ms = 0;
    worker_shadow_forget(host);
    host->died_of_record = bypass;
    supervisor_exited(&host->supervisor, worker_host_now_ms(host), bypass);
    worker_host_answered(host, SLUICE_E_PLUGIN_CRASHED, text);
    if (!host->closing) {
        worker_queue_fail_urgent(host);
        host->config.events.changed(host->config.events.arg, false, text);
    }
}

/* The process is gone, or never was. cause NULL: the spawn failed, with text. */
static void slot_ended(struct worker_slot *slot, const struct sandbox_cause *cause,
                       const char *text)
{
    struct worker_host *host = slot->host;
    struct worker_call *suspect = worker_slot_take_back(slot, cause);
    struct plugin_version *version = plugin_version_ref(slot->version);
    bool was_next = slot == host->next;
    bool was_current = slot == host->current;
    bool dismissed = slot->dismissed || host->closing;
    uint32_t kind = cause != NULL ? cause->kind : SANDBOX_CAUSE_SETUP;
    sl_err err =
        cause != NULL && cause->status != SLUICE_OK ? cause->status : SLUICE_E_PLUGIN_CRASHED;
    if (!dismissed) {
        count_death(host, kind);
        note_end(slot, cause, text);
    }
    if (was_current && !dismissed) {
        sl_log(host->config.logger, SL_LOG_WARN, host->name, "worker ended",
               sl_log_text("cause", sandbox_cause_name(kind)), sl_log_text("reason", text),
               sl_log_i64("pid", slot->worker != NULL ? sandbox_worker_pid(slot->worker) : 0));
    }
    if (was_next) {
        worker_host_shadow_end(host);
        host->next = NULL;
    }
    host->switching = host->switching && !was_next;
    host->polling++; /* callbacks may submit: not now */
    if (was_current) {
        /* Of a record: the search for it does not wait. Many such deaths pause the stage. */
        current_died(host, suspect != NULL && !suspect->urgent, text);
    }
    if (suspect != NULL) {
        struct worker_outcome outcome = {.err = err,
                                         .text = text,
                                         .fresh = suspect->is_first,
                                         .begun = cause != NULL ? worker_slot_begun(cause->progress)
                                                                : 0};
        worker_queue_finish(suspect, &outcome);
    }
    if (was_next && !dismissed) {
        host->config.events.refused(host->config.events.arg, version, text);
    }
    host->polling--;
    plugin_version_unref(version);
    slot_free(slot);
    if (!host->closing) {
        worker_queue_feed_later(host);
    }
}

void worker_slot_dismiss(struct worker_slot *slot)
{
    slot->dismissed = true;
    slot->state = slot->state == SLOT_SPAWNING ? SLOT_SPAWNING : SLOT_ENDING;
    if (worker_slot_has_process(slot)) {
        sandbox_worker_kill(slot->worker, SANDBOX_CAUSE_STOPPED, "no longer needed");
    }
}

/* ---- what it tells ---- */

static void log_line(struct worker_host *host, int32_t level, uint32_t lost,
                     struct sluice_text line)
{
    int64_t now = worker_host_now_ms(host);
    if (now - host->line_window_ms >= 1000) {
        if (host->lines_lost > 0) {
            sl_log(host->config.logger, SL_LOG_WARN, host->name, "log lines were dropped",
                   sl_log_u64("count", host->lines_lost));
        }
        host->line_window_ms = now;
        host->line_count = 0;
        host->lines_lost = 0;
    }
    host->lines_lost += lost;
    if (host->line_count++ >= LINES_PER_SECOND) {
        host->lines_lost++;
        return;
    }
    char text[SANDBOX_LOG_SIZE_MAX + 1];
    snprintf(text, sizeof(text), "%.*s", (int)SL_MIN(line.size, (uint64_t)SANDBOX_LOG_SIZE_MAX),
             line.data != NULL ? line.data : "");
    for (char *c = text; *c != '\0'; c++) {
        *c = (uint8_t)*c < 0x20 ? ' ' : *c;
    }
    int32_t clamped = SL_MIN(SL_MAX(level, SLUICE_LOG_DEBUG), SLUICE_LOG_ERROR);
    sl_log(host->config.logger, (enum sl_log_level)clamped, host->name, text);
}

static void worker_ready(struct worker_slot *slot, const struct sandbox_event *event)
{
    struct worker_host *host = slot->host;
    if (slot->dismissed) {
        return;
    }
    if (slot == host->current) { /* a restart */
        slot->state = SLOT_RUNNING;
        supervisor_ready(&host->supervisor, worker_host_now_ms(host));
        sl_log(host->config.logger, SL_LOG_INFO, host->name, "worker runs",
               sl_log_i64("pid", sandbox_worker_pid(slot->worker)));
        host->config.events.changed(host->config.events.arg, true, "");
        return;
    }
    slot->state = SLOT_OFFERED;
    host->config.events.ready(host->config.events.arg, slot->version, event);
}

static void task_done(struct worker_slot *slot, const struct sandbox_result *result)
{
    if (slot->count == 0) {
        return; /* the host closes and took its calls back */
    }
    struct worker_call *call = slot->running[slot->first];
    slot->first = (slot->first + 1) % CHANNEL_DEPTH_MAX;
    slot->count--;
    worker_shadow_result(slot->host, result, slot == slot->host->next);
    if (call == NULL) {
        return;
    }
    int64_t elapsed_ns = sl_os_mono_ns(slot->host->config.os) - call->started_ns;
    worker_meter_batch(slot->host->config.meter, elapsed_ns, call->task.limit);
    slot->begun -=
        result->state_missing && !call->task.is_state && slot->begun > 0; /* nothing was done */
    struct worker_outcome outcome = {
        .result = result,
        .text = "",
        .fresh = call->is_first,
        .begun = result->status != SLUICE_OK ? worker_slot_begun(result->progress) : 0,
        .elapsed_ms = elapsed_ns / 1000000,
    };
    worker_queue_finish(call, &outcome);
}

static void copy_text(char *to, size_t size, struct sluice_text text)
{
    snprintf(to, size, "%.*s", (int)SL_MIN(text.size, (uint64_t)size - 1),
             text.data != NULL ? text.data : "");
}

/* True: the slot is gone. */
static bool handle(struct worker_slot *slot, const struct sandbox_event *event)
{
    struct worker_host *host = slot->host;
    char text[SANDBOX_TEXT_SIZE_MAX];
    struct sandbox_cause cause;
    switch (event->kind) {
    case SANDBOX_EVENT_READY:
        worker_ready(slot, event);
        return false;
    case SANDBOX_EVENT_RESULT:
        task_done(slot, &event->result);
        return false;
    case SANDBOX_EVENT_LOG:
        log_line(host, event->log.level, event->log.lost_count, event->log.line);
        if (event->log.denied != NULL) {
            worker_meter_denied(host->config.meter, event->log.denied);
        }
        return false;
    case SANDBOX_EVENT_RECONFIGURED:
        copy_text(text, sizeof(text), event->reply.error);
        if (slot == host->current) {
            worker_host_answered(host, event->reply.status, text);
        }
        return false;
    case SANDBOX_EVENT_EXIT:
        cause = event->exit;
        slot_ended(slot, &cause, cause.text);
        return true;
    default:
        return false;
    }
}

static void slot_readable(void *arg);

static void look_again(struct sl_task *task)
{
    struct worker_slot *slot = SL_CONTAINER_OF(task, struct worker_slot, again);
    if (slot->worker == NULL) {
        sl_free(slot);
        return;
    }
    slot_readable(slot);
}

static void slot_readable(void *arg)
{
    struct worker_slot *slot = arg;
    struct worker_host *host = slot->host;
    struct sandbox_event event;
    bool gone = false;
    uint32_t count = 0;
    host->polling++;
    while (!gone && count < EVENTS_PER_TURN &&
           sandbox_worker_poll(slot->worker, worker_host_now_ms(host), &event)) {
        gone = handle(slot, &event);
        count++;
    }
    host->polling--;
    if (!gone && count == EVENTS_PER_TURN && slot->again.queued == 0) {
        slot->again = (struct sl_task){.run = look_again, .priority = SL_PRIORITY_PROCESSING};
        sl_loop_post(host->config.loop, &slot->again);
    }
    if (!host->closing) {
        worker_queue_feed(host, true);
        worker_host_arm(host);
    }
}

/* ---- its spawn ---- */

_Static_assert((int)PERMISSION_FILE == (int)SANDBOX_RESOURCE_FILE &&
                   (int)PERMISSION_CONNECTION == (int)SANDBOX_RESOURCE_CONNECTION &&
                   (int)PERMISSION_LIBRARY == (int)SANDBOX_RESOURCE_LIBRARY,
               "the same numbers");

/* Of what it has, what the host opens. */
static uint32_t list_resources(const struct plugin_permissions *has,
                               struct sandbox_resource ret_resources[PERMISSIONS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < has->count; i++) {
        if (has->items[i].kind <= PERMISSION_LIBRARY) {
            ret_resources[count++] = (struct sandbox_resource){
                .kind = has->items[i].kind, .name = sluice_text_of(has->items[i].name)};
        }
    }
    return count;
}

/* [helper] */
static void spawn_work(struct sl_job *job)
{
    struct worker_slot *slot = SL_CONTAINER_OF(job, struct worker_slot, job);
    const struct plugin_version *version = slot->version;
    struct sandbox_resource resources[PERMISSIONS_MAX];
    struct sandbox_spawn spawn = {
        .resources = resources,
        .resource_count = list_resources(&version->has, resources),
        .observe = version->observe,
        .instance = sluice_text_of(version->instance),
        .module = &version->module->staged,
        .config_json = sluice_text_of(version->config_json),
        .script_name = sluice_text_of(version->file),
        .script = {version->script, version->script_size},
        .write_metrics = plugin_permission_has(
            &version->has, &(struct plugin_permission){.kind = PERMISSION_WRITE_METRICS}),
        .broker_config_json = sluice_text_of(version->broker_config_json),
        .limits = version->limits,
        .geometry = version->geometry,
        .cpu = -1,
        /* The stage checks what the plugin emits to: its attachment is known only after this. */
        .outputs_any = true,
    };
    slot->spawn_err =
        sandbox_worker_spawn(slot->host->config.sandbox, &spawn, worker_host_now_ms(slot->host),
                             &slot->worker, slot->spawn_text, sizeof(slot->spawn_text));
}

static void spawn_done(struct sl_job *job)
{
    struct worker_slot *slot = SL_CONTAINER_OF(job, struct worker_slot, job);
    struct worker_host *host = slot->host;
    sl_err err = slot->spawn_err;
    if (err == SLUICE_OK) {
        stage_count_add(host->config.counts, STAGE_COUNT_STARTS, 1);
        err = sl_poll_new(host->config.loop, sandbox_worker_fd(slot->worker), slot_readable, slot,
                          &slot->poll);
        if (err != SLUICE_OK) {
            snprintf(slot->spawn_text, sizeof(slot->spawn_text), "cannot be watched: %s",
                     sl_status_text(err));
        }
    }
    if (err != SLUICE_OK) {
        char text[SANDBOX_TEXT_SIZE_MAX];
        memcpy(text, slot->spawn_text, sizeof(text));
        slot_ended(slot, NULL, text);
    } else {
        slot->state = SLOT_LOADING;
        if (slot->dismissed) {
            worker_slot_dismiss(slot);
        }
        slot_readable(slot);
        return;
    }
    if (!host->closing) {
        worker_host_arm(host);
    }
}

struct worker_slot *worker_slot_new(struct worker_host *host, struct plugin_version *version)
{
    struct worker_slot *slot = sl_alloc_zero(1, sizeof(*slot));
    if (slot == NULL) {
        return NULL;
    }
    slot->host = host;
    slot->version = plugin_version_ref(version);
    slot->state = SLOT_SPAWNING;
    sl_link_init(&slot->link);
    sl_list_push_back(&host->slots, &slot->link);
    slot->job = (struct sl_job){.work = spawn_work, .done = spawn_done};
    slot->job.task.priority = SL_PRIORITY_PROCESSING;
    sl_helpers_submit(host->config.os, host->config.loop, &slot->job);
    return slot;
}
