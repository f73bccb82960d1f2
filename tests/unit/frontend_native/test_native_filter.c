/* test_native_filter.c: conditions on headers, and when a record expires. */
#include "native_filter.h"

#include <criterion/criterion.h>
#include <string.h>

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct sluice_header headers[] = {
    {{"kind", 4}, BYTES("order")}, {{"kind", 4}, BYTES("refund")}, {{"empty", 5}, {NULL, 0}}};
static const struct sluice_record record = {.header_count = 3, .headers = headers};

static bool passes(const char *text)
{
    struct native_filter filter;
    cr_assert_eq(native_filter_init(&filter, sluice_text_of(text)), SLUICE_OK, "%s", text);
    bool found = native_filter_passes(&filter, &record);
    native_filter_fini(&filter);
    return found;
}

Test(filter, an_empty_one_is_passed_by_everything)
{
    cr_expect(passes(""));
}

Test(filter, a_name_alone_is_there_or_not)
{
    cr_expect(passes("kind") && passes("empty") && passes("!missing"));
    cr_expect(!passes("missing") && !passes("!kind") && !passes("kin"));
}

Test(filter, a_value_is_that_of_one_of_the_headers)
{
    cr_expect(passes("kind=order") && passes("kind=refund") && passes("empty="));
    cr_expect(!passes("kind=ord") && !passes("kind=") && !passes("missing="));
}

Test(filter, another_value_means_that_none_has_it)
{
    cr_expect(passes("kind!=other") && passes("missing!=x"));
    cr_expect(!passes("kind!=order") && !passes("kind!=refund"));
}

Test(filter, a_value_may_begin_so)
{
    cr_expect(passes("kind^=ref") && passes("kind^="));
    cr_expect(!passes("kind^=x") && !passes("kind^=orderly"));
}

Test(filter, all_conditions_hold)
{
    cr_expect(passes("kind=order&empty&!missing"));
    cr_expect(!passes("kind=order&missing"));
}

Test(filter, names_and_values_may_be_escaped)
{
    cr_expect(passes("%6bind=o%72der") && passes("%6Bind"));
}

Test(filter, that_is_none_is_refused)
{
    static const char *const wrong[] = {"=x",   "!",     "&", "a&",  "&a",
                                        "a=%4", "a=%zz", "%", "!=x", "^=x"};
    struct native_filter filter;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_eq(native_filter_init(&filter, sluice_text_of(wrong[i])), SLUICE_E_INVALID, "%s",
                     wrong[i]);
    }
}

Test(filter, has_a_bounded_number_of_conditions)
{
    char text[2 * NATIVE_FILTER_CONDITIONS_MAX + 2];
    struct native_filter filter;
    for (size_t i = 0; i <= NATIVE_FILTER_CONDITIONS_MAX; i++) {
        memcpy(text + 2 * i, "a&", 2);
    }
    text[2 * NATIVE_FILTER_CONDITIONS_MAX + 1] = '\0';
    cr_expect_eq(native_filter_init(&filter, sluice_text_of(text)), SLUICE_E_INVALID);
    text[2 * NATIVE_FILTER_CONDITIONS_MAX - 1] = '\0';
    cr_expect_eq(native_filter_init(&filter, sluice_text_of(text)), SLUICE_OK);
    native_filter_fini(&filter);
}

static int64_t expires(const char *value)
{
    const struct sluice_header one = {{"sluice-expires", 14},
                                      {(const uint8_t *)value, strlen(value)}};
    return native_record_expires(&(struct sluice_record){.header_count = 1, .headers = &one});
}

Test(expiry, is_a_number_of_milliseconds)
{
    cr_expect_eq(expires("1500"), 1500);
    cr_expect_eq(expires("999999999999999999"), 999999999999999999);
}

Test(expiry, that_is_no_number_never_comes)
{
    cr_expect_eq(expires(""), INT64_MAX);
    cr_expect_eq(expires("-1"), INT64_MAX);
    cr_expect_eq(expires("12x"), INT64_MAX);
    cr_expect_eq(expires("9999999999999999999"), INT64_MAX);
    cr_expect_eq(native_record_expires(&record), INT64_MAX);
}
