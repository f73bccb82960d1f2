/* worker_handle.h: the host's view of one worker process, shared by spawn, poll and cause. Private.
 */
#ifndef SANDBOX_WORKER_HANDLE_H
#define SANDBOX_WORKER_HANDLE_H

#include "cgroup.h"
#include "control_wire.h"
#include "policy.h"

#include <sandbox/pace.h>

#include <sandbox/sandbox.h>
#include <sys/types.h>

#define PHASE_LOADING  1u /* START is sent */
#define PHASE_CONFINED 2u /* stage 1 is on, the module loads */
#define PHASE_LOADED   3u /* PROCEED is sent */
#define PHASE_READY    4u
#define PHASE_GONE     5u /* EXIT was delivered */

#define LOG_BURST                                                                   \
    400 /* lines; more at once is a flood, which a sane worker's own limit prevents \
         */
#define LOG_PER_S     100
#define CONTINUES_MAX 64u /* of signals to itself that the host lets pass */

struct sandbox {
    struct policy_filter filters[BOOT_FILTER_COUNT];
    struct policy_filter kill_filters[BOOT_FILTER_COUNT];
    bool listener;
    char *worker_path;
    struct cgroup_room cgroups;
};

struct sandbox_worker {
    char instance[SANDBOX_NAME_SIZE_MAX + 1];
    struct sandbox_limits limits;
    struct channel channel;
    uint8_t *input;  /* [owned] mapping, RW */
    uint8_t *output; /* [owned] mapping, read-only */
    pid_t pid;
    int pidfd; /* every descriptor: -1 when closed */
    int control;
    int event; /* the worker writes it; edge-triggered in epoll, never read */
    int listener;
    int epoll;
    uint32_t phase;
    bool killed;       /* SIGKILL is sent; cause says why */
    bool mute;         /* it broke the protocol: nothing more is taken from it */
    bool control_lost; /* it closed its end */
    bool failed;       /* it said FAILED; cause is from there */
    bool drained;
    bool rehearses;
    bool reaped;
    uint32_t reply_kind; /* CONTROL_RECONFIGURED, CONTROL_DRAINED or 0 */
    uint32_t continues;
    int64_t spawned_ms;
    int64_t head_ms;  /* since when the oldest task in flight can run */
    int64_t reply_ms; /* since when the reply can be on its way */
    int64_t log_ms;   /* token bucket */
    int32_t log_tokens;
    bool observe;
    bool listener_wanted;
    uint64_t observed; /* denied calls answered with EPERM */
    char observed_call[32];
    uint64_t cpu_seen_ns;
    struct pace pace;
    struct pace idle_pace; /* of what it uses without a batch */
    uint32_t task_turn;    /* in_task as it was seen last, and since when */
    int64_t task_ms;
    uint32_t idle_submitted; /* batches that it had got when that was looked at last */
    struct cgroup cgroup;
    struct sandbox_cause cause;
    struct sandbox_report report;
    uint8_t *message; /* [owned] the last packet; views of events point here */
};

/* Sends one control message with up to CONTROL_DESCRIPTORS_MAX descriptors and rings. E_IO: the
 * worker is gone. */
sluice_status worker_send(struct sandbox_worker *worker, uint32_t kind, struct sluice_bytes body,
                          const int *descriptors, uint32_t descriptor_count) SANDBOX_MUST_CHECK;
/* Removes a descriptor from the epoll set and closes it. */
void worker_forget(struct sandbox_worker *worker, int *descriptor);
void worker_wake(const struct sandbox_worker *worker);
void worker_violation(struct sandbox_worker *worker, const char *what);

/* Takes one message; true: it made an event (worker_message.c). */
bool worker_take_message(struct sandbox_worker *worker, int64_t now_ms,
                         struct sandbox_event *event);

#define WATCH_PID      1u
#define WATCH_CONTROL  2u
#define WATCH_EVENT    4u
#define WATCH_LISTENER 8u
/* Token bucket for lines of the worker's log, its own and those about it. */
bool worker_log_allowed(struct sandbox_worker *worker, int64_t now_ms);
bool worker_watch(const struct sandbox_worker *worker, int descriptor, uint32_t watch);

/* Reaps the process if it ended: fills worker->cause. `block`: waits for its end. */
bool worker_reap(struct sandbox_worker *worker, bool block);

#endif
