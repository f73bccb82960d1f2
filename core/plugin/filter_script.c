/* filter_script.c: see filter_script.h. Knows of Lua's words what hides a bracket: comments,
 * strings and long brackets; where it is stricter than Lua (a line break behind \z), it refuses. */
#include "plugin/filter_script.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 100u

static const char before[] = "return {process = function(record) if (";
static const char behind[] = "\n) then return record end end}\n";

struct scan {
    const uint8_t *data;
    size_t size;
    size_t at;
    char closers[DEPTH_MAX]; /* that are still to come, the outermost first */
    uint32_t depth;
    const char *fault; /* NULL: none */
};

static int peek(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->size ? scan->data[scan->at + ahead] : -1;
}

/* The level of the long bracket that begins here; -1: none does. */
static int long_level(const struct scan *scan)
{
    size_t level = 0;
    if (peek(scan, 0) != '[') {
        return -1;
    }
    while (peek(scan, 1 + level) == '=') {
        level++;
    }
    return peek(scan, 1 + level) == '[' ? (int)level : -1;
}

static void skip_long(struct scan *scan, int level)
{
    size_t size = (size_t)level + 2;
    for (scan->at += size; scan->at + size <= scan->size; scan->at++) {
        size_t same = 1;
        while (same + 1 < size && peek(scan, same) == '=') {
            same++;
        }
        if (peek(scan, 0) == ']' && same + 1 == size && peek(scan, same) == ']') {
            scan->at += size;
            return;
        }
    }
    scan->fault = "a long string or comment does not end";
}

static bool is_break(int c)
{
    return c == '\n' || c == '\r';
}

static void skip_comment(struct scan *scan)
{
    scan->at += 2;
    int level = long_level(scan);
    if (level >= 0) {
        skip_long(scan, level);
        return;
    }
    while (scan->at < scan->size && !is_break(peek(scan, 0))) {
        scan->at++;
    }
}

static void skip_string(struct scan *scan)
{
    int quote = peek(scan, 0);
    scan->at++;
    while (scan->at < scan->size && peek(scan, 0) != quote && !is_break(peek(scan, 0))) {
        scan->at += peek(scan, 0) == '\\' ? 2 : 1;
    }
    if (peek(scan, 0) != quote) {
        scan->fault = "a string does not end on its line";
    }
    scan->at++;
}

static void take_bracket(struct scan *scan, int c)
{
    static const char openers[] = "([{";
    static const char closers[] = ")]}";
    const char *opens = strchr(openers, c);
    const char *closes = strchr(closers, c);
    if (opens != NULL && scan->depth == DEPTH_MAX) {
        scan->fault = "its brackets are nested too deeply";
    } else if (opens != NULL) {
        scan->closers[scan->depth++] = closers[opens - openers];
    } else if (closes != NULL && (scan->depth == 0 || scan->closers[--scan->depth] != c)) {
        scan->fault = "a bracket is closed that was not opened";
    }
}

static void take_word(struct scan *scan)
{
    int c = peek(scan, 0);
    int level = long_level(scan);
    if (c == '-' && peek(scan, 1) == '-') {
        skip_comment(scan);
    } else if (c == '"' || c == '\'') {
        skip_string(scan);
    } else if (level >= 0) {
        skip_long(scan, level);
    } else {
        if (c != '\0') {
            take_bracket(scan, c);
        }
        scan->at++;
    }
}

sl_err filter_script_make(struct sl_bytes text, uint8_t **ret_script, size_t *ret_size,
                          char ret_reason[FILTER_REASON_BYTES])
{
    struct scan scan = {.data = text.data, .size = text.size};
    while (scan.at < scan.size && scan.fault == NULL) {
        take_word(&scan);
    }
    if (scan.fault == NULL && scan.depth > 0) {
        scan.fault = "a bracket is not closed";
    }
    if (scan.fault != NULL) {
        snprintf(ret_reason, FILTER_REASON_BYTES, "the filter is not an expression: %s",
                 scan.fault);
        return SLUICE_E_INVALID;
    }
    size_t size = sizeof(before) - 1 + text.size + sizeof(behind) - 1;
    uint8_t *script = sl_alloc(size);
    if (script == NULL) {
        snprintf(ret_reason, FILTER_REASON_BYTES, "out of memory");
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(script, before, sizeof(before) - 1);
    if (text.size > 0) {
        memcpy(script + sizeof(before) - 1, text.data, text.size);
    }
    memcpy(script + sizeof(before) - 1 + text.size, behind, sizeof(behind) - 1);
    *ret_script = script;
    *ret_size = size;
    return SLUICE_OK;
}
