/* os_uv_descriptor.c: whole reads and writes on a plain descriptor, for command-line clients
 * [blocks]. */
#include "os/os.h"

#include <errno.h>
#include <poll.h>
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
        ssize_t put = write(descriptor, bytes, size);
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
