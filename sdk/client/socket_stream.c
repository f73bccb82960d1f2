/* socket_stream.c: see socket_stream.h. Linux. A session of the transport is its descriptor, in
 * memory of its own. */
#include "socket_stream.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t socket_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool socket_wait(int fd, bool writes, int64_t deadline_ms)
{
    struct pollfd one = {fd, (short)(POLLIN | (writes ? POLLOUT : 0)), 0};
    for (;;) {
        int64_t left = deadline_ms == INT64_MAX ? -1 : deadline_ms - socket_now_ms();
        left = deadline_ms != INT64_MAX && left < 0 ? 0 : left;
        int ready = poll(&one, fd >= 0 ? 1 : 0, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 && deadline_ms != INT64_MAX && socket_now_ms() >= deadline_ms) {
            return false;
        }
    }
}

static bool copy(char *ret_text, size_t capacity, const char *from, size_t size)
{
    if (size == 0 || size >= capacity) {
        return false;
    }
    memcpy(ret_text, from, size);
    ret_text[size] = '\0';
    return true;
}

static bool parse_host(const char *text, struct socket_address *address)
{
    const char *colon = strrchr(text, ':');
    const char *begin = text;
    const char *end = colon;
    if (colon == NULL) {
        return false;
    }
    if (*text == '[') {
        begin = text + 1;
        end = strchr(text, ']');
        if (end == NULL || end + 1 != colon) {
            return false;
        }
    }
    return copy(address->host, sizeof(address->host), begin, (size_t)(end - begin)) &&
           copy(address->port, sizeof(address->port), colon + 1, strlen(colon + 1)) &&
           strspn(address->port, "0123456789") == strlen(address->port);
}

sluice_status socket_address_parse(const char *text, struct socket_address *ret_address)
{
    struct socket_address address = {.is_shared = strncmp(text, "shm://", 6) == 0,
                                     .is_tls = strncmp(text, "tls://", 6) == 0};
    const size_t prefix = address.is_shared ? 6 : 5;
    struct sockaddr_un path;
    bool is_valid;
    address.is_unix = address.is_shared || strncmp(text, "unix:", 5) == 0;
    if (address.is_unix) {
        is_valid = copy(address.host, sizeof(path.sun_path), text + prefix, strlen(text + prefix));
    } else {
        is_valid =
            (address.is_tls || strncmp(text, "tcp://", 6) == 0) && parse_host(text + 6, &address);
    }
    if (!is_valid) {
        return SLUICE_E_INVALID;
    }
    *ret_address = address;
    return SLUICE_OK;
}

/* Connects within the time; the socket is closed when it fails. */
static sluice_status connect_one(int fd, const struct sockaddr *address, socklen_t size,
                                 int64_t deadline_ms)
{
    int error = 0;
    socklen_t error_size = sizeof(error);
    if (connect(fd, address, size) != 0 && errno != EINPROGRESS) {
        error = errno;
    } else if (!socket_wait(fd, true, deadline_ms)) {
        error = ETIMEDOUT;
    } else {
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    }
    if (error != 0) {
        (void)close(fd);
    }
    return error == 0 ? SLUICE_OK : error == ETIMEDOUT ? SLUICE_E_TIMEOUT : SLUICE_E_NETWORK;
}

static sluice_status connect_unix(const char *path, int64_t deadline_ms, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return SLUICE_E_NETWORK;
    }
    sluice_status status =
        connect_one(fd, (const struct sockaddr *)&address, sizeof(address), deadline_ms);
    if (status == SLUICE_OK) {
        *ret_fd = fd;
    }
    return status;
}

/* Each address of a host in turn. */
sluice_status socket_connect(const struct socket_address *address, int64_t deadline_ms, int *ret_fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    sluice_status status = SLUICE_E_NETWORK;
    const int on = 1;
    if (address->is_unix) {
        return connect_unix(address->host, deadline_ms, ret_fd);
    }
    if (getaddrinfo(address->host, address->port, &hints, &found) != 0) {
        return SLUICE_E_NETWORK;
    }
    for (const struct addrinfo *one = found; one != NULL && status != SLUICE_OK;
         one = one->ai_next) {
        int fd = socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        status = connect_one(fd, one->ai_addr, one->ai_addrlen, deadline_ms);
        if (status == SLUICE_OK) {
            *ret_fd = fd;
        }
    }
    freeaddrinfo(found);
    return status;
}

/* -- the transport -- */

static sluice_status stream_start(void *data, int fd, const char *host, void **ret_session)
{
    (void)data;
    (void)host;
    int *session = malloc(sizeof(*session));
    if (session == NULL) {
        (void)close(fd);
        return SLUICE_E_NO_MEMORY;
    }
    *session = fd;
    *ret_session = session;
    return SLUICE_OK;
}

static int64_t stream_outcome(ssize_t size)
{
    if (size > 0) {
        return size;
    }
    const bool waits = size < 0 && (errno == EAGAIN || errno == EINTR);
    return waits ? 0 : -(int64_t)SLUICE_E_NETWORK;
}

static int64_t stream_read(void *session, void *ret_data, uint64_t size)
{
    return stream_outcome(recv(*(const int *)session, ret_data, (size_t)size, 0));
}

static int64_t stream_write(void *session, const void *data, uint64_t size)
{
    return stream_outcome(send(*(const int *)session, data, (size_t)size, MSG_NOSIGNAL));
}

static bool stream_wants_write(void *session)
{
    (void)session;
    return false;
}

static void stream_end(void *session)
{
    (void)close(*(const int *)session);
    free(session);
}

const struct sluice_transport socket_stream = {
    .size = sizeof(socket_stream),
    .start = stream_start,
    .read = stream_read,
    .write = stream_write,
    .wants_write = stream_wants_write,
    .end = stream_end,
};
