/* native_latency.c: from a publish to its push at a subscriber, beside a bare ping-pong.
 *
 *   native_latency PORT|PATH TOPIC COUNT [CORE]
 *
 * Two connections, to 127.0.0.1 or over shared memory by the Unix socket at a path: a PUBLISH of a
 * record of 100 bytes goes out on one, and the clock stops when its MESSAGES frame has come whole
 * on the other. The bare server, a child process, reads as many bytes from its one connection and
 * writes as many to its other: sockets by epoll, rings by looking at them all the time, as both
 * sides do then. Both are measured by the same code, in turns of TURN, so that what disturbs the
 * machine disturbs both; a bare server that looks is stopped while it is not its turn, and is on
 * CORE, as the broker is. Prints one line: bare p50 p99, sluice p50 p99 (microseconds), ratios. */
#include "frame_io.h"
#include "shared_stream.h"
#include "socket_stream.h"

#include <sluice/shared_ring.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORD_BYTES 100u
#define TURN         500u
#define COUNT_MAX    1000000u
#define WARM         2000u
#define PIECE        65536u
#define TURN_WARM_NS 1000000 /* of each turn, before it counts */
#define LOOK_US      1000000u

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        fail("connect");
    }
    return fd;
}

/* -- wires: what all bytes go through that are measured -- */

struct wire {
    struct sluice_transport transport;
    void *session;
};

static void send_all(const struct wire *wire, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const int64_t sent = wire->transport.write(wire->session, data, size);
        if (sent < 0 || (sent == 0 && !wire->transport.wait(wire->session, true, INT64_MAX))) {
            fail("send");
        }
        data += sent;
        size -= (size_t)sent;
    }
}

static void receive_all(const struct wire *wire, uint8_t *data, size_t size)
{
    while (size > 0) {
        const int64_t got = wire->transport.read(wire->session, data, size);
        if (got < 0 || (got == 0 && !wire->transport.wait(wire->session, false, INT64_MAX))) {
            fail("recv");
        }
        data += got;
        size -= (size_t)got;
    }
}

static int64_t socket_read(void *session, void *ret_data, uint64_t size)
{
    const ssize_t got = recv(*(const int *)session, ret_data, (size_t)size, 0);
    return got > 0 ? got : -1;
}

static int64_t socket_write(void *session, const void *data, uint64_t size)
{
    return send(*(const int *)session, data, (size_t)size, 0);
}

/* A socket that blocks. */
static struct wire socket_wire(uint16_t port)
{
    int *fd = malloc(sizeof(*fd));
    if (fd == NULL) {
        fail("memory");
    }
    *fd = connect_to(port);
    return (struct wire){{.read = socket_read, .write = socket_write}, fd};
}

static int64_t ring_read(void *session, void *ret_data, uint64_t size)
{
    return sluice_shared_read(session, ret_data, size);
}

static int64_t ring_write(void *session, const void *data, uint64_t size)
{
    return sluice_shared_write(session, data, size);
}

static bool ring_wait(void *session, bool writes, int64_t deadline_ms)
{
    const uint32_t wants = SLUICE_SHARED_FOR_BYTES | (writes ? SLUICE_SHARED_FOR_ROOM : 0);
    (void)deadline_ms;
    while (!sluice_shared_is_ready(session, wants)) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    return true;
}

static struct wire ring_wire(uint8_t *memory, uint32_t side)
{
    struct sluice_shared_rings *rings = malloc(sizeof(*rings));
    if (rings == NULL) {
        fail("memory");
    }
    *rings = sluice_shared_of(memory, side, PIECE);
    return (struct wire){{.read = ring_read, .write = ring_write, .wait = ring_wait}, rings};
}

/* Shared memory of the broker. */
static struct wire shared_wire(const char *path)
{
    static const uint32_t look_us = LOOK_US;
    struct wire wire = {.transport = shared_stream(&look_us)};
    struct socket_address address;
    char text[SOCKET_TEXT_MAX];
    int fd;
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    if (socket_address_parse(text, &address) != SLUICE_OK ||
        socket_connect(&address, socket_now_ms() + 5000, &fd) != SLUICE_OK ||
        wire.transport.start(wire.transport.data, fd, path, &wire.session) != SLUICE_OK) {
        fail("no shared memory");
    }
    return wire;
}

static struct wire wire_to(const char *address)
{
    return address[0] == '/' ? shared_wire(address)
                             : socket_wire((uint16_t)strtoul(address, NULL, 10));
}

/* -- the bare server -- */

struct bare {
    pid_t process;
    bool looks; /* instead of sleeping */
    struct wire to, from;
};

static void serve_bare(int listener, size_t in_size, size_t out_size)
{
    static uint8_t in[PIECE];
    static uint8_t out[PIECE];
    const int on = 1;
    size_t has = 0;
    int from = accept(listener, NULL, NULL);
    int to = accept(listener, NULL, NULL);
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (from < 0 || to < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, from, &event) != 0 ||
        setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        fail("bare server");
    }
    for (;;) {
        if (epoll_wait(poll, &event, 1, -1) < 1) {
            continue;
        }
        ssize_t got = recv(from, in, sizeof(in), 0);
        if (got <= 0) {
            _exit(0);
        }
        for (has += (size_t)got; has >= in_size; has -= in_size) {
            if (send(to, out, out_size, 0) != (ssize_t)out_size) {
                fail("send");
            }
        }
    }
}

/* This process. core below 0: wherever it likes. */
static void stay_on(int core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (core >= 0) {
        CPU_SET((size_t)core, &one);
        (void)sched_setaffinity(0, sizeof(one), &one);
    }
}

static struct bare start_sockets(size_t in_size, size_t out_size, int core)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, size) != 0 ||
        listen(listener, 2) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fail("bind");
    }
    struct bare bare = {.process = fork()};
    if (bare.process == 0) {
        stay_on(core);
        serve_bare(listener, in_size, out_size);
    }
    (void)close(listener);
    bare.to = socket_wire(ntohs(address.sin_port));
    bare.from = socket_wire(ntohs(address.sin_port));
    return bare;
}

static void serve_rings(const struct wire *from, const struct wire *to, size_t in_size,
                        size_t out_size)
{
    static uint8_t bytes[PIECE];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        receive_all(from, bytes, in_size);
        send_all(to, bytes, out_size);
    }
}

static struct bare start_rings(size_t in_size, size_t out_size, int core)
{
    uint8_t *memory[2];
    struct wire server[2];
    struct bare bare = {.looks = true};
    for (int i = 0; i < 2; i++) {
        memory[i] = mmap(NULL, (size_t)sluice_shared_bytes(PIECE), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory[i] == MAP_FAILED) {
            fail("memory");
        }
        server[i] = ring_wire(memory[i], SLUICE_SHARED_SERVER);
    }
    bare.to = ring_wire(memory[0], SLUICE_SHARED_CLIENT);
    bare.from = ring_wire(memory[1], SLUICE_SHARED_CLIENT);
    bare.process = fork();
    if (bare.process == 0) {
        stay_on(core);
        serve_rings(&server[0], &server[1], in_size, out_size);
    }
    return bare;
}

/* -- the native protocol -- */

static uint32_t read_frame(const struct wire *wire, uint8_t *ret_frame, uint16_t *ret_kind)
{
    receive_all(wire, ret_frame, 4);
    struct frame_in in = frame_in_of(ret_frame, 4);
    const uint32_t size = frame_get_u32(&in);
    if (size < 8 || size > PIECE - 4) {
        fail("a frame that cannot be");
    }
    receive_all(wire, ret_frame + 4, size);
    *ret_kind = (uint16_t)(ret_frame[4] | ret_frame[5] << 8);
    return size + 4;
}

static void end_and_send(const struct wire *wire, struct frame_out *out)
{
    if (frame_end(out, PIECE) != SLUICE_OK) {
        fail("frame");
    }
    send_all(wire, out->data, frame_out_size(out));
    frame_out_drop(out, frame_out_size(out));
}

static struct wire greet(const char *address, struct frame_out *out)
{
    uint8_t frame[PIECE];
    uint16_t kind;
    const struct wire wire = wire_to(address);
    frame_begin(out, FRAME_HELLO, 0, 1, PIECE);
    frame_put_u32(out, FRAME_MAGIC);
    frame_put_u16(out, 1);
    frame_put_u16(out, 1);
    frame_put_text(out, sluice_text_of("native_latency"));
    frame_put_text(out, sluice_text_of("bench"));
    end_and_send(&wire, out);
    (void)read_frame(&wire, frame, &kind);
    if (kind != FRAME_WELCOME) {
        fail("no WELCOME");
    }
    return wire;
}

static void subscribe(const struct wire *wire, const char *topic, struct frame_out *out)
{
    uint8_t frame[PIECE];
    uint16_t kind;
    frame_begin(out, FRAME_SUBSCRIBE, 0, 2, PIECE);
    frame_put_text(out, sluice_text_of(topic));
    frame_put_text(out, sluice_text_of(NULL));
    frame_put_zeros(out, 4);
    frame_put_i32(out, -1);
    frame_put_i64(out, 0);
    frame_put_u64(out, 1u << 30);
    frame_put_u64(out, UINT64_C(1) << 40);
    frame_put_u32(out, 0);
    frame_put_text(out, sluice_text_of(NULL));
    frame_put_u32(out, 0);
    end_and_send(wire, out);
    do { /* SUBSCRIBED, SOURCE, and that there is nothing yet */
        (void)read_frame(wire, frame, &kind);
    } while (kind != FRAME_MESSAGES && kind != FRAME_ERROR);
    if (kind == FRAME_ERROR) {
        fail("SUBSCRIBE was refused");
    }
}

/* One PUBLISH, to be sent again and again. Its bytes stay in `out`. */
static void put_publish(struct frame_out *out, const char *topic)
{
    frame_begin(out, FRAME_PUBLISH, 1, 3, PIECE);
    frame_put_text(out, sluice_text_of(topic));
    frame_put_i32(out, 0);
    frame_put_u8(out, 1);
    frame_put_zeros(out, 3);
    frame_put_i64(out, -1);
    frame_put_text(out, sluice_text_of(NULL));
    frame_put_u32(out, 1);
    frame_put_u32(out, 28 + RECORD_BYTES);
    frame_put_i64(out, 0);
    frame_put_i64(out, -1);
    frame_put_u32(out, 0);
    frame_put_u32(out, FRAME_NULL_BLOB);
    frame_put_u32(out, RECORD_BYTES);
    frame_put_zeros(out, RECORD_BYTES);
    if (frame_end(out, PIECE) != SLUICE_OK) {
        fail("frame");
    }
}

/* -- measuring -- */

struct side {
    struct wire to, from;
    size_t out_size; /* bytes that come for each that goes */
    int64_t *samples;
    uint32_t count;
};

static int64_t once(const struct side *side, const uint8_t *data, size_t size)
{
    uint8_t back[PIECE];
    const int64_t begin = now_ns();
    send_all(&side->to, data, size);
    receive_all(&side->from, back, side->out_size);
    return now_ns() - begin;
}

static void turn(struct side *side, const uint8_t *data, size_t size, uint32_t count)
{
    const int64_t warm_until = now_ns() + TURN_WARM_NS;
    while (now_ns() < warm_until) {
        (void)once(side, data, size);
    }
    for (uint32_t i = 0; i < count; i++) {
        side->samples[side->count++] = once(side, data, size);
    }
}

static void bare_turn(struct side *side, const struct bare *bare, const uint8_t *data, size_t size,
                      uint32_t count)
{
    if (bare->looks) {
        (void)kill(bare->process, SIGCONT);
    }
    turn(side, data, size, count);
    if (bare->looks) {
        (void)kill(bare->process, SIGSTOP);
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(const struct side *side, double q)
{
    return (double)side->samples[(size_t)((double)(side->count - 1) * q)] / 1000;
}

int main(int argc, char **argv)
{
    struct frame_out out = {0};
    uint8_t frame[PIECE];
    uint16_t kind;
    const uint32_t count = argc >= 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (count < TURN || count > COUNT_MAX) {
        (void)fprintf(stderr, "usage: %s PORT|PATH TOPIC COUNT [CORE] (COUNT %u to %u)\n", argv[0],
                      TURN, COUNT_MAX);
        return 2;
    }
    const int core = argc > 4 ? (int)strtol(argv[4], NULL, 10) : -1; /* of the bare server */
    const bool is_shared = argv[1][0] == '/';
    struct side sluice = {.to = greet(argv[1], &out), .from = greet(argv[1], &out)};
    subscribe(&sluice.from, argv[2], &out);
    put_publish(&out, argv[2]);
    const size_t in_size = frame_out_size(&out);
    send_all(&sluice.to, out.data, in_size);
    sluice.out_size = read_frame(&sluice.from, frame, &kind);
    const struct bare server = is_shared ? start_rings(in_size, sluice.out_size, core)
                                         : start_sockets(in_size, sluice.out_size, core);
    struct side bare = {.to = server.to, .from = server.from, .out_size = sluice.out_size};
    bare.samples = calloc(COUNT_MAX + TURN + WARM, sizeof(int64_t));
    sluice.samples = calloc(COUNT_MAX + TURN + WARM, sizeof(int64_t));
    if (bare.samples == NULL || sluice.samples == NULL) {
        fail("memory");
    }
    bare_turn(&bare, &server, out.data, in_size, WARM);
    turn(&sluice, out.data, in_size, WARM);
    bare.count = sluice.count = 0;
    for (uint32_t done = 0; done < count; done += TURN) {
        bare_turn(&bare, &server, out.data, in_size, TURN);
        turn(&sluice, out.data, in_size, TURN);
    }
    qsort(bare.samples, bare.count, sizeof(int64_t), compare);
    qsort(sluice.samples, sluice.count, sizeof(int64_t), compare);
    const double b50 = quantile_us(&bare, 0.5);
    const double b99 = quantile_us(&bare, 0.99);
    const double s50 = quantile_us(&sluice, 0.5);
    const double s99 = quantile_us(&sluice, 0.99);
    (void)printf("bare %.1f %.1f us, sluice %.1f %.1f us (p50 p99 of %u, %zu bytes out, %zu back), "
                 "ratios %.2f %.2f\n",
                 b50, b99, s50, s99, sluice.count, in_size, sluice.out_size, s50 / b50, s99 / b99);
    (void)kill(server.process, SIGKILL);
    return 0;
}
