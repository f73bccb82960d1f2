/* cli_bench_plugin.c: bench plugin: how fast a plugin is, in a worker with its walls, without a
 * broker: batches one after the other, each timed from its hand-over to its outcome. */
#include "cli/cli_bench.h"

#include "base/bytes.h"
#include "cli/cli_watch.h"
#include "cli/cli_workbench.h"
#include "os/os_interrupt.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS      5
#define MADE_RECORDS 1000u /* that are gone through again and again */
#define VALUE_BYTES  1024u

/* ---- the records ---- */

/* JSON with a number, a name and padding, of about `size` bytes. */
static void made_value(uint32_t number, size_t size, char ret_value[VALUE_BYTES])
{
    int used = snprintf(ret_value, VALUE_BYTES,
                        "{\"id\":%llu,\"customer\":\"customer %u\",\"amount\":%u,\"note\":\"",
                        9007199254740993ULL + number, number % 97, number * 31 % 10007);
    size_t at = (size_t)used, end = SL_MIN(SL_MAX(size, at + 2), VALUE_BYTES - 1u);
    memset(ret_value + at, 'x', end - 2 - at);
    memcpy(ret_value + end - 2, "\"}", 3);
}

static bool record_make(struct cli_sample *sample, uint32_t index, uint32_t size)
{
    char value[VALUE_BYTES], key[32];
    made_value(index, size, value);
    snprintf(key, sizeof(key), "key %u", index);
    const char *kept_value = config_arena_text(sample->arena, value, strlen(value));
    const char *kept_key = config_arena_text(sample->arena, key, strlen(key));
    if (kept_value == NULL || kept_key == NULL) {
        return false;
    }
    sample->records[index] = (struct bench_record){
        .key = sl_bytes_of_text(kept_key), .value = sl_bytes_of_text(kept_value), .timestamp = 1};
    return true;
}

static int sample_make(uint32_t size, struct cli_sample *ret_sample)
{
    struct cli_sample sample = {.arena = config_arena_new(), .count = MADE_RECORDS};
    bool made = sample.arena != NULL;
    sample.records =
        made ? config_arena_get(sample.arena, MADE_RECORDS * sizeof(*sample.records)) : NULL;
    made = sample.records != NULL;
    for (uint32_t i = 0; made && i < MADE_RECORDS; i++) {
        made = record_make(&sample, i, size);
    }
    if (!made) {
        config_arena_free(sample.arena);
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    *ret_sample = sample;
    return CLI_OK;
}

/* ---- the run ---- */

struct course {
    struct cli *cli;
    struct bench_plugin plugin;
    struct cli_sample sample;
    uint32_t batch;
    uint64_t count; /* records; 0: until the time is over */
    int64_t duration_ns;
    struct load_histogram times; /* of batches */
    uint64_t done, fates[BENCH_RETRIED + 1], outputs;
    int64_t took_ns;             /* in batches */
    char text[BENCH_TEXT_BYTES]; /* why it ended */
};

static bool is_over(const struct course *course, int64_t now_ns, int64_t begun_ns)
{
    return sl_interrupted() || (course->count > 0 && course->done >= course->count) ||
           (course->duration_ns > 0 && now_ns - begun_ns >= course->duration_ns);
}

/* One batch; false: it failed, or the worker is gone. */
static bool batch_run(struct course *course, uint32_t from)
{
    struct bench_outcome outcome;
    struct config_arena *arena = config_arena_new();
    uint64_t left = course->count > 0 ? course->count - course->done : UINT64_MAX;
    uint32_t count = SL_MIN(course->batch, course->sample.count - from);
    const struct bench_input input = {
        .records = course->sample.records + from,
        .count = (uint32_t)SL_MIN((uint64_t)count, left),
        .topic = course->sample.topic[0] != '\0' ? course->sample.topic : course->plugin.topic,
        .base_offset = (int64_t)course->done,
        .whole = true};
    if (arena == NULL) {
        snprintf(course->text, sizeof(course->text), "out of memory");
        return false;
    }
    int64_t begun_ns = sl_os_mono_ns(course->cli->os);
    sl_err err = bench_run(&course->plugin, &input, arena, &outcome);
    int64_t took_ns = sl_os_mono_ns(course->cli->os) - begun_ns;
    bool good = err == SLUICE_OK && outcome.err == SLUICE_OK;
    if (good) {
        load_histogram_add(&course->times, took_ns);
        course->took_ns += took_ns;
        course->done += input.count;
        course->outputs += outcome.output_count;
        for (size_t i = 0; i < SL_COUNT_OF(course->fates); i++) {
            course->fates[i] += outcome.counts[i];
        }
    } else {
        snprintf(course->text, sizeof(course->text), "%s",
                 err != SLUICE_OK ? "a record is larger than a worker takes" : outcome.text);
    }
    config_arena_free(arena);
    return good;
}

static bool batches_run(struct course *course)
{
    struct bench_progress progress;
    const struct bench_run shown = {.cli = course->cli};
    int64_t begun_ns = sl_os_mono_ns(course->cli->os);
    uint32_t from = 0;
    bool good = true;
    bench_progress_begin(&progress, &shown, "running", course->count, course->duration_ns);
    while (good && !is_over(course, sl_os_mono_ns(course->cli->os), begun_ns)) {
        good = batch_run(course, from);
        from = from + course->batch < course->sample.count ? from + course->batch : 0;
        bench_progress_set(&progress, course->done);
    }
    bench_progress_end(&progress);
    return good;
}

/* ---- what came of it ---- */

static const char *const fate_names[] = {"dropped", "passed", "emitted", "rejected", "retried"};

static void course_json(const struct course *course, const char *path)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "bench", "plugin");
    cJSON_AddStringToObject(object, "plugin", path);
    cJSON_AddNumberToObject(object, "batch", course->batch);
    cJSON_AddNumberToObject(object, "records", (double)course->done);
    cJSON_AddNumberToObject(object, "records_per_s",
                            (double)course->done * 1e9 / (double)SL_MAX(course->took_ns, 1));
    for (size_t i = 0; i < SL_COUNT_OF(fate_names); i++) {
        cJSON_AddNumberToObject(object, fate_names[i], (double)course->fates[i]);
    }
    cJSON_AddNumberToObject(object, "outputs", (double)course->outputs);
    bench_times_json(object, "latency", &course->times);
    cJSON_AddBoolToObject(object, "ended_early", sl_interrupted());
    cli_json_write(object);
    cJSON_Delete(object);
}

static void course_write(const struct course *course, const char *path)
{
    char rate[WATCH_TEXT_BYTES];
    double per_s = (double)course->done * 1e9 / (double)SL_MAX(course->took_ns, 1);
    const char *before = "";
    printf("%splugin %s%s, batches of %u\n", cli_bold(course->cli), path, cli_plain(course->cli),
           course->batch);
    printf("  %-12s %llu in %.2f s: %s%s records/s%s, %.0f ns each\n", "records",
           (unsigned long long)course->done, (double)course->took_ns / 1e9, cli_bold(course->cli),
           watch_count_text(per_s, rate), cli_plain(course->cli), per_s > 0 ? 1e9 / per_s : 0);
    printf("  %-12s ", "became");
    for (size_t i = 0; i < SL_COUNT_OF(fate_names); i++) {
        if (course->fates[i] > 0) {
            printf("%s%llu %s", before, (unsigned long long)course->fates[i], fate_names[i]);
            before = ", ";
        }
    }
    printf("; %llu outputs\n", (unsigned long long)course->outputs);
    printf("  %-12s of a batch, from its hand-over to the worker to its outcome\n", "latency");
    bench_times_write(course->cli, &course->times);
    if (sl_interrupted()) {
        printf("  %-12s %sended early by Ctrl-C%s\n", "", cli_yellow(course->cli),
               cli_plain(course->cli));
    }
}

static int plugin_run(struct course *course, struct bench *bench, const char *path)
{
    const struct bench_settings settings = {.unpaced = true};
    struct bench_file file;
    char text[BENCH_TEXT_BYTES];
    if (bench_file_open(bench, path, &file, text) != SLUICE_OK) {
        cli_complain("%s", text);
        return CLI_FAILED;
    }
    if (bench_plugin_start(&course->plugin, bench, &file, &settings, text) != SLUICE_OK) {
        cli_complain("%s does not start: %s", path, text);
        bench_file_close(&file);
        return CLI_FAILED;
    }
    bool good = batches_run(course);
    bench_plugin_close(&course->plugin);
    bench_file_close(&file);
    if (!good) {
        cli_complain("%s: %s", path, course->text);
        return CLI_FAILED;
    }
    if (course->cli->options.json) {
        course_json(course, path);
    } else {
        course_write(course, path);
    }
    return sl_interrupted() ? CLI_PARTLY : CLI_OK;
}

int cli_bench_plugin(struct cli *cli)
{
    static struct course course;
    struct bench bench;
    char path[BENCH_PATH_BYTES];
    const char *word = cli->options.words[0];
    const char *sample = cli_value(cli_own(cli, "--sample"), NULL);
    int64_t count = 0, batch = 0, size = 0;
    course = (struct course){.cli = cli};
    snprintf(path, sizeof(path), "%s", word);
    if (!cli_number(cli_own(cli, "--count"), "--count", 1, INT64_MAX, 0, &count) ||
        !cli_number(cli_own(cli, "--batch"), "--batch", 1, BENCH_BATCH_RECORDS, 100, &batch) ||
        !cli_number(cli_own(cli, "--size"), "--size", 1, VALUE_BYTES - 1, 100, &size) ||
        !bench_duration_take(cli, count > 0 ? 0 : SECONDS, &course.duration_ns)) {
        return CLI_USAGE;
    }
    if (cli_is_folder(cli, word) && !cli_find_module(cli, word, path)) {
        return CLI_FAILED;
    }
    course.count = (uint64_t)count;
    course.batch = (uint32_t)batch;
    int code = sample != NULL ? cli_sample_file(cli, sample, &course.sample)
                              : sample_make((uint32_t)size, &course.sample);
    if (code != CLI_OK) {
        return code;
    }
    sl_interrupts_watch();
    code = cli_bench_open(cli, &bench);
    if (code == CLI_OK) {
        code = plugin_run(&course, &bench, path);
        bench_close(&bench);
    }
    cli_sample_free(&course.sample);
    return code;
}
