/* cli_workbench_build.c: plugin new makes a folder, plugin build a module of it, with the C
 * compiler of the machine and the SDK headers that belong to this program. */
#include "cli/cli_workbench.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"
#include "workbench/template.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 64u
#define FLAGS_MAX   32u
#define PARENTS_MAX 6u

/* ---- new ---- */

static void say_made(void *arg, const char *path)
{
    (void)arg;
    printf("  %s\n", path);
}

static void say_next(const char *folder, const char *lang)
{
    bool lua = strcmp(lang, "lua") == 0;
    puts("\nNext:");
    if (!lua) {
        printf("  sluice plugin build %s\n", folder);
    }
    if (strcmp(lang, "frontend") == 0) {
        printf("  sluice plugin check %s\n", folder);
    } else {
        printf(
            "  sluice plugin test %s\n  sluice plugin dev %s     # build, test and reload at each "
            "save\n",
            folder, folder);
    }
}

int cli_template_make(struct cli *cli, const char *kind, const char *lang)
{
    const char *folder = cli->options.words[0];
    const char *slash = strrchr(folder, '/');
    const char *name = slash != NULL ? slash + 1 : folder;
    char text[TEMPLATE_TEXT_BYTES];
    if (!template_name_check(name, text)) {
        cli_complain("%s", text);
        return CLI_USAGE;
    }
    sl_err err = template_make(cli->os, kind, lang, folder, name, say_made, NULL, text);
    if (err != SLUICE_OK) {
        cli_complain("%s", text);
        return err == SLUICE_E_UNSUPPORTED ? CLI_USAGE : CLI_FAILED;
    }
    return CLI_OK;
}

int cli_plugin_new(struct cli *cli)
{
    const char *lang = cli_value(&cli->options.lang, "c");
    int code = cli_template_make(cli, "plugin", lang);
    if (code == CLI_OK) {
        say_next(cli->options.words[0], lang);
    }
    return code;
}

/* ---- build ---- */

struct build {
    char folder[BENCH_PATH_BYTES];
    char out[BENCH_PATH_BYTES];
    char fresh[BENCH_PATH_BYTES];
    char include[BENCH_PATH_BYTES];
    char sources[SOURCES_MAX][BENCH_PATH_BYTES];
    uint32_t source_count;
    bool too_many;
    const char *flags[FLAGS_MAX];
    uint32_t flag_count;
};

/* "<prefix>/include" of an installed Sluice, or "sdk/include" of the source tree above a build. */
static bool find_sdk(struct cli *cli, char ret_path[BENCH_PATH_BYTES])
{
    static const char *const places[] = {"include", "sdk/include"};
    char folder[BENCH_PATH_BYTES];
    char header[BENCH_PATH_BYTES];
    cli_path_folder(cli->executable != NULL ? cli->executable : "", folder);
    for (uint32_t up = 0; up < PARENTS_MAX && strcmp(folder, "/") != 0; up++) {
        cli_path_folder(folder, folder);
        for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
            cli_path_join(folder, places[i], ret_path);
            cli_path_join(ret_path, "sluice/sluice.h", header);
            if (cli_is_file(cli, header)) {
                return true;
            }
        }
    }
    cli_complain(
        "the SDK headers are missing: there is no include/sluice/sluice.h above %s; install "
        "Sluice's SDK beside it",
        cli->executable != NULL ? cli->executable : "the program");
    return false;
}

static void take_source(void *arg, const char *name, bool is_directory)
{
    struct build *build = arg;
    if (is_directory || name[0] == '.' || !cli_ends_in(name, ".c")) {
        return;
    }
    if (build->source_count == SOURCES_MAX) {
        build->too_many = true;
        return;
    }
    cli_path_join(build->folder, name, build->sources[build->source_count++]);
}

/* NAME.so in the folder, which has the plugin's name; for one source its own. */
static bool name_output(struct cli *cli, struct build *build, const char *word)
{
    char name[BENCH_PATH_BYTES];
    const char *given = cli_value(&cli->options.out, NULL);
    if (given != NULL) {
        snprintf(build->out, sizeof(build->out), "%s", given);
    } else if (cli_ends_in(word, ".c")) {
        snprintf(build->out, sizeof(build->out), "%.*sso", (int)strlen(word) - 1, word);
    } else {
        char *whole = realpath(build->folder, NULL);
        const char *slash = whole != NULL ? strrchr(whole, '/') : NULL;
        snprintf(name, sizeof(name), "%s.so", slash != NULL ? slash + 1 : "plugin");
        free(whole);
        cli_path_join(build->folder, name, build->out);
    }
    return snprintf(build->fresh, sizeof(build->fresh), "%s.new", build->out) <
           (int)sizeof(build->fresh);
}

static int sources_find(struct cli *cli, struct build *build, const char *word)
{
    if (cli_ends_in(word, ".c")) {
        if (!cli_is_file(cli, word)) {
            cli_complain("cannot read %s: there is no such file", word);
            return CLI_FAILED;
        }
        snprintf(build->sources[build->source_count++], BENCH_PATH_BYTES, "%s", word);
        return CLI_OK;
    }
    snprintf(build->folder, sizeof(build->folder), "%s", word);
    sl_err err = sl_dir_list(cli->os, build->folder, take_source, build);
    if (err != SLUICE_OK || build->too_many || build->source_count == 0) {
        cli_complain(err != SLUICE_OK ? "%s is neither a folder nor a .c file"
                     : build->too_many
                         ? "%s holds more than 64 sources; use a build system of its own"
                         : "%s holds no .c file; a Lua plugin needs no build",
                     word);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int compile(struct build *build)
{
    const char *compiler = getenv("CC");
    const char *argv[SOURCES_MAX + FLAGS_MAX + 16];
    uint32_t count = 0;
    int code = 0;
    compiler = compiler != NULL && compiler[0] != '\0' ? compiler : "cc";
    const char *const head[] = {
        compiler, "-shared", "-fPIC", "-O2", "-g", "-Wall", "-Wextra", "-fvisibility=hidden", "-I"};
    for (size_t i = 0; i < SL_COUNT_OF(head); i++) {
        argv[count++] = head[i];
    }
    argv[count++] = build->include;
    argv[count++] = "-o";
    argv[count++] = build->fresh;
    for (uint32_t i = 0; i < build->source_count; i++) {
        argv[count++] = build->sources[i];
    }
    for (uint32_t i = 0; i < build->flag_count; i++) {
        argv[count++] = build->flags[i];
    }
    argv[count] = NULL;
    sl_err err = sl_process_run(argv, &code);
    if (err != SLUICE_OK) {
        cli_complain(
            err == SLUICE_E_NOT_FOUND
                ? "there is no C compiler: \"%s\" is not in PATH; install one (Debian: apt "
                  "install gcc libc6-dev) or name one by CC=…"
                : "the compiler \"%s\" cannot be run",
            compiler);
        return CLI_FAILED;
    }
    if (code != 0) {
        cli_complain("not built: %s ended with %d; what it says is above", compiler, code);
    }
    return code == 0 ? CLI_OK : CLI_FAILED;
}

/* The new module takes the old one's place at once, and only when it can be read as one. */
static int put_in_place(struct cli *cli, struct build *build)
{
    struct bench bench = {.os = cli->os};
    struct bench_file file;
    char text[BENCH_TEXT_BYTES];
    sl_err err = sl_path_rename(cli->os, build->fresh, build->out);
    if (err != SLUICE_OK) {
        cli_complain("cannot write %s: %s", build->out, sl_status_text(err));
        return CLI_FAILED;
    }
    if (bench_file_open(&bench, build->out, &file, text) != SLUICE_OK) {
        cli_complain("built, but no broker would load it: %s", text);
        return CLI_FAILED;
    }
    const struct manifest *manifest = bench_file_manifest(&file);
    printf("built %s%s%s%s%s%s\n", build->out, manifest->id[0] != '\0' ? ": " : "", manifest->id,
           manifest->version[0] != '\0' ? " " : "", manifest->version,
           manifest->id[0] == '\0' ? "; it has no manifest (SLUICE_MANIFEST)" : "");
    bench_file_close(&file);
    return CLI_OK;
}

int cli_plugin_build(struct cli *cli)
{
    struct build *build = calloc(1, sizeof(*build));
    const char *word = NULL;
    int code = build != NULL ? CLI_OK : CLI_FAILED;
    for (uint32_t i = 0; i < cli->options.word_count && code == CLI_OK; i++) {
        const char *each = cli->options.words[i];
        if (each[0] == '-' && build->flag_count < FLAGS_MAX) {
            build->flags[build->flag_count++] = each;
        } else if (word == NULL && each[0] != '-') {
            word = each;
        } else {
            cli_complain("sluice plugin build takes one folder or file, and behind -- at most %u "
                         "flags of the compiler",
                         FLAGS_MAX);
            code = CLI_USAGE;
        }
    }
    word = word != NULL ? word : ".";
    code = code != CLI_OK ? code : sources_find(cli, build, word);
    if (code == CLI_OK && (!find_sdk(cli, build->include) || !name_output(cli, build, word))) {
        code = CLI_FAILED;
    }
    code = code != CLI_OK ? code : compile(build);
    code = code != CLI_OK ? code : put_in_place(cli, build);
    free(build);
    return code;
}
