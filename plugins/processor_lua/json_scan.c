/* json_scan: see the header. RFC 8259 grammar; UTF-8 by RFC 3629 (no surrogates, no overlong
 * forms). */
#include "json_scan.h"

#include <endian.h>
#include <string.h>

void json_cursor_init(struct json_cursor *cursor, const uint8_t *text, size_t size)
{
    static const uint8_t nothing = 0;
    cursor->begin = text != NULL ? text : &nothing;
    cursor->at = cursor->begin;
    cursor->end = cursor->begin + size;
    cursor->fault = (struct json_fault){NULL, 0};
}

bool json_fail(struct json_cursor *cursor, const uint8_t *at, const char *what)
{
    if (cursor->fault.what == NULL) {
        cursor->fault = (struct json_fault){what, (size_t)(at - cursor->begin)};
    }
    return false;
}

static bool fail_missing(struct json_cursor *cursor, const char *what)
{
    return json_fail(cursor, cursor->at,
                     cursor->at >= cursor->end ? "the text ends too early" : what);
}

static bool fail_unexpected(struct json_cursor *cursor)
{
    return fail_missing(cursor, "unexpected character");
}

/* ---- strings ---- */

#define ONES      0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u

/* Marks bytes that are a quote, a backslash, a control character or not ASCII. The lowest mark is
 * exact; above it a borrow may leave false ones. */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"');
    uint64_t slash = word ^ (ONES * '\\');
    uint64_t found = ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash);
    found |= (word - ONES * 0x20u) & ~word;
    return (found | word) & HIGH_BITS;
}

const uint8_t *json_skip_plain(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t marks = special_bytes(le64toh(word));
        if (marks != 0) {
            return at + __builtin_ctzll(marks) / 8;
        }
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* Size of the well-formed UTF-8 sequence at `at` (not ASCII), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *at, const uint8_t *end)
{
    uint8_t c = at[0];
    size_t size = c >= 0xc2 && c <= 0xdf   ? 2
                  : c >= 0xe0 && c <= 0xef ? 3
                  : c >= 0xf0 && c <= 0xf4 ? 4
                                           : 0;
    if (size == 0 || (size_t)(end - at) < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool refused = (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
                   (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f);
    return refused ? 0 : size;
}

size_t json_utf8_check(const uint8_t *text, size_t size)
{
    const uint8_t *at = text;
    const uint8_t *end = text + size;
    while (at < end) {
        at = json_skip_plain(at, end);
        if (at == end) {
            break;
        }
        size_t step = *at < 0x80 ? 1 : utf8_sequence(at, end);
        if (step == 0) {
            break;
        }
        at += step;
    }
    return (size_t)(at - text);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Size of the escape at `at` (a backslash), 0 when it is none. */
static size_t escape_size(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2) {
        return 0;
    }
    if (at[1] != 'u') {
        return at[1] != 0 && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    }
    if (end - at < 6) {
        return 0;
    }
    for (int i = 2; i < 6; i++) {
        if (hex_value(at[i]) < 0) {
            return 0;
        }
    }
    return 6;
}

bool json_take_string(struct json_cursor *cursor, struct json_token *ret)
{
    const uint8_t *begin = cursor->at + 1;
    const uint8_t *at = begin;
    ret->escaped = false;
    ret->integer = false;
    for (;;) {
        at = json_skip_plain(at, cursor->end);
        if (at >= cursor->end) {
            return json_fail(cursor, cursor->at, "a string that does not end");
        }
        if (*at == '"') {
            break;
        }
        if (*at < 0x20) {
            return json_fail(cursor, at, "a control character in a string");
        }
        bool escape = *at == '\\';
        size_t step = escape ? escape_size(at, cursor->end) : utf8_sequence(at, cursor->end);
        if (step == 0) {
            return json_fail(cursor, at, escape ? "invalid escape" : "invalid UTF-8");
        }
        ret->escaped |= escape;
        at += step;
    }
    ret->data = begin;
    ret->size = (size_t)(at - begin);
    cursor->at = at + 1;
    return true;
}

static uint32_t hex4(const uint8_t *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 4 | (uint32_t)hex_value(at[i]);
    }
    return value;
}

static size_t utf8_put(uint32_t code, uint8_t *to)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (uint8_t)(0xc0 | code >> 6);
        to[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (uint8_t)(0xe0 | code >> 12);
        to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | code >> 18);
    to[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* The code point of a \u escape (and of its partner), or false for half a pair. */
static bool unescape_unicode(const uint8_t **at, const uint8_t *end, uint32_t *ret_code)
{
    uint32_t code = hex4(*at + 2);
    *at += 6;
    if (code < 0xd800 || code > 0xdfff) {
        *ret_code = code;
        return true;
    }
    if (code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') {
        return false;
    }
    uint32_t low = hex4(*at + 2);
    if (low < 0xdc00 || low > 0xdfff) {
        return false;
    }
    *at += 6;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

bool json_unescape(const struct json_token *token, uint8_t *to, size_t *ret_size, size_t *ret_at)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const uint8_t *at = token->data;
    const uint8_t *end = at + token->size;
    uint8_t *out = to;
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        if (at[1] != 'u') {
            *out++ = (uint8_t)values[strchr(names, at[1]) - names];
            at += 2;
            continue;
        }
        size_t escape_at = (size_t)(at - token->data);
        uint32_t code;
        if (!unescape_unicode(&at, end, &code)) {
            *ret_at = escape_at;
            return false;
        }
        out += utf8_put(code, out);
    }
    *ret_size = (size_t)(out - to);
    return true;
}

/* ---- numbers and words ---- */

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (uint8_t)(*at - '0') < 10) {
        at++;
    }
    return at;
}

bool json_take_number(struct json_cursor *cursor, struct json_token *ret)
{
    const uint8_t *end = cursor->end;
    const uint8_t *at = cursor->at + (*cursor->at == '-');
    const uint8_t *digits = at;
    at = skip_digits(at, end);
    bool good = at > digits && (*digits != '0' || at - digits == 1);
    ret->integer = true;
    if (good && at < end && *at == '.') {
        ret->integer = false;
        digits = ++at;
        at = skip_digits(at, end);
        good = at > digits;
    }
    if (good && at < end && (*at | 0x20) == 'e') {
        ret->integer = false;
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, end);
        good = at > digits;
    }
    if (!good) {
        return json_fail(cursor, cursor->at, "invalid number");
    }
    ret->data = cursor->at;
    ret->size = (size_t)(at - cursor->at);
    ret->escaped = false;
    cursor->at = at;
    return true;
}

bool json_take_word(struct json_cursor *cursor, const char *word, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size || memcmp(cursor->at, word, size) != 0) {
        return fail_unexpected(cursor);
    }
    cursor->at += size;
    return true;
}

bool json_take_end(struct json_cursor *cursor)
{
    json_peek(cursor);
    return cursor->at == cursor->end ||
           json_fail(cursor, cursor->at, "something follows the value");
}

/* ---- values ---- */

/* At a key: takes it and its colon. */
bool json_take_key(struct json_cursor *cursor, struct json_token *ret)
{
    if (json_peek(cursor) != '"') {
        return fail_missing(cursor, "a key is wanted");
    }
    if (!json_take_string(cursor, ret)) {
        return false;
    }
    if (json_peek(cursor) != ':') {
        return fail_missing(cursor, "':' is wanted");
    }
    cursor->at++;
    return true;
}

/* Behind a child: true at a comma (taken) or the closing bracket (taken, *ret_last set). */
bool json_take_separator(struct json_cursor *cursor, uint8_t close, bool *ret_last)
{
    uint8_t c = json_peek(cursor);
    if (c != ',' && c != close) {
        return fail_unexpected(cursor);
    }
    cursor->at++;
    *ret_last = c == close;
    return true;
}

/* Takes an opening bracket; *ret_empty: the closing one follows and is taken. */
bool json_take_open(struct json_cursor *cursor, uint8_t close, uint32_t depth, bool *ret_empty)
{
    if (depth >= JSON_DEPTH_MAX) {
        return json_fail(cursor, cursor->at, "nested too deeply");
    }
    cursor->at++;
    *ret_empty = json_peek(cursor) == close;
    cursor->at += *ret_empty;
    return true;
}

static bool skip_container(struct json_cursor *cursor, uint32_t depth, bool object)
{
    uint8_t close = object ? '}' : ']';
    struct json_token key;
    bool last;
    if (!json_take_open(cursor, close, depth, &last)) {
        return false;
    }
    while (!last) {
        if (object && !json_take_key(cursor, &key)) {
            return false;
        }
        if (!json_skip_value(cursor, depth + 1) || !json_take_separator(cursor, close, &last)) {
            return false;
        }
    }
    return true;
}

bool json_skip_value(struct json_cursor *cursor, uint32_t depth)
{
    struct json_token token;
    uint8_t c = json_peek(cursor);
    switch (c) {
    case '"':
        return json_take_string(cursor, &token);
    case '{':
    case '[':
        return skip_container(cursor, depth, c == '{');
    case 't':
        return json_take_word(cursor, "true", 4);
    case 'f':
        return json_take_word(cursor, "false", 5);
    case 'n':
        return json_take_word(cursor, "null", 4);
    default:
        if (c == '-' || (uint8_t)(c - '0') < 10) {
            return json_take_number(cursor, &token);
        }
        return fail_unexpected(cursor);
    }
}
