/* cli_workbench.c: which plugin, which cases, which records a command means. */
#include "cli/cli_workbench.h"

#include "base/bytes.h"
#include "base/status.h"
#include "control/admin_request.h"

#include <stdlib.h>
#include <string.h>

/* ---- looks ---- */

static const char *code_of(const struct cli *cli, const char *code)
{
    return cli->colour ? code : "";
}
const char *cli_green(const struct cli *cli)
{
    return code_of(cli, "\x1b[32m");
}
const char *cli_red(const struct cli *cli)
{
    return code_of(cli, "\x1b[31;1m");
}
const char *cli_yellow(const struct cli *cli)
{
    return code_of(cli, "\x1b[33m");
}
const char *cli_faint(const struct cli *cli)
{
    return code_of(cli, "\x1b[2m");
}
const char *cli_bold(const struct cli *cli)
{
    return code_of(cli, "\x1b[1m");
}
const char *cli_plain(const struct cli *cli)
{
    return code_of(cli, "\x1b[0m");
}

void cli_print_safe(const char *text)
{
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0'; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (c1) {
            at++;
        }
        fputc(*at == '\t' || (!c1 && *at >= 0x20 && *at != 0x7f) ? *at : ' ', stdout);
    }
}

int cli_bench_open(struct cli *cli, struct bench *bench)
{
    char text[BENCH_TEXT_BYTES];
    if (!bench_open(bench, cli->os, cli->executable, text)) {
        cli_complain("no worker can be started here: %s", text);
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* ---- paths ---- */

static void ignore_entry(void *arg, const char *name, bool is_directory)
{
    (void)arg;
    (void)name;
    (void)is_directory;
}

bool cli_is_folder(struct cli *cli, const char *path)
{
    return sl_dir_list(cli->os, path, ignore_entry, NULL) == SLUICE_OK;
}

bool cli_is_file(struct cli *cli, const char *path)
{
    struct sl_file *file = NULL;
    bool is =
        !cli_is_folder(cli, path) && sl_file_open(cli->os, path, SL_FILE_READ, &file) == SLUICE_OK;
    sl_file_close(file);
    return is;
}

bool cli_ends_in(const char *path, const char *end)
{
    size_t size = strlen(path), end_size = strlen(end);
    return size > end_size && strcmp(path + size - end_size, end) == 0;
}

void cli_path_join(const char *folder, const char *name, char ret_path[BENCH_PATH_BYTES])
{
    char path[BENCH_PATH_BYTES]; /* folder may be ret_path */
    bool slash = cli_ends_in(folder, "/") || strcmp(folder, "/") == 0;
    int size = name[0] == '/' ? snprintf(path, sizeof(path), "%s", name)
               : strcmp(folder, ".") == 0
                   ? snprintf(path, sizeof(path), "%s", name)
                   : snprintf(path, sizeof(path), "%s%s%s", folder, slash ? "" : "/", name);
    if (size >= (int)sizeof(path)) {
        path[0] = '\0'; /* too long to be a file */
    }
    memcpy(ret_path, path, sizeof(path));
}

void cli_path_folder(const char *path, char ret_folder[BENCH_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *from = slash == NULL ? "." : path;
    size_t size = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    size = SL_MIN(size, (size_t)BENCH_PATH_BYTES - 1);
    memmove(ret_folder, from, size); /* the path may lie there */
    ret_folder[size] = '\0';
}

struct search {
    uint32_t modules, scripts;
    char module[256], script[256];
};

static void look(void *arg, const char *name, bool is_directory)
{
    struct search *search = arg;
    if (is_directory || name[0] == '.') {
        return;
    }
    if (cli_ends_in(name, ".so")) {
        search->modules++;
        snprintf(search->module, sizeof(search->module), "%s", name);
    } else if (cli_ends_in(name, ".lua")) {
        search->scripts++;
        snprintf(search->script, sizeof(search->script), "%s", name);
    }
}

bool cli_find_module(struct cli *cli, const char *folder, char ret_path[BENCH_PATH_BYTES])
{
    struct search search = {.modules = 0};
    sl_err err = sl_dir_list(cli->os, folder, look, &search);
    if (err != SLUICE_OK || search.modules + search.scripts == 0) {
        cli_complain("%s holds no plugin (.so or .lua); \"sluice plugin build %s\" makes one of a "
                     "C source",
                     folder, folder);
        return false;
    }
    if (search.modules > 1 || (search.modules == 0 && search.scripts > 1)) {
        cli_complain("%s holds more than one plugin; name the file", folder);
        return false;
    }
    cli_path_join(folder, search.modules == 1 ? search.module : search.script, ret_path);
    return true;
}

static bool is_cases(const char *word)
{
    return cli_ends_in(word, ".yaml") || cli_ends_in(word, ".yml") || cli_ends_in(word, ".json");
}

bool cli_find_cases(struct cli *cli, const char *word, char ret_path[BENCH_PATH_BYTES])
{
    static const char *const names[] = {"tests/cases.yaml", "cases.yaml", "tests/cases.json",
                                        "cases.json"};
    char folder[BENCH_PATH_BYTES];
    if (is_cases(word)) {
        snprintf(ret_path, BENCH_PATH_BYTES, "%s", word);
        return true;
    }
    if (cli_is_folder(cli, word)) {
        snprintf(folder, sizeof(folder), "%s", word);
    } else {
        cli_path_folder(word, folder);
    }
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        cli_path_join(folder, names[i], ret_path);
        if (cli_is_file(cli, ret_path)) {
            return true;
        }
    }
    return false;
}

/* ---- cases ---- */

int cli_cases_read(struct cli *cli, const char *path, struct cli_cases *ret_cases)
{
    static struct config_report report;
    char text[BENCH_TEXT_BYTES];
    struct cli_cases cases = {.arena = NULL};
    report = (struct config_report){.count = 0};
    snprintf(cases.path, sizeof(cases.path), "%s", path);
    if (bench_read(cli->os, path, CLI_CASES_BYTES_MAX, &cases.text, text) != SLUICE_OK) {
        cli_complain("%s", text);
        return CLI_FAILED;
    }
    cases.arena = config_arena_new();
    if (cases.arena == NULL ||
        case_file_parse(cases.arena, cases.text, path, &report, &cases.file) != SLUICE_OK) {
        config_report_write(&report, stderr);
        cli_cases_free(&cases);
        return CLI_CONFIG;
    }
    *ret_cases = cases;
    return CLI_OK;
}

void cli_cases_free(struct cli_cases *cases)
{
    cases->arena = config_arena_free(cases->arena);
    sl_free((void *)(uintptr_t)cases->text.data);
    cases->text = (struct sl_bytes){NULL, 0};
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"plugin new", cli_plugin_new, "NAME", 1, 1, CLI_OPTION(HELP) | CLI_OPTION(LANG),
     "make a folder with a plugin that builds and passes its test"},
    {"plugin build", cli_plugin_build, "[DIR|FILE.c] [-- FLAG...]", 0, 34, CLI_OPTION(HELP) | CLI_OPTION(OUT),
     "compile the C plugin in a folder with this program's SDK headers\n\n"
     "All .c files of DIR (default: here) become NAME.so there; flags behind -- go to the compiler,\n"
     "which is cc or $CC."},
    {"plugin check", cli_plugin_check, "[FILE]", 0, 1, CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(SEED) | CLI_OPTION(BATCHES) | CLI_OPTION(SAMPLE),
     "whether a plugin keeps the rules: lives, threads, configurations, odd and random batches\n\n"
     "A frontend runs on a broker and clients that are made up; --sample FILE has bytes that a client sent."},
    {"plugin test", cli_plugin_test, "FILE|CASES [CASES] [N]", 1, 3, CLI_BROKER_OPTIONS | CLI_OPTION(RECORD),
     "run the test cases of a plugin in a worker of its own\n\n"
     "FILE is a .so, a .lua or a folder with one; its cases are tests/cases.yaml or cases.yaml beside\n"
     "it, or CASES. --record TOPIC N adds what becomes of the topic's last N records as a case."},
    {"plugin try", cli_plugin_try, "FILE", 1, 1,
     CLI_BROKER_OPTIONS | CLI_OPTION(SAMPLE) | CLI_OPTION(TOPIC) | CLI_OPTION(LAST) | CLI_OPTION(AGAINST),
     "run records through a plugin that no broker runs yet, and show what differs\n\n"
     "With --topic the version that the broker runs is beside it: the file of the same name in its\n"
     "plugins folder. Nothing is written. Exit code 1: something differs."},
    {"plugin deploy", cli_plugin_deploy, "DIR|FILE", 1, 1, CLI_CHANGE_OPTIONS | CLI_OPTION(YES) | CLI_OPTION(FORCE),
     "test a plugin, check it, and only then put it into plugins.dir and load it\n\n"
     "Its cases beside it as for plugin test, the rules as for plugin check, then plugin load, which copies\n"
     "the file whole or not at all. What fails before leaves everything as it is."},
    {"plugin diff", cli_plugin_diff, "DIR|FILE", 1, 1, CLI_BROKER_OPTIONS,
     "a plugin's file beside the one of the same name that the broker runs\n\n"
     "Of a .lua the lines that differ. What differs in what they do: plugin try. Exit code 1: they differ."},
    {"plugin logs", cli_plugin_logs, "PLUGIN", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(FOLLOW),
     "what a plugin logged, and what the broker said of it, as far as it is kept\n\n"
     "The broker keeps its last 2,048 lines in memory. -F waits for more."},
    {"plugin dev", cli_plugin_dev, "[DIR]", 0, 1, CLI_BROKER_OPTIONS | CLI_OPTION(ONCE),
     "build, test and load the plugin in a folder at each change"},
};
/* clang-format on */

const struct cli_table cli_workbench_table = {
    .title = "Plugins", .commands = commands, .count = SL_COUNT_OF(commands)};
