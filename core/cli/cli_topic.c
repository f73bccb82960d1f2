/* cli_topic.c: topic list, create, describe, alter, delete, trim; status. */
#include "cli/cli_command.h"

#include <string.h>

static const char *const topic_columns[] = {"name", "partitions", "internal", "id"};
static const char *const partition_columns[] = {"partition", "log_start_offset", "end_offset",
                                                "leader_epoch", "state"};

int cli_list_show(struct cli *cli, const char *command, const char *member,
                  const char *const *columns, size_t column_count)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, command, NULL, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        cli_table_write(cli, cJSON_GetObjectItemCaseSensitive(cli_result(reply), member), columns,
                        column_count);
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

int cli_topic_list(struct cli *cli)
{
    return cli_list_show(cli, "topic.list", "topics", topic_columns, SL_COUNT_OF(topic_columns));
}

/* One call a topic over one link; partly done when some failed. */
static int topics_each(struct cli *cli, const char *command, const char *done,
                       cJSON *(*args_make)(struct cli *cli, const char *topic))
{
    struct cli_link link;
    uint32_t failed = 0;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    for (uint32_t i = 0; i < cli->options.word_count; i++) {
        cJSON *reply = NULL;
        code = cli_call(&link, command, args_make(cli, cli->options.words[i]), &reply);
        if (code == CLI_OK && cli->options.json) {
            cli_json_write(cli_result(reply));
        } else if (code == CLI_OK) {
            printf("%s %s\n", done, cli->options.words[i]);
        }
        cJSON_Delete(reply);
        failed += code != CLI_OK;
        if (code == CLI_UNREACHABLE) {
            break;
        }
    }
    cli_link_close(&link);
    if (failed == 0 || failed == cli->options.word_count || code == CLI_UNREACHABLE) {
        return failed == 0 ? CLI_OK : code == CLI_UNREACHABLE ? code : CLI_FAILED;
    }
    return CLI_PARTLY;
}

static cJSON *topic_args(struct cli *cli SL_UNUSED, const char *topic)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", topic);
    return args;
}

/* NAME=VALUE of -c as a member of "configs"; an empty value is null where that is the default. */
static void configs_add(const struct cli *cli, cJSON *args, bool empty_is_default)
{
    char name[256];
    cJSON *configs = cJSON_AddObjectToObject(args, "configs");
    for (uint32_t i = 0; i < cli->options.topic_config.count; i++) {
        const char *text = cli->options.topic_config.items[i];
        size_t size = strcspn(text, "=");
        const char *value = text[size] == '=' ? text + size + 1 : "";
        snprintf(name, sizeof(name), "%.*s", (int)size, text);
        if (empty_is_default && *value == '\0') {
            cJSON_AddNullToObject(configs, name);
        } else {
            cJSON_AddStringToObject(configs, name, value);
        }
    }
}

static cJSON *create_args(struct cli *cli, const char *topic)
{
    cJSON *args = topic_args(cli, topic);
    int64_t partitions = -1;
    if (cli_number(&cli->options.partitions, "--partitions", 1, INT32_MAX, -1, &partitions)) {
        cJSON_AddNumberToObject(args, "partitions", (double)partitions);
    }
    configs_add(cli, args, false);
    return args;
}

static cJSON *alter_args(struct cli *cli, const char *topic)
{
    cJSON *args = topic_args(cli, topic);
    int64_t partitions = -1;
    if (cli_number(&cli->options.partitions, "--partitions", 1, INT32_MAX, -1, &partitions) &&
        partitions > 0) {
        cJSON_AddNumberToObject(args, "partitions", (double)partitions);
    }
    configs_add(cli, args, true);
    return args;
}

int cli_topic_create(struct cli *cli)
{
    int64_t partitions = 0;
    if (!cli_number(&cli->options.partitions, "--partitions", 1, INT32_MAX, -1, &partitions)) {
        return CLI_USAGE;
    }
    return topics_each(cli, "topic.create", "created", create_args);
}

int cli_topic_alter(struct cli *cli)
{
    int64_t partitions = 0;
    if (cli->options.topic_config.count == 0 && cli->options.partitions.count == 0) {
        cli_complain("topic alter needs what to change: -c NAME=VALUE, --partitions COUNT");
        return CLI_USAGE;
    }
    if (!cli_number(&cli->options.partitions, "--partitions", 1, INT32_MAX, -1, &partitions)) {
        return CLI_USAGE;
    }
    return topics_each(cli, "topic.alter", "altered", alter_args);
}

int cli_topic_delete(struct cli *cli)
{
    return topics_each(cli, "topic.delete", "deleted", topic_args);
}

int cli_topic_trim(struct cli *cli)
{
    const char *before = cli_value(&cli->options.before, NULL);
    int64_t partition = 0;
    cJSON *reply = NULL;
    if (before == NULL || cli->options.partition.count == 0) {
        cli_complain("topic trim needs --partition and --before");
        return CLI_USAGE;
    }
    if (!cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &partition)) {
        return CLI_USAGE;
    }
    cJSON *args = topic_args(cli, cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", (double)partition);
    cJSON_AddStringToObject(args, "before", before);
    int code = cli_call_once(cli, "topic.trim", args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        char text[1024];
        printf("%s %d begins at %s\n", cli->options.words[0], (int)partition,
               cli_member_text(cli_result(reply), "log_start_offset", text));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

static void describe_write(const struct cli *cli, const cJSON *topic)
{
    char text[1024];
    const cJSON *config;
    for (size_t i = 0; i < SL_COUNT_OF(topic_columns); i++) {
        printf("%-12s %s\n", topic_columns[i], cli_member_text(topic, topic_columns[i], text));
    }
    printf("\n");
    cli_table_write(cli, cJSON_GetObjectItemCaseSensitive(topic, "partition_list"),
                    partition_columns, SL_COUNT_OF(partition_columns));
    printf("\n");
    cJSON_ArrayForEach(config, cJSON_GetObjectItemCaseSensitive(topic, "configs"))
    {
        const cJSON *source = cJSON_GetObjectItemCaseSensitive(config, "source");
        printf("%s = %s  # %s\n", config->string, cli_member_text(config, "value", text),
               cJSON_IsString(source) ? source->valuestring : "");
    }
}

int cli_topic_describe(struct cli *cli)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, "topic.describe", topic_args(cli, cli->options.words[0]), &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        describe_write(cli, cli_result(reply));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

int cli_object_show(struct cli *cli, const char *command, cJSON *args)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, command, args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        cli_object_write(cli, cli_result(reply));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

int cli_status(struct cli *cli)
{
    return cli_object_show(cli, "status", NULL);
}
