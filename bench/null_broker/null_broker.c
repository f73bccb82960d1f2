/* null_broker.c: the roofline: a Kafka broker that does the least a broker can do.
 *
 * One thread, one epoll. Requests are parsed in place, batches get their CRC checked and their base
 * offset stamped, one write() takes them to a page-cache file, fetches are answered by sendfile().
 * Nothing is durable, nothing is bounded: it exists to divide by.
 * Usage: null_broker PORT FOLDER PARTITIONS; prints "ready" when it listens. */
#include "null_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, INPUT_START = 1 << 20, EVENTS_MAX = 64 };

struct connection {
    int fd;
    uint8_t *input;
    size_t input_size, input_used, input_capacity; /* [used, size) is not yet parsed */
    struct null_answer answer;
    uint32_t piece; /* being sent */
    size_t sent;    /* of the answer's bytes */
    uint64_t file_sent;
    bool waiting; /* the next request is a fetch that found nothing */
    int64_t wait_until_ms;
};

struct broker {
    struct null_store store;
    int epoll_fd, listener;
    uint16_t port;
    bool appended; /* waiting fetches may find something */
    struct connection *connections[CONNECTIONS_MAX];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void drop(struct broker *broker, struct connection *connection)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        if (broker->connections[i] == connection) {
            broker->connections[i] = NULL;
        }
    }
    close(connection->fd);
    free(connection->input);
    free(connection->answer.bytes);
    free(connection);
}

static void adopt(struct broker *broker)
{
    int fd = accept4(broker->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int slot = 0;
    while (slot < CONNECTIONS_MAX && broker->connections[slot] != NULL) {
        slot++;
    }
    struct connection *connection = calloc(1, sizeof(*connection));
    if (fd < 0 || slot == CONNECTIONS_MAX || connection == NULL) {
        free(connection);
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = fd;
    broker->connections[slot] = connection;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    epoll_ctl(broker->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* ---- sending ---- */

/* Bytes sent of the piece's memory or file; 0: the socket is full or gone. */
static size_t send_some(struct connection *connection, const struct null_piece *piece)
{
    if (connection->sent < piece->to) {
        int more = piece->log != NULL ? MSG_MORE : 0;
        ssize_t sent = send(connection->fd, connection->answer.bytes + connection->sent,
                            piece->to - connection->sent, MSG_NOSIGNAL | more);
        connection->sent += sent > 0 ? (size_t)sent : 0;
        return sent > 0 ? (size_t)sent : 0;
    }
    off_t position = (off_t)(piece->position + connection->file_sent);
    ssize_t sent = sendfile(connection->fd, piece->log->fd, &position,
                            (size_t)(piece->size - connection->file_sent));
    connection->file_sent += sent > 0 ? (uint64_t)sent : 0;
    return sent > 0 ? (size_t)sent : 0;
}

/* True when all is sent. */
static bool flush(struct connection *connection)
{
    struct null_answer *answer = &connection->answer;
    while (connection->piece < answer->piece_count) {
        const struct null_piece *piece = &answer->pieces[connection->piece];
        if (connection->sent == piece->to && connection->file_sent == piece->size) {
            connection->piece++;
            connection->file_sent = 0;
        } else if (send_some(connection, piece) == 0) {
            return false;
        }
    }
    answer->size = answer->piece_count = connection->piece = 0;
    connection->sent = 0;
    return true;
}

/* ---- receiving ---- */

/* False: the peer is gone. Makes room for the whole next frame, so that it is read in few calls. */
static bool fill(struct connection *connection, bool *ret_more)
{
    size_t pending = connection->input_size - connection->input_used;
    size_t want = INPUT_START;
    if (pending >= 4) {
        want = SL_MAX(want, 4 + (size_t)sl_be32_load(connection->input + connection->input_used));
    }
    if (connection->input_used > 0 && connection->input_capacity - connection->input_used < want) {
        memmove(connection->input, connection->input + connection->input_used, pending);
        connection->input_used = 0;
        connection->input_size = pending;
    }
    if (connection->input_capacity - connection->input_used < want) {
        connection->input_capacity = want + want / 2;
        connection->input = realloc(connection->input, connection->input_capacity);
        SL_ASSERT(connection->input != NULL);
    }
    size_t room = connection->input_capacity - connection->input_size;
    ssize_t got = recv(connection->fd, connection->input + connection->input_size, room, 0);
    *ret_more = got > 0;
    connection->input_size += got > 0 ? (size_t)got : 0;
    return got > 0 || (got < 0 && errno == EAGAIN);
}

/* Answers the next whole request. False: nothing to do now. */
static bool answer_next(struct broker *broker, struct connection *connection, bool *ret_close)
{
    size_t pending = connection->input_size - connection->input_used;
    uint8_t *frame = connection->input + connection->input_used;
    if (pending < 4 || pending - 4 < sl_be32_load(frame) ||
        connection->answer.piece_count + NULL_PARTITIONS_MAX + 1 > NULL_PIECES_MAX) {
        return false;
    }
    size_t size = sl_be32_load(frame);
    int wait_ms = 0;
    bool due = connection->waiting && now_ms() >= connection->wait_until_ms;
    enum null_outcome outcome = null_api_run(&broker->store, broker->port, frame + 4, size, due,
                                             &connection->answer, &wait_ms);
    *ret_close = outcome == NULL_CLOSE;
    if (outcome == NULL_WAIT) {
        if (!connection->waiting) {
            connection->wait_until_ms = now_ms() + wait_ms;
        }
        connection->waiting = true;
        return false;
    }
    broker->appended |= size > 4 && sl_be16_load(frame + 4) == 0;
    connection->waiting = false;
    connection->input_used += 4 + size;
    return outcome != NULL_CLOSE;
}

/* False: the connection ends. */
static bool serve(struct broker *broker, struct connection *connection)
{
    for (bool more = true; more;) {
        bool bad = false;
        if (!flush(connection)) {
            return true; /* EPOLLOUT comes; a lost peer shows when it is read */
        }
        while (answer_next(broker, connection, &bad)) {
        }
        if (bad || (!connection->waiting && !fill(connection, &more))) {
            return false;
        }
        if (connection->waiting || !more) {
            return flush(connection) || true;
        }
    }
    return true;
}

/* The soonest deadline of a waiting fetch, as epoll_wait wants it. */
static int serve_waiting(struct broker *broker)
{
    int64_t now = now_ms(), next = INT64_MAX;
    bool appended = broker->appended;
    broker->appended = false;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = broker->connections[i];
        if (connection == NULL || !connection->waiting) {
            continue;
        }
        if ((appended || connection->wait_until_ms <= now) && !serve(broker, connection)) {
            drop(broker, connection);
        } else if (connection->waiting) {
            next = SL_MIN(next, connection->wait_until_ms);
        }
    }
    return next == INT64_MAX ? -1 : (int)SL_MAX(next - now, 1);
}

static void run(struct broker *broker)
{
    int timeout_ms = -1;
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(broker->epoll_fd, events, EVENTS_MAX, timeout_ms);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                adopt(broker);
            } else if ((events[i].events & (EPOLLHUP | EPOLLERR)) != 0 ||
                       !serve(broker, connection)) {
                drop(broker, connection);
            }
        }
        timeout_ms = serve_waiting(broker);
    }
}

int main(int argc, char **argv)
{
    static struct broker broker;
    if (argc != 4) {
        fprintf(stderr, "usage: null_broker PORT FOLDER PARTITIONS\n");
        return 2;
    }
    broker.port = (uint16_t)strtoul(argv[1], NULL, 10);
    broker.store.folder = argv[2];
    broker.store.partition_count = (uint32_t)strtoul(argv[3], NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(broker.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    broker.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(broker.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (broker.store.partition_count > NULL_PARTITIONS_MAX ||
        bind(broker.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(broker.listener, 128) != 0) {
        fprintf(stderr, "null_broker: cannot listen on port %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    broker.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(broker.epoll_fd, EPOLL_CTL_ADD, broker.listener, &event);
    puts("ready");
    fflush(stdout);
    run(&broker);
}
