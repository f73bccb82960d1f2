/* cli_plugin.c: the table of `sluice plugin …`, a row for each command; list and info. */
#include "cli/cli_plugin.h"

static const char *const plugin_columns[] = {"name",   "kind",  "on",    "input",
                                             "output", "state", "module"};

static int plugin_list(struct cli *cli)
{
    return cli_list_show(cli, "plugin.list", "plugins", plugin_columns,
                         SL_COUNT_OF(plugin_columns));
}

static int plugin_info(struct cli *cli)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    return cli_object_show(cli, "plugin.info", args);
}

static int plugin_rollback(struct cli *cli)
{
    cJSON *args = cJSON_CreateObject();
    cJSON *reply = NULL;
    const char *to = cli_value(&cli->options.to_version, NULL);
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    if (to != NULL) {
        cJSON_AddStringToObject(args, "to", to);
    }
    int code = cli_call_once(cli, "plugin.rollback", args, &reply);
    if (code == CLI_OK && cli->options.json) {
        cli_json_write(cli_result(reply));
    } else if (code == CLI_OK) {
        cJSON *hash = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "hash");
        printf("%s runs version %s again\n", cli->options.words[0], cJSON_GetStringValue(hash));
    }
    cJSON_Delete(reply);
    return code;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"plugin list", plugin_list, "", 0, 0, CLI_BROKER_OPTIONS, "all plugin instances and their state"},
    {"plugin info", plugin_info, "NAME", 1, 1, CLI_BROKER_OPTIONS, "one plugin instance"},
    {"plugin rollback", plugin_rollback, "NAME", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(TO_VERSION),
     "put an earlier version of a plugin back; plugin info lists them"},
};
/* clang-format on */

const struct cli_table cli_plugin_table = {commands, SL_COUNT_OF(commands)};
