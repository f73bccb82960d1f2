/* worker_handle.c: what the host tells a worker: tasks, control messages, deadlines, the end. */
#include "worker_handle.h"

#include "channel_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int sandbox_worker_fd(const struct sandbox_worker *worker)
{
    return worker->epoll;
}

int32_t sandbox_worker_pid(const struct sandbox_worker *worker)
{
    return worker->pid;
}

uint32_t sandbox_worker_in_flight(const struct sandbox_worker *worker)
{
    return channel_in_flight(&worker->channel);
}

void worker_wake(const struct sandbox_worker *worker)
{
    /* The doorbell is the first word of the input region. Shared futex: the peer is another
     * process. */
    syscall(SYS_futex, worker->input, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void worker_forget(struct sandbox_worker *worker, int *descriptor)
{
    if (*descriptor >= 0) {
        if (worker->epoll >= 0) {
            epoll_ctl(worker->epoll, EPOLL_CTL_DEL, *descriptor, NULL);
        }
        close(*descriptor);
        *descriptor = -1;
    }
}

static void attach_descriptors(struct msghdr *message, void *space, const int *descriptors,
                               uint32_t count)
{
    struct cmsghdr *part;

    message->msg_control = space;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    part = CMSG_FIRSTHDR(message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), descriptors, count * sizeof(int));
}

sluice_status worker_send(struct sandbox_worker *worker, uint32_t kind, struct sluice_bytes body,
                          const int *descriptors, uint32_t descriptor_count)
{
    struct control_head head = {CONTROL_VERSION, (uint16_t)kind,
                                (uint32_t)(sizeof(head) + body.size)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CONTROL_DESCRIPTORS_MAX * sizeof(int))];
    } space;
    struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body.data, body.size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.size > 0 ? 2 : 1};
    ssize_t sent;

    memset(&space, 0, sizeof(space));
    if (descriptor_count > 0) {
        attach_descriptors(&message, &space, descriptors, descriptor_count);
    }
    do {
        sent = sendmsg(worker->control, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent != (ssize_t)head.size) {
        return SLUICE_E_IO;
    }
    if (channel_ring(&worker->channel)) {
        worker_wake(worker);
    }
    return SLUICE_OK;
}

sluice_status sandbox_worker_reserve(struct sandbox_worker *worker, uint64_t size,
                                     uint8_t **ret_memory)
{
    return channel_reserve(&worker->channel, size, ret_memory);
}

static bool usable(const struct sandbox_worker *worker)
{
    return worker->phase == PHASE_READY && !worker->killed && !worker->drained;
}

sluice_status sandbox_worker_submit(struct sandbox_worker *worker, const struct sandbox_task *task,
                                    int64_t now_ms)
{
    const bool idle = channel_in_flight(&worker->channel) == 0;
    bool wake;
    sluice_status status;

    if (!usable(worker) || worker->reply_kind == CONTROL_DRAINED) {
        return SLUICE_E_PLUGIN_CRASHED;
    }
    status = channel_submit(&worker->channel, task, &wake);
    if (status != SLUICE_OK) {
        return status;
    }
    if (idle) {
        worker->head_ms = now_ms;
    }
    if (wake) {
        worker_wake(worker);
    }
    return SLUICE_OK;
}

static sluice_status request(struct sandbox_worker *worker, uint32_t kind, uint32_t reply_kind,
                             struct sluice_text body, int64_t now_ms)
{
    sluice_status status;

    if (!usable(worker)) {
        return SLUICE_E_PLUGIN_CRASHED;
    }
    if (worker->reply_kind != 0) {
        return SLUICE_E_BUSY;
    }
    status = worker_send(worker, kind, (struct sluice_bytes){(const uint8_t *)body.data, body.size},
                         NULL, 0);
    if (status == SLUICE_OK) {
        worker->reply_kind = reply_kind;
        worker->reply_ms = now_ms;
    }
    return status;
}

sluice_status sandbox_worker_reconfigure(struct sandbox_worker *worker,
                                         struct sluice_text config_json, int64_t now_ms)
{
    if (config_json.size > SANDBOX_CONFIG_SIZE_MAX) {
        return SLUICE_E_LIMIT;
    }
    return request(worker, CONTROL_RECONFIGURE, CONTROL_RECONFIGURED, config_json, now_ms);
}

sluice_status sandbox_worker_drain(struct sandbox_worker *worker, int64_t now_ms)
{
    return request(worker, CONTROL_DRAIN, CONTROL_DRAINED, (struct sluice_text){NULL, 0}, now_ms);
}

/* The next deadline and the words for missing it. */
static int64_t deadline(const struct sandbox_worker *worker, const char **ret_what)
{
    const struct channel *channel = &worker->channel;
    const struct channel_slot *head = &channel->slots[channel->taken % channel->geometry.depth];

    *ret_what = "";
    if (worker->killed || worker->phase == PHASE_GONE) {
        return INT64_MAX;
    }
    if (worker->phase != PHASE_READY) {
        *ret_what = "did not get ready within its load timeout";
        return worker->spawned_ms + worker->limits.load_timeout_ms;
    }
    if (channel_in_flight(channel) > 0) {
        *ret_what = "did not finish a batch and was past its deadline";
        return head->kill_ms == 0 ? INT64_MAX : worker->head_ms + (int64_t)head->kill_ms;
    }
    if (worker->reply_kind != 0) {
        *ret_what = worker->reply_kind == CONTROL_DRAINED ? "did not drain in time"
                                                          : "did not answer a reconfigure in time";
        return worker->reply_ms + worker->limits.reply_timeout_ms;
    }
    return INT64_MAX;
}

int64_t sandbox_worker_deadline(const struct sandbox_worker *worker)
{
    const char *what;

    return deadline(worker, &what);
}

/* Something of the worker lies here unread: the host is late, not the worker. */
static bool unread(const struct sandbox_worker *worker)
{
    const struct channel_output_head *head = (const void *)worker->output;
    char byte;

    if (atomic_load_explicit(&head->answered, memory_order_relaxed) != worker->channel.taken) {
        return true;
    }
    return recv(worker->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool sandbox_worker_expire(struct sandbox_worker *worker, int64_t now_ms)
{
    const char *what;
    const int64_t at_ms = deadline(worker, &what);
    char text[128];

    if (now_ms < at_ms || unread(worker)) {
        return false;
    }
    snprintf(text, sizeof(text), "%s (%lld ms)", what,
             (long long)(worker->phase != PHASE_READY              ? worker->limits.load_timeout_ms
                         : channel_in_flight(&worker->channel) > 0 ? at_ms - worker->head_ms
                                                                   : at_ms - worker->reply_ms));
    sandbox_worker_kill(worker, SANDBOX_CAUSE_DEADLINE, text);
    return true;
}

void sandbox_worker_kill(struct sandbox_worker *worker, uint32_t cause, const char *text)
{
    if (worker->killed || worker->reaped) {
        return;
    }
    worker->killed = true;
    worker->cause.kind = cause;
    snprintf(worker->cause.text, sizeof(worker->cause.text), "%s", text);
    syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
}

void worker_violation(struct sandbox_worker *worker, const char *what)
{
    worker->mute = true;
    sandbox_worker_kill(worker, SANDBOX_CAUSE_PROTOCOL, what);
}

struct sandbox_worker *sandbox_worker_close(struct sandbox_worker *worker)
{
    if (worker == NULL) {
        return NULL;
    }
    if (worker->pid > 0 && !worker->reaped) {
        if (worker->pidfd >= 0) {
            sandbox_worker_kill(worker, SANDBOX_CAUSE_KILLED, "was closed");
        } else {
            kill(worker->pid, SIGKILL);
        }
        (void)worker_reap(worker, true);
    }
    worker_forget(worker, &worker->listener);
    worker_forget(worker, &worker->control);
    worker_forget(worker, &worker->event);
    worker_forget(worker, &worker->pidfd);
    worker_forget(worker, &worker->epoll);
    if (worker->input != NULL) {
        munmap(worker->input, channel_input_bytes(&worker->channel.geometry));
    }
    if (worker->output != NULL) {
        munmap(worker->output, channel_output_bytes(&worker->channel.geometry));
    }
    cgroup_remove(&worker->cgroup);
    channel_fini(&worker->channel);
    free(worker->message);
    free(worker);
    return NULL;
}

uint32_t sandbox_worker_rest_ms(struct sandbox_worker *worker, int64_t now_ms)
{
    if (worker->phase != PHASE_READY || worker->reaped) {
        return 0;
    }
    worker->cpu_seen_ns = sandbox_worker_cpu_ns(worker);
    return pace_rest_ms(&worker->pace, now_ms, worker->cpu_seen_ns);
}

/* One task that runs and runs, by what the worker says of itself. */
static bool task_is_late(struct sandbox_worker *worker, int64_t now_ms)
{
    const struct channel_output_head *head = (const void *)worker->output;
    const uint32_t turn = atomic_load_explicit(&head->in_task, memory_order_relaxed);

    if (turn % 2 == 0 || turn != worker->task_turn) {
        worker->task_turn = turn;
        worker->task_ms = now_ms;
    }
    return now_ms - worker->task_ms > (int64_t)worker->limits.reply_timeout_ms;
}

/* More CPU than its share, whatever it says. Twice the burst is what an honest worker cannot use.
 */
static bool idles_too_much(struct sandbox_worker *worker, int64_t now_ms)
{
    const struct sandbox_limits *limits = &worker->limits;
    const uint64_t used_ns = sandbox_worker_cpu_ns(worker);

    if (worker->idle_pace.percent == 0 || worker->idle_submitted != worker->channel.submitted) {
        worker->idle_submitted = worker->channel.submitted;
        pace_init(&worker->idle_pace, limits->cpu_percent, 2 * limits->cpu_burst_ms, now_ms,
                  used_ns);
    }
    return pace_rest_ms(&worker->idle_pace, now_ms, used_ns) > 0;
}

void sandbox_worker_watch_idle(struct sandbox_worker *worker, int64_t now_ms)
{
    char text[96];

    if (!usable(worker) || worker->reaped || channel_in_flight(&worker->channel) > 0) {
        worker->idle_pace.percent = 0; /* looked at anew when it idles again */
        worker->task_turn = 0;
        return;
    }
    if (task_is_late(worker, now_ms)) {
        snprintf(text, sizeof(text), "did not end a task in %u ms",
                 worker->limits.reply_timeout_ms);
        sandbox_worker_kill(worker, SANDBOX_CAUSE_TASK, text);
    } else if (idles_too_much(worker, now_ms)) {
        sandbox_worker_kill(worker, SANDBOX_CAUSE_TASK,
                            "used more CPU than its share without a batch");
    }
}

uint64_t sandbox_worker_cpu_seen_ns(const struct sandbox_worker *worker)
{
    return worker->cpu_seen_ns;
}

const struct sandbox_report *sandbox_worker_report(const struct sandbox_worker *worker)
{
    return &worker->report;
}

uint64_t sandbox_worker_observed(const struct sandbox_worker *worker)
{
    return worker->observed;
}

uint64_t sandbox_worker_cpu_ns(const struct sandbox_worker *worker)
{
    clockid_t clock;
    struct timespec time;

    if (worker->reaped) {
        return worker->cpu_seen_ns;
    }
    if (clock_getcpuclockid(worker->pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return 0;
    }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t sandbox_worker_rss_bytes(const struct sandbox_worker *worker)
{
    char text[128];
    unsigned long long pages = 0;

    snprintf(text, sizeof(text), "/proc/%d/statm", (int)worker->pid);
    int file = worker->reaped ? -1 : open(text, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (file >= 0) {
        close(file);
    }
    if (size <= 0) {
        return 0;
    }
    text[size] = '\0';
    const char *second = strchr(text, ' ');
    pages = second != NULL ? strtoull(second, NULL, 10) : 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
