/* test_native_pattern.c: which topics a pattern means. */
#include "native_pattern.h"

#include <criterion/criterion.h>

static bool matches(const char *text, const char *topic)
{
    struct native_pattern pattern;
    cr_assert_eq(native_pattern_init(&pattern, sluice_text_of(text)), SLUICE_OK, "%s", text);
    bool found = native_pattern_matches(&pattern, sluice_text_of(topic));
    native_pattern_fini(&pattern);
    return found;
}

Test(pattern, without_a_wildcard_is_a_name)
{
    cr_expect(matches("orders", "orders"));
    cr_expect(matches("__internal", "__internal"));
    cr_expect(matches("a..b", "a..b"));
    cr_expect_not(matches("orders", "orders.eu"));
    cr_expect_not(matches("orders.eu", "orders"));
}

Test(pattern, a_star_is_one_name)
{
    cr_expect(matches("events.*.signup", "events.eu.signup"));
    cr_expect(matches("*", "orders"));
    cr_expect_not(matches("*", "orders.eu"));
    cr_expect_not(matches("events.*.signup", "events.signup"));
    cr_expect_not(matches("events.*.signup", "events..signup"));
    cr_expect_not(matches("events.*", "events"));
    cr_expect_not(matches("events.*", "events."));
}

Test(pattern, an_arrow_is_one_name_or_more)
{
    cr_expect(matches("events.>", "events.a"));
    cr_expect(matches("events.>", "events.a.b.c"));
    cr_expect(matches(">", "anything.at.all"));
    cr_expect_not(matches("events.>", "events"));
    cr_expect_not(matches("events.>", "eventsa"));
}

Test(pattern, with_a_wildcard_means_no_internal_topic)
{
    cr_expect_not(matches(">", "__sluice_dlq.mask"));
    cr_expect_not(matches("*.mask", "__sluice_dlq.mask"));
}

Test(pattern, that_is_none_is_refused)
{
    static const char *const wrong[] = {"", "a.>.b", ">.a", "a*", "a.b*", "a..*", ".*", "*.", ">>"};
    struct native_pattern pattern;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_eq(native_pattern_init(&pattern, sluice_text_of(wrong[i])),
                     SLUICE_E_INVALID_TOPIC, "%s", wrong[i]);
    }
}
