/* frontend_tasks.c: see frontend_tasks.h. */
#include "intake/frontend_tasks.h"

#include "base/base.h"

struct frontend_task {
    struct sl_link link; /* in free or waiting */
    struct sl_job job;
    struct frontend_tasks *tasks;
    sluice_task_work *work;
    sluice_task_done *done;
    void *arg;
};

_Static_assert((int)SLUICE_TASK_CONTROL == (int)SL_PRIORITY_CONTROL &&
                   (int)SLUICE_TASK_IO == (int)SL_PRIORITY_IO &&
                   (int)SLUICE_TASK_PROCESSING == (int)SL_PRIORITY_PROCESSING &&
                   (int)SLUICE_TASK_BACKGROUND == (int)SL_PRIORITY_BACKGROUND &&
                   (int)SLUICE_TASK_PRIORITIES == (int)SL_PRIORITY_COUNT,
               "the same numbers");

static void start_next(struct frontend_tasks *tasks);

/* [helper] */
static void run_work(struct sl_job *job)
{
    struct frontend_task *task = SL_CONTAINER_OF(job, struct frontend_task, job);
    task->work(task->arg);
}

/* The task is given back first, so that done can always submit the next piece. */
static void run_done(struct sl_job *job)
{
    struct frontend_task *task = SL_CONTAINER_OF(job, struct frontend_task, job);
    struct frontend_tasks *tasks = task->tasks;
    sluice_task_done *done = task->done;
    void *arg = task->arg;
    sl_list_push_back(&tasks->free, &task->link);
    if (done != NULL) {
        done(arg);
    }
    tasks->running_count--;
    start_next(tasks);
    if (tasks->closed && !frontend_tasks_pending(tasks)) {
        tasks->idle(tasks->idle_arg);
    }
}

static struct frontend_task *take_waiting(struct frontend_tasks *tasks)
{
    struct sl_link *link = NULL;
    for (uint32_t i = 0; i < SLUICE_TASK_PRIORITIES && link == NULL; i++) {
        link = sl_list_pop_front(&tasks->waiting[i]);
    }
    return link != NULL ? SL_CONTAINER_OF(link, struct frontend_task, link) : NULL;
}

static void start_next(struct frontend_tasks *tasks)
{
    while (tasks->running_count < FRONTEND_TASKS_RUNNING_MAX && tasks->waiting_count > 0) {
        struct frontend_task *task = take_waiting(tasks);
        SL_ASSERT(task != NULL);
        tasks->waiting_count--;
        tasks->running_count++;
        sl_helpers_submit(tasks->os, tasks->loop, &task->job);
    }
}

static sl_err make_tasks(struct frontend_tasks *tasks)
{
    tasks->all = sl_alloc_zero(SLUICE_TASKS_MAX, sizeof(*tasks->all));
    if (tasks->all == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < SLUICE_TASKS_MAX; i++) {
        tasks->all[i].tasks = tasks;
        sl_link_init(&tasks->all[i].link);
        sl_list_push_back(&tasks->free, &tasks->all[i].link);
    }
    return SLUICE_OK;
}

static sluice_status on_submit(const struct sluice_task_host *host, uint32_t priority,
                               sluice_task_work *work, sluice_task_done *done, void *arg)
{
    struct frontend_tasks *tasks = host->data;
    if (!sl_loop_is_current(tasks->loop) || work == NULL || priority >= SLUICE_TASK_PRIORITIES) {
        return SLUICE_E_INVALID;
    }
    if (!tasks->open) {
        return tasks->closed ? SLUICE_E_STOPPING : SLUICE_E_BUSY;
    }
    if (tasks->all == NULL && make_tasks(tasks) != SLUICE_OK) {
        return SLUICE_E_NO_MEMORY;
    }
    struct sl_link *link = sl_list_pop_front(&tasks->free);
    if (link == NULL) {
        return SLUICE_E_LIMIT;
    }
    struct frontend_task *task = SL_CONTAINER_OF(link, struct frontend_task, link);
    task->work = work;
    task->done = done;
    task->arg = arg;
    task->job = (struct sl_job){.work = run_work, .done = run_done};
    task->job.task.priority = priority;
    sl_list_push_back(&tasks->waiting[priority], &task->link);
    tasks->waiting_count++;
    start_next(tasks);
    return SLUICE_OK;
}

void frontend_tasks_init(struct frontend_tasks *tasks, struct sl_os *os, struct sl_loop *loop,
                         void (*idle)(void *arg), void *arg)
{
    *tasks = (struct frontend_tasks){.os = os, .loop = loop, .idle = idle, .idle_arg = arg};
    tasks->host =
        (struct sluice_task_host){.size = sizeof(tasks->host), .data = tasks, .submit = on_submit};
    sl_list_init(&tasks->free);
    for (uint32_t i = 0; i < SLUICE_TASK_PRIORITIES; i++) {
        sl_list_init(&tasks->waiting[i]);
    }
}

void frontend_tasks_open(struct frontend_tasks *tasks)
{
    tasks->open = true;
}

void frontend_tasks_close(struct frontend_tasks *tasks)
{
    tasks->open = false;
    tasks->closed = true;
}

void frontend_tasks_fini(struct frontend_tasks *tasks)
{
    SL_ASSERT(!frontend_tasks_pending(tasks));
    sl_free(tasks->all);
    tasks->all = NULL;
}
