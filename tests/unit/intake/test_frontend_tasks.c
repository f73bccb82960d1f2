/* test_frontend_tasks.c: tasks of a frontend (sluice.task/1): on helper threads, by priority,
 * bounded, and the instance outlives them. */
#include "intake_fixture.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <string.h>

#define PIECES 500u

static struct fixture f;
static sem_t gate;
static _Atomic uint32_t worked, ended;
static uint32_t off_loop;
static char order[8];
static uint32_t pieces;
static sluice_status said[4];

static const struct sluice_task_host *tasks_of(const struct fixture *fixture)
{
    const struct sluice_host *host = &fixture->frontend->host;
    return host->get_extension(host, SLUICE_EXT_TASK);
}

static void wait_for_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&gate) != 0) {
    }
    worked++;
}

static void note_end(void *arg)
{
    off_loop += !sl_loop_is_current(arg);
    ended++;
}

static void fill(struct fixture *fixture)
{
    const struct sluice_task_host *tasks = tasks_of(fixture);
    for (uint32_t i = 0; i < SLUICE_TASKS_MAX; i++) {
        cr_assert_eq(tasks->submit(tasks, i % SLUICE_TASK_PRIORITIES, wait_for_gate, note_end,
                                   fixture->loop),
                     SLUICE_OK);
    }
    said[0] = tasks->submit(tasks, SLUICE_TASK_CONTROL, wait_for_gate, NULL, NULL);
    said[1] = tasks->submit(tasks, SLUICE_TASK_PRIORITIES, wait_for_gate, NULL, NULL);
    said[2] = tasks->submit(tasks, SLUICE_TASK_CONTROL, NULL, NULL, NULL);
    frontend_drain(fixture->frontend);
    said[3] = tasks->submit(tasks, SLUICE_TASK_CONTROL, wait_for_gate, NULL, NULL);
    fixture->frontend = NULL;
}

static bool is_destroyed(struct fixture *fixture)
{
    return fixture->fake.destroyed == 1;
}

Test(frontend_tasks, so_many_at_a_time_and_the_instance_outlives_them, .timeout = 60)
{
    sem_init(&gate, 0, 0);
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, fill);
    cr_assert_eq(said[0], SLUICE_E_LIMIT);
    cr_assert_eq(said[1], SLUICE_E_INVALID);
    cr_assert_eq(said[2], SLUICE_E_INVALID);
    cr_assert_eq(said[3], SLUICE_E_STOPPING);
    for (uint32_t i = 0; i < SLUICE_TASKS_MAX; i++) {
        cr_assert_eq(f.fake.destroyed, 0);
        sem_post(&gate);
    }
    cr_assert(fixture_wait(&f, is_destroyed));
    cr_assert_eq(worked, SLUICE_TASKS_MAX);
    cr_assert_eq(ended, SLUICE_TASKS_MAX);
    cr_assert_eq(off_loop, 0);
    fixture_close(&f);
}

static void note_name(void *arg)
{
    strncat(order, arg, 1);
    worked++;
}

/* The fixture has one helper thread. Background tasks run on others, beside it: none is among those
 * whose order is looked at. */
static void submit_mixed(struct fixture *fixture)
{
    static char names[][2] = {"p", "c", "i", "c"};
    static const uint32_t priorities[] = {SLUICE_TASK_PROCESSING, SLUICE_TASK_CONTROL,
                                          SLUICE_TASK_IO, SLUICE_TASK_CONTROL};
    const struct sluice_task_host *tasks = tasks_of(fixture);
    for (uint32_t i = 0; i < FRONTEND_TASKS_RUNNING_MAX; i++) {
        cr_assert_eq(tasks->submit(tasks, SLUICE_TASK_BACKGROUND, wait_for_gate, NULL, NULL),
                     SLUICE_OK);
    }
    for (uint32_t i = 0; i < SL_COUNT_OF(names); i++) {
        cr_assert_eq(tasks->submit(tasks, priorities[i], note_name, NULL, names[i]), SLUICE_OK);
    }
}

static bool have_all_worked(struct fixture *fixture)
{
    (void)fixture;
    return worked == FRONTEND_TASKS_RUNNING_MAX + 4;
}

Test(frontend_tasks, the_highest_priority_goes_first, .timeout = 60)
{
    sem_init(&gate, 0, 0);
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, submit_mixed);
    for (uint32_t i = 0; i < FRONTEND_TASKS_RUNNING_MAX; i++) {
        sem_post(&gate);
    }
    cr_assert(fixture_wait(&f, have_all_worked));
    cr_assert_str_eq(order, "ccip");
    fixture_close(&f);
}

static void work_nothing(void *arg)
{
    (void)arg;
}

static void next_piece(void *arg)
{
    struct fixture *fixture = arg;
    if (++pieces < PIECES) {
        const struct sluice_task_host *tasks = tasks_of(fixture);
        cr_assert_eq(tasks->submit(tasks, SLUICE_TASK_IO, work_nothing, next_piece, arg),
                     SLUICE_OK);
    }
}

static void begin_chain(struct fixture *fixture)
{
    next_piece(fixture);
}

static bool are_all_pieces_done(struct fixture *fixture)
{
    (void)fixture;
    return pieces == PIECES;
}

Test(frontend_tasks, one_makes_the_next, .timeout = 60)
{
    fixture_open(&f, 1u << 20, 4);
    fixture_on_loop(&f, begin_chain);
    cr_assert(fixture_wait(&f, are_all_pieces_done));
    fixture_close(&f);
}
