/* consume.c: chunk after chunk of a partition, or of all partitions in turn, in a format. */
#include "cli/cli_offsets.h"
#include "cli/cli_record_text.h"
#include "os/os_interrupt.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX      500
#define FOLLOW_WAIT_MS 1000
#define PARTITIONS_MAX 10000

struct reading {
    int32_t partition;
    int64_t next, stop; /* offsets; INT64_MAX: no stop */
};

struct consuming {
    struct cli *cli;
    struct cli_link link;
    int64_t left; /* records still wanted; INT64_MAX: all */
    int64_t written;
    const char *format;
    uint32_t partition_count; /* being read */
    struct reading *partitions;
};

static void records_write(struct consuming *consuming, uint32_t index, const cJSON *records)
{
    const struct reading *reading = &consuming->partitions[index];
    cJSON *record;
    cJSON_ArrayForEach(record, records)
    {
        const char *offset =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "offset"));
        if (offset != NULL && strtoll(offset, NULL, 10) >= reading->stop) {
            break;
        }
        if (consuming->cli->options.json) {
            cJSON_AddNumberToObject(record, "partition", reading->partition);
            cli_json_write(record);
        } else {
            cli_record_format(consuming->format, consuming->cli->options.words[0],
                              reading->partition, record);
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
    struct reading *reading = &consuming->partitions[index];
    cJSON *args = cJSON_CreateObject();
    snprintf(text, sizeof(text), "%lld", (long long)reading->next);
    cJSON_AddStringToObject(args, "topic", consuming->cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", reading->partition);
    cJSON_AddStringToObject(args, "offset", text);
    cJSON_AddNumberToObject(args, "max", (double)SL_MIN(consuming->left, (int64_t)CHUNK_MAX));
    cJSON_AddNumberToObject(args, "wait_ms", (double)wait_ms);
    int code = cli_call(&consuming->link, "consume", args, &reply);
    if (code == CLI_OK) {
        const cJSON *result = cli_result(reply);
        records_write(consuming, index, cJSON_GetObjectItemCaseSensitive(result, "records"));
        reading->next = strtoll(cli_member_text(result, "next_offset", text), NULL, 10);
        *ret_ended =
            reading->next >= strtoll(cli_member_text(result, "high_watermark", text), NULL, 10);
    }
    cJSON_Delete(reply);
    return code;
}

/* All of the span was read. */
static bool is_done(const struct reading *reading)
{
    return reading->next >= reading->stop;
}

/* Round after round over the partitions, until all ended, or enough was read. */
static int rounds_read(struct consuming *consuming)
{
    bool follow = consuming->cli->options.follow;
    int64_t wait_ms = follow && consuming->partition_count == 1 ? FOLLOW_WAIT_MS : 0;
    for (;;) {
        bool all_ended = true, all_done = true;
        for (uint32_t i = 0; i < consuming->partition_count && consuming->left > 0; i++) {
            bool ended = is_done(&consuming->partitions[i]);
            if (ended) {
                continue;
            }
            bool last = i + 1 == consuming->partition_count && follow;
            int code = chunk_read(consuming, i, last ? SL_MAX(wait_ms, 200) : wait_ms, &ended);
            if (code != CLI_OK) {
                return code;
            }
            all_ended = all_ended && ended;
            all_done = all_done && is_done(&consuming->partitions[i]);
        }
        if (consuming->left <= 0 || all_done || (all_ended && !follow) || ferror(stdout) ||
            sl_interrupted()) {
            return CLI_OK;
        }
    }
}

/* The rows of topic.offsets that are wanted, with the span in each. */
static int partitions_take(struct consuming *consuming, const cJSON *rows,
                           const struct cli_span *span, int64_t only)
{
    const cJSON *row;
    size_t count = (size_t)cJSON_GetArraySize(rows);
    consuming->partitions = calloc(count + 1, sizeof(*consuming->partitions));
    if (consuming->partitions == NULL || count > PARTITIONS_MAX) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    cJSON_ArrayForEach(row, rows)
    {
        struct cli_place_bounds from, to;
        struct reading *reading = &consuming->partitions[consuming->partition_count];
        cli_bounds_read(row, true, &to, &reading->partition);
        cli_bounds_read(row, false, &from, &reading->partition);
        reading->next = cli_place_resolve(&span->from, &from);
        reading->stop = span->has_to ? cli_place_resolve(&span->to, &to) : INT64_MAX;
        consuming->partition_count += only < 0 || reading->partition == only;
    }
    if (consuming->partition_count == 0) {
        cli_complain("%s has no partition %lld, it has %zu (SLU-%04d)",
                     consuming->cli->options.words[0], (long long)only, count,
                     SLUICE_E_UNKNOWN_TOPIC);
        cli_explain(consuming->cli, SLUICE_E_UNKNOWN_TOPIC);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int partitions_find(struct consuming *consuming, const struct cli_span *span, int64_t only)
{
    cJSON *reply = NULL;
    int code = cli_bounds_ask(&consuming->link, consuming->cli->options.words[0], span, &reply);
    if (code == CLI_OK) {
        code = partitions_take(consuming, cli_bounds_rows(reply), span, only);
    }
    cJSON_Delete(reply);
    return code;
}

static int consume(struct cli *cli)
{
    struct consuming consuming = {.cli = cli, .format = cli_value(&cli->options.format, "%v\\n")};
    struct cli_span span;
    int64_t only = -1;
    if (strcmp(consuming.format, "help") == 0) {
        cli_record_format_help(stdout);
        return CLI_OK;
    }
    if (!cli_number(&cli->options.count, "--count", 1, INT64_MAX, INT64_MAX, &consuming.left) ||
        !cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &only) ||
        !cli_span_take(cli, "--offset", cli_value(&cli->options.offset, "start"), &span) ||
        !cli_record_format_check(consuming.format)) {
        return CLI_USAGE;
    }
    sl_interrupts_watch();
    cli->is_stream = true;
    int code = cli_link_open(&consuming.link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = partitions_find(&consuming, &span, only);
    if (code == CLI_OK) {
        code = rounds_read(&consuming);
    }
    free(consuming.partitions);
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
         CLI_OPTION(PARTITION), "read records of one partition or all of them\n\n"
     "--offset takes one place, or two as FROM:TO, where TO is not read any more: start, end, N, +N (behind\n"
     "the start), -N (before the end), @2026-11-21T11:00:00Z, @ and ms since 1970, @-1h, @-1h:end.\n"
     "Ctrl-C once ends in order, twice at once."},
};
/* clang-format on */

const struct cli_table cli_record_table = {
    .title = "Records", .commands = commands, .count = SL_COUNT_OF(commands)};
