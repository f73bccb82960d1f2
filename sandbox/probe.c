/* probe.c: see sandbox/probe.h. Polls the worker's descriptor and keeps its deadlines. */
#include <sandbox/probe.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TURN_MS 100 /* the longest sleep: deadlines change under way */

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static sluice_status end_status(const struct probe *probe)
{
    return probe->end.status != SLUICE_OK ? probe->end.status : SLUICE_E_PLUGIN_CRASHED;
}

static void take_log(struct probe *probe)
{
    if (probe->log != NULL) {
        probe->log(probe->log_arg, probe->event.log.level, probe->event.log.line);
    }
}

/* Waits for an event of the kind. Every worker answers or ends: its deadlines see to that. */
static sluice_status wait_for(struct probe *probe, uint32_t kind)
{
    for (;;) {
        struct pollfd descriptor = {.fd = sandbox_worker_fd(probe->worker), .events = POLLIN};
        int64_t left_ms;

        while (sandbox_worker_poll(probe->worker, now_ms(), &probe->event)) {
            if (probe->event.kind == SANDBOX_EVENT_EXIT) {
                probe->end = probe->event.exit;
                probe->ended = true;
                return kind == SANDBOX_EVENT_EXIT ? SLUICE_OK : end_status(probe);
            }
            if (probe->event.kind == SANDBOX_EVENT_LOG) {
                take_log(probe);
            } else if (probe->event.kind == kind) {
                return SLUICE_OK;
            }
        }
        left_ms = sandbox_worker_deadline(probe->worker) - now_ms();
        poll(&descriptor, 1, left_ms < 0 ? 0 : left_ms > TURN_MS ? TURN_MS : (int)left_ms);
        (void)sandbox_worker_expire(probe->worker, now_ms());
    }
}

sluice_status probe_open(struct probe *probe, const struct sandbox *sandbox,
                         const struct sandbox_spawn *spawn)
{
    const sluice_status status = sandbox_worker_spawn(sandbox, spawn, now_ms(), &probe->worker,
                                                      probe->end.text, sizeof(probe->end.text));

    if (status != SLUICE_OK) {
        probe->end.kind = SANDBOX_CAUSE_SETUP;
        probe->end.status = status;
        probe->ended = true;
        return status;
    }
    return wait_for(probe, SANDBOX_EVENT_READY);
}

static void rest(struct probe *probe)
{
    uint32_t rest_ms = sandbox_worker_rest_ms(probe->worker, now_ms());

    while (rest_ms > 0) {
        poll(NULL, 0, rest_ms > TURN_MS ? TURN_MS : (int)rest_ms);
        rest_ms = sandbox_worker_rest_ms(probe->worker, now_ms());
    }
}

sluice_status probe_run(struct probe *probe, const struct sandbox_task *task)
{
    sluice_status status;

    if (probe->ended) {
        return end_status(probe);
    }
    rest(probe);
    status = sandbox_worker_submit(probe->worker, task, now_ms());
    if (status == SLUICE_OK) {
        return wait_for(probe, SANDBOX_EVENT_RESULT);
    }
    if (status != SLUICE_E_PLUGIN_CRASHED) {
        return status;
    }
    status = wait_for(probe, SANDBOX_EVENT_EXIT);
    return status == SLUICE_OK ? end_status(probe) : status;
}

sluice_status probe_reconfigure(struct probe *probe, struct sluice_text config_json)
{
    const sluice_status status =
        probe->ended ? end_status(probe)
                     : sandbox_worker_reconfigure(probe->worker, config_json, now_ms());

    return status == SLUICE_OK ? wait_for(probe, SANDBOX_EVENT_RECONFIGURED) : status;
}

sluice_status probe_drain(struct probe *probe)
{
    sluice_status status =
        probe->ended ? end_status(probe) : sandbox_worker_drain(probe->worker, now_ms());

    if (status == SLUICE_OK) {
        status = wait_for(probe, SANDBOX_EVENT_EXIT);
    }
    if (status == SLUICE_OK && probe->end.kind != SANDBOX_CAUSE_STOPPED) {
        status = end_status(probe);
    }
    return status;
}

void probe_close(struct probe *probe)
{
    probe->worker = sandbox_worker_close(probe->worker);
}
