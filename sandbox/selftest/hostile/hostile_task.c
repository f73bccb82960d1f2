/* hostile_task.c: attacks by tasks of its own (sluice.task/1). */
#include "hostile.h"

#include <sluice/task.h>
#include <stdatomic.h>
#include <stdlib.h>

static const struct sluice_task_host *tasks_of(const struct hostile_scene *scene)
{
    return scene->host->get_extension(scene->host, SLUICE_EXT_TASK);
}

static void never_end(void *arg)
{
    volatile uint64_t sink = (uint64_t)(uintptr_t)arg;

    for (;;) {
        sink++;
    }
}

static void task_loop(struct hostile_scene *scene)
{
    const struct sluice_task_host *tasks = tasks_of(scene);

    (void)tasks->submit(tasks, SLUICE_TASK_CONTROL, never_end, NULL, NULL);
}

static void task_crash_work(void *arg)
{
    (void)arg;
    abort();
}

static void task_crash(struct hostile_scene *scene)
{
    const struct sluice_task_host *tasks = tasks_of(scene);

    (void)tasks->submit(tasks, SLUICE_TASK_BACKGROUND, task_crash_work, NULL, NULL);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Each makes the next. */
static void again(void *arg)
{
    const struct sluice_task_host *tasks = arg;

    (void)tasks->submit(tasks, SLUICE_TASK_CONTROL, nothing, again, arg);
}

static void task_flood(struct hostile_scene *scene)
{
    const struct sluice_task_host *tasks = tasks_of(scene);
    uint32_t count = 0;

    while (count < 1000000 && tasks->submit(tasks, SLUICE_TASK_CONTROL, nothing, again,
                                            (void *)(uintptr_t)tasks) == SLUICE_OK) {
        count++;
    }
    hostile_say(scene, count <= SLUICE_TASKS_MAX ? "%u tasks, then no more" : "BREACH: %u tasks",
                count);
}

/* What ends in a batch is said to have ended in a task. */
static void task_lie(struct hostile_scene *scene)
{
    struct channel_output_head *head = (struct channel_output_head *)(void *)scene->output;

    atomic_store(&head->in_task, 1);
    abort();
}

const struct hostile_attack hostile_task[] = {
    {"task that never ends", task_loop},
    {"task that crashes", task_crash},
    {"tasks without end", task_flood},
    {"task that was none", task_lie},
    {NULL, NULL},
};
