/* test_log_recent.c: the last lines of a log in memory. */
#include "base/log_recent.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(log_recent, lines_of_one_component_come_in_order_and_each_once)
{
    struct log_recent *recent = log_recent_new();
    struct log_recent_line line = {.number = 0};
    bool lost = true;
    log_recent_add(recent, 5, SL_LOG_WARN, "a", "one");
    log_recent_add(recent, 6, SL_LOG_INFO, "b", "not mine");
    log_recent_add(recent, 7, SL_LOG_INFO, "a", "two");
    cr_assert(log_recent_next(recent, "a", 0, &line, &lost));
    cr_expect_str_eq(line.text, "one");
    cr_expect_eq(line.wall_ms, 5);
    cr_expect_eq(line.level, SL_LOG_WARN);
    cr_expect_not(lost);
    cr_assert(log_recent_next(recent, "a", line.number, &line, &lost));
    cr_expect_str_eq(line.text, "two");
    cr_expect_not(log_recent_next(recent, "a", line.number, &line, &lost));
    log_recent_free(recent);
}

Test(log_recent, the_oldest_go_and_long_texts_are_cut)
{
    struct log_recent *recent = log_recent_new();
    struct log_recent_line line = {.number = 0};
    char text[2 * LOG_RECENT_TEXT_MAX];
    bool lost = false;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (uint32_t i = 0; i < LOG_RECENT_LINES + 10; i++) {
        log_recent_add(recent, i, SL_LOG_INFO, "a", text);
    }
    cr_assert(log_recent_next(recent, "a", 1, &line, &lost));
    cr_expect(lost);
    cr_expect_eq(line.number, 11);
    cr_expect_eq(strlen(line.text), LOG_RECENT_TEXT_MAX - 1);
    log_recent_add(NULL, 0, SL_LOG_INFO, "a", "nowhere");
    cr_expect_not(log_recent_next(NULL, "a", 0, &line, &lost));
    log_recent_free(recent);
}
