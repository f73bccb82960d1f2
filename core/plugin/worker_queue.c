/* worker_queue.c: the calls of a host's port: they wait in one queue, go to the current worker in
 * order, at most its depth at a time, and end with an outcome; an urgent one (a producer waits for
 * it) ends at its deadline whatever the worker does. */
#include "plugin/worker_host_state.h"

#include "base/status.h"

/* A plugin may stop itself at the deadline; its worker is killed later. A gate's producer is
 * answered at the deadline whatever the worker does, so there the kill can wait for one that is
 * merely late. */
#define KILL_FACTOR        2u
#define URGENT_KILL_FACTOR 8u
#define URGENT_KILL_MIN_MS 2000u

static struct worker_call *call_of(struct sl_link *link)
{
    return SL_CONTAINER_OF(link, struct worker_call, link);
}

void worker_queue_finish(struct worker_call *call, const struct worker_outcome *outcome)
{
    sl_list_remove(&call->link);
    sl_list_remove(&call->urgent_link);
    call->pending = false;
    call->running = false;
    call->done(call, outcome);
}

void worker_queue_fail(struct worker_call *call, sl_err err, const char *text)
{
    struct worker_outcome outcome = {.err = err, .text = text};
    worker_queue_finish(call, &outcome);
}

void worker_queue_fail_all(struct worker_host *host, sl_err err, const char *text)
{
    struct sl_link *link = NULL;
    while ((link = sl_list_pop_front(&host->queue)) != NULL) {
        worker_queue_fail(call_of(link), err, text);
    }
}

/* Producers do not wait for a worker to come. */
void worker_queue_fail_urgent(struct worker_host *host)
{
    SL_LIST_EACH_SAFE(&host->queue, link)
    {
        if (call_of(link)->urgent) {
            worker_queue_fail(call_of(link), SLUICE_E_BUSY, "no worker is ready");
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

void worker_queue_fail_late(struct worker_host *host, int64_t at_ms)
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
        worker_queue_fail(call, SLUICE_E_TIMEOUT,
                          host->rest_until_ms > at_ms
                              ? "the deadline passed while its worker rested: it used up its CPU "
                                "share (limits.cpu_percent)"
                              : "the deadline passed");
    }
}

void worker_queue_submit(struct worker_port *port, struct worker_call *call)
{
    struct worker_host *host = SL_CONTAINER_OF(port, struct worker_host, port);
    SL_ASSERT(!call->pending);
    call->pending = true;
    call->running = false;
    call->spared = false;
    if (call->bisecting || call->fresh) { /* the worker that starts now has no past yet */
        sl_list_push_front(&host->queue, &call->link);
    } else {
        sl_list_push_back(&host->queue, &call->link);
    }
    if (call->urgent) {
        call->deadline_ms = worker_host_now_ms(host) + call->task.timeout_ms;
        sl_list_push_back(&host->urgent, &call->urgent_link);
    }
    worker_queue_feed(host, false);
    worker_host_arm(host);
}

void worker_queue_cancel(struct worker_port *port, struct worker_call *call)
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

/* ---- feeding ---- */

static uint32_t kill_after_ms(const struct worker_call *call)
{
    uint32_t deadline_ms = call->task.timeout_ms;
    return call->urgent ? SL_MAX(deadline_ms * URGENT_KILL_FACTOR, URGENT_KILL_MIN_MS)
                        : deadline_ms * KILL_FACTOR;
}

/* A worker with a past goes, at a batch boundary; the next one starts at once. */
static void replace_worker(struct worker_host *host)
{
    struct worker_slot *old = host->current;
    if (old->count > 0) {
        return; /* asked again when it is done */
    }
    host->current = NULL;
    host->rest_until_ms = 0;
    worker_shadow_forget(host);
    worker_slot_dismiss(old);
    supervisor_exited(&host->supervisor, worker_host_now_ms(host), true);
    worker_host_restart_if_due(host);
}

/* True: go on with the next call. */
static bool start_call(struct worker_host *host, struct worker_call *call, bool may_finish)
{
    struct worker_slot *slot = host->current;
    if (call->fresh && slot->begun > 0) {
        replace_worker(host);
        return false;
    }
    struct sandbox_task task = call->task;
    task.id = call->task.id = ++host->next_id;
    task.kill_ms = kill_after_ms(call);
    sl_err err = sandbox_worker_submit(slot->worker, &task, worker_host_now_ms(host));
    if (err == SLUICE_OK) {
        sl_list_remove(&call->link);
        call->running = true;
        call->started_ns = sl_os_mono_ns(host->config.os);
        slot->running[(slot->first + slot->count) % CHANNEL_DEPTH_MAX] = call;
        slot->count++;
        worker_shadow_mirror(host, &task);
        call->is_first = slot->begun == 0;
        slot->begun += !task.is_state; /* what it is handed leaves no trace of its own */
        return true;
    }
    if (err == SLUICE_E_BUSY || err == SLUICE_E_PLUGIN_CRASHED) {
        return false; /* its end is on the way */
    }
    if (!may_finish) {
        return false;
    }
    worker_queue_fail(call, err,
                      err == SLUICE_E_LIMIT ? "the records are larger than a worker takes"
                                            : sl_status_text(err));
    return true;
}

static void run_feed(struct sl_task *task)
{
    struct worker_host *host = SL_CONTAINER_OF(task, struct worker_host, feed_task);
    if (host->closing) {
        worker_host_maybe_gone(host);
        return;
    }
    worker_queue_feed(host, true);
    worker_host_arm(host);
}

void worker_queue_feed_later(struct worker_host *host)
{
    if (host->feed_task.queued == 0 && !host->closing) {
        host->feed_task.run = run_feed;
        host->feed_task.priority = SL_PRIORITY_PROCESSING;
        sl_loop_post(host->config.loop, &host->feed_task);
    }
}

/* Its CPU share is used up: batches wait, a batch that runs is not cut short. Asked once for all
 * that is given now; a system call. */
static bool rests(struct worker_host *host, uint32_t depth)
{
    int64_t now = worker_host_now_ms(host);
    if (host->rest_until_ms > now) {
        return true; /* what waits is counted when it ends */
    }
    bool rested = host->rest_until_ms != 0;
    host->rest_until_ms = 0;
    if (sl_list_is_empty(&host->queue) || host->current->count >= depth) {
        return false;
    }
    uint32_t rest_ms = sandbox_worker_rest_ms(host->current->worker, now);
    worker_host_read_clock(host, host->current, rest_ms > 0);
    if (rest_ms > 0 && !rested) {
        stage_count_add(host->config.counts, STAGE_COUNT_RESTS, 1);
    }
    host->rest_until_ms = rest_ms > 0 ? now + rest_ms : 0;
    return rest_ms > 0;
}

static bool takes_batches(const struct worker_host *host)
{
    return host->current != NULL && !host->switching && !host->becoming && !host->held &&
           host->proposal == PROPOSAL_NONE;
}

void worker_queue_feed(struct worker_host *host, bool may_finish)
{
    if (host->polling > 0 || host->closing) {
        return;
    }
    worker_host_switch_if_due(host);
    worker_host_restart_if_due(host);
    worker_host_ask_if_due(host);
    if (!worker_host_is_running(host)) {
        if (may_finish) {
            worker_queue_fail_urgent(host);
        } else if (!sl_list_is_empty(&host->urgent)) {
            worker_queue_feed_later(host);
        }
        return;
    }
    uint32_t depth = host->current->version->geometry.depth;
    struct sl_link *link = NULL;
    if (rests(host, depth)) {
        return;
    }
    while (takes_batches(host) && host->current->count < depth &&
           (link = sl_list_first(&host->queue)) != NULL) {
        if (!start_call(host, call_of(link), may_finish)) {
            if (!may_finish && host->current != NULL) {
                worker_queue_feed_later(host);
            }
            return;
        }
    }
}
