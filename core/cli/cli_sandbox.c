/* cli_sandbox.c: sandbox explain and selftest: which walls stand around plugins on this machine,
 * and whether they hold.
 *
 * explain PLUGIN asks the broker about the running plugin; without a name it starts a harmless
 * plugin of its own and shows what this kernel gives any. selftest runs the attack suite
 * (sandbox/selftest.h) with the worker and the hostile plugins that lie beside the program; no
 * broker is needed, and none is touched. */
#include "cli/cli_sandbox.h"
#include "cli/cli_workbench.h"
#include "os/os_program.h"

#include <sandbox/selftest.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES     4352u
#define PROGRESS_BARS  30u
#define SHOWN_BYTES    128u /* of a word with its colour */
#define DETAIL_COLUMNS 60u

/* ---- the suite beside the program ---- */

struct suite_paths {
    char worker[PATH_BYTES];
    char directory[PATH_BYTES];
    char lua[PATH_BYTES];
    char ffi[PATH_BYTES];
};

/* The worker, and "<parent of the program's folder>/lib/sluice/…". */
static bool find_suite(const struct cli *cli, struct suite_paths *ret_paths)
{
    const char *slash = cli->executable != NULL ? strrchr(cli->executable, '/') : NULL;
    if (slash == NULL) {
        return false;
    }
    int size = (int)(slash - cli->executable);
    sl_program_worker(cli->executable, ret_paths->worker);
    snprintf(ret_paths->directory, PATH_BYTES, "%.*s/../lib/sluice/selftest", size,
             cli->executable);
    snprintf(ret_paths->lua, PATH_BYTES, "%.*s/../lib/sluice/plugins/processor_lua.so", size,
             cli->executable);
    snprintf(ret_paths->ffi, PATH_BYTES, "%.*s/../lib/sluice/plugins/processor_ffi.so", size,
             cli->executable);
    return true;
}

static bool suite_open(const struct cli *cli, struct selftest **ret_selftest,
                       char ret_text[SANDBOX_TEXT_SIZE_MAX])
{
    static struct suite_paths paths;
    const struct selftest_options options = {.worker_path = paths.worker,
                                             .directory = paths.directory,
                                             .lua_path = paths.lua,
                                             .ffi_path = paths.ffi};
    snprintf(ret_text, SANDBOX_TEXT_SIZE_MAX, "the program's own path is not known");
    return find_suite(cli, &paths) &&
           selftest_open(&options, ret_selftest, ret_text, SANDBOX_TEXT_SIZE_MAX) == SLUICE_OK;
}

static int open_suite(const struct cli *cli, struct selftest **ret_selftest)
{
    char text[SANDBOX_TEXT_SIZE_MAX];
    if (!suite_open(cli, ret_selftest, text)) {
        cli_complain("the sandbox cannot be tried here: %s", text);
        return CLI_FAILED;
    }
    return CLI_OK;
}

bool cli_sandbox_is_here(struct cli *cli)
{
    static struct suite_paths paths;
    return find_suite(cli, &paths) && cli_is_folder(cli, paths.directory);
}

bool cli_sandbox_layers(struct cli *cli, struct sandbox_layer ret_layers[SANDBOX_LAYERS_MAX],
                        uint32_t *ret_count, char ret_text[SANDBOX_TEXT_SIZE_MAX])
{
    struct selftest *selftest = NULL;
    if (!suite_open(cli, &selftest, ret_text)) {
        return false;
    }
    *ret_count = sandbox_layers(selftest_report(selftest), ret_layers);
    selftest_close(selftest);
    return true;
}

/* ---- layers ---- */

static void coloured(const struct cli *cli, const char *text, const char *colour,
                     char ret_text[SHOWN_BYTES])
{
    snprintf(ret_text, SHOWN_BYTES, cli->colour ? "\x1b[%.8sm%.80s\x1b[0m" : "%.0s%.80s", colour,
             text);
}

static const char *state_colour(const char *state)
{
    return strcmp(state, "in force") == 0 || strcmp(state, "granted") == 0 ? "32"
           : strcmp(state, "partly") == 0 || strcmp(state, "off") == 0     ? "33"
                                                                           : "31";
}

void cli_wrapped_write(const char *text, int indent, size_t width)
{
    while (strlen(text) > width) {
        size_t size = width;
        while (size > 0 && text[size] != ' ') {
            size--;
        }
        size = size > 0 ? size : width;
        printf("%.*s\n%*s", (int)size, text, indent, "");
        text += size + strspn(text + size, " ");
    }
    puts(text);
}

static void layers_write(const struct cli *cli, const cJSON *layers)
{
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers)
    {
        char state[1024];
        char shown[SHOWN_BYTES];
        char text[1024];
        cli_member_text(layer, "state", state);
        coloured(cli, state, state_colour(state), shown);
        printf("  %-16s %s%*s  ", cli_member_text(layer, "layer", text), shown,
               (int)(13 - SL_MIN(strlen(state), 13u)), "");
        cli_wrapped_write(cli_member_text(layer, "detail", text), 34, DETAIL_COLUMNS + 24);
    }
}

static cJSON *layers_json(const struct sandbox_report *report)
{
    struct sandbox_layer layers[SANDBOX_LAYERS_MAX];
    uint32_t count = sandbox_layers(report, layers);
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < count; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "layer", layers[i].name);
        cJSON_AddStringToObject(entry, "state", layers[i].label);
        cJSON_AddStringToObject(entry, "detail", layers[i].text);
        cJSON_AddItemToArray(array, entry);
    }
    return array;
}

/* ---- explain ---- */

static void title_write(const struct cli *cli, const char *text)
{
    printf("%s%s%s\n", cli->colour ? "\x1b[1m" : "", text, cli->colour ? "\x1b[0m" : "");
}

static void pair_write(const cJSON *object, const char *name, const char *shown)
{
    char text[1024];
    if (cli_member_text(object, name, text)[0] != '\0') {
        printf("  %-16s %s\n", shown, text);
    }
}

static void limits_write(const cJSON *limits)
{
    char text[1024];
    long long memory = strtoll(cli_member_text(limits, "memory_bytes", text), NULL, 10);
    if (memory > 0) {
        printf("  %-16s %lld MiB\n", "memory", memory >> 20);
        printf("  %-16s %s %% of one processor", "cpu",
               cli_member_text(limits, "cpu_percent", text));
        printf(", %s ms at once\n", cli_member_text(limits, "cpu_burst_ms", text));
        pair_write(limits, "descriptors", "descriptors");
    }
    printf("  %-16s %s ms a batch\n", "deadline", cli_member_text(limits, "deadline_ms", text));
}

static void permissions_write(const struct cli *cli, const cJSON *permissions)
{
    const cJSON *each;
    if (cJSON_GetArraySize(permissions) == 0) {
        puts("  none: no file, no network");
    }
    cJSON_ArrayForEach(each, permissions)
    {
        char text[1024];
        char state[1024];
        char shown[SHOWN_BYTES];
        cli_member_text(each, "state", state);
        coloured(cli, state, state_colour(state), shown);
        printf("  %s: %s\n", cli_member_text(each, "permission", text), shown);
    }
}

static void plugin_write(const struct cli *cli, const cJSON *object)
{
    char text[1024];
    char title[1200];
    snprintf(title, sizeof(title), "%s", cli_member_text(object, "principal", text));
    title_write(cli, title);
    pair_write(object, "state", "state");
    pair_write(object, "reason", "reason");
    pair_write(object, "mode", "mode");
    pair_write(object, "worker_pid", "worker");
    pair_write(object, "reads", "reads");
    pair_write(object, "writes", "writes");
    title_write(cli, "Limits");
    limits_write(cJSON_GetObjectItemCaseSensitive(object, "limits"));
    title_write(cli, "Permissions");
    permissions_write(cli, cJSON_GetObjectItemCaseSensitive(object, "permissions"));
    title_write(cli, "Walls");
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(object, "layers");
    if (cJSON_GetArraySize(layers) == 0) {
        puts("  no worker runs now; \"sluice sandbox explain\" without a name shows this kernel's");
    }
    layers_write(cli, layers);
}

static int explain_machine(struct cli *cli)
{
    struct selftest *selftest = NULL;
    int code = open_suite(cli, &selftest);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON *layers = layers_json(selftest_report(selftest));
    cJSON_AddItemToObject(object, "layers", layers);
    if (cli->options.json) {
        cli_json_write(object);
    } else {
        title_write(cli, "Walls that this machine gives a plugin with the default limits");
        layers_write(cli, layers);
    }
    cJSON_Delete(object);
    selftest_close(selftest);
    return CLI_OK;
}

static int sandbox_explain(struct cli *cli)
{
    cJSON *reply = NULL;
    if (cli->options.word_count == 0) {
        return explain_machine(cli);
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    int code = cli_call_once(cli, "plugin.sandbox", args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        plugin_write(cli, cli_result(reply));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

/* ---- selftest ---- */

struct selftest_course {
    struct cli *cli;
    cJSON *rows;
    uint32_t wanted, done, failed;
    bool shows; /* a bar */
};

static bool is_wanted(const struct cli *cli, const struct selftest_attack *attack)
{
    for (uint32_t i = 0; i < cli->options.word_count; i++) {
        const char *word = cli->options.words[i];
        if (strcmp(word, attack->group) == 0 || strstr(attack->name, word) != NULL) {
            return true;
        }
    }
    return cli->options.word_count == 0;
}

static void bar_write(const struct selftest_course *course, const char *name)
{
    char bar[PROGRESS_BARS + 1];
    uint32_t filled = PROGRESS_BARS * course->done / SL_MAX(course->wanted, 1u);
    if (!course->shows) {
        return;
    }
    memset(bar, '.', PROGRESS_BARS);
    memset(bar, '#', filled);
    bar[PROGRESS_BARS] = '\0';
    fprintf(stderr, "\r[%s] %u of %u  %s%.60s\x1b[K", bar, course->done, course->wanted,
            course->failed > 0 ? "SOME DID NOT HOLD  " : "", name);
}

static void row_add(struct selftest_course *course, const struct selftest_result *result)
{
    const struct cli *cli = course->cli;
    cJSON *row = cJSON_CreateObject();
    char text[SHOWN_BYTES];
    char detail[SANDBOX_TEXT_SIZE_MAX];
    bool full = cli->options.json || !result->held;
    snprintf(detail, sizeof(detail), "%.*s", full ? (int)sizeof(detail) - 1 : (int)DETAIL_COLUMNS,
             result->text);
    for (char *at = detail; *at != '\0'; at++) {
        *at = (uint8_t)*at < 0x20 || *at == 0x7f ? ' ' : *at; /* it comes from an attacker */
    }
    cJSON_AddStringToObject(row, "group", result->attack->group);
    cJSON_AddStringToObject(row, "attack", result->attack->name);
    cJSON_AddStringToObject(row, "ended", result->ended);
    cJSON_AddStringToObject(row, "detail", detail);
    if (cli->options.json) {
        cJSON_AddNumberToObject(row, "elapsed_ms", result->elapsed_ms);
        cJSON_AddBoolToObject(row, "held", result->held);
    } else {
        coloured(cli, result->held ? "yes" : "NO", result->held ? "32" : "31;1", text);
        cJSON_AddStringToObject(row, "held", text);
    }
    cJSON_AddItemToArray(course->rows, row);
}

static void run_all(struct selftest_course *course, struct selftest *selftest)
{
    struct selftest_result result;
    for (uint32_t i = 0; i < selftest_count(); i++) {
        const struct selftest_attack *attack = selftest_attack(i);
        if (!is_wanted(course->cli, attack)) {
            continue;
        }
        bar_write(course, attack->name);
        selftest_run(selftest, i, &result);
        course->done++;
        course->failed += !result.held;
        row_add(course, &result);
    }
    if (course->shows) {
        fputs("\r\x1b[K", stderr);
    }
}

static void course_write(const struct selftest_course *course, struct selftest *selftest)
{
    static const char *const columns[] = {"group", "attack", "ended", "detail", "held"};
    cJSON *object = cJSON_CreateObject();
    cJSON *layers = layers_json(selftest_report(selftest));
    cJSON_AddItemReferenceToObject(object, "attacks", course->rows);
    cJSON_AddItemToObject(object, "layers", layers);
    cJSON_AddNumberToObject(object, "held", course->done - course->failed);
    cJSON_AddNumberToObject(object, "failed", course->failed);
    if (cli_lines_write(course->cli, course->rows)) {
        ; /* how many held is the exit code */
    } else if (course->cli->options.json) {
        cli_json_write(object);
    } else {
        cli_table_write(course->cli, course->rows, columns, SL_COUNT_OF(columns));
        putchar('\n');
        layers_write(course->cli, layers);
        printf("\n%u of %u attacks were stopped; the plugin beside them and what is outside were "
               "not touched%s\n",
               course->done - course->failed, course->done,
               course->failed > 0 ? " BUT WHERE IT SAYS NO" : "");
    }
    cJSON_Delete(object);
}

static int sandbox_selftest(struct cli *cli)
{
    struct selftest_course course = {.cli = cli,
                                     .shows = !cli->options.json && sl_descriptor_is_terminal(2)};
    struct selftest *selftest = NULL;
    for (uint32_t i = 0; i < selftest_count(); i++) {
        course.wanted += is_wanted(cli, selftest_attack(i));
    }
    if (course.wanted == 0) {
        cli_complain("no attack has \"%s\" in its name", cli->options.words[0]);
        return CLI_USAGE;
    }
    int code = open_suite(cli, &selftest);
    if (code != CLI_OK) {
        return code;
    }
    course.rows = cJSON_CreateArray();
    run_all(&course, selftest);
    course_write(&course, selftest);
    cJSON_Delete(course.rows);
    selftest_close(selftest);
    return course.failed > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"sandbox explain", sandbox_explain, "[PLUGIN]", 0, 1, CLI_BROKER_OPTIONS,
     "the walls around a plugin, its limits and permissions; without a name: what this machine gives"},
    {"sandbox selftest", sandbox_selftest, "[WORD...]", 0, CLI_WORDS_MAX, CLI_TABLE_OPTIONS,
     "run hostile plugins against the sandbox of this machine; WORD: only those"},
};
/* clang-format on */

const struct cli_table cli_sandbox_table = {
    .title = "Sandbox", .commands = commands, .count = SL_COUNT_OF(commands)};
