/* cli_access.c: acl list, add, remove. */
#include "cli/cli_command.h"

static const char *const rule_columns[] = {"principal", "operation", "resource", "host", "allow"};

static int acl_list(struct cli *cli)
{
    return cli_list_show(cli, "acl.list", "rules", rule_columns, SL_COUNT_OF(rule_columns));
}

static int acl_change(struct cli *cli, const char *command, const char *done)
{
    const struct cli_options *options = &cli->options;
    cJSON *args = cJSON_CreateObject();
    cJSON *reply = NULL;
    cJSON_AddStringToObject(args, "principal", options->words[0]);
    cJSON_AddStringToObject(args, "operation", options->words[1]);
    cJSON_AddStringToObject(args, "resource", options->words[2]);
    cJSON_AddStringToObject(args, "host", cli_value(&options->host, "*"));
    cJSON_AddBoolToObject(args, "deny", options->deny);
    int code = cli_call_once(cli, command, args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    cli_change_write(cli, cli_result(reply), "%s%s: %s %s %s %s", cli_would(cli), done,
                     options->words[0], options->deny ? "may not" : "may", options->words[1],
                     options->words[2]);
    cJSON_Delete(reply);
    return CLI_OK;
}

static int acl_add(struct cli *cli)
{
    return acl_change(cli, "acl.add", "added");
}

static int acl_remove(struct cli *cli)
{
    return acl_change(cli, "acl.remove", "removed");
}

#define RULE_OPTIONS (CLI_CHANGE_OPTIONS | CLI_OPTION(DENY) | CLI_OPTION(HOST))
#define RULE_WORDS                                                                             \
    "\n\nPRINCIPAL is User:alice, or User:* for everybody; OPERATION Read, Write, Create, "    \
    "Delete,\n"                                                                                \
    "Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite or All;\n" \
    "RESOURCE Topic:orders, Topic:orders-* (all that begin so), Topic:*, Group:…,\n"         \
    "TransactionalId:… or Cluster."

/* clang-format off */
static const struct cli_command commands[] = {
    {"acl list", acl_list, "", 0, 0, CLI_BROKER_OPTIONS, "all access rules, those of security.acl_file too"},
    {"acl add", acl_add, "PRINCIPAL OPERATION RESOURCE", 3, 3, RULE_OPTIONS, "let somebody do something, or not" RULE_WORDS},
    {"acl remove", acl_remove, "PRINCIPAL OPERATION RESOURCE", 3, 3, RULE_OPTIONS, "take a rule back" RULE_WORDS},
};
/* clang-format on */

const struct cli_table cli_access_table = {
    .title = "Security", .commands = commands, .count = SL_COUNT_OF(commands)};
