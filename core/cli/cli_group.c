/* cli_group.c: group list, describe, seek, delete: groups of all kinds. */
#include "cli/cli_offsets.h"
#include "cli/cli_watch.h"

#include <stdlib.h>
#include <string.h>

static const char *const list_columns[] = {"group", "type", "state", "protocol"};

static int group_list(struct cli *cli)
{
    return cli_list_show(cli, "group.list", "groups", list_columns, SL_COUNT_OF(list_columns));
}

static cJSON *group_args(const struct cli *cli)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "group", cli->options.words[0]);
    return args;
}

/* ---- describe ---- */

/* "orders 0,1; payments 2" */
static void assigned_text(const cJSON *assigned, char *out, size_t room)
{
    const cJSON *item;
    char numbers[1024];
    size_t at = 0;
    out[0] = '\0';
    cJSON_ArrayForEach(item, assigned)
    {
        const char *name = watch_text(item, "topic");
        name = name[0] != '\0' ? name : watch_text(item, "subtopology");
        int size = snprintf(out + at, room - at, "%s%s %s", at > 0 ? "; " : "", name,
                            cli_member_text(item, "partitions", numbers));
        at = SL_MIN(at + (size_t)size, room - 1);
    }
}

static void members_write(const struct cli *cli, const cJSON *members)
{
    static const char *const columns[] = {"client_id", "host", "assigned", "member"};
    const cJSON *member;
    cJSON *rows = cJSON_CreateArray();
    cJSON_ArrayForEach(member, members)
    {
        char text[1024];
        cJSON *row = cJSON_CreateObject();
        assigned_text(cJSON_GetObjectItemCaseSensitive(member, "assigned"), text, sizeof(text));
        cJSON_AddStringToObject(row, "client_id", watch_text(member, "client_id"));
        cJSON_AddStringToObject(row, "host", watch_text(member, "host"));
        cJSON_AddStringToObject(row, "assigned", text);
        cJSON_AddStringToObject(row, "member", watch_text(member, "id"));
        cJSON_AddItemToArray(rows, row);
    }
    if (rows->child != NULL) {
        putchar('\n');
        cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    }
    cJSON_Delete(rows);
}

/* -1 is shown as "-". */
static void number_add(cJSON *row, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_AddStringToObject(row, name, value < 0 ? "-" : text);
}

static void partitions_write(const struct cli *cli, const cJSON *partitions)
{
    static const char *const columns[] = {"topic", "partition", "offset", "end", "lag", "age"};
    const cJSON *partition;
    cJSON *rows = cJSON_CreateArray();
    cJSON_ArrayForEach(partition, partitions)
    {
        char text[WATCH_TEXT_BYTES];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "topic", watch_text(partition, "topic"));
        number_add(row, "partition", watch_int(partition, "partition", -1));
        number_add(row, "offset", watch_int(partition, "offset", -1));
        number_add(row, "end", watch_int(partition, "end", -1));
        number_add(row, "lag", watch_int(partition, "lag", -1));
        cJSON_AddStringToObject(row, "age",
                                watch_age_text(watch_int(partition, "lag_ms", -1), text));
        cJSON_AddItemToArray(rows, row);
    }
    putchar('\n');
    cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    cJSON_Delete(rows);
}

static void describe_write(const struct cli *cli, const cJSON *group)
{
    char age[WATCH_TEXT_BYTES];
    const cJSON *members = cJSON_GetObjectItemCaseSensitive(group, "members");
    const char *assignor = watch_text(group, "assignor");
    printf("%s: %s group, %s, %d member%s%s%s\n", watch_text(group, "group"),
           watch_text(group, "type"), watch_text(group, "state"), cJSON_GetArraySize(members),
           cJSON_GetArraySize(members) == 1 ? "" : "s", assignor[0] != '\0' ? ", " : "", assignor);
    printf("lag: %lld records", (long long)watch_int(group, "lag", 0));
    if (watch_int(group, "lag_ms", -1) > 0) {
        printf(", the oldest unread one is %s old",
               watch_age_text(watch_int(group, "lag_ms", -1), age));
    }
    putchar('\n');
    members_write(cli, members);
    partitions_write(cli, cJSON_GetObjectItemCaseSensitive(group, "partitions"));
}

static int group_describe(struct cli *cli)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, "group.describe", group_args(cli), &reply);
    if (code == CLI_OK && cli->options.json) {
        cli_json_write(cli_result(reply));
    } else if (code == CLI_OK) {
        describe_write(cli, cli_result(reply));
    }
    cJSON_Delete(reply);
    return code;
}

/* ---- seek, delete ---- */

static int group_seek(struct cli *cli)
{
    static const char *const columns[] = {"topic", "partition", "before", "after"};
    const char *to = cli_value(&cli->options.seek_to, NULL);
    const char *topic = cli_value(&cli->options.topic, NULL);
    char place[CLI_PLACE_TEXT_BYTES];
    int64_t partition = -1;
    cJSON *reply = NULL;
    if (to == NULL) {
        cli_complain("group seek needs --to start, end, +N, -N, an offset, or @ and a time");
        return CLI_USAGE;
    }
    if (!cli_place_ask(cli, "--to", to, place) ||
        !cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &partition)) {
        return CLI_USAGE;
    }
    cJSON *args = group_args(cli);
    cJSON_AddStringToObject(args, "to", place);
    if (topic != NULL) {
        cJSON_AddStringToObject(args, "topic", topic);
    }
    if (partition >= 0) {
        cJSON_AddNumberToObject(args, "partition", (double)partition);
    }
    int code = cli_call_once(cli, "group.seek", args, &reply);
    if (code == CLI_OK && cli->options.json) {
        cli_json_write(cli_result(reply));
    } else if (code == CLI_OK) {
        cli_table_write(cli, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions"),
                        columns, SL_COUNT_OF(columns));
        puts(cli->options.dry_run ? "nothing was changed: --dry-run" : "done");
    }
    cJSON_Delete(reply);
    return code;
}

static int group_delete(struct cli *cli)
{
    return cli_change(cli, "group.delete", group_args(cli));
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"group list", group_list, "", 0, 0, CLI_BROKER_OPTIONS, "all groups of consumers, of every kind"},
    {"group describe", group_describe, "GROUP", 1, 1, CLI_BROKER_OPTIONS,
     "members, offsets, and the lag in records and in time\n\n"
     "The lag in time is the age of the first record that the group has not read."},
    {"group seek", group_seek, "GROUP", 1, 1,
     CLI_BROKER_OPTIONS | CLI_OPTION(SEEK_TO) | CLI_OPTION(TOPIC) | CLI_OPTION(PARTITION) | CLI_OPTION(DRY_RUN),
     "let a group without members go on from somewhere else\n\n"
     "--to takes start, end, +N (behind the start), -N (before the end), an offset,\n"
     "@2026-11-21T11:00:00Z, @ and milliseconds since 1970, or @-2h. Without --topic it moves\n"
     "in all partitions that the group has offsets of; with it in all of that topic."},
    {"group delete", group_delete, "GROUP", 1, 1, CLI_CHANGE_OPTIONS | CLI_OPTION(YES) | CLI_OPTION(FORCE),
     "delete a group without members, and its offsets"},
};
/* clang-format on */

const struct cli_table cli_group_table = {
    .title = "Groups", .commands = commands, .count = SL_COUNT_OF(commands)};
