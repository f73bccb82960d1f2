/* storage_amplification.c: bytes written for each byte of record batches, by the counters of the
 * log and of the sealer; durability class fs.
 *
 *   storage_amplification DIRECTORY mixed|one [MIB]
 *       mixed: batches of 16 KiB to 1,000 streams in turn, by 256 producers, so that frames are
 *       full; one: batches of 64 KiB to a single stream, so that segments are promoted
 *
 * Writes MIB MiB (1024), waits until the full segments were moved, and prints the sum of what a
 * byte costs in the log (frames without padding, checkpoints) and of what it costs to move it into
 * an extent; padding and the zeros of segments made ahead are apart. One JSON object out. */
#include "bench_shard.h"

#include "shard/produce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCERS  256u
#define CHECK_NS   50000000
#define IDLE_TURNS 20u

struct producer {
    struct chunk *chunk;
    struct sluice_produce_entry entry;
    struct sluice_produce request;
};

static struct bench_shard bench;
static struct producer producers[PRODUCERS];
static uint64_t bytes_sent, bytes_max;
static uint32_t under_way, idle_turns;
static int32_t partition_count, next_partition;
static struct sl_timer *timer;

static sluice_produce_done on_produced;

static void producer_submit(struct producer *producer)
{
    producer->entry.partition = next_partition;
    next_partition = (next_partition + 1) % partition_count;
    bytes_sent += producer->entry.batch.size;
    under_way++;
    bench_produce(&bench, producer->chunk, &producer->request, on_produced, producer);
}

static void check(void *arg)
{
    struct seal_status seal;
    (void)arg;
    seal_status_get(bench.shard, &seal);
    idle_turns = seal.busy ? 0 : idle_turns + 1;
    if (idle_turns >= IDLE_TURNS) {
        bench_shard_end(&bench);
    } else {
        sl_timer_start(timer, CHECK_NS);
    }
}

static void on_produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                        int32_t throttle_ms)
{
    (void)throttle_ms;
    if (count != 1 || results[0].status != SLUICE_OK) {
        bench_fail("produce", count == 1 ? results[0].status : SLUICE_E_INVALID);
    }
    under_way--;
    if (bytes_sent < bytes_max) {
        producer_submit(arg);
    } else if (under_way == 0) {
        check(NULL);
    }
}

static void begin(void *arg)
{
    (void)arg;
    if (sl_timer_new(bench.loop, check, NULL, &timer) != SLUICE_OK) {
        bench_fail("timer", SLUICE_E_NO_MEMORY);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producer_submit(&producers[i]);
    }
}

static void report(const char *what)
{
    struct wal_status log;
    struct seal_status seal;
    commit_log_status(bench.shard->log, &log);
    seal_status_get(bench.shard, &seal);
    double bodies = (double)log.bytes_bodies;
    double in_log = (double)(log.bytes_bodies + log.bytes_heads + log.bytes_checkpoints) / bodies;
    double moving = seal.bytes > 0 ? (double)seal.bytes_written / (double)seal.bytes : 0;
    printf("{\"bench\":\"amplification\",\"class\":\"fs\",\"case\":\"%s\",\"mib\":%.0f,"
           "\"in_log\":%.3f,\"moving\":%.3f,\"amplification\":%.3f,\"padding\":%.3f,"
           "\"zeros\":%.3f,\"moved_mib\":%.0f,\"promoted_mib\":%.0f,\"kib_per_frame\":%.0f}\n",
           what, bodies / 1048576, in_log, moving, in_log + moving,
           (double)log.bytes_padding / bodies, (double)log.bytes_zeros / bodies,
           (double)seal.bytes / 1048576, (double)seal.bytes_promoted / 1048576,
           bodies / (double)log.frames / 1024);
}

int main(int count, char **words)
{
    bool mixed = count >= 3 && strcmp(words[2], "mixed") == 0;
    if (count < 3 || (!mixed && strcmp(words[2], "one") != 0)) {
        fprintf(stderr, "storage_amplification DIRECTORY mixed|one [MIB]\n");
        return 2;
    }
    struct wal_limits wal = bench_wal_limits();
    struct seal_limits seal = {0};
    partition_count = mixed ? 1000 : 1;
    bytes_max = (count > 3 ? strtoull(words[3], NULL, 10) : 1024) << 20;
    bench_shard_open(&bench, words[1], &wal, &seal);
    bench_topic_create(&bench, "t", partition_count, NULL, NULL);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        struct producer *producer = &producers[i];
        producer->entry = (struct sluice_produce_entry){
            .topic = {.name = sluice_text_of("t")},
            .batch = bench_batch_new(&bench, mixed ? 152 : 610, 100, &producer->chunk)};
        producer->request = (struct sluice_produce){.size = sizeof(producer->request),
                                                    .acks = -1,
                                                    .entry_count = 1,
                                                    .entries = &producer->entry};
    }
    bench_shard_run(&bench, begin, NULL);
    report(mixed ? "full frames, 1000 streams" : "one stream, promoted");
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        chunk_unref(producers[i].chunk);
    }
    timer = sl_timer_free(timer);
    bench_shard_close(&bench);
    return 0;
}
