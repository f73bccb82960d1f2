/* json_same.c: two cursors that walk their texts side by side; an object is walked once for each
 * member of the other, with spans instead of copies. The texts are hostile: cJSON has checked both
 * whole before, so the walk only has to find where values end. */
#include "workbench/json_same.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL &&
           *cursor->at != '\0') {
        cursor->at++;
    }
}

static char peek(struct cursor *cursor)
{
    skip_blanks(cursor);
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

/* A string or a literal with its quotes. */
static struct sl_bytes take_token(struct cursor *cursor)
{
    const char *start = cursor->at;
    if (cursor->at < cursor->end && *cursor->at == '"') {
        cursor->at++;
        while (cursor->at < cursor->end && *cursor->at != '"') {
            cursor->at += *cursor->at == '\\' && cursor->at + 1 < cursor->end ? 2 : 1;
        }
        cursor->at += cursor->at < cursor->end;
    } else {
        while (cursor->at < cursor->end && strchr(",:]}[{\" \t\r\n", *cursor->at) == NULL) {
            cursor->at++;
        }
    }
    return (struct sl_bytes){(const uint8_t *)start, (size_t)(cursor->at - start)};
}

/* Behind the value that begins here. */
static void skip_value(struct cursor *cursor)
{
    uint32_t depth = 0;
    do {
        char next = peek(cursor);
        if (next == '{' || next == '[') {
            depth++;
            cursor->at++;
        } else if (next == '}' || next == ']') {
            depth -= depth > 0;
            cursor->at++;
        } else if (next == ',' || next == ':') {
            cursor->at++;
        } else if (take_token(cursor).size == 0) {
            return;
        }
    } while (depth > 0 && cursor->at < cursor->end);
}

static bool same_bytes(struct sl_bytes a, struct sl_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_string(struct sl_bytes a, struct sl_bytes b)
{
    if (same_bytes(a, b)) {
        return true;
    }
    cJSON *first = cJSON_ParseWithLength((const char *)a.data, a.size);
    cJSON *second = cJSON_ParseWithLength((const char *)b.data, b.size);
    bool same = cJSON_IsString(first) && cJSON_IsString(second) &&
                strcmp(first->valuestring, second->valuestring) == 0;
    cJSON_Delete(first);
    cJSON_Delete(second);
    return same;
}

static bool is_whole(struct sl_bytes token)
{
    for (size_t i = 0; i < token.size; i++) {
        if (strchr(".eE", token.data[i]) != NULL) {
            return false;
        }
    }
    return true;
}

/* Whole numbers by their digits; others by their value, so that 1.50 is 1.5. */
static bool same_literal(struct sl_bytes a, struct sl_bytes b)
{
    char texts[2][64];
    if (same_bytes(a, b)) {
        return true;
    }
    if (a.size >= sizeof(texts[0]) || b.size >= sizeof(texts[0]) || (is_whole(a) && is_whole(b)) ||
        a.size == 0 || b.size == 0 || strchr("-0123456789", a.data[0]) == NULL ||
        strchr("-0123456789", b.data[0]) == NULL) {
        return false;
    }
    memcpy(texts[0], a.data, a.size);
    memcpy(texts[1], b.data, b.size);
    texts[0][a.size] = texts[1][b.size] = '\0';
    double first = strtod(texts[0], NULL), second = strtod(texts[1], NULL);
    return first <= second && first >= second;
}

static bool same_value(struct cursor *a, struct cursor *b, uint32_t depth);

static bool same_array(struct cursor *a, struct cursor *b, uint32_t depth)
{
    a->at++;
    b->at++;
    while (peek(a) != ']' && peek(b) != ']') {
        if (!same_value(a, b, depth)) {
            return false;
        }
        a->at += peek(a) == ',';
        b->at += peek(b) == ',';
    }
    bool both = peek(a) == ']' && peek(b) == ']';
    a->at++;
    b->at++;
    return both;
}

static uint32_t count_members(struct cursor object)
{
    uint32_t count = 0;
    object.at++;
    while (peek(&object) == '"') {
        count++;
        (void)take_token(&object);
        object.at += peek(&object) == ':';
        skip_value(&object);
        object.at += peek(&object) == ',';
    }
    return count;
}

/* *ret_value: at the value of the member. Of twins the last counts, as in most readers. */
static bool find_member(struct cursor object, struct sl_bytes key, struct cursor *ret_value)
{
    bool found = false;
    object.at++;
    while (peek(&object) == '"') {
        struct sl_bytes name = take_token(&object);
        object.at += peek(&object) == ':';
        if (same_string(name, key)) {
            *ret_value = object;
            found = true;
        }
        skip_value(&object);
        object.at += peek(&object) == ',';
    }
    return found;
}

static bool same_object(struct cursor *a, struct cursor *b, uint32_t depth)
{
    const struct cursor other = *b;
    bool same = count_members(*a) == count_members(*b);
    a->at++;
    while (same && peek(a) == '"') {
        struct cursor value;
        struct sl_bytes name = take_token(a);
        a->at += peek(a) == ':';
        same = find_member(other, name, &value) && same_value(a, &value, depth);
        a->at += peek(a) == ',';
    }
    a->at++;
    skip_value(b);
    return same;
}

static bool same_value(struct cursor *a, struct cursor *b, uint32_t depth)
{
    char kind = peek(a);
    if (depth == JSON_SAME_DEPTH_MAX || kind == '\0') {
        return false;
    }
    if (kind == '{' || kind == '[' || kind == '"') {
        if (peek(b) != kind) {
            return false;
        }
        return kind == '{'   ? same_object(a, b, depth + 1)
               : kind == '[' ? same_array(a, b, depth + 1)
                             : same_string(take_token(a), take_token(b));
    }
    (void)peek(b);
    struct sl_bytes first = take_token(a), second = take_token(b);
    return same_literal(first, second);
}

static bool is_json(struct sl_bytes text)
{
    const char *end = NULL;
    cJSON *parsed = text.size > 0
                        ? cJSON_ParseWithLengthOpts((const char *)text.data, text.size, &end, false)
                        : NULL;
    struct cursor rest = {end, (const char *)text.data + text.size};
    bool good = parsed != NULL && peek(&rest) == '\0' && rest.at == rest.end;
    cJSON_Delete(parsed);
    return good;
}

bool json_same(struct sl_bytes a, struct sl_bytes b)
{
    if (!is_json(a) || !is_json(b)) {
        return false;
    }
    struct cursor first = {(const char *)a.data, (const char *)a.data + a.size};
    struct cursor second = {(const char *)b.data, (const char *)b.data + b.size};
    return same_value(&first, &second, 0);
}
