/* cli_top_none.c: the screen of top in a build without one (SLUICE_TOP=OFF, or no ncurses). */
#include "cli/cli_top.h"

int top_screen_run(struct cli *cli, int64_t interval_ms)
{
    (void)cli;
    (void)interval_ms;
    cli_complain("this build has no screen for top: SLUICE_TOP was OFF, or ncurses was not there "
                 "when it was "
                 "made (Debian: libncurses-dev); \"sluice top --once\" works");
    return CLI_FAILED;
}
