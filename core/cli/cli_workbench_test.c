/* cli_workbench_test.c: plugin test: every case in a fresh worker with the limits of a broker, and
 * what differs; --record makes a case of what becomes of live records. */
#include "cli/cli_workbench.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"
#include "control/admin_request.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_DEFAULT 10
#define RECORD_MAX     1000

/* ---- output ---- */

static void line_write(const struct cli *cli, const char *label, const char *colour,
                       const cJSON *object, const char *member)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
    printf("          %s%s  ", colour, label);
    cli_print_safe(text != NULL ? text : "");
    printf("%s\n", cli_plain(cli));
}

static void failure_write(const struct cli *cli, const cJSON *result)
{
    const cJSON *difference;
    const cJSON *log;
    cJSON_ArrayForEach(difference, cJSON_GetObjectItemCaseSensitive(result, "differences"))
    {
        char text[1024];
        printf("        %s\n", cli_member_text(difference, "what", text));
        line_write(cli, "expected", cli_green(cli), difference, "expected");
        line_write(cli, "actual  ", cli_red(cli), difference, "actual");
    }
    cJSON_ArrayForEach(log, cJSON_GetObjectItemCaseSensitive(result, "logs"))
    {
        printf("        %slog  ", cli_faint(cli));
        cli_print_safe(log->valuestring);
        printf("%s\n", cli_plain(cli));
    }
}

static void result_write(const struct cli *cli, const char *path, const cJSON *result, bool quiet)
{
    bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "ok"));
    const cJSON *line = cJSON_GetObjectItemCaseSensitive(result, "line");
    if (ok && quiet) {
        return;
    }
    printf("  %s%s%s  ", ok ? cli_green(cli) : cli_red(cli), ok ? "ok  " : "FAIL", cli_plain(cli));
    cli_print_safe(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "case")));
    if (ok) {
        putchar('\n');
        return;
    }
    printf("  %s(%s:%d)%s\n", cli_faint(cli), path, line->valueint, cli_plain(cli));
    failure_write(cli, result);
}

/* ---- cases ---- */

int cli_cases_run(struct cli *cli, const struct bench *bench, const char *plugin_path,
                  const struct cli_cases *cases, bool quiet, uint32_t *ret_failed)
{
    struct bench_file file;
    char text[BENCH_TEXT_BYTES];
    struct bench writable = *bench;
    *ret_failed = 0;
    if (bench_file_open(&writable, plugin_path, &file, text) != SLUICE_OK) {
        cli_complain("%s", text);
        return CLI_FAILED;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "plugin", plugin_path);
    cJSON *results = cJSON_AddArrayToObject(object, "cases");
    for (uint32_t i = 0; i < cases->file.count; i++) {
        cJSON *result = case_run(bench, &file, &cases->file.cases[i]);
        *ret_failed += !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "ok"));
        if (!cli->options.json) {
            result_write(cli, cases->path, result, quiet);
            fflush(stdout);
        }
        cJSON_AddItemToArray(results, result);
    }
    cJSON_AddNumberToObject(object, "passed", cases->file.count - *ret_failed);
    cJSON_AddNumberToObject(object, "failed", *ret_failed);
    if (cli->options.json) {
        cli_json_write(object);
    } else if (!quiet) {
        printf("%s%u passed, %u failed%s\n", *ret_failed > 0 ? cli_red(cli) : cli_green(cli),
               cases->file.count - *ret_failed, *ret_failed, cli_plain(cli));
    }
    cJSON_Delete(object);
    bench_file_close(&file);
    return *ret_failed > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- what is meant ---- */

struct subject {
    char plugin[BENCH_PATH_BYTES];
    char cases[BENCH_PATH_BYTES];
    bool has_cases; /* the file is there */
};

/* The plugin of a word that names it or its folder; false: the word names cases. */
static bool plugin_of_word(struct cli *cli, const char *word, char *ret_path, bool *ret_good)
{
    *ret_good = true;
    if (cli_ends_in(word, ".so") || cli_ends_in(word, ".lua")) {
        snprintf(ret_path, BENCH_PATH_BYTES, "%s", word);
        return true;
    }
    if (cli_is_folder(cli, word)) {
        *ret_good = cli_find_module(cli, word, ret_path);
        return true;
    }
    return false;
}

/* The plugin that the file of cases names, else that of its folder or, for tests/, the one above.
 */
static bool plugin_of_cases(struct cli *cli, const struct cli_cases *cases, char *ret_path)
{
    char folder[BENCH_PATH_BYTES];
    cli_path_folder(cases->path, folder);
    if (cases->file.plugin != NULL) {
        cli_path_join(folder, cases->file.plugin, ret_path);
        return true;
    }
    if (strcmp(folder, "tests") == 0 || cli_ends_in(folder, "/tests")) {
        cli_path_join(folder, "..", folder);
    }
    return cli_find_module(cli, folder, ret_path);
}

static bool is_count(const char *word)
{
    return word[0] != '\0' && word[strspn(word, "0123456789")] == '\0';
}

/* FILE [CASES], and N behind --record TOPIC. */
static int words_take(struct cli *cli, struct subject *subject, int64_t *ret_count)
{
    struct cli_options *options = &cli->options;
    uint32_t count = options->word_count;
    bool good = true;
    *ret_count = RECORD_DEFAULT;
    if (options->record.count > 0 && count > 1 && is_count(options->words[count - 1])) {
        *ret_count = strtoll(options->words[--count], NULL, 10);
        if (*ret_count < 1 || *ret_count > RECORD_MAX) {
            cli_complain("--record takes 1 to %d records", RECORD_MAX);
            return CLI_USAGE;
        }
    }
    if (count > 2) {
        cli_complain("sluice plugin test takes FILE [CASES]; see --help");
        return CLI_USAGE;
    }
    bool has_plugin = plugin_of_word(cli, options->words[0], subject->plugin, &good);
    if (!good) {
        return CLI_FAILED;
    }
    if (!has_plugin) {
        subject->plugin[0] = '\0';
    }
    if (count == 2) {
        snprintf(subject->cases, sizeof(subject->cases), "%s", options->words[1]);
        subject->has_cases = cli_is_file(cli, subject->cases);
    } else {
        subject->has_cases = cli_find_cases(cli, options->words[0], subject->cases) &&
                             cli_is_file(cli, subject->cases);
        if (!subject->has_cases) {
            subject->cases[0] = '\0';
        }
    }
    return CLI_OK;
}

/* ---- --record ---- */

static sl_err file_replace(struct cli *cli, const char *path, struct sl_bytes text)
{
    char fresh[BENCH_PATH_BYTES + 8];
    struct sl_file *file = NULL;
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    sl_err err = sl_file_open(cli->os, fresh, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    const struct sl_iovec piece = {(void *)(uintptr_t)text.data, text.size};
    err = err != SLUICE_OK ? err : sl_file_truncate(file, 0);
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, &piece, 1, 0);
    sl_file_close(file);
    return err != SLUICE_OK ? err : sl_path_rename(cli->os, fresh, path);
}

/* What is there, then the new case; it must still be a file of cases. */
static int cases_append(struct cli *cli, const struct subject *subject, struct sl_bytes before,
                        struct sl_bytes added)
{
    static struct config_report report;
    struct case_file parsed;
    struct sl_buffer text;
    struct config_arena *arena = config_arena_new();
    report = (struct config_report){.count = 0};
    sl_buffer_init(&text, CLI_CASES_BYTES_MAX);
    bool newline = before.size > 0 && before.data[before.size - 1] != '\n';
    sl_err err = before.size > 0 ? sl_buffer_append(&text, before.data, before.size)
                                 : sl_buffer_append(&text, "cases:\n", 7);
    err = err == SLUICE_OK && newline ? sl_buffer_append(&text, "\n", 1) : err;
    err = err != SLUICE_OK ? err : sl_buffer_append(&text, added.data, added.size);
    if (err == SLUICE_OK && arena != NULL &&
        case_file_parse(arena, sl_buffer_bytes(&text), subject->cases, &report, &parsed) !=
            SLUICE_OK) {
        config_report_write(&report, stderr);
        cli_complain("%s was left as it is: a case can be added only at the end of its list, "
                     "indented by two",
                     subject->cases);
        err = SLUICE_E_CONFIG_SYNTAX;
    } else if (err == SLUICE_OK) {
        err = file_replace(cli, subject->cases, sl_buffer_bytes(&text));
    }
    if (err != SLUICE_OK && err != SLUICE_E_CONFIG_SYNTAX) {
        cli_complain("cannot write %s: %s", subject->cases,
                     err == SLUICE_E_LIMIT ? "it would be larger than 256 KiB"
                                           : sl_status_text(err));
    }
    config_arena_free(arena);
    sl_buffer_fini(&text);
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

/* The case as text, out of a run in a worker. */
static int sample_run(const struct bench *bench, const struct bench_file *file,
                      const struct cli_sample *sample, struct sl_buffer *out)
{
    const struct bench_settings settings = {.config_json = NULL};
    struct bench_plugin plugin;
    struct bench_outcome outcome;
    char text[BENCH_TEXT_BYTES];
    char name[BENCH_TOPIC_BYTES + 64];
    const struct bench_input input = {
        .records = sample->records, .count = sample->count, .topic = sample->topic};
    if (bench_plugin_start(&plugin, bench, file, &settings, text) != SLUICE_OK) {
        cli_complain("the plugin does not start: %s", text);
        return CLI_FAILED;
    }
    sl_err err = bench_run(&plugin, &input, sample->arena, &outcome);
    if (err == SLUICE_OK && outcome.died) {
        cli_complain("the plugin does not get through these records: %s", outcome.text);
        err = SLUICE_E_PLUGIN_CRASHED;
    } else if (err == SLUICE_OK) {
        snprintf(name, sizeof(name), "the last %u records of %s", sample->count, sample->topic);
        err = case_write(out, name, &input, NULL, &outcome);
    }
    bench_plugin_close(&plugin);
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

static int record_sample(struct cli *cli, struct bench *bench, const struct subject *subject,
                         const char *topic, int64_t count)
{
    struct cli_sample sample;
    struct bench_file file;
    struct sl_buffer added;
    struct sl_bytes before = {NULL, 0};
    char text[BENCH_TEXT_BYTES];
    int code = cli_sample_topic(cli, topic, (uint32_t)count, &sample);
    if (code != CLI_OK) {
        return code;
    }
    if (bench_file_open(bench, subject->plugin, &file, text) != SLUICE_OK ||
        (subject->has_cases &&
         bench_read(cli->os, subject->cases, CLI_CASES_BYTES_MAX, &before, text) != SLUICE_OK)) {
        cli_complain("%s", text);
        cli_sample_free(&sample);
        return CLI_FAILED;
    }
    sl_buffer_init(&added, CLI_CASES_BYTES_MAX);
    code = sample_run(bench, &file, &sample, &added);
    code = code != CLI_OK ? code : cases_append(cli, subject, before, sl_buffer_bytes(&added));
    if (code == CLI_OK) {
        fprintf(stderr, "%u records of %s are a case of %s now; read what it expects\n",
                sample.count, topic, subject->cases);
    }
    sl_buffer_fini(&added);
    sl_free((void *)(uintptr_t)before.data);
    bench_file_close(&file);
    cli_sample_free(&sample);
    return code;
}

/* ---- the command ---- */

/* The folder's cases.yaml for a plugin that has none yet. */
static void cases_name(struct subject *subject)
{
    char folder[BENCH_PATH_BYTES];
    if (subject->cases[0] == '\0') {
        cli_path_folder(subject->plugin, folder);
        cli_path_join(folder, "cases.yaml", subject->cases);
    }
}

static int test_all(struct cli *cli, struct bench *bench, struct subject *subject)
{
    struct cli_cases cases;
    uint32_t failed = 0;
    int code = cli_cases_read(cli, subject->cases, &cases);
    if (code != CLI_OK) {
        return code;
    }
    if (subject->plugin[0] == '\0' && !plugin_of_cases(cli, &cases, subject->plugin)) {
        code = CLI_FAILED;
    } else {
        code = cli_cases_run(cli, bench, subject->plugin, &cases, false, &failed);
    }
    cli_cases_free(&cases);
    return code;
}

int cli_plugin_test(struct cli *cli)
{
    struct subject subject = {.has_cases = false};
    struct bench bench;
    const char *topic = cli_value(&cli->options.record, NULL);
    int64_t count = 0;
    int code = words_take(cli, &subject, &count);
    if (code != CLI_OK) {
        return code;
    }
    if (topic != NULL && subject.plugin[0] == '\0') {
        cli_complain("--record needs the plugin: sluice plugin test PLUGIN --record TOPIC N");
        return CLI_USAGE;
    }
    if (topic != NULL) {
        cases_name(&subject);
    }
    if (topic == NULL && !subject.has_cases) {
        cli_complain("no test cases: %s has no tests/cases.yaml or cases.yaml beside it; \"sluice "
                     "plugin test PLUGIN --record TOPIC N\" makes one of live records",
                     cli->options.words[0]);
        return CLI_FAILED;
    }
    code = cli_bench_open(cli, &bench);
    if (code != CLI_OK) {
        return code;
    }
    code = topic != NULL ? record_sample(cli, &bench, &subject, topic, count)
                         : test_all(cli, &bench, &subject);
    bench_close(&bench);
    return code;
}
