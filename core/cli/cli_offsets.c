/* cli_offsets.c: see cli_offsets.h; topic offsets. */
#include "cli/cli_offsets.h"

#include <stdlib.h>
#include <string.h>

static int64_t member_int(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? strtoll(text, NULL, 10) : -1;
}

bool cli_span_take(struct cli *cli, const char *option, const char *text, struct cli_span *ret_span)
{
    if (cli_span_parse(text, sl_os_wall_ms(cli->os), ret_span)) {
        return true;
    }
    cli_complain("%s is \"%.60s\" but must be " CLI_PLACE_HELP ", or two of them as FROM:TO",
                 option, text);
    return false;
}

bool cli_place_take(struct cli *cli, const char *option, const char *text,
                    struct cli_place *ret_place)
{
    if (cli_place_parse(text, sl_os_wall_ms(cli->os), ret_place)) {
        return true;
    }
    cli_complain("%s is \"%.60s\" but must be " CLI_PLACE_HELP, option, text);
    return false;
}

bool cli_place_ask(struct cli *cli, const char *option, const char *text,
                   char ret_text[CLI_PLACE_TEXT_BYTES])
{
    struct cli_place place;
    if (!cli_place_take(cli, option, text, &place)) {
        return false;
    }
    cli_place_text(&place, ret_text);
    return true;
}

static void time_add(cJSON *args, const char *name, const struct cli_place *place)
{
    char text[32];
    if (place->kind == CLI_PLACE_TIME) {
        snprintf(text, sizeof(text), "%lld", (long long)place->value);
        cJSON_AddStringToObject(args, name, text);
    }
}

int cli_bounds_ask(struct cli_link *link, const char *topic, const struct cli_span *span,
                   cJSON **ret_reply)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", topic);
    time_add(args, "time", &span->from);
    time_add(args, "time_to", &span->to);
    return cli_call(link, "topic.offsets", args, ret_reply);
}

const cJSON *cli_bounds_rows(const cJSON *reply)
{
    return cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions");
}

void cli_bounds_read(const cJSON *row, bool second, struct cli_place_bounds *ret_bounds,
                     int32_t *ret_partition)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(row, "partition");
    *ret_partition = cJSON_IsNumber(number) ? number->valueint : -1;
    *ret_bounds =
        (struct cli_place_bounds){.start = member_int(row, "start"),
                                  .end = member_int(row, "end"),
                                  .at_time = member_int(row, second ? "at_time_to" : "at_time")};
}

/* ---- topic offsets ---- */

static void text_add(cJSON *object, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_AddStringToObject(object, name, text);
}

static void row_add(cJSON *rows, const cJSON *row, const struct cli_place *at, int64_t only)
{
    struct cli_place_bounds bounds;
    int32_t partition = 0;
    cli_bounds_read(row, false, &bounds, &partition);
    if (only >= 0 && partition != only) {
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "partition", partition);
    text_add(object, "start", bounds.start);
    text_add(object, "end", bounds.end);
    text_add(object, "offsets", bounds.end - bounds.start);
    if (at != NULL) {
        text_add(object, "at", cli_place_resolve(at, &bounds));
    }
    cJSON_AddItemToArray(rows, object);
}

int cli_topic_offsets(struct cli *cli)
{
    static const char *const columns[] = {"partition", "start", "end", "offsets", "at"};
    const char *at = cli_value(cli_own(cli, "--at"), NULL);
    struct cli_span span = {.has_to = false};
    struct cli_link link;
    int64_t only = -1;
    cJSON *reply = NULL;
    const cJSON *row;
    if (!cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &only) ||
        (at != NULL && !cli_place_take(cli, "--at", at, &span.from))) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = cli_bounds_ask(&link, cli->options.words[0], &span, &reply);
    if (code == CLI_OK) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "topic", cli->options.words[0]);
        cJSON *rows = cJSON_AddArrayToObject(object, "partitions");
        cJSON_ArrayForEach(row, cli_bounds_rows(reply))
        {
            row_add(rows, row, at != NULL ? &span.from : NULL, only);
        }
        cli_rows_write(cli, object, "partitions", columns, SL_COUNT_OF(columns) - (at == NULL));
        cJSON_Delete(object);
    }
    cJSON_Delete(reply);
    cli_link_close(&link);
    return code;
}
