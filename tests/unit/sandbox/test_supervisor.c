/* test_supervisor.c: restart with backoff, times given by the test. */
#include <criterion/criterion.h>
#include <sandbox/supervisor.h>

static const struct supervisor_policy policy = {
    .backoff_min_ms = 100, .backoff_max_ms = 1000, .stable_ms = 5000};

static int64_t die_at(struct supervisor *supervisor, int64_t now_ms)
{
    supervisor_started(supervisor, now_ms);
    supervisor_exited(supervisor, now_ms, false);
    return supervisor_due_at(supervisor) - now_ms;
}

Test(supervisor, is_due_at_once_at_first)
{
    struct supervisor supervisor;

    supervisor_init(&supervisor, &policy);
    cr_assert(supervisor_due(&supervisor, 0));
    supervisor_started(&supervisor, 0);
    cr_assert_not(supervisor_due(&supervisor, 1000000));
}

Test(supervisor, doubles_the_pause_up_to_its_maximum)
{
    static const int64_t pauses[] = {100, 200, 400, 800, 1000, 1000};
    struct supervisor supervisor;

    supervisor_init(&supervisor, &policy);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(die_at(&supervisor, i * 10000), pauses[i]);
    }
    cr_assert_eq(supervisor.death_count, 6);
}

Test(supervisor, starts_at_once_after_the_first_death_where_the_policy_says_so)
{
    static const int64_t pauses[] = {0, 100, 200, 400};
    struct supervisor_policy one = policy;
    struct supervisor supervisor;

    one.restarts_at_once = 1;
    supervisor_init(&supervisor, &one);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(die_at(&supervisor, i * 10000), pauses[i]);
    }
}

Test(supervisor, forgets_deaths_after_a_stable_run_only)
{
    struct supervisor supervisor;

    supervisor_init(&supervisor, &policy);
    (void)die_at(&supervisor, 0);
    (void)die_at(&supervisor, 1000);
    supervisor_started(&supervisor, 2000);
    supervisor_ready(&supervisor, 2000);
    supervisor_exited(&supervisor, 6999, false);
    cr_assert_eq(supervisor_due_at(&supervisor), 6999 + 400);
    supervisor_started(&supervisor, 8000);
    supervisor_ready(&supervisor, 8000);
    supervisor_exited(&supervisor, 13000, false);
    cr_assert_eq(supervisor_due_at(&supervisor), 13000 + 100);
}

Test(supervisor, lets_bisection_bypass_the_pause_without_counting)
{
    struct supervisor supervisor;

    supervisor_init(&supervisor, &policy);
    supervisor_started(&supervisor, 0);
    supervisor_exited(&supervisor, 10, true);
    cr_assert(supervisor_due(&supervisor, 10));
    cr_assert_eq(die_at(&supervisor, 20), 100);
}

Test(supervisor, stops_after_too_many_deaths_until_reset)
{
    struct supervisor_policy strict = policy;
    struct supervisor supervisor;

    strict.deaths_max = 3;
    supervisor_init(&supervisor, &strict);
    for (int i = 0; i < 3; i++) {
        (void)die_at(&supervisor, i * 10000);
    }
    cr_assert_eq(supervisor.state, SUPERVISOR_STOPPED);
    cr_assert_not(supervisor_due(&supervisor, INT64_MAX - 1));
    supervisor_reset(&supervisor);
    cr_assert(supervisor_due(&supervisor, 0));
}

Test(supervisor, stays_stopped_when_the_worker_dies_afterwards)
{
    struct supervisor supervisor;

    supervisor_init(&supervisor, &policy);
    supervisor_started(&supervisor, 0);
    supervisor_stop(&supervisor, 5);
    supervisor_exited(&supervisor, 6, false);
    cr_assert_eq(supervisor.state, SUPERVISOR_STOPPED);
}
