/* extent_upkeep.c: files are closed and removed on a helper, never on the loop (extent_state.h).
 *
 * Closing the last descriptor of a removed file gives back all its blocks: on ext4 tens of
 * milliseconds for a large one. A file that cannot be removed is left: recovery removes what no
 * frame names. */
#include "extent/extent_state.h"

/* ---- helper ---- */

static void upkeep_work(struct sl_job *job)
{
    struct extent_upkeep *upkeep = SL_CONTAINER_OF(job, struct extent_upkeep, job);
    char path[EXTENT_PATH_MAX];
    for (uint32_t i = 0; i < upkeep->closed_count; i++)
        sl_file_close(upkeep->closed[i]);
    upkeep->closed_count = 0;
    while (upkeep->removed != NULL) {
        struct extent *extent = upkeep->removed;
        upkeep->removed = extent->next;
        extent_path(path, upkeep->set->directory, extent->item.id);
        sl_err err = sl_path_remove(upkeep->set->os, path);
        (void)err;
        extent_free(extent);
    }
}

/* ---- loop ---- */

/* Of the open files above the bound, those that were unused for longest and are not pinned. */
static void closed_choose(struct extent_set *set)
{
    struct extent_upkeep *upkeep = &set->upkeep;
    struct sl_link *link = set->open.head.prev;
    while (link != &set->open.head && set->open_count > set->open_files_max &&
           upkeep->closed_count < EXTENT_UPKEEP_MAX) {
        struct extent *extent = SL_CONTAINER_OF(link, struct extent, open);
        link = link->prev;
        if (extent->pins > 0)
            continue;
        upkeep->closed[upkeep->closed_count++] =
            atomic_exchange_explicit(&extent->file, NULL, memory_order_acq_rel);
        sl_list_remove(&extent->open);
        set->open_count--;
    }
}

static void removed_choose(struct extent_set *set)
{
    for (uint32_t i = 0; i < EXTENT_UPKEEP_MAX && set->removable != NULL; i++) {
        struct extent *extent = set->removable;
        set->removable = extent->next;
        extent->next = set->upkeep.removed;
        set->upkeep.removed = extent;
    }
}

void extent_upkeep_request(struct extent_set *set)
{
    struct extent_upkeep *upkeep = &set->upkeep;
    if (upkeep->busy || (set->open_count <= set->open_files_max && set->removable == NULL))
        return;
    closed_choose(set);
    removed_choose(set);
    if (upkeep->closed_count == 0 && upkeep->removed == NULL)
        return;
    upkeep->busy = true;
    sl_helpers_submit(set->os, set->loop, &upkeep->job);
}

static void stop_step(struct extent_set *set)
{
    if (set->stopping && !set->upkeep.busy && !set->stopped_task.queued)
        sl_loop_post(set->loop, &set->stopped_task);
}

static void upkeep_done(struct sl_job *job)
{
    struct extent_upkeep *upkeep = SL_CONTAINER_OF(job, struct extent_upkeep, job);
    upkeep->busy = false;
    extent_upkeep_request(upkeep->set);
    stop_step(upkeep->set);
}

/* A task of its own, so that the owner may free the set in it. */
static void stopped_run(struct sl_task *task)
{
    struct extent_set *set = SL_CONTAINER_OF(task, struct extent_set, stopped_task);
    set->stopped(set->stopped_arg);
}

void extent_set_stop(struct extent_set *set, void (*stopped)(void *arg), void *arg)
{
    SL_ASSERT(!set->stopping);
    set->stopping = true;
    set->stopped = stopped;
    set->stopped_arg = arg;
    stop_step(set);
}

void extent_upkeep_init(struct extent_set *set)
{
    struct extent_upkeep *upkeep = &set->upkeep;
    upkeep->set = set;
    upkeep->job.work = upkeep_work;
    upkeep->job.done = upkeep_done;
    upkeep->job.task.priority = SL_PRIORITY_BACKGROUND;
    set->stopped_task.run = stopped_run;
    set->stopped_task.priority = SL_PRIORITY_IO;
}

void extent_upkeep_fini(struct extent_set *set)
{
    struct extent_upkeep *upkeep = &set->upkeep;
    for (uint32_t i = 0; i < upkeep->closed_count; i++)
        sl_file_close(upkeep->closed[i]);
    upkeep->closed_count = 0;
    while (upkeep->removed != NULL) {
        struct extent *next = upkeep->removed->next;
        extent_free(upkeep->removed);
        upkeep->removed = next;
    }
}
