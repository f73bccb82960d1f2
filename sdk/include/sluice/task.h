/* <sluice/task.h>: bounded background work of a plugin, at one of four priorities (extension
 * "sluice.task/1").
 *
 * A task is a function that runs later, and one that is called when it ended. What they share lies
 * behind `arg`, which is the plugin's and is handed from one to the other.
 *
 *   in a frontend    `work` runs on a thread of the host's, so it may block, and calls nothing of
 *                    the host's that is not [any]; `done` runs on the instance's loop. Two of an
 *                    instance run at a time.
 *   in a processor   a worker has one thread: `work` and at once `done` run on it while no batch
 *                    waits. A batch that comes meanwhile waits for both, and its deadline goes on,
 *                    so a task is a small piece of work (a few milliseconds) whose `done` submits
 *                    the next piece. Its CPU time counts in the share of the instance
 *                    (limits.cpu_percent): when that is used up, tasks wait.
 *
 * Of those that wait, the highest priority goes first; within one, the first. A worker that ends in
 * a task (a crash, a batch's deadline passed, five seconds without a batch) is started anew, and no
 * record is blamed for it. Tasks that had not ended are gone then, as those of a processor that is
 * drained: what must not be lost belongs into records. */
#ifndef SLUICE_TASK_H
#define SLUICE_TASK_H

#include <sluice/plugin.h>

/* Id of struct sluice_task_host, for sluice_host.get_extension. */
#define SLUICE_EXT_TASK "sluice.task/1"

/* Under way at a time, of one instance: submitted, and `done` was not called yet. */
#define SLUICE_TASKS_MAX 64u

/* Priorities of tasks, the highest first. */
#define SLUICE_TASK_CONTROL    0u /* somebody waits for it */
#define SLUICE_TASK_IO         1u /* requests of clients need it */
#define SLUICE_TASK_PROCESSING 2u /* records need it */
#define SLUICE_TASK_BACKGROUND 3u /* nobody waits for it: cleaning, refreshing, counting */
#define SLUICE_TASK_PRIORITIES 4u /* how many there are */

/* A piece of work; in a frontend on a thread of its own. [blocks] */
typedef void sluice_task_work(void *arg);
/* It ended; exactly once for each submit that succeeded, unless a worker ends before. Never called
 * inside submit, may submit the next piece. [loop|process] */
typedef void sluice_task_done(void *arg);

/* Tasks of one instance. Borrowed from the host; lives as long as the instance. */
struct sluice_task_host {
    uint32_t size;
    uint32_t reserved;
    void *data; /* the host's */
    /* Runs `work(arg)` later, then `done(arg)`; done may be NULL. `arg` must live until done; a
     * frontend is not destroyed before. SLUICE_E_LIMIT: SLUICE_TASKS_MAX are under way.
     * SLUICE_E_INVALID: no work, no such priority, or another thread. SLUICE_E_STOPPING: the
     * instance ends. SLUICE_E_BUSY: a frontend's create has not returned yet. SLUICE_E_NO_MEMORY.
     * [loop|control|process] */
    sluice_status (*submit)(const struct sluice_task_host *host, uint32_t priority,
                            sluice_task_work *work, sluice_task_done *done, void *arg);
};

#endif
