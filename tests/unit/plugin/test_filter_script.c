/* test_filter_script.c: an expression in Lua stands between the parentheses of its script, or is
 * refused. */
#include "plugin/filter_script.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static bool makes(const char *text)
{
    char reason[FILTER_REASON_BYTES] = "";
    uint8_t *script = NULL;
    size_t size = 0;
    sl_err err = filter_script_make(sl_bytes_of_text(text), &script, &size, reason);
    cr_assert(err == SLUICE_OK || (err == SLUICE_E_INVALID && reason[0] != '\0'), "%s", text);
    if (err == SLUICE_OK) {
        cr_assert(memmem(script, size, text, strlen(text)) != NULL || text[0] == '\0');
    }
    sl_free(script);
    return err == SLUICE_OK;
}

Test(filter_script, an_expression_whose_brackets_strings_and_comments_end_is_taken)
{
    static const char *const texts[] = {"",
                                        "true",
                                        "record.value == ')'",
                                        "record.headers[\"a\\\")\"] == nil -- )",
                                        "(f)({1, [2] = x[y[1]]})",
                                        "[[)]] == [==[ ]] ) ]=] ]==]",
                                        "1 --[[ ) ]] + 2 --[=[ ]] \n ]=] - 1"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        cr_assert(makes(texts[i]), "%s", texts[i]);
    }
}

Test(filter_script, what_would_leave_its_place_is_refused)
{
    static const char *const texts[] = {"true) then end end os.exit() function x() if (true",
                                        "(",
                                        "{)",
                                        "}",
                                        "'a",
                                        "'a\n'",
                                        "'a\\",
                                        "\"a'",
                                        "true --[[",
                                        "true --[==[ ]=] ]]",
                                        "[=[ ]]",
                                        "x[y[1]] --[["};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        cr_assert(!makes(texts[i]), "%s", texts[i]);
    }
}

Test(filter_script, brackets_are_nested_to_a_bound)
{
    char text[512];
    memset(text, '(', 100);
    memset(text + 100, ')', 100);
    text[200] = '\0';
    cr_assert(makes(text));
    memset(text, '(', 101);
    memset(text + 101, ')', 101);
    text[202] = '\0';
    cr_assert(!makes(text));
}
