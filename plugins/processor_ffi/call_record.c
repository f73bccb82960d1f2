/* call_record: see the header. */
#include "call_record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool __attribute__((format(printf, 2, 3))) refuse(struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(call->reason, sizeof(call->reason), format, arguments);
    va_end(arguments);
    return false;
}

static struct sluice_bytes bytes_of(struct sluice_text text)
{
    return (struct sluice_bytes){(const uint8_t *)text.data, text.size};
}

/* ---- arguments ---- */

static const char *const source_words[] = {"value", "key", "header", "json", "constant", "out"};

static bool refuse_argument(struct call *call, const struct call_argument *argument,
                            const char *what)
{
    return refuse(call, "argument %u (%s%s%.*s) of %s: %s", argument->parameter + 1,
                  source_words[argument->source], argument->name.size > 0 ? " " : "",
                  (int)argument->name.size, argument->name.size > 0 ? argument->name.data : "",
                  call->settings.signature.name, what);
}

/* The default; an explicit null is NULL where there can be one; a missing one without a default
 * only for bytes. */
static bool set_missing(struct call *call, const struct call_argument *argument)
{
    struct native_function *function = &call->function;
    const uint32_t kind = function->signature.parameters[argument->parameter].kind;
    const bool takes_null = kind == NATIVE_BYTES || kind == NATIVE_BYTES32 ||
                            (kind == NATIVE_CSTR && argument->initial.size > 0);
    const char *fault = "the record has none";
    bool missing = true;

    if (argument->initial.size > 0) {
        fault = call_value_set_json(function, argument->parameter, bytes_of(argument->initial),
                                    &call->copies[argument->parameter], &missing);
    }
    if (missing && takes_null) {
        native_function_set_bytes(function, argument->parameter, NULL, 0);
        return true;
    }
    return fault == NULL || refuse_argument(call, argument, fault);
}

static struct sluice_bytes find_header(const struct sluice_record *in, struct sluice_text name)
{
    for (uint32_t i = in->header_count; i > 0; i--) {
        const struct sluice_header *header = &in->headers[i - 1];

        if (header->key.size == name.size &&
            memcmp(header->key.data, name.data, (size_t)name.size) == 0) {
            return header->value;
        }
    }
    return (struct sluice_bytes){NULL, 0};
}

static bool set_from_json(struct call *call, const struct call_argument *argument,
                          const struct sluice_record *in)
{
    struct json_place place;
    struct json_fault fault;
    struct sluice_bytes json;
    const char *what;
    bool missing = false;

    if (in->value.data == NULL) {
        return set_missing(call, argument);
    }
    if (!json_find(in->value.data, (size_t)in->value.size, &argument->path, &place, &fault)) {
        return refuse(call, "the value is not the JSON that argument %u wants: %s at byte %zu",
                      argument->parameter + 1, fault.what, fault.at);
    }
    if (place.mismatch || place.matched < argument->path.count) {
        return set_missing(call, argument);
    }
    json = (struct sluice_bytes){in->value.data + place.value_begin,
                                 place.value_end - place.value_begin};
    what = call_value_set_json(&call->function, argument->parameter, json,
                               &call->copies[argument->parameter], &missing);
    if (missing) {
        return set_missing(call, argument);
    }
    return what == NULL || refuse_argument(call, argument, what);
}

static bool set_argument(struct call *call, const struct call_argument *argument,
                         const struct sluice_record *in)
{
    struct sluice_bytes text = in->value;
    const char *fault;

    switch (argument->source) {
    case SOURCE_JSON:
        return set_from_json(call, argument, in);
    case SOURCE_CONSTANT:
    case SOURCE_OUT:
        return true; /* set once */
    case SOURCE_KEY:
        text = in->key;
        break;
    case SOURCE_HEADER:
        text = find_header(in, argument->name);
        break;
    default:
        break;
    }
    if (text.data == NULL) {
        return set_missing(call, argument);
    }
    fault = call_value_set_text(&call->function, argument->parameter, text,
                                &call->copies[argument->parameter]);
    return fault == NULL || refuse_argument(call, argument, fault);
}

bool call_prepare(struct call *call)
{
    for (uint32_t i = 0; i < call->settings.argument_count; i++) {
        const struct call_argument *argument = &call->settings.arguments[i];

        /* A default is tried as well: what cannot be set is refused now, not at a record. */
        if (argument->initial.size > 0 && !set_missing(call, argument)) {
            return false;
        }
    }
    return true;
}

void call_fini(struct call *call)
{
    native_function_fini(&call->function);
    for (uint32_t i = 0; i < NATIVE_PARAMETERS_MAX; i++) {
        call_buffer_fini(&call->copies[i]);
    }
    call_buffer_fini(&call->text);
    call_buffer_fini(&call->value);
    free(call->headers);
    call->headers = NULL;
}

/* ---- the result ---- */

/* All headers but those of the name, then one of it. */
static bool put_header(struct call *call, const struct sluice_record *in, struct sluice_bytes text,
                       struct sluice_emit *out)
{
    const struct sluice_text name = call->settings.result.name;
    uint32_t count = 0;

    if (in->header_count >= CALL_HEADERS_MAX) {
        return refuse(call, "the record has %u headers: there is no room for one more",
                      in->header_count);
    }
    if (call->header_capacity <= in->header_count) {
        const uint32_t capacity = 2 * in->header_count + 8;
        struct sluice_header *memory = realloc(call->headers, capacity * sizeof(*memory));

        if (memory == NULL) {
            return refuse(call, "there is no memory");
        }
        call->headers = memory;
        call->header_capacity = capacity;
    }
    for (uint32_t i = 0; i < in->header_count; i++) {
        const struct sluice_text each = in->headers[i].key;

        if (each.size != name.size || memcmp(each.data, name.data, (size_t)name.size) != 0) {
            call->headers[count++] = in->headers[i];
        }
    }
    call->headers[count++] = (struct sluice_header){name, text};
    out->headers = call->headers;
    out->header_count = count;
    return true;
}

static bool put_step(struct call_buffer *to, const struct json_step *step, bool is_new)
{
    if (step->key == NULL) {
        return !is_new || call_buffer_add(to, "[", 1);
    }
    return (!is_new || call_buffer_add(to, "{", 1)) && call_buffer_add(to, "\"", 1) &&
           call_buffer_add(to, step->key, step->key_size) && call_buffer_add(to, "\":", 2);
}

/* What is missing of the path, around the text: the keys come from a configuration without
 * backslashes, whose strings have neither quotes nor control characters in them. */
static bool put_new(struct call_buffer *to, const struct json_path *path,
                    const struct json_place *place, struct sluice_bytes text)
{
    bool good = place->child_count == 0 || call_buffer_add(to, ",", 1);

    for (uint32_t i = place->matched; i < path->count; i++) {
        good = good && put_step(to, &path->steps[i], i > place->matched);
    }
    good = good && call_buffer_add(to, text.data, (size_t)text.size);
    for (uint32_t i = path->count; i > place->matched + 1; i--) {
        good = good && call_buffer_add(to, path->steps[i - 1].key != NULL ? "}" : "]", 1);
    }
    return good;
}

/* An index can be added at the end of an array only. */
static bool can_grow(const struct json_path *path, const struct json_place *place)
{
    for (uint32_t i = place->matched; i < path->count; i++) {
        if (path->steps[i].key == NULL &&
            path->steps[i].index != (i == place->matched ? place->child_count : 0)) {
            return false;
        }
    }
    return true;
}

static bool put_json(struct call *call, const struct sluice_record *in, struct sluice_bytes text,
                     struct sluice_emit *out)
{
    const struct json_path *path = &call->settings.result.path;
    const struct sluice_text name = call->settings.result.name;
    struct call_buffer *value = &call->value;
    struct json_place place;
    struct json_fault fault;
    size_t from;
    size_t to;
    bool good;

    if (in->value.data == NULL ||
        !json_find(in->value.data, (size_t)in->value.size, path, &place, &fault)) {
        return refuse(call, "the result cannot be put at %.*s: the value is not JSON",
                      (int)name.size, name.data);
    }
    if (place.mismatch || !can_grow(path, &place)) {
        return refuse(call, "the result cannot be put at %.*s: the path leads into something else",
                      (int)name.size, name.data);
    }
    const bool exists = place.matched == path->count;
    from = exists ? place.value_begin : place.append_at;
    to = exists ? place.value_end : place.append_at;
    value->size = 0;
    good = call_buffer_add(value, in->value.data, from) &&
           (exists ? call_buffer_add(value, text.data, (size_t)text.size)
                   : put_new(value, path, &place, text)) &&
           call_buffer_add(value, in->value.data + to, (size_t)in->value.size - to);
    out->value = (struct sluice_bytes){value->data, value->size};
    return good || refuse(call, "there is no memory");
}

static bool put_result(struct call *call, const struct sluice_record *in, struct sluice_emit *out)
{
    const struct call_result *result = &call->settings.result;
    struct sluice_bytes text;
    const char *fault =
        result->target == TARGET_JSON
            ? call_value_print_json(&call->function, result->hex, &call->text, &text)
            : call_value_print(&call->function, result->hex, &call->text, &text);

    if (fault != NULL) {
        return refuse(call, "%s: %s", call->settings.signature.name, fault);
    }
    switch (result->target) {
    case TARGET_HEADER:
        return put_header(call, in, text, out);
    case TARGET_JSON:
        return put_json(call, in, text, out);
    case TARGET_KEY:
        out->key = text;
        return true;
    default:
        out->value = text;
        return true;
    }
}

static uint32_t judge(struct call *call)
{
    const struct call_result *result = &call->settings.result;

    if (call_value_is_zero(&call->function) != result->when_zero) {
        return CALL_PASS;
    }
    if (result->target == TARGET_DROP) {
        return CALL_DROP;
    }
    (void)refuse(call, "%s says no: its result is %s", call->settings.signature.name,
                 result->when_zero ? "zero" : "not zero");
    return CALL_REJECT;
}

uint32_t call_record(struct call *call, const struct sluice_record *in, struct sluice_emit *ret_out)
{
    for (uint32_t i = 0; i < call->settings.argument_count; i++) {
        if (!set_argument(call, &call->settings.arguments[i], in)) {
            return CALL_REJECT;
        }
    }
    native_function_call(&call->function);
    if (call->settings.result.target == TARGET_NONE) {
        return CALL_PASS;
    }
    if (call->settings.result.target >= TARGET_DROP) {
        return judge(call);
    }
    *ret_out = (struct sluice_emit){.size = sizeof(*ret_out),
                                    .header_count = in->header_count,
                                    .partition = SLUICE_PARTITION_AUTO,
                                    .timestamp = -1, /* the input record's */
                                    .key = in->key,
                                    .value = in->value,
                                    .headers = in->headers};
    return put_result(call, in, ret_out) ? CALL_EMIT : CALL_REJECT;
}
