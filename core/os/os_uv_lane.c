/* os_uv_lane.c: threads that run blocking jobs: lanes (one thread) and helpers (several, one
 * queue).
 *
 * A job's work runs here; then its task is posted to its loop, where done runs. Helper threads
 * start when a job comes and all others are busy, so that an idle broker has none. Background jobs
 * (sealing, compaction, checkpoints) have threads of their own, which yield to the others: a cold
 * read never waits behind them. So have those that only compute (signatures, passwords). */
#include "os/os_uv_internal.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#define TOGETHER_MAX 16u /* jobs */

struct osuv_lane {
    struct sl_lane base;
    struct osuv_workers workers;
};

static void job_done(struct sl_task *task)
{
    struct sl_job *job = SL_CONTAINER_OF(task, struct sl_job, task);
    job->done(job);
}

static void lane_job_done(struct sl_task *task)
{
    struct sl_job *job = SL_CONTAINER_OF(task, struct sl_job, task);
    osuv_loop_of(job->loop)->lane_jobs--;
    job->done(job);
}

/* [mutex held, but not while it looks] */
static void look_for_job(struct osuv_workers *workers)
{
    int64_t end_ns = osuv_mono_ns() + OSUV_LANE_LOOK_NS;
    pthread_mutex_unlock(&workers->mutex);
    while (atomic_load_explicit(&workers->queued_count, memory_order_relaxed) == 0 &&
           osuv_mono_ns() < end_ns)
        osuv_pause();
    pthread_mutex_lock(&workers->mutex);
}

/* [mutex held] */
static void wait_for_job(struct osuv_workers *workers)
{
    int64_t begin_ns = workers->spin.limit_ns > 0 ? osuv_mono_ns() : 0;
    bool looks = osuv_spin_pays(&workers->spin);
    if (looks)
        look_for_job(workers);
    while (!workers->first && !workers->closing) {
        workers->idle_count++;
        pthread_cond_wait(&workers->wake, &workers->mutex);
        workers->idle_count--;
    }
    if (workers->spin.limit_ns > 0)
        osuv_spin_note(&workers->spin, osuv_mono_ns() - begin_ns, looks);
}

/* The next job, waiting for it; NULL when closing and nothing is left. [mutex held] */
static struct sl_job *take(struct osuv_workers *workers)
{
    if (!workers->first && !workers->closing)
        wait_for_job(workers);
    struct sl_job *job = workers->first;
    if (job) {
        atomic_fetch_sub_explicit(&workers->queued_count, 1, memory_order_relaxed);
        workers->first = job->next;
        if (!workers->first)
            workers->last = NULL;
    }
    return job;
}

/* Who wakes another is often given its processor, and a lane on that of its loop takes turns with
 * it while another one is idle: each hand-off is a switch, and the loop is preempted. Then the lane
 * keeps off that processor, until the loop moves. Sets no more than a mask: where that is refused
 * it is only slower. [mutex held] */
static void keep_apart(struct osuv_workers *workers)
{
    int cpu = workers->submit_cpu;
    if (workers->spin.limit_ns == 0 || cpu < 0 || cpu >= CPU_SETSIZE || sched_getcpu() != cpu ||
        ++workers->together < TOGETHER_MAX)
        return;
    workers->together = 0;
    cpu_set_t others = workers->os->cpus;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) > 0)
        (void)pthread_setaffinity_np(pthread_self(), sizeof others, &others);
}

static void *worker_thread(void *arg)
{
    struct osuv_workers *workers = arg;
    osuv_thread_settle(workers->os, workers->name);
    /* Of this thread alone, on Linux. What comes of a refusal is that it is as quick as others. */
    if (workers->nice > 0)
        (void)setpriority(PRIO_PROCESS, 0, workers->nice);
    pthread_mutex_lock(&workers->mutex);
    for (struct sl_job *job; (job = take(workers)) != NULL;) {
        keep_apart(workers);
        pthread_mutex_unlock(&workers->mutex);
        struct sl_loop *loop = job->loop;
        job->work(job);
        sl_loop_post(loop, &job->task);
        pthread_mutex_lock(&workers->mutex);
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

/* [mutex held, or before the first submit] */
static sl_err start_thread(struct osuv_workers *workers)
{
    if (pthread_create(&workers->threads[workers->thread_count], NULL, worker_thread, workers) != 0)
        return SLUICE_E_LIMIT;
    workers->thread_count++;
    return SLUICE_OK;
}

sl_err osuv_workers_init(struct osuv_workers *workers, struct osuv *os, const char *name,
                         uint32_t thread_max)
{
    *workers = (struct osuv_workers){.os = os, .thread_max = thread_max};
    snprintf(workers->name, sizeof workers->name, "%s", name);
    workers->threads = sl_alloc_zero(thread_max, sizeof *workers->threads);
    if (!workers->threads)
        return SLUICE_E_NO_MEMORY;
    /* It is held for nanoseconds, by who submits and who looks at the same moment: not worth a
     * sleep. */
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&workers->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_cond_init(&workers->wake, NULL);
    return SLUICE_OK;
}

void osuv_workers_fini(struct osuv_workers *workers)
{
    pthread_mutex_lock(&workers->mutex);
    workers->closing = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->mutex);
    for (uint32_t i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    SL_ASSERT(workers->first == NULL);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->mutex);
    sl_free(workers->threads);
}

void osuv_workers_submit(struct osuv_workers *workers, struct sl_job *job)
{
    pthread_mutex_lock(&workers->mutex);
    SL_ASSERT(!workers->closing);
    if (workers->last)
        workers->last->next = job;
    else
        workers->first = job;
    workers->last = job;
    workers->submit_cpu = workers->spin.limit_ns > 0 ? sched_getcpu() : -1;
    uint32_t before = atomic_fetch_add_explicit(&workers->queued_count, 1, memory_order_relaxed);
    if (workers->idle_count > before)
        pthread_cond_signal(&workers->wake); /* one who waits is not meant for another job yet */
    else if (workers->thread_count < workers->thread_max) {
        sl_err err = start_thread(workers);
        /* With none at all the job would never run; one fewer is only slower. */
        SL_ASSERT(!err || workers->thread_count > 0);
    }
    pthread_mutex_unlock(&workers->mutex);
}

sl_err osuv_lane_make(struct sl_os *os, const char *name, struct sl_lane **ret_lane)
{
    struct osuv_lane *lane = sl_alloc_zero(1, sizeof *lane);
    if (!lane)
        return SLUICE_E_NO_MEMORY;
    lane->base.os = os;
    sl_err err = osuv_workers_init(&lane->workers, osuv_os_of(os), name, 1);
    if (err) {
        sl_free(lane);
        return err;
    }
    lane->workers.spin.limit_ns = lane->workers.os->spins ? OSUV_SPIN_NS : 0;
    err = start_thread(&lane->workers); /* now, so that a submit cannot fail */
    if (err) {
        osuv_workers_fini(&lane->workers);
        sl_free(lane);
        return err;
    }
    *ret_lane = &lane->base;
    return SLUICE_OK;
}

void osuv_lane_destroy(struct sl_lane *base)
{
    struct osuv_lane *lane = SL_CONTAINER_OF(base, struct osuv_lane, base);
    osuv_workers_fini(&lane->workers);
    sl_free(lane);
}

void osuv_lane_submit(struct sl_lane *base, struct sl_job *job)
{
    bool is_current = osuv_loop_is_current(job->loop);
    osuv_loop_of(job->loop)->lane_jobs += is_current;
    job->task.run = is_current ? lane_job_done : job_done;
    osuv_workers_submit(&SL_CONTAINER_OF(base, struct osuv_lane, base)->workers, job);
}

void osuv_helpers_submit(struct sl_os *os, struct sl_job *job)
{
    struct osuv *uv = osuv_os_of(os);
    bool is_background = job->task.priority == SL_PRIORITY_BACKGROUND;
    job->task.run = job_done;
    osuv_workers_submit(is_background   ? &uv->background
                        : job->computes ? &uv->computing
                                        : &uv->helpers,
                        job);
}
