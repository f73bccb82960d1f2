/* worker_message.c: what comes over the control socket: one packet in, at most one event out.
 *
 * Each kind has its phase, its size and at most one descriptor; anything else is a violation and
 * the end of the worker. Texts stay untrusted: their lengths are checked, their contents are not.
 */
#include "worker_handle.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct packet {
    uint32_t kind;
    const uint8_t *body;
    uint32_t size;
    int descriptor; /* -1: none; whoever uses it sets -1 */
};

/* The one descriptor of a packet. More than one, or something else, is a violation. */
static bool take_descriptor(struct msghdr *message, int *ret_descriptor)
{
    struct cmsghdr *part = CMSG_FIRSTHDR(message);

    *ret_descriptor = -1;
    if (part == NULL) {
        return (message->msg_flags & MSG_CTRUNC) == 0;
    }
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
        part->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(ret_descriptor, CMSG_DATA(part), sizeof(int));
    }
    return (message->msg_flags & MSG_CTRUNC) == 0 && *ret_descriptor >= 0;
}

/* False: nothing to take, or the worker broke the rules (then it is killed), or it closed the
 * socket. */
static bool receive(struct sandbox_worker *worker, struct packet *ret_packet)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec part = {worker->message, CONTROL_FROM_SIZE_MAX};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    const ssize_t size = recvmsg(worker->control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct control_head head;
    bool good;

    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (size <= 0) { /* closed: it dies by itself, or is told to */
        worker->control_lost = true;
        worker_forget(worker, &worker->control);
        syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
        return false;
    }
    good = take_descriptor(&message, &ret_packet->descriptor);
    if (good && size >= (ssize_t)sizeof(head) && (message.msg_flags & MSG_TRUNC) == 0) {
        memcpy(&head, worker->message, sizeof(head));
        ret_packet->kind = head.kind;
        ret_packet->body = worker->message + sizeof(head);
        ret_packet->size = (uint32_t)size - (uint32_t)sizeof(head);
        if (head.version == CONTROL_VERSION && head.size == (uint32_t)size) {
            return true;
        }
    }
    worker_forget(worker, &ret_packet->descriptor);
    worker_violation(worker, "sent a message that breaks the protocol");
    return false;
}

static bool take_note(const struct packet *packet, struct control_note *ret_note,
                      struct sluice_text *ret_text)
{
    if (packet->size < sizeof(*ret_note)) {
        return false;
    }
    memcpy(ret_note, packet->body, sizeof(*ret_note));
    ret_text->data = (const char *)packet->body + sizeof(*ret_note);
    ret_text->size = ret_note->text_size;
    return ret_note->text_size == packet->size - sizeof(*ret_note);
}

static bool on_hello(struct sandbox_worker *worker, struct packet *packet)
{
    struct control_hello hello;

    if (worker->phase != PHASE_LOADING || packet->size != sizeof(hello)) {
        return false;
    }
    memcpy(&hello, packet->body, sizeof(hello));
    worker->report.landlock_abi = hello.landlock_abi;
    worker->report.uid = hello.uid;
    worker->report.spaces = hello.spaces;
    worker->report.spaces_error = hello.spaces_error;
    worker->report.ids_dropped = hello.ids_dropped != 0;
    worker->report.capabilities_dropped = hello.capabilities_dropped != 0;
    return true;
}

/* A packet may carry the listener of the filter that was just installed. */
static bool take_listener(struct sandbox_worker *worker, struct packet *packet)
{
    worker_forget(worker, &worker->listener);
    worker->listener = packet->descriptor;
    packet->descriptor = -1;
    worker->report.listener = worker->listener >= 0;
    return worker->listener < 0 || worker_watch(worker, worker->listener, WATCH_LISTENER);
}

static bool on_confined(struct sandbox_worker *worker, struct packet *packet)
{
    if (worker->phase != PHASE_LOADING || packet->size != 0) {
        return false;
    }
    worker->phase = PHASE_CONFINED;
    return take_listener(worker, packet);
}

/* The kernel allows one listener in a chain of filters: the first must go before stage 2 brings its
 * own. */
static bool on_loaded(struct sandbox_worker *worker, struct packet *packet)
{
    if (worker->phase != PHASE_CONFINED || packet->size != 0) {
        return false;
    }
    worker->phase = PHASE_LOADED;
    worker_forget(worker, &worker->listener);
    return worker_send(worker, CONTROL_PROCEED, (struct sluice_bytes){NULL, 0}, NULL, 0) ==
               SLUICE_OK ||
           worker->control_lost;
}

static bool ready_texts(const struct packet *packet, const struct control_ready *ready,
                        struct sluice_text texts[CONTROL_READY_TEXTS + SANDBOX_OUTPUTS_MAX])
{
    uint32_t left = packet->size - (uint32_t)sizeof(*ready);
    const uint8_t *sizes = packet->body + sizeof(*ready);
    const uint8_t *at = sizes + ready->text_count * sizeof(uint32_t);

    if (ready->text_count < CONTROL_READY_TEXTS ||
        ready->text_count > CONTROL_READY_TEXTS + SANDBOX_OUTPUTS_MAX ||
        left < ready->text_count * sizeof(uint32_t)) {
        return false;
    }
    left -= ready->text_count * (uint32_t)sizeof(uint32_t);
    for (uint32_t i = 0; i < ready->text_count; i++) {
        uint32_t size;

        memcpy(&size, sizes + i * sizeof(size), sizeof(size));
        if (size > left || size > CONTROL_READY_TEXT_MAX) {
            return false;
        }
        texts[i] = (struct sluice_text){(const char *)at, size};
        at += size;
        left -= size;
    }
    return left == 0;
}

static bool on_ready(struct sandbox_worker *worker, struct packet *packet, int64_t now_ms,
                     struct sandbox_event *event)
{
    struct sluice_text texts[CONTROL_READY_TEXTS + SANDBOX_OUTPUTS_MAX];
    struct control_ready ready;

    if (worker->phase != PHASE_LOADED || packet->size < sizeof(ready)) {
        return false;
    }
    memcpy(&ready, packet->body, sizeof(ready));
    if (ready.state_import_count > SLUICE_STATE_IMPORTS_MAX || ready.state_version < 0 ||
        ready.on > SLUICE_ON_PRODUCE || !ready_texts(packet, &ready, texts)) {
        return false;
    }
    if (!take_listener(worker, packet)) {
        return false;
    }
    worker->phase = PHASE_READY;
    worker->report.listener_refused = worker->listener_wanted && !worker->report.listener;
    worker->report.observe = worker->observe && worker->report.listener;
    pace_init(&worker->pace, worker->limits.cpu_percent, worker->limits.cpu_burst_ms, now_ms,
              sandbox_worker_cpu_ns(worker));
    event->kind = SANDBOX_EVENT_READY;
    event->ready.id = texts[0];
    event->ready.version = texts[1];
    event->ready.report = worker->report;
    event->ready.wants_state = ready.wants_state != 0;
    event->ready.rehearsal_digest = ready.rehearsal_digest;
    event->ready.attachment =
        (struct sandbox_attachment){.on = ready.on,
                                    .deadline_ms = ready.deadline_ms,
                                    .name = texts[2],
                                    .input = texts[3],
                                    .output = texts[4],
                                    .on_error = texts[5],
                                    .state_version = ready.state_version,
                                    .state_import_count = ready.state_import_count,
                                    .extra_output_count = ready.text_count - CONTROL_READY_TEXTS};
    memcpy(event->ready.attachment.state_imports, ready.state_imports, sizeof(ready.state_imports));
    memcpy(event->ready.attachment.extra_outputs, texts + CONTROL_READY_TEXTS,
           (ready.text_count - CONTROL_READY_TEXTS) * sizeof(texts[0]));
    return true;
}

static bool on_failed(struct sandbox_worker *worker, struct packet *packet)
{
    struct control_note note;
    struct sluice_text text;

    if (worker->phase == PHASE_READY || worker->failed || !take_note(packet, &note, &text) ||
        (note.kind != SANDBOX_CAUSE_REFUSED && note.kind != SANDBOX_CAUSE_SETUP &&
         !(note.kind == SANDBOX_CAUSE_STOPPED && worker->rehearses))) {
        return false;
    }
    worker->failed = true;
    worker->cause.kind = note.kind;
    worker->cause.status = note.status;
    snprintf(worker->cause.text, sizeof(worker->cause.text), "%.*s", (int)text.size, text.data);
    return true;
}

bool worker_log_allowed(struct sandbox_worker *worker, int64_t now_ms)
{
    const int64_t gained = (now_ms - worker->log_ms) * LOG_PER_S / 1000;

    if (gained > 0) {
        worker->log_ms = now_ms;
        worker->log_tokens = gained > LOG_BURST - worker->log_tokens
                                 ? LOG_BURST
                                 : worker->log_tokens + (int32_t)gained;
    }
    worker->log_tokens -= worker->log_tokens > 0;
    return worker->log_tokens > 0;
}

static bool on_log(struct sandbox_worker *worker, struct packet *packet, int64_t now_ms,
                   struct sandbox_event *event)
{
    struct control_note note;
    struct sluice_text text;

    if (!take_note(packet, &note, &text) || text.size > SANDBOX_LOG_SIZE_MAX ||
        !worker_log_allowed(worker, now_ms)) {
        return false;
    }
    event->kind = SANDBOX_EVENT_LOG;
    event->log.level = note.status < SLUICE_LOG_DEBUG   ? SLUICE_LOG_DEBUG
                       : note.status > SLUICE_LOG_ERROR ? SLUICE_LOG_ERROR
                                                        : note.status;
    event->log.lost_count = note.kind;
    event->log.denied = NULL;
    event->log.line = text;
    return true;
}

static bool on_reply(struct sandbox_worker *worker, struct packet *packet,
                     struct sandbox_event *event)
{
    struct control_note note;
    struct sluice_text text;

    if (worker->reply_kind != packet->kind || !take_note(packet, &note, &text) ||
        text.size > CHANNEL_REASON_SIZE_MAX) {
        return false;
    }
    worker->reply_kind = 0;
    worker->drained = packet->kind == CONTROL_DRAINED;
    event->kind = worker->drained ? SANDBOX_EVENT_DRAINED : SANDBOX_EVENT_RECONFIGURED;
    event->reply.status = note.status;
    event->reply.error = text;
    return true;
}

static bool dispatch(struct sandbox_worker *worker, struct packet *packet, int64_t now_ms,
                     struct sandbox_event *event)
{
    switch (packet->kind) {
    case CONTROL_HELLO:
        return on_hello(worker, packet);
    case CONTROL_CONFINED:
        return on_confined(worker, packet);
    case CONTROL_LOADED:
        return on_loaded(worker, packet);
    case CONTROL_READY:
        return on_ready(worker, packet, now_ms, event);
    case CONTROL_FAILED:
        return on_failed(worker, packet);
    case CONTROL_LOG:
        return on_log(worker, packet, now_ms, event);
    case CONTROL_RECONFIGURED:
    case CONTROL_DRAINED:
        return on_reply(worker, packet, event);
    default:
        return false;
    }
}

bool worker_take_message(struct sandbox_worker *worker, int64_t now_ms, struct sandbox_event *event)
{
    struct packet packet = {.descriptor = -1};
    bool good;

    event->kind = 0;
    if (!receive(worker, &packet) || worker->mute) {
        worker_forget(worker, &packet.descriptor);
        return false;
    }
    good = dispatch(worker, &packet, now_ms, event);
    if (packet.descriptor >= 0) { /* nobody asked for it */
        worker_forget(worker, &packet.descriptor);
        good = false;
    }
    if (!good) {
        worker_violation(worker, packet.kind == CONTROL_LOG
                                     ? "floods the log"
                                     : "sent a message that breaks the protocol");
        return false;
    }
    return event->kind != 0;
}
