/* cli_workbench_check.c: plugin check: the validator's findings as a table. */
#include "cli/cli_workbench.h"

#include "base/bytes.h"
#include "workbench/check.h"

#include <string.h>

static void progress(void *arg, const char *group, const char *check)
{
    (void)arg;
    fprintf(stderr, "\r%s: %s …\x1b[K", group, check);
}

static const char *colour_of(const struct cli *cli, const char *result)
{
    return strcmp(result, CHECK_OK) == 0        ? cli_green(cli)
           : strcmp(result, CHECK_FAILED) == 0  ? cli_red(cli)
           : strcmp(result, CHECK_WARNING) == 0 ? cli_yellow(cli)
                                                : cli_faint(cli);
}

static void rows_write(const struct cli *cli, const cJSON *rows)
{
    const cJSON *row;
    char group[1024], check[1024], result[1024], detail[1024];
    printf("%s%-8s %-61s %-8s detail%s\n", cli_bold(cli), "group", "check", "result",
           cli_plain(cli));
    cJSON_ArrayForEach(row, rows)
    {
        cli_member_text(row, "group", group);
        cli_member_text(row, "check", check);
        cli_member_text(row, "result", result);
        printf("%-8s %-61s %s%-8s%s ", group, check, colour_of(cli, result), result,
               cli_plain(cli));
        cli_print_safe(cli_member_text(row, "detail", detail));
        putchar('\n');
    }
}

static void verdict_write(const struct cli *cli, const cJSON *object)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(object, "checks");
    int failed = cJSON_GetObjectItemCaseSensitive(object, "failed")->valueint;
    int warnings = cJSON_GetObjectItemCaseSensitive(object, "warnings")->valueint;
    rows_write(cli, rows);
    printf("\n%s%d checks, %d failed, %d warnings%s\n", failed > 0 ? cli_red(cli) : cli_green(cli),
           cJSON_GetArraySize(rows), failed, warnings, cli_plain(cli));
}

int cli_plugin_check(struct cli *cli)
{
    char path[BENCH_PATH_BYTES];
    const char *word = cli->options.word_count > 0 ? cli->options.words[0] : ".";
    bool shows = !cli->options.json && sl_descriptor_is_terminal(2);
    struct check_options options = {.progress = shows ? progress : NULL};
    struct bench bench;
    const char *sample = cli_value(&cli->options.sample, NULL);
    int64_t seed = 0, batches = 0;
    if (!cli_number(&cli->options.seed, "--seed", 0, INT64_C(1) << 53, 1, &seed) ||
        !cli_number(&cli->options.batches, "--batches", 0, CHECK_BATCHES_MAX, 200, &batches)) {
        return CLI_USAGE;
    }
    options.seed = (uint64_t)seed;
    options.batches = (uint32_t)batches;
    if (cli_is_folder(cli, word)) {
        if (!cli_find_module(cli, word, path)) {
            return CLI_FAILED;
        }
    } else {
        snprintf(path, sizeof(path), "%s", word);
    }
    int code = cli_bench_open(cli, &bench);
    if (code != CLI_OK) {
        return code;
    }
    char text[BENCH_TEXT_BYTES];
    if (sample != NULL &&
        bench_read(cli->os, sample, SANDBOX_SCRIPT_SIZE_MAX, &options.sample, text) != SLUICE_OK) {
        cli_complain("%s", text);
        bench_close(&bench);
        return CLI_FAILED;
    }
    cJSON *object = check_run(&bench, path, &options);
    bench_close(&bench);
    sl_free((void *)(uintptr_t)options.sample.data);
    if (shows) {
        fputs("\r\x1b[K", stderr);
    }
    if (cli->options.json) {
        cli_json_write(object);
    } else {
        verdict_write(cli, object);
    }
    code = cJSON_GetObjectItemCaseSensitive(object, "failed")->valueint > 0 ? CLI_FAILED : CLI_OK;
    cJSON_Delete(object);
    return code;
}
