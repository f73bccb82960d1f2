/* os_notify.c: see os_notify.h; the protocol is that of sd_notify(3), systemd 252. */
#include "os/os_notify.h"

#include "base/status.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

sl_err sl_notify_send(const char *address, const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = address != NULL ? strlen(address) : 0;
    if (size == 0) {
        return SLUICE_E_NOT_FOUND;
    }
    if ((address[0] != '/' && address[0] != '@') || size >= sizeof(to.sun_path)) {
        return SLUICE_E_IO;
    }
    memcpy(to.sun_path, address, size);
    to.sun_path[0] = address[0] == '@' ? '\0' : '/';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return SLUICE_E_IO;
    }
    socklen_t to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    size_t state_size = strnlen(state, SL_NOTIFY_BYTES_MAX);
    ssize_t sent =
        sendto(descriptor, state, state_size, MSG_NOSIGNAL, (struct sockaddr *)&to, to_size);
    close(descriptor);
    return sent == (ssize_t)state_size ? SLUICE_OK : SLUICE_E_IO;
}

int64_t sl_notify_watchdog_ns(const char *watchdog_usec, const char *watchdog_pid)
{
    if (watchdog_usec == NULL ||
        (watchdog_pid != NULL && strtoll(watchdog_pid, NULL, 10) != (long long)getpid())) {
        return 0;
    }
    long long microseconds = strtoll(watchdog_usec, NULL, 10);
    return microseconds > 0 && microseconds < INT64_MAX / 1000 ? microseconds * 1000 / 2 : 0;
}
