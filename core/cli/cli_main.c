/* cli_main.c: the tables of commands; it dispatches, and it is the help. */
#include "base/text.h"
#include "cli/cli_command.h"

#include <stdlib.h>
#include <string.h>

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

/* clang-format off */
static const struct cli_command commands[] = {
    {"topic list", cli_topic_list, "", 0, 0, CLI_BROKER_OPTIONS, "all topics"},
    {"topic create", cli_topic_create, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG), "make topics"},
    {"topic describe", cli_topic_describe, "TOPIC", 1, 1, CLI_BROKER_OPTIONS,
     "partitions, offsets and configuration of a topic"},
    {"topic alter", cli_topic_alter, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG),
     "change the configuration of topics (-c NAME= goes back to the default), add partitions"},
    {"topic delete", cli_topic_delete, "TOPIC...", 1, CLI_WORDS_MAX, CLI_BROKER_OPTIONS,
     "delete topics with their records"},
    {"topic trim", cli_topic_trim, "TOPIC", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(PARTITION) | CLI_OPTION(BEFORE),
     "delete the records of a partition before an offset"},
    {"produce", cli_produce, "TOPIC [VALUE...]", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(KEY) | CLI_OPTION(HEADER) | CLI_OPTION(PARTITION) | CLI_OPTION(ACKS),
     "write records: each VALUE, or each line of standard input"},
    {"consume", cli_consume, "TOPIC", 1, 1,
     CLI_BROKER_OPTIONS | CLI_OPTION(OFFSET) | CLI_OPTION(COUNT) | CLI_OPTION(FORMAT) | CLI_OPTION(FOLLOW) |
         CLI_OPTION(PARTITION), "read records of one partition or all of them"},
    {"sandbox explain", cli_sandbox_explain, "[PLUGIN]", 0, 1, CLI_BROKER_OPTIONS,
     "the walls around a plugin, its limits and permissions; without a name: what this machine gives"},
    {"sandbox selftest", cli_sandbox_selftest, "[WORD...]", 0, CLI_WORDS_MAX, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "run hostile plugins against the sandbox of this machine; WORD: only those"},
    {"reload", cli_reload, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(DRY_RUN),
     "read the configuration again, as SIGHUP does; what became of each key\n\n"
     "When a plugin refuses its new configuration, nothing changes anywhere.\n\n"
     "Exit codes: 0 all is in force, 3 refused (nothing changed) or partly (a key needs a restart, or what it\n"
     "is for does not run), 69 no broker, 78 the configuration is wrong (nothing changed)."},
    {"status", cli_status, "", 0, 0, CLI_BROKER_OPTIONS, "the broker's state"},
    {"recovery", cli_recovery, "", 0, 0, CLI_BROKER_OPTIONS,
     "what the broker's last start found and mended"},
    {"scrub", cli_scrub, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(NOW) | CLI_OPTION(RATE),
     "whether all that is stored was read and is sound; --now reads it"},
    {"backup create", cli_backup_create, "DIR", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(RATE),
     "copy all that is durable now into a new folder, while the broker serves"},
    {"backup verify", cli_backup_verify, "DIR", 1, 1,
     CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(RATE), "read and check every byte of a backup"},
    {"backup restore", cli_backup_restore, "DIR [NEWDIR]", 1, 2, CLI_FILE_OPTIONS | CLI_OPTION(RATE),
     "make a data folder out of a backup"},
    {"wal dump", cli_wal_dump, "[DIR]", 0, 1,
     CLI_FILE_OPTIONS | CLI_OPTION(TOPIC) | CLI_OPTION(PARTITION) | CLI_OPTION(OFFSETS) | CLI_OPTION(LSN) |
         CLI_OPTION(RECORDS), "every frame and item of the write-ahead log"},
    {"wal verify", cli_wal_verify, "[DIR]", 0, 1, CLI_FILE_OPTIONS,
     "read and check every byte of it"},
    {"wal inspect", cli_wal_inspect, "[DIR]", 0, 1, CLI_FILE_OPTIONS,
     "its segments and checkpoint, and what the next start would do"},
    {"wal salvage", cli_wal_salvage, "DIR [NEWDIR]", 1, 2, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "what a damaged data folder has lost; the rest into a new one"},
    {"extent ls", cli_extent_ls, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS,
     "files of sealed records: live or not, and which records"},
    {"extent dump", cli_extent_dump, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS,
     "their streams, blocks and batches"},
    {"extent verify", cli_extent_verify, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS,
     "read and check every byte of the live ones"},
    {"config check", cli_config_check, "FILE...", 1, CONFIG_FILES_MAX,
     CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(DEV), "check configuration files"},
    {"config show", cli_config_show, "", 0, 0,
     CLI_BROKER_OPTIONS | CLI_OPTION(SET) | CLI_OPTION(RUNNING),
     "every key with its value and where it was set"},
    {"config schema", cli_config_schema, "", 0, 0, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "JSON Schema of the configuration"},
    {"config reference", cli_config_reference, "", 0, 0, CLI_OPTION(HELP),
     "reference page of the configuration"},
    {"config topics", cli_config_topics, "", 0, 0, CLI_OPTION(HELP),
     "reference page of the configurations of topics"},
};
/* clang-format on */

/* clang-format off */
static const struct cli_table *const tables[] = {
    &(const struct cli_table){commands, SL_COUNT_OF(commands)},
    &cli_access_table, &cli_user_table, &cli_quota_table, &cli_flow_table, &cli_group_table, &cli_dlq_table, &cli_plugin_table, &cli_workbench_table,
};
/* clang-format on */
#define COMMANDS_MAX 256u

/* The command at that place of all tables; NULL behind the last. */
static const struct cli_command *command_at(size_t index)
{
    for (size_t i = 0; i < SL_COUNT_OF(tables); i++) {
        if (index < tables[i]->count) {
            return &tables[i]->commands[index];
        }
        index -= tables[i]->count;
    }
    return NULL;
}

static void command_line_write(const struct cli_command *command, FILE *out)
{
    fprintf(out, "  %-17s %.*s\n", command->name, (int)strcspn(command->doc, "\n"), command->doc);
}

static void help_write(FILE *out)
{
    const struct cli_command *command;
    fputs("Usage: sluice COMMAND [arguments]\n\n"
          "  serve             run the broker; \"sluice serve --help\" lists all settings\n",
          out);
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        command_line_write(command, out);
    }
    fputs("\n\"sluice COMMAND --help\" shows arguments and options; --version the version.\n"
          "Exit codes: 0 done, 1 failed, 2 usage, 3 refused or partly done, 69 no broker,\n"
          "78 configuration.\n",
          out);
}

static void command_help_write(const struct cli_command *command)
{
    printf("Usage: sluice %s %s%s[options]\n\n%s\n\nOptions\n", command->name, command->arguments,
           command->arguments[0] == '\0' ? "" : " ", command->doc);
    cli_options_help(command->options, stdout);
}

/* The command that the first one or two words name; *ret_used words. */
static const struct cli_command *command_find(int argc, char **argv, int *ret_used)
{
    const struct cli_command *command;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
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
    uint32_t count = 0;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
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
    const char *known[COMMANDS_MAX];
    size_t count = 0;
    for (size_t i = 0; (command = command_at(i)) != NULL && count < COMMANDS_MAX - 1; i++) {
        known[count++] = command->name;
    }
    known[count++] = "serve";
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
        command_help_write(command);
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
    cli.command = command_find(argc - 1, argv + 1, &used);
    int code = cli.command == NULL ? unknown(argc - 1, argv + 1)
                                   : command_run(&cli, argc - 1 - used, argv + 1 + used);
    free(executable);
    if (fflush(stdout) != 0 && code == CLI_OK) {
        cli_complain("standard output cannot be written");
        code = CLI_FAILED;
    }
    return code;
}
