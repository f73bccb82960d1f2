/* cli_workbench_sample.c: records to try a plugin with: the last of a topic, or those of a file. */
#include "cli/cli_workbench.h"

#include "base/bytes.h"
#include "control/admin_request.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_BYTES_MAX  (64u << 20)
#define SAMPLE_PARTITIONS 4096
#define HEADERS_MAX       1024

static bool bytes_of_json(struct config_arena *arena, const cJSON *object, const char *key,
                          struct sl_bytes *ret_bytes, bool *ret_is_null)
{
    uint8_t *owned = NULL;
    struct sl_bytes bytes;
    if (admin_get_bytes(object, key, &bytes, ret_is_null, &owned) != SLUICE_OK) {
        return false;
    }
    char *kept = config_arena_text(arena, bytes.data, bytes.size);
    sl_free(owned);
    *ret_bytes = sl_bytes_of(kept, bytes.size);
    return kept != NULL;
}

static bool headers_of_json(struct config_arena *arena, const cJSON *array,
                            struct bench_record *record)
{
    int count = SL_MIN(cJSON_GetArraySize(array), HEADERS_MAX);
    const cJSON *header = count > 0 ? array->child : NULL;
    struct header_view *headers =
        config_arena_get(arena, (size_t)SL_MAX(count, 1) * sizeof(*headers));
    for (int i = 0; headers != NULL && i < count; i++, header = header->next) {
        bool is_null = false;
        if (!bytes_of_json(arena, header, "key", &headers[i].key, &is_null) ||
            !bytes_of_json(arena, header, "value", &headers[i].value, &headers[i].value_is_null)) {
            return false;
        }
    }
    record->headers = headers;
    record->header_count = (uint32_t)count;
    return headers != NULL;
}

/* A record as the admin protocol and `consume --json` write it. */
static bool record_of_json(struct config_arena *arena, const cJSON *object,
                           struct bench_record *ret_record)
{
    char text[1024];
    int64_t timestamp = 0;
    struct bench_record record = {.key_is_null = true};
    if (!bytes_of_json(arena, object, "key", &record.key, &record.key_is_null) ||
        !bytes_of_json(arena, object, "value", &record.value, &record.value_is_null) ||
        !headers_of_json(arena, cJSON_GetObjectItemCaseSensitive(object, "headers"), &record)) {
        return false;
    }
    record.timestamp =
        admin_int_parse(cli_member_text(object, "timestamp", text), &timestamp) ? timestamp : 0;
    *ret_record = record;
    return true;
}

/* ---- a topic ---- */

struct tail {
    struct cli_link link;
    const char *topic;
    uint32_t wanted;
    struct cli_sample *sample;
    uint32_t capacity;
};

/* The last records of one partition; fewer where batches hold holes. */
static int partition_read(struct tail *tail, int32_t partition, int64_t start, int64_t end)
{
    int64_t at = SL_MAX(start, end - (int64_t)tail->wanted);
    while (at < end) {
        cJSON *reply = NULL;
        const cJSON *record;
        char text[1024];
        int64_t next = at;
        cJSON *args = cJSON_CreateObject();
        cJSON_AddStringToObject(args, "topic", tail->topic);
        cJSON_AddNumberToObject(args, "partition", partition);
        admin_add_int64(args, "offset", at);
        cJSON_AddNumberToObject(args, "max", tail->wanted);
        int code = cli_call(&tail->link, "consume", args, &reply);
        const cJSON *records = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "records");
        cJSON_ArrayForEach(record, records)
        {
            struct cli_sample *sample = tail->sample;
            if (sample->count < tail->capacity &&
                record_of_json(sample->arena, record, &sample->records[sample->count])) {
                sample->count++;
            }
        }
        (void)admin_int_parse(cli_member_text(cli_result(reply), "next_offset", text), &next);
        cJSON_Delete(reply);
        if (code != CLI_OK) {
            return code;
        }
        if (next <= at) {
            break;
        }
        at = next;
    }
    return CLI_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct bench_record *first = a, *second = b;
    return (first->timestamp > second->timestamp) - (first->timestamp < second->timestamp);
}

/* Of each partition as many as may be wanted, then the last of all by their time. */
static int partitions_read(struct tail *tail, const cJSON *list)
{
    struct cli_sample *sample = tail->sample;
    const cJSON *partition;
    int count = cJSON_GetArraySize(list);
    tail->capacity = tail->wanted * (uint32_t)SL_MIN(count, SAMPLE_PARTITIONS);
    sample->records = config_arena_get(sample->arena, tail->capacity * sizeof(*sample->records));
    if (sample->records == NULL) {
        return CLI_FAILED;
    }
    cJSON_ArrayForEach(partition, list)
    {
        char text[1024];
        int64_t start = 0, end = 0;
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(partition, "partition");
        if (!cJSON_IsNumber(number) ||
            !admin_int_parse(cli_member_text(partition, "log_start_offset", text), &start) ||
            !admin_int_parse(cli_member_text(partition, "end_offset", text), &end)) {
            continue;
        }
        int code = partition_read(tail, number->valueint, start, end);
        if (code != CLI_OK) {
            return code;
        }
    }
    if (count > 1 && sample->count > 0) {
        qsort(sample->records, sample->count, sizeof(*sample->records), by_time);
    }
    if (sample->count > tail->wanted) {
        sample->records += sample->count - tail->wanted;
        sample->count = tail->wanted;
    }
    return CLI_OK;
}

int cli_sample_topic(struct cli *cli, const char *topic, uint32_t count,
                     struct cli_sample *ret_sample)
{
    struct cli_sample sample = {.arena = config_arena_new()};
    struct tail tail = {.topic = topic, .wanted = count, .sample = &sample};
    cJSON *reply = NULL;
    if (sample.arena == NULL) {
        return CLI_FAILED;
    }
    snprintf(sample.topic, sizeof(sample.topic), "%.249s", topic);
    int code = cli_link_open(&tail.link, cli);
    if (code == CLI_OK) {
        cJSON *args = cJSON_CreateObject();
        cJSON_AddStringToObject(args, "topic", topic);
        code = cli_call(&tail.link, "topic.describe", args, &reply);
        code = code != CLI_OK ? code
                              : partitions_read(&tail, cJSON_GetObjectItemCaseSensitive(
                                                           cli_result(reply), "partition_list"));
        cli_link_close(&tail.link);
    }
    cJSON_Delete(reply);
    if (code == CLI_OK && sample.count == 0) {
        cli_complain("the topic %s holds no records", topic);
        code = CLI_FAILED;
    }
    if (code != CLI_OK) {
        cli_sample_free(&sample);
        return code;
    }
    *ret_sample = sample;
    return CLI_OK;
}

/* ---- a file ---- */

/* A line as `consume --json` writes it, or just a value. */
static bool line_take(struct cli_sample *sample, const char *line, size_t size)
{
    struct bench_record record = {.key_is_null = true};
    cJSON *object = size > 0 && line[0] == '{' ? cJSON_ParseWithLength(line, size) : NULL;
    bool is_record = cJSON_HasObjectItem(object, "offset") &&
                     cJSON_HasObjectItem(object, "timestamp") &&
                     record_of_json(sample->arena, object, &record);
    cJSON_Delete(object);
    if (!is_record) {
        char *kept = config_arena_text(sample->arena, line, size);
        if (kept == NULL) {
            return false;
        }
        record = (struct bench_record){.key_is_null = true, .value = sl_bytes_of(kept, size)};
    }
    sample->records[sample->count++] = record;
    return true;
}

static int lines_take(struct cli_sample *sample, struct sl_bytes text)
{
    const char *at = (const char *)text.data;
    const char *end = at + text.size;
    sample->records = config_arena_get(sample->arena, BENCH_RECORDS_MAX * sizeof(*sample->records));
    while (sample->records != NULL && at < end && sample->count < BENCH_RECORDS_MAX) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        if (!line_take(sample, at, (size_t)(stop - at))) {
            return CLI_FAILED;
        }
        at = stop + (newline != NULL);
    }
    if (at < end) {
        cli_complain("the sample has more than %u lines; the first are taken", BENCH_RECORDS_MAX);
    }
    return sample->count > 0 ? CLI_OK : CLI_FAILED;
}

/* The records of all cases. */
static int cases_take(struct cli *cli, const char *path, struct cli_sample *sample)
{
    struct cli_cases cases;
    int code = cli_cases_read(cli, path, &cases);
    if (code != CLI_OK) {
        return code;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < cases.file.count; i++) {
        count += cases.file.cases[i].record_count;
    }
    config_arena_free(sample->arena);
    sample->arena = cases.arena; /* the records are in it */
    cases.arena = NULL;
    count = SL_MIN(count, BENCH_RECORDS_MAX);
    sample->records = config_arena_get(sample->arena, SL_MAX(count, 1u) * sizeof(*sample->records));
    for (uint32_t i = 0; sample->records != NULL && i < cases.file.count; i++) {
        const struct test_case *one = &cases.file.cases[i];
        for (uint32_t k = 0; k < one->record_count && sample->count < count; k++) {
            sample->records[sample->count++] = one->records[k];
        }
    }
    cli_cases_free(&cases);
    return sample->count > 0 ? CLI_OK : CLI_FAILED;
}

int cli_sample_file(struct cli *cli, const char *path, struct cli_sample *ret_sample)
{
    struct cli_sample sample = {.arena = config_arena_new()};
    struct sl_bytes text = {NULL, 0};
    char sentence[BENCH_TEXT_BYTES];
    int code = CLI_FAILED;
    if (sample.arena == NULL) {
        return CLI_FAILED;
    }
    if (cli_ends_in(path, ".yaml") || cli_ends_in(path, ".yml")) {
        code = cases_take(cli, path, &sample);
    } else if (bench_read(cli->os, path, SAMPLE_BYTES_MAX, &text, sentence) != SLUICE_OK) {
        cli_complain("%s", sentence);
    } else if (lines_take(&sample, text) == CLI_OK) {
        code = CLI_OK;
    } else {
        cli_complain("%s holds no records", path);
    }
    sl_free((void *)(uintptr_t)text.data);
    if (code != CLI_OK) {
        cli_sample_free(&sample);
        return code;
    }
    *ret_sample = sample;
    return CLI_OK;
}

void cli_sample_free(struct cli_sample *sample)
{
    sample->arena = config_arena_free(sample->arena);
}
