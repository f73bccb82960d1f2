/* cli_quota.c: quota list, set, remove. */
#include "cli/cli_command.h"

#include <stdlib.h>
#include <string.h>

static const char *const quota_columns[] = {"entity", "key", "value"};

static int quota_list(struct cli *cli)
{
    return cli_list_show(cli, "quota.list", "quotas", quota_columns, SL_COUNT_OF(quota_columns));
}

/* "User:alice,Client:*" to its members. */
static bool take_entity(const char *text, cJSON *args)
{
    static const struct {
        const char *prefix, *member;
    } parts[] = {{"User:", "user"}, {"Client:", "client_id"}, {"Ip:", "ip"}};
    while (*text != '\0') {
        size_t i = 0;
        while (i < SL_COUNT_OF(parts) &&
               strncmp(text, parts[i].prefix, strlen(parts[i].prefix)) != 0) {
            i++;
        }
        if (i == SL_COUNT_OF(parts)) {
            return false;
        }
        text += strlen(parts[i].prefix);
        const char *end = strstr(text, ",Client:");
        size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        char *name =
            size == 1 && *text == '*' ? sl_strdup_bytes("", 0) : sl_strdup_bytes(text, size);
        cJSON_AddStringToObject(args, parts[i].member, name != NULL ? name : "");
        sl_free(name);
        text += size + (end != NULL);
        if (size == 0) {
            return false;
        }
    }
    return true;
}

/* key=value of set; key alone of remove. */
static bool take_limit(const char *word, bool removes, cJSON *limits)
{
    const char *equals = strchr(word, '=');
    char *end = NULL;
    double value = equals != NULL ? strtod(equals + 1, &end) : 0;
    bool is_value = equals != NULL && end != equals + 1 && *end == '\0' && value > 0;
    char *key = sl_strdup_bytes(word, equals != NULL ? (size_t)(equals - word) : strlen(word));
    if (removes ? equals != NULL : !is_value) {
        sl_free(key);
        return false;
    }
    cJSON_AddNumberToObject(limits, key != NULL ? key : "", value);
    sl_free(key);
    return true;
}

static int quota_change(struct cli *cli, bool removes)
{
    const struct cli_options *options = &cli->options;
    cJSON *args = cJSON_CreateObject();
    cJSON *limits = cJSON_AddObjectToObject(args, "limits");
    cJSON *reply = NULL;
    bool ok = take_entity(options->words[0], args);
    for (uint32_t i = 1; ok && i < options->word_count; i++) {
        ok = take_limit(options->words[i], removes, limits);
    }
    if (!ok) {
        cJSON_Delete(args);
        cli_complain("an entity is User:NAME, Client:NAME, User:NAME,Client:NAME or Ip:ADDRESS, * "
                     "for all that have none of their own; a quota is KEY=VALUE");
        return CLI_USAGE;
    }
    int code = cli_call_once(cli, "quota.set", args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    cli_change_write(cli, cli_result(reply), "%s%s quotas of %s", cli_would(cli),
                     removes ? "removed" : "set", options->words[0]);
    cJSON_Delete(reply);
    return CLI_OK;
}

static int quota_set(struct cli *cli)
{
    return quota_change(cli, false);
}

static int quota_remove(struct cli *cli)
{
    return quota_change(cli, true);
}

#define QUOTA_WORDS                                                                          \
    "\n\nENTITY is User:alice, Client:app, both as User:alice,Client:app, or Ip:10.0.0.1;\n" \
    "* stands for all that have none of their own. KEY is producer_byte_rate, "              \
    "consumer_byte_rate\n(bytes per second), request_percentage (of one processor), "        \
    "controller_mutation_rate\n(partitions per second), and of an Ip "                       \
    "connection_creation_rate."

/* clang-format off */
static const struct cli_command commands[] = {
    {"quota list", quota_list, "", 0, 0, CLI_BROKER_OPTIONS, "how much clients may use"},
    {"quota set", quota_set, "ENTITY KEY=VALUE…", 2, 5, CLI_CHANGE_OPTIONS, "limit what clients may use" QUOTA_WORDS},
    {"quota remove", quota_remove, "ENTITY KEY…", 2, 5, CLI_CHANGE_OPTIONS, "take limits away" QUOTA_WORDS},
};
/* clang-format on */

const struct cli_table cli_quota_table = {
    .title = "Security", .commands = commands, .count = SL_COUNT_OF(commands)};
