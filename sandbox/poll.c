/* poll.c: takes what a worker has to say: results, messages, denied system calls, its end.
 *
 * Order: finished results first, then messages, then denials; the end comes last, so that nothing
 * that the worker finished before it died is lost. Whatever the worker sends is bounded and
 * checked; a lie kills it. */
#include "worker_handle.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define ROUNDS_MAX 64u /* messages and denials per call that make no event */

static bool take_result(struct sandbox_worker *worker, int64_t now_ms,
                        struct sandbox_event *ret_event)
{
    sluice_status status;

    if (worker->mute || worker->phase != PHASE_READY) {
        return false;
    }
    status = channel_take(&worker->channel, &ret_event->result);
    if (status == SLUICE_E_PLUGIN_PROTOCOL) {
        worker_violation(worker, "wrote a result that breaks the channel's rules");
    }
    if (status != SLUICE_OK) {
        return false;
    }
    ret_event->kind = SANDBOX_EVENT_RESULT;
    worker->head_ms = worker->reply_ms = now_ms;
    return true;
}

/* ---- denied system calls ---- */

/* Signals that a process sends to itself (abort, raise) are no attack; arguments are values, so
 * nothing can change between this look and the call. */
static bool signals_itself(struct sandbox_worker *worker, const struct seccomp_notif *notif)
{
    return notif->data.nr == SYS_tgkill && notif->data.args[0] == (uint64_t)worker->pid &&
           worker->continues++ < CONTINUES_MAX;
}

/* Observe: the call fails, the worker lives, a line says what it tried. True: it made an event. */
static bool observe_denial(struct sandbox_worker *worker, const struct seccomp_notif *notif,
                           int64_t now_ms, struct sandbox_event *event)
{
    struct seccomp_notif_resp answer = {.id = notif->id, .error = -EPERM};
    char name[32];
    int size;

    (void)ioctl(worker->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    worker->observed++;
    if (!worker_log_allowed(worker, now_ms)) {
        return false;
    }
    policy_call_name(notif->data.arch, notif->data.nr, name, sizeof(name));
    size = snprintf((char *)worker->message, CONTROL_FROM_SIZE_MAX,
                    "observe: made the forbidden system call %s, answered with EPERM", name);
    event->kind = SANDBOX_EVENT_LOG;
    event->log.level = SLUICE_LOG_WARN;
    event->log.lost_count = 0;
    memcpy(worker->observed_call, name, sizeof(name));
    event->log.denied = worker->observed_call;
    event->log.line = (struct sluice_text){(const char *)worker->message, (uint64_t)size};
    return true;
}

static bool take_denial(struct sandbox_worker *worker, int64_t now_ms, struct sandbox_event *event)
{
    union {
        struct seccomp_notif notif;
        uint64_t room[64]; /* newer kernels may write more */
    } in = {.room = {0}};
    struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    char text[96];

    if (ioctl(worker->listener, SECCOMP_IOCTL_NOTIF_RECV, &in) != 0) {
        if (errno != ENOENT && errno != EINTR) { /* not a listener at all */
            worker_forget(worker, &worker->listener);
            worker_violation(worker, "passed something that is no seccomp listener");
        }
        return false;
    }
    if (signals_itself(worker, &in.notif)) {
        answer.id = in.notif.id;
        (void)ioctl(worker->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        return false;
    }
    if (worker->observe && !worker->killed) {
        return observe_denial(worker, &in.notif, now_ms, event);
    }
    if (!worker->killed) {
        policy_call_name(in.notif.data.arch, in.notif.data.nr, worker->cause.syscall,
                         sizeof(worker->cause.syscall));
    }
    snprintf(text, sizeof(text), "made the forbidden system call %s", worker->cause.syscall);
    sandbox_worker_kill(worker, SANDBOX_CAUSE_DENIED, text);
    return false;
}

/* ---- the loop ---- */

static uint32_t look(struct sandbox_worker *worker)
{
    struct epoll_event events[4];
    const int count = epoll_wait(worker->epoll, events, 4, 0);
    uint32_t ready = 0;

    for (int i = 0; i < count; i++) {
        ready |= events[i].data.u32;
        if (events[i].data.u32 == WATCH_LISTENER && (events[i].events & EPOLLIN) == 0) {
            worker_forget(worker, &worker->listener); /* hung up: no process is left behind it */
            ready &= ~WATCH_LISTENER;
        }
    }
    return ready;
}

static bool take_exit(struct sandbox_worker *worker, struct sandbox_event *ret_event)
{
    if (!worker_reap(worker, false)) {
        return false;
    }
    worker->phase = PHASE_GONE;
    ret_event->kind = SANDBOX_EVENT_EXIT;
    ret_event->exit = worker->cause;
    return true;
}

bool sandbox_worker_poll(struct sandbox_worker *worker, int64_t now_ms,
                         struct sandbox_event *ret_event)
{
    for (uint32_t round = 0; round < ROUNDS_MAX && worker->phase != PHASE_GONE; round++) {
        uint32_t ready;

        if (take_result(worker, now_ms, ret_event)) {
            return true;
        }
        ready = look(worker);
        if ((ready & WATCH_CONTROL) != 0) {
            if (worker_take_message(worker, now_ms, ret_event)) {
                return true;
            }
        } else if ((ready & WATCH_LISTENER) != 0) {
            if (take_denial(worker, now_ms, ret_event)) {
                return true;
            }
        } else if ((ready & WATCH_PID) != 0) {
            return take_result(worker, now_ms, ret_event) || take_exit(worker, ret_event);
        } else if (channel_in_flight(&worker->channel) == 0 || channel_sleep(&worker->channel)) {
            return false;
        } else if (worker->mute) {
            return false;
        }
    }
    return false;
}
