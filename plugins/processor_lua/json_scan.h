/* json_scan: reads JSON text without building anything.
 *
 * In: bytes that nobody has looked at yet. Out: tokens, or whether they are one JSON value (RFC
 * 8259). Strict: UTF-8 is checked, nesting is bounded. What stands where: json_find.h; what it
 * means in Lua: lua_json.h.
 *
 * Pure: no allocation, no state, no Lua. Any thread. Recursion is bounded by JSON_DEPTH_MAX. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 128u

/* Why a text or path is refused, and at which byte (from 0). */
struct json_fault {
    const char *what;
    size_t at;
};

/* A read position. `at` moves forward only; on a false return `fault` says why. */
struct json_cursor {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    struct json_fault fault;
};

/* A string between its quotes, or a number. */
struct json_token {
    const uint8_t *data;
    size_t size;
    bool escaped; /* a string with a backslash */
    bool integer; /* a number without fraction and exponent */
};

void json_cursor_init(struct json_cursor *cursor, const uint8_t *text, size_t size);
/* States a fault at `at`; always false. */
bool json_fail(struct json_cursor *cursor, const uint8_t *at, const char *what);
/* Skips white space and gives the next byte, 0 at the end (a zero byte is no JSON anyway). */
static inline uint8_t json_peek(struct json_cursor *cursor)
{
    while (cursor->at < cursor->end) {
        uint8_t c = *cursor->at;
        if (c > ' ' || (c != ' ' && c != '\n' && c != '\t' && c != '\r')) {
            return c;
        }
        cursor->at++;
    }
    return 0;
}
/* At an opening quote. Checks escapes and UTF-8. */
bool json_take_string(struct json_cursor *cursor, struct json_token *ret);
/* At a digit or a minus sign. */
bool json_take_number(struct json_cursor *cursor, struct json_token *ret);
/* At the first letter of true, false or null: takes exactly `word`. */
bool json_take_word(struct json_cursor *cursor, const char *word, size_t size);
/* At a key: takes it and its colon. */
bool json_take_key(struct json_cursor *cursor, struct json_token *ret);
/* At an opening bracket, with `depth` containers open around it; *ret_empty: the closing one
 * follows and is taken too. */
bool json_take_open(struct json_cursor *cursor, uint8_t close, uint32_t depth, bool *ret_empty);
/* Behind a child: takes a comma, or the closing bracket (*ret_last). */
bool json_take_separator(struct json_cursor *cursor, uint8_t close, bool *ret_last);
/* Any value, checked to its end. depth: how many containers are open around it. */
bool json_skip_value(struct json_cursor *cursor, uint32_t depth);
/* Nothing but white space may follow. */
bool json_take_end(struct json_cursor *cursor);

/* The bytes that the inside of a string stands for, into `to`, which must have room for token->size
 * bytes. False: a surrogate without its partner, at *ret_at within the token. */
bool json_unescape(const struct json_token *token, uint8_t *to, size_t *ret_size, size_t *ret_at);

/* The first byte from `at` on that a JSON string cannot hold as it is, or that is not ASCII; else
 * end. */
const uint8_t *json_skip_plain(const uint8_t *at, const uint8_t *end);

/* The first byte that is not UTF-8, or size. */
size_t json_utf8_check(const uint8_t *text, size_t size);

#endif
