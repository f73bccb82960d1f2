/* worker_link.c: messages over the control socket. The host may be slow: what can be lost (logs)
 * never waits, the rest does. */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void link_send(uint32_t kind, const void *body, uint32_t size, int descriptor, bool wait)
{
    struct control_head head = {CONTROL_VERSION, (uint16_t)kind, (uint32_t)sizeof(head) + size};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};

    if (descriptor >= 0) {
        struct cmsghdr *part;

        memset(&space, 0, sizeof(space));
        message.msg_control = &space;
        message.msg_controllen = sizeof(space);
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(part), &descriptor, sizeof(int));
    }
    while (sendmsg(WORKER_FD_CONTROL, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
        if (errno != EINTR) {
            if (wait) {
                _exit(1); /* the host is gone */
            }
            return;
        }
    }
}

void link_note(uint32_t kind, int32_t number, uint32_t note, struct sluice_text text, bool wait)
{
    uint8_t body[sizeof(struct control_note) + SANDBOX_LOG_SIZE_MAX];
    const uint32_t size =
        text.size > SANDBOX_LOG_SIZE_MAX ? SANDBOX_LOG_SIZE_MAX : (uint32_t)text.size;
    const struct control_note head = {number, note, size, 0};

    memcpy(body, &head, sizeof(head));
    if (size > 0) {
        memcpy(body + sizeof(head), text.data, size);
    }
    link_send(kind, body, (uint32_t)sizeof(head) + size, -1, wait);
}

_Noreturn void link_fail(uint32_t cause, sluice_status status, const char *format, ...)
{
    char text[SANDBOX_TEXT_SIZE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    link_note(CONTROL_FAILED, status, cause, sluice_text_of(text), true);
    _exit(1);
}

static void take_descriptors(struct msghdr *message, int *descriptors)
{
    struct cmsghdr *part = CMSG_FIRSTHDR(message);

    if (descriptors != NULL && part != NULL && part->cmsg_type == SCM_RIGHTS) {
        const size_t bytes = part->cmsg_len - CMSG_LEN(0);
        const size_t room = CONTROL_DESCRIPTORS_MAX * sizeof(int);

        memcpy(descriptors, CMSG_DATA(part), bytes < room ? bytes : room);
    }
}

uint32_t link_receive(uint8_t *space, uint32_t space_size, int *descriptors, bool wait)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CONTROL_DESCRIPTORS_MAX * sizeof(int))];
    } control;
    struct iovec part = {space, space_size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t size;

    if (descriptors != NULL) {
        for (uint32_t i = 0; i < CONTROL_DESCRIPTORS_MAX; i++) {
            descriptors[i] = -1;
        }
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    do {
        size = recvmsg(WORKER_FD_CONTROL, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN) {
        return 0;
    }
    if (size < (ssize_t)sizeof(struct control_head)) {
        _exit(1); /* the host closed its end */
    }
    take_descriptors(&message, descriptors);
    return (uint32_t)size;
}
