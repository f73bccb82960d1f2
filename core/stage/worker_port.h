/* worker_port.h: where stages and gates hand their batches to, without knowing what runs them.
 *
 * The plugin room implements it over worker processes, tests over a function. A call is intrusive
 * and the caller's; its records are copied when the call is started, so that cancelling is free.
 * One loop. */
#ifndef SL_STAGE_WORKER_PORT_H
#define SL_STAGE_WORKER_PORT_H

#include "base/list.h"

#include <sandbox/channel.h>

/* What became of a call. */
struct worker_outcome {
    /* SLUICE_OK: result is there (its own status may still be a failure of the whole batch).
     * E_PLUGIN_*: the worker died while it ran this call, and why.
     * E_BUSY: an urgent call, and no worker is ready. E_TIMEOUT: an urgent call was not started in
     * time. E_LIMIT: the records do not fit a slot. E_STOPPING: the instance ends. */
    sl_err err;
    const struct sandbox_result *result; /* valid until done returns */
    const char *text;                    /* a sentence with err; never NULL */
    bool fresh;                          /* it was the first call of its worker */
    /* Of a call that failed: how many of its records the worker had begun, by its own word: where
     * to look first, never a proof. 0: not known. */
    uint32_t begun;
    int64_t elapsed_ms; /* since the worker got it */
};

struct worker_call {
    struct sl_link link;        /* port's */
    struct sl_link urgent_link; /* port's */
    /* By the caller; views must live until the call is started or ended. id is the port's. */
    struct sandbox_task task;
    bool urgent;    /* a producer waits: no queueing behind a missing worker */
    bool bisecting; /* a suspect: goes before others */
    bool fresh;     /* only in a worker that has had no call yet */
    void (*done)(struct worker_call *call, const struct worker_outcome *outcome);
    /* Port's: */
    bool pending;        /* submitted, done has not run */
    bool running;        /* a worker has it */
    bool is_first;       /* … and had none before */
    bool spared;         /* its worker died in a task of its own: that is believed once */
    int64_t started_ns;  /* monotonic */
    int64_t deadline_ms; /* of an urgent call that waits */
};

/* Before each submit of a call that is made anew. */
static inline void worker_call_init(struct worker_call *call)
{
    sl_link_init(&call->link);
    sl_link_init(&call->urgent_link);
}

struct worker_port {
    uint64_t state_serial; /* counts the tokens that stages draw */
    uint32_t state_epoch;  /* rises when another worker needs the state from its beginning */
    /* Exactly one done follows, never inside submit, unless the call is cancelled. */
    void (*submit)(struct worker_port *port, struct worker_call *call);
    /* done will not run. A call that is not pending: nothing. */
    void (*cancel)(struct worker_port *port, struct worker_call *call);
};

#endif
