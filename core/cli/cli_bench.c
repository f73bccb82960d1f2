/* cli_bench.c: the table of bench; bench produce, consume, e2e: what was asked for, the runs, the
 * counts behind them.
 */
#include "cli/cli_bench.h"

#include "base/text.h"
#include "os/os_interrupt.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_NS      INT64_C(1000000000)
#define LOOK_MS        50
#define FILL_RECORDS   500000 /* of a topic that is made to be read */
#define FILL_BATCH     100
#define RATE_E2E       1000
#define DURATION_S     10
#define REQUEST_BYTES  1000000 /* what brokers take by default is a MiB */
#define RECORD_BYTES   24      /* around a value, at most */
#define COUNT_MAX      4000000000
#define RATE_MAX       100000000
#define DURATION_MAX_S 86400

/* ---- what was asked for ---- */

static bool number_take(const struct cli *cli, const char *name, int64_t min, int64_t max,
                        int64_t fallback, int64_t *ret_value)
{
    return cli_number(cli_own(cli, name), name, min, max, fallback, ret_value);
}

static bool word_take(const struct cli *cli, const char *name, const char *const *words,
                      size_t count, const char *fallback, size_t *ret_index)
{
    const char *given = cli_value(cli_own(cli, name), fallback);
    for (*ret_index = 0; *ret_index < count; ++*ret_index) {
        if (given != NULL && strcmp(given, words[*ret_index]) == 0) {
            return true;
        }
    }
    if (given == NULL) {
        return true;
    }
    cli_complain("%s is \"%.40s\" but must be %s%s%s%s%s", name, given, words[0],
                 count > 2 ? ", " : " or ", words[1], count > 2 ? " or " : "",
                 count > 2 ? words[2] : "");
    return false;
}

bool bench_duration_take(const struct cli *cli, int64_t fallback_s, int64_t *ret_ns)
{
    const char *text = cli_value(cli_own(cli, "--duration"), NULL);
    int64_t value = fallback_s;
    if (text == NULL) {
        *ret_ns = fallback_s * SECOND_NS;
        return true;
    }
    struct sl_bytes bytes = {(const uint8_t *)text, strlen(text)};
    if (sl_text_parse_i64(bytes, &value) == SLUICE_OK && value > 0 && value <= DURATION_MAX_S) {
        *ret_ns = value * SECOND_NS;
        return true;
    }
    if (sl_text_parse_duration(bytes, ret_ns) == SLUICE_OK && *ret_ns > 0 &&
        *ret_ns <= DURATION_MAX_S * SECOND_NS) {
        return true;
    }
    cli_complain("--duration is \"%.40s\" but must be seconds, or a time such as \"2 min\", up to "
                 "a day",
                 text);
    return false;
}

static bool protocol_take(struct bench_run *bench)
{
    static const char *const names[] = {"kafka", "native"};
    static const char *const levels[] = {"fsync", "os", "memory"};
    static const char *const acks[] = {"-1", "1"};
    const struct cli *cli = bench->cli;
    size_t protocol, level, ack;
    if (!word_take(cli, "--protocol", names, 2, "kafka", &protocol) ||
        !word_take(cli, "--level", levels, 3, NULL, &level) ||
        !word_take(cli, "--acks", acks, 2, "-1", &ack)) {
        return false;
    }
    snprintf(bench->address, sizeof(bench->address), "%.299s",
             cli_value(cli_own(cli, "--address"), ""));
    bench->plan->ops = protocol == 0 ? &load_kafka_peer : &load_native_peer;
    bench->plan->target.acks = ack == 0 ? -1 : 1;
    bench->level = level < 3 ? levels[level] : NULL;
    if (protocol == 1 && (bench->address[0] != '\0' || cli_own_flag(cli, "--acks"))) {
        cli_complain("%s is of Kafka's protocol: leave out --protocol native",
                     bench->address[0] != '\0' ? "--address" : "--acks");
        return false;
    }
    if (bench->level != NULL && (!bench->is_own || bench->address[0] != '\0')) {
        cli_complain("--level is of a topic that bench makes in a Sluice broker: leave out %s",
                     bench->is_own ? "--address" : "--topic");
        return false;
    }
    return true;
}

/* How much, how large, how fast. Without a count and a time it takes ten seconds. */
static bool amounts_take(struct bench_run *bench)
{
    struct load_plan *plan = bench->plan;
    const struct cli *cli = bench->cli;
    bool is_e2e = bench->mode == BENCH_E2E, fills = bench->mode == BENCH_CONSUME && bench->is_own;
    bool counts = cli_own(cli, "--count")->count > 0;
    int64_t count, rate, batch, size, threads;
    if (!number_take(cli, "--count", 1, COUNT_MAX, fills ? FILL_RECORDS : 0, &count) ||
        !number_take(cli, "--rate", 0, RATE_MAX, is_e2e ? RATE_E2E : 0, &rate) ||
        !number_take(cli, "--batch", 1, 10000, is_e2e ? 1 : FILL_BATCH, &batch) ||
        !number_take(cli, "--size", LOAD_STAMP_BYTES, REQUEST_BYTES, 100, &size) ||
        !number_take(cli, "--threads", 1, LOAD_THREADS_MAX, 1, &threads) ||
        !bench_duration_take(cli, counts || bench->mode == BENCH_CONSUME ? 0 : DURATION_S,
                             &plan->duration_ns)) {
        return false;
    }
    if (batch * (size + RECORD_BYTES) > REQUEST_BYTES && batch > 1) {
        cli_complain("--batch %lld records of --size %lld are more than brokers take at once "
                     "(1 MB): take %lld",
                     (long long)batch, (long long)size,
                     (long long)SL_MAX(REQUEST_BYTES / (size + RECORD_BYTES), INT64_C(1)));
        return false;
    }
    plan->count = (uint64_t)count;
    plan->rate = (uint64_t)rate;
    plan->batch = (uint32_t)batch;
    plan->size = (uint32_t)size;
    plan->senders = plan->receivers = (uint32_t)threads;
    return true;
}

static bool settings_take(struct bench_run *bench)
{
    const char *topic = cli_value(cli_own(bench->cli, "--topic"), NULL);
    bench->is_own = topic == NULL;
    if (topic != NULL && strlen(topic) >= sizeof(bench->topic)) {
        cli_complain("--topic is longer than a topic's name can be (249 bytes)");
        return false;
    }
    if (!protocol_take(bench) || !amounts_take(bench) || !bench_security_take(bench)) {
        return false;
    }
    sl_os_random(bench->cli->os, &bench->plan->run, sizeof(bench->plan->run));
    if (topic != NULL) {
        snprintf(bench->topic, sizeof(bench->topic), "%s", topic);
    } else {
        snprintf(bench->topic, sizeof(bench->topic), "bench-%08x", (uint32_t)bench->plan->run);
    }
    bench->plan->partitions = bench->plan->senders; /* of its own; of another it is looked up */
    bench->plan->target.topic = bench->topic;
    bench->plan->target.client_id = "sluice-bench";
    bench->plan->address = bench->address;
    return true;
}

/* ---- a run ---- */

static int refuse(const struct bench_run *bench, const char *text, sl_err err)
{
    cli_complain("%s: %s (SLU-%04d)", bench->address, text, err);
    bench_security_hint(bench, err);
    cli_explain(bench->cli, err);
    return cli_exit_of(err);
}

/* Why there is nothing to show: it ended before anything was answered, or nothing is permitted. */
static sl_err failure_of(const struct load_figures *figures)
{
    if (figures->answered > 0 || figures->received > 0) {
        return SLUICE_OK;
    }
    return figures->err != SLUICE_OK                     ? figures->err
           : cli_exit_of(figures->refusal) == CLI_DENIED ? figures->refusal
                                                         : SLUICE_OK;
}

/* CLI_OK also when it was cut short or went wrong on its way: that is in the figures. */
static int run(struct bench_run *bench, const char *what, uint64_t total,
               struct load_figures *ret_figures)
{
    struct load_run *load = NULL;
    struct bench_progress progress;
    char text[LOAD_TEXT_BYTES] = "";
    sl_err err = load_run_new(bench->cli->os, bench->plan, &load, text);
    if (err != SLUICE_OK) {
        cli_complain("%s (SLU-%04d)", text, err);
        return CLI_UNREACHABLE;
    }
    err = load_run_start(load, text);
    if (err != SLUICE_OK) {
        load_run_finish(load, ret_figures);
        return refuse(bench, text, err);
    }
    bench_progress_begin(&progress, bench, what, total, bench->plan->duration_ns);
    while (!load_run_is_over(load)) {
        sl_sleep_ms(LOOK_MS);
        bench_progress_set(&progress, load_run_done(load));
        if (sl_interrupted()) {
            bench->is_cut = true;
            load_run_stop(load);
        }
    }
    bench_progress_end(&progress);
    load_run_finish(load, ret_figures);
    err = failure_of(ret_figures);
    return err != SLUICE_OK ? refuse(bench, ret_figures->text, err) : CLI_OK;
}

static int64_t ends_sum(const struct load_plan *plan)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < plan->span_count; i++) {
        sum += plan->spans[i].end;
    }
    return sum;
}

/* Sends, and asks the broker how much its partitions have grown. */
static int run_produce(struct bench_run *bench, struct load_figures *ret_figures)
{
    struct load_plan *plan = bench->plan;
    plan->receivers = 0;
    int code = bench_spans_ask(bench);
    int64_t before = ends_sum(plan);
    code = code == CLI_OK ? run(bench, "sending", plan->count, ret_figures) : code;
    code = code == CLI_OK ? bench_spans_ask(bench) : code;
    bench->in_log = code == CLI_OK ? ends_sum(plan) - before : -1;
    return code;
}

/* A topic of its own is filled first, as fast as it goes. */
static int fill(struct bench_run *bench)
{
    static struct load_figures figures;
    struct load_plan *plan = bench->plan, asked = *plan;
    plan->receivers = 0;
    plan->rate = 0;
    plan->duration_ns = 0;
    int code = run(bench, "filling the topic", plan->count, &figures);
    plan->receivers = asked.receivers;
    plan->rate = asked.rate;
    plan->duration_ns = asked.duration_ns;
    if (code == CLI_OK && (figures.err != SLUICE_OK || figures.refused > 0)) {
        cli_complain("the topic could not be filled: %s", figures.text);
        return CLI_FAILED;
    }
    memcpy(bench->expected, figures.acknowledged, sizeof(bench->expected));
    plan->expected = bench->expected;
    plan->expected_count = plan->senders;
    return code;
}

/* The spans hold no more than `count` records. */
static void spans_cut(struct load_plan *plan, uint64_t count)
{
    uint64_t left = count;
    for (uint32_t i = 0; i < plan->span_count; i++) {
        struct load_span *span = &plan->spans[i];
        uint64_t size = SL_MIN((uint64_t)(span->end - span->start), left);
        span->end = span->start + (int64_t)size;
        left -= size;
    }
}

static int run_consume(struct bench_run *bench, struct load_figures *ret_figures)
{
    struct load_plan *plan = bench->plan;
    int64_t total = 0;
    int code = bench->is_own ? fill(bench) : CLI_OK;
    code = code == CLI_OK ? bench_spans_ask(bench) : code;
    if (code != CLI_OK) {
        return code;
    }
    if (!bench->is_own && plan->count > 0) {
        spans_cut(plan, plan->count);
    }
    for (uint32_t i = 0; i < plan->span_count; i++) {
        total += plan->spans[i].end - plan->spans[i].start;
    }
    if (total == 0) {
        cli_complain("%s has no records; \"sluice bench produce --topic %s\" writes some",
                     bench->topic, bench->topic);
        return CLI_FAILED;
    }
    plan->senders = 0;
    plan->receivers = SL_MIN(plan->receivers, plan->span_count);
    return bench->is_cut ? CLI_OK : run(bench, "reading", (uint64_t)total, ret_figures);
}

static int run_e2e(struct bench_run *bench, struct load_figures *ret_figures)
{
    struct load_plan *plan = bench->plan;
    int code = bench_spans_ask(bench);
    for (uint32_t i = 0; i < plan->span_count; i++) {
        plan->spans[i].start = plan->spans[i].end;
        plan->spans[i].end = -1;
    }
    plan->receivers = SL_MIN(plan->receivers, plan->span_count);
    return code == CLI_OK ? run(bench, "sending and reading", plan->count, ret_figures) : code;
}

static int outcome(const struct bench_run *bench, const struct load_figures *figures)
{
    if (figures->err != SLUICE_OK) {
        cli_complain("the run could not go on: %s (SLU-%04d)", figures->text, figures->err);
        return CLI_FAILED;
    }
    if (!bench_is_sound(bench, figures)) {
        return CLI_FAILED;
    }
    return bench->is_cut ? CLI_PARTLY : CLI_OK;
}

static int bench_command(struct cli *cli, enum bench_mode mode, const char *name,
                         int (*run_it)(struct bench_run *, struct load_figures *))
{
    static struct load_plan plan;
    static struct load_figures figures;
    static struct bench_run bench;
    bench = (struct bench_run){.cli = cli, .mode = mode, .name = name, .plan = &plan, .in_log = -1};
    if (!settings_take(&bench)) {
        bench_security_drop(&bench);
        return CLI_USAGE;
    }
    sl_interrupts_watch();
    int code = bench_place_open(&bench);
    code = code == CLI_OK ? run_it(&bench, &figures) : code;
    if (code == CLI_OK) {
        bench_figures_write(&bench, &figures);
        code = outcome(&bench, &figures);
    }
    bench_place_close(&bench);
    bench_security_drop(&bench);
    return code;
}

static int bench_produce(struct cli *cli)
{
    return bench_command(cli, BENCH_PRODUCE, "produce", run_produce);
}

static int bench_consume(struct cli *cli)
{
    return bench_command(cli, BENCH_CONSUME, "consume", run_consume);
}

static int bench_e2e(struct cli *cli)
{
    return bench_command(cli, BENCH_E2E, "e2e", run_e2e);
}

/* ---- the table ---- */

#define BENCH_DOC                                                                                 \
    "\n\nWithout --topic it makes a topic of its own and removes it at the end. Ctrl-C ends it\n" \
    "early, with the figures so far. Exit code 1: records were refused, lost, came twice or in\n" \
    "another order; 77: all were refused, as the login or a right for them is missing.\n"         \
    "docs/bench.md says what is measured."
#define SENDERS "bench produce,bench e2e"
#define BROKERS SENDERS ",bench consume"

/* clang-format off */
static const struct cli_option options[] = {
    {BROKERS, "--protocol", 0, "kafka|native", "default kafka"},
    {BROKERS, "--topic", 't', "TOPIC", "an existing topic, which stays; records of others in it are not checked"},
    {"*", "--count", 'n', "N", "records; of consume without --topic 500000; default: until --duration is over"},
    {"*", "--duration", 0, "SECONDS", "how long, also as \"2 min\"; default 10, of plugin 5, where no count is given"},
    {BROKERS, "--threads", 0, "N", "connections, each with a thread of its own and, in a topic of its own, a partition; default 1"},
    {"*", "--size", 0, "BYTES", "of a value, 40 or more, of plugin 1023 at most; default 100"},
    {"*", "--batch", 0, "N", "records of a request; default 100, of e2e 1"},
    {SENDERS, "--rate", 0, "N", "records a second, of all threads together, at their times whatever the answers do; 0: as fast as answers come (8 requests under way on a connection); default 0, of e2e 1000"},
    {SENDERS, "--acks", 0, "-1|1", "of Kafka's protocol: all (default), or the leader"},
    {BROKERS, "--level", 0, "fsync|os|memory", "durability of the topic that is made (sluice.durability)"},
    {BROKERS, "--keep", 0, NULL, "the topic that is made stays"},
    {"bench plugin", "--sample", 0, "FILE", "its records, again and again: lines of text, of \"sluice consume --json\", or a file of test cases; default: JSON that is made"},
    {BROKERS, "--address", 0, "HOST:PORT", "any broker of Kafka's protocol; in a cluster the one that leads the topic's partitions is gone to"},
    {BROKERS, "--user", 0, "USER", "log in; the password is a line of standard input, unless --password-file is given"},
    {BROKERS, "--password-file", 0, "FILE", "the password is its first line"},
    {BROKERS, "--token-file", 0, "FILE", "log in by OAUTHBEARER; the token is its first line, \"-\": of standard input"},
    {BROKERS, "--mechanism", 0, "NAME", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; default: the strongest that both have, but for PLAIN"},
    {BROKERS, "--tls", 0, NULL, "TLS, which the options below mean too"},
    {BROKERS, "--ca-file", 0, "FILE", "who signs the broker's certificate, in PEM; default: whom the system trusts"},
    {BROKERS, "--cert-file", 0, "FILE", "certificates that show who you are, in PEM; with --key-file"},
    {BROKERS, "--key-file", 0, "FILE", "their key, in PEM"},
    {BROKERS, "--tls-name", 0, "NAME", "the name that the broker's certificate must have; default: the host of the address"},
};
static const struct cli_command commands[] = {
    {"bench produce", bench_produce, "", 0, 0, CLI_BROKER_OPTIONS,
     "write records, and measure the answers\n\n"
     "With --rate requests go out at their times, and latency counts from those times (open loop)." BENCH_DOC},
    {"bench consume", bench_consume, "", 0, 0, CLI_BROKER_OPTIONS,
     "read a topic from its start to its end, and check that nothing is missing\n\n"
     "A topic of its own is filled first; that is not measured." BENCH_DOC},
    {"bench e2e", bench_e2e, "", 0, 0, CLI_BROKER_OPTIONS,
     "write records and read them at the same time: latency from when each was due to its arrival\n\n"
     "Each record is checked: that it comes, once, and in order." BENCH_DOC},
    {"bench plugin", cli_bench_plugin, "FILE", 1, 1, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "run records through a plugin in a worker of its own, as fast as it goes\n\n"
     "FILE is a .so, a .lua or a folder with one. No broker is needed; walls and limits are those that one\n"
     "gives, but for the CPU share, which would hold it back. One batch is under way at a time."},
};
/* clang-format on */

const struct cli_table cli_bench_table = {.title = "Measuring",
                                          .commands = commands,
                                          .count = SL_COUNT_OF(commands),
                                          .options = options,
                                          .option_count = SL_COUNT_OF(options)};
