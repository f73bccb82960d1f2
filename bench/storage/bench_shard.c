/* bench_shard.c: see bench_shard.h. */
#include "bench_shard.h"

#include "shard/produce.h"

#include "os/os_uv.h"
#include "record/batch_builder.h"
#include "shard/partition.h"
#include "shard/records_delete.h"
#include "shard/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CACHE_BYTES  (1u << 30)
#define HELPER_COUNT 4

void bench_fail(const char *what, sl_err err)
{
    fprintf(stderr, "%s: error %d\n", what, err);
    exit(1);
}

static void must(sl_err err, const char *what)
{
    if (err != SLUICE_OK) {
        bench_fail(what, err);
    }
}

/* ---- the shard ---- */

struct wal_limits bench_wal_limits(void)
{
    return (struct wal_limits){.segment_bytes = 64u << 20,
                               .bytes_max = UINT64_C(8) << 30,
                               .group_bytes_max = 1u << 20,
                               .frame_bytes_max = 16u << 20,
                               .spare_segments = 2,
                               .idle_mark_ms = 50,
                               .reach_bytes = WAL_REACH_BYTES};
}

void bench_shard_open(struct bench_shard *bench, const char *directory,
                      const struct wal_limits *wal, const struct seal_limits *seal)
{
    static const struct seal_limits never = {.seal_bytes = UINT64_C(1) << 40,
                                             .age_max_ms = INT64_MAX / 4};
    char problem[SHARD_PROBLEM_BYTES] = "";
    memset(bench, 0, sizeof(*bench));
    must(sl_os_uv_new(HELPER_COUNT, &bench->os), "os");
    must(sl_loop_new(bench->os, "bench", -1, &bench->loop), "loop");
    chunk_cache_init(&bench->cache, bench->loop, CACHE_BYTES);
    broker_settings_init(&bench->settings);
    bench->context = (struct sluice_context){.size = sizeof(bench->context), .connection = 1};
    struct shard_config config = {.os = bench->os,
                                  .loop = bench->loop,
                                  .cache = &bench->cache,
                                  .data_directory = directory,
                                  .cluster = {{1}},
                                  .set = &bench->set,
                                  .wal = *wal,
                                  .seal = seal != NULL ? *seal : never,
                                  .settings = &bench->settings,
                                  .expanded_bytes_max = 64u << 20};
    sl_err err = shard_open(&config, NULL, &bench->shard, problem);
    if (err != SLUICE_OK) {
        bench_fail(problem, err);
    }
    bench->set.shards[0] = bench->shard;
    bench->set.count = 1;
    must(shard_start(bench->shard), "start");
}

static void on_closed(void *arg)
{
    bench_shard_end(arg);
}

static void begin_close(void *arg)
{
    struct bench_shard *bench = arg;
    shard_stop(bench->shard, on_closed, bench);
}

void bench_shard_close(struct bench_shard *bench)
{
    bench_shard_run(bench, begin_close, bench);
    shard_free(bench->shard);
    chunk_cache_fini(&bench->cache);
    sl_loop_free(bench->loop);
    sl_os_free(bench->os);
}

static void begin_run(struct sl_task *task)
{
    struct bench_shard *bench = SL_CONTAINER_OF(task, struct bench_shard, task);
    bench->begin(bench->begin_arg);
}

void bench_shard_run(struct bench_shard *bench, void (*begin)(void *arg), void *arg)
{
    bench->begin = begin;
    bench->begin_arg = arg;
    bench->task = (struct sl_task){.run = begin_run, .priority = SL_PRIORITY_IO};
    sl_loop_post(bench->loop, &bench->task);
    sl_loop_run(bench->loop);
}

void bench_shard_end(struct bench_shard *bench)
{
    sl_loop_stop(bench->loop);
}

/* ---- topics and records ---- */

struct creation {
    struct bench_shard *bench;
    const struct sluice_topic_spec *spec;
};

static void on_created(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    must(count == 1 ? results[0].status : SLUICE_E_INVALID, "topic");
    bench_shard_end(arg);
}

static void begin_create(void *arg)
{
    struct creation *creation = arg;
    topics_create_start(creation->bench->shard, creation->spec, 1, false, false, NULL, on_created,
                        creation->bench);
}

void bench_topic_create(struct bench_shard *bench, const char *name, int32_t partitions,
                        const char *config_key, const char *config_value)
{
    struct sluice_key_value config = {sluice_text_of(config_key), sluice_text_of(config_value)};
    struct sluice_topic_spec spec = {.size = sizeof(spec),
                                     .partition_count = partitions,
                                     .name = sluice_text_of(name),
                                     .replication_factor = 1,
                                     .config_count = config_key != NULL,
                                     .configs = &config};
    bench_shard_run(bench, begin_create, &(struct creation){bench, &spec});
}

static void on_forgotten(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct bench_shard *bench = arg;
    must(count > 0 ? results[0].status : SLUICE_E_INVALID, "records delete");
    bench->forgetting = false;
}

void bench_records_forget(struct bench_shard *bench, const char *topic, uint32_t partitions)
{
    if (bench->forgetting) {
        return;
    }
    SL_ASSERT(partitions <= BENCH_PARTITIONS_MAX);
    for (uint32_t i = 0; i < partitions; i++) {
        bench->forget[i] = (struct sluice_records_delete){
            .topic = {.name = sluice_text_of(topic)},
            .partition = (int32_t)i,
            .before_offset = SLUICE_OFFSET_HIGH_WATERMARK,
        };
    }
    bench->forgetting = true;
    records_delete_start(bench->shard, bench->forget, partitions, on_forgotten, bench);
}

struct sluice_bytes bench_batch_new(struct bench_shard *bench, uint32_t count, size_t value_size,
                                    struct chunk **ret_chunk)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_view view;
    uint8_t value[4096];
    SL_ASSERT(value_size <= sizeof(value));
    sl_buffer_init(&buffer, CACHE_BYTES);
    must(batch_builder_start(&builder, &buffer, NULL), "batch");
    for (uint32_t i = 0; i < count; i++) {
        memset(value, (int)('a' + i % 26), value_size);
        struct record_fields record = {.key_is_null = true,
                                       .value = {value, value_size},
                                       .timestamp_ms = sl_os_wall_ms(bench->os)};
        must(batch_builder_append(&builder, &record), "record");
    }
    must(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), "batch");
    must(chunk_new(&bench->cache, view.size, ret_chunk), "chunk");
    memcpy((*ret_chunk)->data, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    return (struct sluice_bytes){(*ret_chunk)->data, size};
}

/* ---- the ruler ---- */

double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_samples(const void *a, const void *b)
{
    const uint32_t *left = a;
    const uint32_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

uint32_t bench_percentile(uint32_t *samples, uint32_t count, double percent)
{
    if (count == 0) {
        return 0;
    }
    qsort(samples, count, sizeof(*samples), compare_samples);
    uint32_t at = (uint32_t)((double)count * percent / 100);
    return samples[SL_MIN(at, count - 1)];
}

static int compare_values(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return *left < *right ? -1 : *left > *right;
}

double bench_median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), compare_values);
    return values[count / 2];
}

void bench_produce(struct bench_shard *bench, struct chunk *chunk,
                   const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    uint8_t *batch = (uint8_t *)(uintptr_t)request->entries[0].batch.data;
    memset(batch, 0, sizeof(int64_t)); /* the base offset, outside the checksum */
    produce_start(bench->shard, chunk, &bench->context, request, done, arg, NULL);
}
