/* worker_host_state.h: struct worker_host and its slots, and what their files ask of each other.
 * For the worker_*.c of this room alone; on the host's loop. */
#ifndef SL_PLUGIN_WORKER_HOST_STATE_H
#define SL_PLUGIN_WORKER_HOST_STATE_H

#include "plugin/worker_host.h"

enum slot_state {
    SLOT_SPAWNING, /* a helper starts the process */
    SLOT_LOADING,
    SLOT_OFFERED, /* READY, the owner decides */
    SLOT_RUNNING,
    SLOT_ENDING, /* drains, or was killed */
};

/* Of a configuration; while there is one no batch begins. */
enum proposal {
    PROPOSAL_NONE,
    PROPOSAL_WAITS,    /* for the batches in flight */
    PROPOSAL_ASKED,    /* the plugin is to answer */
    PROPOSAL_ANSWERED, /* the owner decides */
    PROPOSAL_BACK,     /* the plugin got the old one */
};

struct worker_slot {
    struct sl_link link; /* in host->slots */
    struct worker_host *host;
    struct plugin_version *version; /* with the configuration that it has; referenced */
    enum slot_state state;
    bool dismissed; /* its end is wanted: no death */
    struct sandbox_worker *worker;
    struct sl_poll *poll;
    struct sl_job job; /* the spawn */
    struct sl_task again;
    sl_err spawn_err;
    char spawn_text[SANDBOX_TEXT_SIZE_MAX];
    struct worker_call *running[CHANNEL_DEPTH_MAX]; /* ring in order; NULL: cancelled */
    uint32_t first;
    uint32_t count;
    uint64_t begun;                           /* calls that it ever got */
    struct worker_metrics_seen *metrics_seen; /* owned; NULL: it has none */
    bool metrics_count;                       /* it was the current one */
};

struct worker_host {
    struct worker_port port;
    struct worker_host_config config;
    char name[MANIFEST_ID_BYTES];
    struct sl_list slots;
    struct worker_slot *current;
    struct worker_slot *next;
    struct worker_shadow *shadow;    /* owned; NULL: next gets nothing */
    bool switching;                  /* next was accepted */
    bool becoming;                   /* current is not of version, and goes */
    bool held;                       /* no batch begins */
    struct plugin_version *version;  /* of current, and of its restarts; referenced */
    struct plugin_version *proposed; /* another configuration; referenced */
    enum proposal proposal;
    struct supervisor supervisor;
    struct sl_list queue;  /* calls that wait */
    struct sl_list urgent; /* pending urgent calls, oldest first */
    struct sl_timer *timer;
    struct sl_task feed_task;
    uint32_t polling;      /* inside the events of a worker: nothing is submitted */
    int64_t rest_until_ms; /* the worker used up its CPU share; 0: it did not */
    bool died_of_record;   /* the worker that ran last, of a batch of a stage */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    int64_t line_window_ms;
    uint32_t line_count;
    uint64_t lines_lost;
    uint64_t next_id;
};

/* worker_host.c */
static inline int64_t worker_host_now_ms(const struct worker_host *host)
{
    return sl_os_mono_ns(host->config.os) / 1000000;
}
void worker_host_arm(
    struct worker_host *host); /* the timer, after anything that moves a deadline */
/* At a batch boundary: nothing is in flight in the old one. */
void worker_host_switch_if_due(struct worker_host *host);
void worker_host_restart_if_due(struct worker_host *host); /* backoff is over */
/* Nothing is in flight: the plugin can be asked about a configuration. */
void worker_host_ask_if_due(struct worker_host *host);
/* The plugin answered, or died of the question (E_PLUGIN_CRASHED). */
void worker_host_answered(struct worker_host *host, sl_err err, const char *text);
void worker_host_maybe_gone(struct worker_host *host); /* the last slot of a closing host went */

/* The worker's CPU clock was read by the pacing: to the meter. */
void worker_host_read_clock(struct worker_host *host, const struct worker_slot *slot, bool rests);

/* worker_slot.c */
/* Starts a process for the version. NULL: no memory. */
struct worker_slot *worker_slot_new(struct worker_host *host, struct plugin_version *version);
/* Calls that it had go back to the front of the queue; the one it died of is returned. cause NULL:
 * it does not die. */
struct worker_call *worker_slot_take_back(struct worker_slot *slot,
                                          const struct sandbox_cause *cause);
void worker_slot_dismiss(struct worker_slot *slot); /* ends it; its end is no death */

/* As struct worker_outcome has it, from the index that the sandbox has. */
static inline uint32_t worker_slot_begun(uint32_t progress)
{
    return progress == SANDBOX_PROGRESS_NONE ? 0 : progress + 1;
}

/* False while it is spawned: the worker is the helper's until then, so the state is asked first. */
static inline bool worker_slot_has_process(const struct worker_slot *slot)
{
    return slot->state != SLOT_SPAWNING && slot->worker != NULL;
}

/* worker_shadow.c */
/* The task was given to the current worker: perhaps to the next one as well. */
void worker_shadow_mirror(struct worker_host *host, const struct sandbox_task *task);
void worker_shadow_result(struct worker_host *host, const struct sandbox_result *result,
                          bool is_new);
void worker_shadow_forget(struct worker_host *host); /* answers of the current one will not come */

/* worker_queue.c */
void worker_queue_submit(struct worker_port *port, struct worker_call *call);
void worker_queue_cancel(struct worker_port *port, struct worker_call *call);
void worker_queue_finish(struct worker_call *call, const struct worker_outcome *outcome);
void worker_queue_fail(struct worker_call *call, sl_err err, const char *text);
void worker_queue_fail_all(struct worker_host *host, sl_err err, const char *text);
void worker_queue_fail_urgent(struct worker_host *host); /* no worker: producers do not wait */
void worker_queue_fail_late(struct worker_host *host, int64_t at_ms);
/* Gives the current worker what it takes. may_finish: calls may end inside; else they end in a turn
 * of the loop. */
void worker_queue_feed(struct worker_host *host, bool may_finish);
void worker_queue_feed_later(struct worker_host *host);

#endif
