/* cli_table.h: the tables of commands and options, walked: by the parser, the help, the man pages,
 * the completions and docs/reference/cli.md. [any] */
#ifndef SL_CLI_CLI_TABLE_H
#define SL_CLI_CLI_TABLE_H

#include "cli/cli_command.h"

#define CLI_OPTIONS_MAX  64u  /* that one command takes */
#define CLI_COMMANDS_MAX 256u /* of all tables */

/* The command at that place of all tables, and its table; NULL behind the last. */
const struct cli_command *cli_command_at(size_t index, const struct cli_table **ret_table);

/* Those that are explained once for all commands. */
#define CLI_COMMON_OPTIONS (CLI_BROKER_OPTIONS | CLI_OPTION(COLOR))

/* One option of a command, wherever it is declared. */
struct cli_option_view {
    const char *name, *argument, *doc; /* argument NULL: a flag */
    char letter;                       /* 0: none */
    size_t shared;                     /* its place in the shared table, unless own */
    bool is_common;                    /* one that all commands with a broker take */
    const struct cli_option *own;
};
/* False behind the command's last option. */
bool cli_option_at(const struct cli_table *table, const struct cli_command *command, size_t index,
                   struct cli_option_view *ret_view);
/* Of cli->command, by "--name", "--name=value" or "-x". */
bool cli_option_find(const struct cli *cli, const char *word, struct cli_option_view *ret_view);
/* A value of an option that takes one. False: it has its maximum of values. */
bool cli_option_store(struct cli *cli, const struct cli_option_view *view, const char *value);

/* The command that the first one or two words name, also by another name, and its table; *ret_used
 * words. NULL: there is none. */
const struct cli_command *cli_command_find(int argc, const char *const *argv, int *ret_used,
                                           const struct cli_table **ret_table);
/* Another name of a command: "transform try" is "plugin try". NULL behind the last. */
struct cli_alias {
    const char *name, *of;
};
const struct cli_alias *cli_alias_at(size_t index);
/* The name that is most like the text; NULL: none is. */
const char *cli_command_nearest(const char *text);

/* True when the command is one that people see: in help, pages and completions. */
static inline bool cli_is_shown(const struct cli_table *table)
{
    return table->title != NULL;
}

/* sluice --version, and with json all that is known of this build (cli_version.c). */
void cli_version_write(bool json);
/* The same, to be deleted. */
cJSON *cli_version_json(void);
/* Whether this build has it: "frontend_kafka", "hot-reload" … as --version --json lists them. */
bool cli_build_has(const char *feature);

/* ---- pages (cli_manual.c), completion (cli_complete.c) ---- */

/* docs/reference/cli.md */
void cli_reference_write(FILE *out);
void cli_exit_codes_write(FILE *out);

#endif
