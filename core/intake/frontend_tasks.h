/* frontend_tasks.h: the extension "sluice.task/1" of one frontend: bounded work on helper threads,
 * then a call on the loop (<sluice/task.h>).
 *
 * Helpers are shared with the storage: of an instance RUNNING_MAX tasks have one at a time, the
 * others wait here, by priority. On the frontend's loop, but `work`. */
#ifndef SL_INTAKE_FRONTEND_TASKS_H
#define SL_INTAKE_FRONTEND_TASKS_H

#include "base/list.h"
#include "os/os.h"
#include <sluice/task.h>

#define FRONTEND_TASKS_RUNNING_MAX 2u

struct frontend_task;

struct frontend_tasks {
    struct sluice_task_host host;
    struct sl_os *os;
    struct sl_loop *loop;
    struct frontend_task *all; /* owned; SLUICE_TASKS_MAX, made at the first submit */
    struct sl_list free;
    struct sl_list waiting[SLUICE_TASK_PRIORITIES];
    uint32_t waiting_count;
    uint32_t running_count;  /* until done returned */
    bool open;               /* takes tasks */
    bool closed;             /* for good */
    void (*idle)(void *arg); /* after the last done, once closed; may free the tasks */
    void *idle_arg;
};

void frontend_tasks_init(struct frontend_tasks *tasks, struct sl_os *os, struct sl_loop *loop,
                         void (*idle)(void *arg), void *arg);
/* From now on tasks are taken: the frontend was created. */
void frontend_tasks_open(struct frontend_tasks *tasks);
/* No further ones are taken; those that were run to their end, then idle is called. */
void frontend_tasks_close(struct frontend_tasks *tasks);
static inline bool frontend_tasks_pending(const struct frontend_tasks *tasks)
{
    return tasks->waiting_count + tasks->running_count > 0;
}
void frontend_tasks_fini(struct frontend_tasks *tasks); /* none is pending */

#endif
