/* storage_bare.c: what the broker's ways through sockets and disk are compared with.
 *
 *   storage_bare read FILE CHUNK_KIB [BYTES]
 *       reads the file, or so much of it, in chunks, one after the other; page cache as it is found
 *   storage_bare send FILE CHUNK_KIB copy|sendfile
 *       a server thread that answers each request (of 8 bytes: a position) with the next chunk of
 *       the file, by pread and send or by sendfile; the client reads the whole file through it
 *   storage_bare drop FILE…
 *       drops their pages from the page cache
 *   storage_bare serve DIRECTORY
 *       a server of storage_client's produce requests that reads what all sockets have, makes the
 *       bytes durable by one pwritev and fdatasync, and answers each: no checks, no offsets, no
 *       index. Prints its port; ends with its standard input
 *
 * One JSON object out. */
#include "bare_log.h"
#include "bench_shard.h"
#include "client_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096u
#define REQUEST_BYTES   512u

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int file_open(const char *path, uint64_t *ret_size)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &info) != 0) {
        fail(path);
    }
    *ret_size = (uint64_t)info.st_size;
    return file;
}

static void report(const char *what, uint64_t bytes, double seconds)
{
    printf("{\"what\":\"%s\",\"bytes\":%llu,\"seconds\":%.6f,\"mb_per_s\":%.1f}\n", what,
           (unsigned long long)bytes, seconds, (double)bytes / seconds / 1e6);
}

/* ---- read ---- */

static int read_file(const char *path, size_t chunk, uint64_t bytes_max)
{
    uint64_t size;
    int file = file_open(path, &size);
    size = SL_MIN(size, bytes_max);
    char *bytes = malloc(chunk);
    memset(bytes, 0, chunk);
    double begin_s = bench_now_s();
    for (uint64_t at = 0; at < size; at += chunk) {
        if (pread(file, bytes, (size_t)SL_MIN(size - at, (uint64_t)chunk), (off_t)at) < 0) {
            fail("pread");
        }
    }
    report("read", size, bench_now_s() - begin_s);
    return 0;
}

/* ---- send ---- */

struct server {
    int listener;
    int file;
    uint64_t size;
    size_t chunk;
    bool by_sendfile;
    double cpu_s; /* of the thread */
};

static void send_chunk(const struct server *server, int to, uint64_t at, char *bytes)
{
    size_t size = (size_t)SL_MIN(server->size - at, (uint64_t)server->chunk);
    if (!server->by_sendfile) {
        if (pread(server->file, bytes, size, (off_t)at) != (ssize_t)size) {
            fail("pread");
        }
        wire_write(to, bytes, size);
        return;
    }
    off_t position = (off_t)at;
    while (size > 0) {
        ssize_t put = sendfile(to, server->file, &position, size);
        if (put <= 0) {
            fail("sendfile");
        }
        size -= (size_t)put;
    }
}

static void *server_run(void *arg)
{
    struct server *server = arg;
    char *bytes = malloc(server->chunk);
    int client = wire_accept(server->listener);
    memset(bytes, 0, server->chunk);
    uint64_t at = 0;
    while (recv(client, &at, sizeof(at), MSG_WAITALL) == (ssize_t)sizeof(at)) {
        send_chunk(server, client, at, bytes);
    }
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    server->cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    close(client);
    free(bytes);
    return NULL;
}

static int send_file(const char *path, size_t chunk, bool by_sendfile)
{
    struct server server = {.chunk = chunk, .by_sendfile = by_sendfile};
    char address[64];
    uint16_t port;
    pthread_t thread;
    server.file = file_open(path, &server.size);
    server.listener = wire_listen(&port);
    pthread_create(&thread, NULL, server_run, &server);
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    int descriptor = wire_connect(address);
    char *bytes = malloc(chunk);
    memset(bytes, 0, chunk);
    double begin_s = bench_now_s();
    for (uint64_t at = 0; at < server.size; at += chunk) {
        wire_write(descriptor, &at, sizeof(at));
        wire_read(descriptor, bytes, (size_t)SL_MIN(server.size - at, (uint64_t)chunk));
    }
    double elapsed_s = bench_now_s() - begin_s;
    close(descriptor);
    pthread_join(thread, NULL);
    printf("{\"what\":\"%s\",\"bytes\":%llu,\"seconds\":%.6f,\"mb_per_s\":%.1f,"
           "\"server_cpu_s_per_gb\":%.4f}\n",
           by_sendfile ? "sendfile" : "pread and send", (unsigned long long)server.size, elapsed_s,
           (double)server.size / elapsed_s / 1e6, server.cpu_s * 1e9 / (double)server.size);
    return 0;
}

/* ---- drop ---- */

static int drop(char **paths, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t size;
        int file = file_open(paths[i], &size);
        fdatasync(file); /* dirty pages stay otherwise */
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }
    return 0;
}

/* ---- serve ---- */

struct connection {
    int descriptor;
    size_t size;
    uint8_t bytes[REQUEST_BYTES];
};

static void accept_one(int epoll, int listener)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    connection->descriptor = wire_accept(listener);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->descriptor, &event);
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Metadata gets an answer that nobody reads into. */
static bool is_produce(const struct connection *connection)
{
    return connection->bytes[5] == 0;
}

/* True: a whole request is there. */
static bool receive(struct connection *connection)
{
    ssize_t got = recv(connection->descriptor, connection->bytes + connection->size,
                       sizeof(connection->bytes) - connection->size, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(connection->descriptor);
        }
        return false;
    }
    connection->size += (size_t)got;
    return connection->size >= 4 && connection->size >= 4 + big_endian(connection->bytes);
}

static void answer(struct connection *connection, const uint8_t *bytes, size_t size)
{
    connection->size = 0;
    if (send(connection->descriptor, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) {
        close(connection->descriptor);
    }
}

static int serve(const char *directory)
{
    static struct epoll_event events[CONNECTIONS_MAX];
    static struct connection *ready[CONNECTIONS_MAX];
    static struct iovec pieces[CONNECTIONS_MAX];
    static struct bare_log log;
    uint8_t bytes[128] = {0};
    size_t size = 4 + wire_produce_answer_size("t"); /* of topic "t" */
    uint16_t port;
    int epoll = epoll_create1(0), listener = wire_listen(&port);
    struct epoll_event event = {.events = EPOLLIN};
    bytes[3] = (uint8_t)(size - 4);
    bare_log_open(&log, directory);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &epoll;
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("%u\n", port);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, events, (int)CONNECTIONS_MAX, -1);
        uint32_t whole = 0;
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_one(epoll, listener);
            } else if (events[i].data.ptr == &epoll) {
                return 0;
            } else if (receive(connection)) {
                pieces[whole] = (struct iovec){connection->bytes, connection->size};
                ready[whole++] = connection;
            }
        }
        if (whole > 0 && is_produce(ready[0])) {
            bare_log_append(&log, pieces, whole);
        }
        for (uint32_t i = 0; i < whole; i++) {
            answer(ready[i], bytes, size);
        }
    }
}

int main(int count, char **words)
{
    if (count >= 4 && strcmp(words[1], "read") == 0) {
        return read_file(words[2], (size_t)atoi(words[3]) << 10,
                         count > 4 ? strtoull(words[4], NULL, 10) : UINT64_MAX);
    }
    if (count == 5 && strcmp(words[1], "send") == 0) {
        return send_file(words[2], (size_t)atoi(words[3]) << 10, strcmp(words[4], "sendfile") == 0);
    }
    if (count >= 3 && strcmp(words[1], "drop") == 0) {
        return drop(words + 2, count - 2);
    }
    if (count == 3 && strcmp(words[1], "serve") == 0) {
        return serve(words[2]);
    }
    fprintf(stderr, "storage_bare read|send|drop|serve …\n");
    return 2;
}
