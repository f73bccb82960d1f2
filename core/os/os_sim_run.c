/* os_sim_run.c: what happens next in a simulated instance.
 *
 * A step draws one of the things that can happen now: the first task of a loop (mostly the highest
 * priority), a timer that is due, a worker that begins or ends a job. When none is due the clock
 * moves to the next that will be. A job's work runs at one moment; the virtual time that it took
 * passes before its `done` is posted, so that syncs of a lane overlap with what loops do meanwhile.
 */
#include "os/os_sim_run.h"

#include "os/os_sim_disk.h"

#define JOB_DELAY_NS_MAX 200000u

uint64_t sim_os_random(struct sim_os *sim)
{
    return sim_random_next(&sim->random);
}

/* ---- loops ---- */

static struct sim_loop *loop_of(struct sl_loop *loop)
{
    return SL_CONTAINER_OF(loop, struct sim_loop, base);
}

static struct sim_os *os_of_loop(struct sl_loop *loop)
{
    return sim_os_of(loop->os);
}

sl_err sim_loop_new(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop)
{
    (void)name;
    (void)cpu;
    struct sim_loop *loop = sl_alloc_zero(1, sizeof *loop);
    if (loop == NULL)
        return SLUICE_E_NO_MEMORY;
    struct sim_os *sim = sim_os_of(os);
    loop->base.os = os;
    loop->next = sim->loops;
    sim->loops = loop;
    *ret_loop = &loop->base;
    return SLUICE_OK;
}

void sim_loop_run(struct sl_loop *loop)
{
    loop_of(loop)->stopped = false;
    while (!loop_of(loop)->stopped && sl_os_sim_step(loop->os))
        ;
}

/* Every loop takes part in every step, so there is nothing to start. */
sl_err sim_loop_start(struct sl_loop *loop)
{
    loop_of(loop)->stopped = false;
    return SLUICE_OK;
}

void sim_loop_join(struct sl_loop *loop)
{
    while (!loop_of(loop)->stopped && sl_os_sim_step(loop->os))
        ;
}

void sim_loop_stop(struct sl_loop *loop)
{
    loop_of(loop)->stopped = true;
}

void sim_loop_free(struct sl_loop *loop)
{
    struct sim_loop **link = &os_of_loop(loop)->loops;
    while (*link != loop_of(loop))
        link = &(*link)->next;
    *link = loop_of(loop)->next;
    sl_free(loop_of(loop));
}

void sim_loop_post(struct sl_loop *loop, struct sl_task *task)
{
    struct sim_queue *queue = &loop_of(loop)->queues[task->priority];
    task->next = NULL;
    if (queue->tail != NULL)
        queue->tail->next = task;
    else
        queue->head = task;
    queue->tail = task;
}

int64_t sim_loop_now_ns(struct sl_loop *loop)
{
    return os_of_loop(loop)->mono_ns;
}

/* Test code outside of any step may act for every loop. */
bool sim_loop_is_current(struct sl_loop *loop)
{
    struct sim_os *sim = os_of_loop(loop);
    return !sim->in_job && (sim->current == NULL || sim->current == loop_of(loop));
}

static bool loop_has_task(const struct sim_loop *loop)
{
    for (uint32_t i = 0; i < SL_PRIORITY_COUNT; i++) {
        if (loop->queues[i].head != NULL)
            return true;
    }
    return false;
}

static void loop_run_one(struct sim_os *sim, struct sim_loop *loop)
{
    uint32_t priority = 0;
    uint32_t waiting[SL_PRIORITY_COUNT];
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_PRIORITY_COUNT; i++) {
        if (loop->queues[i].head != NULL)
            waiting[count++] = i;
    }
    bool lower = count > 1 && sim_os_random(sim) % 8 == 0;
    priority = waiting[lower ? sim_os_random(sim) % count : 0];
    struct sim_queue *queue = &loop->queues[priority];
    struct sl_task *task = queue->head;
    queue->head = task->next;
    if (queue->head == NULL)
        queue->tail = NULL;
    task->queued = 0;
    sim->current = loop;
    task->run(task);
    sim->current = NULL;
}

/* ---- timers ---- */

static struct sim_timer *timer_of(struct sl_timer *timer)
{
    return SL_CONTAINER_OF(timer, struct sim_timer, base);
}

sl_err sim_timer_new(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                     struct sl_timer **ret_timer)
{
    struct sim_timer *timer = sl_alloc_zero(1, sizeof *timer);
    if (timer == NULL)
        return SLUICE_E_NO_MEMORY;
    struct sim_os *sim = os_of_loop(loop);
    *timer = (struct sim_timer){.base = {.os = loop->os},
                                .next = sim->timers,
                                .loop = loop_of(loop),
                                .fire = fire,
                                .arg = arg,
                                .due_ns = INT64_MAX};
    sim->timers = timer;
    *ret_timer = &timer->base;
    return SLUICE_OK;
}

void sim_timer_start(struct sl_timer *timer, int64_t delay_ns)
{
    timer_of(timer)->due_ns = sim_os_of(timer->os)->mono_ns + SL_MAX(delay_ns, 0);
}

void sim_timer_stop(struct sl_timer *timer)
{
    timer_of(timer)->due_ns = INT64_MAX;
}

void sim_timer_free(struct sl_timer *timer)
{
    struct sim_timer **link = &sim_os_of(timer->os)->timers;
    while (*link != timer_of(timer))
        link = &(*link)->next;
    *link = timer_of(timer)->next;
    sl_free(timer_of(timer));
}

static void timer_fire(struct sim_os *sim, struct sim_timer *timer)
{
    timer->due_ns = INT64_MAX;
    sim->current = timer->loop;
    timer->fire(timer->arg);
    sim->current = NULL;
}

/* ---- lanes and helpers ---- */

static void jobs_push(struct sim_jobs *jobs, struct sl_job *job)
{
    job->next = NULL;
    if (jobs->tail != NULL)
        jobs->tail->next = job;
    else
        jobs->head = job;
    jobs->tail = job;
}

/* An idle worker takes the next job; it begins after a drawn delay. */
static void worker_take(struct sim_os *sim, struct sim_worker *worker)
{
    struct sl_job *job = worker->jobs->head;
    if (worker->current != NULL || job == NULL)
        return;
    worker->jobs->head = job->next;
    if (worker->jobs->head == NULL)
        worker->jobs->tail = NULL;
    worker->current = job;
    worker->worked = false;
    worker->due_ns = sim->mono_ns + (int64_t)(sim_os_random(sim) % JOB_DELAY_NS_MAX);
}

static void job_is_done(struct sl_task *task)
{
    struct sl_job *job = SL_CONTAINER_OF(task, struct sl_job, task);
    job->done(job);
}

static void worker_go_on(struct sim_os *sim, struct sim_worker *worker)
{
    struct sl_job *job = worker->current;
    if (!worker->worked) {
        sim->in_job = true;
        sim->job_ns = 0;
        job->work(job);
        sim->in_job = false;
        worker->worked = true;
        worker->due_ns = sim->mono_ns + sim->job_ns;
        sim->job_ns = 0;
        return;
    }
    worker->current = NULL;
    job->task.run = job_is_done;
    sl_loop_post(job->loop, &job->task);
    worker_take(sim, worker);
}

sl_err sim_lane_new(struct sl_os *os, const char *name, struct sl_lane **ret_lane)
{
    (void)name;
    struct sim_lane *lane = sl_alloc_zero(1, sizeof *lane);
    if (lane == NULL)
        return SLUICE_E_NO_MEMORY;
    struct sim_os *sim = sim_os_of(os);
    lane->base.os = os;
    lane->worker.jobs = &lane->jobs;
    lane->next = sim->lanes;
    sim->lanes = lane;
    *ret_lane = &lane->base;
    return SLUICE_OK;
}

void sim_lane_free(struct sl_lane *base)
{
    struct sim_lane *lane = SL_CONTAINER_OF(base, struct sim_lane, base);
    struct sim_os *sim = sim_os_of(base->os);
    while (lane->worker.current != NULL && !sim->power_off)
        worker_go_on(sim, &lane->worker);
    struct sim_lane **link = &sim->lanes;
    while (*link != lane)
        link = &(*link)->next;
    *link = lane->next;
    sl_free(lane);
}

void sim_lane_submit(struct sl_lane *base, struct sl_job *job)
{
    struct sim_lane *lane = SL_CONTAINER_OF(base, struct sim_lane, base);
    jobs_push(&lane->jobs, job);
    worker_take(sim_os_of(base->os), &lane->worker);
}

void sim_helpers_submit(struct sl_os *os, struct sl_job *job)
{
    struct sim_os *sim = sim_os_of(os);
    jobs_push(&sim->helper_jobs, job);
    for (uint32_t i = 0; i < SIM_HELPERS; i++)
        worker_take(sim, &sim->helpers[i]);
}

sl_err sim_reader_new(struct sl_os *os, struct sl_reader **ret_reader)
{
    struct sl_reader *reader = sl_alloc_zero(1, sizeof *reader);
    if (reader == NULL)
        return SLUICE_E_NO_MEMORY;
    reader->os = os;
    *ret_reader = reader;
    return SLUICE_OK;
}

void sim_reader_free(struct sl_reader *reader)
{
    sl_free(reader);
}

/* It is done when somebody waits for it. */
void sim_reader_submit(struct sl_reader *reader, struct sl_read *read)
{
    (void)reader;
    (void)read;
}

void sim_reader_wait(struct sl_reader *reader, struct sl_read *read)
{
    (void)reader;
    if (!read->done)
        sl_read_now(read);
    read->done = true;
}

/* ---- steps ---- */

/* One of the things that can happen, chosen while they are counted. */
struct choice {
    uint32_t count;
    struct sim_loop *loop;
    struct sim_timer *timer;
    struct sim_worker *worker;
    int64_t next_ns; /* of what is not due yet */
};

static bool choice_falls(struct sim_os *sim, struct choice *choice)
{
    choice->count++;
    if (choice->count > 1 && sim_os_random(sim) % choice->count != 0)
        return false;
    choice->loop = NULL;
    choice->timer = NULL;
    choice->worker = NULL;
    return true;
}

static void choose_worker(struct sim_os *sim, struct choice *choice, struct sim_worker *worker)
{
    if (worker->current == NULL)
        return;
    if (worker->due_ns > sim->mono_ns)
        choice->next_ns = SL_MIN(choice->next_ns, worker->due_ns);
    else if (choice_falls(sim, choice))
        choice->worker = worker;
}

static struct choice choose(struct sim_os *sim)
{
    struct choice choice = {.next_ns = INT64_MAX};
    for (struct sim_loop *loop = sim->loops; loop != NULL; loop = loop->next) {
        if (loop_has_task(loop) && choice_falls(sim, &choice))
            choice.loop = loop;
    }
    for (struct sim_timer *timer = sim->timers; timer != NULL; timer = timer->next) {
        if (timer->due_ns > sim->mono_ns)
            choice.next_ns = SL_MIN(choice.next_ns, timer->due_ns);
        else if (choice_falls(sim, &choice))
            choice.timer = timer;
    }
    for (struct sim_lane *lane = sim->lanes; lane != NULL; lane = lane->next)
        choose_worker(sim, &choice, &lane->worker);
    for (uint32_t i = 0; i < SIM_HELPERS; i++)
        choose_worker(sim, &choice, &sim->helpers[i]);
    return choice;
}

bool sl_os_sim_step(struct sl_os *os)
{
    struct sim_os *sim = sim_os_of(os);
    if (sim->power_off)
        return false;
    struct choice choice = choose(sim);
    if (choice.count == 0) {
        if (choice.next_ns == INT64_MAX)
            return false;
        sim->mono_ns = choice.next_ns;
        choice = choose(sim);
    }
    if (choice.loop != NULL)
        loop_run_one(sim, choice.loop);
    else if (choice.timer != NULL)
        timer_fire(sim, choice.timer);
    else
        worker_go_on(sim, choice.worker);
    return true;
}

static void worker_abandon(struct sim_worker *worker)
{
    *worker->jobs = (struct sim_jobs){NULL, NULL};
    worker->current = NULL;
}

void sl_os_sim_abandon(struct sl_os *os)
{
    struct sim_os *sim = sim_os_of(os);
    sim->power_off = true;
    for (struct sim_loop *loop = sim->loops; loop != NULL; loop = loop->next) {
        for (uint32_t i = 0; i < SL_PRIORITY_COUNT; i++) {
            for (struct sl_task *task = loop->queues[i].head; task != NULL; task = task->next)
                task->queued = 0;
            loop->queues[i] = (struct sim_queue){NULL, NULL};
        }
    }
    for (struct sim_timer *timer = sim->timers; timer != NULL; timer = timer->next)
        timer->due_ns = INT64_MAX;
    for (struct sim_lane *lane = sim->lanes; lane != NULL; lane = lane->next)
        worker_abandon(&lane->worker);
    for (uint32_t i = 0; i < SIM_HELPERS; i++)
        worker_abandon(&sim->helpers[i]);
}
