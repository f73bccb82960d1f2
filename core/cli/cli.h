/* cli.h: every command of `sluice` but serve. They talk to a running broker over its admin socket,
 * or read files. Data goes to stdout, talk to stderr. */
#ifndef SL_CLI_CLI_H
#define SL_CLI_CLI_H

#include "os/os.h"

/* Exit codes: name, number, what it says. The same table is in `sluice --help` and the man pages.
 * Numbers from 64 on are those of sysexits.h. `sluice check` answers 0 to 3 as monitoring wants. */
#define CLI_EXIT_TABLE(X)                                                                  \
    X(OK, 0, "done")                                                                       \
    X(FAILED, 1, "the answer is no: not found, refused, a test failed, something differs") \
    X(PARTLY, 3, "partly done, or a restart is needed")                                    \
    X(USAGE, 64, "the command line is wrong")                                              \
    X(DATA, 65, "what was given to work on is not valid")                                  \
    X(UNREACHABLE, 69, "no broker answers, or it cannot do so now")                        \
    X(IO, 74, "reading or writing failed, or storage did")                                 \
    X(DENIED, 77, "not permitted")                                                         \
    X(CONFIG, 78, "the configuration is wrong")

enum {
#define CLI_EXIT_ENUM(name, number, text) CLI_##name = number,
    CLI_EXIT_TABLE(CLI_EXIT_ENUM)
#undef CLI_EXIT_ENUM
};

/* Runs argv[1…] and returns the exit code. [blocks] */
int cli_main(int argc, char **argv, struct sl_os *os);

#endif
