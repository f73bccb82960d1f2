/* worker_host.c: see worker_host.h: what the owner asks for, the switch from one version to the
 * next, and the one timer. Processes are in worker_slot.c, calls in worker_queue.c. */
#include "plugin/worker_host_state.h"

#include "base/status.h"

#include <stdio.h>

#define MEMORY_LOOK_NS 5000000000 /* between two looks at what a worker's memory is */

static void host_gone(struct sl_task *task)
{
    struct worker_host *host = SL_CONTAINER_OF(task, struct worker_host, feed_task);
    void (*closed)(void *arg) = host->closed;
    void *arg = host->closed_arg;
    sl_timer_free(host->timer);
    plugin_version_unref(host->version);
    plugin_version_unref(host->proposed);
    sl_free(host);
    if (closed != NULL) {
        closed(arg);
    }
}

void worker_host_maybe_gone(struct worker_host *host)
{
    if (host->closing && sl_list_is_empty(&host->slots) && host->feed_task.queued == 0) {
        host->feed_task.run = host_gone;
        sl_loop_post(host->config.loop, &host->feed_task);
    }
}

/* ---- switching ---- */

static void retire(struct worker_slot *slot)
{
    slot->dismissed = true;
    bool drains = slot->state == SLOT_RUNNING &&
                  sandbox_worker_drain(slot->worker, worker_host_now_ms(slot->host)) == SLUICE_OK;
    if (drains) {
        slot->state = SLOT_ENDING;
    } else {
        worker_slot_dismiss(slot);
    }
}

static void become_now(struct worker_host *host)
{
    struct worker_slot *old = host->current;
    host->becoming = false;
    host->current = NULL;
    host->rest_until_ms = 0;
    worker_shadow_forget(host);
    supervisor_reset(&host->supervisor);
    if (old != NULL) {
        retire(old);
    }
    host->config.events.switched(host->config.events.arg);
}

/* At a batch boundary: nothing is in flight in the old one. */
void worker_host_switch_if_due(struct worker_host *host)
{
    if (host->current != NULL && host->current->count > 0) {
        return;
    }
    if (host->becoming) {
        become_now(host);
        return;
    }
    if (!host->switching) {
        return;
    }
    struct worker_slot *old = host->current;
    host->switching = false;
    host->current = host->next;
    host->next = NULL;
    host->current->state = SLOT_RUNNING;
    host->current->metrics_count = true; /* but not what it did in a shadow run */
    worker_metrics_take(&host->config.meter->own, &host->current->metrics_seen,
                        host->current->worker, true);
    plugin_version_unref(host->version);
    host->version = plugin_version_ref(host->current->version);
    supervisor_reset(&host->supervisor);
    supervisor_started(&host->supervisor, worker_host_now_ms(host));
    supervisor_ready(&host->supervisor, worker_host_now_ms(host));
    if (old != NULL) {
        retire(old);
    }
    host->config.events.changed(host->config.events.arg, true, "");
    host->config.events.switched(host->config.events.arg);
}

void worker_host_restart_if_due(struct worker_host *host)
{
    if (host->current != NULL || host->version == NULL || host->closing ||
        !supervisor_due(&host->supervisor, worker_host_now_ms(host))) {
        return;
    }
    supervisor_started(&host->supervisor, worker_host_now_ms(host));
    host->current = worker_slot_new(host, host->version);
    if (host->current == NULL) {
        supervisor_exited(&host->supervisor, worker_host_now_ms(host), false);
    }
}

/* ---- time ---- */

static int64_t next_due(const struct worker_host *host)
{
    int64_t due = INT64_MAX;
    SL_LIST_EACH(&host->slots, link)
    {
        const struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        if (worker_slot_has_process(slot)) {
            due = SL_MIN(due, sandbox_worker_deadline(slot->worker));
        }
    }
    if (host->current == NULL && host->version != NULL) {
        due = SL_MIN(due, supervisor_due_at(&host->supervisor));
    }
    if (worker_host_is_running(host) && host->rest_until_ms != 0 &&
        !sl_list_is_empty(&host->queue)) {
        due = SL_MIN(due, host->rest_until_ms);
    }
    struct sl_link *first = sl_list_first(&host->urgent);
    if (first != NULL) {
        due = SL_MIN(due, SL_CONTAINER_OF(first, struct worker_call, urgent_link)->deadline_ms);
    }
    return due;
}

void worker_host_arm(struct worker_host *host)
{
    int64_t due = next_due(host);
    if (due == INT64_MAX) {
        sl_timer_stop(host->timer);
        return;
    }
    int64_t delay_ms = SL_MAX(due - worker_host_now_ms(host), (int64_t)0);
    sl_timer_start(host->timer, delay_ms * 1000000 + 500000);
}

static void timer_fired(void *arg)
{
    struct worker_host *host = arg;
    int64_t now = worker_host_now_ms(host);
    SL_LIST_EACH_SAFE(&host->slots, link)
    {
        struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        if (worker_slot_has_process(slot)) {
            (void)sandbox_worker_expire(slot->worker, now);
        }
    }
    if (!host->closing) {
        worker_queue_fail_late(host, now);
        worker_queue_feed(host, true);
    }
    worker_host_arm(host);
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
    host->port = (struct worker_port){.submit = worker_queue_submit, .cancel = worker_queue_cancel};
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
    host->next = worker_slot_new(host, version);
    if (host->next == NULL) {
        host->config.events.refused(host->config.events.arg, version, "out of memory");
    }
}

void worker_host_accept(struct worker_host *host)
{
    SL_ASSERT(host->next != NULL && host->next->state == SLOT_OFFERED);
    worker_host_shadow_end(host);
    host->switching = true;
    worker_queue_feed_later(host);
}

void worker_host_refuse(struct worker_host *host)
{
    worker_host_shadow_end(host);
    if (host->next != NULL) {
        struct worker_slot *slot = host->next;
        host->next = NULL;
        host->switching = false;
        worker_slot_dismiss(slot);
    }
}

bool worker_host_offers(const struct worker_host *host, const struct plugin_version *version)
{
    return host->next != NULL && host->next->state == SLOT_OFFERED && !host->switching &&
           host->next->version == version;
}

void worker_host_become(struct worker_host *host, struct plugin_version *version)
{
    worker_host_refuse(host);
    plugin_version_ref(version);
    plugin_version_unref(host->version);
    host->version = version;
    host->becoming = true;
    worker_queue_feed_later(host);
}

void worker_host_hold(struct worker_host *host, bool held)
{
    host->held = held;
    worker_queue_feed_later(host);
}

const struct plugin_version *worker_host_version(const struct worker_host *host)
{
    return host->version;
}

/* ---- a configuration ---- */

static void answer(struct worker_host *host, sl_err err, const char *text)
{
    bool took = host->current != NULL && host->current->version == host->proposed;
    host->proposal = PROPOSAL_ANSWERED;
    host->config.events.reconfigured(host->config.events.arg, err, text, took);
}

static sl_err tell(struct worker_host *host, const struct plugin_version *version)
{
    sl_err err = sandbox_worker_reconfigure(
        host->current->worker, sluice_text_of(version->config_json), worker_host_now_ms(host));
    worker_host_arm(host);
    return err;
}

void worker_host_reconfigure(struct worker_host *host, struct plugin_version *version)
{
    SL_ASSERT(host->proposal == PROPOSAL_NONE);
    host->proposed = plugin_version_ref(version);
    host->proposal = PROPOSAL_WAITS;
    worker_queue_feed_later(host);
}

void worker_host_ask_if_due(struct worker_host *host)
{
    if (host->proposal != PROPOSAL_WAITS || host->switching || host->becoming ||
        (host->current != NULL && host->current->count > 0)) {
        return;
    }
    if (!worker_host_is_running(host)) {
        answer(host, SLUICE_OK, "");
        return;
    }
    host->proposal = PROPOSAL_ASKED;
    sl_err err = tell(host, host->proposed);
    if (err != SLUICE_OK) {
        answer(host, err, sl_status_text(err));
    }
}

/* Batches begin again. */
static void proposal_ended(struct worker_host *host)
{
    host->proposed = plugin_version_unref(host->proposed);
    host->proposal = PROPOSAL_NONE;
    host->becoming =
        host->becoming || (host->current != NULL && host->current->version != host->version);
    worker_queue_feed_later(host);
}

static void slot_took(struct worker_slot *slot, struct plugin_version *version)
{
    plugin_version_ref(version);
    plugin_version_unref(slot->version);
    slot->version = version;
}

void worker_host_answered(struct worker_host *host, sl_err err, const char *text)
{
    if (host->proposal == PROPOSAL_ASKED) {
        if (err == SLUICE_OK) {
            slot_took(host->current, host->proposed);
        }
        answer(host, err, text);
    } else if (host->proposal == PROPOSAL_BACK) {
        if (err == SLUICE_OK) {
            slot_took(host->current, host->version);
        }
        proposal_ended(host); /* one that does not take it back goes */
        host->config.events.reconfigured(host->config.events.arg, SLUICE_OK, "", false);
    }
}

void worker_host_keep(struct worker_host *host)
{
    SL_ASSERT(host->proposal == PROPOSAL_ANSWERED);
    plugin_version_unref(host->version);
    host->version = plugin_version_ref(host->proposed);
    proposal_ended(host);
}

void worker_host_give_back(struct worker_host *host)
{
    SL_ASSERT(host->proposal == PROPOSAL_ANSWERED);
    bool took = worker_host_is_running(host) && host->current->version == host->proposed;
    host->proposal = PROPOSAL_BACK;
    if (!took || tell(host, host->version) != SLUICE_OK) {
        worker_host_answered(host, SLUICE_E_PLUGIN_CRASHED, "");
    }
}

bool worker_host_is_loading(const struct worker_host *host)
{
    return host->next != NULL;
}

bool worker_host_is_running(const struct worker_host *host)
{
    return host->current != NULL && host->current->state == SLOT_RUNNING;
}

int32_t worker_host_pid(const struct worker_host *host)
{
    return worker_host_is_running(host) ? sandbox_worker_pid(host->current->worker) : 0;
}

uint64_t worker_host_cpu_ns(const struct worker_host *host)
{
    return worker_host_is_running(host) ? sandbox_worker_cpu_ns(host->current->worker) : 0;
}

uint64_t worker_host_rss_bytes(const struct worker_host *host)
{
    return worker_host_is_running(host) ? sandbox_worker_rss_bytes(host->current->worker) : 0;
}

const struct sandbox_report *worker_host_report(const struct worker_host *host)
{
    return worker_host_is_running(host) ? sandbox_worker_report(host->current->worker) : NULL;
}

uint64_t worker_host_observed(const struct worker_host *host)
{
    return worker_host_is_running(host) ? sandbox_worker_observed(host->current->worker) : 0;
}

void worker_host_read_clock(struct worker_host *host, const struct worker_slot *slot, bool rests)
{
    struct worker_meter *meter = host->config.meter;
    worker_meter_cpu(meter, sandbox_worker_pid(slot->worker),
                     sandbox_worker_cpu_seen_ns(slot->worker));
    if (rests || meter->rest_since_ns != 0) {
        worker_meter_rest(meter, rests, sl_os_mono_ns(host->config.os));
    }
}

static uint32_t workers_of(const struct worker_host *host)
{
    uint32_t count = 0;
    SL_LIST_EACH(&host->slots, link)
    {
        count += worker_slot_has_process(SL_CONTAINER_OF(link, struct worker_slot, link));
    }
    return count;
}

/* CPU, share, memory; and whether it keeps to its share without a batch. */
static void measure_worker(struct worker_host *host, int64_t now_ns, bool exactly)
{
    struct worker_meter *meter = host->config.meter;
    const struct sandbox_worker *worker = host->current->worker;
    const struct sandbox_limits *limits = &sandbox_worker_report(worker)->limits;
    worker_meter_cpu(meter, sandbox_worker_pid(worker), sandbox_worker_cpu_ns(worker));
    if (meter->rest_since_ns != 0) {
        worker_meter_rest(meter, worker_host_rests(host), now_ns);
    }
    if (exactly || now_ns - meter->memory_ns > MEMORY_LOOK_NS) { /* a file to read */
        meter->memory_ns = now_ns;
        worker_meter_set(meter, PLUGIN_GAUGE_MEMORY, sandbox_worker_rss_bytes(worker));
    }
    host->current->metrics_count = true;
    worker_metrics_take(&meter->own, &host->current->metrics_seen, worker, false);
    sandbox_worker_watch_idle(host->current->worker, now_ns / 1000000);
    worker_meter_set(meter, PLUGIN_GAUGE_MEMORY_LIMIT, limits->memory_bytes_max);
    worker_meter_set(meter, PLUGIN_GAUGE_CPU_LIMIT, (uint64_t)limits->cpu_percent * 10000);
}

void worker_host_measure(struct worker_host *host, bool exactly)
{
    struct worker_meter *meter = host->config.meter;
    int64_t now_ns = sl_os_mono_ns(host->config.os);
    uint64_t queued = 0;
    SL_LIST_EACH(&host->queue, link)
    {
        queued++;
    }
    worker_meter_set(meter, PLUGIN_GAUGE_QUEUED, queued);
    worker_meter_set(meter, PLUGIN_GAUGE_RUNNING, host->current != NULL ? host->current->count : 0);
    worker_meter_set(meter, PLUGIN_GAUGE_WORKERS, workers_of(host));
    if (worker_host_is_running(host)) {
        measure_worker(host, now_ns, exactly);
    } else {
        worker_meter_set(meter, PLUGIN_GAUGE_MEMORY, 0);
        meter->memory_ns = 0;
    }
    worker_meter_share(meter, now_ns);
}

bool worker_host_died_of_record(const struct worker_host *host)
{
    return host->died_of_record;
}

bool worker_host_rests(const struct worker_host *host)
{
    return worker_host_is_running(host) && host->rest_until_ms > worker_host_now_ms(host);
}

void worker_host_close(struct worker_host *host, void (*closed)(void *arg), void *arg)
{
    host->closing = true;
    host->closed = closed;
    host->closed_arg = arg;
    sl_timer_stop(host->timer);
    worker_host_shadow_end(host);
    SL_LIST_EACH(&host->slots, link)
    {
        struct worker_slot *slot = SL_CONTAINER_OF(link, struct worker_slot, link);
        struct worker_call *suspect = worker_slot_take_back(slot, NULL);
        SL_ASSERT(suspect == NULL);
        /* worker_slot_take_back empties the ring: results still on their way find no call. */
        worker_slot_dismiss(slot);
    }
    worker_queue_fail_all(host, SLUICE_E_STOPPING, "the instance ends");
    worker_host_maybe_gone(host);
}
