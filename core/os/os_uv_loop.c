/* os_uv_loop.c: a loop with queues of tasks by priority, and timers, which libuv has.
 *
 * Posting pushes on a lock-free stack per priority (a compare-and-swap; any thread); the loop takes
 * a whole stack by one exchange and turns it round, which restores the order. A poster wakes the
 * loop only when it sleeps: loop:    sleeping = 1; look at the stacks again; wait          poster:
 * push; if sleeping was 1, wake Both sides are sequentially consistent, so that one of them sees
 * the other (Dekker).
 *
 * A turn, before each wait (os_uv_wait.c): control tasks, then each lower priority for up to
 * SLICE_NS or TASKS_PER_TURN, at least one task each, control going first again after every task.
 * What is left makes the wait a mere look, so that sockets and timers get their turn too. A wait
 * calls back for so many streams at most; what those submitted is on its way then, and what their
 * requests used is used again while it is in the processor's cache. Before it sleeps, a loop that
 * lately got a lane's post within OSUV_SPIN_NS looks for the next one so long (os_uv_lane.c does
 * the same for jobs). While streams are rings in shared memory that had something lately, a turn
 * looks at those too (os_uv_rings.c). */
#include "base/metric.h"
#include "os/os_uv_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SLICE_NS        1000000
#define TASKS_PER_TURN  256u
#define SPIN_TURNS      8u
#define RING_SLICE_NS   20000 /* rings are looked at before sockets are again */
#define RING_YIELD_NS   5000  /* who looks in vain for so long lets others have the processor */
#define CLOSE_TURNS_MAX 16

struct osuv_timer {
    struct sl_timer base;
    uv_timer_t uv;
    struct osuv_loop *loop;
    sl_timer_fn *fire;
    void *arg;
};

/* ---- queues ---- */

static void list_add(struct task_list *list, struct sl_task *task)
{
    task->next = NULL;
    if (list->last)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
}

static struct sl_task *list_take(struct task_list *list)
{
    struct sl_task *task = list->first;
    if (task) {
        list->first = task->next;
        if (!list->first)
            list->last = NULL;
    }
    return task;
}

/* What others posted, oldest first, to the end of the loop's own list. */
static void collect(struct osuv_loop *loop, uint32_t priority)
{
    if (!atomic_load_explicit(&loop->posted[priority], memory_order_relaxed))
        return;
    struct sl_task *newest =
        atomic_exchange_explicit(&loop->posted[priority], NULL, memory_order_acquire);
    struct sl_task *oldest = NULL;
    while (newest) {
        struct sl_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct sl_task *next = oldest->next;
        list_add(&loop->ready[priority], oldest);
        oldest = next;
    }
}

static bool has_tasks(struct osuv_loop *loop)
{
    for (uint32_t p = 0; p < SL_PRIORITY_COUNT; p++) {
        if (loop->ready[p].first || atomic_load(&loop->posted[p]))
            return true;
    }
    return false;
}

/* Another thread did. */
static bool was_posted_to(struct osuv_loop *loop)
{
    bool any = false;
    for (uint32_t p = 0; p < SL_PRIORITY_COUNT && !any; p++)
        any = atomic_load_explicit(&loop->posted[p], memory_order_relaxed) != NULL;
    return any;
}

static void wake_sleeper(struct osuv_loop *loop)
{
    if (atomic_load(&loop->sleeping) && atomic_exchange(&loop->sleeping, 0))
        osuv_wait_wake(loop);
}

void osuv_loop_post(struct sl_loop *base, struct sl_task *task)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    if (osuv_loop_is_current(base)) {
        collect(loop, task->priority); /* what came before stays before */
        list_add(&loop->ready[task->priority], task);
        return;
    }
    struct sl_task *head =
        atomic_load_explicit(&loop->posted[task->priority], memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->wakers, 1, memory_order_relaxed);
    do
        task->next = head;
    while (!atomic_compare_exchange_weak(&loop->posted[task->priority], &head, task));
    /* From here on the task may have run and be gone, and the loop have ended. */
    wake_sleeper(loop);
    atomic_fetch_sub_explicit(&loop->wakers, 1, memory_order_release);
}

/* ---- a turn ---- */

static bool run_one(struct osuv_loop *loop, uint32_t priority)
{
    collect(loop, priority);
    struct sl_task *task = list_take(&loop->ready[priority]);
    if (!task)
        return false;
    task->queued = 0;
    task->run(task);
    return true;
}

static void run_control(struct osuv_loop *loop)
{
    for (uint32_t n = 0; n < TASKS_PER_TURN && run_one(loop, SL_PRIORITY_CONTROL); n++)
        ;
}

static void run_slice(struct osuv_loop *loop, uint32_t priority)
{
    if (!loop->ready[priority].first &&
        !atomic_load_explicit(&loop->posted[priority], memory_order_relaxed))
        return;
    int64_t end_ns = osuv_mono_ns() + SLICE_NS;
    for (uint32_t n = 0; n < TASKS_PER_TURN && run_one(loop, priority); n++) {
        run_control(loop);
        if (osuv_mono_ns() >= end_ns)
            break;
    }
}

static void run_turn(struct osuv_loop *loop)
{
    run_control(loop);
    for (uint32_t priority = SL_PRIORITY_CONTROL + 1; priority < SL_PRIORITY_COUNT; priority++)
        run_slice(loop, priority);
}

/* A turn: tasks, then what was ready or due. */
static void count_turn(struct osuv_loop *loop)
{
    if (!loop->turns)
        return;
    int64_t now_ns = osuv_mono_ns() - loop->waited_ns;
    uint64_t busy_ns = (uint64_t)SL_MAX(now_ns - loop->turn_ns, (int64_t)0);
    loop->turn_ns = now_ns;
    sl_metric_observe(loop->turns, busy_ns);
    if (busy_ns > sl_metric_get(loop->longest))
        sl_metric_set(loop->longest, (int64_t)busy_ns);
}

void osuv_loop_count_turns(struct sl_loop *base, struct sl_metric_cell *turns,
                           struct sl_metric_cell *longest)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    loop->turns = turns;
    loop->longest = longest;
}

/* A lane will post soon. Looks for that, at most OSUV_SPIN_NS; true: it is there. */
static bool look_for_post(struct osuv_loop *loop)
{
    int64_t begin_ns = osuv_mono_ns();
    int64_t now_ns = begin_ns;
    bool found = false;
    while (!(found = was_posted_to(loop)) && now_ns - begin_ns < OSUV_SPIN_NS) {
        osuv_pause();
        now_ns = osuv_mono_ns();
    }
    if (found)
        osuv_spin_note(&loop->spin, now_ns - begin_ns, true);
    else
        loop->wait_begin_ns = begin_ns; /* it goes on asleep */
    loop->has_looked = true;
    return found;
}

/* A lane has a job of this loop and nothing else is to be done: not while rings are looked at,
 * which finds what is posted too. */
static bool waits_for_lane(struct osuv_loop *loop)
{
    return loop->lane_jobs > 0 && loop->wait_begin_ns == 0 && !loop->rings && !has_tasks(loop);
}

/* The wait for a lane, if it was for that, is over. */
static void note_post(struct osuv_loop *loop)
{
    if (loop->wait_begin_ns != 0 && was_posted_to(loop)) {
        osuv_spin_note(&loop->spin, osuv_mono_ns() - loop->wait_begin_ns, loop->has_looked);
        loop->wait_begin_ns = 0;
    }
}

/* Tasks, and those that lanes post while it pays to wait for them, which sockets need not wait out.
 * True: it still pays. */
static bool run_turns(struct osuv_loop *loop)
{
    note_post(loop);
    run_turn(loop);
    for (uint32_t n = 0; n < SPIN_TURNS && waits_for_lane(loop); n++) {
        if (!osuv_spin_pays(&loop->spin)) {
            loop->wait_begin_ns = loop->spin.limit_ns > 0 ? osuv_mono_ns() : 0;
            loop->has_looked = false;
            return false;
        }
        if (look_for_post(loop)) {
            loop->now_is_known = false;
            run_turn(loop);
        }
    }
    return waits_for_lane(loop);
}

/* A ring had something. */
static void note_ring(struct osuv_loop *loop, int64_t now_ns)
{
    osuv_spin_note(&loop->ring_spin, now_ns - loop->ring_ns, !loop->ring_slept);
    loop->ring_ns = now_ns;
    loop->ring_slept = false;
}

/* Nothing is there. Who could put something may wait for this processor. */
static void look_again(int64_t now_ns, int64_t *yielded_ns)
{
    if (now_ns - *yielded_ns < RING_YIELD_NS) {
        osuv_pause();
        return;
    }
    sched_yield();
    *yielded_ns = osuv_mono_ns();
}

/* Rings, and the tasks that come of them; looks for more for RING_SLICE_NS, while that pays and it
 * is not too long ago that one had something. True: it still does, and sockets need not wait it
 * out; false: all rings sleep. */
static bool run_rings(struct osuv_loop *loop)
{
    int64_t begin_ns = osuv_mono_ns();
    int64_t now_ns = begin_ns, yielded_ns = loop->ring_ns;
    bool looks;
    do {
        if (osuv_rings_serve(loop)) {
            note_ring(loop, now_ns);
            yielded_ns = now_ns;
        } else if (!was_posted_to(loop)) {
            look_again(now_ns, &yielded_ns);
        }
        if (has_tasks(loop)) {
            loop->now_is_known = false;
            run_turn(loop);
        }
        now_ns = osuv_mono_ns();
        loop->now_is_known = false;
        looks = loop->rings && osuv_spin_pays(&loop->ring_spin) &&
                now_ns - loop->ring_ns < loop->ring_spin.limit_ns;
    } while (looks && now_ns - begin_ns < RING_SLICE_NS && !atomic_load(&loop->stopping));
    if (looks || has_tasks(loop) || !osuv_rings_sleep(loop))
        return true;
    loop->ring_slept = true;
    return false;
}

/* Tasks, then what the loop waits for. */
static void turn(struct osuv_loop *loop)
{
    count_turn(loop);
    loop->now_is_known = false;
    bool looks_on = run_turns(loop);
    looks_on = (loop->rings && run_rings(loop)) || looks_on;
    loop->now_is_known = false; /* callbacks after the wait see a new time */
    atomic_store(&loop->sleeping, 1);
    looks_on = looks_on || has_tasks(loop);
    if (looks_on)
        atomic_store(&loop->sleeping, 0);
    if (!atomic_load(&loop->stopping))
        osuv_wait(loop, looks_on);
    atomic_store(&loop->sleeping, 0);
}

int64_t osuv_loop_now_ns(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    if (!loop->now_is_known) {
        loop->now_ns = osuv_mono_ns();
        loop->now_is_known = true;
    }
    return loop->now_ns;
}

bool osuv_loop_is_current(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

/* ---- life of a loop ---- */

sl_err osuv_loop_make(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop)
{
    if (cpu >= CPU_SETSIZE)
        return SLUICE_E_INVALID;
    struct osuv_loop *loop = sl_alloc_zero(1, sizeof *loop);
    if (!loop)
        return SLUICE_E_NO_MEMORY;
    loop->base.os = os;
    loop->cpu = cpu;
    loop->spin.limit_ns = osuv_os_of(os)->spins ? OSUV_SPIN_NS : 0;
    snprintf(loop->name, sizeof loop->name, "%s", name);
    if (uv_loop_init(&loop->uv) != 0) {
        sl_free(loop);
        return SLUICE_E_LIMIT;
    }
    sl_err err = osuv_wait_init(loop);
    if (err) {
        uv_loop_close(&loop->uv);
        sl_free(loop);
        return err;
    }
    *ret_loop = &loop->base;
    return SLUICE_OK;
}

static void pin(const struct osuv_loop *loop)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)loop->cpu, &one);
    /* A CPU that we may not use leaves the thread where it is: slower, not wrong. */
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

/* Nobody cancels a thread that runs a loop. Said this way, glibc does not take each system call of
 * its between two atomic exchanges that make it cancellable. */
struct cancelling {
    int state, type;
};

static struct cancelling cancelling_end(void)
{
    struct cancelling before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before.state);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before.type);
    return before;
}

static void cancelling_restore(const struct cancelling *before)
{
    int ignored;
    pthread_setcanceltype(before->type, &ignored);
    pthread_setcancelstate(before->state, &ignored);
}

void osuv_loop_run_here(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    struct cancelling cancelling = cancelling_end();
    sigset_t pipe_signal, before;
    SL_ASSERT(atomic_load(&loop->owner) == 0);
    atomic_store(&loop->owner, (uintptr_t)pthread_self());
    /* sendfile has no flag against it; the error EPIPE says the same. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    if (loop->cpu >= 0)
        pin(loop);
    loop->turn_ns = osuv_mono_ns() - loop->waited_ns;
    while (!atomic_load(&loop->stopping))
        turn(loop);
    atomic_store(&loop->stopping, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    cancelling_restore(&cancelling);
    atomic_store(&loop->owner, 0);
}

static void *loop_thread(void *arg)
{
    struct osuv_loop *loop = arg;
    osuv_thread_settle(osuv_os_of(loop->base.os), loop->name);
    osuv_loop_run_here(&loop->base);
    return NULL;
}

sl_err osuv_loop_start_thread(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    return pthread_create(&loop->thread, NULL, loop_thread, loop) == 0 ? SLUICE_OK : SLUICE_E_LIMIT;
}

void osuv_loop_join_thread(struct sl_loop *base)
{
    int error = pthread_join(osuv_loop_of(base)->thread, NULL);
    SL_ASSERT(error == 0);
}

void osuv_loop_end(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    atomic_fetch_add_explicit(&loop->wakers, 1, memory_order_relaxed);
    atomic_store(&loop->stopping, 1);
    wake_sleeper(loop);
    atomic_fetch_sub_explicit(&loop->wakers, 1, memory_order_release);
}

/* Who posted what ended it may be about to look whether it sleeps, and to wake it. */
static void await_wakers(struct osuv_loop *loop)
{
    while (atomic_load_explicit(&loop->wakers, memory_order_acquire) != 0)
        sched_yield();
}

void osuv_loop_destroy(struct sl_loop *base)
{
    struct osuv_loop *loop = osuv_loop_of(base);
    SL_ASSERT(atomic_load(&loop->owner) == 0);
    await_wakers(loop);
    for (size_t i = 0; loop->signal_fn && i < UV_SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&loop->signals[i], NULL);
    osuv_wait_fini(loop);
    int busy = UV_EBUSY;
    for (int i = 0; i < CLOSE_TURNS_MAX && busy; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT); /* the close callbacks, also of what was freed before */
        busy = uv_loop_close(&loop->uv);
    }
    SL_ASSERT(busy == 0); /* a timer, poll, watch, listener or stream was not freed */
    sl_free(loop);
}

/* ---- timers: milliseconds, rounded up, never early ---- */

static void on_timer(uv_timer_t *handle)
{
    struct osuv_timer *timer = handle->data;
    timer->fire(timer->arg);
}

sl_err osuv_timer_make(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                       struct sl_timer **ret_timer)
{
    struct osuv_timer *timer = sl_alloc_zero(1, sizeof *timer);
    if (!timer)
        return SLUICE_E_NO_MEMORY;
    timer->base.os = loop->os;
    timer->loop = osuv_loop_of(loop);
    timer->fire = fire;
    timer->arg = arg;
    uv_timer_init(&timer->loop->uv, &timer->uv);
    timer->uv.data = timer;
    *ret_timer = &timer->base;
    return SLUICE_OK;
}

void osuv_timer_arm(struct sl_timer *base, int64_t delay_ns)
{
    struct osuv_timer *timer = SL_CONTAINER_OF(base, struct osuv_timer, base);
    /* libuv adds to its own notion of now, which may be a turn old; both count from the same zero.
     */
    uint64_t now_ms = uv_now(&timer->loop->uv);
    uint64_t deadline_ms = (uint64_t)(osuv_mono_ns() / 1000 + delay_ns / 1000 + 999 + 1) / 1000;
    uint64_t delay_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (delay_ns == 0)
        delay_ms = 0;
    uv_timer_start(&timer->uv, on_timer, delay_ms, 0);
}

void osuv_timer_disarm(struct sl_timer *base)
{
    uv_timer_stop(&SL_CONTAINER_OF(base, struct osuv_timer, base)->uv);
}

void osuv_timer_destroy(struct sl_timer *base)
{
    struct osuv_timer *timer = SL_CONTAINER_OF(base, struct osuv_timer, base);
    uv_close((uv_handle_t *)&timer->uv, osuv_free_on_close);
}
