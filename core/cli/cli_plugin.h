/* cli_plugin.h: the commands of `sluice plugin …` (cli_plugin.c holds their table). Internal. */
#ifndef SL_CLI_CLI_PLUGIN_H
#define SL_CLI_CLI_PLUGIN_H

#include "cli/cli_command.h"

/* cli_plugin_info.c */
cli_command_fn cli_plugin_list, cli_plugin_info;
/* cli_plugin_command.c */
cli_command_fn cli_plugin_command, cli_plugin_reload, cli_plugin_rollback, cli_plugin_load,
    cli_plugin_seek;

#endif
