/* cli.h: every command of `sluice` but serve. They talk to a running broker over its admin socket,
 * or read files. Data goes to stdout, talk to stderr. */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include "os/os.h"

/* Exit codes; the same in `sluice --help`. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,       /* the answer is no */
    CLI_USAGE = 2,        /* the command line is wrong */
    CLI_PARTLY = 3,       /* some of it was done */
    CLI_UNREACHABLE = 69, /* no broker answers */
    CLI_CONFIG = 78,      /* the configuration is wrong */
};

/* Runs argv[1…] and returns the exit code. [blocks] */
int cli_main(int argc, char **argv, struct sl_os *os);

#endif
