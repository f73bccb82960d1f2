/* test_json_same.c: what counts as the same JSON. */
#include "base/bytes.h"
#include "workbench/json_same.h"

#include <criterion/criterion.h>

static bool same(const char *a, const char *b)
{
    bool there = json_same(sl_bytes_of_text(a), sl_bytes_of_text(b));
    cr_expect_eq(there, json_same(sl_bytes_of_text(b), sl_bytes_of_text(a)), "%s | %s", a, b);
    return there;
}

Test(json_same, order_spaces_and_escapes_do_not_matter)
{
    cr_expect(same("{\"a\":1,\"b\":[1,2]}", " { \"b\" : [ 1 , 2 ] , \"a\" : 1 } "));
    cr_expect(same("\"\\u00e4/\"", "\"\xc3\xa4\\/\""));
    cr_expect(same("{\"\\u0061\":{}}", "{\"a\":{}}"));
    cr_expect(same("[]", "[ ]"));
    cr_expect_not(same("[1,2]", "[2,1]"));
    cr_expect_not(same("[1]", "[1,1]"));
    cr_expect_not(same("{\"a\":1}", "{\"a\":1,\"b\":1}"));
    cr_expect_not(same("{\"a\":1}", "{\"b\":1}"));
    cr_expect_not(same("\"1\"", "1"));
    cr_expect_not(same("null", "false"));
    cr_expect_not(same("{}", "[]"));
}

Test(json_same, whole_numbers_are_compared_by_their_digits)
{
    cr_expect(same("9007199254740993", "9007199254740993"));
    cr_expect_not(same("9007199254740993", "9007199254740992"));
    cr_expect(same("1.50", "1.5"));
    cr_expect(same("1e2", "100.0"));
    cr_expect_not(same("1.5", "1.25"));
}

Test(json_same, what_is_no_json_is_the_same_as_nothing)
{
    static const char *const texts[] = {"", "{", "{\"a\":1}x", "nul", "[1,]", "\"", "{\"a\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_not(same(texts[i], texts[i]), "%s", texts[i]);
        cr_expect_not(same(texts[i], "1"), "%s", texts[i]);
    }
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = '\0';
    cr_expect_not(same(deep, deep));
    deep[0] = ' ';
    cr_expect_not(same(deep, deep), "more than %u levels", JSON_SAME_DEPTH_MAX);
}
