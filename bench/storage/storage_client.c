/* storage_client.c: clients of one broker through sockets, on one thread.
 *
 *   storage_client fill ADDRESS TOPIC PARTITIONS MIB
 *       writes MIB MiB: half of it to partition 0 in batches of 64 KiB, the other half to all
 *       others in turn, in batches of 16 KiB; both in every request, so that they mix in the log
 *   storage_client drain ADDRESS TOPIC PARTITION FETCH_KIB [ROUNDS]
 *       reads the partition from its start to its end, one fetch after the other, as a consumer
 *       that is behind does; every batch header is looked at
 *   storage_client clients ADDRESS TOPIC COUNT SECONDS
 *       COUNT connections, each sends one record of 100 B and waits for its own acknowledgement
 *   storage_client probe ADDRESS TOPIC SECONDS
 *       every 5 ms one record of 100 B: when it is acknowledged, and when a second connection,
 * whose fetch waits for it, has it. From the time at which it was due, so that what it waited for
 *       the one before it counts; the first fifth is left out. The topic is empty before
 *   storage_client ping ADDRESS TOPIC
 *       one record, once it is acknowledged (connects and tries until then)
 *
 * One JSON object out. */
#include "bench_shard.h"
#include "client_wire.h"

#include "os/os_uv.h"
#include "record/batch_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096u
#define SAMPLES_MAX     4000000u
#define FILL_DEPTH      4u /* requests under way */
#define SMALL_COUNT     4u /* small batches in a request of fill */
#define PROBE_PERIOD_S  0.005

static struct bench_shard maker; /* only to build batches */

static void maker_init(void)
{
    if (sl_os_uv_new(1, &maker.os) != SLUICE_OK ||
        sl_loop_new(maker.os, "bench", -1, &maker.loop) != SLUICE_OK) {
        bench_fail("os", SLUICE_E_NO_MEMORY);
    }
    chunk_cache_init(&maker.cache, maker.loop, 64u << 20);
}

static struct sl_bytes batch_make(uint32_t records, size_t value_size)
{
    struct chunk *chunk;
    struct sluice_bytes bytes = bench_batch_new(&maker, records, value_size, &chunk);
    return (struct sl_bytes){bytes.data, (size_t)bytes.size};
}

static void buffer_init(struct sl_buffer *buffer)
{
    sl_buffer_init(buffer, 1u << 30);
}

static void topic_make(int descriptor, const char *topic)
{
    static uint8_t answer[1 << 20];
    struct sl_buffer request;
    buffer_init(&request);
    wire_put_metadata(&request, topic);
    wire_write(descriptor, request.data, request.size);
    wire_read_answer(descriptor, answer, sizeof(answer));
    sl_buffer_fini(&request);
}

/* ---- fill ---- */

static int fill(const char *address, const char *topic, int32_t partitions, uint64_t bytes)
{
    static uint8_t answer[1 << 20];
    struct sl_bytes large = batch_make(610, 100), small = batch_make(152, 100);
    struct wire_batch batches[1 + SMALL_COUNT] = {{0, large}};
    uint64_t sent = 0, under_way = 0;
    int32_t next = 1;
    struct sl_buffer request;
    buffer_init(&request);
    int descriptor = wire_connect(address);
    topic_make(descriptor, topic);
    double begin_s = bench_now_s();
    while (sent < bytes || under_way > 0) {
        if (sent < bytes && under_way < FILL_DEPTH) {
            for (uint32_t i = 1; i <= SMALL_COUNT; i++) {
                batches[i] = (struct wire_batch){next, small};
                next = next + 1 < partitions ? next + 1 : SL_MIN(1, partitions - 1);
            }
            sl_buffer_reset(&request);
            wire_put_produce(&request, topic, batches, 1 + SMALL_COUNT);
            wire_write(descriptor, request.data, request.size);
            sent += large.size + SMALL_COUNT * small.size;
            under_way++;
            continue;
        }
        wire_read_answer(descriptor, answer, sizeof(answer));
        if (wire_produce_error(answer, topic) != 0) {
            bench_fail("produce", wire_produce_error(answer, topic));
        }
        under_way--;
    }
    printf("{\"what\":\"fill\",\"bytes\":%llu,\"seconds\":%.3f}\n", (unsigned long long)sent,
           bench_now_s() - begin_s);
    return 0;
}

/* ---- drain ---- */

/* The offset behind the last batch. */
static int64_t next_offset(struct sl_bytes records, int64_t offset, uint64_t *count)
{
    while (records.size > 0) {
        struct batch_view view;
        if (batch_view_init(&view, records) != SLUICE_OK) {
            break; /* the rest of a batch that was cut */
        }
        offset = batch_view_next_offset(&view);
        *count += (uint64_t)batch_view_record_count(&view);
        records = (struct sl_bytes){records.data + view.size, records.size - view.size};
    }
    return offset;
}

static int drain(const char *address, const char *topic, int32_t partition, int32_t fetch_bytes,
                 uint32_t rounds)
{
    size_t room = (size_t)fetch_bytes + (2u << 20);
    uint8_t *answer = malloc(room);
    struct sl_buffer request;
    buffer_init(&request);
    int descriptor = wire_connect(address);
    memset(answer, 0, room); /* its pages are there */
    for (uint32_t round = 0; round < rounds; round++) {
        struct wire_fetched fetched = {.high_watermark = INT64_MAX};
        uint64_t bytes = 0, records = 0, fetches = 0;
        int64_t offset = 0;
        double begin_s = bench_now_s(), cpu_s = bench_cpu_s();
        while (offset < fetched.high_watermark) {
            sl_buffer_reset(&request);
            wire_put_fetch(&request, topic, partition, offset, fetch_bytes);
            wire_write(descriptor, request.data, request.size);
            wire_read_answer(descriptor, answer, room);
            wire_fetched_read(answer, topic, &fetched);
            if (fetched.error != 0) {
                bench_fail("fetch", fetched.error);
            }
            bytes += fetched.records.size;
            offset = next_offset(fetched.records, offset, &records);
            fetches++;
        }
        double elapsed_s = bench_now_s() - begin_s;
        printf("{\"what\":\"drain\",\"bytes\":%llu,\"records\":%llu,\"fetches\":%llu,"
               "\"seconds\":%.6f,\"mb_per_s\":%.1f,\"client_cpu_s\":%.4f}\n",
               (unsigned long long)bytes, (unsigned long long)records, (unsigned long long)fetches,
               elapsed_s, (double)bytes / elapsed_s / 1e6, bench_cpu_s() - cpu_s);
    }
    return 0;
}

/* ---- clients ---- */

struct client {
    int descriptor;
    size_t got;
    double begin_s;
};

static void client_send(struct client *client, const struct sl_buffer *request)
{
    client->got = 0;
    client->begin_s = bench_now_s();
    wire_write(client->descriptor, request->data, request->size);
}

/* True: its answer is complete. */
static bool client_read(struct client *client, size_t answer_size, const char *topic)
{
    uint8_t bytes[512];
    ssize_t got = recv(client->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        bench_fail("connection lost", SLUICE_E_NETWORK);
    }
    bool whole = client->got == 0 && (size_t)got == answer_size + 4;
    if (whole && wire_produce_error(bytes + 4, topic) != 0) {
        bench_fail("produce", wire_produce_error(bytes + 4, topic));
    }
    client->got += (size_t)got;
    return client->got == answer_size + 4;
}

static int clients_run(const char *address, const char *topic, uint32_t count, double seconds)
{
    static struct client clients[CONNECTIONS_MAX];
    static struct epoll_event events[CONNECTIONS_MAX];
    uint32_t *samples = calloc(SAMPLES_MAX, sizeof(*samples)), sample_count = 0;
    struct wire_batch batch = {0, batch_make(1, 100)};
    size_t answer_size = wire_produce_answer_size(topic);
    int epoll = epoll_create1(0);
    struct sl_buffer request;
    buffer_init(&request);
    wire_put_produce(&request, topic, &batch, 1);
    count = SL_MIN(count, CONNECTIONS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        clients[i].descriptor = wire_connect(address);
        if (i == 0) {
            topic_make(clients[i].descriptor, topic);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].descriptor, &event);
    }
    double begin_s = bench_now_s(), warm_s = begin_s + seconds / 5, end_s = begin_s + seconds;
    double now_s = begin_s;
    for (uint32_t i = 0; i < count; i++) {
        client_send(&clients[i], &request);
    }
    while (now_s < end_s) {
        int ready = epoll_wait(epoll, events, (int)CONNECTIONS_MAX, 1000);
        now_s = bench_now_s();
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client_read(client, answer_size, topic)) {
                if (now_s >= warm_s && sample_count < SAMPLES_MAX) {
                    samples[sample_count++] = (uint32_t)((now_s - client->begin_s) * 1e7);
                }
                client_send(client, &request);
            }
        }
    }
    printf("{\"what\":\"clients\",\"clients\":%u,\"requests\":%u,\"requests_per_s\":%.0f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           count, sample_count, sample_count / (now_s - warm_s),
           bench_percentile(samples, sample_count, 50) / 10.0,
           bench_percentile(samples, sample_count, 99) / 10.0);
    return 0;
}

/* ---- probe ---- */

struct probe {
    const char *topic;
    int producer, consumer; /* descriptors */
    int64_t offset;         /* the next record's */
    struct sl_buffer request, fetch;
};

static void probe_ask(struct probe *probe)
{
    sl_buffer_reset(&probe->fetch);
    wire_put_fetch(&probe->fetch, probe->topic, 0, probe->offset, 1 << 20);
    wire_write(probe->consumer, probe->fetch.data, probe->fetch.size);
}

/* Sends the record, whose fetch is under way; returns when both answers are there. */
static void probe_once(struct probe *probe, double *ret_acked_s, double *ret_fetched_s)
{
    static uint8_t answer[2 << 20];
    struct wire_fetched fetched;
    wire_write(probe->producer, probe->request.data, probe->request.size);
    wire_read_answer(probe->producer, answer, sizeof(answer));
    *ret_acked_s = bench_now_s();
    if (wire_produce_error(answer, probe->topic) != 0) {
        bench_fail("produce", wire_produce_error(answer, probe->topic));
    }
    for (;;) {
        wire_read_answer(probe->consumer, answer, sizeof(answer));
        wire_fetched_read(answer, probe->topic, &fetched);
        if (fetched.error != 0) {
            bench_fail("fetch", fetched.error);
        }
        if (fetched.records.size > 0) {
            break;
        }
        probe_ask(probe); /* its time was up */
    }
    *ret_fetched_s = bench_now_s();
    probe->offset++;
}

static void probe_report(uint32_t *acks, uint32_t *ways, uint32_t count)
{
    printf("{\"what\":\"probe\",\"count\":%u,\"produce_p50_ms\":%.4f,\"produce_p99_ms\":%.4f,"
           "\"fetch_p50_ms\":%.4f,\"fetch_p99_ms\":%.4f}\n",
           count, bench_percentile(acks, count, 50) / 1e4, bench_percentile(acks, count, 99) / 1e4,
           bench_percentile(ways, count, 50) / 1e4, bench_percentile(ways, count, 99) / 1e4);
}

static int probe_run(const char *address, const char *topic, double seconds)
{
    struct probe probe = {
        .topic = topic, .producer = wire_connect(address), .consumer = wire_connect(address)};
    struct wire_batch batch = {0, batch_make(1, 100)};
    uint32_t count = 0, room = (uint32_t)(seconds / PROBE_PERIOD_S) + 1;
    uint32_t *acks = calloc(room, sizeof(*acks)), *ways = calloc(room, sizeof(*ways));
    buffer_init(&probe.request);
    buffer_init(&probe.fetch);
    topic_make(probe.producer, topic);
    wire_put_produce(&probe.request, topic, &batch, 1);
    double begin_s = bench_now_s(), warm_s = begin_s + seconds / 5;
    for (double due_s = begin_s; due_s < begin_s + seconds; due_s += PROBE_PERIOD_S) {
        double acked_s, fetched_s, wait_s = due_s - bench_now_s();
        probe_ask(&probe);
        if (wait_s > 0) {
            usleep((useconds_t)(wait_s * 1e6));
            due_s = SL_MAX(due_s, bench_now_s()); /* how late we woke is not the broker's */
        }
        probe_once(&probe, &acked_s, &fetched_s);
        if (due_s >= warm_s && count < room) {
            acks[count] = (uint32_t)((acked_s - due_s) * 1e7);
            ways[count++] = (uint32_t)((fetched_s - due_s) * 1e7);
        }
    }
    probe_report(acks, ways, count);
    return 0;
}

/* ---- ping ---- */

static int try_connect(const char *address)
{
    for (;;) {
        int descriptor = wire_try_connect(address);
        if (descriptor >= 0) {
            return descriptor;
        }
        usleep(100);
    }
}

static int ping(const char *address, const char *topic)
{
    uint8_t answer[4096];
    struct wire_batch batch = {0, batch_make(1, 100)};
    struct sl_buffer request;
    buffer_init(&request);
    wire_put_produce(&request, topic, &batch, 1);
    printf("ready\n"); /* whoever starts the broker may do so now */
    fflush(stdout);
    int descriptor = try_connect(address);
    double connected_s = bench_now_s();
    wire_write(descriptor, request.data, request.size);
    wire_read_answer(descriptor, answer, sizeof(answer));
    double acked_s = bench_now_s();
    printf("{\"what\":\"ping\",\"error\":%d,\"connected_s\":%.6f,\"acked_s\":%.6f}\n",
           wire_produce_error(answer, topic), connected_s, acked_s);
    return 0;
}

int main(int count, char **words)
{
    maker_init();
    if (count == 6 && strcmp(words[1], "fill") == 0) {
        return fill(words[2], words[3], atoi(words[4]), strtoull(words[5], NULL, 10) << 20);
    }
    if (count >= 6 && strcmp(words[1], "drain") == 0) {
        return drain(words[2], words[3], atoi(words[4]), atoi(words[5]) << 10,
                     count > 6 ? (uint32_t)atoi(words[6]) : 1);
    }
    if (count == 6 && strcmp(words[1], "clients") == 0) {
        return clients_run(words[2], words[3], (uint32_t)atoi(words[4]), strtod(words[5], NULL));
    }
    if (count == 5 && strcmp(words[1], "probe") == 0) {
        return probe_run(words[2], words[3], strtod(words[4], NULL));
    }
    if (count == 4 && strcmp(words[1], "ping") == 0) {
        return ping(words[2], words[3]);
    }
    fprintf(stderr, "storage_client fill|drain|clients|probe|ping ADDRESS TOPIC …\n");
    return 2;
}
