/* json_scan: finds its way through JSON text without building anything.
 *
 * In: bytes that nobody has looked at yet. Out: whether they are one JSON value (RFC 8259), where
 * the value at a path lies, and where a new one would go, all as positions in those bytes; the
 * caller splices. Strict: UTF-8 is checked, nesting is bounded, the whole text is read even when
 * the path is found early, so that nothing broken is passed on as whole. A key that is addressed by
 * the path and occurs twice in its object is a fault: consumers disagree on which one counts, and
 * masking one of two would leak the other.
 *
 * Pure: no allocation, no state, no Lua. Any thread. Recursion is bounded by JSON_DEPTH_MAX. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX     128u
#define JSON_STEPS_MAX     32u
#define JSON_KEY_BYTES_MAX 256u /* of one key in a path */

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
uint8_t json_peek(struct json_cursor *cursor);
/* At an opening quote. Checks escapes and UTF-8. */
bool json_take_string(struct json_cursor *cursor, struct json_token *ret);
/* At a digit or a minus sign. */
bool json_take_number(struct json_cursor *cursor, struct json_token *ret);
/* At the first letter of true, false or null: takes exactly `word`. */
bool json_take_word(struct json_cursor *cursor, const char *word, size_t size);
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

/* ---- paths: a.b[0].c, ["a key with a dot"].d ---- */

struct json_step {
    const char *key; /* NULL: an index */
    size_t key_size;
    uint64_t index;
};
struct json_path {
    uint32_t count;
    struct json_step steps[JSON_STEPS_MAX];
};
/* Steps borrow from text. The empty text is the whole value. */
bool json_path_parse(const char *text, size_t size, struct json_path *ret,
                     struct json_fault *ret_fault);

/* Where a path leads. Positions are byte offsets in the text. */
struct json_place {
    uint32_t matched;   /* steps that exist */
    bool mismatch;      /* the step after them does not fit the type of what is there */
    size_t value_begin; /* of the value at the last matched step */
    size_t value_end;
    size_t member_begin; /* of its key, for the last matched step; of itself in an array */
    size_t before_end;   /* end of the value before it, or just behind the opening bracket */
    size_t next_begin;   /* begin of the member behind it, 0: it is the last */
    bool is_first;
    uint64_t child_count; /* members or elements of it, when it is a container that lacks the next
                             step */
    size_t append_at; /* where one more child goes: behind the last one, or behind the bracket */
};
/* False: the text is not JSON, or addresses a key that occurs twice; ret_fault says where. */
bool json_find(const uint8_t *text, size_t size, const struct json_path *path,
               struct json_place *ret, struct json_fault *ret_fault);

#endif
