/* cli_bench_show.c: how far a bench is, and what it came to: text for 80 columns, or JSON. */
#include "cli/cli_bench.h"
#include "cli/cli_watch.h"
#include "cli/cli_workbench.h"

#include <string.h>

#define BARS        30u
#define BAR_NS      200000000
#define LINE_NS     INT64_C(10000000000)
#define PLOT_ROWS   14u
#define PLOT_BARS   40u
#define TIME_BYTES  16
#define LEFT_COLUMN "  %-12s "

/* ---- while it runs ---- */

void bench_progress_begin(struct bench_progress *progress, const struct bench_run *bench,
                          const char *what, uint64_t total, int64_t duration_ns)
{
    *progress = (struct bench_progress){.bench = bench,
                                        .what = what,
                                        .total = total,
                                        .duration_ns = duration_ns,
                                        .begun_ns = sl_os_mono_ns(bench->cli->os),
                                        .shows = !bench->cli->options.json,
                                        .is_bar = sl_descriptor_is_terminal(2)};
    progress->shown_ns = progress->begun_ns;
}

void bench_progress_set(struct bench_progress *progress, uint64_t done)
{
    char rate[WATCH_TEXT_BYTES], bar[BARS + 1];
    int64_t now_ns = sl_os_mono_ns(progress->bench->cli->os);
    if (!progress->shows || now_ns - progress->shown_ns < (progress->is_bar ? BAR_NS : LINE_NS)) {
        return;
    }
    double seconds = (double)(now_ns - progress->begun_ns) / 1e9;
    double by_count = progress->total > 0 ? (double)done / (double)progress->total : 0;
    double by_time = progress->duration_ns > 0 ? seconds * 1e9 / (double)progress->duration_ns : 0;
    double part = SL_MIN(SL_MAX(by_count, by_time), 1.0);
    watch_count_text((double)done / seconds, rate);
    progress->shown_ns = now_ns;
    if (!progress->is_bar) {
        fprintf(stderr, "%s: %.0f %%, %llu records, %s/s\n", progress->what, part * 100,
                (unsigned long long)done, rate);
        return;
    }
    memset(bar, '.', BARS);
    memset(bar, '#', (size_t)(part * BARS));
    bar[BARS] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f %%  %s/s\x1b[K", progress->what, bar, part * 100, rate);
}

void bench_progress_end(struct bench_progress *progress)
{
    if (progress->shows && progress->is_bar) {
        fputs("\r\x1b[K", stderr);
    }
}

/* ---- figures ---- */

static const struct quantile {
    const char *name, *member;
    uint32_t millionths;
} quantiles[] = {{"p50", "p50_ns", 500000},
                 {"p90", "p90_ns", 900000},
                 {"p99", "p99_ns", 990000},
                 {"p99.9", "p99_9_ns", 999000},
                 {"max", "max_ns", 1000000}};

/* "412 us", "1.25 ms", "3.10 s" */
static const char *time_text(uint64_t ns, char ret_text[TIME_BYTES])
{
    static const struct {
        double from;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    size_t at = 0;
    while (at + 1 < SL_COUNT_OF(units) && (double)ns < units[at].from) {
        at++;
    }
    double value = (double)ns / units[at].from;
    snprintf(ret_text, TIME_BYTES, "%.*f %s",
             value < 10    ? 2
             : value < 100 ? 1
                           : 0,
             value, units[at].unit);
    return ret_text;
}

static bool reads(const struct bench_run *bench)
{
    return bench->mode != BENCH_PRODUCE;
}

static uint64_t records_of(const struct bench_run *bench, const struct load_figures *figures)
{
    return reads(bench) ? figures->received : figures->answered;
}

static double rate_of(const struct bench_run *bench, const struct load_figures *figures)
{
    return figures->took_ns > 0
               ? (double)records_of(bench, figures) * 1e9 / (double)figures->took_ns
               : 0;
}

/* Of values; of a topic of others' records nobody knows. */
static bool knows_size(const struct bench_run *bench)
{
    return bench->is_own || bench->mode != BENCH_CONSUME;
}

/* Records that the senders' answers promise and the log does not have. */
static int64_t missing_of(const struct bench_run *bench, const struct load_figures *figures)
{
    int64_t missing = bench->in_log < 0 ? 0 : (int64_t)figures->answered - bench->in_log;
    return SL_MAX(missing, 0);
}

bool bench_is_sound(const struct bench_run *bench, const struct load_figures *figures)
{
    return figures->lost == 0 && figures->duplicated == 0 && figures->reordered == 0 &&
           figures->refused == 0 && missing_of(bench, figures) == 0 &&
           (bench->is_cut || figures->unanswered == 0);
}

static const char *durability_text(const struct bench_run *bench)
{
    static const struct {
        const char *name, *text;
    } classes[] = {{"fsync", "acknowledged when it is on the disk"},
                   {"os", "acknowledged when it is written, on the disk soon after"},
                   {"memory", "kept in memory, gone with the broker"}};
    for (size_t i = 0; i < SL_COUNT_OF(classes); i++) {
        if (strcmp(classes[i].name, bench->durability) == 0) {
            return classes[i].text;
        }
    }
    return "not known: ask that broker";
}

/* ---- text ---- */

static void load_write(const struct bench_run *bench)
{
    const struct load_plan *plan = bench->plan;
    char rate[WATCH_TEXT_BYTES];
    uint32_t threads = SL_MAX(plan->senders, plan->receivers);
    printf(LEFT_COLUMN "%u thread%s", "load", threads, threads == 1 ? "" : "s");
    if (bench->mode == BENCH_CONSUME) {
        printf(", %u partition%s", plan->span_count, plan->span_count == 1 ? "" : "s");
    } else {
        printf(", %u record%s of %u B a request, ", plan->batch, plan->batch == 1 ? "" : "s",
               plan->size);
        if (plan->rate > 0) {
            printf("%s records/s", watch_count_text((double)plan->rate, rate));
        } else {
            fputs("as fast as it goes", stdout);
        }
    }
    putchar('\n');
}

static void head_write(const struct bench_run *bench)
{
    printf("%s%s over %s%s%s, %s, topic %s%s\n", cli_bold(bench->cli), bench->name,
           bench->plan->ops->name, bench->transport != NULL ? " with TLS" : "",
           cli_plain(bench->cli), bench->address, bench->topic,
           bench->is_own && !cli_own_flag(bench->cli, "--keep") ? " (its own)" : "");
    printf(LEFT_COLUMN "%s%s%s\n", "durability", bench->durability,
           bench->durability[0] != '\0' ? ": " : "", durability_text(bench));
    load_write(bench);
}

static void throughput_write(const struct bench_run *bench, const struct load_figures *figures)
{
    double rate = rate_of(bench, figures);
    char count[WATCH_TEXT_BYTES];
    printf(LEFT_COLUMN "%llu in %.2f s: %s%s records/s%s", "records",
           (unsigned long long)records_of(bench, figures), (double)figures->took_ns / 1e9,
           cli_bold(bench->cli), watch_count_text(rate, count), cli_plain(bench->cli));
    if (knows_size(bench)) {
        printf(", %.2f MB/s", rate * bench->plan->size / 1e6);
    }
    putchar('\n');
}

/* How far up the values of a row go: row 0 ends at or above the smallest. */
static uint64_t row_end(uint64_t min, uint32_t step_bits, uint32_t row)
{
    uint64_t first = 1024;
    while (first < min) {
        first *= 2;
    }
    return first << (step_bits * row);
}

/* Rows of powers of two: so many of the times were up to each. */
static void plot_write(const struct cli *cli, const struct load_histogram *histogram)
{
    char text[TIME_BYTES], bar[PLOT_BARS + 1];
    uint32_t step_bits = 1;
    while (row_end(histogram->min, step_bits, PLOT_ROWS - 1) < histogram->max) {
        step_bits++;
    }
    uint64_t before = 0;
    for (uint32_t row = 0; row < PLOT_ROWS && before < histogram->count; row++) {
        uint64_t upto = load_histogram_up_to(histogram, row_end(histogram->min, step_bits, row));
        double part = (double)(upto - before) / (double)histogram->count;
        uint32_t size = (uint32_t)(part * PLOT_BARS + 0.5);
        memset(bar, '#', size);
        bar[size] = '\0';
        printf("    to %8s  %6.2f %%  %s%s%s%s\n",
               time_text(row_end(histogram->min, step_bits, row), text), part * 100, cli_green(cli),
               bar, upto > before && size == 0 ? "|" : "", cli_plain(cli));
        before = upto;
    }
}

void bench_times_write(const struct cli *cli, const struct load_histogram *times)
{
    char text[TIME_BYTES];
    fputs("   ", stdout);
    for (size_t i = 0; i < SL_COUNT_OF(quantiles); i++) {
        printf(" %s %s%s%s%s", quantiles[i].name, cli_bold(cli),
               time_text(load_histogram_quantile(times, quantiles[i].millionths), text),
               cli_plain(cli), i + 1 < SL_COUNT_OF(quantiles) ? " " : "\n");
    }
    plot_write(cli, times);
}

static void latency_write(const struct bench_run *bench, const struct load_figures *figures)
{
    const struct load_histogram *latency = &figures->latency;
    bool is_open = bench->plan->rate > 0;
    char text[TIME_BYTES];
    if (latency->count == 0) {
        return;
    }
    printf(LEFT_COLUMN "%s%s\n", "latency",
           bench->mode == BENCH_E2E ? "of each record to its arrival, from when it was "
                                    : "of each request to its answer, from when it was ",
           is_open ? "due" : "sent");
    bench_times_write(bench->cli, latency);
    if (is_open) {
        printf(LEFT_COLUMN "sent requests up to %s late at p99: that is in the latency\n", "client",
               time_text(load_histogram_quantile(&figures->lateness, 990000), text));
    } else {
        printf(LEFT_COLUMN
               "each request waits for those before it: for the latency that a\n" LEFT_COLUMN
               "client at a certain rate sees, give that --rate\n",
               "note", "");
    }
}

/* What is wrong, a line each. */
static void faults_write(const struct bench_run *bench, const struct load_figures *figures)
{
    const struct {
        uint64_t count;
        const char *text;
    } rows[] = {
        {figures->lost, "records LOST: acknowledged or between others, and not there"},
        {(uint64_t)missing_of(bench, figures), "records LOST: acknowledged, not in the log"},
        {figures->duplicated, "records came TWICE or more"},
        {figures->reordered, "records came OUT OF ORDER"},
        {figures->refused, "records were REFUSED"},
        {figures->unanswered, "records without an answer"},
        {figures->unsent, "records were due and not sent: the rate could not be kept"}};
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        if (rows[i].count > 0) {
            printf(LEFT_COLUMN "%s%llu %s%s\n", "", cli_red(bench->cli),
                   (unsigned long long)rows[i].count, rows[i].text, cli_plain(bench->cli));
        }
    }
    if (figures->refused > 0 && figures->text[0] != '\0') {
        printf(LEFT_COLUMN, "");
        cli_print_safe(figures->text);
        putchar('\n');
    }
}

static void check_write(const struct bench_run *bench, const struct load_figures *figures)
{
    bool sound = bench_is_sound(bench, figures) && figures->err == SLUICE_OK;
    printf(LEFT_COLUMN, "checked");
    if (sound && bench->mode == BENCH_PRODUCE) {
        printf("%llu acknowledged, the log has grown by %lld",
               (unsigned long long)figures->answered, (long long)bench->in_log);
    } else if (sound && figures->unstamped == figures->received) {
        fputs("nothing: the records were not written by sluice bench", stdout);
    } else if (sound) {
        fputs("nothing is lost, doubled or out of order", stdout);
    } else {
        fputs("not all is well:", stdout);
    }
    putchar('\n');
    if (figures->unstamped > 0 && figures->unstamped < figures->received) {
        printf(LEFT_COLUMN "%llu records of others were not checked\n", "",
               (unsigned long long)figures->unstamped);
    }
    faults_write(bench, figures);
    if (bench->is_cut) {
        printf(LEFT_COLUMN "%sended early by Ctrl-C: the figures are of what was done%s\n", "",
               cli_yellow(bench->cli), cli_plain(bench->cli));
    }
}

/* ---- JSON ---- */

void bench_times_json(cJSON *object, const char *member, const struct load_histogram *times)
{
    cJSON *row = cJSON_AddObjectToObject(object, member);
    cJSON_AddNumberToObject(row, "count", (double)times->count);
    cJSON_AddNumberToObject(row, "min_ns", (double)times->min);
    for (size_t i = 0; i < SL_COUNT_OF(quantiles); i++) {
        uint64_t value = load_histogram_quantile(times, quantiles[i].millionths);
        cJSON_AddNumberToObject(row, quantiles[i].member, (double)value);
    }
}

static void counts_add(cJSON *object, const struct bench_run *bench,
                       const struct load_figures *figures)
{
    const struct {
        const char *member;
        double value;
    } rows[] = {{"sent", (double)figures->sent},
                {"acknowledged", (double)figures->answered},
                {"refused", (double)figures->refused},
                {"unanswered", (double)figures->unanswered},
                {"unsent", (double)figures->unsent},
                {"received", (double)figures->received},
                {"not_checked", (double)figures->unstamped},
                {"lost", (double)figures->lost + (double)missing_of(bench, figures)},
                {"duplicated", (double)figures->duplicated},
                {"reordered", (double)figures->reordered}};
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        cJSON_AddNumberToObject(object, rows[i].member, rows[i].value);
    }
}

static void json_write(const struct bench_run *bench, const struct load_figures *figures)
{
    const struct load_plan *plan = bench->plan;
    cJSON *object = cJSON_CreateObject();
    double rate = rate_of(bench, figures);
    cJSON_AddStringToObject(object, "bench", bench->name);
    cJSON_AddStringToObject(object, "protocol", plan->ops->name);
    cJSON_AddStringToObject(object, "address", bench->address);
    cJSON_AddBoolToObject(object, "tls", bench->transport != NULL);
    cJSON_AddStringToObject(object, "mechanism",
                            bench_has_login(bench) && bench->security.mechanism != NULL
                                ? bench->security.mechanism
                                : "");
    cJSON_AddStringToObject(object, "topic", bench->topic);
    cJSON_AddStringToObject(object, "durability", bench->durability);
    cJSON_AddNumberToObject(object, "threads", SL_MAX(plan->senders, plan->receivers));
    cJSON_AddNumberToObject(object, "batch", plan->batch);
    cJSON_AddNumberToObject(object, "size", plan->size);
    cJSON_AddNumberToObject(object, "rate", (double)plan->rate);
    cJSON_AddNumberToObject(object, "seconds", (double)figures->took_ns / 1e9);
    cJSON_AddNumberToObject(object, "records_per_s", rate);
    if (knows_size(bench)) {
        cJSON_AddNumberToObject(object, "bytes_per_s", rate * plan->size);
    }
    counts_add(object, bench, figures);
    if (bench->mode != BENCH_CONSUME) {
        cJSON_AddStringToObject(object, "latency_from", plan->rate > 0 ? "due" : "sent");
        bench_times_json(object, "latency", &figures->latency);
        bench_times_json(object, "client_late", &figures->lateness);
    }
    cJSON_AddBoolToObject(object, "sound", bench_is_sound(bench, figures));
    cJSON_AddBoolToObject(object, "ended_early", bench->is_cut);
    cli_json_write(object);
    cJSON_Delete(object);
}

void bench_figures_write(const struct bench_run *bench, const struct load_figures *figures)
{
    if (bench->cli->options.json) {
        json_write(bench, figures);
        return;
    }
    head_write(bench);
    throughput_write(bench, figures);
    latency_write(bench, figures);
    check_write(bench, figures);
}
