/* cases_read.c: a file of test cases into structs, by tables of keys; each fault with its place. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/text.h"
#include "control/base64.h"
#include "workbench/cases.h"

#include <sluice/state.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct config_arena *arena;
    struct config_report *report;
};

static sl_err fault(const struct reader *reader, const struct config_node *node,
                    const char *sentence)
{
    config_problem(reader->report, SLUICE_E_CONFIG_VALUE, &node->origin, "%s", sentence);
    return SLUICE_E_CONFIG_VALUE;
}

/* ---- keys by table ---- */

typedef sl_err take_fn(struct reader *reader, const struct config_node *node, void *to);
struct key {
    const char *name;
    take_fn *take;
};

static sl_err unknown_key(const struct reader *reader, const struct config_node *node,
                          const struct key *keys, size_t count)
{
    const char *known[16];
    SL_ASSERT(count <= SL_COUNT_OF(known));
    for (size_t i = 0; i < count; i++) {
        known[i] = keys[i].name;
    }
    const char *best = sl_text_nearest(sl_bytes_of_text(node->key), known, count);
    config_problem(reader->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &node->origin,
                   "\"%.60s\" is no key here%s%s%s", node->key,
                   best != NULL ? "; did you mean \"" : "", best != NULL ? best : "",
                   best != NULL ? "\"?" : "");
    return SLUICE_E_CONFIG_UNKNOWN_KEY;
}

static sl_err take_map(struct reader *reader, const struct config_node *map, const struct key *keys,
                       size_t count, void *to)
{
    if (map->kind != CONFIG_MAP) {
        return fault(reader, map, "keys with values are expected here");
    }
    for (const struct config_node *child = map->first; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < count && strcmp(keys[i].name, child->key) != 0) {
            i++;
        }
        sl_err err =
            i == count ? unknown_key(reader, child, keys, count) : keys[i].take(reader, child, to);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* ---- values ---- */

static bool is_null(const struct config_node *node)
{
    return node->kind == CONFIG_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "~") == 0);
}

static sl_err take_text(struct reader *reader, const struct config_node *node,
                        const char **ret_text)
{
    if (node->kind != CONFIG_SCALAR) {
        return fault(reader, node, "a text is expected here");
    }
    *ret_text = node->text;
    return SLUICE_OK;
}

static sl_err take_number(struct reader *reader, const struct config_node *node, int64_t min,
                          int64_t max, int64_t *ret_value)
{
    int64_t value;
    if (node->kind != CONFIG_SCALAR ||
        sl_text_parse_i64(sl_bytes_of_text(node->text), &value) != SLUICE_OK || value < min ||
        value > max) {
        config_problem(reader->report, SLUICE_E_CONFIG_VALUE, &node->origin,
                       "a whole number from %lld to %lld is expected here", (long long)min,
                       (long long)max);
        return SLUICE_E_CONFIG_VALUE;
    }
    *ret_value = value;
    return SLUICE_OK;
}

static sl_err take_bytes(struct reader *reader, const struct config_node *node,
                         struct sl_bytes *ret_bytes, bool *ret_is_null)
{
    if (node->kind != CONFIG_SCALAR) {
        return fault(reader, node, "a text is expected here; a JSON value is written as json: …");
    }
    *ret_is_null = is_null(node);
    *ret_bytes = sl_bytes_of_text(*ret_is_null ? "" : node->text);
    return SLUICE_OK;
}

static sl_err take_base64(struct reader *reader, const struct config_node *node,
                          struct sl_bytes *ret_bytes, bool *ret_is_null)
{
    size_t size = 0;
    size_t text_size = node->kind == CONFIG_SCALAR ? strlen(node->text) : 0;
    uint8_t *memory = config_arena_get(reader->arena, text_size + 1);
    if (memory == NULL) {
        return config_no_memory(reader->report);
    }
    if (node->kind != CONFIG_SCALAR ||
        base64_decode(node->text, text_size, memory, &size) != SLUICE_OK) {
        return fault(reader, node, "this is no base64");
    }
    *ret_bytes = sl_bytes_of(memory, size);
    *ret_is_null = false;
    return SLUICE_OK;
}

/* The node as JSON text. */
static sl_err take_json(struct reader *reader, const struct config_node *node,
                        const char **ret_json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return config_no_memory(reader->report);
    }
    config_node_write_json(node, out);
    bool good = fclose(out) == 0;
    char *kept = good ? config_arena_text(reader->arena, text, size) : NULL;
    free(text);
    if (kept == NULL) {
        return config_no_memory(reader->report);
    }
    *ret_json = kept;
    return SLUICE_OK;
}

/* ---- records ---- */

static sl_err field_key(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    output->has_key = true;
    return take_bytes(reader, node, &output->record.key, &output->record.key_is_null);
}

static sl_err field_key_base64(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    output->has_key = true;
    return take_base64(reader, node, &output->record.key, &output->record.key_is_null);
}

static sl_err value_once(struct reader *reader, const struct config_node *node,
                         struct case_output *output)
{
    if (output->has_value) {
        return fault(reader, node, "the record has a value already: value, value_base64 or json");
    }
    output->has_value = true;
    return SLUICE_OK;
}

static sl_err field_value(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    sl_err err = value_once(reader, node, output);
    return err != SLUICE_OK
               ? err
               : take_bytes(reader, node, &output->record.value, &output->record.value_is_null);
}

static sl_err field_value_base64(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    sl_err err = value_once(reader, node, output);
    return err != SLUICE_OK
               ? err
               : take_base64(reader, node, &output->record.value, &output->record.value_is_null);
}

static sl_err field_json(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    const char *json = NULL;
    sl_err err = value_once(reader, node, output);
    err = err != SLUICE_OK ? err : take_json(reader, node, &json);
    if (err == SLUICE_OK) {
        output->record.value = sl_bytes_of_text(json);
        output->record.value_is_null = false;
        output->is_json = true;
    }
    return err;
}

static sl_err field_timestamp(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    output->has_timestamp = true;
    return take_number(reader, node, -1, INT64_MAX, &output->record.timestamp);
}

/* A map of names, or a list of such maps where one name comes twice. */
static sl_err headers_of(struct reader *reader, const struct config_node *map,
                         struct header_view *headers, uint32_t *count)
{
    if (map->kind != CONFIG_MAP) {
        return fault(reader, map, "headers are written as NAME: VALUE");
    }
    for (const struct config_node *child = map->first; child != NULL; child = child->next) {
        if (*count == CASE_HEADERS_MAX) {
            return fault(reader, child, "more than 64 headers");
        }
        struct header_view *header = &headers[(*count)++];
        header->key = sl_bytes_of_text(child->key);
        sl_err err = take_bytes(reader, child, &header->value, &header->value_is_null);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static sl_err field_headers(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    struct header_view *headers =
        config_arena_get(reader->arena, CASE_HEADERS_MAX * sizeof(*headers));
    if (headers == NULL) {
        return config_no_memory(reader->report);
    }
    output->record.headers = headers;
    if (node->kind != CONFIG_LIST) {
        return headers_of(reader, node, headers, &output->record.header_count);
    }
    sl_err err = SLUICE_OK;
    for (const struct config_node *child = node->first; child != NULL && err == SLUICE_OK;
         child = child->next) {
        err = headers_of(reader, child, headers, &output->record.header_count);
    }
    return err;
}

static sl_err field_topic(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    return take_text(reader, node, &output->topic);
}

static sl_err field_partition(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_output *output = to;
    int64_t value = 0;
    sl_err err = take_number(reader, node, 0, INT32_MAX, &value);
    output->partition = (int32_t)value;
    output->has_partition = true;
    return err;
}

/* Those of an input record come first. */
static const struct key record_keys[] = {
    {"key", field_key},
    {"key_base64", field_key_base64},
    {"value", field_value},
    {"value_base64", field_value_base64},
    {"json", field_json},
    {"headers", field_headers},
    {"timestamp", field_timestamp},
    {"topic", field_topic},
    {"partition", field_partition},
};
#define INPUT_KEYS 7u
#define ENTRY_KEYS 5u /* of an entry of the state */

/* Room for the items of a list, zeroed. */
static sl_err take_list(struct reader *reader, const struct config_node *list, size_t item_size,
                        void **ret_items, uint32_t *ret_count)
{
    if (list->kind != CONFIG_LIST && !is_null(list)) {
        return fault(reader, list, "a list is expected here: lines that begin with \"- \"");
    }
    *ret_items = config_arena_get(reader->arena, SL_MAX(list->child_count, 1u) * item_size);
    *ret_count = list->child_count;
    return *ret_items == NULL ? config_no_memory(reader->report) : SLUICE_OK;
}

static sl_err case_in(struct reader *reader, const struct config_node *list, void *to)
{
    struct test_case *self = to;
    void *records = NULL;
    sl_err err = take_list(reader, list, sizeof(*self->records), &records, &self->record_count);
    self->records = records;
    const struct config_node *child = list->first;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->record_count; i++, child = child->next) {
        struct case_output one = {.record = {.key_is_null = true, .value_is_null = true}};
        err = take_map(reader, child, record_keys, INPUT_KEYS, &one);
        self->records[i] = one.record;
    }
    return err;
}

static sl_err case_out(struct reader *reader, const struct config_node *list, void *to)
{
    struct test_case *self = to;
    void *outputs = NULL;
    sl_err err = take_list(reader, list, sizeof(*self->outputs), &outputs, &self->output_count);
    self->outputs = outputs;
    const struct config_node *child = list->first;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->output_count; i++, child = child->next) {
        err = take_map(reader, child, record_keys, SL_COUNT_OF(record_keys), &self->outputs[i]);
    }
    return err;
}

static sl_err rejection_record(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_rejection *rejection = to;
    int64_t index = 0;
    sl_err err = take_number(reader, node, 0, CASE_RECORDS_MAX - 1, &index);
    rejection->index = (uint32_t)index;
    return err;
}

static sl_err rejection_reason(struct reader *reader, const struct config_node *node, void *to)
{
    struct case_rejection *rejection = to;
    return take_text(reader, node, &rejection->reason);
}

static const struct key rejection_keys[] = {{"record", rejection_record},
                                            {"reason", rejection_reason}};

static sl_err case_rejected(struct reader *reader, const struct config_node *list, void *to)
{
    struct test_case *self = to;
    void *rejections = NULL;
    sl_err err =
        take_list(reader, list, sizeof(*self->rejections), &rejections, &self->rejection_count);
    self->rejections = rejections;
    const struct config_node *child = list->first;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->rejection_count; i++, child = child->next) {
        self->rejections[i].reason = "";
        err = take_map(reader, child, rejection_keys, SL_COUNT_OF(rejection_keys),
                       &self->rejections[i]);
    }
    return err;
}

/* ---- cases ---- */

static sl_err case_name(struct reader *reader, const struct config_node *node, void *to)
{
    return take_text(reader, node, &((struct test_case *)to)->name);
}
static sl_err case_topic(struct reader *reader, const struct config_node *node, void *to)
{
    struct test_case *self = to;
    sl_err err = take_text(reader, node, &self->topic);
    return err == SLUICE_OK && strlen(self->topic) >= BENCH_TOPIC_BYTES - 8
               ? fault(reader, node, "the topic's name is longer than 249 characters")
               : err;
}
static sl_err case_refused(struct reader *reader, const struct config_node *node, void *to)
{
    return take_text(reader, node, &((struct test_case *)to)->refused);
}
static sl_err case_error(struct reader *reader, const struct config_node *node, void *to)
{
    return take_text(reader, node, &((struct test_case *)to)->error);
}
static sl_err case_partition(struct reader *reader, const struct config_node *node, void *to)
{
    int64_t value = 0;
    sl_err err = take_number(reader, node, 0, INT32_MAX, &value);
    ((struct test_case *)to)->partition = (int32_t)value;
    return err;
}
static sl_err case_config(struct reader *reader, const struct config_node *node, void *to)
{
    return node->kind != CONFIG_MAP
               ? fault(reader, node, "a configuration is keys with values")
               : take_json(reader, node, &((struct test_case *)to)->config_json);
}
static sl_err case_retried(struct reader *reader, const struct config_node *node, void *to)
{
    struct test_case *self = to;
    self->has_retry = true;
    self->retry.reason = "";
    return take_map(reader, node, rejection_keys, SL_COUNT_OF(rejection_keys), &self->retry);
}

/* ---- state ---- */

static sl_err entry_check(struct reader *reader, const struct config_node *node,
                          const struct case_entry *entry)
{
    if (entry->key.size == 0 || entry->key.size > SLUICE_STATE_KEY_BYTES_MAX) {
        return fault(reader, node, "a key of the state has 1 to 1024 bytes");
    }
    if (entry->value.size >= SLUICE_STATE_VALUE_BYTES_MAX) {
        return fault(reader, node, "a value of the state is shorter than 256 KiB");
    }
    return SLUICE_OK;
}

/* KEY: VALUE */
static sl_err entry_of_map(struct reader *reader, const struct config_node *node,
                           struct case_entry *ret_entry)
{
    bool nothing = false;
    struct case_entry entry = {.key = sl_bytes_of_text(node->key),
                               .is_plain = node->kind == CONFIG_SCALAR && !node->quoted};
    sl_err err = take_bytes(reader, node, &entry.value, &nothing);
    if (err == SLUICE_OK && nothing) {
        return fault(reader, node, "a key that is not there is left out");
    }
    *ret_entry = entry;
    return err != SLUICE_OK ? err : entry_check(reader, node, &entry);
}

/* {key: …, value: …} */
static sl_err entry_of_list(struct reader *reader, const struct config_node *node,
                            struct case_entry *ret_entry)
{
    struct case_output one = {.topic = NULL};
    sl_err err = take_map(reader, node, record_keys, ENTRY_KEYS, &one);
    if (err != SLUICE_OK) {
        return err;
    }
    if (!one.has_key || !one.has_value || one.record.key_is_null || one.record.value_is_null) {
        return fault(reader, node, "an entry of the state has a key and a value");
    }
    *ret_entry = (struct case_entry){.key = one.record.key, .value = one.record.value};
    for (const struct config_node *child = node->first; child != NULL; child = child->next) {
        ret_entry->is_plain |= strcmp(child->key, "value") == 0 && !child->quoted;
    }
    return entry_check(reader, node, ret_entry);
}

static sl_err take_entries(struct reader *reader, const struct config_node *node,
                           struct case_entry **ret_entries, uint32_t *ret_count)
{
    sl_err err = SLUICE_OK;
    uint32_t i = 0;
    if (node->kind == CONFIG_SCALAR && !is_null(node)) {
        return fault(reader, node, "the state is keys with values, or a list of them");
    }
    struct case_entry *entries =
        config_arena_get(reader->arena, SL_MAX(node->child_count, 1u) * sizeof(*entries));
    if (entries == NULL) {
        return config_no_memory(reader->report);
    }
    for (const struct config_node *child = node->first; child != NULL && err == SLUICE_OK;
         child = child->next) {
        err = node->kind == CONFIG_MAP ? entry_of_map(reader, child, &entries[i])
                                       : entry_of_list(reader, child, &entries[i]);
        i++;
    }
    *ret_entries = entries;
    *ret_count = node->child_count;
    return err;
}

static sl_err case_state(struct reader *reader, const struct config_node *node, void *to)
{
    struct test_case *self = to;
    return take_entries(reader, node, &self->state, &self->state_count);
}

static sl_err case_state_after(struct reader *reader, const struct config_node *node, void *to)
{
    struct test_case *self = to;
    self->has_state_after = true;
    return take_entries(reader, node, &self->state_after, &self->state_after_count);
}

static const struct key case_keys[] = {
    {"name", case_name},         {"topic", case_topic},     {"partition", case_partition},
    {"config", case_config},     {"in", case_in},           {"out", case_out},
    {"rejected", case_rejected}, {"retried", case_retried}, {"refused", case_refused},
    {"error", case_error},       {"state", case_state},     {"state_after", case_state_after},
};

static sl_err case_check(struct reader *reader, const struct config_node *node,
                         const struct test_case *self)
{
    if (self->name == NULL) {
        return fault(reader, node, "a case needs a name: what it shows, in a sentence");
    }
    if ((self->refused != NULL) + (self->error != NULL) > 1 ||
        ((self->refused != NULL || self->error != NULL) &&
         self->output_count + self->rejection_count > 0)) {
        return fault(reader, node,
                     "refused and error stand alone: nothing comes out and nothing is rejected");
    }
    if (self->has_state_after && (self->refused != NULL || self->error != NULL)) {
        return fault(reader, node, "refused and error stand alone: nothing changes the state");
    }
    for (uint32_t i = 0; i < self->rejection_count; i++) {
        if (self->rejections[i].index >= self->record_count) {
            return fault(reader, node, "rejected names a record that in does not have");
        }
    }
    return SLUICE_OK;
}

static sl_err file_cases(struct reader *reader, const struct config_node *list, void *to)
{
    struct case_file *file = to;
    void *cases = NULL;
    sl_err err = take_list(reader, list, sizeof(*file->cases), &cases, &file->count);
    file->cases = cases;
    const struct config_node *child = list->first;
    for (uint32_t i = 0; err == SLUICE_OK && i < file->count; i++, child = child->next) {
        file->cases[i].line = child->origin.line;
        err = take_map(reader, child, case_keys, SL_COUNT_OF(case_keys), &file->cases[i]);
        err = err != SLUICE_OK ? err : case_check(reader, child, &file->cases[i]);
    }
    return err;
}

static sl_err file_plugin(struct reader *reader, const struct config_node *node, void *to)
{
    return take_text(reader, node, &((struct case_file *)to)->plugin);
}

struct whole_file {
    struct case_file file; /* first: the takers above see only it */
    const char *config_json;
};
static sl_err file_config(struct reader *reader, const struct config_node *node, void *to)
{
    return node->kind != CONFIG_MAP
               ? fault(reader, node, "a configuration is keys with values")
               : take_json(reader, node, &((struct whole_file *)to)->config_json);
}

static const struct key file_keys[] = {
    {"plugin", file_plugin}, {"config", file_config}, {"cases", file_cases}};

sl_err case_file_parse(struct config_arena *arena, struct sl_bytes text, const char *name,
                       struct config_report *report, struct case_file *ret_file)
{
    struct reader reader = {.arena = arena, .report = report};
    struct whole_file whole = {.config_json = NULL};
    struct config_node *root = NULL;
    sl_err err = config_tree_parse(arena, text, name, report, &root);
    err =
        err != SLUICE_OK ? err : take_map(&reader, root, file_keys, SL_COUNT_OF(file_keys), &whole);
    if (err != SLUICE_OK) {
        return err;
    }
    if (whole.file.count == 0) {
        return fault(&reader, root, "it has no cases");
    }
    for (uint32_t i = 0; i < whole.file.count; i++) {
        if (whole.file.cases[i].config_json == NULL) {
            whole.file.cases[i].config_json = whole.config_json;
        }
    }
    *ret_file = whole.file;
    return SLUICE_OK;
}
