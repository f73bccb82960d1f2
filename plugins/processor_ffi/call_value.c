/* call_value: see the header. strtod of the C locale, which processors run in. */
#include "call_value.h"

#include "json_number.h"
#include "json_scan.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 64u
static const char out_of_memory[] = "there is no memory";

void call_buffer_fini(struct call_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct call_buffer){NULL, 0, 0};
}

bool call_buffer_add(struct call_buffer *buffer, const void *data, size_t size)
{
    const size_t wanted = buffer->size + size;

    if (wanted > buffer->capacity) {
        const size_t capacity = wanted < 256 ? 256 : 2 * wanted;
        uint8_t *memory = realloc(buffer->data, capacity);

        if (memory == NULL) {
            return false;
        }
        buffer->data = memory;
        buffer->capacity = capacity;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, data, size);
    }
    buffer->size = wanted;
    return true;
}

/* ---- in ---- */

static bool is_integer_text(const char *text)
{
    const char *digits = text + (*text == '-');

    return *digits != '\0' && strspn(digits, "0123456789") == strlen(digits);
}

static const char *set_integer(struct native_function *function, uint32_t parameter,
                               const char *text)
{
    const uint32_t kind = function->signature.parameters[parameter].kind;
    uint64_t bits;
    bool fits;

    if (!is_integer_text(text)) {
        return "it is not an integer";
    }
    errno = 0;
    if (*text == '-') {
        const long long value = strtoll(text, NULL, 10);

        fits = value >= native_kind_min(kind);
        bits = (uint64_t)value;
    } else {
        bits = strtoull(text, NULL, 10);
        fits = bits <= native_kind_max(kind);
    }
    if (errno != 0 || !fits) {
        return "the integer is out of the parameter's range";
    }
    native_function_set_integer(function, parameter, bits);
    return NULL;
}

static const char *set_real(struct native_function *function, uint32_t parameter, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    const bool narrow = function->signature.parameters[parameter].kind == NATIVE_F32;

    if (text[0] == '\0' || *end != '\0' || strspn(text, "+-0123456789.eE") != strlen(text)) {
        return "it is not a number";
    }
    if (!isfinite(value) || (narrow && !isfinite((float)value))) {
        return "the number is out of the parameter's range";
    }
    native_function_set_real(function, parameter, value);
    return NULL;
}

static const char *set_truth(struct native_function *function, uint32_t parameter, const char *text)
{
    const bool truth = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

    if (!truth && strcmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        return "it is not true or false";
    }
    native_function_set_integer(function, parameter, truth);
    return NULL;
}

static const char *set_number(struct native_function *function, uint32_t parameter,
                              struct sluice_bytes text)
{
    const uint32_t kind = function->signature.parameters[parameter].kind;
    char copy[NUMBER_BYTES_MAX + 1];

    if (text.size > NUMBER_BYTES_MAX || memchr(text.data, '\0', (size_t)text.size) != NULL) {
        return "it is not a number";
    }
    memcpy(copy, text.data, (size_t)text.size);
    copy[text.size] = '\0';
    return kind == NATIVE_BOOL            ? set_truth(function, parameter, copy)
           : native_kind_is_integer(kind) ? set_integer(function, parameter, copy)
                                          : set_real(function, parameter, copy);
}

static const char *set_cstr(struct native_function *function, uint32_t parameter,
                            struct sluice_bytes text, struct call_buffer *copy)
{
    if (memchr(text.data, '\0', (size_t)text.size) != NULL) {
        return "it has a NUL in it, which a cstr cannot hold";
    }
    copy->size = 0;
    if (!call_buffer_add(copy, text.data, (size_t)text.size) || !call_buffer_add(copy, "", 1)) {
        return out_of_memory;
    }
    native_function_set_bytes(function, parameter, copy->data, copy->size - 1);
    return NULL;
}

const char *call_value_set_text(struct native_function *function, uint32_t parameter,
                                struct sluice_bytes text, struct call_buffer *copy)
{
    switch (function->signature.parameters[parameter].kind) {
    case NATIVE_CSTR:
        return set_cstr(function, parameter, text, copy);
    case NATIVE_BYTES:
    case NATIVE_BYTES32:
        native_function_set_bytes(function, parameter, text.data, (size_t)text.size);
        return NULL;
    default:
        return set_number(function, parameter, text);
    }
}

/* The inside of a string, unescaped into `copy` with a NUL behind it. */
static const char *unescape(struct sluice_bytes json, struct call_buffer *copy)
{
    struct json_cursor cursor;
    struct json_token token;
    size_t size;
    size_t at;

    json_cursor_init(&cursor, json.data, (size_t)json.size);
    copy->size = 0;
    if (!json_take_string(&cursor, &token) || !call_buffer_add(copy, token.data, token.size) ||
        !call_buffer_add(copy, "", 1)) {
        return out_of_memory;
    }
    size = token.size;
    if (token.escaped && !json_unescape(&token, copy->data, &size, &at)) {
        return "the string has half of a surrogate pair";
    }
    copy->data[size] = '\0';
    copy->size = size;
    return NULL;
}

const char *call_value_set_json(struct native_function *function, uint32_t parameter,
                                struct sluice_bytes json, struct call_buffer *copy,
                                bool *ret_missing)
{
    const uint32_t kind = function->signature.parameters[parameter].kind;
    const char *fault;

    *ret_missing = json.size == 4 && memcmp(json.data, "null", 4) == 0;
    if (*ret_missing) {
        return "it is null";
    }
    if (json.data[0] != '"') {
        return call_value_set_text(function, parameter, json, copy);
    }
    fault = unescape(json, copy);
    if (fault != NULL) {
        return fault;
    }
    if (kind != NATIVE_CSTR) {
        return call_value_set_text(function, parameter,
                                   (struct sluice_bytes){copy->data, copy->size}, copy);
    }
    if (memchr(copy->data, '\0', copy->size) != NULL) {
        return "it has a NUL in it, which a cstr cannot hold";
    }
    native_function_set_bytes(function, parameter, copy->data, copy->size);
    return NULL;
}

/* ---- out ---- */

static size_t print_integer(const struct native_function *function, bool hex, char to[24])
{
    const uint32_t kind = function->signature.result;
    const uint64_t bits = native_function_integer(function);
    const int digits = 2 << ((kind - NATIVE_I8) & 3u);
    int size;

    if (hex) {
        size = snprintf(to, 24, "%0*" PRIx64, digits, bits & (UINT64_MAX >> (64 - 4 * digits)));
    } else if (native_kind_is_signed(kind)) {
        size = snprintf(to, 24, "%" PRId64, (int64_t)bits);
    } else {
        size = snprintf(to, 24, "%" PRIu64, bits);
    }
    return (size_t)size;
}

static const char *print_number(const struct native_function *function, bool hex,
                                struct call_buffer *to)
{
    const uint32_t kind = function->signature.result;
    char text[JSON_NUMBER_BYTES_MAX + 1];
    size_t size;

    if (kind == NATIVE_BOOL) {
        const char *word = native_function_truth(function) ? "true" : "false";

        return call_buffer_add(to, word, strlen(word)) ? NULL : out_of_memory;
    }
    size = native_kind_is_integer(kind) ? print_integer(function, hex, text)
                                        : json_real_print(native_function_real(function), text);
    if (size == 0) {
        return "the function's result is not a finite number";
    }
    return call_buffer_add(to, text, size) ? NULL : out_of_memory;
}

const char *call_value_print(const struct native_function *function, bool hex,
                             struct call_buffer *to, struct sluice_bytes *ret_text)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    const char *fault;

    if (native_function_gives_bytes(function)) {
        fault = native_function_bytes(function, &data, &size);
    } else {
        to->size = 0;
        fault = print_number(function, hex, to);
        data = to->data;
        size = to->size;
    }
    *ret_text = (struct sluice_bytes){data, size};
    return fault;
}

/* The bytes of a JSON string's inside for one that cannot stand there by itself; 0: it can. */
static size_t escape_of(uint8_t c, char to[8])
{
    static const char special[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(special, c) : NULL;

    if (found != NULL) {
        to[0] = '\\';
        to[1] = letters[found - special];
        return 2;
    }
    return c < 0x20 ? (size_t)snprintf(to, 8, "\\u%04x", c) : 0;
}

static bool quote(const uint8_t *data, size_t size, struct call_buffer *to)
{
    const uint8_t *at = data;
    const uint8_t *from = data;
    const uint8_t *end = data + size;
    bool good = call_buffer_add(to, "\"", 1);

    for (; (at = json_skip_plain(at, end)) < end; at++) {
        char escape[8];
        const size_t escape_size = escape_of(*at, escape);

        if (escape_size > 0) {
            good = good && call_buffer_add(to, from, (size_t)(at - from)) &&
                   call_buffer_add(to, escape, escape_size);
            from = at + 1;
        }
    }
    return good && call_buffer_add(to, from, (size_t)(end - from)) && call_buffer_add(to, "\"", 1);
}

const char *call_value_print_json(const struct native_function *function, bool hex,
                                  struct call_buffer *to, struct sluice_bytes *ret_text)
{
    struct sluice_bytes text;
    const bool is_number = !native_function_gives_bytes(function) && !hex;
    const char *fault;
    char digits[24];

    if (is_number) {
        return call_value_print(function, false, to, ret_text);
    }
    to->size = 0;
    if (hex) {
        text = (struct sluice_bytes){(uint8_t *)digits, print_integer(function, true, digits)};
    } else {
        fault = call_value_print(function, false, to, &text);
        if (fault != NULL) {
            return fault;
        }
    }
    if (text.data != NULL && json_utf8_check(text.data, (size_t)text.size) != text.size) {
        return "the function's result is not UTF-8, which JSON wants";
    }
    if (!(text.data == NULL ? call_buffer_add(to, "null", 4)
                            : quote(text.data, (size_t)text.size, to))) {
        return out_of_memory;
    }
    *ret_text = (struct sluice_bytes){to->data, to->size};
    return NULL;
}

bool call_value_is_zero(const struct native_function *function)
{
    const uint32_t kind = function->signature.result;

    if (kind == NATIVE_BOOL) {
        return !native_function_truth(function);
    }
    if (native_kind_is_integer(kind)) {
        return native_function_integer(function) == 0;
    }
    return native_function_real(function) == 0.0;
}
