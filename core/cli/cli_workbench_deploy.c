/* cli_workbench_deploy.c: plugin deploy (its test cases, the validator, then the broker has it) and
 * plugin diff (a file beside the one that runs). */
#include "cli/cli_plugin.h"
#include "cli/cli_workbench.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define DIFF_BYTES_MAX (16u << 20)
#define DIFF_LINES_MAX 2000u /* above that only the first difference is told */
#define DIFF_CONTEXT   3
#define HASH_SHOWN     8u /* hex digits, as plugin info has them */

/* ---- deploy ---- */

/* One command with one word, as if it had been typed. */
static int run_one(struct cli *cli, cli_command_fn *run, const char *word)
{
    struct cli one = *cli;
    one.options.words[0] = word;
    one.options.word_count = 1;
    int code = run(&one);
    cli->explained = one.explained;
    return code;
}

int cli_plugin_deploy(struct cli *cli)
{
    const char *word = cli->options.words[0];
    char module[BENCH_PATH_BYTES], cases[BENCH_PATH_BYTES];
    if (!cli_is_folder(cli, word)) {
        snprintf(module, sizeof(module), "%s", word);
    } else if (!cli_find_module(cli, word, module)) {
        return CLI_FAILED;
    }
    int code = CLI_OK;
    if (cli_find_cases(cli, module, cases)) {
        code = run_one(cli, cli_plugin_test, module);
    } else {
        fputs("no test cases beside it: it is checked only\n", stderr);
    }
    code = code == CLI_OK ? run_one(cli, cli_plugin_check, module) : code;
    if (code != CLI_OK) {
        cli_complain("%.200s was not deployed: see above; what runs goes on", module);
        return code;
    }
    fflush(stdout);
    return run_one(cli, cli_plugin_load, module);
}

/* ---- diff ---- */

struct lines {
    struct sl_bytes *items; /* owned; views of the text, without their newlines */
    uint32_t count;
};

static bool lines_take(struct sl_bytes text, struct lines *ret_lines)
{
    uint32_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    struct lines lines = {.items = calloc(count, sizeof(*lines.items))};
    while (lines.items != NULL && text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        lines.items[lines.count++] = (struct sl_bytes){text.data, size};
        size_t step = size + (end != NULL);
        text = (struct sl_bytes){text.data + step, text.size - step};
    }
    *ret_lines = lines;
    return lines.items != NULL;
}

static void line_write(const struct cli *cli, char mark, struct sl_bytes line)
{
    char text[512];
    const char *colour = mark == '+' ? cli_green(cli) : mark == '-' ? cli_red(cli) : "";
    snprintf(text, sizeof(text), "%.*s", (int)SL_MIN(line.size, (size_t)500),
             line.size > 0 ? (const char *)line.data : "");
    printf("%s%c", colour, mark);
    cli_print_safe(text);
    printf("%s\n", colour[0] != '\0' ? cli_plain(cli) : "");
}

/* How long a common subsequence of the lines from i and from j on is, for all i and j. */
static uint16_t *common_make(const struct lines *old, const struct lines *fresh)
{
    size_t width = (size_t)fresh->count + 1;
    uint16_t *common = calloc(((size_t)old->count + 1) * width, sizeof(*common));
    for (size_t i = old->count; common != NULL && i-- > 0;) {
        for (size_t j = fresh->count; j-- > 0;) {
            bool same = sl_bytes_equal(old->items[i], fresh->items[j]);
            uint16_t down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            common[i * width + j] =
                same ? (uint16_t)(common[(i + 1) * width + j + 1] + 1) : SL_MAX(down, right);
        }
    }
    return common;
}

/* One line of the answer: ' ' both, '-' only old, '+' only fresh. */
struct step {
    char mark;
    uint32_t old, fresh; /* lines before it */
    struct sl_bytes line;
};

static uint32_t steps_take(const struct lines *old, const struct lines *fresh,
                           const uint16_t *common, struct step *steps)
{
    size_t width = (size_t)fresh->count + 1;
    uint32_t i = 0, j = 0, count = 0;
    while (i < old->count || j < fresh->count) {
        bool same =
            i < old->count && j < fresh->count && sl_bytes_equal(old->items[i], fresh->items[j]);
        bool goes = !same && i < old->count &&
                    (j == fresh->count || common[(i + 1) * width + j] >= common[i * width + j + 1]);
        steps[count++] = (struct step){.mark = same   ? ' '
                                               : goes ? '-'
                                                      : '+',
                                       .old = i,
                                       .fresh = j,
                                       .line = same || goes ? old->items[i] : fresh->items[j]};
        i += same || goes;
        j += same || !goes;
    }
    return count;
}

static bool is_near_change(const struct step *steps, uint32_t count, uint32_t at)
{
    uint32_t from = at > DIFF_CONTEXT ? at - DIFF_CONTEXT : 0;
    for (uint32_t i = from; i < count && i <= at + DIFF_CONTEXT; i++) {
        if (steps[i].mark != ' ') {
            return true;
        }
    }
    return false;
}

static void steps_write(const struct cli *cli, const struct step *steps, uint32_t count)
{
    bool told = false; /* the line before */
    for (uint32_t i = 0; i < count; i++) {
        bool tells = is_near_change(steps, count, i);
        if (tells && !told) {
            printf("%s@@ -%u +%u @@%s\n", cli_faint(cli), steps[i].old + 1, steps[i].fresh + 1,
                   cli_plain(cli));
        }
        if (tells) {
            line_write(cli, steps[i].mark, steps[i].line);
        }
        told = tells;
    }
}

static int texts_compare(const struct cli *cli, struct sl_bytes old, struct sl_bytes fresh)
{
    struct lines a = {.items = NULL}, b = {.items = NULL};
    uint16_t *common = NULL;
    struct step *steps = NULL;
    bool ok = lines_take(old, &a) && lines_take(fresh, &b);
    if (ok && a.count <= DIFF_LINES_MAX && b.count <= DIFF_LINES_MAX) {
        common = common_make(&a, &b);
        steps = calloc((size_t)a.count + b.count + 1, sizeof(*steps));
        ok = common != NULL && steps != NULL;
        if (ok) {
            steps_write(cli, steps, steps_take(&a, &b, common, steps));
        }
    } else if (ok) {
        uint32_t at = 0;
        while (at < a.count && at < b.count && sl_bytes_equal(a.items[at], b.items[at])) {
            at++;
        }
        printf("they differ from line %u on\n", at + 1);
    }
    free(steps);
    free(common);
    free(a.items);
    free(b.items);
    if (!ok) {
        cli_complain("out of memory");
    }
    return CLI_FAILED;
}

static bool is_text(const char *path)
{
    return cli_ends_in(path, ".lua");
}

static int versions_compare(struct cli *cli, const char *path, const char *runs,
                            const char *runs_hash)
{
    char text[BENCH_TEXT_BYTES], hash_text[2 * PLUGIN_HASH_SIZE + 1];
    uint8_t hash[PLUGIN_HASH_SIZE];
    struct sl_bytes fresh = {NULL, 0}, old = {NULL, 0};
    int code = CLI_FAILED;
    if (bench_read(cli->os, path, DIFF_BYTES_MAX, &fresh, text) != SLUICE_OK ||
        bench_read(cli->os, runs, DIFF_BYTES_MAX, &old, text) != SLUICE_OK) {
        cli_complain("%s", text);
        sl_free((void *)(uintptr_t)fresh.data);
        return CLI_IO;
    }
    plugin_hash(old, hash);
    plugin_hash_text(hash, hash_text, sizeof(hash_text));
    if (strncmp(hash_text, runs_hash, HASH_SHOWN) != 0) {
        cli_complain("%s is not what runs (version %.8s): it was changed since, or refused", runs,
                     runs_hash);
    }
    if (sl_bytes_equal(old, fresh)) {
        code = CLI_OK;
    } else if (cli->options.json || !is_text(path)) {
        code = CLI_FAILED;
    } else {
        printf("%s--- %s%s\n%s+++ %s%s\n", cli_red(cli), runs, cli_plain(cli), cli_green(cli), path,
               cli_plain(cli));
        code = texts_compare(cli, old, fresh);
    }
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "file", path);
        cJSON_AddStringToObject(object, "runs", runs);
        cJSON_AddStringToObject(object, "version", runs_hash);
        cJSON_AddBoolToObject(object, "same", code == CLI_OK);
        cli_json_write(object);
        cJSON_Delete(object);
    } else if (code == CLI_OK) {
        puts("the same as what runs");
    } else if (!is_text(path)) {
        printf("%s (%zu bytes) differs from %s (%zu bytes)\n", path, fresh.size, runs, old.size);
    }
    sl_free((void *)(uintptr_t)fresh.data);
    sl_free((void *)(uintptr_t)old.data);
    return code;
}

int cli_plugin_diff(struct cli *cli)
{
    char path[BENCH_PATH_BYTES], runs[BENCH_PATH_BYTES], hash[64];
    const char *word = cli->options.words[0];
    if (!cli_is_folder(cli, word)) {
        snprintf(path, sizeof(path), "%s", word);
    } else if (!cli_find_module(cli, word, path)) {
        return CLI_FAILED;
    }
    int code = cli_running_file(cli, path, runs, hash);
    if (code == CLI_OK && runs[0] == '\0') {
        cli_complain("the broker runs no plugin of a file of that name; sluice plugin list shows "
                     "all");
        return CLI_FAILED;
    }
    return code != CLI_OK ? code : versions_compare(cli, path, runs, hash);
}
