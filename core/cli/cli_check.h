/* cli_check.h: how every check answers: a line, and the exit code that Nagios and its kin read.
 * Internal. */
#ifndef SL_CLI_CLI_CHECK_H
#define SL_CLI_CLI_CHECK_H

#include "cli/cli_command.h"

enum check_verdict { CHECK_FINE, CHECK_WARNING, CHECK_CRITICAL, CHECK_UNKNOWN };

/* "OK", "WARNING" … */
const char *check_verdict_name(enum check_verdict verdict);
/* "DISK WARNING - 82 % used": the line, with --json an object; the exit code. */
int check_say(const struct cli *cli, const char *what, enum check_verdict verdict,
              const char *format, ...) SL_PRINTF(4, 5);

cli_command_fn cli_check_host;

#endif
