/* cli_topic.c: topic list, create, describe, alter, delete, trim, offsets. */
#include "cli/cli_offsets.h"

#include <stdlib.h>
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
    cli_rows_write(cli, cli_result(reply), member, columns, column_count);
    cJSON_Delete(reply);
    return CLI_OK;
}

static int topic_list(struct cli *cli)
{
    return cli_list_show(cli, "topic.list", "topics", topic_columns, SL_COUNT_OF(topic_columns));
}

/* Records of all partitions of a description; -1: it is none. */
static int64_t records_of(const cJSON *topic)
{
    char start[1024], end[1024];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(topic, "partition_list");
    const cJSON *partition;
    int64_t records = 0;
    cJSON_ArrayForEach(partition, list)
    {
        records += strtoll(cli_member_text(partition, "end_offset", end), NULL, 10) -
                   strtoll(cli_member_text(partition, "log_start_offset", start), NULL, 10);
    }
    return list != NULL ? records : -1;
}

/* What became of one topic, or would. */
static void one_write(const struct cli *cli, const cJSON *result, const char *done,
                      const char *name)
{
    static const char *const columns[] = {"key", "before", "after"};
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(result, "changes");
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(result, "partitions");
    int64_t records = records_of(result);
    if (records >= 0) {
        cli_change_write(cli, result, "%s%s %s: %d partitions, %lld offsets", cli_would(cli), done,
                         name, partitions != NULL ? partitions->valueint : 0, (long long)records);
    } else {
        cli_change_write(cli, result, "%s%s %s", cli_would(cli), done, name);
    }
    if (changes != NULL && changes->child != NULL && !cli->options.json) {
        cli_table_write(cli, changes, columns, SL_COUNT_OF(columns));
    }
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
        if (code == CLI_OK) {
            one_write(cli, cli_result(reply), done, cli->options.words[i]);
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
    const struct cli_options *options = &cli->options;
    int code = options->word_count == 1
                   ? cli_confirm(cli, "%s goes with all its records", options->words[0])
                   : cli_confirm(cli, "%u topics go with all their records", options->word_count);
    return code != CLI_OK ? code : topics_each(cli, "topic.delete", "deleted", topic_args);
}

/* The place in that partition; what the broker knows itself is left to it. */
static int trim_place(struct cli_link *link, const struct cli_place *place, int64_t partition,
                      char ret_before[CLI_PLACE_TEXT_BYTES])
{
    const struct cli_span span = {.from = *place};
    struct cli_place_bounds bounds;
    int32_t number;
    cJSON *reply = NULL;
    const cJSON *row;
    cli_place_text(place, ret_before);
    bool is_plain = place->kind == CLI_PLACE_OFFSET || strcmp(ret_before, "end") == 0;
    int code = is_plain ? CLI_OK : cli_bounds_ask(link, link->cli->options.words[0], &span, &reply);
    cJSON_ArrayForEach(row, cli_bounds_rows(reply))
    {
        cli_bounds_read(row, false, &bounds, &number);
        if (number == partition) {
            snprintf(ret_before, CLI_PLACE_TEXT_BYTES, "%lld",
                     (long long)cli_place_resolve(place, &bounds));
        }
    }
    cJSON_Delete(reply);
    return code;
}

static int trim_run(struct cli_link *link, int64_t partition, const char *before)
{
    struct cli *cli = link->cli;
    char text[1024];
    cJSON *reply = NULL;
    int code = cli_confirm(cli, "the records of %s %d before %s go", cli->options.words[0],
                           (int)partition, before);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *args = topic_args(cli, cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", (double)partition);
    cJSON_AddStringToObject(args, "before", before);
    code = cli_call(link, "topic.trim", args, &reply);
    if (code == CLI_OK) {
        cli_change_write(cli, cli_result(reply), "%s %d %s at %s", cli->options.words[0],
                         (int)partition, cli->options.dry_run ? "would begin" : "begins",
                         cli_member_text(cli_result(reply), "log_start_offset", text));
    }
    cJSON_Delete(reply);
    return code;
}

static int topic_trim(struct cli *cli)
{
    const char *before = cli_value(&cli->options.before, NULL);
    char text[CLI_PLACE_TEXT_BYTES];
    struct cli_place place;
    struct cli_link link;
    int64_t partition = 0;
    if (before == NULL || cli->options.partition.count == 0) {
        cli_complain("topic trim needs --partition and --before");
        return CLI_USAGE;
    }
    if (!cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &partition) ||
        !cli_place_take(cli, "--before", before, &place)) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = trim_place(&link, &place, partition, text);
    if (code == CLI_OK) {
        code = trim_run(&link, partition, text);
    }
    cli_link_close(&link);
    return code;
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
     CLI_CHANGE_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG), "make topics"},
    {"topic describe", topic_describe, "TOPIC", 1, 1, CLI_BROKER_OPTIONS,
     "partitions, offsets and configuration of a topic"},
    {"topic alter", topic_alter, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_CHANGE_OPTIONS | CLI_OPTION(PARTITIONS) | CLI_OPTION(TOPIC_CONFIG),
     "change the configuration of topics (-c NAME= goes back to the default), add partitions"},
    {"topic delete", topic_delete, "TOPIC...", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(YES) | CLI_OPTION(FORCE) | CLI_OPTION(DRY_RUN),
     "delete topics with their records\n\nAt a terminal it asks; elsewhere it wants --yes."},
    {"topic offsets", cli_topic_offsets, "TOPIC", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(PARTITION),
     "where the partitions of a topic start and end; --at: and where a place is in each"},
    {"topic trim", topic_trim, "TOPIC", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(PARTITION) | CLI_OPTION(BEFORE) |
         CLI_OPTION(YES) | CLI_OPTION(FORCE) | CLI_OPTION(DRY_RUN),
     "delete the records of a partition before an offset\n\nAt a terminal it asks; elsewhere it wants --yes."},
};
/* clang-format on */

static const struct cli_option own[] = {
    {.commands = "topic offsets",
     .name = "--at",
     .argument = "PLACE",
     .doc = "also this place in each partition: @2026-11-21T11:00:00Z, @-1h, -10, +10"},
};

const struct cli_table cli_topic_table = {.title = "Topics",
                                          .commands = commands,
                                          .count = SL_COUNT_OF(commands),
                                          .options = own,
                                          .option_count = SL_COUNT_OF(own)};
