/* cause.c: why a worker ended, from its exit status, what the host did, and hints that it left. */
#include "channel_layout.h"
#include "worker_handle.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void say(struct sandbox_worker *worker, uint32_t kind, const char *text)
{
    worker->cause.kind = kind;
    snprintf(worker->cause.text, sizeof(worker->cause.text), "%s", text);
}

/* A hint of the worker: its allocator refused memory since the running task began. */
static bool allocation_failed(const struct sandbox_worker *worker)
{
    const struct channel_output_head *head = (const void *)worker->output;

    return atomic_load_explicit(&head->alloc_failed, memory_order_relaxed) != 0;
}

static void say_memory(struct sandbox_worker *worker, const char *how)
{
    char text[256];

    snprintf(text, sizeof(text), "used up its memory limit of %llu MiB, then %s",
             (unsigned long long)(worker->limits.memory_bytes_max >> 20), how);
    say(worker, SANDBOX_CAUSE_MEMORY, text);
}

static void classify_signal(struct sandbox_worker *worker, int number)
{
    const char *abbreviation = sigabbrev_np(number);
    char text[128];

    worker->cause.signal = number;
    if (number == SIGSYS) {
        say(worker, SANDBOX_CAUSE_DENIED, "made a forbidden system call");
    } else if (number == SIGKILL && cgroup_out_of_memory(&worker->cgroup)) {
        say_memory(worker, "was killed by the kernel");
    } else if (number == SIGXCPU ||
               (number == SIGKILL && worker->limits.cpu_s_max > 0 && !worker->control_lost)) {
        snprintf(text, sizeof(text), "used up its limit of %u s of CPU time",
                 worker->limits.cpu_s_max);
        say(worker, SANDBOX_CAUSE_CPU, text);
    } else if (number == SIGKILL && worker->control_lost) {
        say(worker, SANDBOX_CAUSE_PROTOCOL, "closed its control channel");
    } else if (number == SIGKILL) {
        say(worker, SANDBOX_CAUSE_CRASH,
            "was killed from outside (an operator, or the kernel for want of memory)");
    } else {
        snprintf(text, sizeof(text), "crashed with SIG%s",
                 abbreviation != NULL ? abbreviation : "?");
        if (allocation_failed(worker)) {
            say_memory(worker, text);
        } else {
            say(worker, SANDBOX_CAUSE_CRASH, text);
        }
    }
}

static void classify_exit(struct sandbox_worker *worker, int code)
{
    char text[64];

    worker->cause.exit_code = code;
    if (worker->failed) {
        return; /* it said why */
    }
    if (worker->drained && code == 0) {
        say(worker, SANDBOX_CAUSE_STOPPED, "stopped");
        return;
    }
    snprintf(text, sizeof(text), "called exit with status %d", code);
    if (allocation_failed(worker)) {
        say_memory(worker, text);
    } else {
        say(worker, SANDBOX_CAUSE_EXIT, text);
    }
}

/* What ended it in a task of its own is that task's, unless it is worth a cause of its own. */
static void note_task(struct sandbox_worker *worker)
{
    const struct channel_output_head *head = (const void *)worker->output;
    struct sandbox_cause *cause = &worker->cause;
    char text[SANDBOX_TEXT_SIZE_MAX];
    const bool is_plain = cause->kind == SANDBOX_CAUSE_DEADLINE ||
                          cause->kind == SANDBOX_CAUSE_CRASH || cause->kind == SANDBOX_CAUSE_EXIT;

    cause->in_task = worker->phase == PHASE_READY &&
                     atomic_load_explicit(&head->in_task, memory_order_relaxed) % 2 != 0;
    if (cause->in_task && is_plain) {
        snprintf(text, sizeof(text), "%.480s, in a task of its own", cause->text);
        say(worker, SANDBOX_CAUSE_TASK, text);
    }
}

/* Where its rehearsal was, as it said last; false: it was in none. */
static bool note_rehearsal(struct sandbox_worker *worker)
{
    struct sandbox_cause *cause = &worker->cause;
    char where[CHANNEL_REHEARSAL_TEXT_MAX];

    memcpy(where, worker->output + CHANNEL_HEAD_BYTES, sizeof(where));
    where[sizeof(where) - 1] = '\0';
    for (char *at = where; *at != '\0'; at++) {
        *at = *at >= ' ' && *at < 0x7f ? *at : '?';
    }
    if (where[0] != '\0') {
        const size_t used = strlen(cause->text);

        snprintf(cause->text + used, sizeof(cause->text) - used, " in %s", where);
    }
    return where[0] != '\0';
}

static void complete(struct sandbox_worker *worker)
{
    static const sluice_status statuses[] = {
#define STATUS_OF(name, status) status,
        SANDBOX_CAUSE_TABLE(STATUS_OF)
#undef STATUS_OF
    };
    const struct channel *channel = &worker->channel;
    struct sandbox_cause *cause = &worker->cause;
    const size_t used = strlen(cause->text);

    note_task(worker);
    cause->loading = worker->phase != PHASE_READY;
    cause->task_running = channel_in_flight(channel) > 0;
    if (cause->task_running) {
        cause->task_id = channel->slots[channel->taken % channel->geometry.depth].task_id;
    }
    cause->progress = channel_progress_of_oldest(channel);
    if (cause->status == SLUICE_OK) {
        cause->status = statuses[cause->kind];
    }
    if (cause->loading && !worker->failed && worker->rehearses && note_rehearsal(worker)) {
        return;
    }
    if (cause->loading && !worker->failed && cause->kind != SANDBOX_CAUSE_DEADLINE) {
        snprintf(cause->text + used, sizeof(cause->text) - used, " while it was loaded");
    }
}

/* The clock showed this at its end, or more: rounding never takes time back. */
static void note_cpu(struct sandbox_worker *worker, const struct rusage *usage)
{
    const uint64_t us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000u +
                        (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);

    worker->cpu_seen_ns = us * 1000 > worker->cpu_seen_ns ? us * 1000 : worker->cpu_seen_ns;
}

bool worker_reap(struct sandbox_worker *worker, bool block)
{
    siginfo_t info = {0};
    struct rusage usage = {0};
    const idtype_t type = worker->pidfd >= 0 ? (idtype_t)P_PIDFD : P_PID;
    const id_t id = (id_t)(worker->pidfd >= 0 ? worker->pidfd : worker->pid);

    /* The system call also tells what it used; the C library's function does not. */
    if (syscall(SYS_waitid, type, id, &info, WEXITED | (block ? 0 : WNOHANG), &usage) != 0) {
        /* Somebody else reaped it (SIGCHLD ignored): it is gone, the reason with it. */
        info.si_pid = worker->pid;
        info.si_code = CLD_KILLED;
        info.si_status = SIGKILL;
    }
    if (info.si_pid == 0) {
        return false;
    }
    worker->reaped = true;
    note_cpu(worker, &usage);
    worker->cause.exit_code = -1;
    if (worker->killed) {
        worker->cause.signal = SIGKILL;
    } else if (info.si_code == CLD_EXITED) {
        classify_exit(worker, info.si_status);
    } else {
        classify_signal(worker, info.si_status);
    }
    complete(worker);
    return true;
}
