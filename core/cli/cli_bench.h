/* cli_bench.h: a run of sluice bench: what was asked for, where it goes, what it came to. Internal.
 */
#ifndef SL_CLI_CLI_BENCH_H
#define SL_CLI_CLI_BENCH_H

#include "cli/cli_secret.h"
#include "load/load_asker.h"
#include "load/load_run.h"

#define BENCH_TOPIC_NAME_BYTES 250

enum bench_mode { BENCH_PRODUCE, BENCH_CONSUME, BENCH_E2E };

struct bench_run {
    struct cli *cli;
    enum bench_mode mode;
    const char *name; /* "produce" */
    struct cli_link link;
    struct load_asker asker; /* with Kafka's protocol */
    bool is_linked, is_asked;
    struct load_security security;
    struct sluice_transport *transport; /* owned; NULL: no TLS */
    char secret[CLI_SECRET_BYTES];      /* the password or the token */
    const char *level;                  /* durability of a topic of its own; NULL: the default */
    char address[LOAD_ADDRESS_BYTES];   /* of the listener */
    char topic[BENCH_TOPIC_NAME_BYTES];
    bool is_own;         /* the topic */
    bool is_made;        /* and it is there */
    char durability[16]; /* class of the topic; "": not known */
    struct load_plan *plan;
    uint64_t expected[LOAD_THREADS_MAX]; /* records of each stream, when the run filled the topic */
    int64_t in_log; /* records that the senders' partitions grew by; -1: not asked */
    bool is_cut;    /* by Ctrl-C */
    int64_t begun_ns;
};

/* ---- the topic (cli_bench_topic.c): ours over the admin socket, others' by Kafka's protocol ----
 */

/* Finds the listener, makes or looks at the topic. CLI_OK, or a complaint was written. */
int bench_place_open(struct bench_run *bench);
/* Where its partitions begin and end, into plan->spans. CLI_OK as above. */
int bench_spans_ask(struct bench_run *bench);
/* Removes a topic of its own, unless it is to stay. */
void bench_place_close(struct bench_run *bench);

/* ---- who it is (cli_bench_login.c) ---- */

/* Reads the password or the token, and the files of TLS. False: a complaint was written. */
bool bench_security_take(struct bench_run *bench);
void bench_security_drop(struct bench_run *bench);
bool bench_has_login(const struct bench_run *bench);
/* What may be missing where a connection failed so; writes nothing where nothing is. */
void bench_security_hint(const struct bench_run *bench, sl_err err);

/* ---- telling (cli_bench_show.c) ---- */

/* Stands on stderr while it runs: a bar on a terminal, else a line every 10 s. */
struct bench_progress {
    const struct bench_run *bench;
    const char *what;
    uint64_t total; /* records; 0: until the time is over */
    int64_t duration_ns;
    int64_t begun_ns, shown_ns;
    bool shows, is_bar;
};
void bench_progress_begin(struct bench_progress *progress, const struct bench_run *bench,
                          const char *what, uint64_t total, int64_t duration_ns);
void bench_progress_set(struct bench_progress *progress, uint64_t done);
void bench_progress_end(struct bench_progress *progress);

/* The figures as text or JSON. */
void bench_figures_write(const struct bench_run *bench, const struct load_figures *figures);
/* Percentiles and a plot of times. */
void bench_times_write(const struct cli *cli, const struct load_histogram *times);
void bench_times_json(cJSON *object, const char *member, const struct load_histogram *times);
/* Whether records are missing, came twice or in another order, or were refused. */
bool bench_is_sound(const struct bench_run *bench, const struct load_figures *figures);

/* --duration, "30" or "2 min"; else fallback_s seconds. False: a sentence was written. */
bool bench_duration_take(const struct cli *cli, int64_t fallback_s, int64_t *ret_ns);

cli_command_fn cli_bench_plugin;

#endif
