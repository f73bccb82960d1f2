/* cli_table.h: the tables of commands and options, walked: by the parser, the help, the man pages,
 * the completions and docs/reference/cli.md. [any] */
#ifndef SL_CLI_CLI_TABLE_H
#define SL_CLI_CLI_TABLE_H

#include "cli/cli_command.h"

#define CLI_OPTIONS_MAX  64u  /* that one command takes */
#define CLI_COMMANDS_MAX 256u /* of all tables */

/* The command at that place of all tables, and its table; NULL behind the last. */
const struct cli_command *cli_command_at(size_t index, const struct cli_table **ret_table);

/* One option of a command, wherever it is declared. */
struct cli_option_view {
    const char *name, *argument, *doc; /* argument NULL: a flag */
    char letter;                       /* 0: none */
    size_t shared;                     /* its place in the shared table, unless own */
    const struct cli_option *own;
};
/* False behind the command's last option. */
bool cli_option_at(const struct cli_table *table, const struct cli_command *command, size_t index,
                   struct cli_option_view *ret_view);

#endif
