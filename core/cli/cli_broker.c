/* cli_broker.c: the table of what concerns the broker as a whole; status. */
#include "cli/cli_command.h"

static int status(struct cli *cli)
{
    return cli_object_show(cli, "status", NULL);
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"serve", NULL, "", 0, 0, 0,
     "run the broker; \"sluice serve --help\" lists all settings\n\n"
     "The command line (--set kafka.listen=127.0.0.1:9092) wins over the environment\n"
     "(SLUICE_KAFKA__LISTEN), that over files (--config), and those over the defaults."},
    {"reload", cli_reload, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(DRY_RUN),
     "read the configuration again, as SIGHUP does; what became of each key\n\n"
     "When a plugin refuses its new configuration, nothing changes anywhere.\n\n"
     "Exit codes: 0 all is in force, 3 partly (a key needs a restart, or what it is for does not run),\n"
     "69 no broker, 78 the configuration is wrong or was refused (nothing changed)."},
    {"status", status, "", 0, 0, CLI_BROKER_OPTIONS, "the broker's state"},
    {"recovery", cli_recovery, "", 0, 0, CLI_BROKER_OPTIONS,
     "what the broker's last start found and mended"},
    {"scrub", cli_scrub, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(NOW) | CLI_OPTION(RATE),
     "whether all that is stored was read and is sound; --now reads it"},
};
/* clang-format on */

const struct cli_table cli_broker_table = {
    .title = "Broker", .commands = commands, .count = SL_COUNT_OF(commands)};
