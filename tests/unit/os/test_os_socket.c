/* test_os_socket.c: listeners, streams, connect, polls, watches and signals over the system.
 *
 * The echo server runs on the fixture's loop; the test's own thread is its blocking client. */
#include "os_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 8, OUT_BYTES = 1 << 20 };

struct connection {
    struct server *server;
    struct sl_stream *stream;
    size_t left; /* bytes of `out` still to be sent */
};

struct server {
    struct os_fixture *f;
    const char *address;
    uint32_t mode; /* of a local socket */
    sl_err err;
    struct sl_listener *listener;
    struct connection connections[CONNECTIONS_MAX];
    uint32_t count;
    char peer[64];
    struct sl_file *file; /* what the sender sends */
    struct os_event *accepted, *closed, *failed;
    bool floods;     /* sends `out` to whoever connects, reads nothing */
    bool sends_file; /* the same out of `file` */
};

static char out[OUT_BYTES];
static struct server s;
static struct os_fixture *f;

static void connection_close(struct connection *connection)
{
    connection->stream = sl_stream_free(connection->stream);
    os_event_say(connection->server->closed);
}

static void echo(void *arg)
{
    struct connection *connection = arg;
    char bytes[4096];
    size_t got, put;
    sl_err err;
    while ((err = sl_stream_read(connection->stream, bytes, sizeof bytes, &got)) == SLUICE_OK) {
        if (got == 0) {
            connection_close(connection);
            return;
        }
        struct sl_iovec pieces[2] = {{bytes, got / 2}, {bytes + got / 2, got - got / 2}};
        cr_assert_eq(sl_stream_writev(connection->stream, pieces, 2, &put), SLUICE_OK);
        cr_assert_eq(put, got);
    }
    cr_assert_eq(err, SLUICE_E_WOULD_BLOCK);
}

static void flood(void *arg)
{
    struct connection *connection = arg;
    size_t at = sizeof out - connection->left, put = 0;
    sl_err err;
    if (connection->server->sends_file) {
        err = sl_stream_sendfile(connection->stream, connection->server->file, at, connection->left,
                                 &put);
    } else {
        struct sl_iovec piece = {out + at, connection->left};
        err = sl_stream_writev(connection->stream, &piece, 1, &put);
    }
    cr_assert_eq(err, SLUICE_OK);
    connection->left -= put;
    if (connection->left == 0)
        connection_close(connection);
}

static void failed(void *arg, sl_err err)
{
    struct connection *connection = arg;
    cr_expect_eq(err, SLUICE_E_NETWORK);
    connection->stream = sl_stream_free(connection->stream);
    os_event_say(connection->server->failed);
}

static const struct sl_stream_events events = {
    .readable = echo, .writable = flood, .failed = failed};

static void accepted(void *arg, int descriptor, const char *peer)
{
    struct server *server = arg;
    cr_assert_lt(server->count, CONNECTIONS_MAX);
    struct connection *connection = &server->connections[server->count++];
    *connection = (struct connection){.server = server, .left = sizeof out};
    snprintf(server->peer, sizeof server->peer, "%s", peer);
    cr_assert_eq(
        sl_stream_new(server->f->loop, descriptor, &events, connection, &connection->stream),
        SLUICE_OK);
    if (server->floods)
        flood(connection);
    else
        sl_stream_read_start(connection->stream);
    os_event_say(server->accepted);
}

static void listen_on(void *arg)
{
    struct server *server = arg;
    server->err = sl_listener_new(server->f->loop, server->address, server->mode, accepted, server,
                                  &server->listener);
}

static void shut(void *arg)
{
    struct server *server = arg;
    server->listener = sl_listener_free(server->listener);
    for (uint32_t i = 0; i < server->count; i++)
        server->connections[i].stream = sl_stream_free(server->connections[i].stream);
}

static void open_all(void)
{
    f = os_fixture_open();
    s = (struct server){
        .f = f, .accepted = os_event_new(), .closed = os_event_new(), .failed = os_event_new()};
}

static void close_all(void)
{
    os_fixture_on_loop(f, shut, &s);
    sl_file_close(s.file);
    os_fixture_close(f);
    os_event_free(s.accepted);
    os_event_free(s.closed);
    os_event_free(s.failed);
}

TestSuite(socket, .init = open_all, .fini = close_all);
TestSuite(watch, .init = open_all, .fini = close_all);

static sl_err server_start(const char *address)
{
    s.address = address;
    os_fixture_on_loop(f, listen_on, &s);
    return s.err;
}

static int client_connect(void)
{
    char address[128];
    int descriptor = -1;
    uint16_t port = sl_listener_port(s.listener);
    if (port == 0)
        snprintf(address, sizeof address, "%s", s.address);
    else
        snprintf(address, sizeof address, "%.*s:%u", (int)(strrchr(s.address, ':') - s.address),
                 s.address, port);
    cr_assert_eq(sl_connect(f->os, address, &descriptor), SLUICE_OK, "%s", address);
    return descriptor;
}

static void read_whole(int descriptor, void *bytes, size_t size)
{
    size_t done = 0, got;
    while (done < size) {
        cr_assert_eq(sl_descriptor_read(descriptor, (char *)bytes + done, size - done, &got),
                     SLUICE_OK);
        cr_assert_gt(got, 0, "ended after %zu of %zu bytes", done, size);
        done += got;
    }
}

static void expect_echo(void)
{
    char back[6] = "";
    int client = client_connect();
    cr_assert_eq(sl_descriptor_write(client, "hello", 6), SLUICE_OK);
    read_whole(client, back, sizeof back);
    cr_expect_str_eq(back, "hello");
    sl_descriptor_close(client);
    os_event_wait(s.closed, 1);
}

Test(socket, echoes_over_ipv4)
{
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    expect_echo();
    cr_expect_eq(strncmp(s.peer, "127.0.0.1:", 10), 0, "%s", s.peer);
}

Test(socket, echoes_over_ipv6)
{
    sl_err err = server_start("[::1]:0");
    if (err) /* a machine without IPv6 */
        cr_skip_test("no IPv6 here");
    expect_echo();
    cr_expect_eq(strncmp(s.peer, "[::1]:", 6), 0, "%s", s.peer);
}

static const char *local_address(void)
{
    static char address[256];
    snprintf(address, sizeof address, "unix:%s", os_fixture_path(f, "socket"));
    return address;
}

Test(socket, echoes_over_a_local_socket_that_is_its_owners_alone)
{
    cr_assert_eq(server_start(local_address()), SLUICE_OK);
    expect_echo();
    cr_expect_eq(access(local_address() + 5, F_OK), 0);
    os_fixture_on_loop(f, shut, &s);
    cr_expect_neq(access(local_address() + 5, F_OK), 0, "the file goes with the listener");
}

static void ask_user(void *arg)
{
    uint32_t *user = arg;
    cr_expect_eq(sl_stream_peer_user(s.connections[0].stream, user), s.err);
}

Test(socket, lets_others_connect_to_a_local_socket_as_its_mode_says_whatever_the_umask)
{
    struct stat info;
    uint32_t user = UINT32_MAX;
    mode_t before = umask(077);
    s.mode = 0660;
    cr_assert_eq(server_start(local_address()), SLUICE_OK);
    umask(before);
    cr_assert_eq(stat(local_address() + 5, &info), 0);
    cr_expect_eq(info.st_mode & 07777, 0660, "%o", info.st_mode);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    os_fixture_on_loop(f, ask_user, &user);
    cr_expect_eq(user, getuid());
    sl_descriptor_close(client);
    os_event_wait(s.closed, 1);
}

Test(socket, knows_no_user_of_a_peer_over_tcp)
{
    uint32_t user = 7;
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    s.err = SLUICE_E_UNSUPPORTED;
    os_fixture_on_loop(f, ask_user, &user);
    cr_expect_eq(user, 7);
    sl_descriptor_close(client);
    os_event_wait(s.closed, 1);
}

Test(socket, replaces_a_local_socket_that_nobody_answers_on)
{
    cr_assert_eq(server_start(local_address()), SLUICE_OK);
    struct sl_listener *first = s.listener;
    cr_expect_eq(server_start(local_address()), SLUICE_E_ADDRESS_IN_USE);
    cr_expect_eq(s.listener, first);
    /* A dead process leaves the file: bound, never closed by name. */
    const char *stale = os_fixture_path(f, "stale");
    char address[256];
    snprintf(address, sizeof address, "unix:%s", stale);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    struct {
        unsigned short family;
        char path[108];
    } name = {.family = AF_UNIX};
    snprintf(name.path, sizeof name.path, "%s", stale);
    cr_assert_eq(bind(dead, (struct sockaddr *)&name, sizeof name), 0);
    close(dead);
    os_fixture_on_loop(f, shut, &s);
    cr_expect_eq(server_start(address), SLUICE_OK);
    expect_echo();
}

Test(socket, never_replaces_a_file_that_is_no_socket)
{
    struct sl_file *file = NULL;
    char address[256];
    const char *path = os_fixture_path(f, "data");
    snprintf(address, sizeof address, "unix:%s", path);
    cr_assert_eq(sl_file_open(f->os, path, SL_FILE_WRITE | SL_FILE_CREATE, &file), SLUICE_OK);
    sl_file_close(file);
    cr_expect_eq(server_start(address), SLUICE_E_ADDRESS_IN_USE);
    cr_expect_eq(access(path, F_OK), 0);
}

Test(socket, refuses_a_second_listener_on_its_address)
{
    char taken[64];
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", sl_listener_port(s.listener));
    cr_expect_eq(server_start(taken), SLUICE_E_ADDRESS_IN_USE);
}

Test(socket, refuses_addresses_that_are_none)
{
    static const char *const bad[] = {"",      "9092",     "localhost",       ":9092",
                                      "host:", "::1:9092", "127.0.0.1:70000", "[::1]",
                                      "a:b",   "unix:",    "127.0.0.1:-1"};
    int descriptor = -1;
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_expect_eq(server_start(bad[i]), SLUICE_E_INVALID, "listen %s", bad[i]);
        cr_expect_eq(sl_connect(f->os, bad[i], &descriptor), SLUICE_E_INVALID, "%s", bad[i]);
    }
    cr_expect_eq(sl_connect(f->os, "127.0.0.1:1", &descriptor), SLUICE_E_NETWORK);
    cr_expect_eq(sl_connect(f->os, "unix:/nonexistent/socket", &descriptor), SLUICE_E_NOT_FOUND);
    cr_expect_eq(descriptor, -1);
}

static void expect_flood(void)
{
    static char back[sizeof out];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 31 >> 3);
    s.floods = true;
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    read_whole(client, back, sizeof back);
    cr_expect_eq(memcmp(back, out, sizeof out), 0);
    sl_descriptor_close(client);
    os_event_wait(s.closed, 1);
}

Test(socket, goes_on_writing_when_the_reader_made_room)
{
    expect_flood();
}

Test(socket, sends_a_file_as_it_writes)
{
    struct sl_iovec piece = {out, sizeof out};
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 31 >> 3);
    cr_assert_eq(sl_file_open(f->os, os_fixture_path(f, "sent"),
                              SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE, &s.file),
                 SLUICE_OK);
    cr_assert_eq(sl_file_pwritev(s.file, &piece, 1, 0), SLUICE_OK);
    s.sends_file = true;
    expect_flood();
}

Test(socket, tells_that_the_peer_reset)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    sl_descriptor_close(client); /* sends a reset */
    os_event_wait(s.failed, 1);
}

static void stop_reading(void *arg)
{
    (void)arg;
    sl_stream_read_stop(s.connections[0].stream);
}

static void start_reading(void *arg)
{
    (void)arg;
    sl_stream_read_start(s.connections[0].stream);
}

Test(socket, holds_the_sender_back_while_it_does_not_read)
{
    static char bytes[65536];
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    os_fixture_on_loop(f, stop_reading, NULL);
    fcntl(client, F_SETFL, O_NONBLOCK);
    size_t sent = 0;
    ssize_t put;
    while ((put = write(client, bytes, sizeof bytes)) > 0)
        sent += (size_t)put;
    cr_expect_lt(sent, 64u << 20, "TCP's window ended it");
    os_fixture_on_loop(f, start_reading, NULL);
    for (size_t back = 0; back < sent;) {
        ssize_t got = read(client, bytes, sizeof bytes);
        back += got > 0 ? (size_t)got : 0;
    }
    sl_descriptor_close(client);
    os_event_wait(s.closed, 1);
}

Test(socket, accepts_again_when_descriptors_are_free_again)
{
    struct rlimit before, few;
    cr_assert_eq(server_start("127.0.0.1:0"), SLUICE_OK);
    int client = client_connect();
    os_event_wait(s.accepted, 1);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = (rlim_t)second + 1, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    struct {
        unsigned short family, port;
        uint32_t host;
        char zero[8];
    } name = {.family = AF_INET,
              .port = __builtin_bswap16(sl_listener_port(s.listener)),
              .host = __builtin_bswap32(0x7f000001)};
    cr_assert_eq(connect(second, (struct sockaddr *)&name, sizeof name), 0);
    usleep(20000); /* likely runs out in between; the outcome is the same if not */
    setrlimit(RLIMIT_NOFILE, &before);
    os_event_wait(s.accepted, 2);
    close(client);
    close(second);
    os_event_wait(s.closed, 2);
}

/* ---- polls, watches, signals ---- */

struct observer {
    struct sl_poll *poll;
    struct sl_watch *watch;
    int descriptor;
    struct os_event *event;
    int signal_number;
};

static void on_readable(void *arg)
{
    struct observer *observer = arg;
    uint64_t value;
    cr_assert_eq(read(observer->descriptor, &value, sizeof value), (ssize_t)sizeof value);
    os_event_say(observer->event);
}

static void poll_start(void *arg)
{
    struct observer *observer = arg;
    cr_assert_eq(sl_poll_new(f->loop, observer->descriptor, on_readable, observer, &observer->poll),
                 SLUICE_OK);
}

static void poll_end(void *arg)
{
    ((struct observer *)arg)->poll = sl_poll_free(((struct observer *)arg)->poll);
}

Test(socket, a_peer_that_is_gone_is_an_error_for_who_writes_and_no_signal)
{
    int ends[2];
    signal(SIGPIPE, SIG_DFL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[1]);
    cr_expect_eq(sl_descriptor_write(ends[0], "x", 1), SLUICE_E_NETWORK);
    close(ends[0]);
}

Test(watch, sees_a_descriptor_of_another_become_readable)
{
    struct observer observer = {.descriptor = eventfd(0, EFD_CLOEXEC), .event = os_event_new()};
    os_fixture_on_loop(f, poll_start, &observer);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(eventfd_write(observer.descriptor, 1), 0);
        os_event_wait(observer.event, i);
    }
    os_fixture_on_loop(f, poll_end, &observer);
    close(observer.descriptor);
    os_event_free(observer.event);
}

static void on_changed(void *arg)
{
    os_event_say(((struct observer *)arg)->event);
}

static void watch_start(void *arg)
{
    struct observer *observer = arg;
    struct sl_watch *none = NULL;
    cr_assert_eq(sl_watch_new(f->loop, f->directory, on_changed, observer, &observer->watch),
                 SLUICE_OK);
    cr_expect_eq(sl_watch_new(f->loop, "/nonexistent", on_changed, observer, &none),
                 SLUICE_E_NOT_FOUND);
}

static void watch_end(void *arg)
{
    ((struct observer *)arg)->watch = sl_watch_free(((struct observer *)arg)->watch);
}

static void change(const struct observer *observer, int step)
{
    struct sl_file *file = NULL;
    (void)observer;
    switch (step) {
    case 0:
        cr_assert_eq(
            sl_file_open(f->os, os_fixture_path(f, "a.so"), SL_FILE_WRITE | SL_FILE_CREATE, &file),
            SLUICE_OK);
        sl_file_close(file);
        break;
    case 1:
        cr_assert_eq(sl_path_rename(f->os, os_fixture_path(f, "a.so"), os_fixture_path(f, "b.so")),
                     SLUICE_OK);
        break;
    default:
        cr_assert_eq(sl_path_remove(f->os, os_fixture_path(f, "b.so")), SLUICE_OK);
    }
}

Test(watch, sees_files_come_move_and_go)
{
    struct observer observer = {.event = os_event_new()};
    os_fixture_on_loop(f, watch_start, &observer);
    for (int step = 0; step < 3; step++) {
        uint32_t before = os_event_count(observer.event);
        change(&observer, step);
        os_event_wait(observer.event, before + 1);
    }
    os_fixture_on_loop(f, watch_end, &observer);
    os_event_free(observer.event);
}

static void on_signal(void *arg, int number)
{
    struct observer *observer = arg;
    observer->signal_number = number;
    os_event_say(observer->event);
}

static void signals_start(void *arg)
{
    cr_assert_eq(sl_signals_watch(f->loop, on_signal, arg), SLUICE_OK);
    cr_expect_eq(sl_signals_watch(f->loop, on_signal, arg), SLUICE_E_EXISTS);
}

Test(watch, hears_signals_on_the_loop)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    struct observer observer = {.event = os_event_new()};
    os_fixture_on_loop(f, signals_start, &observer);
    for (uint32_t i = 0; i < SL_COUNT_OF(numbers); i++) {
        kill(getpid(), numbers[i]);
        os_event_wait(observer.event, i + 1);
        cr_expect_eq(observer.signal_number, numbers[i]);
    }
    os_event_free(observer.event);
}

/* ---- many at once ---- */

enum { READY_MAX = 400 };

static struct {
    struct sl_stream *streams[READY_MAX];
    int peers[READY_MAX];
    uint32_t read_count, read_before; /* before the task of the first ran */
    struct sl_task task;
    struct os_event *done;
} ready;

static void ready_task(struct sl_task *task)
{
    (void)task;
    ready.read_before = ready.read_count;
}

static void ready_read(void *arg)
{
    struct sl_stream **stream = arg;
    char byte;
    size_t got;
    cr_assert_eq(sl_stream_read(*stream, &byte, 1, &got), SLUICE_OK);
    if (ready.read_count++ == 0) {
        ready.task = (struct sl_task){.run = ready_task, .priority = SL_PRIORITY_IO};
        sl_loop_post(f->loop, &ready.task);
    }
    sl_stream_read_stop(*stream);
    if (ready.read_count == READY_MAX)
        os_event_say(ready.done);
}

static const struct sl_stream_events ready_events = {.readable = ready_read};

static void ready_start(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < READY_MAX; i++) {
        int pair[2];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        cr_assert_eq(write(pair[1], "x", 1), 1);
        ready.peers[i] = pair[1];
        cr_assert_eq(
            sl_stream_new(f->loop, pair[0], &ready_events, &ready.streams[i], &ready.streams[i]),
            SLUICE_OK);
        sl_stream_read_start(ready.streams[i]);
    }
}

static void ready_stop(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < READY_MAX; i++) {
        ready.streams[i] = sl_stream_free(ready.streams[i]);
        sl_descriptor_close(ready.peers[i]);
    }
}

Test(socket, tasks_have_their_turn_while_hundreds_of_streams_are_readable_at_once)
{
    ready.done = os_event_new();
    os_fixture_on_loop(f, ready_start, NULL);
    os_event_wait(ready.done, 1);
    os_fixture_on_loop(f, ready_stop, NULL);
    cr_expect_gt(ready.read_before, 1u, "a turn after each stream");
    cr_expect_lt(ready.read_before, (uint32_t)READY_MAX, "%u streams first", ready.read_before);
    os_event_free(ready.done);
}

/* ---- who sleeps on ---- */

#define TAKEN_COUNT 200

static struct {
    struct sl_stream *stream;
    int peer;
} quiet;

static void sleeps_of_loop(void *arg)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_THREAD, &usage), 0);
    *(long *)arg = usage.ru_nvcsw;
}

static void quiet_open(void *arg)
{
    (void)arg;
    int pair[2];
    size_t put = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    quiet.peer = pair[1];
    cr_assert_eq(sl_stream_new(f->loop, pair[0], &ready_events, &quiet.stream, &quiet.stream),
                 SLUICE_OK);
    sl_stream_read_start(quiet.stream);
    for (int i = 0; i < TAKEN_COUNT; i++)
        cr_assert_eq(sl_stream_writev(quiet.stream, &(struct sl_iovec){(char[]){'x'}, 1}, 1, &put),
                     SLUICE_OK);
}

static void quiet_close(void *arg)
{
    (void)arg;
    quiet.stream = sl_stream_free(quiet.stream);
    close(quiet.peer);
}

Test(socket, a_loop_sleeps_on_while_the_peer_of_a_local_socket_takes_what_was_sent)
{
    long before = 0, after = 0;
    char byte;
    os_fixture_on_loop(f, quiet_open, NULL);
    os_fixture_on_loop(f, sleeps_of_loop, &before);
    for (int i = 0; i < TAKEN_COUNT; i++) {
        cr_assert_eq(read(quiet.peer, &byte, 1), 1);
        sched_yield();
    }
    os_fixture_on_loop(f, sleeps_of_loop, &after);
    os_fixture_on_loop(f, quiet_close, NULL);
    cr_expect_lt(after - before, TAKEN_COUNT / 10, "%ld sleeps", after - before);
}

/* ---- the time of a timer ---- */

static struct {
    struct sl_timer *timer;
    int64_t due_ns, fired_ns;
    struct os_event *fired;
} late;

static void late_fires(void *arg)
{
    (void)arg;
    late.fired_ns = sl_loop_now_ns(f->loop);
    os_event_say(late.fired);
}

/* Looks at the time, and takes until the timer is due. */
static void late_read(void *arg)
{
    char bytes[2]; /* more than there are: it is not asked again */
    size_t got;
    struct timespec now;
    (void)arg;
    cr_assert_eq(sl_stream_read(quiet.stream, bytes, sizeof bytes, &got), SLUICE_OK);
    (void)sl_loop_now_ns(f->loop);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * 1000000000ll + now.tv_nsec < late.due_ns + 3000000);
}

static const struct sl_stream_events late_events = {.readable = late_read};

static void late_open(void *arg)
{
    (void)arg;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    quiet.peer = pair[1];
    cr_assert_eq(sl_stream_new(f->loop, pair[0], &late_events, NULL, &quiet.stream), SLUICE_OK);
    sl_stream_read_start(quiet.stream);
    cr_assert_eq(sl_timer_new(f->loop, late_fires, NULL, &late.timer), SLUICE_OK);
    cr_assert_eq(write(quiet.peer, "x", 1), 1);
    late.due_ns = sl_loop_now_ns(f->loop) + 20000000;
    sl_timer_start(late.timer, 20000000);
}

static void late_close(void *arg)
{
    late.timer = sl_timer_free(late.timer);
    quiet_close(arg);
}

Test(socket, a_timer_that_a_stream_kept_waiting_is_not_told_a_time_before_its_own)
{
    late.fired = os_event_new();
    os_fixture_on_loop(f, late_open, NULL);
    os_event_wait(late.fired, 1);
    os_fixture_on_loop(f, late_close, NULL);
    cr_expect_geq(late.fired_ns, late.due_ns, "%lld ns early",
                  (long long)(late.due_ns - late.fired_ns));
    os_event_free(late.fired);
}

/* ---- what is left, and ends ---- */

/* Two streams; each call back takes at most `size` bytes by one read. */
static struct {
    struct sl_stream *streams[2];
    void (*send)(int pair[2]); /* makes a pair, of which the second has sent "abc" */
    int peers[2];              /* that stay; 0: it closed */
    size_t size;
    char bytes[8]; /* of both */
    size_t count;
    uint32_t calls;
    bool stays; /* the peer does: the end is the third byte */
    bool frees_other;
    struct os_event *ended;
} taker;

static void take_once(void *arg)
{
    struct sl_stream **stream = arg;
    char bytes[sizeof taker.bytes];
    size_t got = 0;
    taker.calls++;
    sl_err err = sl_stream_read(*stream, bytes, taker.size, &got);
    if (err == SLUICE_E_WOULD_BLOCK && taker.stays)
        return;
    cr_assert_eq(err, SLUICE_OK);
    cr_assert_leq(taker.count + got, sizeof taker.bytes);
    memcpy(taker.bytes + taker.count, bytes, got);
    taker.count += got;
    if (taker.frees_other) {
        struct sl_stream **other = &taker.streams[stream == &taker.streams[0] ? 1 : 0];
        *other = sl_stream_free(*other);
    }
    if (got == 0 || (taker.stays && taker.count == 3)) {
        sl_stream_read_stop(*stream);
        os_event_say(taker.ended);
    }
}

static const struct sl_stream_events take_events = {.readable = take_once};

static void send_abc(int pair[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(write(pair[1], "abc", 3), 3);
}

/* With "a" comes a descriptor, behind which a read does not go. */
static void send_abc_with_a_descriptor(int pair[2])
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec piece = {(char[]){'a'}, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    memcpy(CMSG_DATA(&control.head), &pair[0], sizeof pair[0]);
    cr_assert_eq(sendmsg(pair[1], &message, 0), 1);
    cr_assert_eq(write(pair[1], "bc", 2), 2);
}

/* Between "a" and "bc" is an urgent byte, at which a read ends. */
static void send_abc_with_urgent_data(int pair[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pair[1] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(connect(pair[1], (struct sockaddr *)&at, size), 0);
    pair[0] = accept(listener, NULL, NULL);
    close(listener);
    cr_assert_eq(send(pair[1], "a", 1, 0), 1);
    cr_assert_eq(send(pair[1], "!", 1, MSG_OOB), 1);
    cr_assert_eq(send(pair[1], "bc", 2, 0), 2);
}

static void taker_open(void *arg)
{
    (void)arg;
    taker.ended = os_event_new();
    for (int i = 0; i < 2; i++) {
        int pair[2];
        taker.send(pair);
        taker.peers[i] = taker.stays ? pair[1] : 0;
        if (!taker.stays)
            close(pair[1]);
        cr_assert_eq(
            sl_stream_new(f->loop, pair[0], &take_events, &taker.streams[i], &taker.streams[i]),
            SLUICE_OK);
    }
}

static void taker_read(void *arg)
{
    sl_stream_read_start(taker.streams[*(int *)arg]);
}

static void taker_close(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        taker.streams[i] = sl_stream_free(taker.streams[i]);
        if (taker.stays)
            close(taker.peers[i]);
    }
}

static void taker_run(void (*send)(int pair[2]), size_t size)
{
    int first = 0;
    taker.send = send;
    taker.size = size;
    os_fixture_on_loop(f, taker_open, NULL);
    os_fixture_on_loop(f, taker_read, &first); /* a turn after it was reported */
    os_event_wait(taker.ended, 1);
}

Test(socket, who_leaves_bytes_is_called_again_until_the_end)
{
    taker_run(send_abc, 1);
    os_fixture_on_loop(f, taker_close, NULL);
    cr_expect_eq(memcmp(taker.bytes, "abc", 3), 0);
    cr_expect_eq(taker.calls, 4u, "%u", taker.calls);
    os_event_free(taker.ended);
}

Test(socket, the_end_behind_bytes_that_do_not_fill_the_buffer_is_told)
{
    taker_run(send_abc, sizeof taker.bytes);
    os_fixture_on_loop(f, taker_close, NULL);
    cr_expect_eq(taker.count, 3u);
    cr_expect_eq(taker.calls, 2u, "%u", taker.calls);
    os_event_free(taker.ended);
}

static void expect_abc_of_a_peer_that_stays(void (*send)(int pair[2]))
{
    taker.stays = true;
    taker_run(send, sizeof taker.bytes);
    os_fixture_on_loop(f, taker_close, NULL);
    cr_expect_eq(taker.count, 3u);
    cr_expect_eq(memcmp(taker.bytes, "abc", 3), 0);
    os_event_free(taker.ended);
}

Test(socket, bytes_behind_a_descriptor_that_nobody_takes_are_read_too)
{
    expect_abc_of_a_peer_that_stays(send_abc_with_a_descriptor);
}

Test(socket, bytes_behind_urgent_ones_are_read_too)
{
    expect_abc_of_a_peer_that_stays(send_abc_with_urgent_data);
}

static void both_read(void *arg)
{
    taker_open(arg);
    for (int i = 0; i < 2; i++)
        taker_read(&i);
}

Test(socket, a_stream_that_another_frees_is_not_called_though_it_was_ready_too)
{
    taker.send = send_abc;
    taker.size = sizeof taker.bytes;
    taker.frees_other = true;
    os_fixture_on_loop(f, both_read, NULL);
    os_event_wait(taker.ended, 1);
    os_fixture_on_loop(f, taker_close, NULL);
    cr_expect_eq(taker.count, 3u, "of one stream");
    os_event_free(taker.ended);
}
