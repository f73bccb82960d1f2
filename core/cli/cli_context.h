/* cli_context.h: which broker the commands talk to, by a name that was given to it once. Internal.
 *
 * A context is a file of JSON in $XDG_CONFIG_HOME/sluice/contexts (else ~/.config), with what would
 * have to be said each time: {"socket": …, "home": …, "config": …, "dev": true}. */
#ifndef SL_CLI_CLI_CONTEXT_H
#define SL_CLI_CLI_CONTEXT_H

#include "cli/cli_command.h"

#define CONTEXT_NAME_BYTES 65
#define CONTEXT_PATH_BYTES 512

struct cli_context {
    char name[CONTEXT_NAME_BYTES]; /* "": none is meant */
    char socket[CONTEXT_PATH_BYTES], home[CONTEXT_PATH_BYTES], config[CONTEXT_PATH_BYTES];
    bool dev;
};

/* That of --context, of $SLUICE_CONTEXT, or the one in use. CLI_OK, also when none is; CLI_CONFIG:
 * a sentence was written. */
int cli_context_chosen(struct cli *cli, struct cli_context *ret_context);
/* Each name, for completion. */
void cli_context_each(struct cli *cli, void (*take)(void *arg, const char *name), void *arg);

#endif
