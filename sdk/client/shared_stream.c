/* shared_stream.c: see shared_stream.h. Linux. */
#include "shared_stream.h"

#include "socket_stream.h"

#include <sluice/shared_ring.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS     5000
#define LOOKS_AT_ONCE 16u /* between two readings of the clock */
#define YIELD_NS      5000
#define WAKES_AT_ONCE 64u
#define SEALS         (F_SEAL_SHRINK | F_SEAL_GROW)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as on the socket");

struct session {
    struct sluice_shared_rings rings;
    int fd;
    bool gone; /* the server closed the socket */
    int64_t look_ns;
};

/* -- asking for the memory -- */

/* The descriptor that came with bytes; -1: none did. */
static int descriptor_of(struct msghdr *message)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int memory = -1;
    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&memory, CMSG_DATA(head), sizeof(memory));
    }
    return memory;
}

/* Bytes of the answer. 0: it is over, or its time. */
static size_t receive_part(int fd, uint8_t *to, size_t size, int64_t deadline_ms, int *memory)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {to, size};
    ssize_t got = -1;
    errno = EAGAIN;
    while (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        struct msghdr message = {.msg_iov = &piece,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        if (!socket_wait(fd, false, deadline_ms)) {
            return 0;
        }
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        const int came = got > 0 ? descriptor_of(&message) : -1;
        if (came >= 0 && *memory >= 0) {
            (void)close(came);
        } else if (came >= 0) {
            *memory = came;
        }
    }
    return got > 0 ? (size_t)got : 0;
}

/* The memory's descriptor is the caller's, when there is one, also when it fails. */
static sluice_status ask(int fd, struct sluice_shared_answer *ret_answer, int *ret_memory)
{
    const struct sluice_shared_request request = {SLUICE_SHARED_MAGIC, SLUICE_SHARED_VERSION,
                                                  SLUICE_SHARED_VERSION, 0};
    const int64_t deadline = socket_now_ms() + ANSWER_MS;
    size_t done = 0;
    size_t part = 1;
    if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request)) {
        return SLUICE_E_NETWORK;
    }
    while (done < sizeof(*ret_answer) && part > 0) {
        part = receive_part(fd, (uint8_t *)ret_answer + done, sizeof(*ret_answer) - done, deadline,
                            ret_memory);
        done += part;
    }
    if (part == 0) { /* who does not know the question hangs up */
        return SLUICE_E_NETWORK;
    }
    if (ret_answer->magic != SLUICE_SHARED_MAGIC || ret_answer->code > INT32_MAX) {
        return SLUICE_E_MALFORMED;
    }
    return (sluice_status)ret_answer->code;
}

/* Maps what the server gave: as large as it says, and nobody can make it smaller under us. */
static sluice_status map_memory(const struct sluice_shared_answer *answer, int memory,
                                uint8_t **ret_memory)
{
    const uint64_t size = sluice_shared_bytes(answer->ring_bytes);
    struct stat info;
    if (answer->version != SLUICE_SHARED_VERSION || !sluice_shared_is_size(answer->ring_bytes) ||
        memory < 0 || fstat(memory, &info) != 0 || info.st_size != (off_t)size ||
        (fcntl(memory, F_GET_SEALS) & SEALS) != SEALS) {
        return SLUICE_E_MALFORMED;
    }
    void *mapped = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED) {
        return SLUICE_E_NO_MEMORY;
    }
    *ret_memory = mapped;
    return SLUICE_OK;
}

/* -- the transport -- */

static int64_t look_ns(uint32_t look_us)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? (int64_t)look_us * 1000 : 0;
}

static sluice_status shared_start(void *data, int fd, const char *host, void **ret_session)
{
    struct sluice_shared_answer answer;
    uint8_t *mapped = NULL;
    int memory = -1;
    struct session *session = calloc(1, sizeof(*session));
    (void)host;
    sluice_status status = session == NULL ? SLUICE_E_NO_MEMORY : ask(fd, &answer, &memory);
    if (status == SLUICE_OK) {
        status = map_memory(&answer, memory, &mapped);
    }
    if (memory >= 0) {
        (void)close(memory);
    }
    if (status != SLUICE_OK) {
        (void)close(fd);
        free(session);
        return status;
    }
    session->rings = sluice_shared_of(mapped, SLUICE_SHARED_CLIENT, answer.ring_bytes);
    session->fd = fd;
    session->look_ns = look_ns(*(const uint32_t *)data);
    *ret_session = session;
    return SLUICE_OK;
}

/* A full socket has bytes that wake on their way already. */
static void wake_server(const struct session *session, uint32_t did)
{
    if (sluice_shared_must_wake(&session->rings, did)) {
        (void)!send(session->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static int64_t shared_read(void *data, void *ret_data, uint64_t size)
{
    struct session *session = data;
    int64_t got = sluice_shared_read(&session->rings, ret_data, size);
    if (got > 0) {
        wake_server(session, SLUICE_SHARED_FOR_ROOM);
    }
    return got < 0 || (got == 0 && session->gone) ? -(int64_t)SLUICE_E_NETWORK : got;
}

static int64_t shared_write(void *data, const void *bytes, uint64_t size)
{
    struct session *session = data;
    int64_t put = sluice_shared_write(&session->rings, bytes, size);
    if (put > 0) {
        wake_server(session, SLUICE_SHARED_FOR_BYTES);
    }
    return put < 0 || session->gone ? -(int64_t)SLUICE_E_NETWORK : put;
}

static bool shared_wants_write(void *session)
{
    (void)session;
    return false;
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_processor(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Looks for what is wanted before it is slept for, and not beyond the deadline. Who could put it
 * may wait for this processor: it is let go now and then. */
static bool look(const struct session *session, uint32_t wants, int64_t deadline_ms)
{
    int64_t now = session->look_ns > 0 ? now_ns() : 0;
    int64_t until = session->look_ns > 0 ? now + session->look_ns : 0;
    int64_t yield = now + YIELD_NS;
    if (deadline_ms <= until / 1000000) {
        until = deadline_ms * 1000000;
    }
    bool found = sluice_shared_is_ready(&session->rings, wants);
    while (!found && now < until) {
        for (uint32_t i = 0; i < LOOKS_AT_ONCE && !found; i++) {
            pause_processor();
            found = sluice_shared_is_ready(&session->rings, wants);
        }
        now = now_ns();
        if (!found && now >= yield) {
            (void)sched_yield();
            yield = now_ns() + YIELD_NS;
            found = sluice_shared_is_ready(&session->rings, wants);
        }
    }
    return found;
}

static uint32_t wants_of(bool writes)
{
    return SLUICE_SHARED_FOR_BYTES | (writes ? SLUICE_SHARED_FOR_ROOM : 0);
}

static bool shared_sleep(void *data, bool writes)
{
    const struct session *session = data;
    return sluice_shared_asleep(&session->rings, wants_of(writes));
}

/* The bytes that woke say nothing but that; the end of the socket is that of the server. */
static void shared_wake(void *data)
{
    struct session *session = data;
    uint8_t wakes[WAKES_AT_ONCE];
    sluice_shared_awake(&session->rings);
    ssize_t got = recv(session->fd, wakes, sizeof(wakes), MSG_DONTWAIT);
    session->gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static bool shared_wait(void *data, bool writes, int64_t deadline_ms)
{
    struct session *session = data;
    if (look(session, wants_of(writes), deadline_ms) || !shared_sleep(session, writes)) {
        return true;
    }
    const bool woken = socket_wait(session->fd, false, deadline_ms);
    if (woken) {
        shared_wake(session);
    } else {
        sluice_shared_awake(&session->rings);
    }
    return woken;
}

static void shared_end(void *data)
{
    struct session *session = data;
    (void)munmap(session->rings.memory, (size_t)sluice_shared_bytes(session->rings.size));
    (void)close(session->fd);
    free(session);
}

struct sluice_transport shared_stream(const uint32_t *look_us)
{
    return (struct sluice_transport){
        .size = sizeof(struct sluice_transport),
        .data = (void *)(uintptr_t)look_us,
        .start = shared_start,
        .read = shared_read,
        .write = shared_write,
        .wants_write = shared_wants_write,
        .end = shared_end,
        .wait = shared_wait,
        .sleep = shared_sleep,
        .wake = shared_wake,
    };
}
