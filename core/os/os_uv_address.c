/* os_uv_address.c: "host:port", "[v6]:port" and "unix:/path" as socket addresses; blocking connect.
 */
#include "os/os_uv_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_BYTES_MAX 256u
#define PORT_BYTES_MAX 6u
#define ADDRESSES_MAX  8u
#define CONNECT_S      5 /* for each address of a name */
#define LOCAL_PREFIX   "unix:"

static sl_err resolve_local(const char *path, struct osuv_address *ret_address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof local.sun_path)
        return SLUICE_E_INVALID;
    memcpy(local.sun_path, path, size + 1);
    *ret_address = (struct osuv_address){.size = sizeof local, .family = AF_UNIX};
    memcpy(&ret_address->storage, &local, sizeof local);
    return SLUICE_OK;
}

/* Parts "host:port" and "[v6]:port". A bare v6 address without brackets is refused: it is
 * ambiguous. */
static sl_err split(const char *text, char ret_host[HOST_BYTES_MAX], char ret_port[PORT_BYTES_MAX])
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return SLUICE_E_INVALID;
    const char *host = text;
    size_t host_size = (size_t)(colon - text), port_size = strlen(colon + 1);
    bool bracketed = host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']';
    if (bracketed) {
        host++;
        host_size -= 2;
    } else if (memchr(host, ':', host_size)) {
        return SLUICE_E_INVALID;
    }
    if (host_size == 0 || host_size >= HOST_BYTES_MAX || port_size == 0 ||
        port_size >= PORT_BYTES_MAX || strspn(colon + 1, "0123456789") != port_size)
        return SLUICE_E_INVALID;
    memcpy(ret_host, host, host_size);
    ret_host[host_size] = '\0';
    memcpy(ret_port, colon + 1, port_size + 1);
    return SLUICE_OK;
}

static size_t collect_family(const struct addrinfo *found, int family,
                             struct osuv_address *ret_addresses, size_t count, size_t count_max)
{
    for (; found && count < count_max; found = found->ai_next) {
        if (found->ai_family != family || found->ai_addrlen > sizeof ret_addresses->storage)
            continue;
        ret_addresses[count] =
            (struct osuv_address){.size = found->ai_addrlen, .family = found->ai_family};
        memcpy(&ret_addresses[count].storage, found->ai_addr, found->ai_addrlen);
        count++;
    }
    return count;
}

static sl_err resolve_host(const char *host, const char *port, struct osuv_address *ret_addresses,
                           size_t count_max, size_t *ret_count)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error == EAI_NONAME) { /* not an address: a name */
        hints.ai_flags = AI_NUMERICSERV;
        error = getaddrinfo(host, port, &hints, &found);
    }
    if (error)
        return error == EAI_MEMORY ? SLUICE_E_NO_MEMORY : SLUICE_E_NOT_FOUND;
    size_t count = collect_family(found, AF_INET, ret_addresses, 0, count_max);
    count = collect_family(found, AF_INET6, ret_addresses, count, count_max);
    freeaddrinfo(found);
    *ret_count = count;
    return count > 0 ? SLUICE_OK : SLUICE_E_NOT_FOUND;
}

sl_err osuv_address_resolve(const char *text, struct osuv_address *ret_addresses, size_t count_max,
                            size_t *ret_count)
{
    char host[HOST_BYTES_MAX], port[PORT_BYTES_MAX];
    SL_ASSERT(count_max > 0);
    if (strncmp(text, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0) {
        *ret_count = 1;
        return resolve_local(text + strlen(LOCAL_PREFIX), &ret_addresses[0]);
    }
    sl_err err = split(text, host, port);
    if (!err && strtoul(port, NULL, 10) > UINT16_MAX)
        err = SLUICE_E_INVALID;
    return err ? err : resolve_host(host, port, ret_addresses, count_max, ret_count);
}

void osuv_address_text(const struct osuv_address *address, char *ret_text, size_t size)
{
    char host[HOST_BYTES_MAX], port[PORT_BYTES_MAX];
    if (address->family == AF_UNIX ||
        getnameinfo((const struct sockaddr *)&address->storage, address->size, host, sizeof host,
                    port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(ret_text, size, "unix");
    else
        snprintf(ret_text, size, address->family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void osuv_socket_no_delay(int descriptor, int family)
{
    int on = 1;
    /* Only latency is lost where it fails. */
    if (family != AF_UNIX)
        (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* After a signal connect goes on in the kernel: wait for its end. */
static int wait_connected(int descriptor)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    while (poll(&wait, 1, -1) < 0) {
        if (errno != EINTR)
            return errno;
    }
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static sl_err connect_one(const struct osuv_address *address, int *ret_descriptor)
{
    int descriptor = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return osuv_err(errno);
    const struct timeval bound = {.tv_sec = CONNECT_S}, none = {.tv_sec = 0};
    int error = 0;
    /* Linux takes it for connect too (socket(7)); without it a packet that nobody answers costs two
     * minutes. */
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    if (connect(descriptor, (const struct sockaddr *)&address->storage, address->size) != 0)
        error = errno == EINTR ? wait_connected(descriptor) : errno;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    if (error) {
        close(descriptor);
        return error == EINPROGRESS ? SLUICE_E_TIMEOUT : osuv_err(error);
    }
    osuv_socket_no_delay(descriptor, address->family);
    *ret_descriptor = descriptor;
    return SLUICE_OK;
}

sl_err osuv_connect(struct sl_os *os, const char *address, int *ret_descriptor)
{
    struct osuv_address found[ADDRESSES_MAX];
    size_t count;
    (void)os;
    sl_err err = osuv_address_resolve(address, found, ADDRESSES_MAX, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        err = connect_one(&found[i], ret_descriptor);
        if (!err)
            break;
    }
    return err;
}
