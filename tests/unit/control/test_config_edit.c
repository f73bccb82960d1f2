/* test_config_edit.c: one value of a file is another one, all else is as it was. */
#include "control/config_edit.h"

#include <criterion/criterion.h>
#include <string.h>

static struct config_report report;
static struct sl_buffer made;

static sl_err edit(const char *text, const char *path, const char *value)
{
    report.count = 0;
    sl_buffer_fini(&made);
    sl_buffer_init(&made, CONFIG_FILE_BYTES_MAX);
    return config_edit((struct sl_bytes){(const uint8_t *)text, strlen(text)}, "t.yaml", path,
                       value, &report, &made);
}

static void becomes(const char *text, const char *path, const char *value, const char *expected)
{
    cr_assert_eq(edit(text, path, value), SLUICE_OK, "%s", report.problems[0]);
    cr_assert_eq(made.size, strlen(expected), "%.*s", (int)made.size, (const char *)made.data);
    cr_assert_arr_eq(made.data, expected, made.size, "%.*s", (int)made.size,
                     (const char *)made.data);
}

Test(config_edit, puts_a_value_over_the_one_that_is_there)
{
    becomes("# a\nlog: # b\n  level: info   # c\nwal:\n  age_max: 5 min\n", "log.level", "debug",
            "# a\nlog: # b\n  level: debug   # c\nwal:\n  age_max: 5 min\n");
    becomes("log: { level: info, format: text }\n", "log.format", "json",
            "log: { level: info, format: json }\n");
    becomes("a: 'x y'\nb: \"z\"\n", "a", "q: r", "a: \"q: r\"\nb: \"z\"\n");
    becomes("a:\nb: 1\n", "a", "2", "a: 2\nb: 1\n");
    becomes("\xC3\xA4: \xE2\x82\xAC\xF0\x9F\x98\x80 # \xC3\xB6\nb: 1\n", "b", "22",
            "\xC3\xA4: \xE2\x82\xAC\xF0\x9F\x98\x80 # \xC3\xB6\nb: 22\n");
    becomes("\xEF\xBB\xBF"
            "b: 1\n",
            "b", "2",
            "\xEF\xBB\xBF"
            "b: 2\n");
}

Test(config_edit, makes_a_line_and_the_sections_above_it)
{
    becomes("", "kafka.listen", "0.0.0.0:9092", "kafka:\n  listen: 0.0.0.0:9092\n");
    becomes("# only\n", "a", "1", "# only\na: 1\n");
    becomes("log:\n    level: info\n", "log.format", "json",
            "log:\n    format: json\n    level: info\n");
    becomes("# head\nlog:\n  level: info", "core.topics.partitions", "3",
            "# head\ncore:\n  topics:\n    partitions: 3\nlog:\n  level: info");
    becomes("a:\n  b:\n    c: 1\n", "a.d", "2", "a:\n  d: 2\n  b:\n    c: 1\n");
}

Test(config_edit, writes_what_is_not_plain_in_quotes)
{
    const char *const values[] = {"",   " a", "a ",   "#a", "a # b", "- a",  "*a",
                                  "&a", "!a", "a: b", "'",  "\"",    "a\nb", "%a",
                                  "@a", "{",  "a,b",  "-1", "true",  "null"};
    for (size_t i = 0; i < SL_COUNT_OF(values); i++) {
        if (values[i][0] == '{')
            continue;
        cr_assert_eq(edit("x: { a: 1, b: 2 }\nc: 3\n", "x.a", values[i]), SLUICE_OK, "%s: %s",
                     values[i], report.problems[0]);
        cr_assert_eq(edit("c: 3\n", "x.a", values[i]), SLUICE_OK, "%s", values[i]);
    }
}

Test(config_edit, writes_lists_and_objects_as_they_are)
{
    becomes("a: 1\n", "b", "[x, \"y\"]", "b: [x, \"y\"]\na: 1\n");
    cr_assert_neq(edit("a: 1\n", "b", "[x"), SLUICE_OK);
    cr_assert_neq(edit("a: 1\n", "b", "[x]\nc: 2"), SLUICE_OK);
}

Test(config_edit, refuses_what_it_cannot_write_and_says_where)
{
    cr_assert_eq(edit("a:\n  - 1\n", "a", "2"), SLUICE_E_CONFIG_VALUE);
    cr_assert_not_null(strstr(report.problems[0], "t.yaml:2"), "%s", report.problems[0]);
    cr_assert_eq(edit("a: {b: 1}\n", "a.c", "2"), SLUICE_E_CONFIG_VALUE);
    cr_assert_eq(edit("a: 1\n", "a.c", "2"), SLUICE_E_CONFIG_VALUE);
    cr_assert_eq(edit("a: |\n  b\n  c\nd: 1\n", "a", "2"), SLUICE_E_CONFIG_VALUE);
    cr_assert_eq(edit("a: [\n", "b", "2"), SLUICE_E_CONFIG_SYNTAX);
    const char *const paths[] = {"", ".a", "a.", "a..b", "a b", "a:b", "\"a"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++)
        cr_assert_eq(edit("a: 1\n", paths[i], "2"), SLUICE_E_CONFIG_VALUE, "%s", paths[i]);
}
