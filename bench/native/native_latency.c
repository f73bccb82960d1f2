/* native_latency.c: from a publish to its push at a subscriber, beside a bare epoll ping-pong.
 *
 *   native_latency PORT TOPIC COUNT
 *
 * Two connections to 127.0.0.1: a PUBLISH of a record of 100 bytes goes out on one, and the clock
 * stops when its MESSAGES frame has come whole on the other. The bare server, a child process,
 * reads as many bytes from its one connection and writes as many to its other. Both are measured by
 * the same code, in turns of TURN, so that what disturbs the machine disturbs both. Prints one
 * line: bare p50 p99, sluice p50 p99 (microseconds), ratios. */
#include "frame_io.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORD_BYTES 100u
#define TURN         500u
#define COUNT_MAX    1000000u
#define WARM         2000u
#define PIECE        65536u

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

static void send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, 0);
        if (sent <= 0) {
            fail("send");
        }
        data += sent;
        size -= (size_t)sent;
    }
}

static void receive_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, data, size, 0);
        if (got <= 0) {
            fail("recv");
        }
        data += got;
        size -= (size_t)got;
    }
}

/* -- the bare server -- */

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
            send_all(to, out, out_size);
        }
    }
}

/* The port of a bare server. */
static uint16_t start_bare(size_t in_size, size_t out_size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, size) != 0 ||
        listen(listener, 2) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fail("bind");
    }
    if (fork() == 0) {
        serve_bare(listener, in_size, out_size);
    }
    (void)close(listener);
    return ntohs(address.sin_port);
}

/* -- the native protocol -- */

static uint32_t read_frame(int fd, uint8_t *ret_frame, uint16_t *ret_kind)
{
    receive_all(fd, ret_frame, 4);
    struct frame_in in = frame_in_of(ret_frame, 4);
    const uint32_t size = frame_get_u32(&in);
    if (size < 8 || size > PIECE - 4) {
        fail("a frame that cannot be");
    }
    receive_all(fd, ret_frame + 4, size);
    *ret_kind = (uint16_t)(ret_frame[4] | ret_frame[5] << 8);
    return size + 4;
}

static void end_and_send(int fd, struct frame_out *out)
{
    if (frame_end(out, PIECE) != SLUICE_OK) {
        fail("frame");
    }
    send_all(fd, out->data, frame_out_size(out));
    frame_out_drop(out, frame_out_size(out));
}

static int greet(uint16_t port, struct frame_out *out)
{
    uint8_t frame[PIECE];
    uint16_t kind;
    int fd = connect_to(port);
    frame_begin(out, FRAME_HELLO, 0, 1, PIECE);
    frame_put_u32(out, FRAME_MAGIC);
    frame_put_u16(out, 1);
    frame_put_u16(out, 1);
    frame_put_text(out, sluice_text_of("native_latency"));
    frame_put_text(out, sluice_text_of("bench"));
    end_and_send(fd, out);
    (void)read_frame(fd, frame, &kind);
    if (kind != FRAME_WELCOME) {
        fail("no WELCOME");
    }
    return fd;
}

static void subscribe(int fd, const char *topic, struct frame_out *out)
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
    end_and_send(fd, out);
    do { /* SUBSCRIBED, SOURCE, and that there is nothing yet */
        (void)read_frame(fd, frame, &kind);
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
    int to, from;
    size_t out_size; /* bytes that come for each that goes */
    int64_t *samples;
    uint32_t count;
};

static void turn(struct side *side, const uint8_t *data, size_t size, uint32_t count)
{
    uint8_t back[PIECE];
    for (uint32_t i = 0; i < count; i++) {
        const int64_t begin = now_ns();
        send_all(side->to, data, size);
        receive_all(side->from, back, side->out_size);
        side->samples[side->count++] = now_ns() - begin;
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
    const uint32_t count = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (count < TURN || count > COUNT_MAX) {
        (void)fprintf(stderr, "usage: %s PORT TOPIC COUNT (%u to %u)\n", argv[0], TURN, COUNT_MAX);
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    struct side sluice = {.to = greet(port, &out), .from = greet(port, &out)};
    subscribe(sluice.from, argv[2], &out);
    put_publish(&out, argv[2]);
    const size_t in_size = frame_out_size(&out);
    send_all(sluice.to, out.data, in_size);
    sluice.out_size = read_frame(sluice.from, frame, &kind);
    const uint16_t bare_port = start_bare(in_size, sluice.out_size);
    struct side bare = {.out_size = sluice.out_size};
    bare.to = connect_to(bare_port);
    bare.from = connect_to(bare_port);
    bare.samples = calloc(COUNT_MAX + TURN + WARM, sizeof(int64_t));
    sluice.samples = calloc(COUNT_MAX + TURN + WARM, sizeof(int64_t));
    if (bare.samples == NULL || sluice.samples == NULL) {
        fail("memory");
    }
    turn(&bare, out.data, in_size, WARM);
    turn(&sluice, out.data, in_size, WARM);
    bare.count = sluice.count = 0;
    for (uint32_t done = 0; done < count; done += TURN) {
        turn(&bare, out.data, in_size, TURN);
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
    return 0;
}
