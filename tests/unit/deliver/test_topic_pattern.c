/* test_topic_pattern.c: patterns against worked cases, what is refused, a pattern that takes
 * exponential time where one backtracks, and random ones against the slow definition. */
#include "base/bytes.h"
#include "deliver/topic_pattern.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool matches(const char *text, const char *name)
{
    struct topic_pattern *pattern = NULL;
    const char *reason = "";
    cr_assert_eq(topic_pattern_new(sl_bytes_of_text(text), &pattern, &reason), SLUICE_OK, "%s: %s",
                 text, reason);
    bool found = topic_pattern_matches(pattern, sl_bytes_of_text(name));
    cr_assert_eq(found, topic_pattern_matches(pattern, sl_bytes_of_text(name)), "runs leave none");
    topic_pattern_free(pattern);
    return found;
}

static const char *refusal(const char *text)
{
    struct topic_pattern *pattern = NULL;
    const char *reason = NULL;
    cr_assert_eq(topic_pattern_new(sl_bytes_of_text(text), &pattern, &reason),
                 SLUICE_E_INVALID_REGEX, "%s", text);
    return reason;
}

Test(topic_pattern, matches_whole_names)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"orders", "orders", true},
        {"orders", "orders2", false},
        {"orders", "my-orders", false},
        {"", "", true},
        {"", "a", false},
        {"orders.*", "orders", true},
        {"orders.+", "orders", false},
        {"^orders$", "orders", true},
        {"a|b", "b", true},
        {"a|b|", "", true},
        {"a|bc", "ac", false},
        {"(a|b)c", "bc", true},
        {"(?:a|b){2,3}", "ab", true},
        {"(?:a|b){2,3}", "abab", false},
        {"a{3}", "aaa", true},
        {"a{2,}", "aaaaa", true},
        {"a{,2}", "a{,2}", true},
        {"a{x", "a{x", true},
        {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},
        {"[]a]", "]", true},
        {"[a\\-z]", "-", true},
        {"[a-]", "-", true},
        {"[[:alpha:]]+_[[:^digit:]]", "ab_x", true},
        {"\\d+", "0123", true},
        {"\\D+", "0123", false},
        {"\\w+\\.\\w+", "a_1.b", true},
        {"\\Qa.b*\\E+", "a.b*", true},
        {"(?i)Orders", "oRDERS", true},
        {"(?i:a)b", "Ab", true},
        {"(?i:a)b", "AB", false},
        {"a(?i)b|c", "aB", true},
        {"(?P<name>a+)b", "aab", true},
        {"\\x41\\x{42}", "AB", true},
        {"a\\b-b", "a-b", true},
        {"a\\Bb", "ab", true},
        {"a\\bb", "ab", false},
        {"\\Aab\\z", "ab", true},
        {"a??b*?", "bb", true},
        {"(a*)*", "aaa", true},
        {"(a*)+b", "aab", true},
        {"(|a)*c", "aac", true},
        {"test-(1|2)[.]x", "test-2.x", true},
    };
    for (uint32_t i = 0; i < SL_COUNT_OF(cases); i++)
        cr_expect_eq(matches(cases[i].pattern, cases[i].name), cases[i].matches, "%s on %s",
                     cases[i].pattern, cases[i].name);
}

Test(topic_pattern, refuses_what_re2_refuses)
{
    cr_expect_str_eq(refusal("(a"), "missing closing )");
    cr_expect_str_eq(refusal("a)"), "unexpected )");
    cr_expect_str_eq(refusal("[a"), "missing closing ]");
    cr_expect_str_eq(refusal("[z-a]"), "invalid character class range");
    cr_expect_str_eq(refusal("*a"), "missing argument to repetition operator");
    cr_expect_str_eq(refusal("a**"), "invalid nested repetition operator");
    cr_expect_str_eq(refusal("a{1001}"), "invalid repeat count");
    cr_expect_str_eq(refusal("a{2,1}"), "invalid repeat count");
    cr_expect_str_eq(refusal("(?=a)"), "invalid or unsupported Perl syntax");
    cr_expect_str_eq(refusal("(?<!a)"), "invalid or unsupported Perl syntax");
    cr_expect_str_eq(refusal("(a)\\1"), "invalid escape sequence");
    cr_expect_str_eq(refusal("\\"), "trailing backslash at end of expression");
    cr_expect_str_eq(refusal("((a{1000}){1000}){1000}"), "expression is too large");
}

Test(topic_pattern, nests_within_bounds)
{
    char text[2 * 2000 + 2] = "";
    memset(text, '(', 2000);
    refusal(text);
    memset(text, 'a', 2049);
    refusal(text);
}

Test(topic_pattern, takes_linear_time_where_others_backtrack)
{
    char name[250];
    memset(name, 'a', sizeof name);
    memcpy(name + 248, "b", 2);
    cr_assert_not(matches("(a+)+", name));
    cr_assert_not(matches("(a|a)*(a|aa)*", name));
    cr_assert(matches("(a?){200}a*b", name));
}

/* ---- random ones against the definition: every way to split the name is tried ---- */

struct maker {
    char text[256];
    size_t size;
};

static void put(struct maker *maker, const char *text)
{
    size_t size = strlen(text);
    memcpy(maker->text + maker->size, text, size + 1);
    maker->size += size;
}

/* Writes a pattern, and returns as bits over the names of up to 4 letters a and b which ones it
 * matches: name number n has its letters below its highest bit. */
#define NAMES 32u

static uint32_t name_size(uint32_t n)
{
    uint32_t size = 0;
    for (; n > 1; n >>= 1)
        size++;
    return size;
}

static uint32_t append(uint32_t a, uint32_t b)
{
    uint32_t size = name_size(b);
    return a << size | (b & ((1u << size) - 1));
}

static uint32_t both(uint32_t left, uint32_t right)
{
    uint32_t found = 0;
    for (uint32_t a = 1; a < NAMES; a++) {
        for (uint32_t b = 1; b < NAMES; b++) {
            if ((left >> a & 1) != 0 && (right >> b & 1) != 0 && append(a, b) < NAMES)
                found |= 1u << append(a, b);
        }
    }
    return found;
}

static uint32_t make(struct maker *maker, int depth)
{
    static const uint32_t empty = 1u << 1, a = 1u << 2, b = 1u << 3;
    uint32_t left = 0, right = 0;
    switch (depth == 0 ? random() % 3 : random() % 7) {
    case 0:
        put(maker, "a");
        return a;
    case 1:
        put(maker, "b");
        return b;
    case 2:
        put(maker, "[ab]");
        return a | b;
    case 3:
        put(maker, "(");
        left = make(maker, depth - 1);
        put(maker, "|");
        right = make(maker, depth - 1);
        put(maker, ")");
        return left | right;
    case 4:
        put(maker, "(?:");
        left = make(maker, depth - 1);
        put(maker, ")?");
        return left | empty;
    case 5:
        put(maker, "(");
        left = make(maker, depth - 1);
        put(maker, ")*");
        right = empty;
        for (int i = 0; i < 5; i++)
            right |= both(right, left);
        return right;
    default:
        left = make(maker, depth - 1);
        right = make(maker, depth - 1);
        return both(left, right);
    }
}

Test(topic_pattern, of_any_kind_matches_what_its_definition_says)
{
    srandom(1082);
    for (int round = 0; round < 3000; round++) {
        struct maker maker = {.size = 0};
        uint32_t expected = make(&maker, 3);
        for (uint32_t n = 1; n < NAMES; n++) {
            char name[8] = "";
            uint32_t size = name_size(n);
            for (uint32_t i = 0; i < size; i++)
                name[i] = (n >> (size - 1 - i) & 1) != 0 ? 'b' : 'a';
            cr_assert_eq(matches(maker.text, name), (expected >> n & 1) != 0, "%s on %s",
                         maker.text, name);
        }
    }
}
