/* cli_topic.c: topic list, create, describe, alter, delete, trim. */
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

static int topic_list(struct cli *cli)
{
    return cli_list_show(cli, "topic.list", "topics", topic_columns, SL_COUNT_OF(topic_columns));
}

/* One call a topic over one link; partly done when some failed. */
static int topics_each(struct cli *cli, const char *command, const char *done,
                       cJSON *(*args_make)(struct cli *cli, const char *topic))
{
    struct cli_link link;
    uint32_t failed = 0;
    int worst = CLI_OK; /* of the first that failed */
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
        worst = worst == CLI_OK ? code : worst;
    }
    cli_link_close(&link);
    return failed > 0 && failed < cli->options.word_count ? CLI_PARTLY : worst;
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

static int topic_create(struct cli *cli)
{
    int64_t partitions = 0;
    if (!cli_number(&cli->options.partitions, "--partitions", 1, INT32_MAX, -1, &partitions)) {
        return CLI_USAGE;
    }
    return topics_each(cli, "topic.create", "created", create_args);
}

static int topic_alter(struct cli *cli)
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

static int topic_delete(struct cli *cli)
{
    return topics_each(cli, "topic.delete", "deleted", topic_args);
}

static int topic_trim(struct cli *cli)
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

static int topic_describe(struct cli *cli)
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

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"topic list", topic_list, "", 0, 0, CLI_BROKER_OPTIONS, "all topics"},
    {"topic create", topic_create, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG), "make topics"},
    {"topic describe", topic_describe, "TOPIC", 1, 1, CLI_BROKER_OPTIONS,
     "partitions, offsets and configuration of a topic"},
    {"topic alter", topic_alter, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG),
     "change the configuration of topics (-c NAME= goes back to the default), add partitions"},
    {"topic delete", topic_delete, "TOPIC...", 1, CLI_WORDS_MAX, CLI_BROKER_OPTIONS,
     "delete topics with their records"},
    {"topic trim", topic_trim, "TOPIC", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(PARTITION) | CLI_OPTION(BEFORE),
     "delete the records of a partition before an offset"},
};
/* clang-format on */

const struct cli_table cli_topic_table = {
    .title = "Topics", .commands = commands, .count = SL_COUNT_OF(commands)};
