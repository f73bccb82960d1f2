/* test_pace.c: the CPU share of a worker, by clocks that the test turns. */
#include <criterion/criterion.h>
#include <sandbox/pace.h>

#define MS 1000000ull

Test(pace, a_burst_is_free_and_then_each_ms_of_work_costs_ten_of_rest)
{
    struct pace pace;

    pace_init(&pace, 10, 1000, 5000, 70 * MS);
    cr_assert_eq(pace_rest_ms(&pace, 5000, 70 * MS), 0);
    cr_assert_eq(pace_rest_ms(&pace, 5000, 1070 * MS), 0); /* the whole burst at once */
    cr_assert_eq(pace_rest_ms(&pace, 5000, 1080 * MS), 100);
    cr_assert_eq(pace_rest_ms(&pace, 5060, 1080 * MS), 40);
    cr_assert_eq(pace_rest_ms(&pace, 5100, 1080 * MS), 0);
}

Test(pace, what_was_not_used_is_kept_up_to_the_burst)
{
    struct pace pace;

    pace_init(&pace, 50, 200, 0, 0);
    cr_assert_eq(pace_rest_ms(&pace, 1000000, 200 * MS), 0);
    cr_assert_eq(pace_rest_ms(&pace, 1000000, 201 * MS), 2);
}

Test(pace, a_long_run_keeps_its_share_and_no_more)
{
    struct pace pace;
    uint64_t used = 0;
    int64_t now = 0;

    pace_init(&pace, 10, 1000, 0, 0);
    while (now < 1000000) {
        const uint32_t rest = pace_rest_ms(&pace, now, used);

        if (rest == 0) {
            used += 7 * MS; /* a batch of 7 ms, never cut short */
            now += 7;
        } else {
            now += rest;
        }
    }
    cr_assert_leq(used, 101010 * MS);
    cr_assert_geq(used, 100000 * MS);
}

Test(pace, a_clock_that_goes_back_or_a_share_of_nothing_stops_nobody)
{
    struct pace pace;

    pace_init(&pace, 10, 1000, 5000, 500 * MS);
    cr_assert_eq(pace_rest_ms(&pace, 1000, 100 * MS), 0);
    pace_init(&pace, 0, 0, 0, 0);
    cr_assert_eq(pace_rest_ms(&pace, 0, 100000 * MS), 0);
}
