/* consume.c: chunk after chunk of a partition, or of all partitions in turn, in a format. */
#include "cli/cli_command.h"
#include "cli/cli_record_text.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX      500
#define FOLLOW_WAIT_MS 1000
#define PARTITIONS_MAX 10000

struct consuming {
    struct cli *cli;
    struct cli_link link;
    int64_t left; /* records still wanted; INT64_MAX: all */
    int64_t written;
    const char *format;
    uint32_t partition_count; /* being read */
    int32_t *partitions;
    char (*offsets)[32]; /* next of each, or the word given */
};

static void records_write(struct consuming *consuming, uint32_t index, const cJSON *records)
{
    cJSON *record;
    cJSON_ArrayForEach(record, records)
    {
        if (consuming->cli->options.json) {
            cJSON_AddNumberToObject(record, "partition", consuming->partitions[index]);
            cli_json_write(record);
        } else {
            cli_record_format(consuming->format, consuming->cli->options.words[0],
                              consuming->partitions[index], record);
        }
        consuming->written++;
        consuming->left--;
    }
    fflush(stdout);
}

/* One chunk of one partition. *ret_ended: nothing more is there now. */
static int chunk_read(struct consuming *consuming, uint32_t index, int64_t wait_ms, bool *ret_ended)
{
    cJSON *reply = NULL;
    char text[1024];
    char *offset = consuming->offsets[index];
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", consuming->cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", consuming->partitions[index]);
    cJSON_AddStringToObject(args, "offset", offset);
    cJSON_AddNumberToObject(args, "max", (double)SL_MIN(consuming->left, (int64_t)CHUNK_MAX));
    cJSON_AddNumberToObject(args, "wait_ms", (double)wait_ms);
    int code = cli_call(&consuming->link, "consume", args, &reply);
    if (code == CLI_OK) {
        const cJSON *result = cli_result(reply);
        records_write(consuming, index, cJSON_GetObjectItemCaseSensitive(result, "records"));
        snprintf(offset, sizeof(consuming->offsets[0]), "%.31s",
                 cli_member_text(result, "next_offset", text));
        *ret_ended = strtoll(offset, NULL, 10) >=
                     strtoll(cli_member_text(result, "high_watermark", text), NULL, 10);
    }
    cJSON_Delete(reply);
    return code;
}

/* Round after round over the partitions, until all ended, or enough was read. */
static int rounds_read(struct consuming *consuming)
{
    bool follow = consuming->cli->options.follow;
    int64_t wait_ms = follow && consuming->partition_count == 1 ? FOLLOW_WAIT_MS : 0;
    for (;;) {
        bool all_ended = true;
        for (uint32_t i = 0; i < consuming->partition_count && consuming->left > 0; i++) {
            bool ended = false;
            bool last = i + 1 == consuming->partition_count && follow;
            int code = chunk_read(consuming, i, last ? SL_MAX(wait_ms, 200) : wait_ms, &ended);
            if (code != CLI_OK) {
                return code;
            }
            all_ended = all_ended && ended;
        }
        if (consuming->left <= 0 || (all_ended && !follow) || ferror(stdout)) {
            return CLI_OK;
        }
    }
}

static int partitions_find(struct consuming *consuming)
{
    cJSON *reply = NULL;
    int64_t only = -1;
    const struct cli_options *options = &consuming->cli->options;
    uint32_t count = 1;
    if (!cli_number(&options->partition, "--partition", 0, INT32_MAX, -1, &only)) {
        return CLI_USAGE;
    }
    if (only < 0) {
        cJSON *args = cJSON_CreateObject();
        cJSON_AddStringToObject(args, "topic", options->words[0]);
        int code = cli_call(&consuming->link, "topic.describe", args, &reply);
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions");
        count = cJSON_IsNumber(number) ? (uint32_t)number->valueint : 0;
        cJSON_Delete(reply);
        if (code != CLI_OK || count == 0 || count > PARTITIONS_MAX) {
            return code != CLI_OK ? code : CLI_FAILED;
        }
    }
    consuming->partitions = calloc(count, sizeof(*consuming->partitions));
    consuming->offsets = calloc(count, sizeof(*consuming->offsets));
    if (consuming->partitions == NULL || consuming->offsets == NULL) {
        return CLI_FAILED;
    }
    consuming->partition_count = count;
    for (uint32_t i = 0; i < count; i++) {
        consuming->partitions[i] = only < 0 ? (int32_t)i : (int32_t)only;
        snprintf(consuming->offsets[i], sizeof(consuming->offsets[i]), "%.31s",
                 cli_value(&options->offset, "beginning"));
    }
    return CLI_OK;
}

static int consume(struct cli *cli)
{
    struct consuming consuming = {.cli = cli, .format = cli_value(&cli->options.format, "%v\\n")};
    if (!cli_number(&cli->options.count, "--count", 1, INT64_MAX, INT64_MAX, &consuming.left)) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&consuming.link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = partitions_find(&consuming);
    if (code == CLI_OK) {
        code = rounds_read(&consuming);
    }
    free(consuming.partitions);
    free(consuming.offsets);
    cli_link_close(&consuming.link);
    return code != CLI_OK && code != CLI_UNREACHABLE && consuming.written > 0 ? CLI_PARTLY : code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"produce", cli_produce, "TOPIC [VALUE...]", 1, CLI_WORDS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(KEY) | CLI_OPTION(HEADER) | CLI_OPTION(PARTITION) | CLI_OPTION(ACKS),
     "write records: each VALUE, or each line of standard input"},
    {"consume", consume, "TOPIC", 1, 1,
     CLI_BROKER_OPTIONS | CLI_OPTION(OFFSET) | CLI_OPTION(COUNT) | CLI_OPTION(FORMAT) | CLI_OPTION(FOLLOW) |
         CLI_OPTION(PARTITION), "read records of one partition or all of them"},
};
/* clang-format on */

const struct cli_table cli_record_table = {
    .title = "Records", .commands = commands, .count = SL_COUNT_OF(commands)};
