/* streams_assignor.c: a target for a group of KIP-1071, as Kafka 4.3's "sticky" assignor makes it.
 *
 *   active    1. who had the task keeps it   2. else who had its state as a standby
 *             3. the process with the least load, its member with the fewest tasks
 *   standby   likewise: who was active, who was standby, the process with the least load; never two
 *             of a task in one process
 *
 * 1 and 2 hold up to a member's share: tasks over members, rounded up; a member that reached it
 * leaves both counts. The load of a process is its tasks over its members. Only subtopologies with
 * changelogs have standbys. What was is the former target. */
#include "deliver/streams_group.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct process {
    struct sl_bytes id;
    uint32_t members, tasks;
    uint32_t first; /* place of its first member */
};

struct seat {
    struct streams_member *member;
    uint32_t process; /* place */
    uint32_t next;    /* of the same process; NONE */
    uint32_t tasks;   /* that it got so far */
    struct streams_tasks target;
};

struct share {
    uint32_t tasks, members, each; /* what is to be given yet, to whom, how much to one */
};

struct task {
    uint32_t place, partition; /* subtopology; … */
    bool is_stateful;
    uint32_t former;                     /* seat that had it as active; NONE */
    uint32_t active;                     /* seat; NONE: not yet */
    uint32_t standbys_from, standbys_to; /* former standbys, in `formers` */
    uint32_t copies;                     /* seats in `copies` of it so far */
};

struct job {
    const struct streams_group *group;
    struct process *processes;
    struct seat *seats;
    struct task *tasks; /* by subtopology, then partition */
    uint32_t *bases;    /* index of a subtopology's first task */
    uint32_t *formers;  /* seats that had tasks as standbys */
    uint32_t *copies;   /* standby_count seats a task */
    uint32_t *heap;     /* processes, the least loaded first */
    uint32_t *order;    /* of tasks */
    uint32_t process_count, seat_count, task_count, heap_count, standby_count;
    struct share active, all;
};

static uint32_t share_of(uint32_t tasks, uint32_t members)
{
    return members == 0 ? 0 : (tasks + members - 1) / members;
}

static void share_update(struct share *share, uint32_t count)
{
    if (count != share->each || share->members == 0)
        return;
    share->members--;
    share->tasks -= SL_MIN(share->tasks, count);
    share->each = share_of(share->tasks, share->members);
}

/* ---- processes by load ---- */

static bool is_lighter(const struct job *job, uint32_t a, uint32_t b)
{
    const struct process *x = &job->processes[a], *y = &job->processes[b];
    uint64_t left = (uint64_t)x->tasks * y->members, right = (uint64_t)y->tasks * x->members;
    return left != right ? left < right : a < b;
}

static void heap_push(struct job *job, uint32_t process)
{
    uint32_t at = job->heap_count++;
    for (; at > 0 && is_lighter(job, process, job->heap[(at - 1) / 2]); at = (at - 1) / 2)
        job->heap[at] = job->heap[(at - 1) / 2];
    job->heap[at] = process;
}

static uint32_t heap_pop(struct job *job)
{
    uint32_t top = job->heap[0], last = job->heap[--job->heap_count], at = 0;
    for (uint32_t child = 1; child < job->heap_count; child = 2 * at + 1) {
        if (child + 1 < job->heap_count && is_lighter(job, job->heap[child + 1], job->heap[child]))
            child++;
        if (!is_lighter(job, job->heap[child], last))
            break;
        job->heap[at] = job->heap[child];
        at = child;
    }
    job->heap[at] = last;
    return top;
}

static void heap_fill(struct job *job)
{
    job->heap_count = 0;
    for (uint32_t i = 0; i < job->process_count; i++)
        heap_push(job, i);
}

/* ---- giving ---- */

static const struct task *task_of(const struct job *job, uint32_t index)
{
    return &job->tasks[index];
}

static bool has_task(const struct job *job, uint32_t process, uint32_t index)
{
    const struct task *task = task_of(job, index);
    if (task->active != NONE && job->seats[task->active].process == process)
        return true;
    for (uint32_t i = 0; i < task->copies; i++) {
        if (job->seats[job->copies[index * job->standby_count + i]].process == process)
            return true;
    }
    return false;
}

static sl_err give(struct job *job, uint32_t index, uint32_t seat_index, uint32_t role)
{
    struct seat *seat = &job->seats[seat_index];
    struct task *task = &job->tasks[index];
    struct sl_uuid id = streams_task_id(task->place);
    if (role == STREAMS_ACTIVE)
        task->active = seat_index;
    else
        job->copies[index * job->standby_count + task->copies++] = seat_index;
    job->processes[seat->process].tasks++;
    seat->tasks++;
    if (role == STREAMS_ACTIVE)
        share_update(&job->active, seat->tasks);
    share_update(&job->all, seat->tasks);
    return partition_set_add(&seat->target.roles[role], &id, task->partition, 0);
}

static uint32_t seat_with_fewest(const struct job *job, uint32_t process)
{
    uint32_t best = job->processes[process].first;
    for (uint32_t s = best; s != NONE; s = job->seats[s].next) {
        if (job->seats[s].tasks < job->seats[best].tasks)
            best = s;
    }
    return best;
}

/* Of those that had the task as a standby, the least loaded whose process has not got it. */
static uint32_t former_standby(const struct job *job, uint32_t index)
{
    const struct task *task = task_of(job, index);
    uint32_t best = NONE;
    for (uint32_t i = task->standbys_from; i < task->standbys_to; i++) {
        uint32_t seat = job->formers[i], process = job->seats[seat].process;
        if (has_task(job, process, index))
            continue;
        if (best == NONE || (process == job->seats[best].process
                                 ? job->seats[seat].tasks < job->seats[best].tasks
                                 : is_lighter(job, process, job->seats[best].process)))
            best = seat;
    }
    return best;
}

/* ---- orders of tasks ---- */

static int by_partition(const void *a, const void *b, void *arg)
{
    const struct job *job = arg;
    const struct task *x = task_of(job, *(const uint32_t *)a),
                      *y = task_of(job, *(const uint32_t *)b);
    int order = (x->partition > y->partition) - (x->partition < y->partition);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static sl_err assign_active(struct job *job)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < job->task_count; i++)
        job->order[i] = i;
    qsort_r(job->order, job->task_count, sizeof *job->order, by_partition, job);
    for (uint32_t i = 0; i < job->task_count && err == SLUICE_OK; i++) {
        uint32_t seat = job->tasks[job->order[i]].former;
        if (seat != NONE && job->seats[seat].tasks < job->active.each)
            err = give(job, job->order[i], seat, STREAMS_ACTIVE);
    }
    for (uint32_t i = 0; i < job->task_count && err == SLUICE_OK; i++) {
        uint32_t index = job->order[i];
        uint32_t seat = job->tasks[index].active == NONE ? former_standby(job, index) : NONE;
        if (seat != NONE && job->seats[seat].tasks < job->active.each)
            err = give(job, index, seat, STREAMS_ACTIVE);
    }
    heap_fill(job);
    for (uint32_t i = 0; i < job->task_count && err == SLUICE_OK; i++) {
        if (job->tasks[i].active != NONE)
            continue;
        uint32_t process = heap_pop(job);
        err = give(job, i, seat_with_fewest(job, process), STREAMS_ACTIVE);
        heap_push(job, process);
    }
    return err;
}

/* Copies to who had the task before, as far as they have room. */
static sl_err keep_standbys(struct job *job, uint32_t index)
{
    const struct task *task = task_of(job, index);
    sl_err err = SLUICE_OK;
    while (task->copies < job->standby_count && err == SLUICE_OK) {
        uint32_t seat = task->former;
        if (seat == NONE || has_task(job, job->seats[seat].process, index) ||
            job->seats[seat].tasks >= job->all.each)
            seat = former_standby(job, index);
        if (seat == NONE || job->seats[seat].tasks >= job->all.each)
            break;
        err = give(job, index, seat, STREAMS_STANDBY);
    }
    return err;
}

/* The least loaded process that has not got the task; those before it wait in `passed`. False:
 * all have it. */
static bool spread_standby(struct job *job, uint32_t index, uint32_t *passed, sl_err *ret_err)
{
    uint32_t passed_count = 0;
    bool found = false;
    while (job->heap_count != 0 && !found) {
        uint32_t process = heap_pop(job);
        found = !has_task(job, process, index);
        if (found)
            *ret_err = give(job, index, seat_with_fewest(job, process), STREAMS_STANDBY);
        passed[passed_count++] = process;
    }
    while (passed_count != 0)
        heap_push(job, passed[--passed_count]);
    return found;
}

static sl_err assign_standby(struct job *job)
{
    uint32_t *passed = sl_alloc_zero(job->process_count + 1u, sizeof *passed);
    sl_err err = passed == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = job->task_count; i > 0 && err == SLUICE_OK; i--) {
        if (job->tasks[job->order[i - 1]].is_stateful)
            err = keep_standbys(job, job->order[i - 1]);
    }
    heap_fill(job);
    for (uint32_t i = job->task_count; i > 0 && err == SLUICE_OK; i--) {
        bool found = job->tasks[i - 1].is_stateful;
        while (found && job->tasks[i - 1].copies < job->standby_count && err == SLUICE_OK)
            found = spread_standby(job, i - 1, passed, &err);
    }
    sl_free(passed);
    return err;
}

/* ---- what was ---- */

static uint32_t index_of(const struct job *job, const struct partition_entry *entry)
{
    uint32_t place = streams_task_subtopology(&entry->topic);
    return entry->partition < job->group->plan->task_counts[place]
               ? job->bases[place] + entry->partition
               : NONE;
}

static void count_former(struct job *job, uint32_t seat)
{
    const struct streams_tasks *target = &job->seats[seat].member->target;
    for (uint32_t i = 0; i < target->roles[STREAMS_ACTIVE].count; i++) {
        uint32_t index = index_of(job, &target->roles[STREAMS_ACTIVE].entries[i]);
        if (index != NONE)
            job->tasks[index].former = seat;
    }
    for (uint32_t i = 0; i < target->roles[STREAMS_STANDBY].count; i++) {
        uint32_t index = index_of(job, &target->roles[STREAMS_STANDBY].entries[i]);
        if (index != NONE)
            job->tasks[index].standbys_to++;
    }
}

static sl_err take_former(struct job *job)
{
    uint32_t total = 0;
    for (uint32_t s = 0; s < job->seat_count; s++)
        count_former(job, s);
    for (uint32_t t = 0; t < job->task_count; t++) {
        uint32_t count = job->tasks[t].standbys_to;
        job->tasks[t].standbys_from = job->tasks[t].standbys_to = total;
        total += count;
    }
    job->formers = sl_alloc_zero(total + 1u, sizeof *job->formers);
    for (uint32_t s = 0; s < job->seat_count && job->formers != NULL; s++) {
        const struct partition_set *set = &job->seats[s].member->target.roles[STREAMS_STANDBY];
        for (uint32_t i = 0; i < set->count; i++) {
            uint32_t index = index_of(job, &set->entries[i]);
            if (index != NONE)
                job->formers[job->tasks[index].standbys_to++] = s;
        }
    }
    return job->formers == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static void list_tasks(struct job *job)
{
    const struct streams_plan *plan = job->group->plan;
    uint32_t at = 0, stateful = 0;
    for (uint32_t place = 0; place < plan->view.subtopology_count; place++) {
        bool is_stateful = plan->view.subtopologies[place].changelog_count != 0;
        job->bases[place] = at;
        stateful += is_stateful ? plan->task_counts[place] : 0;
        for (uint32_t p = 0; p < plan->task_counts[place]; p++)
            job->tasks[at++] = (struct task){.place = place,
                                             .partition = p,
                                             .is_stateful = is_stateful,
                                             .former = NONE,
                                             .active = NONE};
    }
    job->active = (struct share){at, job->seat_count, share_of(at, job->seat_count)};
    at += stateful * job->standby_count;
    job->all = (struct share){at, job->seat_count, share_of(at, job->seat_count)};
}

/* ---- members and their processes ---- */

static int by_process(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;
    struct sluice_text left = {(const char *)x->member->process.data, x->member->process.size};
    struct sluice_text right = {(const char *)y->member->process.data, y->member->process.size};
    int order = streams_text_compare(left, right);
    struct sluice_text left_id = {(const char *)x->member->base.id.data, x->member->base.id.size};
    struct sluice_text right_id = {(const char *)y->member->base.id.data, y->member->base.id.size};
    return order != 0 ? order : streams_text_compare(left_id, right_id);
}

static void list_members(struct job *job)
{
    for (struct streams_member *m = streams_member_first(job->group); m != NULL;
         m = streams_member_next(m))
        job->seats[job->seat_count++] = (struct seat){.member = m, .next = NONE};
    qsort(job->seats, job->seat_count, sizeof *job->seats, by_process);
    for (uint32_t i = 0; i < job->seat_count; i++) {
        struct sl_bytes id = job->seats[i].member->process;
        bool is_new = i == 0 || !sl_bytes_equal(job->seats[i - 1].member->process, id);
        if (is_new)
            job->processes[job->process_count++] = (struct process){.id = id, .first = i};
        else
            job->seats[i - 1].next = i;
        job->processes[job->process_count - 1].members++;
        job->seats[i].process = job->process_count - 1;
    }
}

static sl_err job_init(struct job *job, const struct streams_group *group, uint32_t standby_count)
{
    const struct streams_plan *plan = group->plan;
    uint32_t members = group->base.member_count;
    /* Copies live in different processes: more than there are members cannot be. */
    *job = (struct job){.group = group,
                        .task_count = plan->task_count,
                        .standby_count = SL_MIN(standby_count, members)};
    job->seats = sl_alloc_zero(members + 1u, sizeof *job->seats);
    job->processes = sl_alloc_zero(members + 1u, sizeof *job->processes);
    job->heap = sl_alloc_zero(members + 1u, sizeof *job->heap);
    job->tasks = sl_alloc_zero(plan->task_count + 1u, sizeof *job->tasks);
    job->order = sl_alloc_zero(plan->task_count + 1u, sizeof *job->order);
    job->bases = sl_alloc_zero(plan->view.subtopology_count + 1u, sizeof *job->bases);
    job->copies =
        sl_alloc_zero((size_t)plan->task_count * job->standby_count + 1u, sizeof *job->copies);
    if (job->seats == NULL || job->processes == NULL || job->heap == NULL || job->tasks == NULL ||
        job->order == NULL || job->bases == NULL || job->copies == NULL)
        return SLUICE_E_NO_MEMORY;
    list_members(job);
    list_tasks(job);
    return take_former(job);
}

static void job_fini(struct job *job)
{
    for (uint32_t i = 0; i < job->seat_count; i++)
        streams_tasks_fini(&job->seats[i].target);
    sl_free(job->seats);
    sl_free(job->processes);
    sl_free(job->heap);
    sl_free(job->tasks);
    sl_free(job->order);
    sl_free(job->bases);
    sl_free(job->formers);
    sl_free(job->copies);
}

static void target_set(struct streams_groups *groups, struct streams_member *member,
                       struct streams_tasks *target)
{
    bool same = true;
    for (uint32_t r = 0; r < STREAMS_ROLES; r++) {
        partition_set_sort(&target->roles[r]);
        same = same && partition_set_equal(&member->target.roles[r], &target->roles[r], false);
        partition_set_take(&member->target.roles[r], &target->roles[r]);
    }
    if (!same)
        epoch_member_moved(&groups->base, &member->base);
}

static void clear_targets(struct streams_groups *groups, struct streams_group *group)
{
    for (struct streams_member *m = streams_member_first(group); m != NULL;
         m = streams_member_next(m)) {
        struct streams_tasks none = {0};
        target_set(groups, m, &none);
    }
}

sl_err streams_group_assign(struct streams_groups *groups, struct streams_group *group)
{
    bool is_ready = group->plan != NULL && group->plan->status < 0;
    struct job job = {0};
    sl_err err = SLUICE_OK;
    if (is_ready && group->base.member_count != 0) {
        err = job_init(&job, group, (uint32_t)SL_MAX(group->standby_count, 0));
        err = err != SLUICE_OK ? err : assign_active(&job);
        if (err == SLUICE_OK && job.standby_count != 0)
            err = assign_standby(&job);
        for (uint32_t i = 0; i < job.seat_count && err == SLUICE_OK; i++)
            target_set(groups, job.seats[i].member, &job.seats[i].target);
        job_fini(&job);
    } else {
        clear_targets(groups, group);
    }
    if (err == SLUICE_OK) {
        group->base.assignment_epoch = group->base.epoch;
        group->assigned_at_ms = groups->base.now_ms;
        epoch_group_mark(&groups->base, &group->base);
    }
    return err;
}
