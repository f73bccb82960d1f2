/* os_uv_stream.c: nonblocking connected sockets: try first, wait for readiness only after a short
 * count. Reads and writes are system calls of ours, so that buffers stay the caller's.
 *
 * The kernel tells of each change once (os_uv_wait.c), so that this remembers what it said:
 *
 *   readable   until a read finds nothing, or less than it has room for: what comes later is told
 *              anew. Less may also mean that something else than bytes is next, and was told
 *              already: the peer's end, urgent data, over a local socket somebody's descriptors.
 *              Then only a read that finds nothing counts
 *   writable   is asked for after a short count alone, which has the kernel tell of room */
#include "os/os_uv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_CALL 256u

#define INPUT_EVENTS   (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)
#define INSISTS_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)
#define ROOM_EVENTS    (EPOLLOUT | EPOLLHUP | EPOLLERR)

/* Its owner, or its rings, are to be called without an event of the kernel. */
static bool has_more(const struct osuv_stream *stream)
{
    return stream->has_input && (stream->rings || (stream->interest & OSUV_READABLE));
}

static void set_interest(struct osuv_stream *stream, uint32_t interest)
{
    if (stream->interest == interest)
        return;
    bool room = (stream->interest ^ interest) & OSUV_WRITABLE;
    stream->interest = interest;
    if (stream->rings) {
        osuv_rings_look_at(stream->rings);
        return;
    }
    if (room)
        osuv_wait_for_room(stream);
    if (has_more(stream))
        osuv_wait_again(stream);
}

/* The callee may free the stream; its memory stays for as long as this wait is served. */
static void call_back(struct osuv_stream *stream, uint32_t events)
{
    if (has_more(stream))
        stream->events->readable(stream->arg);
    if (!stream->closing && (events & ROOM_EVENTS) && (stream->interest & OSUV_WRITABLE)) {
        set_interest(stream, stream->interest & ~OSUV_WRITABLE);
        stream->events->writable(stream->arg);
    }
}

void osuv_stream_tell(struct osuv_stream *stream, uint32_t events)
{
    if (stream->closing)
        return;
    stream->has_input = stream->has_input || (events & INPUT_EVENTS);
    stream->insists = stream->insists || (events & INSISTS_EVENTS);
    if (stream->rings) {
        osuv_rings_woken(stream->rings);
    } else if ((events & EPOLLERR) && stream->interest) {
        stream->interest = 0;
        stream->events->failed(stream->arg, SLUICE_E_NETWORK);
    } else {
        call_back(stream, events);
    }
    if (!stream->closing && has_more(stream))
        osuv_wait_again(stream);
}

static int family_of(int descriptor)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    (void)getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family;
}

sl_err osuv_stream_make(struct sl_loop *loop, int descriptor, const struct sl_stream_events *events,
                        void *arg, struct sl_stream **ret_stream)
{
    struct osuv_stream *stream = sl_alloc_zero(1, sizeof *stream);
    if (!stream) {
        sl_descriptor_close(descriptor);
        return SLUICE_E_NO_MEMORY;
    }
    *stream = (struct osuv_stream){.base.os = loop->os,
                                   .descriptor = descriptor,
                                   .events = events,
                                   .arg = arg,
                                   .loop = osuv_loop_of(loop)};
    int family = family_of(descriptor);
    stream->is_local = family == AF_UNIX;
    sl_err err = osuv_wait_add(stream);
    if (err) {
        sl_descriptor_close(descriptor);
        sl_free(stream);
        return err;
    }
    osuv_socket_no_delay(descriptor, family);
    *ret_stream = &stream->base;
    return SLUICE_OK;
}

void osuv_stream_read_begin(struct sl_stream *base)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    set_interest(stream, stream->interest | OSUV_READABLE);
}

void osuv_stream_read_end(struct sl_stream *base)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    set_interest(stream, stream->interest & ~OSUV_READABLE);
}

/* Every failure of a connected socket is the connection's end. */
static sl_err socket_err(void)
{
    return errno == EAGAIN ? SLUICE_E_WOULD_BLOCK : SLUICE_E_NETWORK;
}

/* Descriptors that a peer sent with its bytes end a read. Nobody takes them; the flag says so. */
static ssize_t receive_local(struct osuv_stream *stream, void *buffer, size_t size)
{
    struct iovec piece = {buffer, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t got = recvmsg(stream->descriptor, &message, 0);
    stream->insists = stream->insists || (got >= 0 && (message.msg_flags & MSG_CTRUNC));
    return got;
}

sl_err osuv_stream_read(struct sl_stream *base, void *buffer, size_t size, size_t *ret_size)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    ssize_t got;
    if (stream->rings)
        return osuv_rings_read(stream->rings, buffer, size, ret_size);
    do
        got = stream->is_local ? receive_local(stream, buffer, size)
                               : recv(stream->descriptor, buffer, size, 0);
    while (got < 0 && errno == EINTR);
    if (got < (ssize_t)size && (got < 0 || !stream->insists))
        stream->has_input = false;
    if (got < 0)
        return socket_err();
    *ret_size = (size_t)got;
    return SLUICE_OK;
}

/* The kernel takes pieces as they are. */
_Static_assert(sizeof(struct sl_iovec) == sizeof(struct iovec) &&
                   offsetof(struct sl_iovec, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(struct sl_iovec, size) == offsetof(struct iovec, iov_len),
               "struct sl_iovec is struct iovec");

/* One piece, which most answers are, goes without a header for the kernel to copy. */
static ssize_t send_pieces(int descriptor, const struct sl_iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = count};
    ssize_t put;
    do
        put = count == 1 ? send(descriptor, pieces->base, pieces->size, MSG_NOSIGNAL)
                         : sendmsg(descriptor, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put;
}

static size_t pieces_size(const struct sl_iovec *pieces, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].size;
    return size;
}

/* A short count says that the socket is full. */
sl_err osuv_stream_writev(struct sl_stream *base, const struct sl_iovec *pieces, size_t count,
                          size_t *ret_size)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    size_t done = 0;
    if (stream->rings)
        return osuv_rings_writev(stream->rings, pieces, count, ret_size);
    for (size_t at = 0; at < count; at += PIECES_PER_CALL) {
        size_t some = SL_MIN(count - at, (size_t)PIECES_PER_CALL);
        ssize_t put = send_pieces(stream->descriptor, pieces + at, some);
        if (put < 0 && errno != EAGAIN)
            return socket_err();
        done += put > 0 ? (size_t)put : 0;
        if (put < (ssize_t)pieces_size(pieces + at, some)) {
            set_interest(stream, stream->interest | OSUV_WRITABLE);
            break;
        }
    }
    *ret_size = done;
    return SLUICE_OK;
}

sl_err osuv_stream_sendfile(struct sl_stream *base, struct sl_file *file, uint64_t position,
                            size_t size, size_t *ret_size)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    int source = SL_CONTAINER_OF(file, struct osuv_file, base)->descriptor;
    off_t at = (off_t)position;
    size_t done = 0;
    if (stream->rings)
        return SLUICE_E_UNSUPPORTED;
    while (done < size) {
        ssize_t put = sendfile(stream->descriptor, source, &at, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno != EAGAIN)
            return errno == EIO ? SLUICE_E_IO : socket_err();
        if (put == 0)
            return SLUICE_E_TRUNCATED; /* the file ends before what was promised */
        if (put < 0) {
            set_interest(stream, stream->interest | OSUV_WRITABLE);
            break;
        }
        done += (size_t)put;
    }
    *ret_size = done;
    return SLUICE_OK;
}

void osuv_stream_local(const struct sl_stream *base, char *ret_text, size_t size)
{
    const struct osuv_stream *stream = SL_CONTAINER_OF(base, const struct osuv_stream, base);
    struct osuv_address local = {.size = sizeof local.storage};
    if (getsockname(stream->descriptor, (struct sockaddr *)&local.storage, &local.size) != 0)
        local.storage.ss_family = AF_UNIX;
    local.family = local.storage.ss_family;
    osuv_address_text(&local, ret_text, size);
}

sl_err osuv_stream_peer_user(const struct sl_stream *base, uint32_t *ret_user)
{
    const struct osuv_stream *stream = SL_CONTAINER_OF(base, const struct osuv_stream, base);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (!stream->is_local ||
        getsockopt(stream->descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return SLUICE_E_UNSUPPORTED;
    *ret_user = peer.uid;
    return SLUICE_OK;
}

void osuv_stream_destroy(struct sl_stream *base)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    stream->closing = true;
    if (stream->rings)
        osuv_rings_unmap(stream->rings);
    osuv_wait_drop(stream);
}
