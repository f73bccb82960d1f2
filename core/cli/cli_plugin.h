/* cli_plugin.h: the commands of `sluice plugin …` (cli_plugin.c holds their table). Internal. */
#ifndef SL_CLI_CLI_PLUGIN_H
#define SL_CLI_CLI_PLUGIN_H

#include "cli/cli_command.h"

#endif
