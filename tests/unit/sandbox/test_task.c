/* test_task.c: tasks of a processor (sluice.task/1): between batches, by priority, bounded, and
 * what a worker that ends in one says. */
#include "toy_host.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

/* Submits one record and waits for its result, or for the end. */
static uint32_t run(struct toy_host *host, const char *value, struct sandbox_event *event)
{
    struct toy_records records = {.size = 0};
    struct sandbox_task task;

    toy_records_add(&records, "k", value, NULL);
    task = toy_task(&records, 7);
    task.kill_ms = 300;
    return toy_host_run(host, &task, event);
}

static void wait_logs(struct toy_host *host, uint32_t count)
{
    struct sandbox_event event;

    while (host->log_count < count) { /* batches without a pause would use up its share */
        struct pollfd descriptor = {.fd = sandbox_worker_fd(host->worker), .events = POLLIN};

        (void)poll(&descriptor, 1, 20);
        cr_assert_eq(run(host, "none", &event), SANDBOX_EVENT_RESULT);
    }
}

Test(task, runs_the_highest_priority_first_between_batches, .timeout = 60)
{
    static const char *const order[] = {"control", "io", "done", "processing", "background"};
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "task_user", "{}");
    cr_assert_eq(run(&host, "order", &event), SANDBOX_EVENT_RESULT);
    wait_logs(&host, 5);
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(host.logs[i], order[i]);
    }
    toy_host_fini(&host);
}

Test(task, takes_so_many_and_refuses_what_is_wrong, .timeout = 60)
{
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "task_user", "{}");
    cr_assert_eq(run(&host, "wrong", &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(run(&host, "fill!", &event), SANDBOX_EVENT_RESULT);
    wait_logs(&host, 2);
    cr_assert_str_eq(host.logs[0], "refused");
    cr_assert_str_eq(host.logs[1], "64, then 1");
    toy_host_fini(&host);
}

Test(task, one_makes_the_next_and_batches_go_between, .timeout = 60)
{
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "task_user", "{}");
    cr_assert_eq(run(&host, "chain", &event), SANDBOX_EVENT_RESULT);
    wait_logs(&host, 1);
    cr_assert_str_eq(host.logs[0], "all pieces");
    cr_assert_eq(sandbox_worker_drain(host.worker, toy_now_ms()), SLUICE_OK);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_EXIT, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_STOPPED, "%s", event.exit.text);
    toy_host_fini(&host);
}

Test(task, a_batch_whose_deadline_a_task_ate_is_not_at_fault, .timeout = 60)
{
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "task_user", "{}");
    cr_assert_eq(run(&host, "loop!", &event), SANDBOX_EVENT_RESULT);
    while (run(&host, "none", &event) == SANDBOX_EVENT_RESULT) { /* until it began */
    }
    cr_assert_eq(event.kind, SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_TASK, "%s", event.exit.text);
    cr_assert(event.exit.in_task && event.exit.task_running);
    toy_host_fini(&host);
}

Test(task, a_crash_in_one_has_a_cause_of_its_own, .timeout = 60)
{
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "task_user", "{}");
    cr_assert_eq(run(&host, "crash", &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_EXIT, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_TASK);
    cr_assert(event.exit.in_task);
    cr_assert_not_null(strstr(event.exit.text, "SIGSEGV, in a task of its own"), "%s",
                       event.exit.text);
    toy_host_fini(&host);
}

Test(task, one_that_does_not_end_is_found_without_a_batch, .timeout = 60)
{
    struct sandbox_event event = {.kind = 0};
    struct sandbox_spawn spawn;
    struct toy_host host;

    toy_host_init(&host, "task_user");
    spawn = toy_host_spawn_defaults(&host, "{}");
    spawn.limits.reply_timeout_ms = 300;
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_READY);
    cr_assert_eq(run(&host, "loop!", &event), SANDBOX_EVENT_RESULT);
    do {
        struct pollfd descriptor = {.fd = sandbox_worker_fd(host.worker), .events = POLLIN};

        sandbox_worker_watch_idle(host.worker, toy_now_ms());
        (void)poll(&descriptor, 1, 100);
        (void)sandbox_worker_poll(host.worker, toy_now_ms(), &event);
    } while (event.kind != SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_TASK);
    cr_assert_not_null(strstr(event.exit.text, "did not end a task in 300 ms"), "%s",
                       event.exit.text);
    toy_host_fini(&host);
}
