/* check.h: the validator: whether a plugin keeps the rules of the ABI where its author did not
 * look: lives that end early, instances side by side, calls that come on another thread, odd
 * configurations, empty, huge and random batches; of a frontend connections that end at any moment,
 * bytes that come in any pieces, memory that is refused. All of it in workers, with their walls; a
 * plugin that dies costs its check alone. */
#ifndef SL_WORKBENCH_CHECK_H
#define SL_WORKBENCH_CHECK_H

#include "workbench/bench_run.h"

#include <cjson/cJSON.h>

#define CHECK_BATCHES_MAX 100000u

struct check_options {
    uint64_t seed;
    uint32_t batches;       /* random ones; of a frontend: as many lives as they make */
    struct sl_bytes sample; /* what a client sent to a frontend; empty: none */
    void (*progress)(void *arg, const char *group, const char *check); /* may be NULL */
    void *arg;
};

/* {"plugin","kind","seed","checks":[{"group","check","result","detail"}…],"failed","warnings"};
 * result is ok, warning, failed or skipped. [blocks] */
cJSON *check_run(struct bench *bench, const char *path, const struct check_options *options);

/* ---- between check.c, check_lives.c, check_batches.c and check_frontend.c ---- */

struct check {
    struct bench *bench;
    const struct check_options *options;
    struct bench_file file;
    struct bench_plugin plugin; /* valid while running */
    bool running;
    bool denied_thread; /* some worker was killed for starting a thread or process */
    char *config_json;  /* owned; one with which it starts */
    cJSON *rows;
    uint32_t failed, warnings;
    const char *group;
};

#define CHECK_OK      "ok"
#define CHECK_WARNING "warning"
#define CHECK_FAILED  "failed"
#define CHECK_SKIPPED "skipped"
void check_row(struct check *check, const char *name, const char *result, const char *format, ...)
    SL_PRINTF(4, 5);
void check_begin(struct check *check, const char *name); /* for those who watch */
/* With a configuration, and through a rehearsal first, which may be NULL. Its end is noted. */
sl_err check_start_with(struct check *check, const char *config_json, const char *rehearsal,
                        char ret_text[BENCH_TEXT_BYTES]) SL_MUST_CHECK;
/* Starts it if it does not run; false: it does not start (a row says so). */
bool check_start(struct check *check, const char *name);
/* Notes why it ended, and closes it. */
void check_ended(struct check *check);
void check_lives(struct check *check);
void check_batches(struct check *check);
void check_threads(struct check *check);
void check_frontend(struct check *check);

#endif
