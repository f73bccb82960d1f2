/* test_os_loop.c: tasks, timers, lanes, helpers over the system. */
#include "os_fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct os_fixture *f;

static void open_fixture(void)
{
    f = os_fixture_open();
}

static void close_fixture(void)
{
    os_fixture_close(f);
}

TestSuite(loop, .init = open_fixture, .fini = close_fixture);
TestSuite(jobs, .init = open_fixture, .fini = close_fixture);

/* ---- order ---- */

struct noted {
    struct sl_task task;
    uint32_t number;
};

static uint32_t order[64];
static uint32_t order_count;

static void note(struct sl_task *task)
{
    order[order_count++] = SL_CONTAINER_OF(task, struct noted, task)->number;
}

static void post_mixed(void *arg)
{
    struct noted *tasks = arg;
    for (uint32_t i = 0; i < 12; i++) {
        tasks[i] = (struct noted){.task = {.run = note, .priority = 3 - i / 3}, .number = i};
        sl_loop_post(f->loop, &tasks[i].task);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

static struct os_event *drained;

static void say_drained(struct sl_task *task)
{
    (void)task;
    os_event_say(drained);
}

Test(loop, runs_priorities_in_order_and_keeps_order_within_one)
{
    static const uint32_t expected[12] = {9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2};
    struct noted tasks[12];
    struct sl_task last = {.run = say_drained, .priority = SL_PRIORITY_BACKGROUND};
    drained = os_event_new();
    os_fixture_on_loop(f, post_mixed, tasks);
    sl_loop_post(f->loop, &last);
    os_event_wait(drained, 1);
    cr_assert_eq(order_count, 12);
    for (int i = 0; i < 12; i++)
        cr_expect_eq(order[i], expected[i], "place %d: %u", i, order[i]);
    os_event_free(drained);
}

/* ---- many posters ---- */

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
    struct noted tasks[64];
    uint32_t poster;
    _Atomic uint32_t ran;
    uint32_t next_seen; /* the loop's */
};

static _Atomic uint32_t out_of_order;
static struct poster posters[POSTERS];

static void check_order(struct sl_task *task)
{
    struct noted *noted = SL_CONTAINER_OF(task, struct noted, task);
    struct poster *poster = &posters[noted->number >> 24];
    if ((noted->number & 0xffffff) != poster->next_seen++)
        out_of_order++;
    atomic_fetch_add(&poster->ran, 1);
}

static void *post_many(void *arg)
{
    struct poster *poster = arg;
    for (uint32_t i = 0; i < POSTS; i++) {
        while (i - atomic_load(&poster->ran) >= 64)
            sched_yield(); /* this task is still queued */
        struct noted *noted = &poster->tasks[i % 64];
        *noted = (struct noted){.task = {.run = check_order, .priority = SL_PRIORITY_IO},
                                .number = poster->poster << 24 | i};
        sl_loop_post(f->loop, &noted->task);
    }
    return NULL;
}

Test(loop, takes_tasks_of_many_threads_each_in_its_order)
{
    pthread_t threads[POSTERS];
    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i].poster = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    os_fixture_on_loop(f, nothing, NULL);
    for (int i = 0; i < POSTERS; i++) {
        while (atomic_load(&posters[i].ran) < POSTS)
            sched_yield();
    }
    cr_expect_eq(out_of_order, 0);
}

/* ---- no starvation ---- */

struct greedy {
    struct sl_task task;
    _Atomic bool stop;
    struct os_event *stopped;
};

static void post_self(struct sl_task *task)
{
    struct greedy *greedy = SL_CONTAINER_OF(task, struct greedy, task);
    if (greedy->stop)
        os_event_say(greedy->stopped);
    else
        sl_loop_post(f->loop, task);
}

Test(loop, lets_every_priority_and_timers_go_on_beside_tasks_without_end)
{
    struct greedy greedy[SL_PRIORITY_COUNT];
    struct sl_task background = {.run = say_drained, .priority = SL_PRIORITY_BACKGROUND};
    drained = os_event_new();
    for (uint32_t p = 0; p < SL_PRIORITY_COUNT; p++) {
        greedy[p] =
            (struct greedy){.task = {.run = post_self, .priority = p}, .stopped = os_event_new()};
        sl_loop_post(f->loop, &greedy[p].task);
    }
    sl_loop_post(f->loop, &background);
    os_event_wait(drained, 1);
    os_fixture_on_loop(f, nothing, NULL); /* control */
    for (uint32_t p = 0; p < SL_PRIORITY_COUNT; p++) {
        greedy[p].stop = true;
        os_event_wait(greedy[p].stopped, 1);
        os_event_free(greedy[p].stopped);
    }
    os_event_free(drained);
}

static void is_current(void *arg)
{
    *(bool *)arg = sl_loop_is_current(f->loop);
}

Test(loop, knows_its_thread)
{
    bool inside = false;
    os_fixture_on_loop(f, is_current, &inside);
    cr_expect(inside);
    cr_expect_not(sl_loop_is_current(f->loop));
}

Test(loop, runs_again_after_a_stop)
{
    struct sl_loop *loop = NULL;
    cr_assert_eq(sl_loop_new(f->os, "again", -1, &loop), SLUICE_OK);
    for (int i = 0; i < 3; i++) {
        sl_loop_stop(loop); /* before the run: it ends at once */
        sl_loop_run(loop);
    }
    sl_loop_free(loop);
}

/* ---- its end ---- */

#define ENDS 200

static struct {
    struct sl_loop *loop;
    struct sl_task task;
    struct sl_job job;
} ending;

static void ending_work(struct sl_job *job)
{
    (void)job;
}

static void ending_done(struct sl_job *job)
{
    (void)job;
    sl_loop_stop(ending.loop);
}

static void ending_submit(struct sl_task *task)
{
    (void)task;
    ending.job = (struct sl_job){.work = ending_work, .done = ending_done};
    sl_helpers_submit(f->os, ending.loop, &ending.job);
}

/* What it does to the freed loop a sanitizer sees. */
Test(loop, is_freed_while_who_posted_its_last_task_is_about_to_wake_it)
{
    for (int i = 0; i < ENDS; i++) {
        cr_assert_eq(sl_loop_new(f->os, "ending", -1, &ending.loop), SLUICE_OK);
        cr_assert_eq(sl_loop_start(ending.loop), SLUICE_OK);
        ending.task = (struct sl_task){.run = ending_submit};
        sl_loop_post(ending.loop, &ending.task);
        sl_loop_join(ending.loop);
        cr_assert_null(sl_loop_free(ending.loop));
    }
}

/* ---- timers ---- */

struct alarm {
    struct sl_timer *timer, *stopped;
    int64_t started_ns, fired_ns;
    struct os_event *fired;
};

static void on_fire(void *arg)
{
    struct alarm *alarm = arg;
    alarm->fired_ns = sl_os_mono_ns(f->os);
    os_event_say(alarm->fired);
}

static void never_fires(void *arg)
{
    (void)arg;
    abort();
}

static void set_alarm(void *arg)
{
    struct alarm *alarm = arg;
    cr_assert_eq(sl_timer_new(f->loop, on_fire, alarm, &alarm->timer), SLUICE_OK);
    cr_assert_eq(sl_timer_new(f->loop, never_fires, alarm, &alarm->stopped), SLUICE_OK);
    sl_timer_start(alarm->stopped, 1000000);
    sl_timer_stop(alarm->stopped);
    alarm->started_ns = sl_os_mono_ns(f->os);
    sl_timer_start(alarm->timer, 3600 * 1000000000ll);
    sl_timer_start(alarm->timer, 20500000); /* anew: the later call counts */
}

static void drop_alarm(void *arg)
{
    struct alarm *alarm = arg;
    sl_timer_free(alarm->timer);
    sl_timer_free(alarm->stopped);
}

Test(loop, fires_a_timer_once_and_never_early)
{
    struct alarm alarm = {.fired = os_event_new()};
    os_fixture_on_loop(f, set_alarm, &alarm);
    os_event_wait(alarm.fired, 1);
    cr_expect_geq(alarm.fired_ns - alarm.started_ns, 20500000);
    os_fixture_on_loop(f, drop_alarm, &alarm);
    cr_expect_eq(os_event_count(alarm.fired), 1);
    os_event_free(alarm.fired);
}

/* ---- lanes and helpers ---- */

struct work {
    struct sl_job job;
    uint32_t number;
    bool worked_elsewhere, done_on_loop;
    bool takes_signals; /* of the program */
    struct os_event *done;
};

static uint32_t lane_next; /* the lane's */
static struct sl_lane *lane;

static void do_work(struct sl_job *job)
{
    struct work *work = SL_CONTAINER_OF(job, struct work, job);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    work->takes_signals = !sigismember(&blocked, SIGHUP) || !sigismember(&blocked, SIGINT) ||
                          !sigismember(&blocked, SIGTERM);
    work->worked_elsewhere = !sl_loop_is_current(f->loop);
    if (lane)
        cr_expect_eq(work->number, lane_next++);
}

static void work_done(struct sl_job *job)
{
    struct work *work = SL_CONTAINER_OF(job, struct work, job);
    work->done_on_loop = sl_loop_is_current(f->loop);
    os_event_say(work->done);
}

enum { JOBS = 50 };

static void submit_jobs(void *arg)
{
    struct work *works = arg;
    for (int i = 0; i < JOBS; i++) {
        if (lane)
            sl_lane_submit(lane, f->loop, &works[i].job);
        else
            sl_helpers_submit(f->os, f->loop, &works[i].job);
    }
}

static void run_jobs(void)
{
    static struct work works[JOBS];
    struct os_event *done = os_event_new();
    for (uint32_t i = 0; i < JOBS; i++)
        works[i] = (struct work){
            .job = {.work = do_work, .done = work_done, .task.priority = SL_PRIORITY_IO},
            .number = i,
            .done = done};
    os_fixture_on_loop(f, submit_jobs, works);
    os_event_wait(done, JOBS);
    for (int i = 0; i < JOBS; i++)
        cr_expect(works[i].worked_elsewhere && works[i].done_on_loop && !works[i].takes_signals);
    os_event_free(done);
}

Test(jobs, of_a_lane_run_one_after_the_other_and_come_back_to_the_loop)
{
    cr_assert_eq(sl_lane_new(f->os, "lane", &lane), SLUICE_OK);
    run_jobs();
    lane = sl_lane_free(lane);
}

Test(jobs, of_the_helpers_come_back_to_the_loop)
{
    run_jobs();
}

struct meeting {
    struct sl_job job;
    pthread_barrier_t *barrier;
    struct os_event *done;
};

static void meet(struct sl_job *job)
{
    pthread_barrier_wait(SL_CONTAINER_OF(job, struct meeting, job)->barrier);
}

static void met(struct sl_job *job)
{
    os_event_say(SL_CONTAINER_OF(job, struct meeting, job)->done);
}

static void submit_meeting(void *arg)
{
    struct meeting *meetings = arg;
    sl_helpers_submit(f->os, f->loop, &meetings[0].job);
    sl_helpers_submit(f->os, f->loop, &meetings[1].job);
}

Test(jobs, of_the_helpers_run_side_by_side)
{
    pthread_barrier_t barrier;
    struct meeting meetings[2];
    struct os_event *done = os_event_new();
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++)
        meetings[i] =
            (struct meeting){.job = {.work = meet, .done = met}, .barrier = &barrier, .done = done};
    for (uint32_t round = 1; round <= 20; round++) {
        os_fixture_on_loop(f, submit_meeting, meetings);
        os_event_wait(done, 2 * round); /* would hang with one thread */
    }
    pthread_barrier_destroy(&barrier);
    os_event_free(done);
}

Test(clock, does_not_go_back_and_random_bytes_differ, .init = open_fixture, .fini = close_fixture)
{
    int64_t before = sl_os_mono_ns(f->os);
    cr_expect_geq(sl_os_mono_ns(f->os), before);
    cr_expect_gt(sl_os_wall_ms(f->os), 1700000000000);
    uint64_t a[4] = {0}, b[4] = {0};
    sl_os_random(f->os, a, sizeof a);
    sl_os_random(f->os, b, sizeof b);
    cr_expect(memcmp(a, b, sizeof a) != 0);
}
