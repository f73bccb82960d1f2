/* login_desk.c: see login_desk.h. */
#include "intake/login_desk.h"

static void start_next(struct login_desk *desk);

/* [helper] */
static void run_work(struct sl_job *job)
{
    struct login_step *step = SL_CONTAINER_OF(job, struct login_step, job);
    SL_ASSERT(!sl_loop_is_current(step->desk->loop));
    step->work(step);
}

/* The next one starts first: `done` may free the step. */
static void run_done(struct sl_job *job)
{
    struct login_step *step = SL_CONTAINER_OF(job, struct login_step, job);
    struct login_desk *desk = step->desk;
    desk->running_count--;
    start_next(desk);
    step->done(step);
}

static void start_next(struct login_desk *desk)
{
    while (desk->running_count < desk->running_max && desk->waiting_count > 0) {
        struct sl_link *link = sl_list_pop_front(&desk->waiting);
        SL_ASSERT(link != NULL);
        struct login_step *step = SL_CONTAINER_OF(link, struct login_step, link);
        desk->waiting_count--;
        desk->running_count++;
        desk->steps_total++;
        step->job = (struct sl_job){.work = run_work, .done = run_done, .computes = true};
        step->job.task.priority = SL_PRIORITY_IO;
        sl_helpers_submit(desk->os, desk->loop, &step->job);
    }
}

void login_desk_init(struct login_desk *desk, struct sl_os *os, struct sl_loop *loop)
{
    *desk = (struct login_desk){.os = os,
                                .loop = loop,
                                .running_max = LOGIN_DESK_RUNNING_MAX,
                                .waiting_max = LOGIN_DESK_WAITING_MAX};
    sl_list_init(&desk->waiting);
}

void login_desk_limit(struct login_desk *desk, uint32_t running_max, uint32_t waiting_max)
{
    SL_ASSERT(running_max > 0);
    desk->running_max = running_max;
    desk->waiting_max = waiting_max;
}

sl_err login_desk_submit(struct login_desk *desk, struct login_step *step, bool urgent)
{
    bool starts = desk->running_count < desk->running_max;
    if (!starts && desk->waiting_count >= desk->waiting_max && !urgent) {
        desk->refused_total++;
        return SLUICE_E_BUSY;
    }
    step->desk = desk;
    sl_link_init(&step->link);
    if (urgent) {
        sl_list_push_front(&desk->waiting, &step->link);
    } else {
        sl_list_push_back(&desk->waiting, &step->link);
    }
    desk->waiting_count++;
    start_next(desk);
    return SLUICE_OK;
}

bool login_desk_withdraw(struct login_step *step)
{
    if (!sl_link_is_listed(&step->link)) {
        return false;
    }
    sl_list_remove(&step->link);
    step->desk->waiting_count--;
    return true;
}
