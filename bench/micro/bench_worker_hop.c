/* bench_worker_hop.c: what it costs to send records through a worker process and back.
 *
 * A batch of 100-byte records is submitted, the host sleeps in poll(2) on the worker's descriptor,
 * takes the result and reads all verdicts: the whole hop as an event loop makes it. Wall time,
 * because the time of the other process counts; host and worker pinned to one core unless --cross.
 * "pass" gives no verdict, "copy" emits every record again, "piped" keeps the channel full. Also:
 * spawn to READY, and the resident size of an idle worker. Usage: bench_worker_hop [--json]
 * [--cross] */
#include "toy_host.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 11, ROUND_NS = 60000000, RECORDS_MAX = 4096, RECORD_BYTES = 110 };

struct hop {
    struct toy_host host;
    struct sandbox_task task;
    uint8_t *records;
    uint32_t depth;
    uint64_t sum; /* keeps the reading of results alive */
};

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench_worker_hop: %s\n", what);
    exit(1);
}

/* length, attributes, two deltas, null key, 100 bytes of value, no headers: all varints by hand. */
static uint32_t fill(uint8_t *records, uint32_t count)
{
    uint8_t *at = records;

    for (uint32_t i = 0; i < count; i++) {
        static const uint8_t head[] = {0, 0, 0, 1, 200, 1};
        const uint32_t body = (uint32_t)sizeof(head) + 100 + 1;

        *at++ = (uint8_t)(body * 2 | 0x80);
        *at++ = (uint8_t)(body * 2 >> 7);
        memcpy(at, head, sizeof(head));
        memset(at + sizeof(head), 'v', 100);
        at[sizeof(head) + 100] = 0;
        at += body;
    }
    return (uint32_t)(at - records);
}

static void take(struct hop *hop)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sandbox_event event;

    while (!sandbox_worker_poll(hop->host.worker, 0, &event)) {
        struct pollfd descriptor = {.fd = sandbox_worker_fd(hop->host.worker), .events = POLLIN};

        poll(&descriptor, 1, 1000);
    }
    if (event.kind != SANDBOX_EVENT_RESULT || event.result.status != SLUICE_OK) {
        give_up("a batch failed");
    }
    sandbox_result_reader_init(&reader, &event.result);
    while (sandbox_result_next(&reader, &verdict)) {
        hop->sum += verdict.index + verdict.value.size;
    }
}

static void submit(struct hop *hop)
{
    if (sandbox_worker_submit(hop->host.worker, &hop->task, 0) != SLUICE_OK) {
        give_up("submit was refused");
    }
}

static double round_ns(struct hop *hop)
{
    const double start = now_ns();
    uint64_t count = 0;
    double spent;

    do {
        while (sandbox_worker_in_flight(hop->host.worker) < hop->depth) {
            submit(hop);
        }
        take(hop);
        count += hop->task.limit;
        spent = now_ns() - start;
    } while (spent < ROUND_NS);
    while (sandbox_worker_in_flight(hop->host.worker) > 0) {
        take(hop);
    }
    return spent / (double)count;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(bool json, const char *name, const char *unit, double *rounds, size_t count)
{
    qsort(rounds, count, sizeof(*rounds), compare);
    if (json) {
        printf("{\"case\":\"%s\",\"unit\":\"%s\",\"median\":%.1f,\"best\":%.1f,\"worst\":%.1f}\n",
               name, unit, rounds[count / 2], rounds[0], rounds[count - 1]);
    } else {
        printf("%-20s %12.1f %10.1f %10.1f  %s\n", name, rounds[count / 2], rounds[0],
               rounds[count - 1], unit);
    }
}

static void start(struct hop *hop, const char *config, int cpu)
{
    struct sandbox_spawn spawn;
    struct sandbox_event event;

    toy_host_init(&hop->host, "pass_through");
    spawn = toy_host_spawn_defaults(&hop->host, config);
    spawn.cpu = cpu;
    toy_host_spawn(&hop->host, &spawn);
    if (toy_host_wait(&hop->host, SANDBOX_EVENT_READY, &event) != SANDBOX_EVENT_READY) {
        give_up(event.exit.text);
    }
}

static void run_batches(const char *kind, const char *config, uint32_t depth, int cpu, bool json)
{
    static const uint32_t batches[] = {1, 16, 256, 1000, 4096};
    struct hop hop = {.depth = depth, .records = malloc(RECORDS_MAX * RECORD_BYTES)};

    start(&hop, config, cpu);
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]) && hop.records != NULL; i++) {
        double rounds[ROUNDS];
        char name[64];

        hop.task = (struct sandbox_task){.topic = sluice_text_of("orders"),
                                         .records = {hop.records, fill(hop.records, batches[i])},
                                         .record_count = batches[i],
                                         .limit = batches[i]};
        (void)round_ns(&hop);
        for (int round = 0; round < ROUNDS; round++) {
            rounds[round] = round_ns(&hop);
        }
        snprintf(name, sizeof(name), "%s, batch %u", kind, batches[i]);
        print(json, name, "ns/record", rounds, ROUNDS);
    }
    toy_host_fini(&hop.host);
    free(hop.records);
}

static double resident_kib(int32_t pid)
{
    char path[64];
    char line[128];
    double kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kib = strtod(line + 6, NULL);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

static void run_starts(int cpu, bool json)
{
    double starts[ROUNDS];
    double sizes[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        struct sandbox_spawn spawn;
        struct sandbox_event event;
        struct hop hop = {.depth = 1};
        double begin;

        toy_host_init(&hop.host, "pass_through");
        spawn = toy_host_spawn_defaults(&hop.host, "{}");
        spawn.cpu = cpu;
        begin = now_ns();
        toy_host_spawn(&hop.host, &spawn);
        (void)toy_host_wait(&hop.host, SANDBOX_EVENT_READY, &event);
        starts[round] = (now_ns() - begin) / 1000;
        sizes[round] = resident_kib(sandbox_worker_pid(hop.host.worker));
        toy_host_fini(&hop.host);
    }
    print(json, "spawn to READY", "us", starts, ROUNDS);
    print(json, "idle worker", "KiB resident", sizes, ROUNDS);
}

int main(int argc, char **argv)
{
    const int core = sched_getcpu();
    bool json = false;
    bool cross = false;
    cpu_set_t set;

    for (int i = 1; i < argc; i++) {
        json = json || strcmp(argv[i], "--json") == 0;
        cross = cross || strcmp(argv[i], "--cross") == 0;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (!cross && sched_setaffinity(0, sizeof(set), &set) != 0) {
        give_up("cannot pin");
    }
    if (!json) {
        printf("%-20s %12s %10s %10s\n", "case", "median", "best", "worst");
    }
    run_batches("pass", "{}", 1, cross ? -1 : core, json);
    run_batches("copy", "{\"copy\":true}", 1, cross ? -1 : core, json);
    run_batches("piped", "{}", 4, cross ? -1 : core, json);
    run_starts(cross ? -1 : core, json);
    return 0;
}
