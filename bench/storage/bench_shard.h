/* bench_shard.h: one shard in this process, on the real disk, with its loop on the calling thread:
 * what a broker does between frontend and disk, without sockets. Failures end the program. */
#ifndef BENCH_SHARD_H
#define BENCH_SHARD_H

#include "shard/shard.h"

#define BENCH_PARTITIONS_MAX 64u

struct bench_shard {
    struct sl_os *os;
    struct sl_loop *loop;
    struct chunk_cache cache;
    struct broker_settings settings;
    struct shard_set set;
    struct shard *shard;
    struct sluice_context context;
    struct sl_task task; /* of bench_shard_run */
    void (*begin)(void *arg);
    void *begin_arg;
    struct sluice_records_delete forget[BENCH_PARTITIONS_MAX];
    bool forgetting;
};

/* What a shard without a reason for other values is opened with: that of a broker. */
struct wal_limits bench_wal_limits(void);
/* seal NULL: records stay in the log. */
void bench_shard_open(struct bench_shard *bench, const char *directory,
                      const struct wal_limits *wal, const struct seal_limits *seal);
void bench_shard_close(struct bench_shard *bench);
/* Runs begin(arg) as a task of the loop, and the loop until bench_shard_end. */
void bench_shard_run(struct bench_shard *bench, void (*begin)(void *arg), void *arg);
void bench_shard_end(struct bench_shard *bench); /* [loop] */

/* config_key NULL: none. */
void bench_topic_create(struct bench_shard *bench, const char *name, int32_t partitions,
                        const char *config_key, const char *config_value);
/* All records of the topic that are there now go, soon, so that the log's segments go round.
 * [loop] */
void bench_records_forget(struct bench_shard *bench, const char *topic, uint32_t partitions);
/* A batch of `count` records with values of value_size bytes, of now, in a chunk of its own. */
struct sluice_bytes bench_batch_new(struct bench_shard *bench, uint32_t count, size_t value_size,
                                    struct chunk **ret_chunk);
/* produce_start of a batch of bench_batch_new, as often as one likes: as a client sends it, its
 * offsets begin at 0. [loop] */
void bench_produce(struct bench_shard *bench, struct chunk *chunk,
                   const struct sluice_produce *request, sluice_produce_done *done, void *arg);

_Noreturn void bench_fail(const char *what, sl_err err);
double bench_now_s(void);
double bench_cpu_s(void); /* of the process */
/* Sorts; the value below which `percent` of them lie. */
uint32_t bench_percentile(uint32_t *samples, uint32_t count, double percent);
double bench_median(double *values, uint32_t count); /* sorts */

#endif
