/* test_place.c: the language of offsets. */
#include "cli/cli_place.h"

#include <criterion/criterion.h>

#define NOW  INT64_C(1795305600000) /* 2026-11-22T00:00:00Z */
#define HOUR INT64_C(3600000)

static void check_place(const char *text, enum cli_place_kind kind, int64_t value)
{
    struct cli_place place;
    cr_assert(cli_place_parse(text, NOW, &place), "%s", text);
    cr_expect(place.kind == kind && place.value == value, "%s is %d %lld", text, (int)place.kind,
              (long long)place.value);
}

Test(place, words_numbers_signs_and_times)
{
    check_place("start", CLI_PLACE_START, 0);
    check_place("beginning", CLI_PLACE_START, 0);
    check_place("end", CLI_PLACE_END, 0);
    check_place("+7", CLI_PLACE_START, 7);
    check_place("-7", CLI_PLACE_END, 7);
    check_place("7", CLI_PLACE_OFFSET, 7);
    check_place("@7", CLI_PLACE_TIME, 7);
    check_place("@2026-11-21T23:00:00Z", CLI_PLACE_TIME, NOW - HOUR);
    check_place("@2026-11-22", CLI_PLACE_TIME, NOW);
    check_place("@-1h", CLI_PLACE_TIME, NOW - HOUR);
    check_place("@-90s", CLI_PLACE_TIME, NOW - 90000);
}

Test(place, what_is_none_is_refused)
{
    static const char *const wrong[] = {"",
                                        "soon",
                                        "+",
                                        "-",
                                        "--1",
                                        "+-1",
                                        "@",
                                        "@-",
                                        "@--1h",
                                        "@soon",
                                        "1.5",
                                        "0x1",
                                        " 1",
                                        "99999999999999999999",
                                        "@2026-13-01",
                                        "@2026-11-21T11:00",
                                        "@-16-11-21T23:00:00Z",
                                        "1:"};
    struct cli_place place;
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        cr_expect(!cli_place_parse(wrong[i], NOW, &place), "\"%s\" was taken", wrong[i]);
    }
}

static void check_span(const char *text, const char *from, const char *to)
{
    struct cli_span span;
    char text_from[CLI_PLACE_TEXT_BYTES], text_to[CLI_PLACE_TEXT_BYTES] = "";
    cr_assert(cli_span_parse(text, NOW, &span), "%s", text);
    cli_place_text(&span.from, text_from);
    if (span.has_to) {
        cli_place_text(&span.to, text_to);
    }
    cr_expect_str_eq(text_from, from);
    cr_expect_str_eq(text_to, to);
}

Test(place, spans_with_colons_of_times_among_them)
{
    check_span("5", "5", "");
    check_span("5:9", "5", "9");
    check_span("+5:-9", "+5", "-9");
    check_span(":9", "start", "9");
    check_span("5:", "5", "end");
    check_span("@-1h:end", "@1795302000000", "end");
    check_span("@2026-11-21T23:00:00Z:@2026-11-22T00:00:00Z", "@1795302000000", "@1795305600000");
    check_span("@2026-11-21T23:00:00Z:2026-11-22T00:00:00Z", "@1795302000000", "@1795305600000");
    check_span("@2026-11-21T23:00:00Z", "@1795302000000", "");
    check_span("@1:2", "@1", "@2");
    struct cli_span span;
    cr_expect(!cli_span_parse(":", NOW, &span));
    cr_expect(!cli_span_parse("a:b", NOW, &span));
    cr_expect(!cli_span_parse("1:2:3", NOW, &span));
}

Test(place, resolved_within_a_partition)
{
    static const struct cli_place_bounds bounds = {.start = 10, .end = 20, .at_time = 15};
    static const struct cli_place_bounds none = {.start = 10, .end = 20, .at_time = -1};
    static const struct {
        const char *text;
        int64_t offset, when_none;
    } rows[] = {{"start", 10, 10}, {"end", 20, 20}, {"+3", 13, 13}, {"+30", 20, 20}, {"-3", 17, 17},
                {"-30", 10, 10},   {"12", 12, 12},  {"99", 99, 99}, {"@5", 15, 20}};
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        struct cli_place place;
        cr_assert(cli_place_parse(rows[i].text, NOW, &place));
        cr_expect_eq(cli_place_resolve(&place, &bounds), rows[i].offset, "%s", rows[i].text);
        cr_expect_eq(cli_place_resolve(&place, &none), rows[i].when_none, "%s", rows[i].text);
    }
}
