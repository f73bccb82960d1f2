/* storage_calls.c: how long one call into a shard takes: appending one record, reading one.
 *
 *   storage_calls DIRECTORY append CLASS [CALLS]
 *       one caller; each call a produce request of one record of 100 B to a topic of that
 *       durability class (fs, os, memory), the next when it is answered
 *   storage_calls DIRECTORY read [CALLS]
 *       one caller; each call a fetch of one record of 100 B, at a random offset of 50,000 that are
 *       in the page cache; each lies in a frame of its own
 *   storage_calls DIRECTORY turns append os | turns read [CALLS]
 *       the same; after each 2,048 calls as many bare ones on the same thread: pwritev of a frame
 *       (below) into new files that blocks were taken for, as the log's are; pread of 176 B, at
 *       random in 50,000 blocks that are in the page cache. What the machine does to one of the
 *       two it does to the other within 20 ms
 *   storage_calls DIRECTORY write cached|cold|handed [CALLS]
 *       nothing but pwritev of three pieces, 4 KiB in all, one block behind the other in files of
 *       zeros whose pages are in the page cache, or are not: what the kernel takes of an append
 * with os. Every 8 MiB a fdatasync, which is not counted. handed: by another thread, as a shard's
 * log has it; the two look for each other and never sleep, and what comes behind a fdatasync
 * waits for it, as there
 *
 * From the call to its answer, on the shard's loop, without sockets and protocol. One JSON object
 * out; turns: two. */
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
#define READ_BYTES   176u /* of a frame: where a record batch of 100 B lies in it */
#define READ_AT      256u
#define TURN_CALLS   2048u /* 8 MiB of frames; a turn begins after a sync, both threads asleep */

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

/* The bare calls in turn with them; NULL: none. */
static void (*bare_once)(void);
static uint32_t *bare_ns;
static uint32_t bare_count;
static int bare_file = -1;

static uint32_t since_ns(int64_t then_ns)
{
    return (uint32_t)SL_MIN(now_ns() - then_ns, (int64_t)UINT32_MAX);
}

static void call_ended(void)
{
    samples_ns[call_count++] = since_ns(begin_ns);
    for (uint32_t i = 0; bare_once != NULL && call_count % TURN_CALLS == 0 && i < TURN_CALLS; i++) {
        bare_once();
    }
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

static uint64_t random_record(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % READ_RECORDS;
}

static void read_once(void)
{
    fetch_entry.offset = (int64_t)random_record();
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

static void write_frame(int file, uint64_t at)
{
    static char head[READ_AT], body[READ_BYTES], padding[WRITE_BYTES - sizeof(head) - sizeof(body)];
    const struct iovec pieces[] = {
        {head, sizeof(head)}, {body, sizeof(body)}, {padding, sizeof(padding)}};
    if (pwritev(file, pieces, 3, (off_t)at) != (ssize_t)WRITE_BYTES) {
        bench_fail("pwritev", SLUICE_E_IO);
    }
}

static void write_sync(int file, uint64_t at)
{
    if ((at + WRITE_BYTES) % SYNC_BYTES == 0 && fdatasync(file) != 0) {
        bench_fail("fdatasync", SLUICE_E_IO);
    }
}

static int file_of(const struct bare_log *log, uint64_t at)
{
    return log->files[at / BARE_FILE_BYTES % BARE_FILES];
}

static void write_once(const struct bare_log *log, uint64_t at)
{
    begin_ns = now_ns();
    write_frame(file_of(log, at), at % BARE_FILE_BYTES);
    samples_ns[call_count++] = since_ns(begin_ns);
    write_sync(file_of(log, at), at);
}

/* ---- in turn ---- */

static const char *bare_directory;

static void bare_file_begin(uint64_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/bare", bare_directory);
    if (bare_file >= 0) {
        close(bare_file);
    }
    bare_file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (bare_file < 0 || posix_fallocate(bare_file, 0, (off_t)size) != 0 || fsync(bare_file) != 0) {
        bench_fail(path, SLUICE_E_IO);
    }
    unlink(path);
}

static void bare_append(void)
{
    uint64_t at = (uint64_t)bare_count * WRITE_BYTES % BARE_FILE_BYTES;
    if (at == 0) {
        bare_file_begin(BARE_FILE_BYTES);
    }
    int64_t then_ns = now_ns();
    write_frame(bare_file, at);
    bare_ns[bare_count++] = since_ns(then_ns);
    write_sync(bare_file, at);
}

static void bare_read(void)
{
    char bytes[READ_BYTES];
    uint64_t at = random_record() * WRITE_BYTES;
    int64_t then_ns = now_ns();
    if (pread(bare_file, bytes, sizeof(bytes), (off_t)(at + READ_AT)) != (ssize_t)sizeof(bytes)) {
        bench_fail("pread", SLUICE_E_IO);
    }
    bare_ns[bare_count++] = since_ns(then_ns);
}

static void bare_read_prepare(void)
{
    bare_file_begin((uint64_t)READ_RECORDS * WRITE_BYTES);
    for (uint64_t i = 0; i < READ_RECORDS; i++) {
        write_frame(bare_file, i * WRITE_BYTES);
        write_sync(bare_file, i * WRITE_BYTES);
    }
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
        uint64_t at = i * WRITE_BYTES;
        write_frame(file_of(&handed_log, at), at % BARE_FILE_BYTES);
        atomic_store(&written, i + 1);
        write_sync(file_of(&handed_log, at), at);
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
        samples_ns[call_count++] = since_ns(begin_ns);
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

static void report(const char *what, const char *class_name, uint32_t *samples, uint32_t count)
{
    printf("{\"bench\":\"calls\",\"case\":\"%s\",\"class\":\"%s\",\"calls\":%u,\"p50_us\":%.2f,"
           "\"p99_us\":%.2f,\"p999_us\":%.2f}\n",
           what, class_name, count, bench_percentile(samples, count, 50) / 1e3,
           bench_percentile(samples, count, 99) / 1e3,
           bench_percentile(samples, count, 99.9) / 1e3);
}

static void measure_writes(const char *directory, const char *pages, uint32_t calls)
{
    if (strcmp(pages, "handed") == 0) {
        write_handed(directory, calls);
    } else {
        write_all(directory, strcmp(pages, "cold") == 0, calls);
    }
    report("pwritev of a frame, pages", pages, samples_ns, call_count);
}

/* class_name NULL: reads, which ask no class; filling with os is quick. */
static void measure_calls(const char *class_name, bool in_turns, uint32_t calls)
{
    bool reads = class_name == NULL;
    append_prepare();
    run(append_next, reads ? READ_RECORDS : SL_MIN(calls, WARM_CALLS));
    if (reads) {
        read_prepare();
        run(read_next, WARM_CALLS);
    }
    if (in_turns && reads) {
        bare_read_prepare();
    }
    if (in_turns) {
        bare_once = reads ? bare_read : bare_append;
    }
    run(reads ? read_next : append_next, calls);
    report(reads ? "read one record" : "append one record", reads ? "os" : class_name, samples_ns,
           call_count);
    if (in_turns) {
        report(reads ? "pread" : "pwritev", "bare", bare_ns, bare_count);
    }
    chunk_unref(chunk);
}

int main(int count, char **words)
{
    bool in_turns = count >= 4 && strcmp(words[2], "turns") == 0;
    const char *directory = count >= 3 ? words[1] : "";
    words += in_turns ? 3 : 2; /* the case, and what it needs */
    count -= in_turns ? 3 : 2;
    bool reads = count >= 1 && strcmp(words[0], "read") == 0;
    bool appends = count >= 2 && strcmp(words[0], "append") == 0;
    bool writes = count >= 2 && strcmp(words[0], "write") == 0 && !in_turns;
    if (!appends && !reads && !writes) {
        fprintf(stderr, "storage_calls DIRECTORY [turns] append CLASS | [turns] read | "
                        "write cached|cold|handed [CALLS]\n");
        return 2;
    }
    int at = reads ? 1 : 2;
    uint32_t calls = count > at ? (uint32_t)strtoul(words[at], NULL, 10) : 200000;
    samples_ns = calloc(SL_MAX(calls, READ_RECORDS), sizeof(*samples_ns));
    bare_ns = calloc(calls, sizeof(*bare_ns));
    bare_directory = directory;
    if (writes) {
        measure_writes(directory, words[1], calls);
        return 0;
    }
    const char *class_name = appends ? words[1] : "os";
    struct wal_limits wal = bench_wal_limits();
    bench_shard_open(&bench, directory, &wal, NULL);
    bench_topic_create(&bench, "t", 1, "sluice.durability",
                       strcmp(class_name, "fs") == 0 ? "fsync" : class_name);
    measure_calls(appends ? class_name : NULL, in_turns, calls);
    bench_shard_close(&bench);
    return 0;
}
