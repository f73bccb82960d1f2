/* cli_secret.h: passwords and tokens for commands: of a file or of standard input, never words of
 * the command line, which everybody on the machine can read. Internal. [blocks] */
#ifndef SL_CLI_CLI_SECRET_H
#define SL_CLI_CLI_SECRET_H

#include "cli/cli_command.h"

#define CLI_SECRET_BYTES (16u * 1024 + 2) /* a token, a newline and NUL */

/* One line of standard input, without its newline; a person is asked for `what`. False: there was
 * none, or it is longer than `room`. */
bool cli_secret_ask(const char *what, char *ret_secret, size_t room);
/* The first line of a file, or with "-" of standard input. False: a complaint was written. */
bool cli_secret_file(struct cli *cli, const char *path, const char *what, char *ret_secret,
                     size_t room);

#endif
