/* The scanner and the numbers, without Lua. */
#include "json_find.h"
#include "json_number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_json(const char *text, size_t size)
{
    struct json_path path = {0};
    struct json_place place;
    struct json_fault fault;
    /* A copy of exactly its size, so that a sanitizer sees a byte too far. */
    uint8_t *copy = malloc(size + (size == 0));
    cr_assert_not_null(copy);
    memcpy(copy, text, size);
    bool good = json_find(copy, size, &path, &place, &fault);
    free(copy);
    return good;
}

Test(json_scan, every_prefix_of_a_document_is_refused)
{
    const char *text = "{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\\\\\xc3\xa9\"],\"b\":{}}";
    size_t size = strlen(text);
    cr_expect(is_json(text, size));
    for (size_t i = 0; i < size; i++) {
        cr_expect_not(is_json(text, i), "%.*s", (int)i, text);
    }
}

Test(json_scan, special_bytes_are_seen_at_every_alignment)
{
    for (int at = 0; at < 24; at++) {
        char text[32];
        memset(text, 'x', sizeof(text));
        text[0] = '"';
        text[29] = '"';
        cr_expect(is_json(text, 30));
        static const char refused[] = {'\0', '\n', '\x1f', '\\', '\x80', '\xff', '\xc3'};
        for (size_t i = 0; i < sizeof(refused); i++) {
            text[1 + at] = refused[i];
            text[2 + at] = '|';
            cr_expect_not(is_json(text, 30), "byte %d at %d", refused[i], at);
        }
    }
}

Test(json_scan, doubles_print_shortest_and_read_back)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1, "1.0"},
                 {1e21, "1e+21"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.0 / 3, "0.3333333333333333"},
                 {-0.0, "-0.0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[JSON_NUMBER_BYTES_MAX + 1];
        size_t size = json_real_print(cases[i].value, text);
        text[size] = '\0';
        cr_expect_eq(strtod(text, NULL), cases[i].value);
        cr_expect_str_eq(text, cases[i].text);
    }
    char text[JSON_NUMBER_BYTES_MAX];
    cr_expect_eq(json_real_print(INFINITY, text), 0);
    cr_expect_eq(json_real_print(NAN, text), 0);
}

Test(json_scan, integers_end_exactly_at_64_bits)
{
    static const struct {
        const char *text;
        int kind;
    } cases[] = {
        {"9223372036854775807", JSON_NUMBER_INTEGER},
        {"9223372036854775808", JSON_NUMBER_TEXT},
        {"-9223372036854775808", JSON_NUMBER_INTEGER},
        {"-9223372036854775809", JSON_NUMBER_TEXT},
        {"18446744073709551617", JSON_NUMBER_TEXT},
        {"99999999999999999999", JSON_NUMBER_TEXT},
        {"-0", JSON_NUMBER_REAL},
        {"0.30", JSON_NUMBER_REAL},
        {"1e400", JSON_NUMBER_TEXT},
        {"1e-400", JSON_NUMBER_TEXT},
        {"0e99999999999999999999", JSON_NUMBER_REAL},
        {"1e-99999999999999999999", JSON_NUMBER_TEXT},
        {"100000000000000000000.0", JSON_NUMBER_REAL},
        {"0.1000000000000000055511", JSON_NUMBER_TEXT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_cursor cursor;
        struct json_token token;
        int64_t integer = 0;
        double real = 0;
        json_cursor_init(&cursor, (const uint8_t *)cases[i].text, strlen(cases[i].text));
        cr_assert(json_take_number(&cursor, &token));
        cr_expect_eq(json_number_parse(&token, &integer, &real), cases[i].kind, "%s",
                     cases[i].text);
    }
}

/* The short ways agree with strtod and printf wherever they are taken. */
Test(json_scan, short_numbers_are_exact)
{
    uint64_t random = 20261121;
    for (int i = 0; i < 200000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        char text[40];
        char shortest[40];
        char printed[JSON_NUMBER_BYTES_MAX + 1];
        snprintf(text, sizeof(text), "%s%llu.%0*llu", (random & 1) != 0 ? "-" : "",
                 (unsigned long long)(random >> 40) % 1000000, (int)(random % 7 + 1),
                 (unsigned long long)(random >> 13) % 10);
        struct json_token token = {(const uint8_t *)text, strlen(text), false, false};
        int64_t integer;
        double real = 0;
        cr_assert_eq(json_number_parse(&token, &integer, &real), JSON_NUMBER_REAL, "%s", text);
        double wanted = strtod(text, NULL);
        cr_assert(memcmp(&wanted, &real, sizeof(real)) == 0, "%s", text);
        snprintf(shortest, sizeof(shortest), "%.15g", wanted);
        printed[json_real_print(wanted, printed)] = '\0';
        bool whole = strpbrk(shortest, ".e") == NULL;
        cr_assert(whole || strcmp(printed, shortest) == 0, "%s: %s %s", text, printed, shortest);
        cr_assert_eq(strtod(printed, NULL), wanted);
    }
}
