/* cli_top_none.c: the screen of top where ncurses was not there when this was built. */
#include "cli/cli_top.h"

int top_screen_run(struct cli *cli, int64_t interval_ms)
{
    (void)cli;
    (void)interval_ms;
    cli_complain(
        "this build has no screen for top: ncurses was not there when it was made (Debian: "
        "libncurses-dev); \"sluice top --once\" works");
    return CLI_FAILED;
}
