/* bench_host.h: the least host of a processor, for benchmarks: it takes verdicts, copies what is
 * emitted, and does nothing else. The subject is a batch of BENCH_HOST_RECORDS records that are
 * all alike. What fails ends the program. One thread. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <sluice/sluice.h>

#define BENCH_HOST_RECORDS      256u
#define BENCH_HOST_OUTPUT_BYTES 8192u

struct bench_host {
    struct sluice_host host;
    struct sluice_writer writer;
    struct sluice_script script;
    struct sluice_resource library;
    struct sluice_resources resources;
    struct sluice_batch batch;
    const struct sluice_processor *processor;
    void *self;
    const char *config_json;
    const char *flag; /* the key that get_config says is true; NULL: none */
    struct sluice_record records[BENCH_HOST_RECORDS];
    uint8_t output[BENCH_HOST_OUTPUT_BYTES];
    uint64_t verdicts;
};

struct bench_host_settings {
    const char *module;                       /* a file, or NULL: … */
    const struct sluice_processor *processor; /* … this one */
    const char *library;                      /* that it may load by its name; NULL: none */
    const char *config_json, *flag;           /* NULL: "{}", none */
    const char *source;                       /* of a script; NULL: none */
    struct sluice_bytes value;                /* of each record; lives as long as the host */
};
struct bench_host *bench_host_new(const struct bench_host_settings *settings);
void bench_host_free(struct bench_host *host);
/* A bench_fn: one batch. */
void bench_host_run(void *host);

#endif
