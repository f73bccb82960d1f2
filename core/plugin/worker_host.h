/* worker_host.h: the worker processes of one instance on one shard: the port of its stages and
 * gates.
 *
 *   calls ─► queue ─► current worker (depth calls in flight) ─► outcomes
 *                     next worker: loads beside it, is offered to the owner,
 *                     switches in when nothing is in flight; the old one drains
 *
 * A worker that dies is started again with backoff; calls that it had not begun come again by
 * themselves, the one it died of ends with the cause. Plugin log lines go to the logger under the
 * instance's name, at most LINES_PER_SECOND. On one loop; processes are spawned by helpers, whose
 * threads live as long as the process (sandbox.h). */
#ifndef SL_PLUGIN_WORKER_HOST_H
#define SL_PLUGIN_WORKER_HOST_H

#include "base/log.h"
#include "os/os.h"
#include "plugin/plugin_version.h"
#include "plugin/shadow_run.h"
#include "plugin/worker_meter.h"
#include "stage/stage_count.h"
#include "stage/worker_port.h"

#include <sandbox/supervisor.h>

struct worker_host;

/* [loop] */
struct worker_host_events {
    void *arg;
    /* The version loaded and waits: worker_host_accept or worker_host_refuse must follow, perhaps
     * inside. Views live for the call. */
    void (*ready)(void *arg, struct plugin_version *version, const struct sandbox_event *ready);
    /* The version did not load; what ran before goes on. */
    void (*refused)(void *arg, struct plugin_version *version, const char *text);
    /* What was accepted has taken over, between two batches; or a worker of what the host became is
     * next. Once for each accept and become, unless `refused` follows. */
    void (*switched)(void *arg);
    /* The current worker died, or runs again; text: why, or "". */
    void (*changed)(void *arg, bool running, const char *text);
    /* Answer to worker_host_reconfigure and worker_host_give_back; took: a worker that runs did. */
    void (*reconfigured)(void *arg, sl_err err, const char *text, bool took);
};

struct worker_host_config {
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_logger *logger;
    const struct sandbox *sandbox; /* shared */
    const char *name;              /* of the instance; copied */
    struct stage_counts *counts;   /* outlives the host */
    _Atomic uint64_t *causes;      /* SANDBOX_CAUSE_COUNT counters; outlives the host */
    struct worker_meter *meter;    /* outlives the host */
    struct worker_host_events events;
};

sl_err worker_host_new(const struct worker_host_config *config,
                       struct worker_host **ret_host) SL_MUST_CHECK;
struct worker_port *worker_host_port(struct worker_host *host);
/* Loads a version beside what runs. An earlier one that still loads is given up silently. */
void worker_host_load(struct worker_host *host, struct plugin_version *version);
void worker_host_accept(struct worker_host *host); /* the one that is ready becomes current */
void worker_host_refuse(struct worker_host *host); /* it goes; `refused` does not follow */
/* Between ready and accept: the one that is ready gets what the current one gets, too, until it is
 * accepted or refused, and what both make of it is counted in the run. */
sl_err worker_host_shadow(struct worker_host *host, struct shadow_run *run) SL_MUST_CHECK;
void worker_host_shadow_end(struct worker_host *host); /* nothing to end is fine */
/* This version is ready beside what runs, and not accepted yet. */
bool worker_host_offers(const struct worker_host *host, const struct plugin_version *version);
/* From the next batch on workers are of this version, though none of it is ready: the one that runs
 * goes, the next one starts. What was offered goes. */
void worker_host_become(struct worker_host *host, struct plugin_version *version);
/* held: no batch begins; one that runs goes on. Calls with a deadline end at it. */
void worker_host_hold(struct worker_host *host, bool held);
const struct plugin_version *worker_host_version(const struct worker_host *host); /* NULL: none */
/* Only its configuration differs. When no batch is in flight the plugin is asked whether it takes
 * it; `reconfigured` follows, never inside. No batch begins, and no restart uses it, until it is
 * kept or given back. Not while one is under way. */
void worker_host_reconfigure(struct worker_host *host, struct plugin_version *version);
/* After `reconfigured`: it is what counts; a worker that did not take it is started anew. */
void worker_host_keep(struct worker_host *host);
/* After `reconfigured`: a plugin that took it gets the old one back, or is started anew; then
 * `reconfigured` follows with SLUICE_OK, perhaps inside. */
void worker_host_give_back(struct worker_host *host);
bool worker_host_is_loading(const struct worker_host *host); /* a version beside what runs */
bool worker_host_is_running(const struct worker_host *host);
int32_t worker_host_pid(const struct worker_host *host); /* 0: none */
uint64_t worker_host_cpu_ns(const struct worker_host *host);
uint64_t worker_host_rss_bytes(const struct worker_host *host);
/* What stands around the running worker; NULL: none runs. Valid until the loop goes on. */
const struct sandbox_report *worker_host_report(const struct worker_host *host);
uint64_t worker_host_observed(const struct worker_host *host);
/* Brings the meter's gauges up to date; exactly: its memory too, however short ago that was. */
void worker_host_measure(struct worker_host *host, bool exactly);
/* The worker that ran last died of a batch of a stage: which searches for the record. */
bool worker_host_died_of_record(const struct worker_host *host);
/* Its worker used up its CPU share: batches wait for that. */
bool worker_host_rests(const struct worker_host *host);
/* Ends all workers; pending calls end with E_STOPPING; closed follows on the loop (not inside),
 * then the host is gone. No other event follows. */
void worker_host_close(struct worker_host *host, void (*closed)(void *arg), void *arg);

#endif
