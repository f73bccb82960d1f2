/* os_uv_wait.c: what a loop waits for, in one epoll set of its own:
 *
 *   streams   each from its first moment to its last, edge-triggered: the kernel tells of a change
 *             once, looks at a socket once for that, and need not be told when reading stops and
 *             goes on. Of a thousand that wait for an answer, level-triggered ones would be looked
 *             at twice for each request
 *   wake      an eventfd, edge-triggered too: nobody has to read it
 *   libuv     its own set, for all else: listeners, timers, signals, descriptors of others. libuv
 *             runs when that is ready, or it has something due
 *
 * What the kernel told of is called back for in that order, at most EVENTS_PER_WAIT. Streams that
 * left something to read are asked again before, as if it had been told anew. A stream that is
 * freed may be among those that were told of: its memory goes when the next wait begins. */
#include "os/os_uv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 256
#define STREAM_EVENTS   (EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* E_LIMIT: the user has as many watches as may be. */
static sl_err add(struct osuv_loop *loop, int descriptor, uint32_t events, void *tag)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0)
        return SLUICE_OK;
    return errno == ENOSPC ? SLUICE_E_LIMIT : osuv_err(errno);
}

sl_err osuv_wait_init(struct osuv_loop *loop)
{
    sl_err err = SLUICE_OK;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll < 0 || loop->wake < 0)
        err = SLUICE_E_LIMIT;
    err = err ? err : add(loop, loop->wake, EPOLLIN | EPOLLET, &loop->wake);
    err = err ? err : add(loop, uv_backend_fd(&loop->uv), EPOLLIN, &loop->uv);
    if (err) {
        sl_descriptor_close(loop->epoll);
        sl_descriptor_close(loop->wake);
    }
    return err;
}

static void free_gone(struct osuv_loop *loop)
{
    while (loop->gone) {
        struct osuv_stream *stream = loop->gone;
        loop->gone = stream->next;
        sl_free(stream->rings);
        sl_free(stream);
    }
}

static void list_gone(struct osuv_stream *stream)
{
    stream->next = stream->loop->gone;
    stream->loop->gone = stream;
}

static struct osuv_stream *take_again(struct osuv_loop *loop)
{
    struct osuv_stream *stream = loop->again;
    loop->again = stream->next;
    if (!loop->again)
        loop->again_last = NULL;
    stream->is_again = false;
    if (stream->closing)
        list_gone(stream);
    return stream;
}

void osuv_wait_fini(struct osuv_loop *loop)
{
    while (loop->again)
        take_again(loop);
    free_gone(loop);
    sl_descriptor_close(loop->epoll);
    sl_descriptor_close(loop->wake);
}

void osuv_wait_wake(struct osuv_loop *loop)
{
    static const uint64_t one = 1;
    (void)!write(loop->wake, &one, sizeof one); /* a full count was told of, too */
}

/* ---- streams ---- */

/* Of a local socket the kernel tells of room each time that the peer takes something, which is to
 * wake only who has found none. */
static uint32_t events_of(const struct osuv_stream *stream)
{
    bool hears_of_room = !stream->is_local || (stream->interest & OSUV_WRITABLE);
    return STREAM_EVENTS | (hears_of_room ? EPOLLOUT : 0);
}

sl_err osuv_wait_add(struct osuv_stream *stream)
{
    int flags = fcntl(stream->descriptor, F_GETFL);
    if (flags < 0 || fcntl(stream->descriptor, F_SETFL, flags | O_NONBLOCK) != 0)
        return osuv_err(errno);
    return add(stream->loop, stream->descriptor, events_of(stream), stream);
}

void osuv_wait_for_room(struct osuv_stream *stream)
{
    struct epoll_event event = {.events = events_of(stream), .data.ptr = stream};
    int error = stream->is_local
                    ? epoll_ctl(stream->loop->epoll, EPOLL_CTL_MOD, stream->descriptor, &event)
                    : 0;
    SL_ASSERT(error == 0); /* it is in the set, and takes no more memory */
}

void osuv_wait_again(struct osuv_stream *stream)
{
    struct osuv_loop *loop = stream->loop;
    if (stream->is_again)
        return;
    stream->is_again = true;
    stream->next = NULL;
    if (loop->again_last)
        loop->again_last->next = stream;
    else
        loop->again = stream;
    loop->again_last = stream;
}

void osuv_wait_drop(struct osuv_stream *stream)
{
    /* Another process may have the socket, too. */
    (void)epoll_ctl(stream->loop->epoll, EPOLL_CTL_DEL, stream->descriptor, NULL);
    sl_descriptor_close(stream->descriptor);
    if (!stream->is_again)
        list_gone(stream);
}

/* ---- a wait ---- */

/* Until libuv has something to do; -1: nothing that time brings. */
static int due_ms(struct osuv_loop *loop)
{
    uv_update_time(&loop->uv);
    return uv_loop_alive(&loop->uv) ? uv_backend_timeout(&loop->uv) : -1;
}

static int wait_for(struct osuv_loop *loop, int timeout_ms,
                    struct epoll_event events[EVENTS_PER_WAIT])
{
    int64_t begin_ns = timeout_ms != 0 ? osuv_mono_ns() : 0;
    int count = epoll_wait(loop->epoll, events, EVENTS_PER_WAIT, timeout_ms);
    if (timeout_ms != 0)
        loop->waited_ns += osuv_mono_ns() - begin_ns;
    return SL_MAX(count, 0); /* a signal: the next turn waits on */
}

/* Those that are listed now; who leaves something again is asked at the next wait. */
static void serve_again(struct osuv_loop *loop)
{
    const struct osuv_stream *last = loop->again_last;
    bool is_last = last == NULL;
    for (int i = 0; i < EVENTS_PER_WAIT && !is_last; i++) {
        struct osuv_stream *stream = take_again(loop);
        is_last = stream == last;
        osuv_stream_tell(stream, 0);
    }
}

static bool is_stream(const struct osuv_loop *loop, const void *tag)
{
    return tag != &loop->wake && tag != &loop->uv;
}

/* True: libuv has something. */
static bool serve(struct osuv_loop *loop, const struct epoll_event *events, int count)
{
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (is_stream(loop, events[i].data.ptr))
            osuv_stream_tell(events[i].data.ptr, events[i].events);
        any = any || events[i].data.ptr == &loop->uv;
    }
    return any;
}

void osuv_wait(struct osuv_loop *loop, bool looks)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    free_gone(loop);
    int timeout_ms = looks || loop->again ? 0 : due_ms(loop);
    int count = wait_for(loop, timeout_ms, events);
    serve_again(loop);
    bool has_some = serve(loop, events, count);
    if (has_some || due_ms(loop) == 0) {
        loop->now_is_known = false; /* no timer fires at a time before its own */
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
}
