/* client_wire.c: see client_wire.h. */
#include "client_wire.h"

#include "bench_shard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- sockets ---- */

int wire_try_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (colon == NULL || descriptor < 0) {
        fail("socket");
    }
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (connect(descriptor, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(descriptor);
        return -1;
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return descriptor;
}

int wire_connect(const char *address)
{
    int descriptor = wire_try_connect(address);
    if (descriptor < 0) {
        fail("connect");
    }
    return descriptor;
}

int wire_listen(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&at, size) != 0 ||
        listen(descriptor, 4096) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&at, &size) != 0) {
        fail("listen");
    }
    *ret_port = ntohs(at.sin_port);
    return descriptor;
}

int wire_accept(int listener)
{
    int on = 1, descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (descriptor < 0) {
        fail("accept");
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return descriptor;
}

void wire_write(int descriptor, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t put = send(descriptor, at, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            fail("send");
        }
        at += put;
        size -= (size_t)put;
    }
}

void wire_read(int descriptor, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t got = recv(descriptor, at, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            fail("recv");
        }
        at += got;
        size -= (size_t)got;
    }
}

size_t wire_read_answer(int descriptor, uint8_t *into, size_t room)
{
    uint32_t size;
    wire_read(descriptor, &size, sizeof(size));
    size = ntohl(size);
    if (size > room) {
        bench_fail("an answer larger than asked for", SLUICE_E_LIMIT);
    }
    wire_read(descriptor, into, size);
    return size;
}

/* ---- requests ---- */

static void put(struct sl_buffer *out, const void *bytes, size_t size)
{
    if (sl_buffer_append(out, bytes, size) != SLUICE_OK) {
        bench_fail("memory", SLUICE_E_NO_MEMORY);
    }
}

static void put_int(struct sl_buffer *out, int64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * (size - 1 - i)));
    }
    put(out, bytes, size);
}

static void put_text(struct sl_buffer *out, const char *text)
{
    put_int(out, (int64_t)strlen(text), 2);
    put(out, text, strlen(text));
}

static size_t request_begin(struct sl_buffer *out, int key, int version)
{
    size_t start = out->size;
    put_int(out, 0, 4);
    put_int(out, key, 2);
    put_int(out, version, 2);
    put_int(out, 7, 4); /* correlation */
    put_text(out, "storage_client");
    return start;
}

static void request_end(struct sl_buffer *out, size_t start)
{
    uint32_t size = htonl((uint32_t)(out->size - start - 4));
    memcpy(out->data + start, &size, sizeof(size));
}

void wire_put_metadata(struct sl_buffer *out, const char *topic)
{
    size_t start = request_begin(out, 3, 4);
    put_int(out, 1, 4);
    put_text(out, topic);
    put_int(out, 1, 1); /* create it */
    request_end(out, start);
}

void wire_put_produce(struct sl_buffer *out, const char *topic, const struct wire_batch *batches,
                      uint32_t count)
{
    size_t start = request_begin(out, 0, 7);
    put_int(out, -1, 2); /* not transactional */
    put_int(out, -1, 2); /* acks: all */
    put_int(out, 30000, 4);
    put_int(out, 1, 4);
    put_text(out, topic);
    put_int(out, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        put_int(out, batches[i].partition, 4);
        put_int(out, (int64_t)batches[i].batch.size, 4);
        put(out, batches[i].batch.data, batches[i].batch.size);
    }
    request_end(out, start);
}

void wire_put_fetch(struct sl_buffer *out, const char *topic, int32_t partition, int64_t offset,
                    int32_t bytes_max)
{
    size_t start = request_begin(out, 1, 11);
    put_int(out, -1, 4); /* replica */
    put_int(out, 500, 4);
    put_int(out, 1, 4); /* bytes at least */
    put_int(out, bytes_max, 4);
    put_int(out, 0, 1);
    put_int(out, 0, 4); /* no session */
    put_int(out, -1, 4);
    put_int(out, 1, 4);
    put_text(out, topic);
    put_int(out, 1, 4);
    put_int(out, partition, 4);
    put_int(out, -1, 4);
    put_int(out, offset, 8);
    put_int(out, -1, 8);
    put_int(out, bytes_max, 4);
    put_int(out, 0, 4);
    put_text(out, "");
    request_end(out, start);
}

/* ---- answers, behind their size ---- */

static int64_t get_int(const uint8_t *at, size_t size)
{
    uint64_t value = (at[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return (int64_t)value;
}

size_t wire_produce_answer_size(const char *topic)
{
    return 4 + 4 + 2 + strlen(topic) + 4 + 4 + 2 + 8 + 8 + 8 + 4;
}

int16_t wire_produce_error(const uint8_t *answer, const char *topic)
{
    return (int16_t)get_int(answer + 4 + 4 + 2 + strlen(topic) + 4 + 4, 2);
}

void wire_fetched_read(const uint8_t *answer, const char *topic, struct wire_fetched *ret_fetched)
{
    const uint8_t *at = answer + 4 + 4 + 2 + 4 + 4 + 2 + strlen(topic) + 4 + 4;
    ret_fetched->error = (int16_t)get_int(at, 2);
    ret_fetched->high_watermark = get_int(at + 2, 8);
    int64_t aborted = get_int(at + 26, 4);
    at += 30 + (aborted > 0 ? aborted * 16 : 0) + 4;
    int64_t size = get_int(at, 4);
    ret_fetched->records = (struct sl_bytes){at + 4, size > 0 ? (size_t)size : 0};
}
