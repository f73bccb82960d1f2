/* call_settings: see the header. */
#include "call_settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
    struct call_settings *settings;
    char *text; /* CALL_TEXT_BYTES */
    struct sluice_text symbol;
    struct sluice_text signature;
    struct sluice_text arguments;
    struct sluice_text result;
};

static bool __attribute__((format(printf, 2, 3))) refuse(char *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, CALL_TEXT_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool equals(struct sluice_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, (size_t)text.size) == 0;
}

/* ---- JSON, piece by piece ---- */

/* A member of an object, or an element of a list (name empty); false ends the walk. */
typedef bool child_fn(void *arg, struct sluice_text name, struct sluice_text value);

static struct sluice_text span(const uint8_t *begin, const uint8_t *end)
{
    return (struct sluice_text){(const char *)begin, (uint64_t)(end - begin)};
}

/* Calls `visit` for each child of a container; false: it is none, or visit said so. */
static bool each_child(struct sluice_text container, char open, child_fn *visit, void *arg)
{
    const uint8_t close = open == '{' ? '}' : ']';
    struct json_cursor cursor;
    bool last;

    json_cursor_init(&cursor, (const uint8_t *)container.data, (size_t)container.size);
    if (json_peek(&cursor) != (uint8_t)open || !json_take_open(&cursor, close, 0, &last)) {
        return false;
    }
    while (!last) {
        struct json_token key = {.data = (const uint8_t *)""};
        const uint8_t *begin;

        (void)json_peek(&cursor);
        if (open == '{' && !json_take_key(&cursor, &key)) {
            return false;
        }
        (void)json_peek(&cursor);
        begin = cursor.at;
        if (!json_skip_value(&cursor, 1) ||
            !visit(arg, span(key.data, key.data + key.size), span(begin, cursor.at)) ||
            !json_take_separator(&cursor, close, &last)) {
            return false;
        }
    }
    return true;
}

/* The inside of a string without escapes; false: it is no such string. */
static bool take_string(struct sluice_text value, struct sluice_text *ret)
{
    if (value.size < 2 || value.data[0] != '"' ||
        memchr(value.data, '\\', (size_t)value.size) != NULL) {
        return false;
    }
    *ret = (struct sluice_text){value.data + 1, value.size - 2};
    return true;
}

static bool want_string(char *text, const char *key, struct sluice_text value,
                        struct sluice_text *ret)
{
    return (take_string(value, ret) && ret->size > 0) ||
           refuse(text, "%s must be a text, without \\ in it", key);
}

static bool want_path(char *text, const char *key, struct sluice_text value,
                      struct sluice_text *ret_name, struct json_path *ret_path)
{
    struct json_fault fault;

    if (!want_string(text, key, value, ret_name)) {
        return false;
    }
    return json_path_parse(ret_name->data, (size_t)ret_name->size, ret_path, &fault) ||
           refuse(text, "%s: the path %.*s: %s at %zu", key, (int)ret_name->size, ret_name->data,
                  fault.what, fault.at + 1);
}

/* ---- arguments ---- */

struct argument_reading {
    struct reading *reading;
    struct call_argument *argument;
    char key[24]; /* for messages: "argument 2" */
    uint32_t sources;
};

static bool take_argument_key(void *arg, struct sluice_text name, struct sluice_text value)
{
    struct argument_reading *at = arg;
    struct call_argument *argument = at->argument;
    char *text = at->reading->text;

    if (equals(name, "default")) {
        argument->initial = value;
        return true;
    }
    at->sources++;
    if (equals(name, "from")) {
        struct sluice_text from;
        const bool good =
            take_string(value, &from) && (equals(from, "value") || equals(from, "key"));

        argument->source = good && equals(from, "key") ? SOURCE_KEY : SOURCE_VALUE;
        return good || refuse(text, "%s: from must be value or key", at->key);
    }
    if (equals(name, "header")) {
        argument->source = SOURCE_HEADER;
        return want_string(text, at->key, value, &argument->name);
    }
    if (equals(name, "json")) {
        argument->source = SOURCE_JSON;
        return want_path(text, at->key, value, &argument->name, &argument->path);
    }
    if (equals(name, "constant")) {
        argument->source = SOURCE_CONSTANT;
        argument->initial = value;
        return true;
    }
    return refuse(text,
                  "%s has an unknown key %.*s: there are from, header, json, constant and "
                  "default",
                  at->key, (int)name.size, name.data);
}

/* The next parameter that wants a source; out parameters get their own on the way. */
static bool next_parameter(struct call_settings *settings, uint32_t *ret_parameter)
{
    uint32_t at = settings->argument_count;

    while (at < settings->signature.count &&
           settings->signature.parameters[at].kind == NATIVE_OUT) {
        settings->arguments[at] = (struct call_argument){.source = SOURCE_OUT, .parameter = at};
        settings->argument_count = ++at;
    }
    *ret_parameter = at;
    return at < settings->signature.count;
}

static bool take_argument(void *arg, struct sluice_text name, struct sluice_text value)
{
    struct reading *reading = arg;
    struct call_settings *settings = reading->settings;
    struct argument_reading at = {.reading = reading};
    struct sluice_text word;
    uint32_t parameter;

    (void)name;
    if (!next_parameter(settings, &parameter)) {
        return refuse(reading->text,
                      "arguments has more entries than the signature has parameters");
    }
    at.argument = &settings->arguments[settings->argument_count++];
    *at.argument = (struct call_argument){.parameter = parameter};
    snprintf(at.key, sizeof(at.key), "argument %u", parameter + 1);
    if (take_string(value, &word)) {
        at.argument->source = equals(word, "key") ? SOURCE_KEY : SOURCE_VALUE;
        return equals(word, "key") || equals(word, "value") ||
               refuse(reading->text,
                      "%s must be value, key, {header: NAME}, {json: PATH} or "
                      "{constant: X}",
                      at.key);
    }
    if (!each_child(value, '{', take_argument_key, &at)) {
        return reading->text[0] == '\0'
                   ? refuse(reading->text, "%s must be a text or an object", at.key)
                   : false;
    }
    return at.sources == 1 || refuse(reading->text,
                                     "%s needs exactly one of from, header, json "
                                     "and constant",
                                     at.key);
}

/* ---- the result ---- */

static bool take_condition(struct reading *reading, struct sluice_text value, uint32_t target)
{
    struct call_result *result = &reading->settings->result;
    struct sluice_text when = {"", 0};

    result->target = target;
    result->when_zero = take_string(value, &when) && equals(when, "zero");
    return result->when_zero || equals(when, "nonzero") ||
           refuse(reading->text, "result: drop_if and reject_if must be zero or nonzero");
}

static bool take_result_key(void *arg, struct sluice_text name, struct sluice_text value)
{
    struct reading *reading = arg;
    struct call_result *result = &reading->settings->result;
    struct sluice_text format = {"", 0};

    if (equals(name, "format")) {
        result->hex = take_string(value, &format) && equals(format, "hex");
        return result->hex || equals(format, "decimal") ||
               refuse(reading->text, "result: format must be decimal or hex");
    }
    if (result->target != TARGET_NONE) {
        return refuse(reading->text, "result names more than one place");
    }
    if (equals(name, "header")) {
        result->target = TARGET_HEADER;
        return want_string(reading->text, "result: header", value, &result->name);
    }
    if (equals(name, "json")) {
        result->target = TARGET_JSON;
        return want_path(reading->text, "result: json", value, &result->name, &result->path);
    }
    if (equals(name, "to")) {
        struct sluice_text to;
        const bool good = take_string(value, &to) && (equals(to, "value") || equals(to, "key"));

        result->target = good && equals(to, "key") ? TARGET_KEY : TARGET_VALUE;
        return good || refuse(reading->text, "result: to must be value or key");
    }
    if (equals(name, "drop_if")) {
        return take_condition(reading, value, TARGET_DROP);
    }
    if (equals(name, "reject_if")) {
        return take_condition(reading, value, TARGET_REJECT);
    }
    return refuse(reading->text,
                  "result has an unknown key %.*s: there are to, header, json, "
                  "drop_if, reject_if and format",
                  (int)name.size, name.data);
}

static bool take_result_word(struct reading *reading, struct sluice_text word)
{
    struct call_result *result = &reading->settings->result;

    result->target = equals(word, "value") ? TARGET_VALUE
                     : equals(word, "key") ? TARGET_KEY
                                           : TARGET_NONE;
    return result->target != TARGET_NONE || equals(word, "none") ||
           refuse(reading->text, "result must be value, key, none, {header: NAME}, {json: PATH}, "
                                 "{drop_if: …} or {reject_if: …}");
}

/* What the function gives must fit where it goes. */
static bool check_result(struct reading *reading)
{
    const struct call_result *result = &reading->settings->result;
    const struct native_signature *signature = &reading->settings->signature;
    bool gives_bytes = signature->result == NATIVE_CSTR;

    for (uint32_t i = 0; i < signature->count; i++) {
        gives_bytes = gives_bytes || signature->parameters[i].kind == NATIVE_OUT;
    }
    if (signature->result == NATIVE_VOID && result->target != TARGET_NONE) {
        return refuse(reading->text, "the function is void: result must be none");
    }
    if (gives_bytes && result->target >= TARGET_DROP) {
        return refuse(reading->text,
                      "result: drop_if and reject_if need a function that returns a number");
    }
    if (result->hex && (gives_bytes || !native_kind_is_integer(signature->result))) {
        return refuse(reading->text, "result: hex needs a function that returns an integer");
    }
    return true;
}

static bool read_result(struct reading *reading)
{
    struct sluice_text word = {"", 0};
    bool good;

    if (reading->result.size == 0) {
        return refuse(reading->text,
                      "result is missing: where the function's result goes, or none");
    }
    good = take_string(reading->result, &word)
               ? take_result_word(reading, word)
               : each_child(reading->result, '{', take_result_key, reading);
    if (good && reading->settings->result.target == TARGET_NONE && word.size == 0) {
        return refuse(reading->text, "result names no place");
    }
    if (!good && reading->text[0] == '\0') {
        return refuse(reading->text, "result must be a text or an object");
    }
    return good && check_result(reading);
}

/* ---- the whole ---- */

static bool take_key(void *arg, struct sluice_text name, struct sluice_text value)
{
    struct reading *reading = arg;

    if (equals(name, "library")) {
        return want_string(reading->text, "library", value, &reading->settings->library);
    }
    if (equals(name, "symbol")) {
        return want_string(reading->text, "symbol", value, &reading->symbol);
    }
    if (equals(name, "signature")) {
        return want_string(reading->text, "signature", value, &reading->signature);
    }
    if (equals(name, "arguments")) {
        reading->arguments = value;
        return true;
    }
    if (equals(name, "result")) {
        reading->result = value;
        return true;
    }
    return refuse(reading->text,
                  "unknown key %.*s: there are library, symbol, signature, arguments "
                  "and result",
                  (int)name.size, name.data);
}

static bool read_signature(struct reading *reading)
{
    struct native_signature *signature = &reading->settings->signature;
    struct native_fault fault;

    if (!native_signature_parse(reading->signature.data, (size_t)reading->signature.size, signature,
                                &fault)) {
        return refuse(reading->text, "signature %.*s: byte %zu: %s",
                      (int)(reading->signature.size < 200 ? reading->signature.size : 200),
                      reading->signature.data, fault.at + 1, fault.what);
    }
    if (reading->symbol.size >= sizeof(signature->name)) {
        return refuse(reading->text, "symbol is longer than 127 bytes");
    }
    if (signature->name[0] != '\0' && reading->symbol.size > 0 &&
        !equals(reading->symbol, signature->name)) {
        return refuse(reading->text, "symbol is %.*s, the signature says %s",
                      (int)reading->symbol.size, reading->symbol.data, signature->name);
    }
    if (reading->symbol.size > 0) {
        memcpy(signature->name, reading->symbol.data, (size_t)reading->symbol.size);
        signature->name[reading->symbol.size] = '\0';
    }
    return signature->name[0] != '\0' ||
           refuse(reading->text,
                  "symbol is missing: the function's name, here or in the signature");
}

static bool read_arguments(struct reading *reading)
{
    struct call_settings *settings = reading->settings;
    uint32_t parameter;

    if (reading->arguments.size > 0 &&
        !each_child(reading->arguments, '[', take_argument, reading)) {
        return reading->text[0] == '\0' ? refuse(reading->text, "arguments must be a list") : false;
    }
    return !next_parameter(settings, &parameter) ||
           refuse(reading->text, "argument %u is missing: the signature has %u parameters",
                  parameter + 1, settings->signature.count);
}

bool call_settings_read(struct sluice_text json, struct call_settings *ret,
                        char ret_text[CALL_TEXT_BYTES])
{
    struct reading reading = {.settings = ret, .text = ret_text};

    memset(ret, 0, sizeof(*ret));
    ret_text[0] = '\0';
    if (!each_child(json, '{', take_key, &reading)) {
        return ret_text[0] == '\0' ? refuse(ret_text, "the configuration must be an object")
                                   : false;
    }
    if (ret->library.size == 0) {
        return refuse(ret_text, "library is missing: a name as libm.so.6, or an absolute path");
    }
    if (reading.signature.size == 0) {
        return refuse(ret_text, "signature is missing, as f64(f64, f64)");
    }
    return read_signature(&reading) && read_arguments(&reading) && read_result(&reading);
}
