/* cases_judge.c: what came out against what was expected, as a list of differences. */
#include "base/bytes.h"
#include "control/admin_request.h"
#include "control/base64.h"
#include "workbench/cases_state.h"
#include "workbench/json_same.h"

#include <stdio.h>
#include <string.h>

#define DIFFERENCES_MAX 100

/* ---- texts ---- */

void case_bytes_text(struct sl_bytes bytes, bool is_null, char ret_text[BENCH_TEXT_BYTES])
{
    size_t room = BENCH_TEXT_BYTES - 16;
    bool whole = bytes.size <= room * 3 / 4;
    if (is_null) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "null");
    } else if (admin_is_text(bytes)) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%.*s%s", (int)SL_MIN(bytes.size, room),
                 bytes.size > 0 ? (const char *)bytes.data : "", bytes.size > room ? "…" : "");
    } else {
        char coded[BENCH_TEXT_BYTES] = "";
        base64_encode(whole ? bytes : (struct sl_bytes){bytes.data, room / 2}, coded);
        snprintf(ret_text, BENCH_TEXT_BYTES, "base64:%.1000s%s", coded, whole ? "" : "…");
    }
}

void case_add_bytes(cJSON *object, const char *key, struct sl_bytes bytes, bool is_null)
{
    if (is_null) {
        cJSON_AddNullToObject(object, key);
    } else {
        admin_add_bytes(object, key, bytes);
    }
}

cJSON *case_record_json(const struct bench_record *record, bool with_timestamp)
{
    cJSON *object = cJSON_CreateObject();
    if (!record->key_is_null) {
        case_add_bytes(object, "key", record->key, false);
    }
    case_add_bytes(object, "value", record->value, record->value_is_null);
    if (record->header_count > 0) {
        cJSON *headers = cJSON_AddArrayToObject(object, "headers");
        for (uint32_t i = 0; i < record->header_count; i++) {
            char name[BENCH_TEXT_BYTES];
            cJSON *header = cJSON_CreateObject();
            case_bytes_text(record->headers[i].key, false, name);
            case_add_bytes(header, name, record->headers[i].value,
                           record->headers[i].value_is_null);
            cJSON_AddItemToArray(headers, header);
        }
    }
    if (with_timestamp) {
        admin_add_int64(object, "timestamp", record->timestamp);
    }
    return object;
}

/* ---- differences ---- */

struct judge {
    const struct test_case *expected;
    const struct bench_outcome *actual;
    const char *topic;
    cJSON *differences;
};

static void differ(struct judge *judge, const char *what, const char *expected, const char *actual)
{
    if (cJSON_GetArraySize(judge->differences) >= DIFFERENCES_MAX) {
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "what", what);
    cJSON_AddStringToObject(object, "expected", expected);
    cJSON_AddStringToObject(object, "actual", actual);
    cJSON_AddItemToArray(judge->differences, object);
}

static bool same(struct sl_bytes a, bool a_is_null, struct sl_bytes b, bool b_is_null)
{
    return a_is_null == b_is_null && (a_is_null || sl_bytes_equal(a, b));
}

static void differ_bytes(struct judge *judge, uint32_t index, const char *member,
                         struct sl_bytes expected, bool expected_is_null, struct sl_bytes actual,
                         bool actual_is_null)
{
    char what[BENCH_TOPIC_BYTES];
    char texts[2][BENCH_TEXT_BYTES];
    snprintf(what, sizeof(what), "out %u, %.100s", index, member);
    case_bytes_text(expected, expected_is_null, texts[0]);
    case_bytes_text(actual, actual_is_null, texts[1]);
    differ(judge, what, texts[0], texts[1]);
}

static void differ_number(struct judge *judge, uint32_t index, const char *member, int64_t expected,
                          int64_t actual)
{
    char what[64];
    char texts[2][32];
    snprintf(what, sizeof(what), "out %u, %s", index, member);
    snprintf(texts[0], sizeof(texts[0]), "%lld", (long long)expected);
    snprintf(texts[1], sizeof(texts[1]), "%lld", (long long)actual);
    differ(judge, what, texts[0], texts[1]);
}

static void judge_value(struct judge *judge, uint32_t index, const struct case_output *expected,
                        const struct bench_record *actual)
{
    const struct bench_record *wanted = &expected->record;
    bool good =
        same(wanted->value, wanted->value_is_null, actual->value, actual->value_is_null) ||
        (expected->is_json && !actual->value_is_null && json_same(wanted->value, actual->value));
    if (expected->has_value && !good) {
        differ_bytes(judge, index, "value", wanted->value, wanted->value_is_null, actual->value,
                     actual->value_is_null);
    }
}

/* As often as the header is expected it must be there, values in their order; others may be there
 * too. */
static void judge_header(struct judge *judge, uint32_t index, const struct bench_record *wanted,
                         uint32_t at, const struct bench_record *actual)
{
    const struct header_view *header = &wanted->headers[at];
    uint32_t skip = 0, found = 0;
    char member[BENCH_TOPIC_BYTES];
    for (uint32_t i = 0; i < at; i++) {
        skip += sl_bytes_equal(wanted->headers[i].key, header->key);
    }
    snprintf(member, sizeof(member), "header %.*s", (int)SL_MIN(header->key.size, (size_t)80),
             (const char *)header->key.data);
    for (uint32_t i = 0; i < actual->header_count; i++) {
        const struct header_view *have = &actual->headers[i];
        if (!sl_bytes_equal(have->key, header->key) || found++ != skip) {
            continue;
        }
        if (!same(header->value, header->value_is_null, have->value, have->value_is_null)) {
            differ_bytes(judge, index, member, header->value, header->value_is_null, have->value,
                         have->value_is_null);
        }
        return;
    }
    struct sl_bytes none = sl_bytes_of_text("(none)");
    differ_bytes(judge, index, member, header->value, header->value_is_null, none, false);
}

static void judge_output(struct judge *judge, uint32_t index)
{
    const struct case_output *expected = &judge->expected->outputs[index];
    const struct bench_output *actual = &judge->actual->outputs[index];
    const struct bench_record *wanted = &expected->record;
    const struct bench_record *have = &actual->record;
    judge_value(judge, index, expected, have);
    if (expected->has_key &&
        !same(wanted->key, wanted->key_is_null, have->key, have->key_is_null)) {
        differ_bytes(judge, index, "key", wanted->key, wanted->key_is_null, have->key,
                     have->key_is_null);
    }
    if (expected->topic != NULL &&
        !sl_bytes_equal(sl_bytes_of_text(expected->topic), actual->topic)) {
        differ_bytes(judge, index, "topic", sl_bytes_of_text(expected->topic), false, actual->topic,
                     false);
    }
    if (expected->has_timestamp && wanted->timestamp != have->timestamp) {
        differ_number(judge, index, "timestamp", wanted->timestamp, have->timestamp);
    }
    if (expected->has_partition && expected->partition != actual->partition) {
        differ_number(judge, index, "partition", expected->partition, actual->partition);
    }
    for (uint32_t i = 0; i < wanted->header_count; i++) {
        judge_header(judge, index, wanted, i, have);
    }
}

static void record_text(const struct bench_record *record, char *ret_text)
{
    cJSON *object = case_record_json(record, false);
    char *text = cJSON_PrintUnformatted(object);
    snprintf(ret_text, BENCH_TEXT_BYTES, "%s", text != NULL ? text : "");
    cJSON_free(text);
    cJSON_Delete(object);
}

static void judge_outputs(struct judge *judge)
{
    uint32_t wanted = judge->expected->output_count;
    uint32_t have = judge->actual->output_count;
    char what[32];
    char text[BENCH_TEXT_BYTES];
    for (uint32_t i = 0; i < SL_MIN(wanted, have); i++) {
        judge_output(judge, i);
    }
    for (uint32_t i = have; i < wanted; i++) {
        snprintf(what, sizeof(what), "out %u", i);
        record_text(&judge->expected->outputs[i].record, text);
        differ(judge, what, text, "(nothing)");
    }
    for (uint32_t i = wanted; i < have; i++) {
        snprintf(what, sizeof(what), "out %u", i);
        record_text(&judge->actual->outputs[i].record, text);
        differ(judge, what, "(nothing)", text);
    }
}

static bool contains(struct sl_bytes text, const char *part)
{
    size_t size = strlen(part);
    return size == 0 || (text.size >= size && memmem(text.data, text.size, part, size) != NULL);
}

static const struct case_rejection *expectation_of(const struct test_case *expected, uint32_t index)
{
    for (uint32_t i = 0; i < expected->rejection_count; i++) {
        if (expected->rejections[i].index == index) {
            return &expected->rejections[i];
        }
    }
    return NULL;
}

static void judge_rejection(struct judge *judge, uint32_t index)
{
    const struct case_rejection *expected = expectation_of(judge->expected, index);
    const struct bench_verdict *actual = &judge->actual->verdicts[index];
    bool rejected = actual->fate == BENCH_REJECTED;
    char what[32];
    char text[BENCH_TEXT_BYTES];
    char wanted[BENCH_TEXT_BYTES];
    if ((expected != NULL) == rejected &&
        (expected == NULL || contains(actual->reason, expected->reason))) {
        return;
    }
    snprintf(what, sizeof(what), "record %u", index);
    snprintf(wanted, sizeof(wanted), expected == NULL ? "not rejected" : "rejected: …%.900s…",
             expected == NULL ? "" : expected->reason);
    snprintf(text, sizeof(text), rejected ? "rejected: %.*s" : "not rejected",
             (int)SL_MIN(actual->reason.size, (size_t)900), (const char *)actual->reason.data);
    differ(judge, what, wanted, text);
}

static void judge_retry(struct judge *judge)
{
    const struct test_case *expected = judge->expected;
    const struct bench_outcome *actual = judge->actual;
    uint32_t first = 0;
    char texts[2][BENCH_TEXT_BYTES] = {"nothing comes again", "nothing comes again"};
    while (first < expected->record_count && actual->verdicts[first].fate != BENCH_RETRIED) {
        first++;
    }
    bool retried = first < expected->record_count;
    struct sl_bytes reason = retried ? actual->verdicts[first].reason : (struct sl_bytes){NULL, 0};
    if (retried == expected->has_retry &&
        (!retried ||
         (first == expected->retry.index && contains(reason, expected->retry.reason)))) {
        return;
    }
    if (expected->has_retry) {
        snprintf(texts[0], BENCH_TEXT_BYTES, "all from record %u on comes again: …%.800s…",
                 expected->retry.index, expected->retry.reason);
    }
    if (retried) {
        snprintf(texts[1], BENCH_TEXT_BYTES, "all from record %u on comes again: %.*s", first,
                 (int)SL_MIN(reason.size, (size_t)800), (const char *)reason.data);
    }
    differ(judge, "retry", texts[0], texts[1]);
}

/* False: there is nothing more to judge. */
static bool judge_end(struct judge *judge)
{
    const struct bench_outcome *actual = judge->actual;
    const char *wanted = judge->expected->error;
    if (actual->err == SLUICE_OK && wanted == NULL) {
        return true;
    }
    bool good = actual->err != SLUICE_OK && !actual->died && wanted != NULL &&
                contains(sl_bytes_of_text(actual->text), wanted);
    if (!good) {
        differ(judge, actual->died ? "worker" : "batch", wanted != NULL ? wanted : "no error",
               actual->err == SLUICE_OK ? "no error" : actual->text);
    }
    return false;
}

void case_judge(const struct test_case *expected, const struct bench_outcome *actual,
                const char *topic, cJSON *differences)
{
    struct judge judge = {expected, actual, topic, differences};
    if (!judge_end(&judge)) {
        return;
    }
    judge_outputs(&judge);
    for (uint32_t i = 0; i < expected->record_count; i++) {
        judge_rejection(&judge, i);
    }
    judge_retry(&judge);
}

/* ---- state ---- */

struct state_judge {
    struct judge judge;
    bool is_script;
};

static void entry_text(const struct state_judge *self, const struct bench_entry *entry,
                       char *ret_text)
{
    if (entry == NULL) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "(none)");
    } else {
        case_value_text(entry->value, self->is_script, ret_text);
    }
}

static void entry_differs(void *arg, const struct bench_entry *expected,
                          const struct bench_entry *actual)
{
    struct state_judge *self = arg;
    char key[BENCH_TEXT_BYTES];
    char what[BENCH_TOPIC_BYTES];
    char texts[2][BENCH_TEXT_BYTES];
    case_bytes_text(expected != NULL ? expected->key : actual->key, false, key);
    snprintf(what, sizeof(what), "state, %.200s", key);
    entry_text(self, expected, texts[0]);
    entry_text(self, actual, texts[1]);
    differ(&self->judge, what, texts[0], texts[1]);
}

bool case_judge_state(const struct test_case *expected, const struct bench_outcome *actual,
                      struct config_arena *arena, bool is_script, cJSON *differences)
{
    struct state_judge self = {.judge = {.expected = expected, .differences = differences},
                               .is_script = is_script};
    const struct bench_entry *wanted =
        case_entries_encode(arena, expected->state_after, expected->state_after_count, is_script);
    if (wanted == NULL) {
        return false;
    }
    case_entries_compare(wanted, expected->state_after_count, actual->state, actual->state_count,
                         entry_differs, &self);
    return true;
}

/* ---- a run ---- */

#define LOG_LINES_MAX 100

static void log_take(void *arg, int32_t level, struct sluice_text line)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    cJSON *logs = arg;
    if (cJSON_GetArraySize(logs) < LOG_LINES_MAX) {
        char text[SANDBOX_LOG_SIZE_MAX + 16];
        snprintf(text, sizeof(text), "%s: %.*s", levels[(uint32_t)level & 3u], (int)line.size,
                 line.data);
        cJSON_AddItemToArray(logs, cJSON_CreateString(text));
    }
}

static sl_err run_and_judge(struct bench_plugin *plugin, const struct test_case *expected,
                            struct config_arena *arena, bool is_script, cJSON *differences)
{
    struct bench_outcome outcome;
    const struct bench_input input = {
        .records = expected->records,
        .count = expected->record_count,
        .topic = expected->topic != NULL ? expected->topic : plugin->topic,
        .partition = expected->partition,
        .state = case_entries_encode(arena, expected->state, expected->state_count, is_script),
        .state_count = expected->state_count,
        .keeps_state = expected->has_state_after};
    if (input.state == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = bench_run(plugin, &input, arena, &outcome);
    if (err != SLUICE_OK) {
        return err;
    }
    case_judge(expected, &outcome, input.topic, differences);
    bool judged = !expected->has_state_after || outcome.err != SLUICE_OK ||
                  case_judge_state(expected, &outcome, arena, is_script, differences);
    return judged ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

static void run_started(struct bench_plugin *plugin, const struct test_case *expected,
                        bool is_script, cJSON *differences)
{
    struct config_arena *arena = config_arena_new();
    struct judge judge = {.expected = expected, .differences = differences};
    bool gate = plugin->attachment.on == SLUICE_ON_PRODUCE;
    if (expected->refused != NULL) {
        differ(&judge, "start", expected->refused, "it started");
    } else if (gate && (expected->state_count > 0 || expected->has_state_after)) {
        differ(&judge, "state", "a stage", "a gate, which has no durable state");
    } else if (arena == NULL ||
               run_and_judge(plugin, expected, arena, is_script, differences) != SLUICE_OK) {
        differ(&judge, "run", "records that fit a worker",
               "a record, or the state, is larger than a worker takes");
    }
    config_arena_free(arena);
}

cJSON *case_run(const struct bench *bench, const struct bench_file *file,
                const struct test_case *expected)
{
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "case", expected->name);
    cJSON_AddNumberToObject(result, "line", expected->line);
    cJSON *differences = cJSON_AddArrayToObject(result, "differences");
    cJSON *logs = cJSON_AddArrayToObject(result, "logs");
    const struct bench_settings settings = {
        .config_json = expected->config_json, .log = log_take, .log_arg = logs};
    struct judge judge = {.expected = expected, .differences = differences};
    struct bench_plugin plugin;
    char text[BENCH_TEXT_BYTES] = "";
    sl_err err = bench_plugin_start(&plugin, bench, file, &settings, text);
    if (err == SLUICE_OK) {
        run_started(&plugin, expected, file->script != NULL, differences);
        if (!plugin.probe.ended && probe_drain(&plugin.probe) != SLUICE_OK) {
            differ(&judge, "end", "it drains and ends", plugin.probe.end.text);
        }
        bench_plugin_close(&plugin);
    } else if (expected->refused == NULL || plugin.probe.end.kind != SANDBOX_CAUSE_REFUSED ||
               strstr(text, expected->refused) == NULL) {
        differ(&judge, "start", expected->refused != NULL ? expected->refused : "it starts", text);
    }
    cJSON_AddBoolToObject(result, "ok", cJSON_GetArraySize(differences) == 0);
    return result;
}
