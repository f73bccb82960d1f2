/* os_sim_run.h: the simulated instance as os_sim*.c see it: loops, timers, workers. */
#ifndef SL_OS_OS_SIM_RUN_H
#define SL_OS_OS_SIM_RUN_H

#include "os/os_ops.h"
#include "os/os_sim.h"

struct sim_queue {
    struct sl_task *head;
    struct sl_task *tail;
};

struct sim_loop {
    struct sl_loop base;
    struct sim_loop *next;
    struct sim_queue queues[SL_PRIORITY_COUNT];
    bool stopped;
};

struct sim_timer {
    struct sl_timer base;
    struct sim_timer *next;
    struct sim_loop *loop;
    sl_timer_fn *fire;
    void *arg;
    int64_t due_ns; /* INT64_MAX: not started */
};

struct sim_jobs {
    struct sl_job *head;
    struct sl_job *tail;
};

/* A thread that does blocking jobs: of a lane, or one of the helpers. */
struct sim_worker {
    struct sim_jobs *jobs;  /* where it takes the next from */
    struct sl_job *current; /* NULL: looks for one */
    bool worked;            /* current's work has run; its end is due */
    int64_t due_ns;
};

struct sim_lane {
    struct sl_lane base;
    struct sim_lane *next;
    struct sim_jobs jobs;
    struct sim_worker worker;
};

#define SIM_HELPERS 3

struct sim_os {
    struct sl_os base;
    struct sl_sim_disk *disk;
    struct sl_sim_faults faults;
    uint64_t random;
    int64_t mono_ns;
    int64_t job_ns; /* virtual time that the job under way has taken */
    uint64_t asked_bytes;
    struct sim_loop *loops;
    struct sim_timer *timers;
    struct sim_lane *lanes;
    struct sim_jobs helper_jobs;
    struct sim_worker helpers[SIM_HELPERS];
    struct sim_loop *current; /* whose task or timer runs */
    bool in_job;
    bool power_off;
};

static inline struct sim_os *sim_os_of(struct sl_os *os)
{
    return SL_CONTAINER_OF(os, struct sim_os, base);
}

uint64_t sim_os_random(struct sim_os *sim);

/* Slots of the table that os_sim_run.c serves. */
sl_err sim_loop_new(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop);
void sim_loop_run(struct sl_loop *loop);
sl_err sim_loop_start(struct sl_loop *loop);
void sim_loop_join(struct sl_loop *loop);
void sim_loop_stop(struct sl_loop *loop);
void sim_loop_free(struct sl_loop *loop);
void sim_loop_post(struct sl_loop *loop, struct sl_task *task);
int64_t sim_loop_now_ns(struct sl_loop *loop);
bool sim_loop_is_current(struct sl_loop *loop);
sl_err sim_timer_new(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                     struct sl_timer **ret_timer);
void sim_timer_start(struct sl_timer *timer, int64_t delay_ns);
void sim_timer_stop(struct sl_timer *timer);
void sim_timer_free(struct sl_timer *timer);
sl_err sim_lane_new(struct sl_os *os, const char *name, struct sl_lane **ret_lane);
void sim_lane_free(struct sl_lane *lane);
void sim_lane_submit(struct sl_lane *lane, struct sl_job *job);
void sim_helpers_submit(struct sl_os *os, struct sl_job *job);
sl_err sim_reader_new(struct sl_os *os, struct sl_reader **ret_reader);
void sim_reader_free(struct sl_reader *reader);
void sim_reader_submit(struct sl_reader *reader, struct sl_read *read);
void sim_reader_wait(struct sl_reader *reader, struct sl_read *read);

#endif
