/* cli_plugin.c: the table of `sluice plugin …`, a row for each command; list and info. */
#include "cli/cli_plugin.h"

#define CONFIRMED_OPTIONS (CLI_CHANGE_OPTIONS | CLI_OPTION(YES) | CLI_OPTION(FORCE))
#define EXIT_CODES        "\nExit codes: 0 done, or so before; 1 refused; 64 wants --yes; 69 no broker."

/* clang-format off */
static const struct cli_command commands[] = {
    {"plugin list", cli_plugin_list, "", 0, 0, CLI_BROKER_OPTIONS, "all plugin instances and their state, and filters in Lua of subscriptions"},
    {"plugin info", cli_plugin_info, "PLUGIN", 1, 1, CLI_BROKER_OPTIONS,
     "what one plugin instance does and costs\n\n"
     "Records, times (p50, p99, p999), CPU and memory with their limits, ends of workers by cause, denied calls,\n"
     "lag by partition, the last error, versions. --json: the numbers as they are, in ns and bytes.\n"},
    {"plugin load", cli_plugin_load, "FILE", 1, 1, CLI_CHANGE_OPTIONS,
     "put a .so or .lua into plugins.dir and load it\n\n"
     "The file is copied (synced, then renamed into place), so that a restart finds what runs now. A file\n"
     "of that name is replaced; if the new one does not load, the version before goes on running.\n" EXIT_CODES},
    {"plugin rollback", cli_plugin_rollback, "PLUGIN", 1, 1, CLI_CHANGE_OPTIONS | CLI_OPTION(TO_VERSION),
     "put an earlier version back, from the position that is committed now\n\n"
     "\"plugin info\" lists those that are kept. The file is loaded again when it changes.\n" EXIT_CODES},
    {"plugin reload", cli_plugin_reload, "PLUGIN", 1, 1,
     CLI_CHANGE_OPTIONS | CLI_OPTION(SHADOW) | CLI_OPTION(MAX_DIFF),
     "read the file of an instance again and load it, changed or not\n\n"
     "With --shadow N the next N records go to both versions first, for a minute at most; what differs is told,\n"
     "and with --max-diff the new one is refused when more than that differs.\n"
     "Also loads what \"plugin unload\" ended. If it does not load, the version before goes on running.\n" EXIT_CODES},
    {"plugin unload", cli_plugin_command, "PLUGIN", 1, 1, CONFIRMED_OPTIONS,
     "end an instance until the next start; positions and state stay\n\n"
     "It comes again with \"plugin reload\", with a change of its file, or with the next start of the broker.\n"
     "Records wait for it. A gate is asked about: without it records are written unchecked.\n" EXIT_CODES},
    {"plugin enable", cli_plugin_command, "PLUGIN", 1, 1, CLI_CHANGE_OPTIONS,
     "take a disable back and load the instance\n\n" EXIT_CODES},
    {"plugin disable", cli_plugin_command, "PLUGIN", 1, 1, CONFIRMED_OPTIONS,
     "end an instance; it stays so, across restarts, until enable\n\n"
     "Positions and state stay. A gate is asked about: without it records are written unchecked.\n" EXIT_CODES},
    {"plugin pause", cli_plugin_command, "PLUGIN", 1, 1, CLI_CHANGE_OPTIONS,
     "stop a stage between two batches; it stays so, across restarts\n\n"
     "Its worker keeps running; records wait in the log. Not for gates.\n" EXIT_CODES},
    {"plugin resume", cli_plugin_command, "PLUGIN", 1, 1, CLI_CHANGE_OPTIONS,
     "let a paused stage go on where it stopped\n\n" EXIT_CODES},
    {"plugin seek", cli_plugin_seek, "PLUGIN", 1, 1,
     CONFIRMED_OPTIONS | CLI_OPTION(SEEK_TO) | CLI_OPTION(TOPIC) | CLI_OPTION(PARTITION),
     "move the positions of a stage: process again, or leave out\n\n"
     "All partitions that it has a position in, or those that --topic and --partition name. It is paused by\n"
     "itself meanwhile; all positions move, or the answer says which. Outputs that were written stay.\n" EXIT_CODES},
    {"plugin forget", cli_plugin_command, "PLUGIN", 1, 1, CONFIRMED_OPTIONS,
     "remove positions and switches of an instance that is not loaded\n\n"
     "For good: loaded again, it begins as a new plugin does.\n" EXIT_CODES},
};
/* clang-format on */

const struct cli_table cli_plugin_table = {
    .title = "Plugins", .commands = commands, .count = SL_COUNT_OF(commands)};
