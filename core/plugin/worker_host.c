/* worker_host.c: see worker_host.h. A slot is one process, from the spawn to its end. */
#include "plugin/worker_host.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define LINES_PER_SECOND 50u
#define EVENTS_PER_TURN  128u
#define URGENT_KILL_MIN_MS                                                       \
    1000u /* a gate's producer is answered at its deadline; its worker is killed \
             when it does not come back at all */
#define TEXT_BYTES SANDBOX_TEXT_SIZE_MAX

enum slot_state {
    SLOT_SPAWNING, /* a helper starts the process */
    SLOT_LOADING,
    SLOT_OFFERED, /* READY, the owner decides */
    SLOT_RUNNING,
    SLOT_ENDING, /* drains, or was killed */
};

struct worker_slot {
    struct sl_link link; /* in host->slots */
    struct worker_host *host;
    struct plugin_version *version; /* referenced */
    enum slot_state state;
    bool dismissed; /* its end is wanted: no death */
    struct sandbox_worker *worker;
    struct sl_poll *poll;
    struct sl_job job; /* the spawn */
    struct sl_task again;
    sl_err spawn_err;
    char spawn_text[TEXT_BYTES];
    struct worker_call *running[CHANNEL_DEPTH_MAX]; /* ring in order; NULL: cancelled */
    uint32_t first;
    uint32_t count;
};

struct worker_host {
    struct worker_port port;
    struct worker_host_config config;
    char name[MANIFEST_ID_BYTES];
    struct sl_list slots;
    struct worker_slot *current;
    struct worker_slot *next;
    bool switching;                       /* next was accepted */
    struct plugin_version *version;       /* of current, and of its restarts; referenced */
    struct plugin_version *reconfiguring; /* referenced */
    struct supervisor supervisor;
    struct sl_list queue;  /* calls that wait */
    struct sl_list urgent; /* pending urgent calls, oldest first */
    struct sl_timer *timer;
    struct sl_task feed_task;
    uint32_t polling; /* inside the events of a worker: nothing is submitted */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    int64_t line_window_ms;
    uint32_t line_count;
    uint64_t lines_lost;
    uint64_t next_id;
};

static void feed(struct worker_host *host, bool may_finish);
static void feed_later(struct worker_host *host);
static void arm(struct worker_host *host);

static int64_t now_ms(const struct worker_host *host)
{
    return sl_os_mono_ns(host->config.os) / 1000000;
}

/* ---- calls ---- */

static void finish(struct worker_call *call, const struct worker_outcome *outcome)
{
    sl_list_remove(&call->link);
    sl_list_remove(&call->urgent_link);
    call->pending = false;
    call->running = false;
    call->done(call, outcome);
}

static void fail(struct worker_call *call, sl_err err, const char *text)
{
    struct worker_outcome outcome = {.err = err, .text = text};
    finish(call, &outcome);
}

static struct worker_call *call_of(struct sl_link *link)
{
    return SL_CONTAINER_OF(link, struct worker_call, link);
}

static void fail_all(struct worker_host *host, sl_err err, const char *text)
{
    struct sl_link *link = NULL;
    while ((link = sl_list_pop_front(&host->queue)) != NULL) {
        fail(call_of(link), err, text);
    }
}

/* Producers do not wait for a worker to come. */
static void fail_urgent(struct worker_host *host)
{
    SL_LIST_EACH_SAFE(&host->queue, link)
    {
        if (call_of(link)->urgent) {
            fail(call_of(link), SLUICE_E_BUSY, "no worker is ready");
        }
    }
}

static void forget_running(struct worker_host *host, const struct worker_call *call)
{
    SL_LIST_EACH(&host->slots, link)
    {
        struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        for (uint32_t i = 0; i < slot->count; i++) {
            uint32_t at = (slot->first + i) % CHANNEL_DEPTH_MAX;
            if (slot->running[at] == call) {
                slot->running[at] = NULL;
            }
        }
    }
}

static void fail_late(struct worker_host *host, int64_t at_ms)
{
    struct sl_link *link = NULL;
    while ((link = sl_list_first(&host->urgent)) != NULL) {
        struct worker_call *call = SL_CONTAINER_OF(link, struct worker_call, urgent_link);
        if (call->deadline_ms > at_ms) {
            return;
        }
        if (call->running) {
            forget_running(host, call);
        }
        fail(call, SLUICE_E_TIMEOUT, "the deadline passed");
    }
}

static void port_submit(struct worker_port *port, struct worker_call *call)
{
    struct worker_host *host = SL_CONTAINER_OF(port, struct worker_host, port);
    SL_ASSERT(!call->pending);
    call->pending = true;
    call->running = false;
    sl_list_push_back(&host->queue, &call->link);
    if (call->urgent) {
        call->deadline_ms = now_ms(host) + call->task.timeout_ms;
        sl_list_push_back(&host->urgent, &call->urgent_link);
    }
    feed(host, false);
    arm(host);
}

static void port_cancel(struct worker_port *port, struct worker_call *call)
{
    struct worker_host *host = SL_CONTAINER_OF(port, struct worker_host, port);
    if (!call->pending) {
        return;
    }
    if (call->running) {
        forget_running(host, call);
    }
    sl_list_remove(&call->link);
    sl_list_remove(&call->urgent_link);
    call->pending = call->running = false;
}

/* ---- the end of a slot ---- */

static void host_gone(struct sl_task *task)
{
    struct worker_host *host = SL_CONTAINER_OF(task, struct worker_host, feed_task);
    void (*closed)(void *arg) = host->closed;
    void *arg = host->closed_arg;
    sl_timer_free(host->timer);
    plugin_version_unref(host->version);
    plugin_version_unref(host->reconfiguring);
    sl_free(host);
    if (closed != NULL) {
        closed(arg);
    }
}

static void maybe_gone(struct worker_host *host)
{
    if (host->closing && sl_list_is_empty(&host->slots) && host->feed_task.queued == 0) {
        host->feed_task.run = host_gone;
        sl_loop_post(host->config.loop, &host->feed_task);
    }
}

static void slot_free(struct worker_slot *slot)
{
    struct worker_host *host = slot->host;
    sl_poll_free(slot->poll);
    sandbox_worker_close(slot->worker);
    sl_list_remove(&slot->link);
    plugin_version_unref(slot->version);
    if (slot->again.queued == 0) {
        sl_free(slot);
    } else {
        slot->worker = NULL; /* the queued task frees it */
    }
    maybe_gone(host);
}

/* Calls that it had go back to the front of the queue; the one it died of is returned. */
static struct worker_call *take_back(struct worker_slot *slot, const struct sandbox_cause *cause)
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
        if (cause != NULL && cause->task_running && call->task.id == cause->task_id) {
            suspect = call;
        } else {
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

static void reconfigure_ended(struct worker_host *host, sl_err err, const char *text)
{
    struct plugin_version *version = host->reconfiguring;
    host->reconfiguring = NULL;
    if (version == NULL) {
        return;
    }
    if (err == SLUICE_OK) {
        plugin_version_unref(host->version);
        host->version = version;
    } else {
        plugin_version_unref(version);
    }
    host->config.events.reconfigured(host->config.events.arg, err, text);
}

static void current_died(struct worker_host *host, bool bypass, const char *text)
{
    host->current = NULL;
    supervisor_exited(&host->supervisor, now_ms(host), bypass);
    reconfigure_ended(host, SLUICE_E_PLUGIN_CRASHED, text);
    if (!host->closing) {
        fail_urgent(host);
        host->config.events.changed(host->config.events.arg, false, text);
    }
}

/* The process is gone, or never was. cause NULL: the spawn failed, with text. */
static void slot_ended(struct worker_slot *slot, const struct sandbox_cause *cause,
                       const char *text)
{
    struct worker_host *host = slot->host;
    struct worker_call *suspect = take_back(slot, cause);
    struct plugin_version *version = plugin_version_ref(slot->version);
    bool was_next = slot == host->next;
    bool was_current = slot == host->current;
    bool dismissed = slot->dismissed || host->closing;
    uint32_t kind = cause != NULL ? cause->kind : SANDBOX_CAUSE_SETUP;
    sl_err err =
        cause != NULL && cause->status != SLUICE_OK ? cause->status : SLUICE_E_PLUGIN_CRASHED;
    if (!dismissed) {
        count_death(host, kind);
    }
    if (was_current && !dismissed) {
        sl_log(host->config.logger, SL_LOG_WARN, host->name, "worker ended",
               sl_log_text("cause", sandbox_cause_name(kind)), sl_log_text("reason", text),
               sl_log_i64("pid", slot->worker != NULL ? sandbox_worker_pid(slot->worker) : 0));
    }
    host->next = was_next ? NULL : host->next;
    host->switching = host->switching && !was_next;
    host->polling++; /* callbacks may submit: not now */
    if (was_current) {
        current_died(host, suspect != NULL && suspect->bisecting, text);
    }
    if (suspect != NULL) {
        fail(suspect, err, text);
    }
    if (was_next && !dismissed) {
        host->config.events.refused(host->config.events.arg, version, text);
    }
    host->polling--;
    plugin_version_unref(version);
    slot_free(slot);
    if (!host->closing) {
        feed_later(host);
    }
}

static void dismiss(struct worker_slot *slot)
{
    slot->dismissed = true;
    slot->state = slot->state == SLOT_SPAWNING ? SLOT_SPAWNING : SLOT_ENDING;
    if (slot->worker != NULL && slot->state != SLOT_SPAWNING) {
        sandbox_worker_kill(slot->worker, SANDBOX_CAUSE_STOPPED, "no longer needed");
    }
}

/* ---- switching ---- */

static void retire(struct worker_slot *slot)
{
    slot->dismissed = true;
    bool drains = slot->state == SLOT_RUNNING &&
                  sandbox_worker_drain(slot->worker, now_ms(slot->host)) == SLUICE_OK;
    if (drains) {
        slot->state = SLOT_ENDING;
    } else {
        dismiss(slot);
    }
}

/* At a batch boundary: nothing is in flight in the old one. */
static void switch_if_due(struct worker_host *host)
{
    if (!host->switching || (host->current != NULL && host->current->count > 0)) {
        return;
    }
    struct worker_slot *old = host->current;
    host->switching = false;
    host->current = host->next;
    host->next = NULL;
    host->current->state = SLOT_RUNNING;
    plugin_version_unref(host->version);
    host->version = plugin_version_ref(host->current->version);
    supervisor_reset(&host->supervisor);
    supervisor_started(&host->supervisor, now_ms(host));
    supervisor_ready(&host->supervisor, now_ms(host));
    if (old != NULL) {
        retire(old);
    }
    host->config.events.changed(host->config.events.arg, true, "");
}

/* ---- events of a worker ---- */

static void log_line(struct worker_host *host, int32_t level, uint32_t lost,
                     struct sluice_text line)
{
    int64_t now = now_ms(host);
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
        supervisor_ready(&host->supervisor, now_ms(host));
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
    if (call == NULL) {
        return;
    }
    struct worker_outcome outcome = {
        .result = result,
        .text = "",
        .elapsed_ms = now_ms(slot->host) - call->started_ms,
    };
    finish(call, &outcome);
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
    char text[TEXT_BYTES];
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
        return false;
    case SANDBOX_EVENT_RECONFIGURED:
        copy_text(text, sizeof(text), event->reply.error);
        reconfigure_ended(host, event->reply.status, text);
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
           sandbox_worker_poll(slot->worker, now_ms(host), &event)) {
        gone = handle(slot, &event);
        count++;
    }
    host->polling--;
    if (!gone && count == EVENTS_PER_TURN && slot->again.queued == 0) {
        slot->again = (struct sl_task){.run = look_again, .priority = SL_PRIORITY_PROCESSING};
        sl_loop_post(host->config.loop, &slot->again);
    }
    if (!host->closing) {
        feed(host, true);
        arm(host);
    }
}

/* ---- spawning ---- */

/* [helper] */
static void spawn_work(struct sl_job *job)
{
    struct worker_slot *slot = SL_CONTAINER_OF(job, struct worker_slot, job);
    const struct plugin_version *version = slot->version;
    struct sluice_text outputs[PLUGIN_OUTPUTS_MAX];
    for (uint32_t i = 0; i < version->output_count; i++) {
        outputs[i] = sluice_text_of(version->outputs[i]);
    }
    struct sandbox_spawn spawn = {
        .instance = sluice_text_of(version->instance),
        .module = &version->module->staged,
        .config_json = sluice_text_of(version->config_json),
        .script_name = sluice_text_of(version->file),
        .script = {version->script, version->script_size},
        .limits = version->limits,
        .geometry = version->geometry,
        .cpu = -1,
        .outputs_any = version->outputs_any,
        .output_count = version->output_count,
        .outputs = outputs,
    };
    slot->spawn_err =
        sandbox_worker_spawn(slot->host->config.sandbox, &spawn, now_ms(slot->host), &slot->worker,
                             slot->spawn_text, sizeof(slot->spawn_text));
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
        char text[TEXT_BYTES];
        memcpy(text, slot->spawn_text, sizeof(text));
        slot_ended(slot, NULL, text);
    } else {
        slot->state = SLOT_LOADING;
        if (slot->dismissed) {
            dismiss(slot);
        }
        slot_readable(slot);
        return;
    }
    if (!host->closing) {
        arm(host);
    }
}

static struct worker_slot *slot_new(struct worker_host *host, struct plugin_version *version)
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

static void restart_if_due(struct worker_host *host)
{
    if (host->current != NULL || host->version == NULL || host->closing ||
        !supervisor_due(&host->supervisor, now_ms(host))) {
        return;
    }
    supervisor_started(&host->supervisor, now_ms(host));
    host->current = slot_new(host, host->version);
    if (host->current == NULL) {
        supervisor_exited(&host->supervisor, now_ms(host), false);
    }
}

/* ---- feeding ---- */

/* True: go on with the next call. */
static bool start_call(struct worker_host *host, struct worker_call *call, bool may_finish)
{
    struct worker_slot *slot = host->current;
    struct sandbox_task task = call->task;
    task.id = call->task.id = ++host->next_id;
    if (call->urgent) {
        task.timeout_ms = SL_MAX(task.timeout_ms * 4, URGENT_KILL_MIN_MS);
    }
    sl_err err = sandbox_worker_submit(slot->worker, &task, now_ms(host));
    if (err == SLUICE_OK) {
        sl_list_remove(&call->link);
        call->running = true;
        call->started_ms = now_ms(host);
        slot->running[(slot->first + slot->count) % CHANNEL_DEPTH_MAX] = call;
        slot->count++;
        return true;
    }
    if (err == SLUICE_E_BUSY || err == SLUICE_E_PLUGIN_CRASHED) {
        return false; /* its end is on the way */
    }
    if (!may_finish) {
        return false;
    }
    fail(call, err,
         err == SLUICE_E_LIMIT ? "the records are larger than a worker takes"
                               : sl_status_text(err));
    return true;
}

static void run_feed(struct sl_task *task)
{
    struct worker_host *host = SL_CONTAINER_OF(task, struct worker_host, feed_task);
    if (host->closing) {
        maybe_gone(host);
        return;
    }
    feed(host, true);
    arm(host);
}

static void feed_later(struct worker_host *host)
{
    if (host->feed_task.queued == 0 && !host->closing) {
        host->feed_task.run = run_feed;
        host->feed_task.priority = SL_PRIORITY_PROCESSING;
        sl_loop_post(host->config.loop, &host->feed_task);
    }
}

static bool is_running(const struct worker_host *host)
{
    return host->current != NULL && host->current->state == SLOT_RUNNING;
}

static void feed(struct worker_host *host, bool may_finish)
{
    if (host->polling > 0 || host->closing) {
        return;
    }
    switch_if_due(host);
    restart_if_due(host);
    if (!is_running(host)) {
        if (may_finish) {
            fail_urgent(host);
        } else if (!sl_list_is_empty(&host->urgent)) {
            feed_later(host);
        }
        return;
    }
    uint32_t depth = host->current->version->geometry.depth;
    struct sl_link *link = NULL;
    while (!host->switching && host->current != NULL && host->current->count < depth &&
           (link = sl_list_first(&host->queue)) != NULL) {
        if (!start_call(host, call_of(link), may_finish)) {
            if (!may_finish) {
                feed_later(host);
            }
            return;
        }
    }
}

/* ---- time ---- */

static int64_t next_due(const struct worker_host *host)
{
    int64_t due = INT64_MAX;
    SL_LIST_EACH(&host->slots, link)
    {
        const struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        if (slot->worker != NULL && slot->state != SLOT_SPAWNING) {
            due = SL_MIN(due, sandbox_worker_deadline(slot->worker));
        }
    }
    if (host->current == NULL && host->version != NULL) {
        due = SL_MIN(due, supervisor_due_at(&host->supervisor));
    }
    struct sl_link *first = sl_list_first(&host->urgent);
    if (first != NULL) {
        due = SL_MIN(due, SL_CONTAINER_OF(first, struct worker_call, urgent_link)->deadline_ms);
    }
    return due;
}

static void arm(struct worker_host *host)
{
    int64_t due = next_due(host);
    if (due == INT64_MAX) {
        sl_timer_stop(host->timer);
        return;
    }
    int64_t delay_ms = SL_MAX(due - now_ms(host), (int64_t)0);
    sl_timer_start(host->timer, delay_ms * 1000000 + 500000);
}

static void timer_fired(void *arg)
{
    struct worker_host *host = arg;
    int64_t now = now_ms(host);
    SL_LIST_EACH_SAFE(&host->slots, link)
    {
        struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        if (slot->worker != NULL && slot->state != SLOT_SPAWNING) {
            (void)sandbox_worker_expire(slot->worker, now);
        }
    }
    if (!host->closing) {
        fail_late(host, now);
        feed(host, true);
    }
    arm(host);
}

/* ---- the owner ---- */

sl_err worker_host_new(const struct worker_host_config *config, struct worker_host **ret_host)
{
    struct worker_host *host = sl_alloc_zero(1, sizeof(*host));
    if (host == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    host->config = *config;
    snprintf(host->name, sizeof(host->name), "%s", config->name);
    host->port = (struct worker_port){.submit = port_submit, .cancel = port_cancel};
    sl_list_init(&host->slots);
    sl_list_init(&host->queue);
    sl_list_init(&host->urgent);
    struct supervisor_policy policy = SUPERVISOR_POLICY_DEFAULT;
    supervisor_init(&host->supervisor, &policy);
    sl_err err = sl_timer_new(config->loop, timer_fired, host, &host->timer);
    if (err != SLUICE_OK) {
        sl_free(host);
        return err;
    }
    *ret_host = host;
    return SLUICE_OK;
}

struct worker_port *worker_host_port(struct worker_host *host)
{
    return &host->port;
}

void worker_host_load(struct worker_host *host, struct plugin_version *version)
{
    if (host->next != NULL) {
        worker_host_refuse(host);
    }
    host->next = slot_new(host, version);
    if (host->next == NULL) {
        host->config.events.refused(host->config.events.arg, version, "out of memory");
    }
}

void worker_host_accept(struct worker_host *host)
{
    SL_ASSERT(host->next != NULL && host->next->state == SLOT_OFFERED);
    host->switching = true;
    feed_later(host);
}

void worker_host_refuse(struct worker_host *host)
{
    if (host->next != NULL) {
        struct worker_slot *slot = host->next;
        host->next = NULL;
        host->switching = false;
        dismiss(slot);
    }
}

void worker_host_adopt(struct worker_host *host, struct plugin_version *version)
{
    if (host->current != NULL) {
        worker_host_load(host, version);
        return;
    }
    plugin_version_unref(host->version);
    host->version = plugin_version_ref(version);
    supervisor_reset(&host->supervisor);
    feed_later(host);
}

sl_err worker_host_reconfigure(struct worker_host *host, struct plugin_version *version)
{
    if (host->reconfiguring != NULL) {
        return SLUICE_E_BUSY;
    }
    if (!is_running(host)) {
        return SLUICE_E_NOT_FOUND;
    }
    sl_err err = sandbox_worker_reconfigure(host->current->worker,
                                            sluice_text_of(version->config_json), now_ms(host));
    if (err == SLUICE_OK) {
        host->reconfiguring = plugin_version_ref(version);
        arm(host);
    }
    return err;
}

bool worker_host_is_running(const struct worker_host *host)
{
    return is_running(host);
}

void worker_host_retry(struct worker_host *host)
{
    if (host->current == NULL) {
        supervisor_reset(&host->supervisor);
        feed_later(host);
    }
}

int32_t worker_host_pid(const struct worker_host *host)
{
    return is_running(host) ? sandbox_worker_pid(host->current->worker) : 0;
}

uint64_t worker_host_cpu_ns(const struct worker_host *host)
{
    return is_running(host) ? sandbox_worker_cpu_ns(host->current->worker) : 0;
}

void worker_host_close(struct worker_host *host, void (*closed)(void *arg), void *arg)
{
    host->closing = true;
    host->closed = closed;
    host->closed_arg = arg;
    sl_timer_stop(host->timer);
    SL_LIST_EACH(&host->slots, link)
    {
        struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        struct worker_call *suspect = take_back(slot, NULL);
        SL_ASSERT(suspect == NULL);
        /* take_back empties the ring: results still on their way find no call. */
        dismiss(slot);
    }
    fail_all(host, SLUICE_E_STOPPING, "the instance ends");
    maybe_gone(host);
}
