/* os_uv_event.c: readiness of descriptors that others own, directories (inotify), signals. On the
 * loop. */
#include "os/os_uv_internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Everything after which a directory should be looked at again. IN_CREATE: links appear by nothing
 * else. */
#define WATCH_MASK                                                                      \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_CREATE | \
     IN_DELETE_SELF | IN_MOVE_SELF)
#define WATCH_BUFFER_BYTES 8192u

struct osuv_poll {
    struct sl_poll base;
    uv_poll_t uv;
    sl_poll_fn *readable;
    void *arg;
};

struct osuv_watch {
    struct sl_watch base;
    uv_poll_t uv;
    int descriptor; /* inotify instance, owned */
    sl_watch_fn *changed;
    void *arg;
};

/* ---- descriptors ---- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct osuv_poll *poll = handle->data;
    (void)status; /* an error shows when the callee reads */
    (void)events;
    poll->readable(poll->arg);
}

sl_err osuv_poll_make(struct sl_loop *loop, int descriptor, sl_poll_fn *readable, void *arg,
                      struct sl_poll **ret_poll)
{
    struct osuv_poll *poll = sl_alloc_zero(1, sizeof *poll);
    if (!poll)
        return SLUICE_E_NO_MEMORY;
    *poll = (struct osuv_poll){.base.os = loop->os, .readable = readable, .arg = arg};
    int error = uv_poll_init(&osuv_loop_of(loop)->uv, &poll->uv, descriptor);
    if (error) {
        sl_free(poll);
        return osuv_err(-error);
    }
    poll->uv.data = poll;
    uv_poll_start(&poll->uv, UV_READABLE, on_poll);
    *ret_poll = &poll->base;
    return SLUICE_OK;
}

void osuv_poll_destroy(struct sl_poll *base)
{
    uv_close((uv_handle_t *)&SL_CONTAINER_OF(base, struct osuv_poll, base)->uv, osuv_free_on_close);
}

/* ---- directories ---- */

static void on_watch(uv_poll_t *handle, int status, int events)
{
    struct osuv_watch *watch = handle->data;
    char buffer[WATCH_BUFFER_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = status != 0;
    (void)events;
    /* What happened does not matter, an overflow of the queue included; that it did does. */
    while (read(watch->descriptor, buffer, sizeof buffer) > 0)
        changed = true;
    if (changed)
        watch->changed(watch->arg);
}

static sl_err watch_open(struct osuv_watch *watch, struct osuv_loop *loop, const char *path)
{
    watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->descriptor < 0)
        return osuv_err(errno);
    if (inotify_add_watch(watch->descriptor, path, WATCH_MASK | IN_ONLYDIR) < 0)
        return errno == ENOSPC ? SLUICE_E_LIMIT : osuv_err(errno); /* the user's limit of watches */
    int error = uv_poll_init(&loop->uv, &watch->uv, watch->descriptor);
    return error ? osuv_err(-error) : SLUICE_OK;
}

sl_err osuv_watch_make(struct sl_loop *loop, const char *path, sl_watch_fn *changed, void *arg,
                       struct sl_watch **ret_watch)
{
    struct osuv_watch *watch = sl_alloc_zero(1, sizeof *watch);
    if (!watch)
        return SLUICE_E_NO_MEMORY;
    *watch = (struct osuv_watch){.base.os = loop->os, .changed = changed, .arg = arg};
    sl_err err = watch_open(watch, osuv_loop_of(loop), path);
    if (err) {
        sl_descriptor_close(watch->descriptor);
        sl_free(watch);
        return err;
    }
    watch->uv.data = watch;
    uv_poll_start(&watch->uv, UV_READABLE, on_watch);
    *ret_watch = &watch->base;
    return SLUICE_OK;
}

void osuv_watch_destroy(struct sl_watch *base)
{
    struct osuv_watch *watch = SL_CONTAINER_OF(base, struct osuv_watch, base);
    uv_close((uv_handle_t *)&watch->uv, osuv_free_on_close); /* libuv stops looking at once */
    sl_descriptor_close(watch->descriptor);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct osuv_loop *loop = handle->data;
    loop->signal_fn(loop->signal_arg, number);
}

sl_err osuv_signals_watch(struct sl_loop *base, sl_signal_fn *raised, void *arg)
{
    static const int numbers[UV_SIGNAL_COUNT] = {SIGHUP, SIGINT, SIGTERM};
    struct osuv_loop *loop = osuv_loop_of(base);
    if (loop->signal_fn)
        return SLUICE_E_EXISTS;
    loop->signal_fn = raised;
    loop->signal_arg = arg;
    for (size_t i = 0; i < UV_SIGNAL_COUNT; i++) {
        uv_signal_init(&loop->uv, &loop->signals[i]);
        loop->signals[i].data = loop;
    }
    for (size_t i = 0; i < UV_SIGNAL_COUNT; i++) {
        int error = uv_signal_start(&loop->signals[i], on_signal, numbers[i]);
        if (error)
            return osuv_err(-error);
    }
    signal(SIGPIPE, SIG_IGN);
    return SLUICE_OK;
}
