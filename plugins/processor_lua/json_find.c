/* json_find: see the header. One descent along the path; everything beside it is skipped, but
 * checked. */
#include "json_find.h"

#include <string.h>

/* ---- paths ---- */

static bool path_fail(struct json_fault *ret_fault, const char *what, size_t at)
{
    *ret_fault = (struct json_fault){what, at};
    return false;
}

/* At '[': an index or a quoted key. Moves *at behind ']'. */
static bool parse_bracket(const char *text, size_t size, size_t *at, struct json_step *ret,
                          struct json_fault *ret_fault)
{
    size_t i = *at + 1;
    *ret = (struct json_step){NULL, 0, 0};
    if (i < size && text[i] == '"') {
        const char *close = memchr(text + i + 1, '"', size - i - 1);
        if (close == NULL) {
            return path_fail(ret_fault, "a quoted key that does not end", i);
        }
        ret->key = text + i + 1;
        ret->key_size = (size_t)(close - ret->key);
        if (ret->key_size > JSON_KEY_BYTES_MAX) {
            return path_fail(ret_fault, "a key longer than allowed", i);
        }
        i = (size_t)(close - text) + 1;
    } else {
        size_t begin = i;
        while (i < size && i - begin < 9 && text[i] >= '0' && text[i] <= '9') {
            ret->index = ret->index * 10 + (uint64_t)(text[i++] - '0');
        }
        if (i == begin) {
            return path_fail(ret_fault, "an index is wanted here", i);
        }
    }
    if (i >= size || text[i] != ']') {
        return path_fail(ret_fault, "']' is wanted here", i);
    }
    *at = i + 1;
    return true;
}

/* At a plain key: everything up to '.' or '['. */
static bool parse_key(const char *text, size_t size, size_t *at, struct json_step *ret,
                      struct json_fault *ret_fault)
{
    size_t begin = *at;
    size_t i = begin;
    while (i < size && text[i] != '.' && text[i] != '[') {
        i++;
    }
    if (i == begin) {
        return path_fail(ret_fault, "a key is wanted here", i);
    }
    if (i - begin > JSON_KEY_BYTES_MAX) {
        return path_fail(ret_fault, "a key longer than allowed", begin);
    }
    *ret = (struct json_step){text + begin, i - begin, 0};
    *at = i;
    return true;
}

bool json_path_parse(const char *text, size_t size, struct json_path *ret,
                     struct json_fault *ret_fault)
{
    size_t at = 0;
    ret->count = 0;
    while (at < size) {
        if (ret->count == JSON_STEPS_MAX) {
            return path_fail(ret_fault, "more steps than allowed", at);
        }
        struct json_step *step = &ret->steps[ret->count];
        bool bracket = text[at] == '[';
        if (!bracket && ret->count > 0) {
            at++; /* the dot: a key ends at nothing else, and a bracket may be followed only by one
                   */
            if (text[at - 1] != '.') {
                return path_fail(ret_fault, "'.' or '[' is wanted here", at - 1);
            }
        }
        bool good = bracket ? parse_bracket(text, size, &at, step, ret_fault)
                            : parse_key(text, size, &at, step, ret_fault);
        if (!good) {
            return false;
        }
        ret->count++;
    }
    return true;
}

/* ---- find ---- */

struct search {
    struct json_cursor cursor;
    const struct json_path *path;
    struct json_place *place;
};

static bool key_equals(const struct json_token *token, const struct json_step *step)
{
    if (!token->escaped) {
        return token->size == step->key_size && memcmp(token->data, step->key, token->size) == 0;
    }
    /* An escape is at most six times what it stands for: a longer token cannot be the key. */
    uint8_t plain[6 * JSON_KEY_BYTES_MAX];
    size_t size;
    size_t at;
    return token->size <= 6 * step->key_size && json_unescape(token, plain, &size, &at) &&
           size == step->key_size && memcmp(plain, step->key, size) == 0;
}

static size_t position(const struct search *search)
{
    return (size_t)(search->cursor.at - search->cursor.begin);
}

static bool find_value(struct search *search, uint32_t step);

/* The child that the path names: notes its surroundings, goes on inside it. */
static bool enter_child(struct search *search, uint32_t step, size_t member_begin,
                        size_t before_end, bool is_first)
{
    struct json_place *place = search->place;
    *place = (struct json_place){
        .member_begin = member_begin, .before_end = before_end, .is_first = is_first};
    return find_value(search, step + 1);
}

static bool find_in_container(struct search *search, uint32_t step, bool object)
{
    struct json_cursor *cursor = &search->cursor;
    const struct json_step *wanted = &search->path->steps[step];
    struct json_place *place = search->place;
    uint8_t close = object ? '}' : ']';
    size_t open_end = position(search) + 1;
    size_t before_end = open_end;
    uint64_t count = 0;
    bool found = false;
    bool last;
    if (!json_take_open(cursor, close, step, &last)) {
        return false;
    }
    for (; !last; count++) {
        json_peek(cursor);
        size_t member_begin = position(search);
        const uint8_t *member = cursor->at;
        struct json_token key;
        if (object && !json_take_key(cursor, &key)) {
            return false;
        }
        bool hit = object ? key_equals(&key, wanted) : count == wanted->index;
        if (hit && found) {
            return json_fail(cursor, member, "the key occurs twice");
        }
        bool was_last_step = step + 1 == search->path->count;
        bool good = hit ? enter_child(search, step, member_begin, before_end, count == 0)
                        : json_skip_value(cursor, step + 1);
        if (!good) {
            return false;
        }
        found |= hit;
        before_end = position(search);
        if (!json_take_separator(cursor, close, &last)) {
            return false;
        }
        if (hit && was_last_step && !last) {
            json_peek(cursor);
            place->next_begin = position(search);
        }
    }
    if (!found) {
        place->matched = step;
        place->child_count = count;
        place->append_at = before_end;
    }
    return true;
}

static bool find_value(struct search *search, uint32_t step)
{
    struct json_cursor *cursor = &search->cursor;
    struct json_place *place = search->place;
    uint8_t c = json_peek(cursor);
    size_t begin = position(search);
    if (step == search->path->count) {
        place->matched = step;
        place->value_begin = begin;
        bool good = json_skip_value(cursor, step);
        place->value_end = position(search);
        return good;
    }
    bool object = search->path->steps[step].key != NULL;
    if (c == (object ? '{' : '[')) {
        return find_in_container(search, step, object);
    }
    place->matched = step;
    place->mismatch = true;
    place->value_begin = begin;
    return json_skip_value(cursor, step);
}

bool json_find(const uint8_t *text, size_t size, const struct json_path *path,
               struct json_place *ret, struct json_fault *ret_fault)
{
    struct search search = {.path = path, .place = ret};
    json_cursor_init(&search.cursor, text, size);
    *ret = (struct json_place){0};
    if (!find_value(&search, 0) || !json_take_end(&search.cursor)) {
        *ret_fault = search.cursor.fault;
        return false;
    }
    return true;
}
