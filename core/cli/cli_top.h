/* cli_top.h: the screen of top, for cli_top.c. Internal. */
#ifndef SL_CLI_CLI_TOP_H
#define SL_CLI_CLI_TOP_H

#include "cli/cli_command.h"

/* Runs until somebody quits. Without ncurses it says so: CLI_FAILED. */
int top_screen_run(struct cli *cli, int64_t interval_ms);

#endif
