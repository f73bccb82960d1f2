/* json_number: see the header. strtod and printf of the C locale, which processors run in. */
#include "json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_SAFE    15u /* every decimal of so many digits survives a double */
#define DIGITS_MAX     17u /* and every double a decimal of so many */
#define EXPONENT_MAX   1000000
#define TEXT_BYTES_MAX 64u /* longer numbers stay text */

/* A decimal without zeros at either end: 0.digits * 10^exponent. */
struct decimal {
    char digits[TEXT_BYTES_MAX];
    uint32_t count;
    int64_t exponent;
};

static bool parse_integer(const struct json_token *token, int64_t *ret)
{
    bool negative = token->data[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t value = 0;
    if (token->size - negative > 19) {
        return false;
    }
    for (size_t i = negative; i < token->size; i++) {
        value = value * 10 + (uint64_t)(token->data[i] - '0'); /* 19 digits fit */
    }
    if (value > limit || (negative && value == 0)) { /* -0 is not an integer's */
        return false;
    }
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* text is a number by JSON's grammar, shorter than TEXT_BYTES_MAX. */
static void decimal_of(const char *text, struct decimal *ret)
{
    bool fraction = false;
    ret->count = 0;
    ret->exponent = 0;
    const char *at = text + (*text == '-');
    for (; *at != '\0' && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        bool leading = ret->count == 0 && *at == '0';
        if (!leading) {
            ret->digits[ret->count++] = *at;
        }
        if (fraction ? leading : !leading) {
            ret->exponent += fraction ? -1 : 1;
        }
    }
    while (ret->count > 0 && ret->digits[ret->count - 1] == '0') {
        ret->count--;
    }
    if (ret->count == 0) {
        ret->exponent = 0;
    } else if (*at != '\0') {
        int64_t exponent = strtoll(at + 1, NULL, 10);
        ret->exponent += exponent < -EXPONENT_MAX  ? -EXPONENT_MAX
                         : exponent > EXPONENT_MAX ? EXPONENT_MAX
                                                   : exponent;
    }
}

static bool same_decimal(const char *a, const char *b)
{
    struct decimal left;
    struct decimal right;
    decimal_of(a, &left);
    decimal_of(b, &right);
    return left.count == right.count && left.exponent == right.exponent &&
           memcmp(left.digits, right.digits, left.count) == 0;
}

static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Plain decimals of at most 15 digits: both parts are exact doubles, so one division rounds
 * correctly (Clinger 1990), and a decimal of so many digits is what its double prints as. */
static bool parse_short(const struct json_token *token, double *ret)
{
    bool negative = token->data[0] == '-';
    uint64_t mantissa = 0;
    size_t point = token->size - 1;
    if (token->size > DIGITS_SAFE) {
        return false;
    }
    for (size_t i = negative; i < token->size; i++) {
        uint8_t c = token->data[i];
        if (c == '.') {
            point = i;
        } else if (c >= '0' && c <= '9') {
            mantissa = mantissa * 10 + (uint64_t)(c - '0');
        } else {
            return false;
        }
    }
    double value = (double)mantissa / powers[token->size - 1 - point];
    *ret = negative ? -value : value;
    return true;
}

int json_number_parse(const struct json_token *token, int64_t *ret_integer, double *ret_real)
{
    char text[TEXT_BYTES_MAX];
    char shortest[JSON_NUMBER_BYTES_MAX + 1];
    bool minus_zero = token->size == 2 && token->data[0] == '-' && token->data[1] == '0';
    if (token->integer && !minus_zero) {
        return parse_integer(token, ret_integer) ? JSON_NUMBER_INTEGER : JSON_NUMBER_TEXT;
    }
    if (parse_short(token, ret_real)) {
        return JSON_NUMBER_REAL;
    }
    if (token->size >= sizeof(text)) {
        return JSON_NUMBER_TEXT;
    }
    memcpy(text, token->data, token->size);
    text[token->size] = '\0';
    double value = strtod(text, NULL);
    size_t size = json_real_print(value, shortest);
    shortest[size] = '\0';
    if (size == 0 || !same_decimal(text, shortest)) {
        return JSON_NUMBER_TEXT;
    }
    *ret_real = value;
    return JSON_NUMBER_REAL;
}

size_t json_integer_print(int64_t value, char *to)
{
    char digits[24];
    size_t count = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    size_t size = 0;
    if (value < 0) {
        to[size++] = '-';
    }
    while (count > 0) {
        to[size++] = digits[--count];
    }
    return size;
}

/* Numbers that are a whole number of millionths or coarser, without printf. Decimals of at most 15
 * digits are apart as doubles, so one that reads back is the one and shortest. 0: not such a
 * number. */
static size_t print_short(double value, char *to)
{
    double size = fabs(value);
    if (size >= 1e9 || size < 1e-4) {
        return 0;
    }
    for (uint32_t places = 1; places <= 6; places++) {
        double scaled = rint(size * powers[places]);
        if (scaled / powers[places] == size) {
            uint64_t whole = (uint64_t)scaled;
            uint64_t unit = (uint64_t)powers[places];
            size_t at = 0;
            to[at] = '-';
            at += value < 0;
            at += json_integer_print((int64_t)(whole / unit), to + at);
            to[at++] = '.';
            for (uint64_t rest = whole % unit, digit = unit / 10; digit > 0; digit /= 10) {
                to[at++] = (char)('0' + rest / digit % 10);
            }
            return at;
        }
    }
    return 0;
}

size_t json_real_print(double value, char *to)
{
    if (!isfinite(value)) {
        return 0;
    }
    size_t short_size = print_short(value, to);
    if (short_size > 0) {
        return short_size;
    }
    int size = 0;
    for (unsigned digits = DIGITS_SAFE; digits <= DIGITS_MAX; digits++) {
        size = snprintf(to, JSON_NUMBER_BYTES_MAX, "%.*g", (int)digits, value);
        if (strtod(to, NULL) == value) {
            break;
        }
    }
    if (strpbrk(to, ".e") == NULL) {
        memcpy(to + size, ".0", 3);
        size += 2;
    }
    return (size_t)size;
}
