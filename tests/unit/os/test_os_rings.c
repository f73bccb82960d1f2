/* test_os_rings.c: streams that became rings in shared memory, and what a peer may do in there.
 *
 * The server is on the fixture's loop: it gives rings to whoever connects, and echoes. The test's
 * own thread is the peer, honest through <sluice/shared_ring.h> or hostile by hand. */
#include "os_fixture.h"

#include <sluice/shared_ring.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 4, RING_BYTES = 4096, MANY_BYTES = 1 << 20 };

struct end {
    struct sl_stream *stream;
    uint8_t held[RING_BYTES * 3]; /* read and not yet echoed */
    size_t size;
    bool writing;
};

static struct {
    struct os_fixture *f;
    struct sl_listener *listener;
    struct end ends[PEERS_MAX];
    uint32_t count;
    int64_t look_ns;
    struct os_event *accepted, *closed;
} s;

struct peer {
    int socket;
    struct sluice_shared_rings rings;
};

/* ---- the server ---- */

static void end_close(struct end *end)
{
    end->stream = sl_stream_free(end->stream);
    os_event_say(s.closed);
}

static void echo(void *arg);

static void put_back(void *arg)
{
    struct end *end = arg;
    size_t put = 0;
    struct sl_iovec pieces[2] = {{end->held, end->size / 2},
                                 {end->held + end->size / 2, end->size - end->size / 2}};
    end->writing = false;
    if (sl_stream_writev(end->stream, pieces, 2, &put) != SLUICE_OK) {
        end_close(end);
        return;
    }
    end->size -= put;
    memmove(end->held, end->held + put, end->size);
    end->writing = end->size > 0;
    if (end->writing)
        sl_stream_read_stop(end->stream);
    else
        sl_stream_read_start(end->stream);
}

static void echo(void *arg)
{
    struct end *end = arg;
    size_t got = 0;
    sl_err err = SLUICE_OK;
    while (!end->writing &&
           (err = sl_stream_read(end->stream, end->held, sizeof end->held, &got)) == SLUICE_OK) {
        if (got == 0) {
            end_close(end);
            return;
        }
        end->size = got;
        put_back(end);
        if (!end->stream)
            return;
    }
    if (err && err != SLUICE_E_WOULD_BLOCK)
        end_close(end);
}

static void failed(void *arg, sl_err err)
{
    (void)err;
    end_close(arg);
}

static const struct sl_stream_events events = {
    .readable = echo, .writable = put_back, .failed = failed};

static void accepted(void *arg, int descriptor, const char *peer)
{
    (void)arg, (void)peer;
    struct end *end = &s.ends[s.count++];
    const struct sl_share share = {
        .ring_bytes = RING_BYTES, .look_ns = s.look_ns, .answer = "here it is", .answer_size = 10};
    cr_assert_eq(sl_stream_new(s.f->loop, descriptor, &events, end, &end->stream), SLUICE_OK);
    cr_assert_eq(sl_stream_share(end->stream, &share), SLUICE_OK);
    sl_stream_read_start(end->stream);
    os_event_say(s.accepted);
}

static const char *address(void)
{
    static char text[256];
    snprintf(text, sizeof text, "unix:%s", os_fixture_path(s.f, "rings"));
    return text;
}

static void start(void *arg)
{
    (void)arg;
    cr_assert_eq(sl_listener_new(s.f->loop, address(), 0, accepted, NULL, &s.listener), SLUICE_OK);
}

static void shut(void *arg)
{
    (void)arg;
    s.listener = sl_listener_free(s.listener);
    for (uint32_t i = 0; i < s.count; i++)
        s.ends[i].stream = sl_stream_free(s.ends[i].stream);
}

static void open_all(void)
{
    s.f = os_fixture_open();
    s.accepted = os_event_new();
    s.closed = os_event_new();
    os_fixture_on_loop(s.f, start, NULL);
}

static void close_all(void)
{
    os_fixture_on_loop(s.f, shut, NULL);
    os_fixture_close(s.f);
    os_event_free(s.accepted);
    os_event_free(s.closed);
}

TestSuite(rings, .init = open_all, .fini = close_all);

/* ---- the peer ---- */

static struct peer connect_peer(int *ret_memory)
{
    struct peer peer;
    char answer[16];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {answer, sizeof answer};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    cr_assert_eq(sl_connect(s.f->os, address(), &peer.socket), SLUICE_OK);
    cr_assert_eq(recvmsg(peer.socket, &message, 0), 10);
    int memory;
    memcpy(&memory, CMSG_DATA(&control.head), sizeof memory);
    void *mapped =
        mmap(NULL, sluice_shared_bytes(RING_BYTES), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    cr_assert_neq(mapped, MAP_FAILED);
    peer.rings = sluice_shared_of(mapped, SLUICE_SHARED_CLIENT, RING_BYTES);
    if (ret_memory)
        *ret_memory = memory;
    else
        close(memory);
    return peer;
}

static void peer_close(struct peer *peer)
{
    munmap(peer->rings.memory, sluice_shared_bytes(RING_BYTES));
    close(peer->socket);
}

static void wake(const struct peer *peer, uint32_t did)
{
    if (sluice_shared_must_wake(&peer->rings, did))
        cr_assert_eq(send(peer->socket, "", 1, MSG_NOSIGNAL), 1);
}

static void peer_sleep(const struct peer *peer, uint32_t wants)
{
    char bytes[16];
    struct pollfd one = {.fd = peer->socket, .events = POLLIN};
    if (!sluice_shared_asleep(&peer->rings, wants))
        return;
    cr_assert_eq(poll(&one, 1, 10000), 1, "nobody woke us");
    cr_assert_gt(recv(peer->socket, bytes, sizeof bytes, 0), 0);
    sluice_shared_awake(&peer->rings);
}

/* Sends what it can and takes what there is. */
static void move(struct peer *peer, const uint8_t *out, size_t *sent, uint8_t *back, size_t *got,
                 size_t size)
{
    int64_t put = sluice_shared_write(&peer->rings, out + *sent, size - *sent);
    cr_assert_geq(put, 0);
    *sent += (size_t)put;
    if (put > 0)
        wake(peer, SLUICE_SHARED_FOR_BYTES);
    int64_t taken = sluice_shared_read(&peer->rings, back + *got, size - *got);
    cr_assert_geq(taken, 0);
    *got += (size_t)taken;
    if (taken > 0)
        wake(peer, SLUICE_SHARED_FOR_ROOM);
    uint32_t wants = SLUICE_SHARED_FOR_BYTES | (*sent < size ? SLUICE_SHARED_FOR_ROOM : 0);
    if (put == 0 && taken == 0)
        peer_sleep(peer, wants);
}

static void expect_echo(struct peer *peer, size_t size)
{
    static uint8_t out[MANY_BYTES], back[MANY_BYTES];
    size_t sent = 0, got = 0;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(i * 31 >> 3);
    while (got < size)
        move(peer, out, &sent, back, &got, size);
    cr_expect_eq(memcmp(out, back, size), 0);
}

static void expect_cut_off(struct peer *peer)
{
    wake(peer, SLUICE_SHARED_FOR_BYTES | SLUICE_SHARED_FOR_ROOM);
    (void)!send(peer->socket, "", 1, MSG_NOSIGNAL);
    os_event_wait(s.closed, 1);
    struct peer other = connect_peer(NULL);
    expect_echo(&other, 100); /* others go on */
    peer_close(&other);
    os_event_wait(s.closed, 2);
}

/* ---- tests ---- */

Test(rings, carry_bytes_both_ways_round_their_ends_and_wait_for_room)
{
    struct peer peer = connect_peer(NULL);
    expect_echo(&peer, 1);
    expect_echo(&peer, RING_BYTES);
    expect_echo(&peer, MANY_BYTES);
    peer_close(&peer);
    os_event_wait(s.closed, 1);
}

static void look_long(void *arg)
{
    s.look_ns = *(int64_t *)arg;
}

Test(rings, carry_them_too_while_the_loop_looks_instead_of_sleeping)
{
    int64_t look_ns = 10000000;
    os_fixture_on_loop(s.f, look_long, &look_ns);
    struct peer peer = connect_peer(NULL);
    struct peer second = connect_peer(NULL);
    expect_echo(&peer, MANY_BYTES);
    expect_echo(&second, MANY_BYTES);
    peer_close(&peer);
    expect_echo(&second, 100);
    peer_close(&second);
    os_event_wait(s.closed, 2);
}

/* A number of the head. */
static uint64_t *word(const struct peer *peer, size_t at)
{
    return (uint64_t *)(void *)(peer->rings.memory + at);
}

Test(rings, give_what_was_put_before_the_peer_went)
{
    struct peer peer = connect_peer(NULL);
    os_event_wait(s.accepted, 1);
    cr_assert_eq(sluice_shared_write(&peer.rings, "last", 4), 4);
    close(peer.socket); /* without a wake: its end is one */
    os_event_wait(s.closed, 1);
    cr_expect_eq(*word(&peer, (size_t)5 * SLUICE_SHARED_LINE_BYTES), 4, "taken by the server");
    munmap(peer.rings.memory, sluice_shared_bytes(RING_BYTES));
}

Test(rings, are_memory_that_the_peer_cannot_resize)
{
    int memory = -1;
    struct peer peer = connect_peer(&memory);
    cr_expect_neq(ftruncate(memory, 0), 0);
    cr_expect_neq(ftruncate(memory, 1 << 24), 0);
    cr_expect_neq(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), 0);
    close(memory);
    expect_echo(&peer, RING_BYTES);
    peer_close(&peer);
    os_event_wait(s.closed, 1);
}

static bool is_mapped_once_more(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        found = found || strstr(line, "memfd:sluice-native");
    fclose(maps);
    return found;
}

Test(rings, leave_nothing_behind)
{
    struct peer peer = connect_peer(NULL);
    cr_expect(is_mapped_once_more());
    peer_close(&peer);
    os_event_wait(s.closed, 1);
    cr_expect_not(is_mapped_once_more());
}

Test(rings, cut_off_a_peer_that_says_it_put_more_than_there_is_room_for)
{
    struct peer peer = connect_peer(NULL);
    *word(&peer, 0) = RING_BYTES + 1;
    expect_cut_off(&peer);
    peer_close(&peer);
}

Test(rings, cut_off_a_peer_that_takes_bytes_back)
{
    struct peer peer = connect_peer(NULL);
    expect_echo(&peer, 10);
    *word(&peer, 0) = 9;
    expect_cut_off(&peer);
    peer_close(&peer);
}

Test(rings, cut_off_a_peer_that_says_it_took_more_than_was_put)
{
    struct peer peer = connect_peer(NULL);
    *word(&peer, SLUICE_SHARED_LINE_BYTES) = 1;
    cr_assert_eq(sluice_shared_write(&peer.rings, "x", 1), 1);
    expect_cut_off(&peer);
    peer_close(&peer);
}

Test(rings, do_not_care_what_a_peer_writes_where_only_they_write)
{
    struct peer peer = connect_peer(NULL);
    expect_echo(&peer, 100);
    memset(peer.rings.memory + (size_t)4 * SLUICE_SHARED_LINE_BYTES, 0xff,
           SLUICE_SHARED_HEAD_BYTES - (size_t)4 * SLUICE_SHARED_LINE_BYTES);
    struct peer other = connect_peer(NULL);
    expect_echo(&other, MANY_BYTES);
    peer_close(&other);
    peer_close(&peer);
    os_event_wait(s.closed, 2);
}

Test(rings, bear_a_peer_that_does_not_take_and_never_stops_waking)
{
    struct peer peer = connect_peer(NULL);
    static uint8_t bytes[RING_BYTES];
    int64_t put = 1;
    while (put > 0) { /* until the echo has no room any more, nor have we */
        put = sluice_shared_write(&peer.rings, bytes, sizeof bytes);
        cr_assert_geq(put, 0);
        (void)!send(peer.socket, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    struct peer other = connect_peer(NULL);
    expect_echo(&other, RING_BYTES);
    peer_close(&other);
    peer_close(&peer);
    os_event_wait(s.closed, 2);
}
