/* test_sasl_message.c: the messages of PLAIN and OAUTHBEARER, and what is none. */
#include "auth/sasl_message.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

#define MESSAGE(text) ((struct sl_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static void expect_text(struct sl_bytes bytes, const char *text)
{
    cr_expect(sl_bytes_equal(bytes, sl_bytes_of_text(text)), "%.*s, not %s", (int)bytes.size,
              (const char *)bytes.data, text);
}

Test(sasl_message, parts_plain_at_its_two_zeros)
{
    struct sasl_plain plain;
    cr_assert_eq(sasl_plain_parse(MESSAGE("who\0alice\0se cret"), &plain), SLUICE_OK);
    expect_text(plain.authzid, "who");
    expect_text(plain.name, "alice");
    expect_text(plain.password, "se cret");
    cr_assert_eq(sasl_plain_parse(MESSAGE("\0a\0b"), &plain), SLUICE_OK);
    expect_text(plain.authzid, "");
}

Test(sasl_message, refuses_what_is_not_plain)
{
    struct sasl_plain plain;
    const struct sl_bytes bad[] = {MESSAGE(""),         MESSAGE("\0"),       MESSAGE("\0\0"),
                                   MESSAGE("\0a\0"),    MESSAGE("\0\0b"),    MESSAGE("a\0b"),
                                   MESSAGE("\0a\0b\0"), MESSAGE("\0a\0b\0c")};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_expect_eq(sasl_plain_parse(bad[i], &plain), SLUICE_E_INVALID, "message %zu", i);
    }
}

Test(sasl_message, finds_the_token_of_a_bearer)
{
    struct sasl_bearer bearer;
    cr_assert_eq(sasl_bearer_parse(MESSAGE("n,,\1auth=Bearer a.b.c\1\1"), &bearer), SLUICE_OK);
    expect_text(bearer.token, "a.b.c");
    expect_text(bearer.authzid, "");
    cr_assert_eq(sasl_bearer_parse(MESSAGE("n,a=al,\1host=h\1auth=bearer t\1port=1\1\1"), &bearer),
                 SLUICE_OK);
    expect_text(bearer.token, "t");
    expect_text(bearer.authzid, "al");
}

Test(sasl_message, refuses_what_is_not_a_bearer)
{
    struct sasl_bearer bearer;
    const struct sl_bytes bad[] = {
        MESSAGE(""),
        MESSAGE("n,,"),
        MESSAGE("n,,\1"),
        MESSAGE("n,,\1\1"),
        MESSAGE("n,,\1auth=Bearer t\1"),
        MESSAGE("n,,\1auth=Bearer t\1x"),
        MESSAGE("n,,\1auth=Bearer \1\1"),
        MESSAGE("n,,\1auth=Basic t\1\1"),
        MESSAGE("n,,\1auth=Bearer t\1\1x"),
        MESSAGE("n,,\1auth=Bearer t\1auth=Bearer u\1\1"),
        MESSAGE("n,,\1auth=Bearer t\1pair\1\1"),
        MESSAGE("y,,\1auth=Bearer t\1\1"),
        MESSAGE("n,b=x,\1auth=Bearer t\1\1"),
        MESSAGE("n,a=,\1auth=Bearer t\1\1"),
        MESSAGE("auth=Bearer t\1\1"),
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_expect_eq(sasl_bearer_parse(bad[i], &bearer), SLUICE_E_INVALID, "message %zu", i);
    }
}
