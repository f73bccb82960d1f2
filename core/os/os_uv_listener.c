/* os_uv_listener.c: one exclusive listening socket per address; connected descriptors go to
 * `accepted`.
 *
 * SO_REUSEADDR lets a restarted broker bind while old connections linger, and on Linux still
 * refuses a second listener. A local socket left by a dead process is found by connecting: refused
 * means that nobody answers, and the file is replaced. Out of descriptors, accepting pauses for
 * PAUSE_MS, because the readiness would come again at once. */
#include "os/os_address.h"
#include "os/os_uv_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG           1024
#define ACCEPTS_PER_EVENT 64
#define PAUSE_MS          100
#define PEER_TEXT_BYTES   320
#define LOCAL_MODE        0600u /* of a local socket, when nothing is said: the owner alone */

struct osuv_listener {
    struct sl_listener base;
    uv_poll_t uv;
    uv_timer_t pause;
    struct osuv_address address; /* bound */
    int descriptor;              /* owned */
    mode_t mode;                 /* of a local socket's file */
    uint32_t open_handles;       /* of uv and pause, until their close callbacks ran */
    bool closing;
    sl_accept_fn *accepted;
    void *arg;
};

static const char *local_path(const struct osuv_address *address)
{
    return ((const struct sockaddr_un *)&address->storage)->sun_path;
}

/* ---- accepting ---- */

static void on_ready(uv_poll_t *handle, int status, int events);

static void on_pause_over(uv_timer_t *handle)
{
    struct osuv_listener *listener = handle->data;
    uv_poll_start(&listener->uv, UV_READABLE, on_ready);
}

/* True: try the next; false: nothing is left, or nothing can be accepted now. */
static bool after_failure(struct osuv_listener *listener, int error)
{
    if (error == EINTR || error == ECONNABORTED || error == EPROTO)
        return true;
    if (error != EAGAIN) {
        uv_poll_stop(&listener->uv);
        uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
    }
    return false;
}

static bool accept_one(struct osuv_listener *listener)
{
    struct osuv_address peer = {.size = sizeof peer.storage};
    char text[PEER_TEXT_BYTES];
    int descriptor = accept4(listener->descriptor, (struct sockaddr *)&peer.storage, &peer.size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return after_failure(listener, errno);
    peer.family = listener->address.family;
    osuv_address_text(&peer, text, sizeof text);
    listener->accepted(listener->arg, descriptor, text);
    return true;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct osuv_listener *listener = handle->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT && !listener->closing && accept_one(listener); i++)
        ;
}

/* ---- opening ---- */

/* Whether the file is a socket that nobody listens on. */
static bool is_stale(const struct osuv_address *address)
{
    struct stat info;
    if (lstat(local_path(address), &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return false;
    bool refused = connect(probe, (const struct sockaddr *)&address->storage, address->size) != 0 &&
                   errno == ECONNREFUSED;
    close(probe);
    return refused;
}

/* The file comes with the owner's rights alone: no moment of being open. The process's umask takes
 * from what a socket has, so what others are to have is given to the file. */
static int bind_local(int descriptor, const struct osuv_address *address, mode_t mode)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->storage;
    (void)fchmod(descriptor, LOCAL_MODE);
    int error = bind(descriptor, name, address->size) == 0 ? 0 : errno;
    if (error == EADDRINUSE && is_stale(address)) {
        unlink(local_path(address));
        error = bind(descriptor, name, address->size) == 0 ? 0 : errno;
    }
    if (error == 0 && mode != LOCAL_MODE && chmod(local_path(address), mode) != 0) {
        error = errno;
        unlink(local_path(address));
    }
    return error;
}

static int bind_address(int descriptor, const struct osuv_address *address, mode_t mode)
{
    if (address->family == AF_UNIX)
        return bind_local(descriptor, address, mode);
    return bind(descriptor, (const struct sockaddr *)&address->storage, address->size) == 0 ? 0
                                                                                            : errno;
}

static void set_options(int descriptor, int family)
{
    int on = 1;
    if (family == AF_UNIX)
        return;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) /* so that [::]:9092 and 0.0.0.0:9092 are two addresses */
        (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

static sl_err open_socket(struct osuv_listener *listener)
{
    struct osuv_address *address = &listener->address;
    int descriptor = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return osuv_err(errno);
    set_options(descriptor, address->family);
    int error = bind_address(descriptor, address, listener->mode);
    if (!error && listen(descriptor, BACKLOG) != 0)
        error = errno;
    socklen_t size = sizeof address->storage;
    if (!error && address->family != AF_UNIX &&
        getsockname(descriptor, (struct sockaddr *)&address->storage, &size) != 0)
        error = errno;
    if (error) {
        close(descriptor);
        return osuv_err(error);
    }
    listener->descriptor = descriptor;
    return SLUICE_OK;
}

sl_err sl_address_try(const char *address)
{
    struct osuv_listener listener = {.descriptor = -1};
    size_t count;
    sl_err err = osuv_address_resolve(address, &listener.address, 1, &count);
    err = err ? err : open_socket(&listener);
    if (!err)
        close(listener.descriptor);
    return err;
}

static void on_closed(uv_handle_t *handle)
{
    struct osuv_listener *listener = handle->data;
    if (--listener->open_handles == 0)
        sl_free(listener);
}

sl_err osuv_listener_make(struct sl_loop *loop, const char *address, uint32_t mode,
                          sl_accept_fn *accepted, void *arg, struct sl_listener **ret_listener)
{
    struct osuv_listener *listener = sl_alloc_zero(1, sizeof *listener);
    if (!listener)
        return SLUICE_E_NO_MEMORY;
    listener->base.os = loop->os;
    listener->accepted = accepted;
    listener->mode = mode == 0 ? LOCAL_MODE : mode;
    listener->arg = arg;
    size_t count;
    sl_err err = osuv_address_resolve(address, &listener->address, 1, &count);
    err = err ? err : open_socket(listener);
    if (err) {
        sl_free(listener);
        return err;
    }
    int error = uv_poll_init(&osuv_loop_of(loop)->uv, &listener->uv, listener->descriptor);
    SL_ASSERT(error == 0); /* a fresh socket that no loop has */
    uv_timer_init(&osuv_loop_of(loop)->uv, &listener->pause);
    listener->open_handles = 2;
    listener->uv.data = listener->pause.data = listener;
    uv_poll_start(&listener->uv, UV_READABLE, on_ready);
    *ret_listener = &listener->base;
    return SLUICE_OK;
}

uint16_t osuv_listener_port(const struct sl_listener *base)
{
    const struct osuv_listener *listener = SL_CONTAINER_OF(base, const struct osuv_listener, base);
    const struct sockaddr_storage *storage = &listener->address.storage;
    if (listener->address.family == AF_INET)
        return ntohs(((const struct sockaddr_in *)storage)->sin_port);
    if (listener->address.family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)storage)->sin6_port);
    return 0;
}

void osuv_listener_destroy(struct sl_listener *base)
{
    struct osuv_listener *listener = SL_CONTAINER_OF(base, struct osuv_listener, base);
    listener->closing = true;
    if (listener->address.family == AF_UNIX)
        unlink(local_path(&listener->address));
    uv_close((uv_handle_t *)&listener->uv, on_closed);
    uv_close((uv_handle_t *)&listener->pause, on_closed);
    close(listener->descriptor);
}
