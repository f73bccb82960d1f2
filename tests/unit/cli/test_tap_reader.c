/* test_tap_reader.c: patterns of topics; numbers for people. */
#include "cli/cli_tap_reader.h"

#include <criterion/criterion.h>
#include <string.h>

Test(tap_reader, matches_globs_as_a_whole)
{
    static const struct {
        const char *pattern, *topic;
        bool matches;
    } table[] = {{"orders", "orders", true},
                 {"orders", "orders2", false},
                 {"o*", "orders", true},
                 {"*", "a.b", true},
                 {"*s", "orders", true},
                 {"o*r*s", "orders", true},
                 {"o?ders", "orders", true},
                 {"o?ders", "oders", false},
                 {"[a-o]x", "bx", true},
                 {"[a-o]x", "px", false},
                 {"[!a-o]x", "px", true},
                 {"[]x]x", "]x", true},
                 {"a*b*c", "aXbXbXc", true},
                 {"a*b*c", "aXbXcX", false},
                 {"*", "__sluice_dlq.a", false},
                 {"__sluice_dlq.*", "__sluice_dlq.a", true},
                 {"", "", true},
                 {"[", "[", false}};
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        cr_assert_eq(tap_matches(table[i].pattern, table[i].topic), table[i].matches, "%s %s",
                     table[i].pattern, table[i].topic);
    }
}

Test(tap_reader, a_pattern_of_many_stars_is_decided_at_once)
{
    char topic[250];
    memset(topic, 'a', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    cr_assert_not(tap_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", topic));
}

Test(watch, numbers_are_short)
{
    char text[WATCH_TEXT_BYTES];
    cr_assert_str_eq(watch_age_text(-1, text), "-");
    cr_assert_str_eq(watch_age_text(999, text), "999 ms");
    cr_assert_str_eq(watch_age_text(3210, text), "3.2 s");
    cr_assert_str_eq(watch_age_text(600000, text), "10 min");
    cr_assert_str_eq(watch_age_text(3 * 86400000LL, text), "3.0 d");
    cr_assert_str_eq(watch_count_text(999, text), "999");
    cr_assert_str_eq(watch_count_text(1234, text), "1.23k");
    cr_assert_str_eq(watch_count_text(12345678, text), "12.3M");
    cr_assert_str_eq(watch_bytes_text(100, text), "100 B");
    cr_assert_str_eq(watch_bytes_text(1536, text), "1.5 KiB");
}
