/* os_uv_rings.c: a local socket that became two rings in shared memory (<sluice/shared_ring.h>).
 *
 *   awake:   in the loop's list, each turn looks at it; nobody needs to wake it
 *   asleep:  out of the list; its word in shared memory says for what, and a byte on the socket
 *            wakes it. A thousand that sleep cost a turn nothing.
 *
 * The socket is watched for two things: a byte, whatever it is, wakes; its end is the peer's, found
 * once the rings are empty. It is never written to in a way that could wait: an eventfd would be,
 * as its other holder can make it blocking. The memory is sealed, so that no access of ours can
 * fail however the peer resizes or maps it. */
#include "os/os_uv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WAKES_AT_ONCE 64u /* bytes that are taken from the socket */
#define MEMORY_NAME   "sluice-native"
#define MEMORY_FLAGS  (MFD_CLOEXEC | MFD_ALLOW_SEALING)
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

struct osuv_rings {
    struct sluice_shared_rings shared;
    struct osuv_stream *stream;
    struct osuv_rings *next;
    struct osuv_rings **link; /* what points at it in the loop's list; NULL: it sleeps */
    bool gone;                /* the peer closed the socket */
};

/* ---- the list of those that are looked at ---- */

void osuv_rings_look_at(struct osuv_rings *rings)
{
    struct osuv_loop *loop = rings->stream->loop;
    if (rings->link)
        return;
    sluice_shared_awake(&rings->shared);
    rings->next = loop->rings;
    if (rings->next)
        rings->next->link = &rings->next;
    rings->link = &loop->rings;
    loop->rings = rings;
}

static void leave(struct osuv_rings *rings)
{
    if (!rings->link)
        return;
    if (rings->stream->loop->next_rings == rings)
        rings->stream->loop->next_rings = rings->next;
    *rings->link = rings->next;
    if (rings->next)
        rings->next->link = rings->link;
    rings->link = NULL;
}

static uint32_t wants(const struct osuv_rings *rings)
{
    uint32_t bytes = rings->stream->interest & OSUV_READABLE ? SLUICE_SHARED_FOR_BYTES : 0;
    uint32_t room = rings->stream->interest & OSUV_WRITABLE ? SLUICE_SHARED_FOR_ROOM : 0;
    return bytes | room;
}

static bool has(const struct osuv_rings *rings, uint32_t interest, uint32_t what)
{
    return (rings->stream->interest & interest) &&
           (rings->gone || sluice_shared_is_ready(&rings->shared, what));
}

/* The callee may free the stream: its memory stays until libuv has let go of it. */
static bool serve(struct osuv_rings *rings)
{
    struct osuv_stream *stream = rings->stream;
    bool any = false;
    if (has(rings, OSUV_READABLE, SLUICE_SHARED_FOR_BYTES)) {
        any = true;
        stream->events->readable(stream->arg);
    }
    if (!stream->closing && has(rings, OSUV_WRITABLE, SLUICE_SHARED_FOR_ROOM)) {
        any = true;
        stream->interest &= ~OSUV_WRITABLE;
        stream->events->writable(stream->arg);
    }
    return any;
}

bool osuv_rings_serve(struct osuv_loop *loop)
{
    bool any = false;
    for (struct osuv_rings *rings = loop->rings; rings; rings = loop->next_rings) {
        loop->next_rings = rings->next;
        any = serve(rings) || any;
    }
    return any;
}

bool osuv_rings_sleep(struct osuv_loop *loop)
{
    bool all = true;
    for (struct osuv_rings *rings = loop->rings; rings; rings = loop->next_rings) {
        loop->next_rings = rings->next;
        bool sleeps = !(rings->gone && rings->stream->interest) &&
                      sluice_shared_asleep(&rings->shared, wants(rings));
        if (sleeps)
            leave(rings);
        all = all && sleeps;
    }
    return all;
}

/* ---- the socket ---- */

/* A full socket has bytes that wake on their way already. */
static void wake_peer(struct osuv_rings *rings, uint32_t did)
{
    if (sluice_shared_must_wake(&rings->shared, did))
        (void)!send(rings->stream->descriptor, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What is not taken now is at the next wait. */
void osuv_rings_woken(struct osuv_rings *rings)
{
    struct osuv_stream *stream = rings->stream;
    uint8_t bytes[WAKES_AT_ONCE];
    if (rings->gone) {
        stream->has_input = false;
        return;
    }
    ssize_t got = recv(stream->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    bool none = got < 0 && (errno == EAGAIN || errno == EINTR);
    rings->gone = got <= 0 && !none;
    stream->has_input = got > 0;
    if (!none)
        osuv_rings_look_at(rings);
}

/* ---- bytes ---- */

sl_err osuv_rings_read(struct osuv_rings *rings, void *buffer, size_t size, size_t *ret_size)
{
    int64_t got = sluice_shared_read(&rings->shared, buffer, size);
    if (got < 0)
        return SLUICE_E_NETWORK;
    if (got == 0 && !rings->gone)
        return SLUICE_E_WOULD_BLOCK;
    if (got > 0)
        wake_peer(rings, SLUICE_SHARED_FOR_ROOM);
    *ret_size = (size_t)got;
    return SLUICE_OK;
}

sl_err osuv_rings_writev(struct osuv_rings *rings, const struct sl_iovec *pieces, size_t count,
                         size_t *ret_size)
{
    size_t done = 0;
    bool fits = true;
    if (rings->gone)
        return SLUICE_E_NETWORK;
    for (size_t i = 0; i < count && fits; i++) {
        int64_t put = sluice_shared_write(&rings->shared, pieces[i].base, pieces[i].size);
        if (put < 0)
            return SLUICE_E_NETWORK;
        done += (size_t)put;
        fits = (size_t)put == pieces[i].size;
    }
    if (done > 0)
        wake_peer(rings, SLUICE_SHARED_FOR_BYTES);
    if (!fits) {
        rings->stream->interest |= OSUV_WRITABLE;
        osuv_rings_look_at(rings);
    }
    *ret_size = done;
    return SLUICE_OK;
}

/* ---- life ---- */

/* Not to be run, where the system knows that. */
static int make_memory(void)
{
    int descriptor = memfd_create(MEMORY_NAME, MEMORY_FLAGS | MFD_NOEXEC_SEAL);
    if (descriptor < 0 && errno == EINVAL) /* before Linux 6.3 */
        descriptor = memfd_create(MEMORY_NAME, MEMORY_FLAGS);
    return descriptor;
}

/* Sealed memory that is zero; *ret_descriptor is the caller's. */
static sl_err map_shared(size_t size, int *ret_descriptor, uint8_t **ret_memory)
{
    int descriptor = make_memory();
    if (descriptor < 0)
        return osuv_err(errno);
    void *memory = MAP_FAILED;
    if (ftruncate(descriptor, (off_t)size) == 0 &&
        fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) {
        sl_err err = osuv_err(errno);
        close(descriptor);
        return err;
    }
    *ret_descriptor = descriptor;
    *ret_memory = memory;
    return SLUICE_OK;
}

/* The answer, with the descriptor. */
static sl_err send_answer(int socket, const struct sl_share *share, int descriptor)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec piece = {(void *)(uintptr_t)share->answer, share->answer_size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &descriptor, sizeof descriptor);
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)share->answer_size ? SLUICE_OK : SLUICE_E_NETWORK;
}

sl_err osuv_stream_share(struct sl_stream *base, const struct sl_share *share)
{
    struct osuv_stream *stream = osuv_stream_of(base);
    struct osuv_loop *loop = stream->loop;
    size_t size = sluice_shared_bytes(share->ring_bytes);
    uint32_t user;
    uint8_t *memory = NULL;
    int descriptor = -1;
    sl_err err = osuv_stream_peer_user(base, &user);
    if (err)
        return err;
    struct osuv_rings *rings = sl_alloc_zero(1, sizeof *rings);
    if (!rings)
        return SLUICE_E_NO_MEMORY;
    err = map_shared(size, &descriptor, &memory);
    if (err) {
        sl_free(rings);
        return err;
    }
    err = send_answer(stream->descriptor, share, descriptor);
    close(descriptor); /* the mapping keeps the memory */
    if (err) {
        munmap(memory, size);
        sl_free(rings);
        return err;
    }
    rings->shared = sluice_shared_of(memory, SLUICE_SHARED_SERVER, share->ring_bytes);
    rings->stream = stream;
    stream->rings = rings;
    if (osuv_os_of(base->os)->spins)
        loop->ring_spin.limit_ns = SL_MAX(loop->ring_spin.limit_ns, share->look_ns);
    osuv_rings_look_at(rings);
    if (stream->has_input)
        osuv_wait_again(stream);
    return SLUICE_OK;
}

void osuv_rings_unmap(struct osuv_rings *rings)
{
    leave(rings);
    munmap(rings->shared.memory, sluice_shared_bytes(rings->shared.size));
}
