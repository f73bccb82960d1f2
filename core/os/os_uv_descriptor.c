/* os_uv_descriptor.c: whole reads and writes for command-line clients [blocks]. A peer that is gone
 * is an error, not SIGPIPE. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

sl_err sl_descriptor_read(int descriptor, void *buffer, size_t size, size_t *ret_size)
{
    for (;;) {
        ssize_t got = read(descriptor, buffer, size);
        if (got >= 0) {
            *ret_size = (size_t)got;
            return SLUICE_OK;
        }
        if (errno != EINTR)
            return SLUICE_E_NETWORK;
    }
}

sl_err sl_descriptor_write(int descriptor, const void *buffer, size_t size)
{
    const uint8_t *bytes = buffer;
    while (size > 0) {
        ssize_t put = send(descriptor, bytes, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return SLUICE_E_NETWORK;
        bytes += put;
        size -= (size_t)put;
    }
    return SLUICE_OK;
}

bool sl_descriptor_wait(int descriptor, int32_t timeout_ms)
{
    struct pollfd look = {.fd = descriptor, .events = POLLIN};
    return poll(&look, 1, timeout_ms) == 1;
}

sl_err sl_descriptor_unblock(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 ? SLUICE_OK
                                                                             : SLUICE_E_NETWORK;
}

/* What a call on a socket that does not block has come to. */
static sl_err tried(ssize_t size, size_t *ret_size)
{
    if (size >= 0) {
        *ret_size = (size_t)size;
        return SLUICE_OK;
    }
    return errno == EAGAIN || errno == EINTR ? SLUICE_E_WOULD_BLOCK : SLUICE_E_NETWORK;
}

sl_err sl_descriptor_try_read(int descriptor, void *buffer, size_t size, size_t *ret_size)
{
    return tried(recv(descriptor, buffer, size, 0), ret_size);
}

sl_err sl_descriptor_try_write(int descriptor, const void *buffer, size_t size, size_t *ret_size)
{
    return tried(send(descriptor, buffer, size, MSG_NOSIGNAL), ret_size);
}

void sl_descriptor_wait_ns(int descriptor, bool writes, int64_t timeout_ns)
{
    struct pollfd look = {.fd = descriptor, .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
    int64_t wait_ns = timeout_ns > 0 ? timeout_ns : 0;
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    (void)ppoll(&look, 1, &wait, NULL);
}

void sl_thread_waits_exactly(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* without it waits end a little later */
}

void sl_descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

void sl_sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

bool sl_descriptor_is_terminal(int descriptor)
{
    return isatty(descriptor) == 1;
}
