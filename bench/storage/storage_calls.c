/* storage_calls.c: how long one call into a shard takes: appending one record, reading one.
 *
 *   storage_calls DIRECTORY append CLASS [CALLS]
 *       one caller; each call a produce request of one record of 100 B to a topic of that
 *       durability class (fs, os, memory), the next when it is answered
 *   storage_calls DIRECTORY read [CALLS]
 *       one caller; each call a fetch of one record of 100 B, at a random offset of 50,000 that are
 *       in the page cache; each lies in a frame of its own
 *   storage_calls DIRECTORY write cached|cold|handed [CALLS]
 *       nothing but pwritev of three pieces, 4 KiB in all, one block behind the other in files of
 *       zeros whose pages are in the page cache, or are not: what the kernel takes of an append
 * with os. Every 8 MiB a fdatasync, which is not counted. handed: by another thread, as a shard's
 * log has it; the two look for each other and never sleep, and what comes behind a fdatasync
 * waits for it, as there
 *
 * From the call to its answer, on the shard's loop, without sockets and protocol. One JSON object
 * out. */
#include "bare_log.h"
#include "bench_shard.h"

#include "shard/fetch.h"
#include "shard/produce.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_RECORDS 50000u
#define WARM_CALLS   2000u
#define WRITE_BYTES  4096u
#define SYNC_BYTES   (8u << 20)

static struct bench_shard bench;
static struct sluice_produce_entry entry;
static struct sluice_produce request;
static struct sluice_fetch_entry fetch_entry;
static struct sluice_fetch fetch;
static struct chunk *chunk;
static uint32_t *samples_ns;
static uint32_t call_count, calls_max;
static int64_t begin_ns;
static uint64_t random_state = 88172645463325252u;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Done runs inside the call where nothing has to wait: then the caller's loop makes the next one,
 * else the answer does. */
static bool in_call, answered;
static void (*call_next)(void);

static void call_ended(void)
{
    samples_ns[call_count++] = (uint32_t)SL_MIN(now_ns() - begin_ns, (int64_t)UINT32_MAX);
    answered = true;
    if (!in_call && call_count < calls_max) {
        call_next();
    } else if (!in_call) {
        bench_shard_end(&bench);
    }
}

static void calls_run(void (*call)(void))
{
    while (call_count < calls_max) {
        in_call = true;
        answered = false;
        call();
        in_call = false;
        if (!answered) {
            return; /* call_ended goes on */
        }
    }
    bench_shard_end(&bench);
}

static void begin_calls(void *arg)
{
    (void)arg;
    calls_run(call_next);
}

/* ---- append ---- */

static void on_produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                        int32_t throttle_ms)
{
    (void)arg;
    (void)throttle_ms;
    if (count != 1 || results[0].status != SLUICE_OK) {
        bench_fail("produce", count == 1 ? results[0].status : SLUICE_E_INVALID);
    }
    call_ended();
}

static void append_once(void)
{
    begin_ns = now_ns();
    bench_produce(&bench, chunk, &request, on_produced, NULL);
}

static void append_next(void)
{
    calls_run(append_once);
}

static void append_prepare(void)
{
    entry = (struct sluice_produce_entry){.topic = {.name = sluice_text_of("t")},
                                          .batch = bench_batch_new(&bench, 1, 100, &chunk)};
    request = (struct sluice_produce){
        .size = sizeof(request), .acks = -1, .entry_count = 1, .entries = &entry};
}

/* ---- read ---- */

static void on_fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                       int32_t throttle_ms)
{
    (void)arg;
    (void)throttle_ms;
    if (count != 1 || results[0].status != SLUICE_OK || results[0].records.size == 0) {
        bench_fail("fetch", count == 1 ? results[0].status : SLUICE_E_INVALID);
    }
    call_ended();
}

static void read_once(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    fetch_entry.offset = (int64_t)(random_state % READ_RECORDS);
    begin_ns = now_ns();
    fetch_start(bench.shard, &bench.context, &fetch, NULL, NULL, on_fetched, NULL);
}

static void read_next(void)
{
    calls_run(read_once);
}

static void read_prepare(void)
{
    fetch_entry = (struct sluice_fetch_entry){
        .topic = {.name = sluice_text_of("t")}, .leader_epoch = -1, .bytes_max = 1};
    fetch = (struct sluice_fetch){.size = sizeof(fetch),
                                  .bytes_max = 1,
                                  .bytes_min = 1,
                                  .entry_count = 1,
                                  .entries = &fetch_entry};
}

/* ---- the kernel's share ---- */

static void write_frame(const struct bare_log *log, uint64_t at)
{
    static char head[256], body[176], padding[WRITE_BYTES - sizeof(head) - sizeof(body)];
    const struct iovec pieces[] = {
        {head, sizeof(head)}, {body, sizeof(body)}, {padding, sizeof(padding)}};
    int file = log->files[at / BARE_FILE_BYTES % BARE_FILES];
    if (pwritev(file, pieces, 3, (off_t)(at % BARE_FILE_BYTES)) != (ssize_t)WRITE_BYTES) {
        bench_fail("pwritev", SLUICE_E_IO);
    }
}

static void write_sync(const struct bare_log *log, uint64_t at)
{
    int file = log->files[at / BARE_FILE_BYTES % BARE_FILES];
    if ((at + WRITE_BYTES) % SYNC_BYTES == 0 && fdatasync(file) != 0) {
        bench_fail("fdatasync", SLUICE_E_IO);
    }
}

static void sample_take(void)
{
    samples_ns[call_count++] = (uint32_t)SL_MIN(now_ns() - begin_ns, (int64_t)UINT32_MAX);
}

static void write_once(const struct bare_log *log, uint64_t at)
{
    begin_ns = now_ns();
    write_frame(log, at);
    sample_take();
    write_sync(log, at);
}

/* ---- handed to another thread ---- */

static struct bare_log handed_log;
static _Atomic uint64_t handed, written; /* calls */
static uint64_t handed_max;

static void *handed_run(void *arg)
{
    for (uint64_t i = 0; i < handed_max; i++) {
        while (atomic_load(&handed) <= i) {
        }
        write_frame(&handed_log, i * WRITE_BYTES);
        atomic_store(&written, i + 1);
        write_sync(&handed_log, i * WRITE_BYTES);
    }
    return arg;
}

static void write_handed(const char *directory, uint32_t calls)
{
    pthread_t writer;
    bare_log_open(&handed_log, directory);
    handed_max = calls;
    if (pthread_create(&writer, NULL, handed_run, NULL) != 0) {
        bench_fail("thread", SLUICE_E_LIMIT);
    }
    for (uint64_t i = 0; i < calls; i++) {
        begin_ns = now_ns();
        atomic_store(&handed, i + 1);
        while (atomic_load(&written) <= i) {
        }
        sample_take();
    }
    pthread_join(writer, NULL);
    bare_log_close(&handed_log);
}

static void write_all(const char *directory, bool is_cold, uint32_t calls)
{
    struct bare_log log;
    bare_log_open(&log, directory);
    for (uint32_t i = 0; is_cold && i < BARE_FILES; i++) {
        (void)posix_fadvise(log.files[i], 0, 0, POSIX_FADV_DONTNEED);
    }
    for (uint64_t i = 0; i < calls; i++) {
        write_once(&log, i * WRITE_BYTES);
    }
    bare_log_close(&log);
}

static void run(void (*next)(void), uint32_t count)
{
    call_next = next;
    call_count = 0;
    calls_max = count;
    bench_shard_run(&bench, begin_calls, NULL);
}

static void report(const char *what, const char *class_name)
{
    printf("{\"bench\":\"calls\",\"case\":\"%s\",\"class\":\"%s\",\"calls\":%u,\"p50_us\":%.2f,"
           "\"p99_us\":%.2f,\"p999_us\":%.2f}\n",
           what, class_name, call_count, bench_percentile(samples_ns, call_count, 50) / 1e3,
           bench_percentile(samples_ns, call_count, 99) / 1e3,
           bench_percentile(samples_ns, call_count, 99.9) / 1e3);
}

int main(int count, char **words)
{
    bool appends = count >= 4 && strcmp(words[2], "append") == 0;
    bool reads = count >= 3 && strcmp(words[2], "read") == 0;
    bool writes = count >= 4 && strcmp(words[2], "write") == 0;
    if (!appends && !reads && !writes) {
        fprintf(stderr,
                "storage_calls DIRECTORY append CLASS | read | write cached|cold|handed [CALLS]\n");
        return 2;
    }
    int at = reads ? 3 : 4;
    uint32_t calls = count > at ? (uint32_t)strtoul(words[at], NULL, 10) : 200000;
    const char *class_name =
        appends ? words[3] : "os"; /* reading asks no class; filling is quick */
    const char *durability = strcmp(class_name, "fs") == 0 ? "fsync" : class_name;
    struct wal_limits wal = bench_wal_limits();
    samples_ns = calloc(SL_MAX(calls, READ_RECORDS), sizeof(*samples_ns));
    if (writes) {
        if (strcmp(words[3], "handed") == 0) {
            write_handed(words[1], calls);
        } else {
            write_all(words[1], strcmp(words[3], "cold") == 0, calls);
        }
        report("pwritev of a frame, pages", words[3]);
        return 0;
    }
    bench_shard_open(&bench, words[1], &wal, NULL);
    bench_topic_create(&bench, "t", 1, "sluice.durability", durability);
    append_prepare();
    run(append_next, appends ? SL_MIN(calls, WARM_CALLS) : READ_RECORDS);
    if (reads) {
        read_prepare();
        run(read_next, WARM_CALLS);
        run(read_next, calls);
    } else {
        run(append_next, calls);
    }
    report(appends ? "append one record" : "read one record", class_name);
    chunk_unref(chunk);
    bench_shard_close(&bench);
    return 0;
}
