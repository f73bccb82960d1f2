/* cli_dlq.c: sluice dlq list, show, redrive: dead letters of stages, and of groups that share
 * streams. The letters are read as records of their topic (__sluice_dlq.<stage>, or the one that
 * groups name); what was handed back, and redrives, are asked of the broker. */
#include "cli/cli_offsets.h"
#include "cli/cli_store.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX    "1000"
#define POLL_MS      100
#define REASONS_MAX  64
#define REASON_BYTES 257
#define CLI_FILTER_HELP                                                                        \
    "--filter takes FIELD=VALUE (equal) or FIELD~VALUE (contains); FIELD is reason, version, " \
    "topic, partition, key, value or header.NAME"

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

static int64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble
                                : strtoll(text_of(object, name), NULL, 10);
}

/* The last header of that name, as the broker's are the last. */
static const char *header_of(const cJSON *record, const char *name)
{
    const char *found = "";
    const cJSON *header;
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(record, "headers"))
    {
        if (strcmp(text_of(header, "key"), name) == 0) {
            found = text_of(header, "value");
        }
    }
    return found;
}

/* What a letter says of itself, as record/dead_letter.c reads it: a stage's, else a group's. */
static const char *said(const cJSON *record, const char *what)
{
    static const struct {
        const char *what, *of_stage, *of_group;
    } names[] = {{"reason", "sluice.reason", "__dlq.errors.message"},
                 {"version", "sluice.version", ""},
                 {"topic", "sluice.topic", "__dlq.errors.topic"},
                 {"partition", "sluice.partition", "__dlq.errors.partition"},
                 {"offset", "sluice.offset", "__dlq.errors.offset"},
                 {"redrives", "sluice.redrives", ""},
                 {"group", "", "__dlq.errors.group"},
                 {"deliveries", "", "__dlq.errors.delivery.count"}};
    bool of_group = header_of(record, "__dlq.errors.topic")[0] != '\0' &&
                    header_of(record, "sluice.reason")[0] == '\0';
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (strcmp(names[i].what, what) == 0) {
            return header_of(record, of_group ? names[i].of_group : names[i].of_stage);
        }
    }
    return "";
}

/* ---- filters ---- */

static bool value_matches(const char *value, char how, const char *wanted)
{
    return how == '=' ? strcmp(value, wanted) == 0 : strstr(value, wanted) != NULL;
}

/* As record/dead_letter.c does. */
static bool filter_matches(const char *filter, const cJSON *record)
{
    char field[128];
    size_t size = strcspn(filter, "=~");
    snprintf(field, sizeof(field), "%.*s", (int)SL_MIN(size, sizeof(field) - 1), filter);
    const char *wanted = filter + size + 1;
    if (strncmp(field, "header.", 7) == 0) {
        return value_matches(header_of(record, field + 7), filter[size], wanted);
    }
    if (strcmp(field, "key") == 0 || strcmp(field, "value") == 0) {
        return value_matches(text_of(record, field), filter[size], wanted);
    }
    return value_matches(said(record, field), filter[size], wanted);
}

static bool is_filter(const char *filter)
{
    static const char *const fields[] = {"reason", "version", "topic", "partition", "key", "value"};
    size_t size = strcspn(filter, "=~");
    bool known = size > 7 && strncmp(filter, "header.", 7) == 0;
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        known = known || (strlen(fields[i]) == size && strncmp(fields[i], filter, size) == 0);
    }
    return known && filter[size] != '\0';
}

static bool filters_check(const struct cli *cli)
{
    for (uint32_t i = 0; i < cli->options.filter.count; i++) {
        if (!is_filter(cli->options.filter.items[i])) {
            cli_complain("\"%.100s\" is no filter: " CLI_FILTER_HELP, cli->options.filter.items[i]);
            return false;
        }
    }
    return true;
}

static bool is_chosen(const struct cli *cli, const cJSON *record)
{
    bool chosen = true;
    for (uint32_t i = 0; i < cli->options.filter.count && chosen; i++) {
        chosen = filter_matches(cli->options.filter.items[i], record);
    }
    return chosen;
}

/* ---- reading ---- */

static bool is_redriven(const cJSON *partition, int64_t offset)
{
    const cJSON *range;
    cJSON_ArrayForEach(range, cJSON_GetObjectItemCaseSensitive(partition, "redriven"))
    {
        if (number_of(range, "first") <= offset && offset < number_of(range, "end")) {
            return true;
        }
    }
    return false;
}

/* False: enough was seen. */
typedef bool letter_fn(void *arg, const cJSON *partition, cJSON *record, bool redriven);

static int partition_read(struct cli_link *link, const cJSON *partition, int64_t from,
                          letter_fn *each, void *arg)
{
    char offset[32];
    bool more = true;
    int code = CLI_OK;
    int64_t at = SL_MAX(from, number_of(partition, "start"));
    while (more && code == CLI_OK && at < number_of(partition, "end")) {
        cJSON *reply = NULL;
        cJSON *args = cJSON_CreateObject();
        snprintf(offset, sizeof(offset), "%lld", (long long)at);
        cJSON_AddStringToObject(args, "topic", text_of(partition, "topic"));
        cJSON_AddNumberToObject(args, "partition", (double)number_of(partition, "partition"));
        cJSON_AddStringToObject(args, "offset", offset);
        cJSON_AddStringToObject(args, "max", CHUNK_MAX);
        code = cli_call(link, "consume", args, &reply);
        const cJSON *result = cli_result(reply);
        cJSON *record;
        cJSON_ArrayForEach(record, cJSON_GetObjectItemCaseSensitive(result, "records"))
        {
            int64_t its = number_of(record, "offset");
            more = more && its < number_of(partition, "end") &&
                   each(arg, partition, record, is_redriven(partition, its));
        }
        int64_t next = number_of(result, "next_offset");
        more = more && next > at;
        at = next;
        cJSON_Delete(reply);
    }
    return code;
}

static int stages_ask(struct cli_link *link, const char *name, cJSON **ret_reply)
{
    cJSON *args = cJSON_CreateObject();
    if (name != NULL) {
        cJSON_AddStringToObject(args, "name", name);
    }
    return cli_call(link, "dlq.stages", args, ret_reply);
}

/* ---- list ---- */

struct summary {
    cJSON *stage; /* the object being built */
    int64_t waiting, redriven, oldest, newest;
    char reasons[REASONS_MAX][REASON_BYTES];
    uint64_t counts[REASONS_MAX];
    uint32_t reason_count;
    uint64_t other;
};

static void count_reason(struct summary *summary, const char *reason)
{
    for (uint32_t i = 0; i < summary->reason_count; i++) {
        if (strncmp(summary->reasons[i], reason, REASON_BYTES - 1) == 0) {
            summary->counts[i]++;
            return;
        }
    }
    if (summary->reason_count == REASONS_MAX) {
        summary->other++;
        return;
    }
    snprintf(summary->reasons[summary->reason_count], REASON_BYTES, "%.256s", reason);
    summary->counts[summary->reason_count++] = 1;
}

static bool summary_add(void *arg, const cJSON *partition, cJSON *record, bool redriven)
{
    struct summary *summary = arg;
    (void)partition;
    if (redriven) {
        summary->redriven++;
        return true;
    }
    int64_t time_ms = number_of(record, "timestamp");
    summary->oldest = summary->waiting == 0 ? time_ms : SL_MIN(summary->oldest, time_ms);
    summary->newest = SL_MAX(summary->newest, time_ms);
    summary->waiting++;
    count_reason(summary, said(record, "reason"));
    return true;
}

static void summary_end(struct summary *summary, const char *stage, const char *of, cJSON *stages)
{
    char time[CLI_TIME_BYTES];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "stage", stage);
    cJSON_AddStringToObject(object, "of", of);
    cJSON_AddNumberToObject(object, "records", (double)summary->waiting);
    cJSON_AddNumberToObject(object, "redriven", (double)summary->redriven);
    cli_time_text(summary->waiting > 0 ? summary->oldest : -1, time);
    cJSON_AddStringToObject(object, "oldest", time);
    cli_time_text(summary->waiting > 0 ? summary->newest : -1, time);
    cJSON_AddStringToObject(object, "newest", time);
    cJSON *reasons = cJSON_AddArrayToObject(object, "reasons");
    for (uint32_t i = 0; i < summary->reason_count; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "records", (double)summary->counts[i]);
        cJSON_AddStringToObject(entry, "reason", summary->reasons[i]);
        cJSON_AddItemToArray(reasons, entry);
    }
    if (summary->other > 0) {
        cJSON_AddNumberToObject(object, "other_reasons", (double)summary->other);
    }
    cJSON_AddItemToArray(stages, object);
}

static int stage_sum(struct cli_link *link, const cJSON *partitions, const char *stage,
                     cJSON *stages)
{
    struct summary *summary = calloc(1, sizeof(*summary));
    const char *of = "";
    const cJSON *partition;
    int code = summary == NULL ? CLI_FAILED : CLI_OK;
    cJSON_ArrayForEach(partition, partitions)
    {
        if (code == CLI_OK && strcmp(text_of(partition, "stage"), stage) == 0) {
            of = text_of(partition, "of");
            code = partition_read(link, partition, 0, summary_add, summary);
        }
    }
    if (code == CLI_OK) {
        summary_end(summary, stage, of, stages);
    }
    free(summary);
    return code;
}

static bool has_stage(const cJSON *stages, const char *name)
{
    const cJSON *stage;
    cJSON_ArrayForEach(stage, stages)
    {
        if (strcmp(text_of(stage, "stage"), name) == 0) {
            return true;
        }
    }
    return false;
}

static void list_write(const struct cli *cli, const cJSON *stages)
{
    static const char *const columns[] = {"stage", "of", "records", "redriven", "oldest", "newest"};
    static const char *const reason_columns[] = {"records", "reason"};
    const cJSON *stage;
    cli_table_write(cli, stages, columns, SL_COUNT_OF(columns));
    cJSON_ArrayForEach(stage, stages)
    {
        const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(stage, "reasons");
        if (cJSON_GetArraySize(reasons) > 0) {
            printf("\n%s\n", text_of(stage, "stage"));
            cli_table_write(cli, reasons, reason_columns, SL_COUNT_OF(reason_columns));
        }
    }
}

static int dlq_list(struct cli *cli)
{
    struct cli_link link;
    cJSON *reply = NULL;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    const char *name = cli->options.word_count > 0 ? cli->options.words[0] : NULL;
    code = stages_ask(&link, name, &reply);
    cJSON *result = cJSON_CreateObject();
    cJSON *stages = cJSON_AddArrayToObject(result, "stages");
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions");
    const cJSON *partition;
    cJSON_ArrayForEach(partition, partitions)
    {
        if (code == CLI_OK && !has_stage(stages, text_of(partition, "stage"))) {
            code = stage_sum(&link, partitions, text_of(partition, "stage"), stages);
        }
    }
    if (code == CLI_OK && cli->options.json) {
        cli_json_write(result);
    } else if (code == CLI_OK) {
        list_write(cli, stages);
    }
    cJSON_Delete(result);
    cJSON_Delete(reply);
    cli_link_close(&link);
    return code;
}

/* ---- show ---- */

struct showing {
    struct cli *cli;
    int64_t left;
    int64_t only; /* this offset; -1: all */
    int64_t stop; /* of --offset, in the partition that is read; INT64_MAX: none */
    uint64_t shown;
};

static void copy_bytes(cJSON *to, const char *name, const cJSON *record)
{
    char coded[32];
    snprintf(coded, sizeof(coded), "%s_base64", name);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(record, name);
    const cJSON *base64 = cJSON_GetObjectItemCaseSensitive(record, coded);
    if (base64 != NULL) {
        cJSON_AddItemToObject(to, coded, cJSON_Duplicate(base64, true));
    } else if (item != NULL) {
        cJSON_AddItemToObject(to, name, cJSON_Duplicate(item, true));
    }
}

static cJSON *letter_json(const cJSON *partition, const cJSON *record, bool redriven)
{
    cJSON *letter = cJSON_CreateObject();
    cJSON *headers = cJSON_CreateArray();
    const cJSON *header;
    char time[CLI_TIME_BYTES];
    char at[64];
    snprintf(at, sizeof(at), "%lld:%s", (long long)number_of(partition, "partition"),
             text_of(record, "offset"));
    cli_time_text(number_of(record, "timestamp"), time);
    cJSON_AddStringToObject(letter, "letter", at);
    cJSON_AddStringToObject(letter, "reason", said(record, "reason"));
    cJSON_AddStringToObject(letter, "version", said(record, "version"));
    cJSON_AddStringToObject(letter, "topic", said(record, "topic"));
    cJSON_AddNumberToObject(letter, "partition",
                            (double)strtoll(said(record, "partition"), NULL, 10));
    cJSON_AddStringToObject(letter, "offset", said(record, "offset"));
    cJSON_AddNumberToObject(letter, "redrives",
                            (double)strtoll(said(record, "redrives"), NULL, 10));
    if (said(record, "group")[0] != '\0') {
        cJSON_AddStringToObject(letter, "group", said(record, "group"));
        cJSON_AddNumberToObject(letter, "deliveries",
                                (double)strtoll(said(record, "deliveries"), NULL, 10));
    }
    cJSON_AddBoolToObject(letter, "redriven", redriven);
    cJSON_AddStringToObject(letter, "time", time);
    copy_bytes(letter, "key", record);
    copy_bytes(letter, "value", record);
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(record, "headers"))
    {
        if (strncmp(text_of(header, "key"), "sluice.", 7) != 0 &&
            strncmp(text_of(header, "key"), "__dlq.errors.", 13) != 0) {
            cJSON_AddItemToArray(headers, cJSON_Duplicate(header, true));
        }
    }
    cJSON_AddItemToObject(letter, "headers", headers);
    return letter;
}

static bool letter_show(void *arg, const cJSON *partition, cJSON *record, bool redriven)
{
    struct showing *showing = arg;
    if (number_of(record, "offset") >= showing->stop) {
        return false;
    }
    if (showing->only >= 0 && number_of(record, "offset") != showing->only) {
        return number_of(record, "offset") < showing->only;
    }
    bool wanted = showing->only >= 0 || showing->cli->options.all || !redriven;
    if (!wanted || !is_chosen(showing->cli, record)) {
        return true;
    }
    cJSON *letter = letter_json(partition, record, redriven);
    if (showing->cli->options.json) {
        cli_json_write(letter);
    } else {
        printf("%s", showing->shown > 0 ? "\n" : "");
        cli_object_write(showing->cli, letter);
    }
    cJSON_Delete(letter);
    showing->shown++;
    return --showing->left > 0;
}

/* "3:17" of --offset. False: a sentence was written. */
static bool letter_take(const struct cli *cli, int64_t *ret_partition, int64_t *ret_offset)
{
    const char *text = cli_value(&cli->options.letter, NULL);
    char *end = NULL;
    *ret_partition = *ret_offset = -1;
    if (text == NULL) {
        return cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, ret_partition);
    }
    *ret_partition = strtoll(text, &end, 10);
    bool good = end != text && *end == ':' && *ret_partition >= 0;
    const char *second = good ? end + 1 : text;
    *ret_offset = strtoll(second, &end, 10);
    good = good && end != second && *end == '\0' && *ret_offset >= 0;
    if (!good) {
        cli_complain("--letter takes PARTITION:OFFSET of the dead letter, as dlq show writes it "
                     "(\"0:17\"), not \"%.60s\"",
                     text);
    }
    return good;
}

/* Where --offset begins and ends in a partition of the dead letters. */
static int64_t span_begin(const struct cli_span *span, const cJSON *bounds_reply, int64_t partition,
                          int64_t *ret_stop)
{
    const cJSON *row;
    *ret_stop = INT64_MAX;
    cJSON_ArrayForEach(row, cli_bounds_rows(bounds_reply))
    {
        struct cli_place_bounds from, to;
        int32_t number = -1;
        cli_bounds_read(row, true, &to, &number);
        cli_bounds_read(row, false, &from, &number);
        if (number == partition) {
            *ret_stop = span->has_to ? cli_place_resolve(&span->to, &to) : INT64_MAX;
            return cli_place_resolve(&span->from, &from);
        }
    }
    return 0;
}

static int letters_show(struct cli_link *link, const struct cli_span *span, int64_t only,
                        struct showing *showing)
{
    cJSON *reply = NULL, *bounds = NULL;
    const cJSON *partition;
    const char *stage = showing->cli->options.words[0];
    int code = stages_ask(link, stage, &reply);
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions");
    if (code == CLI_OK && cJSON_GetArraySize(partitions) > 0) {
        code = cli_bounds_ask(link, text_of(partitions->child, "topic"), span, &bounds);
    }
    cJSON_ArrayForEach(partition, partitions)
    {
        int64_t number = number_of(partition, "partition");
        if (code == CLI_OK && (only < 0 || number == only) && showing->left > 0) {
            int64_t from = span_begin(span, bounds, number, &showing->stop);
            code =
                partition_read(link, partition, SL_MAX(showing->only, from), letter_show, showing);
        }
    }
    cJSON_Delete(bounds);
    cJSON_Delete(reply);
    return code;
}

static int dlq_show(struct cli *cli)
{
    struct cli_link link;
    int64_t only = -1;
    struct cli_span span;
    struct showing showing = {.cli = cli};
    if (!cli_span_take(cli, "--offset", cli_value(&cli->options.offset, "start"), &span) ||
        !filters_check(cli) || !letter_take(cli, &only, &showing.only) ||
        !cli_number(&cli->options.count, "--count", 1, INT64_MAX, 20, &showing.left)) {
        return CLI_USAGE;
    }
    cli->is_stream = true;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = letters_show(&link, &span, only, &showing);
    if (code == CLI_OK && showing.shown == 0 && !cli->options.json) {
        cli_complain("no dead letter of %s is like that", cli->options.words[0]);
    }
    cli_link_close(&link);
    return code;
}

/* ---- redrive ---- */

static int redrive_follow(struct cli_link *link, cJSON **reply)
{
    struct cli_progress progress;
    int code = CLI_OK;
    cli_progress_begin_count(&progress, link->cli, "redriving",
                             (uint64_t)number_of(cli_result(*reply), "total"), "letters");
    while (code == CLI_OK &&
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cli_result(*reply), "running"))) {
        sl_sleep_ms(POLL_MS);
        cJSON_Delete(*reply);
        code = cli_call(link, "dlq.status", NULL, reply);
        progress.total = (uint64_t)number_of(cli_result(*reply), "total");
        cli_progress_set(&progress, (uint64_t)number_of(cli_result(*reply), "seen"));
    }
    cli_progress_clear(&progress);
    return code;
}

/* "topic x", "stage x", "the partitions that they came from" */
static void target_text(const struct cli *cli, bool of_groups, char ret_text[300])
{
    const char *to = cli_value(&cli->options.topic_to, NULL);
    if (to == NULL && of_groups) {
        snprintf(ret_text, 300, "the partitions that they came from");
    } else {
        snprintf(ret_text, 300, "%s %.260s", to != NULL ? "topic" : "stage",
                 to != NULL ? to : cli->options.words[0]);
    }
}

static int redrive_tell(const struct cli *cli, bool of_groups, const cJSON *result)
{
    char target[300];
    const char *reason = text_of(result, "reason");
    if (cli->options.json) {
        cli_json_write(result);
    } else {
        target_text(cli, of_groups, target);
        printf("%s dead letters went to %s", text_of(result, "redriven"), target);
        printf(of_groups ? "\n" : "; %s failed again\n", text_of(result, "failed_again"));
    }
    if (number_of(result, "orphans") > 0) {
        cli_complain("%s were left: their topic is gone (--to sends them to another)",
                     text_of(result, "orphans"));
    }
    if (number_of(result, "distant") > 0) {
        cli_complain("%s were left: where they came from lies on another shard than they do (--to "
                     "sends them to a topic that has a partition on theirs)",
                     text_of(result, "distant"));
    }
    if (number_of(result, "bare") > 0) {
        cli_complain("%s were left: they hold no record, but only say where it is "
                     "(errors.deadletterqueue.copy.record.enable of the group)",
                     text_of(result, "bare"));
    }
    if (reason[0] != '\0') {
        cli_complain("it ended early: %s; the same command does the rest", reason);
    }
    return reason[0] != '\0' ? CLI_PARTLY : CLI_OK;
}

/* Of --dry-run: the letters that are chosen. */
static bool letter_count(void *arg, const cJSON *partition, cJSON *record, bool redriven)
{
    struct showing *showing = arg;
    (void)partition;
    bool meant = showing->only < 0 || number_of(record, "offset") == showing->only;
    showing->shown += meant && !redriven && is_chosen(showing->cli, record);
    return true;
}

static int redrive_count(struct cli_link *link, int64_t only_partition, int64_t only)
{
    struct cli *cli = link->cli;
    struct showing showing = {.cli = cli, .only = only};
    bool of_groups = false;
    cJSON *reply = NULL;
    const cJSON *partition;
    int code = stages_ask(link, cli->options.words[0], &reply);
    cJSON_ArrayForEach(partition, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions"))
    {
        bool wanted = only_partition < 0 || number_of(partition, "partition") == only_partition;
        of_groups = of_groups || strcmp(text_of(partition, "of"), "groups") == 0;
        if (code == CLI_OK && wanted) {
            code =
                partition_read(link, partition, SL_MAX(only, (int64_t)0), letter_count, &showing);
        }
    }
    cJSON_Delete(reply);
    if (code == CLI_OK) {
        cJSON *result = cJSON_CreateObject();
        cJSON_AddTrueToObject(result, "dry_run");
        cJSON_AddNumberToObject(result, "letters", (double)showing.shown);
        char target[300];
        target_text(cli, of_groups, target);
        cli_change_write(cli, result, "%llu dead letters would go to %s",
                         (unsigned long long)showing.shown, target);
        cJSON_Delete(result);
    }
    return code;
}

static int dlq_redrive(struct cli *cli)
{
    struct cli_link link;
    cJSON *reply = NULL;
    int64_t partition = -1;
    int64_t offset = -1;
    if (!filters_check(cli) || !letter_take(cli, &partition, &offset)) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON *filters = cJSON_AddArrayToObject(args, "filters");
    const char *to = cli_value(&cli->options.topic_to, NULL);
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    cJSON_AddNumberToObject(args, "partition", (double)partition);
    cJSON_AddNumberToObject(args, "offset", (double)offset);
    if (to != NULL) {
        cJSON_AddStringToObject(args, "to", to);
    }
    for (uint32_t i = 0; i < cli->options.filter.count; i++) {
        cJSON_AddItemToArray(filters, cJSON_CreateString(cli->options.filter.items[i]));
    }
    code = cli_call(&link, "dlq.redrive", args, &reply);
    if (code == CLI_OK && cli->options.dry_run) {
        code = redrive_count(&link, partition, offset);
        cJSON_Delete(reply);
        cli_link_close(&link);
        return code;
    }
    code = code == CLI_OK ? redrive_follow(&link, &reply) : code;
    if (code == CLI_OK) {
        bool of_groups =
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cli_result(reply), "of_groups"));
        code = redrive_tell(cli, of_groups, cli_result(reply));
    }
    cJSON_Delete(reply);
    cli_link_close(&link);
    return code;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"dlq list", dlq_list, "[STAGE]", 0, 1, CLI_BROKER_OPTIONS,
     "dead letters of each stage, and of share groups by their topic: how many, since when, why"},
    {"dlq show", dlq_show, "STAGE", 1, 1,
     CLI_BROKER_OPTIONS | CLI_OPTION(LETTER) | CLI_OPTION(OFFSET) | CLI_OPTION(PARTITION) | CLI_OPTION(COUNT) | CLI_OPTION(FILTER) | CLI_OPTION(ALL),
     "dead letters with their reasons\n\n"
     "STAGE is a stage, or the topic of share groups' dead letters."},
    {"dlq redrive", dlq_redrive, "STAGE", 1, 1,
     CLI_CHANGE_OPTIONS | CLI_OPTION(LETTER) | CLI_OPTION(PARTITION) | CLI_OPTION(FILTER) | CLI_OPTION(TOPIC_TO),
     "hand dead letters back, each once\n\n"
     "Those of a stage go to the stage. STAGE may also be the topic of share groups' dead letters: they go back\n"
     "to the partitions that they came from, behind what is there, with the headers that they had."},
};
/* clang-format on */

const struct cli_table cli_dlq_table = {
    .title = "Dead letters", .commands = commands, .count = SL_COUNT_OF(commands)};
