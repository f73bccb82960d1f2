/* storage_commit.c: group commit of a shard's produce path beside a bare loop of pwritev and
 * fdatasync, in turn in one run; durability class fs: answered after fdatasync.
 *
 *   storage_commit DIRECTORY [--rounds N] [--seconds S]
 *
 * Callers live on the shard's loop, as a broker's connections do; each submits a produce request of
 * one batch, and the next when that one is answered. A request is validated, given its offset,
 * logged, synced, indexed and answered: all of a broker but sockets and protocol. Records are
 * deleted as they come, so that nothing moves into extents and the log's segments go round, as the
 * bare loop's files do.
 *
 * The bare loop writes the same batches (the same bytes, from as many pieces), padded to 4 KiB,
 * into files of zeros that go round, and syncs after as many of them as the shard put behind one
 * sync in the round before: equally grouped. It checks nothing, answers nobody and knows no
 * offsets. A JSON object a case: medians of the rounds, and the best round of each. */
#include "bare_log.h"
#include "bench_shard.h"

#include "shard/produce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLERS_MAX  40000u
#define SAMPLES_MAX  4000000u
#define ROUNDS_MAX   64u
#define PARTITIONS   16u
#define FORGET_BYTES (64u << 20)

struct bench_case {
    const char *name;
    uint32_t callers;
    uint32_t records; /* of a batch, 100 B each */
};

static const struct bench_case cases[] = {
    {"16 producers, batches of 64 KiB", 16, 610},
    {"64 producers, batches of 64 KiB", 64, 610},
    {"1000 clients, 1 record each", 1000, 1},
    {"40000 clients, 1 record each", 40000, 1},
};

struct caller {
    struct chunk *chunk;
    struct sluice_produce_entry entry;
    struct sluice_produce request;
    double begin_s;
};

struct round {
    double rate; /* batches a second */
    double bare_rate;
    double ratio;
    double p50_us, p99_us;
    double per_sync;    /* batches */
    double cpu_us;      /* a batch, all threads */
    double bare_cpu_us; /* likewise */
};

static struct bench_shard bench;
static struct bare_log bare;
static struct caller *callers;
static uint32_t caller_count, under_way, sample_count;
static uint32_t *samples_us10;
static uint64_t done_count;
static uint64_t unforgotten_bytes;
static double end_s;

static sluice_produce_done on_produced;

static void caller_submit(struct caller *caller)
{
    caller->begin_s = bench_now_s();
    under_way++;
    bench_produce(&bench, caller->chunk, &caller->request, on_produced, caller);
}

static void on_produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                        int32_t throttle_ms)
{
    struct caller *caller = arg;
    double now_s = bench_now_s();
    (void)throttle_ms;
    if (count != 1 || results[0].status != SLUICE_OK) {
        bench_fail("produce", count == 1 ? results[0].status : SLUICE_E_INVALID);
    }
    under_way--;
    done_count++;
    unforgotten_bytes += caller->entry.batch.size;
    if (unforgotten_bytes >= FORGET_BYTES) {
        unforgotten_bytes = 0;
        bench_records_forget(&bench, "t", PARTITIONS);
    }
    if (sample_count < SAMPLES_MAX) {
        samples_us10[sample_count++] = (uint32_t)((now_s - caller->begin_s) * 1e7);
    }
    if (now_s < end_s) {
        caller_submit(caller);
    } else if (under_way == 0) {
        bench_shard_end(&bench);
    }
}

static void begin_round(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < caller_count; i++) {
        caller_submit(&callers[i]);
    }
}

static void callers_make(const struct bench_case *what)
{
    caller_count = what->callers;
    for (uint32_t i = 0; i < caller_count; i++) {
        struct caller *caller = &callers[i];
        struct sluice_bytes batch = bench_batch_new(&bench, what->records, 100, &caller->chunk);
        caller->entry = (struct sluice_produce_entry){.topic = {.name = sluice_text_of("t")},
                                                      .partition = (int32_t)(i % PARTITIONS),
                                                      .batch = batch};
        caller->request = (struct sluice_produce){.size = sizeof(caller->request),
                                                  .acks = -1,
                                                  .entry_count = 1,
                                                  .entries = &caller->entry};
    }
}

static void callers_end(void)
{
    for (uint32_t i = 0; i < caller_count; i++) {
        chunk_unref(callers[i].chunk);
    }
}

static double bare_run(uint32_t per_sync, double seconds, uint64_t *ret_count)
{
    static struct iovec pieces[CALLERS_MAX];
    uint32_t next = 0;
    uint64_t count = 0;
    double begin_s = bench_now_s(), now_s = begin_s;
    while (now_s < begin_s + seconds) {
        for (uint32_t i = 0; i < per_sync; i++) {
            struct sluice_bytes batch = callers[next].entry.batch;
            pieces[i] = (struct iovec){(void *)(uintptr_t)batch.data, batch.size};
            next = (next + 1) % caller_count;
        }
        bare_log_append(&bare, pieces, per_sync);
        count += per_sync;
        now_s = bench_now_s();
    }
    *ret_count = count;
    return (double)count / (now_s - begin_s);
}

static struct round round_run(double seconds)
{
    struct wal_status before, after;
    sample_count = 0;
    done_count = 0;
    commit_log_status(bench.shard->log, &before);
    double begin_s = bench_now_s(), cpu_s = bench_cpu_s();
    end_s = begin_s + seconds;
    bench_shard_run(&bench, begin_round, NULL);
    double elapsed_s = bench_now_s() - begin_s;
    cpu_s = bench_cpu_s() - cpu_s;
    commit_log_status(bench.shard->log, &after);
    struct round round = {.rate = (double)done_count / elapsed_s,
                          .per_sync = (double)done_count / (double)(after.syncs - before.syncs),
                          .cpu_us = cpu_s * 1e6 / (double)done_count,
                          .p50_us = bench_percentile(samples_us10, sample_count, 50) / 10.0,
                          .p99_us = bench_percentile(samples_us10, sample_count, 99) / 10.0};
    uint32_t per_sync = SL_MAX(1u, (uint32_t)(round.per_sync + 0.5));
    cpu_s = bench_cpu_s();
    uint64_t bare_count = 0;
    round.bare_rate = bare_run(SL_MIN(per_sync, CALLERS_MAX), seconds, &bare_count);
    round.bare_cpu_us = (bench_cpu_s() - cpu_s) * 1e6 / (double)bare_count;
    round.ratio = round.rate / round.bare_rate;
    return round;
}

static double median_of(const struct round *rounds, uint32_t count, size_t member)
{
    double values[ROUNDS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&values[i], (const char *)&rounds[i] + member, sizeof(values[i]));
    }
    return bench_median(values, count);
}

static void case_run(const struct bench_case *what, uint32_t round_count, double seconds)
{
    struct round rounds[ROUNDS_MAX];
    double best_rate = 0, best_bare_rate = 0;
    callers_make(what);
    round_run(seconds); /* warm: files, memory, the log's spare segments */
    for (uint32_t i = 0; i < round_count; i++) {
        rounds[i] = round_run(seconds);
        best_rate = SL_MAX(best_rate, rounds[i].rate);
        best_bare_rate = SL_MAX(best_bare_rate, rounds[i].bare_rate);
    }
    double bytes = (double)callers[0].entry.batch.size;
    double rate = median_of(rounds, round_count, offsetof(struct round, rate));
    double bare_rate = median_of(rounds, round_count, offsetof(struct round, bare_rate));
    double per_sync = median_of(rounds, round_count, offsetof(struct round, per_sync));
    printf("{\"bench\":\"commit\",\"class\":\"fs\",\"case\":\"%s\",\"clients\":%u,"
           "\"records_per_batch\":%u,\"batch_bytes\":%.0f,\"batches_per_s\":%.0f,"
           "\"records_per_s\":%.0f,\"mb_per_s\":%.1f,\"bare_mb_per_s\":%.1f,"
           "\"kb_per_sync\":%.1f,\"batches_per_sync\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"cpu_us_per_batch\":%.3f,\"bare_cpu_us_per_batch\":%.3f,\"ratio\":%.3f,\"best_mb_per_"
           "s\":%.1f,\"best_bare_mb_per_s\":"
           "%.1f,\"rounds\":%u}\n",
           what->name, what->callers, what->records, bytes, rate, rate * what->records,
           rate * bytes / 1e6, bare_rate * bytes / 1e6, per_sync * bytes / 1e3, per_sync,
           median_of(rounds, round_count, offsetof(struct round, p50_us)),
           median_of(rounds, round_count, offsetof(struct round, p99_us)),
           median_of(rounds, round_count, offsetof(struct round, cpu_us)),
           median_of(rounds, round_count, offsetof(struct round, bare_cpu_us)),
           median_of(rounds, round_count, offsetof(struct round, ratio)), best_rate * bytes / 1e6,
           best_bare_rate * bytes / 1e6, round_count);
    fflush(stdout);
    callers_end();
}

int main(int count, char **words)
{
    uint32_t rounds = 7, only = UINT32_MAX;
    double seconds = 0.5;
    for (int i = 2; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--rounds") == 0) {
            rounds = SL_MIN((uint32_t)strtoul(words[i + 1], NULL, 10), ROUNDS_MAX);
        } else if (strcmp(words[i], "--seconds") == 0) {
            seconds = strtod(words[i + 1], NULL);
        } else if (strcmp(words[i], "--case") == 0) {
            only = (uint32_t)strtoul(words[i + 1], NULL, 10);
        }
    }
    if (count < 2 || rounds == 0) {
        fprintf(stderr, "storage_commit DIRECTORY [--rounds N] [--seconds S] [--case N]\n");
        return 2;
    }
    callers = calloc(CALLERS_MAX, sizeof(*callers));
    samples_us10 = calloc(SAMPLES_MAX, sizeof(*samples_us10));
    if (callers == NULL || samples_us10 == NULL) {
        return 1;
    }
    struct wal_limits wal = bench_wal_limits();
    bench_shard_open(&bench, words[1], &wal, NULL);
    bench_topic_create(&bench, "t", PARTITIONS, NULL, NULL);
    bare_log_open(&bare, words[1]);
    for (uint32_t i = 0; i < SL_COUNT_OF(cases); i++) {
        if (only == UINT32_MAX || only == i) {
            case_run(&cases[i], rounds, seconds);
        }
    }
    bare_log_close(&bare);
    bench_shard_close(&bench);
    return 0;
}
