/* cases_state.c: see cases_state.h. */
#include "workbench/cases_state.h"

#include "base/bytes.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 40u

/* A letter for the type, then the value. */
static bool typed(struct config_arena *arena, char type, struct sl_bytes rest,
                  struct sl_bytes *ret_value)
{
    uint8_t *bytes = config_arena_get(arena, rest.size + 1);
    if (bytes == NULL) {
        return false;
    }
    bytes[0] = (uint8_t)type;
    sl_bytes_copy(bytes + 1, rest);
    *ret_value = sl_bytes_of(bytes, type == 't' || type == 'f' ? 1 : rest.size + 1);
    return true;
}

static bool is_float(const char *text, double *ret_value)
{
    char *end = NULL;
    *ret_value = strtod(text, &end);
    return text[0] != '\0' && strspn(text, "0123456789+-.eE") == strlen(text) && *end == '\0';
}

/* As processor_lua stores it (docs/formats/state.md). */
static bool encode(struct config_arena *arena, const struct case_entry *entry,
                   struct sl_bytes *ret_value)
{
    const char *text = (const char *)entry->value.data;
    char number[NUMBER_BYTES];
    int64_t whole = 0;
    double real = 0;
    if (!entry->is_plain) {
        return typed(arena, 's', entry->value, ret_value);
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        return typed(arena, text[0], sl_bytes_of(NULL, 0), ret_value);
    }
    if (sl_text_parse_i64(entry->value, &whole) == SLUICE_OK) {
        snprintf(number, sizeof(number), "%lld", (long long)whole);
        return typed(arena, 'i', sl_bytes_of_text(number), ret_value);
    }
    if (is_float(text, &real)) {
        snprintf(number, sizeof(number), "%.17g", real);
        return typed(arena, 'd', sl_bytes_of_text(number), ret_value);
    }
    return typed(arena, 's', entry->value, ret_value);
}

struct bench_entry *case_entries_encode(struct config_arena *arena,
                                        const struct case_entry *entries, uint32_t count,
                                        bool is_script)
{
    struct bench_entry *all = config_arena_get(arena, SL_MAX(count, 1u) * sizeof(*all));
    for (uint32_t i = 0; i < count && all != NULL; i++) {
        all[i] = (struct bench_entry){entries[i].key, entries[i].value};
        if (is_script && !encode(arena, &entries[i], &all[i].value)) {
            return NULL;
        }
    }
    return all;
}

void case_value_text(struct sl_bytes value, bool is_script, char ret_text[BENCH_TEXT_BYTES])
{
    char type = is_script && value.size > 0 ? (char)value.data[0] : '\0';
    struct sl_bytes rest = type == '\0' ? value : sl_bytes_of(value.data + 1, value.size - 1);
    char text[BENCH_TEXT_BYTES];
    case_bytes_text(rest, false, text);
    if (type == 't' || type == 'f') {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%s", type == 't' ? "true" : "false");
    } else if (type == 's') {
        snprintf(ret_text, BENCH_TEXT_BYTES, "\"%.1000s\"", text);
    } else {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%s", text);
    }
}

static const struct bench_entry *find(const struct bench_entry *entries, uint32_t count,
                                      struct sl_bytes key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_bytes_equal(entries[i].key, key)) {
            return &entries[i];
        }
    }
    return NULL;
}

void case_entries_compare(const struct bench_entry *expected, uint32_t expected_count,
                          const struct bench_entry *actual, uint32_t actual_count,
                          case_entry_differs_fn *differs, void *arg)
{
    for (uint32_t i = 0; i < expected_count; i++) {
        const struct bench_entry *is = find(actual, actual_count, expected[i].key);
        if (is == NULL || !sl_bytes_equal(is->value, expected[i].value)) {
            differs(arg, &expected[i], is);
        }
    }
    for (uint32_t i = 0; i < actual_count; i++) {
        if (find(expected, expected_count, actual[i].key) == NULL) {
            differs(arg, NULL, &actual[i]);
        }
    }
}
