/* streams_show.c: a group of KIP-1071 as its members and administrators are shown it: everything in
 * one arena. */
#include "deliver/streams_group.h"

/* ---- tasks ---- */

static sl_err show_role(const struct streams_group *group, const struct partition_set *set,
                        struct answer_arena *arena, const struct sluice_streams_tasks **ret_rows,
                        uint32_t *ret_count)
{
    const struct sluice_streams_topology *view = &group->topology->view;
    int32_t *numbers = answer_arena_take(arena, set->count, sizeof *numbers);
    struct sluice_streams_tasks *rows =
        answer_arena_take(arena, SL_MIN(set->count, view->subtopology_count), sizeof *rows);
    sl_err err = numbers == NULL || rows == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count && err == SLUICE_OK; i++) {
        bool is_next = i > 0 && sl_uuid_equal(&set->entries[i].topic, &set->entries[i - 1].topic);
        uint32_t place = streams_task_subtopology(&set->entries[i].topic);
        if (!is_next) {
            struct sluice_text id = view->subtopologies[place].id;
            rows[count].partitions = &numbers[i];
            err = answer_arena_text(arena, sl_of_text(id), &rows[count++].subtopology);
        }
        numbers[i] = (int32_t)set->entries[i].partition;
        rows[count - 1].count++;
    }
    *ret_rows = rows;
    *ret_count = count;
    return err;
}

sl_err streams_show_tasks(const struct streams_group *group, const struct streams_tasks *tasks,
                          struct answer_arena *arena,
                          struct sluice_streams_assignment *ret_assignment)
{
    sl_err err = show_role(group, &tasks->roles[STREAMS_ACTIVE], arena, &ret_assignment->active,
                           &ret_assignment->active_count);
    return err != SLUICE_OK ? err
                            : show_role(group, &tasks->roles[STREAMS_STANDBY], arena,
                                        &ret_assignment->standby, &ret_assignment->standby_count);
}

/* ---- endpoints ---- */

static sl_err show_endpoint(const struct streams_member *member, struct answer_arena *arena,
                            struct sluice_streams_endpoint *ret_endpoint)
{
    ret_endpoint->port = member->port;
    return answer_arena_text(arena, member->host, &ret_endpoint->host);
}

/* Tasks as partitions of topics, a row each. */
struct task_rows {
    const struct streams_groups *groups;
    const struct partition_set *set;
    uint32_t from, end; /* in the set: the tasks of one subtopology */
    struct answer_arena *arena;
    struct sluice_streams_partitions *rows;
    uint32_t count;
};

/* The topic's partitions among the tasks. */
static sl_err show_topic(struct task_rows *tasks, struct sluice_text name)
{
    const struct streams_groups *groups = tasks->groups;
    struct group_topic topic;
    struct sl_bytes bytes = sl_of_text(name);
    if (!groups->base.topics.by_name(groups->base.topics.arg, bytes, &topic))
        return SLUICE_OK;
    struct sluice_streams_partitions *row = &tasks->rows[tasks->count];
    int32_t *numbers = answer_arena_take(tasks->arena, tasks->end - tasks->from, sizeof *numbers);
    sl_err err =
        numbers == NULL ? SLUICE_E_NO_MEMORY : answer_arena_text(tasks->arena, bytes, &row->topic);
    for (uint32_t i = tasks->from; i < tasks->end && err == SLUICE_OK; i++) {
        if (tasks->set->entries[i].partition < topic.partition_count)
            numbers[row->count++] = (int32_t)tasks->set->entries[i].partition;
    }
    row->partitions = numbers;
    tasks->count += row->count != 0;
    return err;
}

static uint32_t topic_count_max(const struct streams_group *group)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->topology->view.subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &group->topology->view.subtopologies[i];
        count += sub->source_count + sub->repartition_count;
    }
    return count;
}

static sl_err show_partitions(const struct streams_groups *groups,
                              const struct streams_group *group, const struct partition_set *set,
                              struct answer_arena *arena,
                              const struct sluice_streams_partitions **ret_rows,
                              uint32_t *ret_count)
{
    struct task_rows tasks = {.groups = groups, .set = set, .arena = arena};
    tasks.rows =
        answer_arena_take(arena, set->count == 0 ? 0 : topic_count_max(group), sizeof *tasks.rows);
    sl_err err = tasks.rows == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    while (tasks.from < set->count && err == SLUICE_OK) {
        const struct sl_uuid *first = &set->entries[tasks.from].topic;
        tasks.end = tasks.from + 1;
        while (tasks.end < set->count && sl_uuid_equal(first, &set->entries[tasks.end].topic))
            tasks.end++;
        const struct sluice_streams_subtopology *sub =
            &group->topology->view.subtopologies[streams_task_subtopology(first)];
        for (uint32_t t = 0; t < sub->source_count && err == SLUICE_OK; t++)
            err = show_topic(&tasks, sub->sources[t]);
        for (uint32_t t = 0; t < sub->repartition_count && err == SLUICE_OK; t++)
            err = show_topic(&tasks, sub->repartitions[t].name);
        tasks.from = tasks.end;
    }
    *ret_rows = tasks.rows;
    *ret_count = tasks.count;
    return err;
}

sl_err streams_show_endpoints(const struct streams_groups *groups,
                              const struct streams_group *group, struct answer_arena *arena,
                              const struct sluice_streams_endpoint_info **ret_endpoints,
                              uint32_t *ret_count)
{
    struct sluice_streams_endpoint_info *all =
        answer_arena_take(arena, group->base.member_count, sizeof *all);
    sl_err err = all == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    uint32_t count = 0;
    for (const struct streams_member *m = streams_member_first(group);
         m != NULL && err == SLUICE_OK; m = streams_member_next(m)) {
        if (m->host.data == NULL)
            continue;
        struct sluice_streams_endpoint_info *info = &all[count++];
        err = show_endpoint(m, arena, &info->endpoint);
        if (err == SLUICE_OK)
            err = show_partitions(groups, group, &m->assigned.roles[STREAMS_ACTIVE], arena,
                                  &info->active, &info->active_count);
        if (err == SLUICE_OK)
            err = show_partitions(groups, group, &m->assigned.roles[STREAMS_STANDBY], arena,
                                  &info->standby, &info->standby_count);
    }
    *ret_endpoints = all;
    *ret_count = count;
    return err;
}

/* ---- a group ---- */

static sl_err show_member(const struct streams_member *member, struct answer_arena *arena,
                          struct sluice_streams_member_info *info)
{
    const struct {
        struct sl_bytes from;
        struct sluice_text *to;
    } texts[] = {{member->base.id, &info->id},
                 {member->base.rack, &info->rack},
                 {member->base.client_id, &info->client_id},
                 {member->base.client_host, &info->client_host},
                 {member->process, &info->process}};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SL_COUNT_OF(texts) && err == SLUICE_OK; i++)
        err = answer_arena_text(arena, texts[i].from, texts[i].to);
    info->epoch = member->base.epoch;
    info->topology_epoch = member->topology_epoch;
    err = err != SLUICE_OK ? err : show_endpoint(member, arena, &info->endpoint);
    if (err == SLUICE_OK)
        err = streams_tags_decode(member->tags, arena, &info->tags, &info->tag_count);
    if (err == SLUICE_OK)
        err =
            streams_show_tasks(streams_group_of(member), &member->assigned, arena, &info->assigned);
    return err != SLUICE_OK ? err
                            : streams_show_tasks(streams_group_of(member), &member->target, arena,
                                                 &info->target);
}

static sl_err show_topology(const struct streams_group *group, bool is_ready,
                            struct answer_arena *arena,
                            const struct sluice_streams_topology **ret_topology)
{
    struct sluice_streams_topology *topology = answer_arena_take(arena, 1, sizeof *topology);
    *ret_topology = topology;
    return topology == NULL
               ? SLUICE_E_NO_MEMORY
               : streams_topology_copy(
                     arena, is_ready ? &group->plan->view : &group->topology->view, topology);
}

sl_err streams_group_describe(const struct streams_groups *groups, struct sluice_text name,
                              struct answer_arena *arena,
                              struct sluice_streams_group_info *ret_info)
{
    struct streams_group_view view;
    const struct streams_group *group = streams_group_get(groups, sl_of_text(name));
    if (group == NULL || !streams_group_view_get(groups, name, &view))
        return SLUICE_E_GROUP_NOT_FOUND;
    struct sluice_streams_member_info *members =
        answer_arena_take(arena, group->base.member_count, sizeof *members);
    sl_err err = members == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    ret_info->state = sluice_text_of(view.state); /* a constant */
    ret_info->epoch = group->base.epoch;
    ret_info->assignment_epoch = group->base.assignment_epoch;
    ret_info->is_ready = group->plan != NULL && group->plan->status < 0;
    if (err == SLUICE_OK && group->topology != NULL)
        err = show_topology(group, ret_info->is_ready, arena, &ret_info->topology);
    for (const struct streams_member *m = streams_member_first(group);
         m != NULL && err == SLUICE_OK; m = streams_member_next(m))
        err = show_member(m, arena, &members[ret_info->member_count++]);
    ret_info->members = members;
    return err;
}
