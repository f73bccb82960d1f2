/* cli_sandbox.h: what this machine gives plugins, for other commands. Internal. */
#ifndef SL_CLI_CLI_SANDBOX_H
#define SL_CLI_CLI_SANDBOX_H

#include "cli/cli_command.h"

#include <sandbox/layers.h>

/* Whether the plugins that try it are installed; without them nothing can be told. */
bool cli_sandbox_is_here(struct cli *cli);
/* Starts a harmless plugin and tells the walls around it. False: none can be started, ret_text says
 * why. [blocks] */
bool cli_sandbox_layers(struct cli *cli, struct sandbox_layer ret_layers[SANDBOX_LAYERS_MAX],
                        uint32_t *ret_count, char ret_text[SANDBOX_TEXT_SIZE_MAX]);
/* The text in lines of at most `width` characters, each behind `indent` spaces but the first. */
void cli_wrapped_write(const char *text, int indent, size_t width);

#endif
