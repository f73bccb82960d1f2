/* tasks.c: the extension "sluice.task/1" in a worker: pieces of work that run on its one thread
 * while no batch waits (<sluice/task.h>).
 *
 * The worker keeps to its share of CPU by itself: while that is used up no task begins. The host
 * looks at the worker's clock all the same and ends one that does not (sandbox_worker_watch_idle).
 * While a task runs, the output head says so: a hint, by which no record is blamed for its end. */
#include "worker.h"

#include <stdatomic.h>
#include <time.h>

static sluice_status submit(const struct sluice_task_host *host, uint32_t priority,
                            sluice_task_work *work, sluice_task_done *done, void *arg)
{
    struct worker_tasks *tasks = host->data;
    struct task_ring *ring;

    if (work == NULL || priority >= SLUICE_TASK_PRIORITIES) {
        return SLUICE_E_INVALID;
    }
    if (tasks->closed) {
        return SLUICE_E_STOPPING;
    }
    if (tasks->count == SLUICE_TASKS_MAX) {
        return SLUICE_E_LIMIT;
    }
    ring = &tasks->rings[priority];
    ring->items[(ring->first + ring->count++) % SLUICE_TASKS_MAX] =
        (struct task_item){work, done, arg};
    tasks->count++;
    return SLUICE_OK;
}

void tasks_init(struct worker *worker)
{
    worker->tasks.host = (struct sluice_task_host){
        .size = sizeof(worker->tasks.host), .data = &worker->tasks, .submit = submit};
}

void tasks_clear(struct worker *worker)
{
    for (uint32_t i = 0; i < SLUICE_TASK_PRIORITIES; i++) {
        worker->tasks.rings[i].count = 0;
    }
    worker->tasks.count = 0;
}

void tasks_close(struct worker *worker)
{
    tasks_clear(worker);
    worker->tasks.closed = true;
}

bool tasks_wait(const struct worker *worker)
{
    return worker->tasks.count > 0;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time = {0};

    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

uint32_t tasks_rest_ms(struct worker *worker)
{
    const struct sandbox_limits *limits = &worker->boot->limits;
    struct pace *pace = &worker->tasks.pace;
    const int64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
    const uint64_t used_ns = (uint64_t)clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    if (limits->cpu_percent != 0 && pace->percent == 0) {
        pace_init(pace, limits->cpu_percent, limits->cpu_burst_ms, now_ms, used_ns);
    }
    return pace_rest_ms(pace, now_ms, used_ns);
}

static struct task_item take(struct worker_tasks *tasks)
{
    struct task_ring *ring = tasks->rings;
    struct task_item item;

    while (ring->count == 0) {
        ring++;
    }
    item = ring->items[ring->first];
    ring->first = (ring->first + 1) % SLUICE_TASKS_MAX;
    ring->count--;
    return item;
}

void tasks_run_one(struct worker *worker)
{
    struct channel_output_head *head = (struct channel_output_head *)(void *)worker->output;
    const struct task_item item = take(&worker->tasks);

    host_error_clear(worker);
    atomic_store_explicit(&head->alloc_failed, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&head->in_task, 1, memory_order_relaxed);
    item.work(item.arg);
    worker->tasks.count--; /* before done, which can so always submit the next piece */
    if (item.done != NULL) {
        item.done(item.arg);
    }
    atomic_fetch_add_explicit(&head->in_task, 1, memory_order_relaxed);
}
