/* cli_main.c: the tables of commands; it dispatches, and it is the help. */
#include "base/text.h"
#include "cli/cli_command.h"
#include "cli/cli_table.h"

#include <stdlib.h>
#include <string.h>

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

static const struct cli_table *const tables[] = {
#define ADDRESS(name) &cli_##name##_table,
    CLI_TABLES(ADDRESS)
#undef ADDRESS
};

const struct cli_command *cli_command_at(size_t index, const struct cli_table **ret_table)
{
    for (size_t i = 0; i < SL_COUNT_OF(tables); i++) {
        if (index < tables[i]->count) {
            *ret_table = tables[i];
            return &tables[i]->commands[index];
        }
        index -= tables[i]->count;
    }
    return NULL;
}

/* ---- help ---- */

static void command_line_write(const struct cli_command *command, FILE *out)
{
    fprintf(out, "  %-17s %.*s\n", command->name, (int)strcspn(command->doc, "\n"), command->doc);
}

static void exit_codes_write(FILE *out)
{
    static const struct {
        int number;
        const char *text;
    } codes[] = {
#define ROW(name, number, text) {number, text},
        CLI_EXIT_TABLE(ROW)
#undef ROW
    };
    fputs("\nExit codes\n", out);
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
        if (strcmp(title, table->title) != 0) {
            title = table->title;
            fprintf(out, "\n%s\n", title);
        }
        command_line_write(command, out);
    }
    exit_codes_write(out);
    fputs("\n\"sluice COMMAND --help\" shows arguments and options; --version the version.\n", out);
}

static void command_help_write(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    printf("Usage: sluice %s %s%s[options]\n\n%s\n\nOptions\n", command->name, command->arguments,
           command->arguments[0] == '\0' ? "" : " ", command->doc);
    cli_options_help(cli->table, command, stdout);
}

/* ---- finding a command ---- */

/* The command that the first one or two words name; *ret_used words. */
static const struct cli_command *command_find(int argc, char **argv, int *ret_used,
                                              const struct cli_table **ret_table)
{
    const struct cli_command *command;
    for (size_t i = 0; (command = cli_command_at(i, ret_table)) != NULL; i++) {
        const char *name = command->name;
        size_t size = strcspn(name, " ");
        bool two = name[size] == ' ';
        if (strlen(argv[0]) != size || memcmp(argv[0], name, size) != 0 ||
            (two && (argc < 2 || strcmp(argv[1], name + size + 1) != 0))) {
            continue;
        }
        *ret_used = two ? 2 : 1;
        return command;
    }
    return NULL;
}

static bool is_of_group(const struct cli_command *command, const char *word)
{
    size_t size = strlen(word);
    return strncmp(command->name, word, size) == 0 && command->name[size] == ' ';
}

/* How many commands begin with the word; they go to `out` unless it is NULL. */
static uint32_t group_each(const char *word, FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    uint32_t count = 0;
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (is_of_group(command, word)) {
            count++;
            if (out != NULL) {
                command_line_write(command, out);
            }
        }
    }
    return count;
}

static const char *nearest(const char *text)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const char *known[CLI_COMMANDS_MAX];
    size_t count = 0;
    while ((command = cli_command_at(count, &table)) != NULL && count < CLI_COMMANDS_MAX) {
        known[count++] = command->name;
    }
    struct sl_bytes typed = {(const uint8_t *)text, strlen(text)};
    return sl_text_nearest(typed, known, count);
}

static int unknown(int argc, char **argv)
{
    char word[128];
    bool two = argc > 1 && argv[1][0] != '-';
    snprintf(word, sizeof(word), "%.60s%s%.60s", argv[0], two ? " " : "", two ? argv[1] : "");
    if (!two && group_each(argv[0], NULL) > 0) {
        cli_complain("\"%s\" needs a second word:", argv[0]);
        group_each(argv[0], stderr);
        return CLI_USAGE;
    }
    const char *best = nearest(word);
    best = best != NULL ? best : nearest(argv[0]);
    cli_complain("unknown command \"%s\"; %s%s%s", word,
                 best != NULL ? "did you mean \"sluice " : "\"sluice --help\" lists all",
                 best != NULL ? best : "", best != NULL ? "\"?" : "");
    return CLI_USAGE;
}

static int command_run(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *command = cli->command;
    if (!cli_options_parse(cli, argc, argv)) {
        return CLI_USAGE;
    }
    if (cli->options.help) {
        command_help_write(cli);
        return CLI_OK;
    }
    if (cli->options.word_count < command->word_min ||
        cli->options.word_count > command->word_max) {
        cli_complain("sluice %s takes %s; see \"sluice %s --help\"", command->name,
                     command->arguments[0] == '\0' ? "no arguments" : command->arguments,
                     command->name);
        return CLI_USAGE;
    }
    return command->run(cli);
}

int cli_main(int argc, char **argv, struct sl_os *os)
{
    int used = 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help_write(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("sluice " SLUICE_VERSION "\n");
        return CLI_OK;
    }
    char *executable = realpath("/proc/self/exe", NULL);
    struct cli cli = {.os = os, .executable = executable, .colour = sl_descriptor_is_terminal(1)};
    cli.colour = cli.colour && getenv("NO_COLOR") == NULL;
    cli.command = command_find(argc - 1, argv + 1, &used, &cli.table);
    int code = cli.command == NULL ? unknown(argc - 1, argv + 1)
                                   : command_run(&cli, argc - 1 - used, argv + 1 + used);
    free(executable);
    if (fflush(stdout) != 0 && code == CLI_OK) {
        cli_complain("standard output cannot be written");
        code = CLI_IO;
    }
    return code;
}
