/* cli_main.c: it dispatches, and it is the help. */
#include "cli/cli_table.h"

#include "base/status.h"
#include "control/explain.h"

#include <stdlib.h>
#include <string.h>

/* ---- help ---- */

static void command_line_write(const struct cli_command *command, FILE *out)
{
    fprintf(out, "  %-17s %.*s\n", command->name, (int)strcspn(command->doc, "\n"), command->doc);
}

void cli_exit_codes_write(FILE *out)
{
    static const struct {
        int number;
        const char *text;
    } codes[] = {
#define ROW(name, number, text) {number, text},
        CLI_EXIT_TABLE(ROW)
#undef ROW
    };
    for (size_t i = 0; i < SL_COUNT_OF(codes); i++) {
        fprintf(out, "  %-17d %s\n", codes[i].number, codes[i].text);
    }
}

static void help_write(FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const char *title = "";
    fputs("Usage: sluice COMMAND [arguments]\n", out);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (!cli_is_shown(table)) {
            continue;
        }
        if (strcmp(title, table->title) != 0) {
            title = table->title;
            fprintf(out, "\n%s\n", title);
        }
        command_line_write(command, out);
    }
    fputs("\nExit codes\n", out);
    cli_exit_codes_write(out);
    fputs("\n\"sluice COMMAND --help\" shows arguments and options; --version the version.\n", out);
}

static void command_help_write(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    printf("Usage: sluice %s %s%s[options]\n\n%s\n\nOptions\n", command->name, command->arguments,
           command->arguments[0] == '\0' ? "" : " ", command->doc);
    cli_options_help(cli->table, command, stdout);
}

/* ---- what is no command ---- */

static bool is_of_group(const char *name, const char *word)
{
    size_t size = strlen(word);
    return strncmp(name, word, size) == 0 && name[size] == ' ';
}

/* How many commands begin with the word; they go to `out` unless it is NULL. */
static uint32_t group_each(const char *word, FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const struct cli_alias *alias;
    uint32_t count = 0;
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (is_of_group(command->name, word)) {
            count++;
            if (out != NULL) {
                command_line_write(command, out);
            }
        }
    }
    for (size_t i = 0; (alias = cli_alias_at(i)) != NULL; i++) {
        if (is_of_group(alias->name, word)) {
            count++;
            if (out != NULL) {
                fprintf(out, "  %-17s the same as %s\n", alias->name, alias->of);
            }
        }
    }
    return count;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int unknown(int argc, char **argv)
{
    char word[128];
    bool two = argc > 1 && argv[1][0] != '-';
    if ((argc < 2 || is_help(argv[1])) && group_each(argv[0], NULL) > 0) {
        bool asked = argc > 1;
        if (!asked) {
            cli_complain("\"%s\" needs a second word:", argv[0]);
        }
        group_each(argv[0], asked ? stdout : stderr);
        return asked ? CLI_OK : CLI_USAGE;
    }
    snprintf(word, sizeof(word), "%.60s%s%.60s", argv[0], two ? " " : "", two ? argv[1] : "");
    const char *best = cli_command_nearest(word);
    best = best != NULL ? best : cli_command_nearest(argv[0]);
    cli_complain("unknown command \"%s\"; %s%s%s", word,
                 best != NULL ? "did you mean \"sluice " : "nothing is like it",
                 best != NULL ? best : "", best != NULL ? "\"?" : "");
    return CLI_USAGE;
}

/* ---- running ---- */

static bool colour_take(struct cli *cli)
{
    const char *when = cli_value(&cli->options.colour, "auto");
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    bool is_dumb = terminal != NULL && strcmp(terminal, "dumb") == 0;
    if (strcmp(when, "auto") == 0) {
        cli->colour =
            sl_descriptor_is_terminal(1) && !is_dumb && (no_colour == NULL || no_colour[0] == '\0');
        return true;
    }
    cli->colour = strcmp(when, "always") == 0;
    if (!cli->colour && strcmp(when, "never") != 0) {
        cli_complain("--color is \"%.20s\" but must be auto, always or never", when);
        return false;
    }
    return true;
}

static int command_run(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *command = cli->command;
    if (command->run == NULL) { /* "sluice help serve" */
        config_help_write(stdout);
        return CLI_OK;
    }
    if (!cli_options_parse(cli, argc, argv) || !colour_take(cli)) {
        return CLI_USAGE;
    }
    cli->options.json = cli->options.json || cli->options.jsonl;
    if (cli->options.help) {
        command_help_write(cli);
        return CLI_OK;
    }
    if (cli->options.word_count < command->word_min ||
        cli->options.word_count > command->word_max) {
        cli_complain("%s takes %s", command->name,
                     command->arguments[0] == '\0' ? "no arguments" : command->arguments);
        return CLI_USAGE;
    }
    return command->run(cli);
}

/* words: behind "sluice", or behind "sluice help" */
static int words_run(struct cli *cli, int argc, char **argv, bool help)
{
    int used = 0;
    cli->command = cli_command_find(argc, (const char *const *)argv, &used, &cli->table);
    if (cli->command == NULL && help) {
        char *words[] = {argv[0], (char[]){"--help"}};
        return unknown(2, words);
    }
    if (cli->command == NULL) {
        return unknown(argc, argv);
    }
    if (help && cli->command->run != NULL) {
        command_help_write(cli);
        return CLI_OK;
    }
    return command_run(cli, argc - used, argv + used);
}

/* The number that fits an exit code where nothing closer was said. */
static sl_err err_of(int code)
{
    static const struct {
        int code;
        sl_err err;
    } errors[] = {{CLI_USAGE, SLUICE_E_INVALID},       {CLI_DATA, SLUICE_E_MALFORMED},
                  {CLI_UNREACHABLE, SLUICE_E_NETWORK}, {CLI_IO, SLUICE_E_IO},
                  {CLI_DENIED, SLUICE_E_PERMISSION},   {CLI_CONFIG, SLUICE_E_CONFIG_VALUE}};
    for (size_t i = 0; i < SL_COUNT_OF(errors); i++) {
        if (errors[i].code == code) {
            return errors[i].err;
        }
    }
    return SLUICE_OK;
}

/* What ended with a code from 64 on and was not explained yet gets the number that fits the code.
 */
static void end_explain(struct cli *cli, int code)
{
    sl_err err = err_of(code);
    if (cli->explained != SLUICE_OK || err == SLUICE_OK) {
        return;
    }
    if (code == CLI_USAGE && cli->command != NULL) {
        cli_next("\"sluice %s --help\" says how (SLU-%04d)", cli->command->name, err);
    } else if (code == CLI_USAGE) {
        cli_next("\"sluice --help\" lists all commands (SLU-%04d)", err);
    } else {
        cli_next("\"sluice errors %d\" explains (SLU-%04d)", err, err);
    }
    cli->explained = err;
}

/* Also where the command line cannot be read. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--jsonl") == 0) {
            return true;
        }
    }
    return false;
}

/* Who asked for JSON and got none, or a stream that broke off, gets the failure as an object, in
 * the broker's own shape. */
static void failure_json(const struct cli *cli, int code)
{
    char name[16];
    const char *next;
    const char *complaint = cli_complained(&next);
    sl_err err = cli->explained != SLUICE_OK ? cli->explained : SLUICE_E_INVALID;
    sl_status_name(err, name);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddBoolToObject(object, "ok", false);
    cJSON_AddNumberToObject(object, "exit", code);
    cJSON *error = cJSON_AddObjectToObject(object, "error");
    cJSON_AddStringToObject(error, "code", name);
    cJSON_AddNumberToObject(error, "status", err);
    cJSON_AddStringToObject(error, "message", complaint);
    cJSON_AddStringToObject(error, "next", next[0] != '\0' ? next : explain_find(err)->next);
    cli_json_write(object);
    cJSON_Delete(object);
}

int cli_main(int argc, char **argv, struct sl_os *os)
{
    if (argc < 2 || (is_help(argv[1]) && argc == 2)) {
        help_write(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        cli_version_write(argc > 2 && strcmp(argv[2], "--json") == 0);
        return CLI_OK;
    }
    char *executable = realpath("/proc/self/exe", NULL);
    struct cli cli = {.os = os, .executable = executable};
    bool help = is_help(argv[1]);
    int code = words_run(&cli, argc - 1 - help, argv + 1 + help, help);
    free(executable);
    end_explain(&cli, code);
    const char *next;
    bool failed = code != CLI_OK && cli_complained(&next)[0] != '\0';
    if (failed && (cli_json_count() == 0 || cli.is_stream) && wants_json(argc, argv)) {
        failure_json(&cli, code);
    }
    if (fflush(stdout) != 0 && code == CLI_OK) {
        cli_complain("standard output cannot be written");
        code = CLI_IO;
        end_explain(&cli, code);
    }
    return code;
}
