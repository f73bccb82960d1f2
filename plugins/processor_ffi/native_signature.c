/* native_signature: see the header. */
#include "native_signature.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {
#define WORD(name, word) word,
    NATIVE_KIND_TABLE(WORD)
#undef WORD
};

const char *native_kind_word(uint32_t kind)
{
    return kind < NATIVE_KIND_COUNT ? words[kind] : "?";
}

/* Bits of an integer kind: the kinds stand in the order 8, 16, 32, 64. */
static uint32_t bits_of(uint32_t kind)
{
    return 8u << ((kind - NATIVE_I8) & 3u);
}

int64_t native_kind_min(uint32_t kind)
{
    return native_kind_is_signed(kind) ? (int64_t)(UINT64_MAX << (bits_of(kind) - 1)) : 0;
}

uint64_t native_kind_max(uint32_t kind)
{
    uint64_t all = UINT64_MAX >> (64 - bits_of(kind));

    return native_kind_is_signed(kind) ? all >> 1 : all;
}

struct cursor {
    const char *text;
    size_t size;
    size_t at;
    struct native_fault fault;
};

static bool fail(struct cursor *cursor, size_t at, const char *what)
{
    cursor->fault = (struct native_fault){what, at};
    return false;
}

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->size &&
           (cursor->text[cursor->at] == ' ' || cursor->text[cursor->at] == '\t')) {
        cursor->at++;
    }
}

static bool next_is(struct cursor *cursor, char wanted)
{
    skip_blanks(cursor);
    return cursor->at < cursor->size && cursor->text[cursor->at] == wanted;
}

static bool take(struct cursor *cursor, char wanted, const char *what)
{
    if (!next_is(cursor, wanted)) {
        return fail(cursor, cursor->at, what);
    }
    cursor->at++;
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The word at the cursor; size 0: there is none. */
static size_t take_word(struct cursor *cursor, const char **ret_word)
{
    size_t begin;

    skip_blanks(cursor);
    begin = cursor->at;
    *ret_word = cursor->text + begin;
    if (begin < cursor->size && is_letter(cursor->text[begin])) {
        while (cursor->at < cursor->size &&
               (is_letter(cursor->text[cursor->at]) || is_digit(cursor->text[cursor->at]))) {
            cursor->at++;
        }
    }
    return cursor->at - begin;
}

static bool take_kind(struct cursor *cursor, uint32_t *ret_kind)
{
    const char *word;
    const size_t size = take_word(cursor, &word);

    for (uint32_t i = 0; i < NATIVE_KIND_COUNT && size > 0; i++) {
        if (strlen(words[i]) == size && memcmp(words[i], word, size) == 0) {
            *ret_kind = i;
            return true;
        }
    }
    return fail(cursor, cursor->at - size,
                "a type is wanted here: void, bool, i8 to i64, u8 to u64, f32, f64, cstr, bytes, "
                "bytes32 or out(N)");
}

static bool take_capacity(struct cursor *cursor, uint32_t *ret_capacity)
{
    uint32_t capacity = 0;
    size_t begin;

    if (!take(cursor, '(', "'(' is wanted here: out(N), of N bytes")) {
        return false;
    }
    skip_blanks(cursor);
    begin = cursor->at;
    while (cursor->at < cursor->size && is_digit(cursor->text[cursor->at]) &&
           capacity <= NATIVE_OUT_BYTES_MAX) {
        capacity = capacity * 10 + (uint32_t)(cursor->text[cursor->at++] - '0');
    }
    if (capacity == 0 || capacity > NATIVE_OUT_BYTES_MAX) {
        return fail(cursor, begin, "the bytes of out(N) must be 1 to 1048576");
    }
    *ret_capacity = capacity;
    return take(cursor, ')', "')' is wanted here");
}

static bool take_parameter(struct cursor *cursor, struct native_signature *signature)
{
    struct native_parameter *parameter = &signature->parameters[signature->count];
    size_t begin;

    skip_blanks(cursor);
    begin = cursor->at;
    if (signature->count == NATIVE_PARAMETERS_MAX) {
        return fail(cursor, begin, "more than 16 parameters");
    }
    *parameter = (struct native_parameter){0, 0};
    if (!take_kind(cursor, &parameter->kind)) {
        return false;
    }
    if (parameter->kind == NATIVE_VOID) {
        return fail(cursor, begin, "a parameter cannot be void");
    }
    if (parameter->kind == NATIVE_OUT) {
        for (uint32_t i = 0; i < signature->count; i++) {
            if (signature->parameters[i].kind == NATIVE_OUT) {
                return fail(cursor, begin, "only one parameter can be out(N)");
            }
        }
        if (!native_kind_is_integer(signature->result)) {
            return fail(cursor, begin,
                        "with out(N) the result must be an integer: the bytes written");
        }
        if (!take_capacity(cursor, &parameter->capacity)) {
            return false;
        }
    }
    signature->count++;
    return true;
}

/* "(void)" and "()" alike; the opening bracket is taken. */
static bool take_none(struct cursor *cursor)
{
    const size_t begin = cursor->at;
    const char *word;
    const size_t size = take_word(cursor, &word);

    if ((size == 0 || (size == 4 && memcmp(word, "void", 4) == 0)) && next_is(cursor, ')')) {
        cursor->at++;
        return true;
    }
    cursor->at = begin;
    return false;
}

static bool take_parameters(struct cursor *cursor, struct native_signature *signature)
{
    if (!take(cursor, '(', "'(' is wanted here") || take_none(cursor)) {
        return cursor->fault.what == NULL;
    }
    do {
        if (!take_parameter(cursor, signature)) {
            return false;
        }
    } while (next_is(cursor, ',') && cursor->at++ < cursor->size);
    return take(cursor, ')', "',' or ')' is wanted here");
}

static bool take_name(struct cursor *cursor, struct native_signature *signature)
{
    const char *word;
    const size_t size = take_word(cursor, &word);

    if (size >= sizeof(signature->name)) {
        return fail(cursor, cursor->at - size, "the name is longer than 127 bytes");
    }
    memcpy(signature->name, word, size);
    signature->name[size] = '\0';
    return true;
}

static bool parse(struct cursor *cursor, struct native_signature *signature)
{
    if (!take_kind(cursor, &signature->result)) {
        return false;
    }
    if (signature->result > NATIVE_CSTR) {
        return fail(cursor, 0, "a result cannot be bytes or out");
    }
    if (!take_name(cursor, signature) || !take_parameters(cursor, signature)) {
        return false;
    }
    skip_blanks(cursor);
    return cursor->at == cursor->size || fail(cursor, cursor->at, "nothing may follow the ')'");
}

bool native_signature_parse(const char *text, size_t size, struct native_signature *ret,
                            struct native_fault *ret_fault)
{
    struct cursor cursor = {.text = text, .size = size};
    struct native_signature signature = {0};

    /* What prints below the bound parses back: blanks are what can make a text longer. */
    if (size >= NATIVE_SIGNATURE_BYTES_MAX) {
        *ret_fault = (struct native_fault){"the signature is longer than 1023 bytes", 0};
        return false;
    }
    if (!parse(&cursor, &signature)) {
        *ret_fault = cursor.fault;
        return false;
    }
    *ret = signature;
    return true;
}

size_t native_signature_print(const struct native_signature *signature,
                              char ret_text[NATIVE_SIGNATURE_BYTES_MAX])
{
    char *at = ret_text;
    char *end = ret_text + NATIVE_SIGNATURE_BYTES_MAX;

    at += snprintf(at, (size_t)(end - at), "%s%s%s(", native_kind_word(signature->result),
                   signature->name[0] != '\0' ? " " : "", signature->name);
    for (uint32_t i = 0; i < signature->count; i++) {
        const struct native_parameter *parameter = &signature->parameters[i];

        at += snprintf(at, (size_t)(end - at), "%s%s", i > 0 ? ", " : "",
                       native_kind_word(parameter->kind));
        if (parameter->kind == NATIVE_OUT) {
            at += snprintf(at, (size_t)(end - at), "(%u)", parameter->capacity);
        }
    }
    at += snprintf(at, (size_t)(end - at), ")");
    return (size_t)(at - ret_text);
}
